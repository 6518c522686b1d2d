//! What concerns all transports: starting, stopping, panics, errors.

use super::*;

/// UDP and TCP on IPv4 and IPv6 answer, name the listener, and share a port.
#[test]
fn answers_on_every_listener_and_transport() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"], &options(io));
        for (index, addr) in running.local_addrs().iter().enumerate() {
            assert_ne!(addr.port(), 0);
            let question = message(7);
            assert_eq!(ask(&udp_client(*addr), &question), answer_to(&question, Transport::Udp, index, *addr));
            let mut stream = tcp_client(*addr);
            stream.write_all(&framed(&question)).expect("write");
            assert_eq!(read_framed(&mut stream), answer_to(&question, Transport::Tcp, index, *addr));
        }
        assert_eq!(running.io().way == Way::Ring, io == IoChoice::Ring);
        assert_eq!(running.io().reason.is_some(), io == IoChoice::Mmsg);
        assert!(running.failure().is_none());
    }
}

/// Sends 20 messages with this octet 3 among 40 others, which are all answered; the message.
fn ask_around(addr: SocketAddr, octet: u8) -> Vec<u8> {
    let client = udp_client(addr);
    let mut bad = message(0);
    bad[3] = octet;
    for round in 0..20 {
        client.send(&message(2 * round)).expect("send");
        client.send(&bad).expect("send");
        client.send(&message(2 * round + 1)).expect("send");
    }
    let mut buffer = [0; 512];
    for id in 0..40 {
        let len = client.recv(&mut buffer).expect("an answer");
        assert_eq!(&buffer[..len], answer_to(&message(id), Transport::Udp, 0, addr));
    }
    bad
}

/// A panic costs the message it was about, on every transport; those before and behind it are answered.
#[test]
fn a_panic_costs_one_message() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &Options { workers: Some(1), ..options(io) });
        let addr = running.local_addrs()[0];
        let bad = ask_around(addr, PANIC);
        let mut stream = tcp_client(addr);
        stream.write_all(&[framed(&message(1)), framed(&bad)].concat()).expect("write");
        assert_eq!(read_to_close(&mut stream), framed(&answer_to(&message(1), Transport::Tcp, 0, addr)));
        let mut stream = tcp_client(addr);
        stream.write_all(&framed(&message(2))).expect("write");
        assert_eq!(read_framed(&mut stream), answer_to(&message(2), Transport::Tcp, 0, addr));
        let totals = running.stop(PATIENCE);
        assert_eq!((totals.udp().panics, totals.streams.panics), (20, 1));
        assert_eq!((totals.udp().received, totals.udp().answered, totals.udp().silent), (60, 40, 20));
    }
}

/// A message that cannot even be read costs none of those that are read with it.
#[test]
fn a_panic_when_reading_costs_one_message() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &Options { workers: Some(1), ..options(io) });
        let addr = running.local_addrs()[0];
        ask_around(addr, PANIC_EARLY);
        let totals = running.stop(PATIENCE);
        assert!((21..=40).contains(&totals.udp().panics), "with the others, and alone: {}", totals.udp().panics);
        assert_eq!((totals.udp().received, totals.udp().answered, totals.udp().silent), (60, 40, 20));
    }
}

/// Stopping answers what has arrived, on both transports, and frees the port.
#[test]
fn stop_drains() {
    for io in WAYS {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().expect("a lock");
        let listener = Listener::plain(([127, 0, 0, 1], 0).into());
        let running = start(&[listener], Gated { gate: Arc::clone(&gate) }, &options(io)).expect("the room opens");
        let addr = running.local_addrs()[0];
        let clients: Vec<_> = (0..20).map(|_| udp_client(addr)).collect();
        let mut stream = tcp_client(addr);
        until("accepted", || running.totals().streams.accepted == 1);
        for client in &clients {
            for id in 0..10 {
                client.send(&message(id)).expect("send");
            }
        }
        for id in 0..10 {
            stream.write_all(&framed(&message(id))).expect("write");
        }
        let stopping = thread::spawn(move || running.stop(PATIENCE));
        thread::sleep(Duration::from_millis(50));
        drop(closed);
        let totals = stopping.join().expect("stopped");
        assert_eq!((totals.udp().received, totals.udp().answered), (200, 200));
        assert_eq!(totals.streams.answered, 10);
        for id in 0..10 {
            assert_eq!(read_framed(&mut stream), message(id));
        }
        assert_eq!(read_to_close(&mut stream), [0u8; 0]);
        for client in clients {
            let mut buffer = [0; 64];
            for id in 0..10 {
                client.recv(&mut buffer).expect("an answer");
                assert_eq!(buffer[..2], u16::to_be_bytes(id));
            }
        }
        let again = start(&[Listener::plain(addr)], Echoes, &options(io)).expect("the port is free");
        assert_eq!(again.local_addrs(), [addr]);
        // No socket of the first is left that takes datagrams and answers none.
        for id in 0..20 {
            ask(&udp_client(addr), &message(id));
        }
    }
}

/// Cannot be made on the thread of this name.
struct BrokenOn(&'static str);

impl Responders for BrokenOn {
    type R = Echo;

    fn responder(&self) -> Echo {
        assert!(thread::current().name() != Some(self.0), "asked for");
        Echo
    }
}

/// A thread that panics before it is ready was waited for as long as the others ran; it is told as what ends one early.
#[test]
fn a_thread_that_panics_is_told() {
    for io in WAYS {
        let listeners = [Listener::plain(([127, 0, 0, 1], 0).into())];
        for (name, told) in [("zonda-streams", "streams: panicked"), ("zonda-secure", "secure: panicked")] {
            let (done, started) = std::sync::mpsc::channel();
            thread::spawn(move || done.send(start(&listeners, BrokenOn(name), &options(io)).map(drop)));
            let error = started.recv_timeout(PATIENCE).expect("it gives up").expect_err("it says why");
            assert_eq!(error.to_string(), told);
        }
        // A worker is ready before it makes what answers.
        let failure = match start(&listeners, BrokenOn("zonda-udp-1"), &options(io)) {
            Ok(running) => {
                let mut failure = None;
                until("told", || {
                    failure = running.failure();
                    failure.is_some()
                });
                failure.expect("it says why")
            }
            Err(error) => error,
        };
        assert_eq!(failure.to_string(), "udp-1: panicked");
    }
}

/// A taken address is said with transport, address and step; `Auto` takes io_uring where it is to be had.
#[test]
fn errors_and_choice() {
    // An address of its own, where no client of another test has the port over TCP.
    let taken = UdpSocket::bind("127.0.0.71:0").expect("a socket");
    let addr = taken.local_addr().expect("an address");
    let error = start(&[Listener::plain(addr)], Echoes, &Options::default()).expect_err("taken");
    let expected = format!("listen udp {addr}: bind: address already in use");
    assert!(error.to_string().starts_with(&expected), "{error}");
    let addr = "192.0.2.1:0".parse().expect("an address");
    let error = start(&[Listener::plain(addr)], Echoes, &Options::default()).expect_err("not ours");
    assert_eq!(error.to_string(), "listen tcp 192.0.2.1:0: bind: cannot assign requested address");
    let running = serve(&["127.0.0.1:0"], &Options::default());
    assert_eq!(running.io(), &WayIn { way: Way::Ring, reason: None });
}

/// A second server of the same user on the same address is refused, and takes no query away from the first.
#[test]
fn an_address_is_served_once() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &options(io));
        let addr = running.local_addrs()[0];
        let mut everywhere = addr;
        everywhere.set_ip(Ipv4Addr::UNSPECIFIED.into());
        for taken in [addr, everywhere] {
            let error = start(&[Listener::plain(taken)], Echoes, &options(io)).expect_err("taken");
            let expected = format!("listen tcp {taken}: bind: address already in use");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
        for id in 0..20 {
            ask(&udp_client(addr), &message(id));
        }
    }
}

/// A wildcard and an address that it covers are served by one server, each query by the nearer listener.
#[test]
fn a_wildcard_goes_with_an_address_of_its_own() {
    for io in WAYS {
        // The port was free a moment ago; if a test beside this one took it, there are others.
        let opened = (0..20).find_map(|_| {
            let port = serve(&["127.0.0.1:0"], &options(io)).local_addrs()[0].port();
            let addrs = [([0, 0, 0, 0], port).into(), ([127, 0, 0, 1], port).into()];
            let listeners = addrs.map(Listener::plain);
            Some((port, start(&listeners, Echoes, &options(io)).ok()?))
        });
        let (port, running) = opened.expect("a port");
        assert_eq!(running.local_addrs().len(), 2);
        for (listener, ip) in [(0, [127, 0, 0, 2]), (1, [127, 0, 0, 1])] {
            let addr = SocketAddr::from((ip, port));
            let question = message(1);
            assert_eq!(ask(&udp_client(addr), &question), answer_to(&question, Transport::Udp, listener, addr));
            let mut stream = tcp_client(addr);
            stream.write_all(&framed(&question)).expect("write");
            assert_eq!(read_framed(&mut stream), answer_to(&question, Transport::Tcp, listener, addr));
        }
    }
}

/// There is a worker for each CPU that the process may use.
#[test]
fn workers_are_as_many_as_allowed_cpus() {
    let cpu = worker::cpus()[0];
    let started = thread::spawn(move || {
        // Of this thread alone, and of those it starts.
        worker::pin(cpu);
        let running = serve(&["127.0.0.1:0"], &Options::default());
        let client = udp_client(running.local_addrs()[0]);
        ask(&client, &message(1));
        running.totals().workers.len()
    });
    assert_eq!(started.join().expect("it starts"), 1);
    let running = serve(&["127.0.0.1:0"], &Options::default());
    assert!(running.totals().workers.len() <= worker::cpus().len());
}
