//! What a query costs, step by step: decoding, look-up, the whole answer; and what compiling a zone costs.
//!
//! Names are asked hot (one name again and again) and cold (a zone of a million names in random order).

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::wire::{QName, Query, Response};
use engine::zone::{Match, Zone, ZoneSet, answer};
use store::edit::{NodeData, RrsetData};
use store::types::rdata_from_text;
use store::{Name, Rtype, name};

/// A node with one record.
fn node(owner: &str, records: &[(Rtype, &str)]) -> NodeData {
    let rrset = |&(rtype, text): &(Rtype, &str)| RrsetData {
        rtype,
        records: vec![(Some(3600), rdata_from_text(rtype, text, Some(&apex())).expect("a record of this file"))],
    };
    NodeData {
        owner: name::parse(owner, Some(&apex())).expect("a name of this file"),
        rrsets: records.iter().map(rrset).collect(),
    }
}

/// The apex of all zones here.
fn apex() -> Name {
    name::parse("example.org.", None).expect("a name of this file")
}

/// A zone with `hosts` addresses, a delegation, a wildcard, an alias and a DNAME.
fn nodes(hosts: u32) -> Vec<NodeData> {
    let soa = "ns1 hostmaster 1 7200 3600 1209600 3600";
    let mut nodes = vec![
        node("@", &[(Rtype::NS, "ns1"), (Rtype::SOA, soa), (Rtype::MX, "10 mail")]),
        node("ns1", &[(Rtype::A, "192.0.2.1")]),
        node("mail", &[(Rtype::A, "192.0.2.3")]),
        node("*.wild", &[(Rtype::A, "192.0.2.9")]),
        node("alias", &[(Rtype::CNAME, "h1")]),
        node("sub", &[(Rtype::NS, "ns.sub")]),
        node("ns.sub", &[(Rtype::A, "192.0.2.4")]),
    ];
    let address = |host: u32| Bytes::copy_from_slice(&host.to_be_bytes());
    nodes.extend((0..hosts).map(|host| NodeData {
        owner: name::parse(&format!("h{host}"), Some(&apex())).expect("a name of this file"),
        rrsets: vec![RrsetData { rtype: Rtype::A, records: vec![(Some(3600), address(host))] }],
    }));
    nodes
}

/// A query message with EDNS.
fn query(qname: &str, qtype: Rtype) -> Vec<u8> {
    let qname = name::parse(qname, Some(&apex())).expect("a name of this file");
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    message.extend_from_slice(qname.as_slice());
    message.extend_from_slice(&qtype.to_int().to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

/// Message in, message out, as a worker does it.
fn respond(zones: &ZoneSet, message: &[u8], buffer: &mut [u8; 2048]) -> usize {
    buffer[..message.len()].copy_from_slice(message);
    let Ok(query) = Query::read(&buffer[..message.len()]) else { return 0 };
    let mut response = Response::new(buffer, &query, 1232);
    answer(zones, &query.name, query.qtype, false, &mut response);
    response.finish()
}

/// Decoding alone.
fn decode(criterion: &mut Criterion) {
    let message = query("www.department.example.org.", Rtype::A);
    criterion.bench_function("decode", |bench| bench.iter(|| black_box(Query::read(black_box(&message)).is_ok())));
}

/// Finding a name, and whole answers, in a small and a big zone.
fn answers(criterion: &mut Criterion) {
    for hosts in [1_000, 1_000_000] {
        let zone = Arc::new(Zone::compile(&apex(), &nodes(hosts), 3600));
        let zones = ZoneSet::build([Arc::clone(&zone)]);
        let mut group = criterion.benchmark_group(format!("{hosts}-names"));
        group.throughput(Throughput::Elements(1));
        let hot = QName::from_wire(name::parse("h7.example.org.", None).expect("a name of this file").as_slice());
        let hot = hot.expect("a name of this file");
        group.bench_function("look-up/hot", |bench| {
            bench.iter(|| matches!(zone.find(black_box(&hot), Rtype::A), Match::Exact(_)));
        });
        let mut buffer = [0; 2048];
        for (label, qname, qtype) in [
            ("hot", "h7", Rtype::A),
            ("no-data", "h7", Rtype::AAAA),
            ("name-error", "nx7", Rtype::A),
            ("wildcard", "x.wild", Rtype::A),
            ("alias", "alias", Rtype::A),
            ("referral", "www.sub", Rtype::A),
            ("mx", "@", Rtype::MX),
        ] {
            let message = query(qname, qtype);
            group.bench_function(BenchmarkId::new("answer", label), |bench| {
                bench.iter(|| respond(&zones, black_box(&message), &mut buffer));
            });
        }
        // A fixed walk over the zone that no cache and no prefetcher follows.
        let cold: Vec<Vec<u8>> = (0..hosts.min(65_536))
            .map(|n| query(&format!("h{}", n.wrapping_mul(2_654_435_761) % hosts), Rtype::A))
            .collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("answer", "cold"), |bench| {
            bench.iter(|| {
                at = (at + 1) % cold.len();
                respond(&zones, &cold[at], &mut buffer)
            });
        });
        group.finish();
    }
}

/// Compiling a whole zone, and one edit of a big one.
fn compile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    let data = nodes(100_000);
    group.throughput(Throughput::Elements(100_000));
    group.bench_function("zone-of-100000", |bench| bench.iter(|| Zone::compile(&apex(), black_box(&data), 3600)));
    let zone = Zone::compile(&apex(), &data, 3600);
    let edit = [node("h5", &[(Rtype::A, "198.51.100.5")])];
    group.throughput(Throughput::Elements(1));
    group.bench_function("edit-in-100000", |bench| bench.iter(|| zone.with(black_box(&edit))));
    group.finish();
}

criterion_group!(benches, decode, answers, compile);
criterion_main!(benches);
