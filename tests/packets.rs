//! Messages octet for octet: `case NAME`, `in HEX`, `out HEX` or `out silence`. `out HEX *` is an answer that goes on as
//! it likes.

use engine::plugin::Transport;

use crate::any_message;
use crate::support::{InMemory, Question};

#[test]
fn packet_file() {
    let mut server = InMemory::with_zones(&[("example.org".into(), ZONE.into())]);
    for packet in packets() {
        for transport in [Transport::Udp, Transport::Tcp] {
            packet.check(server.send(&packet.message, transport), transport);
        }
    }
}

/// The zone example.org that the packet file is about.
pub(crate) const ZONE: &str =
    "@ 300 SOA ns1 host 1 1 1 1 60\n@ 300 NS ns1\nns1 300 A 192.0.2.53\nwww 300 A 192.0.2.1\n";

/// A message, and the verdict about it.
pub(crate) struct Packet {
    case: &'static str,
    pub(crate) message: Vec<u8>,
    /// The answer; None for silence.
    expected: Option<Vec<u8>>,
    /// The answer may go on as it likes.
    is_open: bool,
}

impl Packet {
    /// Fails if this is not the verdict.
    pub(crate) fn check(&self, mut sent: Option<Vec<u8>>, transport: Transport) {
        if let (true, Some(sent), Some(expected)) = (self.is_open, &mut sent, &self.expected) {
            sent.truncate(expected.len());
        }
        assert_eq!(sent, self.expected, "{} over {}", self.case, transport.name());
    }
}

/// All of the packet file.
pub(crate) fn packets() -> Vec<Packet> {
    let (mut case, mut message, mut packets) = ("", Vec::new(), Vec::new());
    for line in include_str!("cases/packets.packets").lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "case" => case = rest,
            "in" => message = octets(rest),
            "out" => {
                let (beginning, is_open) = rest.strip_suffix(" *").map_or((rest, false), |beginning| (beginning, true));
                let expected = (rest != "silence").then(|| octets(beginning));
                packets.push(Packet { case, message: message.clone(), expected, is_open });
            }
            "" | "#" => {}
            other => panic!("unknown line {other:?}"),
        }
    }
    assert!(packets.len() >= 40, "{} packets", packets.len());
    packets
}

/// The messages of the packet file.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    include_str!("cases/packets.packets").lines().filter_map(|line| line.strip_prefix("in ")).map(octets).collect()
}

/// Octets from hex; `www` stands for a name.
fn octets(text: &str) -> Vec<u8> {
    let digits: String = text.replace("www", "03777777076578616d706c65036f726700").split(' ').collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn mutated_messages_keep_the_rules_of_messages() {
    let mut server = any_message::server();
    let mut mutations = Mutations::new(1);
    for _ in 0..50_000 {
        any_message::check(&mut server, &mutations.message());
    }
}

/// Messages with something wrong in them, mostly: the same ones for the same seed.
pub(crate) struct Mutations {
    state: u64,
    seeds: Vec<Vec<u8>>,
}

impl Mutations {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed, seeds: messages() }
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % bound
    }

    /// So many octets by chance.
    pub(crate) fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }

    /// The next message: one of the packet file, a query, or octets by chance, and then up to three changes.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        let mut message = match self.below(16) {
            0 => {
                // Now and then one that is longer than any buffer for it.
                let longest = [5000, 600, 60, 60][self.below(4)];
                let length = self.below(longest);
                self.octets(length)
            }
            1..8 => {
                let index = self.below(self.seeds.len());
                self.seeds[index].clone()
            }
            _ => {
                let qname = format!("{}.example.org.", NAMES[self.below(NAMES.len())]);
                let mut question = Question::new(&qname, store::Rtype::from_int(self.below(300) as u16));
                question.edns_size = (self.below(2) == 0).then(|| self.below(65_536) as u16);
                question.dnssec_ok = self.below(4) == 0;
                question.message()
            }
        };
        for _ in 0..self.below(4) {
            let length = message.len();
            match self.below(4) {
                _ if length == 0 => {}
                0 => message.truncate(self.below(length)),
                1 => {
                    let more = self.below(20);
                    message.extend(self.octets(more));
                }
                _ => {
                    let at = self.below(length);
                    message[at] = [0, 1, 0xc0, 0xff, 0x3f, self.below(256) as u8][self.below(6)];
                }
            }
        }
        if let Some(id) = message.first_chunk_mut() {
            *id = (self.below(65_536) as u16).to_be_bytes();
        }
        message
    }
}

/// Names that a mutated query asks for, below example.org.
const NAMES: [&str; 12] = ["a", "www", "x.w", "l", "x.d", "x.sub", "svc", "ent", "big", "nx", "example", "w.w.w.w"];

/// Types that are asked for in one way or another: an answer, NODATA, or the error of a type that is none.
#[test]
fn every_type_may_be_asked_for() {
    let mut server = any_message::server();
    for rtype in 0..=u16::MAX {
        for name in ["a.example.org.", "x.w.example.org.", "x.sub.example.org.", "example.org."] {
            let mut question = Question::new(name, store::Rtype::from_int(rtype));
            question.dnssec_ok = true;
            any_message::check(&mut server, &question.message());
        }
    }
}
