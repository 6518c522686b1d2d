//! What each plugin adds to a query that a zone answers, for `.ci/instructions` to count its instructions under callgrind.
//!
//! `chain` is the query through a server block that has nothing but `file`, `chain-PLUGIN` the same with that plugin in
//! front, and `chain-all` with all of them. Without an argument it says what kinds there are.

use std::hint::black_box;

use engine::plugin::corefile::Corefile;
use engine::plugin::{Arrival, Transport, setup};
use engine::zone::Hub;

/// What is counted: `ROUNDS` times this work.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    for _ in 0..ROUNDS {
        work();
    }
}

/// Answers queries through one chain, or names all kinds with the number of rounds.
fn main() {
    let Some(kind) = std::env::args().nth(1) else {
        let kinds: Vec<_> = PLUGINS.iter().map(|(plugin, _)| format!("chain-{plugin}")).collect();
        println!("{ROUNDS} chain {} chain-all", kinds.join(" "));
        return;
    };
    let plugin = kind.trim_start_matches("chain").trim_start_matches('-');
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("zone");
    let hosts: String = (0..1_000).map(|number| format!("h{number} 3600 A 192.0.2.1\n")).collect();
    let apex = "@ 3600 SOA ns1 hostmaster 1 7200 3600 1209600 3600\n@ 3600 NS ns1\nns1 3600 A 192.0.2.1\n";
    std::fs::write(&zone, format!("{apex}{hosts}")).expect("the zone is written");
    let is_wanted = |name: &str| plugin == name || plugin == "all";
    let lines: String =
        PLUGINS.iter().filter(|(name, _)| is_wanted(name)).map(|(_, lines)| format!("{lines}\n")).collect();
    let corefile = format!("example.org:0 {{\n{lines}file {}\n}}\n", zone.display());
    let corefile = Corefile::parse_text("Corefile", &corefile).expect("a Corefile of this file");
    let ready = setup(&corefile, &Hub::new(), &|_| None).expect("it is set up");
    let mut worker = ready.server.worker();
    let arrival = Arrival {
        client: ([192, 0, 2, 99], 5353).into(),
        local: ([192, 0, 2, 53], 53).into(),
        transport: Transport::Udp,
        listener: 0,
        idle: None,
    };
    let (message, mut buffer) = (QUERY, [0; 2048]);
    let mut work = || {
        buffer[..message.len()].copy_from_slice(black_box(message));
        let mut batch = worker.batch();
        batch.read(0, &buffer[..message.len()], 0);
        let length = batch.answer(0, &mut buffer, &arrival);
        assert!(length.is_some_and(|length| length > message.len() && buffer[7] == 1), "the address is in the answer");
    };
    // What is made once for a thread is made here.
    work();
    measured(&mut work);
    engine::log::drain();
}

/// A question for the address of h7.example.org, with EDNS.
const QUERY: &[u8] =
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x02h7\x07example\x03org\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";

/// What is put in front of a zone.
const PLUGINS: &[(&str, &str)] = &[
    ("log", "log"),
    ("prometheus", "prometheus"),
    ("cache", "cache"),
    ("errors", "errors"),
    ("acl", "acl {\nblock net 203.0.113.0/24\nallow net 192.0.2.0/24\n}"),
    ("any", "any"),
    ("minimal", "minimal"),
    ("header", "header {\nresponse set ra\n}"),
    ("loadbalance", "loadbalance"),
    ("rrl", "rrl {\nresponses-per-second 1000000\n}"),
    ("hosts", "hosts {\n192.0.2.7 host.example.org\nfallthrough\n}"),
    ("template", "template IN TXT {\nanswer \"{{ .Name }} 60 IN TXT x\"\n}"),
];

/// Repetitions.
const ROUNDS: usize = 2_000;
