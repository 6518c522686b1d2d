//! TCP.

use super::*;

/// Pipelining (RFC 7766 §6.2.1): 100 messages octet by octet and in one write are answered in order.
#[test]
fn pipelined_messages_are_answered_in_order() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &Options { streams: patient(), ..options(io) });
        let addr = running.local_addrs()[0];
        let all: Vec<u8> = (0..100).flat_map(|id| framed(&message(id))).collect();
        for step in [1, 7, all.len()] {
            let mut stream = tcp_client(addr);
            for part in all.chunks(step) {
                stream.write_all(part).expect("write");
            }
            for id in 0..100 {
                assert_eq!(read_framed(&mut stream), answer_to(&message(id), Transport::Tcp, 0, addr));
            }
        }
        // A client that ends its side first still gets its answers.
        let mut stream = tcp_client(addr);
        stream.write_all(&all).expect("write");
        stream.shutdown(Shutdown::Write).expect("shutdown");
        let answers: Vec<u8> =
            (0..100).flat_map(|id| framed(&answer_to(&message(id), Transport::Tcp, 0, addr))).collect();
        assert_eq!(read_to_close(&mut stream), answers);
    }
}

/// The longest message and the longest answer of TCP.
#[test]
fn long_messages_over_tcp() {
    for io in WAYS {
        let running = serve(&["127.0.0.1:0"], &Options { streams: patient(), ..options(io) });
        let mut stream = tcp_client(running.local_addrs()[0]);
        for len in [511, 512, 513, 16384, 65535, 20] {
            let mut question = message(5);
            question[3] = LONGEST;
            question.resize(len, 0x55);
            stream.write_all(&framed(&question)).expect("write");
            let answer = read_framed(&mut stream);
            assert_eq!(answer.len(), 65535);
            assert_eq!(&answer[3..len], &question[3..]);
        }
        // Many such answers to a client that reads late.
        let mut question = message(6);
        question[3] = LONGEST;
        stream.write_all(&framed(&question).repeat(40)).expect("write");
        for _ in 0..40 {
            assert_eq!(read_framed(&mut stream).len(), 65535);
        }
        assert_eq!(running.totals().streams.received, 46);
    }
}

/// Limits of design.md section 5, shortened: what each offender meets, and how it is counted.
#[test]
fn offenders_are_closed() {
    for io in WAYS {
        // Silent from the beginning, and after a message.
        let idle = Duration::from_secs(2);
        let streams = StreamLimits { idle, ..patient() };
        let running = serve(&["127.0.0.1:0"], &Options { streams, ..options(io) });
        let begin = Instant::now();
        let mut later = tcp_client(running.local_addrs()[0]);
        later.write_all(&framed(&message(1))).expect("write");
        let mut silent = tcp_client(running.local_addrs()[0]);
        read_framed(&mut later);
        assert_eq!(read_to_close(&mut silent), [0u8; 0]);
        assert_eq!(read_to_close(&mut later), [0u8; 0]);
        assert!(begin.elapsed() >= idle);
        until("counted", || running.totals().streams.closed_idle == 2);
        drop(running);

        // The others are not to be taken for such, however busy the machine is.
        let short = Duration::from_millis(200);
        let streams = StreamLimits { message: short, write: short, ..patient() };
        let running = serve(&["127.0.0.1:0"], &Options { streams, ..options(io) });
        let addr = running.local_addrs()[0];

        // A message that drips in.
        let mut slow = tcp_client(addr);
        let begin = Instant::now();
        let mut octets = framed(&[9; 60000]).into_iter();
        let refused = loop {
            thread::sleep(Duration::from_millis(20));
            if slow.write_all(&[octets.next().expect("closed long before")]).is_err() {
                break begin.elapsed();
            }
        };
        assert!(refused >= short);
        until("counted", || running.totals().streams.closed_slow == 1);

        // An empty message, and one that is met with silence: closed behind the answers before it.
        let mut odd = message(2);
        odd[3] = SILENCE;
        for garbage in [&[][..], &odd] {
            let mut stream = tcp_client(addr);
            stream.write_all(&[framed(&message(3)), framed(garbage)].concat()).expect("write");
            assert_eq!(read_to_close(&mut stream), framed(&answer_to(&message(3), Transport::Tcp, 0, addr)));
        }
        until("counted", || running.totals().streams.closed_garbage == 2);

        // A client that asks for much and takes nothing.
        let mut greedy = tcp_client(addr);
        let mut question = message(4);
        question[3] = LONGEST;
        greedy.write_all(&framed(&question).repeat(500)).ok();
        until("counted", || running.totals().streams.closed_slow == 2);
        until("all closed", || running.totals().streams.open == 0);

        // And an honest one is served.
        let mut stream = tcp_client(addr);
        stream.write_all(&framed(&message(5))).expect("write");
        read_framed(&mut stream);
    }
}

/// Caps: the oldest idle connection gives way, one in the middle of a message does not, and others are served.
#[test]
fn caps_on_connections() {
    for io in WAYS {
        let streams = StreamLimits { connections_max: 20, per_source_max: 4, ..patient() };
        let running = serve(&["0.0.0.0:0"], &Options { streams, ..options(io) });
        let port = running.local_addrs()[0].port();
        let addr = SocketAddr::from(([127, 0, 0, 1], port));

        // Per source: connections one to four are asked once each, so that their order is known.
        let mut streams: Vec<_> = (0..4)
            .map(|id| {
                let mut stream = tcp_client(addr);
                stream.write_all(&framed(&message(id))).expect("write");
                read_framed(&mut stream);
                stream
            })
            .collect();
        // The oldest begins a message and is spared; the second oldest goes.
        streams[0].write_all(&[0]).expect("write");
        thread::sleep(Duration::from_millis(50));
        let mut fifth = tcp_client(addr);
        fifth.write_all(&framed(&message(5))).expect("write");
        read_framed(&mut fifth);
        assert_eq!(read_to_close(&mut streams[1]), [0u8; 0]);
        let rest = &framed(&message(6))[1..];
        streams[0].write_all(rest).expect("write");
        assert_eq!(read_framed(&mut streams[0])[..2], [0, 6]);
        let totals = running.totals().streams;
        assert_eq!((totals.closed_full, totals.open), (1, 4));

        // In all: other sources come until the cap, then the oldest idle of all goes.
        let others: Vec<_> = (1..=17u8).map(|host| flood::from_source([127, 0, 1, host], addr)).collect();
        until("the cap", || {
            let totals = running.totals().streams;
            (totals.accepted, totals.closed_full, totals.open) == (22, 2, 20)
        });
        assert_eq!(read_to_close(&mut streams[2]), [0u8; 0]);
        drop(others);
        until("all others gone", || running.totals().streams.open == 3);
    }
}

/// Memory that connections share: who needs more than there is, is closed.
#[test]
fn buffers_are_bounded() {
    for io in WAYS {
        let streams = StreamLimits { buffers_bytes_max: 2000, ..StreamLimits::default() };
        let running = serve(&["127.0.0.1:0"], &Options { streams, ..options(io) });
        let mut stream = tcp_client(running.local_addrs()[0]);
        let mut question = message(1);
        question.resize(900, 0);
        stream.write_all(&framed(&question)).expect("write");
        read_framed(&mut stream);
        question.resize(30000, 0);
        stream.write_all(&framed(&question)).ok();
        assert_eq!(read_to_close(&mut stream), [0u8; 0]);
        assert_eq!(running.totals().streams.closed_full, 1);
    }
}

/// Limits that no test meets unless it wants to, however long the machine lets it wait.
fn patient() -> StreamLimits {
    StreamLimits { idle: PATIENCE, message: PATIENCE, write: PATIENCE, ..StreamLimits::default() }
}
