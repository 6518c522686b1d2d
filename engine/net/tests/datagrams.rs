//! UDP.

use super::*;

/// A wildcard answers from the address that was asked: the client is connected and takes no other.
#[test]
fn wildcard_answers_from_the_address_asked() {
    for io in WAYS {
        let running = serve(&["0.0.0.0:0", "[::]:0"], &options(io));
        let ports: Vec<_> = running.local_addrs().iter().map(SocketAddr::port).collect();
        for (listener, ip) in [(0, "127.0.0.2"), (0, "127.0.0.1"), (0, "127.9.8.7"), (1, "::1")] {
            let asked = SocketAddr::new(ip.parse().expect("an address"), ports[listener]);
            let question = message(9);
            assert_eq!(ask(&udp_client(asked), &question), answer_to(&question, Transport::Udp, listener, asked));
            let mut stream = tcp_client(asked);
            stream.write_all(&framed(&question)).expect("write");
            assert_eq!(read_framed(&mut stream), answer_to(&question, Transport::Tcp, listener, asked));
        }
    }
}

/// Many more queries than there are buffers, from several threads, each with a few under way: none is lost.
#[test]
fn nothing_is_lost_under_flow_control() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &options(io));
        let addr = running.local_addrs()[0];
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(move || {
                    let client = udp_client(addr);
                    let mut buffer = [0; 512];
                    for batch in 0..50 {
                        for id in 0..50 {
                            client.send(&message(batch * 50 + id)).expect("send");
                        }
                        let mut missing: Vec<_> = (batch * 50..batch * 50 + 50).collect();
                        while !missing.is_empty() {
                            let len = client.recv(&mut buffer).expect("an answer");
                            let id = u16::from_be_bytes([buffer[0], buffer[1]]);
                            let question = message(id);
                            assert_eq!(&buffer[..len], answer_to(&question, Transport::Udp, 0, addr));
                            missing.retain(|missing| *missing != id);
                        }
                    }
                });
            }
        });
        let totals = running.stop(Duration::ZERO).udp();
        assert_eq!((totals.received, totals.answered, totals.dropped), (20_000, 20_000, 0));
    }
}

/// More datagrams at once than a ring has buffers: the rest waits in the sockets, and none is lost.
#[test]
fn a_burst_larger_than_the_ring_waits() {
    for io in WAYS {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().expect("a lock");
        // Several sockets, as one may not hold so many.
        let listeners = [Listener::plain(([127, 0, 0, 1], 0).into()); 8];
        let options = Options { workers: Some(1), ..options(io) };
        let running = start(&listeners, Gated { gate: Arc::clone(&gate) }, &options).expect("the room opens");
        let clients: Vec<_> = running.local_addrs().iter().map(|addr| udp_client(*addr)).collect();
        for client in &clients {
            for id in 0..250 {
                client.send(&message(id)).expect("send");
            }
        }
        drop(closed);
        for client in &clients {
            let mut buffer = [0; 64];
            for id in 0..250 {
                client.recv(&mut buffer).expect("an answer");
                assert_eq!(buffer[..2], u16::to_be_bytes(id));
            }
        }
        let totals = running.stop(PATIENCE).udp();
        assert_eq!((totals.received, totals.answered, totals.errors), (2000, 2000, 0));
        assert_eq!(totals.overruns > 0, io == IoChoice::Ring);
    }
}

/// Silence, an answer longer than its buffer, empty datagrams: no answer, and the next query is served.
#[test]
fn silence_and_empty_datagrams() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &Options { workers: Some(1), ..options(io) });
        let addr = running.local_addrs()[0];
        let client = udp_client(addr);
        for odd in [SILENCE, TOO_LONG] {
            let mut question = message(1);
            question[3] = odd;
            client.send(&question).expect("send");
        }
        // An empty datagram ends the multishot of io_uring.
        for lot in 1..=15 {
            for _ in 0..200 {
                client.send(&[]).expect("send");
            }
            // A socket need not hold more.
            until("they are taken", || running.totals().udp().received == 2 + lot * 200);
        }
        let question = message(2);
        assert_eq!(ask(&client, &question), answer_to(&question, Transport::Udp, 0, addr));
        let totals = running.stop(PATIENCE).udp();
        assert_eq!((totals.answered, totals.panics), (1, 0));
        assert_eq!(totals.silent, totals.received - 1);
    }
}

/// The longest query and the longest answer fit; a longer query arrives as its header alone.
#[test]
fn long_datagrams() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0", "0.0.0.0:0"], &options(io));
        for index in 0..2 {
            let mut addr = running.local_addrs()[index];
            addr.set_ip(Ipv4Addr::LOCALHOST.into());
            let client = udp_client(addr);
            let mut question = message(3);
            question[3] = LONGEST;
            question.resize(4096, 0x55);
            let mut answer = question.clone();
            answer[2] |= 0x80;
            assert_eq!(ask(&client, &question), answer);
            for len in [4097, 5000, 65000] {
                let mut question = message(4);
                question.resize(len, 0x55);
                assert_eq!(ask(&client, &question), answer_to(&message(4), Transport::Udp, index, addr), "{len}");
            }
        }
    }
}
