//! Many clients that mean no good, and one that asks over UDP meanwhile.

use std::sync::atomic::AtomicBool;

use super::*;

/// Connections that are silent, that drip an octet at a time, and that never read are all gone in time, whatever their
/// number; nothing asked over UDP is lost meanwhile.
///
/// `ZONDA_FLOOD` is the number of silent ones; there are a tenth as many of the others.
#[test]
fn a_flood_of_connections_is_gone_in_time() {
    let number = std::env::var("ZONDA_FLOOD").ok().and_then(|text| text.parse().ok()).unwrap_or(300usize);
    socket::files_max();
    for io in WAYS {
        let streams = StreamLimits {
            idle: Duration::from_millis(1500),
            message: Duration::from_millis(500),
            write: Duration::from_millis(500),
            connections_max: number * 2,
            ..StreamLimits::default()
        };
        let running = serve(&["0.0.0.0:0"], &Options { streams, ..options(io) });
        let addr = SocketAddr::from(([127, 0, 0, 1], running.local_addrs()[0].port()));
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let over = &over;
            let asking = scope.spawn(move || {
                let client = udp_client(addr);
                for number in 0_u64.. {
                    let question = message(number as u16);
                    assert_eq!(ask(&client, &question), answer_to(&question, Transport::Udp, 0, addr));
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
            let connect = |index: usize| from_source([127, 0, (index / 200) as u8, (index % 200 + 1) as u8], addr);
            let silent: Vec<_> = (0..number).map(connect).collect();
            let greedy: Vec<_> = (0..number / 10)
                .map(|index| {
                    let mut stream = connect(index);
                    stream.set_nonblocking(true).expect("an option");
                    let mut question = message(1);
                    question[3] = LONGEST;
                    // As much as there is room for; its answers are 65,535 octets each and nobody takes them.
                    stream.write_all(&framed(&question).repeat(400)).ok();
                    stream
                })
                .collect();
            let dripping: Vec<_> = (0..number / 10)
                .map(|index| {
                    let stream = connect(index);
                    stream.set_nonblocking(true).expect("an option");
                    stream
                })
                .collect();
            let accepted = (number + 2 * (number / 10)) as u64;
            until("all have come", || running.totals().streams.accepted == accepted);
            let begun = Instant::now();
            until("all are gone", || {
                for mut stream in &dripping {
                    stream.write_all(&[9]).ok();
                }
                thread::sleep(Duration::from_millis(20));
                running.totals().streams.open == 0
            });
            // Twice the longest time that one of them has, and what a busy machine takes.
            assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
            over.store(true, Ordering::Relaxed);
            asking.join().expect("nothing is lost");
            drop((silent, greedy, dripping));
        });
        let totals = running.totals();
        let silent_and_late = totals.streams.closed_idle + totals.streams.closed_slow + totals.streams.closed_full;
        assert_eq!(silent_and_late, totals.streams.accepted, "{totals:?}");
        assert!(totals.streams.closed_slow >= (number / 10) as u64, "{totals:?}");
        assert_eq!(totals.udp().received, totals.udp().answered);
    }
}

/// Connects from a loopback address of one's choice.
pub(super) fn from_source(source: [u8; 4], server: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
    socket.bind(&SocketAddr::from((source, 0)).into()).expect("bind");
    socket.connect(&server.into()).expect("connect");
    socket.into()
}
