//! What a query costs, step by step: decoding, look-up, the whole answer; and what compiling a zone costs.
//!
//! Names are asked hot (one name again and again) and cold (a zone of a million names in random order).

mod zones;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::wire::{QName, Query};
use engine::zone::{Match, Zone, ZoneSet};
use store::{Rtype, name};

use zones::{apex, node, nodes, query, respond};

/// Decoding alone.
fn decode(criterion: &mut Criterion) {
    let message = query("www.department.example.org.", Rtype::A);
    let mut place = Query::BLANK;
    criterion.bench_function("decode", |bench| bench.iter(|| place.read_into(black_box(&message)).is_ok()));
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
        let (mut place, mut buffer) = (Query::BLANK, [0; 2048]);
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
                bench.iter(|| respond(&zones, &mut place, black_box(&message), &mut buffer));
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
                respond(&zones, &mut place, &cold[at], &mut buffer)
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
