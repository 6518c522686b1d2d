//! Listeners that come and go while others stay.

use std::sync::atomic::AtomicBool;

use super::*;

/// What has come in on a listener that goes is answered, its port is free afterwards, and whoever is connected is let go
/// with the answers to what was sent.
#[test]
fn a_listener_that_goes_is_drained_and_closed() {
    for io in WAYS {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().expect("a lock");
        let listeners = [Listener::plain(([127, 0, 0, 1], 0).into()); 2];
        let mut running = start(&listeners, Gated { gate: Arc::clone(&gate) }, &options(io)).expect("the room opens");
        let [stays, goes] = *running.local_addrs() else { panic!("two listeners") };
        let clients: Vec<_> = (0..20).map(|_| udp_client(goes)).collect();
        let mut streams = [tcp_client(goes), tcp_client(stays)];
        until("accepted", || running.totals().streams.accepted == 2);
        for client in &clients {
            client.send(&message(7)).expect("send");
        }
        streams.iter_mut().for_each(|stream| stream.write_all(&framed(&message(8))).expect("write"));
        running.close(&[1], PATIENCE);
        drop(closed);
        for client in &clients {
            assert_eq!(client.recv(&mut [0; 64]).expect("an answer"), 12);
        }
        let [left, kept] = &mut streams;
        assert_eq!(read_framed(left), message(8));
        assert_eq!(read_to_close(left), [0u8; 0]);
        assert_eq!(read_framed(kept), message(8));
        until("the port is free", || {
            running.sweep();
            UdpSocket::bind(goes).is_ok()
        });
        assert!(TcpStream::connect(goes).is_err());
        kept.write_all(&framed(&message(9))).expect("write");
        assert_eq!(read_framed(kept), message(9));
        assert_eq!(ask(&udp_client(stays), &message(9)), message(9));
        assert_eq!(running.local_addrs(), [stays]);
    }
}

/// While an address comes and goes again and again, under ever new numbers, none of the queries to another is lost, and no
/// file stays open.
#[test]
fn what_stays_loses_nothing_while_others_come_and_go() {
    for io in WAYS {
        // No client of another test is given the port of the second while it is free.
        let mut running = serve(&["127.0.0.1:0", "127.0.0.73:0"], &options(io));
        let [stays, comes] = *running.local_addrs() else { panic!("two listeners") };
        running.close(&[1], PATIENCE);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let client = udp_client(stays);
                for number in 0_u64.. {
                    let question = message(number as u16);
                    assert_eq!(ask(&client, &question), answer_to(&question, Transport::Udp, 0, stays));
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            for number in 2..42 {
                let opened = running.open(&[(number, Listener::plain(comes))]).expect("the port is free");
                running.serve(opened);
                let question = message(number as u16);
                for _ in 0..4 {
                    let answer = answer_to(&question, Transport::Udp, number, comes);
                    assert_eq!(ask(&udp_client(comes), &question), answer);
                }
                let mut stream = tcp_client(comes);
                stream.write_all(&framed(&question)).expect("write");
                assert_eq!(read_framed(&mut stream), answer_to(&question, Transport::Tcp, number, comes));
                running.close(&[number], PATIENCE);
                assert_eq!(read_to_close(&mut stream), [0u8; 0]);
            }
            over.store(true, Ordering::Relaxed);
            asking.join().expect("every query was answered");
        });
        until("all are closed", || {
            running.sweep();
            UdpSocket::bind(comes).is_ok()
        });
        let totals = running.stop(PATIENCE).udp();
        assert_eq!((totals.received, totals.errors), (totals.answered, 0));
    }
}

/// Opening what cannot be opened leaves all that is open as it is, and nothing else open.
#[test]
fn listeners_that_are_not_served_are_closed_again() {
    for io in WAYS {
        let mut running = serve(&["127.0.0.1:0"], &options(io));
        let addr = running.local_addrs()[0];
        // An address of their own, where no client of another test has the ports over TCP.
        let taken = UdpSocket::bind("127.0.0.72:0").expect("a socket");
        let free = UdpSocket::bind("127.0.0.72:0").and_then(|socket| socket.local_addr()).expect("an address");
        let listeners = [free, taken.local_addr().expect("an address")]
            .map(|addr| (usize::from(addr.port()), Listener::plain(addr)));
        let error = running.open(&listeners).expect_err("taken");
        assert!(error.to_string().contains("address already in use"), "{error}");
        drop(running.open(&listeners[..1]).expect("free"));
        assert!(UdpSocket::bind(free).is_ok() && TcpStream::connect(free).is_err());
        assert_eq!(running.local_addrs(), [addr]);
        let question = message(1);
        assert_eq!(ask(&udp_client(addr), &question), answer_to(&question, Transport::Udp, 0, addr));
        let many: Vec<_> =
            (1..=LISTENERS_MORE + 1).map(|number| (number, Listener::plain(([127, 0, 0, 1], 0).into()))).collect();
        let error = running.open(&many).expect_err("too many");
        assert!(error.to_string().contains("too many addresses"), "{error}");
    }
}
