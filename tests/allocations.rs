//! The query line allocates nothing, whatever is configured on it: every thread counts its allocations here.

use std::sync::mpsc::channel;

use allocation_counter::{AllocationInfo, measure};
use domain::base::iana::Rtype;
use engine::plugin::Transport;

use crate::cases::describe;
use crate::forward::{Upstream, says};
use crate::support::{Question, arrival, in_buffer, server};

#[test]
fn with_every_watcher_and_the_cache_configured_a_query_allocates_nothing() {
    let upstream = Upstream::start(says(7));
    let folder = tempfile::tempdir().unwrap();
    let zone = folder.path().join("zone");
    let text = "@ 60 SOA ns1 host 1 1h 1h 1h 60\n@ 60 NS ns1\nns1 60 A 192.0.2.53\nwww 60 A 192.0.2.1\nwww 60 A 192.0.2.2\nalias 60 CNAME www\nsub 60 NS ns.sub\nns.sub 60 A 192.0.2.5\n";
    std::fs::write(&zone, text).unwrap();
    let (port, zone) = (upstream.port, zone.display());
    let server = server(&format!(
        ".:0 {{
            nsid edge
            bufsize
            prometheus 127.0.0.1:0
            errors
            log . {{combined}}
            rrl {{
                responses-per-second 1000000
                nxdomains-per-second 1000000
                referrals-per-second 1000000
                nodata-per-second 1000000
                errors-per-second 1000000
            }}
            any
            chaos
            loadbalance
            acl {{
                block net 203.0.113.0/24
                allow net 192.0.2.0/24
            }}
            cache
            header {{
                response set ra
            }}
            minimal
            hosts example.net {{
                192.0.2.9 host.example.net
                fallthrough
            }}
            file {zone} example.org
            forward . 127.0.0.1:{port}
        }}"
    ));
    let mut worker = server.worker();
    // Whatever is reserved once is reserved by the first query of each kind, and what is kept is fetched.
    for (qname, qtype, expected) in QUESTIONS {
        let message = question(qname, *qtype);
        let mut buffer = in_buffer(&message);
        let mut batch = worker.batch();
        batch.read(0, &message, 0);
        if let Some(length) = batch.answer(0, &mut buffer, &arrival(Transport::Udp)) {
            assert_eq!(describe(&buffer[..length]).status[0], *expected, "{qname}");
            continue;
        }
        let (sender, receiver) = channel();
        let later = batch.later().expect("it is waited for");
        later.start(move |answer| sender.send(answer.map(<[u8]>::to_vec)).unwrap());
        let answer = receiver.recv().unwrap().expect("an answer");
        assert_eq!(describe(&answer).status[0], *expected, "{qname}");
    }
    for (qname, qtype, _) in QUESTIONS {
        let message = question(qname, *qtype);
        let mut buffer = in_buffer(&message);
        let arrival = arrival(Transport::Udp);
        let AllocationInfo { count_total, .. } = measure(|| {
            for _ in 0..20 {
                buffer[..message.len()].copy_from_slice(&message);
                let answered = worker.answer(&mut buffer, message.len(), &arrival);
                assert!(answered.is_some(), "{qname}");
            }
        });
        assert_eq!(count_total, 0, "{qname} {qtype}");
    }
    assert_eq!(upstream.count("x.example.com."), 1);
    // It is counted at all.
    assert!(measure(|| drop(std::hint::black_box(vec![1_u8]))).count_total > 0);
}

/// The message of a question with EDNS, which asks who answers.
fn question(qname: &str, qtype: Rtype) -> Vec<u8> {
    Question { dnssec_ok: true, options: vec![(3, Vec::new())], ..Question::new(qname, qtype) }.message()
}

/// A question of each kind, and what comes of it.
const QUESTIONS: &[(&str, Rtype, &str)] = &[
    ("www.example.org.", Rtype::A, "NOERROR"),
    ("WWW.example.org.", Rtype::AAAA, "NOERROR"),
    ("alias.example.org.", Rtype::A, "NOERROR"),
    ("nx.example.org.", Rtype::A, "NXDOMAIN"),
    ("a.sub.example.org.", Rtype::A, "NOERROR"),
    ("example.org.", Rtype::ANY, "NOERROR"),
    ("www.example.org.", Rtype::from_int(65280), "NOERROR"),
    ("host.example.net.", Rtype::A, "NOERROR"),
    ("x.example.com.", Rtype::A, "NOERROR"),
];
