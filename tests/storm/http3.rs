//! HTTP/3 that means harm, stream by stream; what is beneath it is in `quic.rs`. For the great numbers:
//!
//! ```text
//! ZONDA_STORM_REQUESTS=100000 ZONDA_STORM_QUIC=200 cargo test --profile optimized --test main storm::http3 -- --nocapture
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use quinn::{Connection, TransportConfig};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use super::quic::{Door, QUIC_KB, Served, runtime};
use super::*;
use crate::http3::{self, DATA, HEADERS, SETTINGS, field, frame, head, posting, varint};
use crate::packets::Mutations;

/// What is done to the server.
struct Attack {
    name: &'static str,
    /// Over so many connections at once; None is the great number of them.
    connections: Option<usize>,
    /// Only the client speaks on its streams.
    is_one_way: bool,
    /// So many streams on each connection; None is the great number, on all of them.
    streams: Option<usize>,
    /// What is sent first on each.
    begin: fn(&mut Mutations) -> Vec<u8>,
    /// What is sent then, again and again.
    piece: fn() -> Vec<u8>,
    /// So often.
    pieces: usize,
    /// What is done in the end.
    end: Ending,
}

/// How a client ends a stream.
#[derive(Clone, Copy, PartialEq)]
enum Ending {
    /// Not at all.
    None,
    /// It has sent all.
    Finished,
    /// It wants no more of it.
    Reset,
    /// It does not take the answer.
    Unread,
}

/// Each attack is over in time, in bounded memory, and nothing that is asked over UDP meanwhile is lost.
#[test]
fn no_attack_over_http_3_takes_more_than_its_share() {
    let (requests, connections) = (number("ZONDA_STORM_REQUESTS", 2000), number("ZONDA_STORM_QUIC", 20));
    let mut server = Served::start("ring", "https3", "h3");
    let before = memory_kb(server.program.id());
    for attack in &ATTACKS {
        let (begun, mut streams) = (Instant::now(), 0);
        let connections = attack.connections.unwrap_or(connections);
        let seen = beside_udp(&server.program, || streams = attack.run(&server, requests, connections));
        server.wait_for_none();
        let after = memory_kb(server.program.id());
        println!(
            "{}: {streams} streams in {:.1?}; {before} KiB before, {after} KiB after; {seen}",
            attack.name,
            begun.elapsed()
        );
        assert!(seen.high_kb < before + QUIC_KB, "{}: {before} KiB became {} KiB", attack.name, seen.high_kb);
        runtime().block_on(async {
            let connection = server.door().connect([127, 0, 0, 1]).await;
            let answer = http3::web(connection).await.answer(&question().message()).await;
            assert_eq!(answer.last(), Some(&1), "after {}", attack.name);
        });
    }
    server.end();
}

impl Attack {
    /// Goes on until the server has ended every stream or its connection; where streams are counted for all, a new
    /// connection takes the place of one that ended with some still to open. Gives how many there have been.
    fn run(&'static self, server: &Served, requests: usize, connections: usize) -> usize {
        let left = Rc::new(Cell::new(self.streams.map_or(requests, |streams| streams * connections)));
        let (all, mutations) = (left.get(), Rc::new(RefCell::new(Mutations::new(1))));
        LocalSet::new().block_on(&runtime(), async {
            let mut members = JoinSet::new();
            for index in 0..connections {
                let (door, left, mutations) = (server.door(), Rc::clone(&left), Rc::clone(&mutations));
                members.spawn_local(async move {
                    let mut share = self.streams.unwrap_or(usize::MAX);
                    while share > 0 && left.get() > 0 {
                        let connection = self.connect(&door, index).await;
                        self.streams_on(&connection, share, &left, &mutations).await;
                        connection.close(0x100_u32.into(), b"");
                        share = if self.streams.is_some() { 0 } else { share };
                    }
                });
            }
            let over = timeout(3 * PATIENCE, members.join_all()).await;
            assert!(over.is_ok(), "{}: it is not over", self.name);
        });
        all - left.get()
    }

    /// Connects from an address that few others come from.
    async fn connect(&self, door: &Door, index: usize) -> Connection {
        let mut door = door.clone();
        if self.end == Ending::Unread {
            let mut transport = TransportConfig::default();
            transport.stream_receive_window(100_u8.into());
            door.client.transport_config(Arc::new(transport));
        }
        door.connect(host(0, index)).await
    }

    /// Opens streams on a connection, until there are enough or it is closed, and waits until the server has ended them.
    async fn streams_on(
        &self,
        connection: &Connection,
        share: usize,
        left: &Cell<usize>,
        mutations: &RefCell<Mutations>,
    ) {
        let mut streams = Vec::new();
        for _ in 0..share {
            if left.get() == 0 {
                break;
            }
            left.set(left.get() - 1);
            let opened = match self.is_one_way {
                true => connection.open_uni().await.map(|send| (send, None)),
                false => connection.open_bi().await.map(|(send, receive)| (send, Some(receive))),
            };
            let Ok((mut send, receive)) = opened else { break };
            let octets = (self.begin)(&mut mutations.borrow_mut());
            let sent = async {
                send.write_all(&octets).await.ok()?;
                for _ in 0..self.pieces {
                    send.write_all(&(self.piece)()).await.ok()?;
                }
                match self.end {
                    Ending::None => {}
                    Ending::Finished | Ending::Unread => send.finish().ok()?,
                    Ending::Reset => send.reset(0x10c_u32.into()).ok()?,
                }
                Some(())
            };
            // The server may have had enough before all is sent.
            let _ = timeout(PATIENCE, sent).await;
            if self.end != Ending::Reset {
                streams.push((send, receive));
            }
        }
        for (send, receive) in streams {
            match receive {
                Some(mut receive) if self.end == Ending::Unread => drop(receive.received_reset().await),
                Some(mut receive) => drop(receive.read_to_end(1 << 20).await),
                None => drop(send.stopped().await),
            }
        }
    }
}

/// All of them.
static ATTACKS: [Attack; 12] = [
    Attack { name: "streams of one octet", begin: |_| vec![1], ..STREAMS },
    Attack { name: "streams that are reset at once", begin: |_| vec![1], end: Ending::Reset, ..REQUESTS },
    // CVE-2023-44487.
    Attack { name: "requests that are reset", begin: |_| frame(HEADERS, &head(WWW)), end: Ending::Reset, ..REQUESTS },
    Attack { name: "heads without end", begin: |_| endless(HEADERS), piece: long, pieces: 64, ..STREAMS },
    Attack {
        name: "heads that come by octets",
        begin: |_| [varint(HEADERS), varint(16_000), vec![0, 0]].concat(),
        piece: || vec![0xd1],
        pieces: 300,
        ..STREAMS
    },
    Attack {
        name: "heads that grow when they are decoded",
        begin: |_| frame(HEADERS, &[&[0, 0][..], &[0xc0 | 44; 12_000]].concat()),
        end: Ending::Finished,
        ..STREAMS
    },
    Attack {
        name: "frames without end that are not known",
        begin: |_| endless(0x21),
        piece: long,
        pieces: 64,
        ..STREAMS
    },
    Attack {
        name: "steering without end",
        is_one_way: true,
        streams: Some(1),
        begin: |_| [vec![0], frame(SETTINGS, &[]), endless(0x21)].concat(),
        piece: long,
        pieces: 64,
        ..STREAMS
    },
    Attack {
        name: "long bodies that stop",
        begin: |_| [frame(HEADERS, &posting()), endless(DATA)].concat(),
        piece: long,
        pieces: 30,
        ..STREAMS
    },
    Attack {
        name: "bodies of frames of one octet",
        begin: |_| [frame(HEADERS, &posting()), frame(DATA, &[0]).repeat(20_000)].concat(),
        streams: Some(10),
        end: Ending::Finished,
        ..STREAMS
    },
    Attack { name: "answers that are not read", begin: |_| frame(HEADERS, &head(BIG)), end: Ending::Unread, ..STREAMS },
    Attack { name: "nonsense", begin: nonsense, end: Ending::Finished, connections: Some(20), ..REQUESTS },
];

/// A hundred streams on each of many connections, that are left as they are.
const STREAMS: Attack = Attack {
    name: "",
    connections: None,
    is_one_way: false,
    streams: Some(100),
    begin: |_| Vec::new(),
    piece: Vec::new,
    pieces: 0,
    end: Ending::None,
};

/// Many streams on a few connections.
const REQUESTS: Attack = Attack { connections: Some(8), streams: None, ..STREAMS };

/// The beginning of a frame that is never whole.
fn endless(kind: u64) -> Vec<u8> {
    [varint(kind), varint(1 << 40)].concat()
}

/// A thousand octets.
fn long() -> Vec<u8> {
    vec![b'x'; 1000]
}

/// A request with something wrong in it, mostly.
fn nonsense(mutations: &mut Mutations) -> Vec<u8> {
    let message = mutations.message();
    let kinds = [DATA, HEADERS, 2, 3, SETTINGS, 5, 6, 7, 13, 0x21, 0x41];
    let mut octets = [frame(HEADERS, &posting()), frame(DATA, &message)].concat();
    match mutations.below(8) {
        0 => octets = mutations.octets(40),
        1 => octets = frame(HEADERS, &[head("/dns-query"), mutations.octets(40)].concat()),
        2 => octets = frame(HEADERS, &mutations.octets(40)),
        3 => octets.extend(frame(kinds[mutations.below(kinds.len())], &mutations.octets(10))),
        4 => octets.extend(field("x", "y")),
        5 => octets.truncate(mutations.below(octets.len())),
        _ => {
            let place = mutations.below(octets.len());
            octets[place] = mutations.below(256) as u8;
        }
    }
    octets
}

/// Asks for the address of www.example.org.
const WWW: &str = "/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA29yZwAAAQAB";

/// Asks for the texts of big.example.org, which are 15 KB.
const BIG: &str = "/dns-query?dns=AAABAAABAAAAAAAAA2JpZwdleGFtcGxlA29yZwAAEAAB";
