//! A fixed amount of each kind of work, for `.ci/instructions` to count its instructions under callgrind.
//!
//! Without an argument it says what kinds there are.

mod zones;

use std::hint::black_box;
use std::sync::Arc;

use engine::wire::Query;
use engine::zone::{Zone, ZoneSet};
use store::Rtype;
use store::edit::NodeData;

use zones::{apex, node, nodes, query, respond};

/// What is counted: `ROUNDS` times this work.
#[inline(never)]
fn measured(work: &mut dyn FnMut(usize)) {
    for round in 0..ROUNDS {
        work(round);
    }
}

/// Does one kind of work, or names all kinds with the number of rounds.
fn main() {
    let kind = std::env::args().nth(1).unwrap_or_default();
    let (nodes, messages) = match &kind[..] {
        "decode" | "hot" => (nodes(1_000), vec![query("h7", Rtype::A)]),
        // In an order that no cache follows.
        "cold-in-a-million" | "cold-after-edits" => {
            let host = |round: u32| format!("h{}", round.wrapping_mul(2_654_435_761) % NAMES);
            (nodes(NAMES), (0..ROUNDS as u32).map(|round| query(&host(round), Rtype::A)).collect())
        }
        "name-error" => (nodes(1_000), vec![query("nx7", Rtype::A)]),
        "referral" => (nodes(1_000), vec![query("www.sub", Rtype::A)]),
        "signed-name-error" => (signed_nodes(), vec![with_do(query("nx7", Rtype::A))]),
        _ => {
            println!("{ROUNDS} decode hot cold-in-a-million cold-after-edits name-error referral signed-name-error");
            return;
        }
    };
    let mut zone = Zone::compile(&apex(), &nodes, 3600);
    if kind == "cold-after-edits" {
        // What a big zone keeps of its last edits stands before the rest.
        for edit in 0..EDITS {
            zone = zone.with(&[node(&format!("e{edit}"), &[(Rtype::A, "192.0.2.5")])]);
        }
    }
    let zones = ZoneSet::build([Arc::new(zone)]);
    let mut buffer = [0; 2048];
    let mut query = Query::BLANK;
    measured(&mut |round| {
        let message = black_box(&messages[round % messages.len()][..]);
        if kind == "decode" {
            black_box(query.read_into(message).is_ok());
        } else {
            black_box(respond(&zones, &mut query, message, &mut buffer));
        }
    });
}

/// The query with the DO bit: the first bit of the OPT record's flags, which stand before its length.
fn with_do(mut message: Vec<u8>) -> Vec<u8> {
    let at = message.len() - 4;
    message[at] |= 0x80;
    message
}

/// A zone with an NSEC chain; the signatures are well formed and sign nothing.
fn signed_nodes() -> Vec<NodeData> {
    const SIGNED: u32 = 1_000;
    let owner = |number: u32| if number == 0 { "@".to_owned() } else { format!("n{number:04}") };
    let signature = |rtype: &str, labels: u32| {
        format!("{rtype} 13 {labels} 3600 20300101000000 20200101000000 1 example.org. {}AA==", "A".repeat(84))
    };
    let soa = "ns1 hostmaster 1 7200 3600 1209600 3600";
    (0..SIGNED)
        .map(|number| {
            let labels = if number == 0 { 2 } else { 3 };
            let next = owner((number + 1) % SIGNED);
            let (data, types) =
                if number == 0 { ((Rtype::SOA, soa), "NS SOA") } else { ((Rtype::A, "192.0.2.1"), "A") };
            let nsec = format!("{next} {types} RRSIG NSEC");
            let of_data = signature(if number == 0 { "SOA" } else { "A" }, labels);
            let of_nsec = signature("NSEC", labels);
            let mut node = node(&owner(number), &[data, (Rtype::NSEC, &nsec), (Rtype::RRSIG, &of_data)]);
            if number == 0 {
                let ns = zones::node("@", &[(Rtype::NS, "ns1")]);
                node.rrsets.extend(ns.rrsets);
            }
            let second = zones::node("@", &[(Rtype::RRSIG, &of_nsec)]);
            // Signatures are one RRset, whatever they cover.
            let signatures = node.rrsets.iter_mut().find(|rrset| rrset.rtype == Rtype::RRSIG);
            if let (Some(signatures), Some(second)) = (signatures, second.rrsets.into_iter().next()) {
                signatures.records.extend(second.records);
            }
            node
        })
        .collect()
}

/// Repetitions.
const ROUNDS: usize = 2_000;

/// Names in the big zone.
const NAMES: u32 = 1_000_000;

/// Edits that it has had since they were last made one with it.
const EDITS: u32 = 500;
