//! The past of a zone: differences, the zone at a serial, and the way back.

use super::*;

fn nodes(store: &Store) -> Vec<NodeData> {
    let mut nodes = Vec::new();
    store.nodes(&apex(), &mut |node| nodes.push(node)).unwrap();
    nodes
}

/// The same with serial 0, which is what a way back can restore.
fn without_serial(mut nodes: Vec<NodeData>) -> Vec<NodeData> {
    for (_, rdata) in nodes
        .iter_mut()
        .flat_map(|node| &mut node.rrsets)
        .filter(|set| set.rtype == Rtype::SOA)
        .flat_map(|set| &mut set.records)
    {
        *rdata = crate::serial::with_serial(rdata, 0);
    }
    nodes
}

/// In lower case: a node has the letters of its first record, a difference those of each.
fn lines(nodes: &[NodeData]) -> Vec<String> {
    let mut lines: Vec<String> = nodes.iter().flat_map(print).map(|line| line.to_lowercase()).collect();
    lines.sort();
    lines
}

fn line((owner, rtype, ttl, rdata): &crate::Entry) -> String {
    let ttl = ttl.map_or("-".into(), |ttl| ttl.to_string());
    format!("{} {ttl} {rtype} {}", name::to_text(owner), types::rdata_to_text(*rtype, rdata)).to_lowercase()
}

fn revert(serial: Serial) -> Edit {
    edit(vec![Op::Revert(apex(), serial)])
}

#[test]
fn every_serial_can_be_seen_compared_and_taken_back_to() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut random = 7_u32;
    let mut below = |bound: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % bound
    };
    let mut seen: Vec<(Serial, Vec<NodeData>)> = Vec::new();
    store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    for _ in 0..60 {
        let rows = store.rows(0, 100).unwrap().0;
        let row = rows.get(below(rows.len().max(1) as u32) as usize);
        let owner = ["@", "a", "A", "b.a", "*.c"][below(5) as usize];
        let ops = match (below(8), row) {
            (0, Some(row)) => vec![Op::Delete(row.id)],
            (1, Some(row)) => vec![update(row.id, &format!("{owner} {} TXT u{}", below(3), below(9)))],
            (2, _) => vec![import(&format!("{BASE}{owner} TXT i{}\n", below(9)))],
            (3, _) => vec![create(&format!("@ SOA ns h 0 {} 3 4 5", below(4)))],
            (4, _) if below(3) == 0 && !rows.is_empty() => vec![Op::RemoveZone(apex())],
            (5, _) if !seen.is_empty() => vec![Op::Revert(apex(), seen[below(seen.len() as u32) as usize].0)],
            _ => vec![create(&format!("{owner} {} A 192.0.2.{}", below(3), below(9)))],
        };
        // Some break a rule; those that do not are history.
        if store.apply(edit(ops)).is_ok()
            && let Some(zone) = store.zones().unwrap().first()
            && seen.last().is_none_or(|(serial, _)| *serial != zone.serial)
        {
            seen.push((zone.serial, nodes(&store)));
        }
    }
    assert!(seen.len() > 25, "{}", seen.len());
    for (serial, then) in &seen {
        assert_eq!(lines(&store.nodes_at(&apex(), *serial).unwrap()), lines(then), "{serial}");
        assert_eq!(&store.nodes_at(&apex(), *serial).unwrap(), then, "{serial}");
    }
    for (from, before) in &seen {
        for (to, after) in seen.iter().step_by(5) {
            let difference = store.difference(&apex(), *from, *to).unwrap();
            let mut found = lines(before);
            for gone in difference.removed.iter().map(line) {
                let at = found.iter().position(|line| *line == gone).unwrap_or_else(|| panic!("{from} {to}: {gone}"));
                found.remove(at);
            }
            found.extend(difference.added.iter().map(line));
            found.sort();
            assert_eq!(found, lines(after), "{from} {to}");
        }
    }
    for (serial, then) in seen.iter().rev().step_by(3) {
        let before = store.zones().unwrap().first().map(|zone| zone.serial);
        store.apply(revert(*serial)).unwrap();
        assert_eq!(without_serial(nodes(&store)), without_serial(then.clone()), "{serial}");
        let after = store.zones().unwrap()[0].serial;
        let ahead = |before: Serial| crate::serial::is_ahead(after.into_int(), before.into_int());
        assert!(before.is_none_or(|before| ahead(before) || *serial == before), "{before:?} {after}");
    }
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
}

#[test]
fn a_removed_zone_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![create("www A 192.0.2.1"), create("@ MX 5 www")])).unwrap();
    let (serial, before) = (store.zones().unwrap()[0].serial, nodes(&store));
    store.apply(edit(vec![Op::RemoveZone(apex())])).unwrap();
    assert_eq!(store.nodes_at(&apex(), serial).unwrap(), before);
    let done = store.apply(revert(serial)).unwrap();
    assert_eq!(done.zones[0].to, Some(serial.add(1)));
    assert_eq!(without_serial(nodes(&store)), without_serial(before));
    assert_eq!(store.rows(0, 9).unwrap().1, 2, "what zonda made is no row of a client");
}

#[test]
fn a_way_back_keeps_what_did_not_change() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let made = store.apply(edit(vec![create("www A 192.0.2.1"), create("mail A 192.0.2.2")])).unwrap();
    let first = store.zones().unwrap()[0].serial;
    store.apply(edit(vec![update(made.rows[0].id, "www A 192.0.2.9"), create("x A 192.0.2.3")])).unwrap();
    let done = store.apply(revert(first)).unwrap();
    assert_eq!((done.zones[0].removed, done.zones[0].added), (2, 1));
    assert_eq!(store.row(made.rows[1].id).unwrap().unwrap(), made.rows[1]);
    let entry = store.journal(&apex(), 1).unwrap().remove(0);
    assert_eq!((entry.who.as_str(), entry.complete), ("admin@example.org", true));
    assert!(store.apply(revert(done.zones[0].to.unwrap())).unwrap().zones.is_empty(), "the present is no change");
}

#[test]
fn what_history_does_not_hold_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert_eq!(store.nodes_at(&apex(), Serial::from(7)), Err(HistoryError::NoZone(apex())));
    assert!(matches!(store.apply(revert(Serial::from(7))), Err(EditError::NoZone(_))));
    store.apply(edit(vec![import(BASE)])).unwrap();
    let big: String =
        (0..300).map(|at| format!("big{at} TXT {}\n", format!("\"{}\" ", "x".repeat(250)).repeat(40))).collect();
    store.apply(edit(vec![import(&format!("{BASE}{big}"))])).unwrap();
    store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    let (eight, nine) = (Serial::from(8), Serial::from(9));
    assert_eq!(store.difference(&apex(), eight, nine).unwrap().added.len(), 2);
    for (serial, why) in
        [(7, "a change in between was too big for the journal"), (5, "a change in between was too big for the journal")]
    {
        let error = store.apply(revert(Serial::from(serial))).err().unwrap();
        assert_eq!(error.to_string(), format!("the zone example.org. cannot be seen at serial {serial}: {why}"));
        assert!(store.difference(&apex(), Serial::from(serial), nine).is_err());
    }
    let late = edit(vec![create("b A 192.0.2.1"), Op::Revert(apex(), eight)]);
    assert!(matches!(store.apply(late), Err(EditError::Rule { op: 1, .. })));
    store.apply(revert(eight)).unwrap();
    assert_eq!(serial(&store), 10);
}

#[test]
fn history_gives_the_differences_newest_first_and_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE)])).unwrap();
    let made = store.apply(edit(vec![create("a A 192.0.2.1")])).unwrap();
    store.apply(edit(vec![update(made.rows[0].id, "a A 192.0.2.2")])).unwrap();
    let journal = store.journal(&apex(), 10).unwrap();
    let from: Vec<_> = journal.iter().map(|entry| entry.from.map(Serial::into_int)).collect();
    assert_eq!(from, [Some(8), Some(7), None]);
    assert_eq!(
        (journal[0].who.as_str(), journal[0].api, journal[0].complete),
        ("admin@example.org", Api::Pocketbase, true)
    );
    let types = |list: &[crate::journal::Entry]| -> Vec<_> { list.iter().map(|entry| entry.1).collect() };
    assert_eq!(types(&journal[0].removed), [Rtype::SOA, Rtype::A]);
    assert_eq!(types(&journal[0].added), [Rtype::SOA, Rtype::A]);
    assert_eq!(types(&journal[1].removed), [Rtype::SOA]);
    assert_eq!(journal[2].added.len(), 3);
    assert_eq!(store.journal(&apex(), 1).unwrap(), journal[..1]);

    let big: String =
        (0..300).map(|at| format!("big{at} TXT {}\n", format!("\"{}\" ", "x".repeat(250)).repeat(40))).collect();
    store.apply(edit(vec![import(&format!("{BASE}{big}"))])).unwrap();
    let newest = store.journal(&apex(), 1).unwrap().remove(0);
    assert!(!newest.complete && newest.added.is_empty());
    assert_eq!(store.journal(&apex(), 9).unwrap().len(), 4);
}

#[test]
fn a_full_journal_forgets_its_oldest_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.apply(edit(vec![import(BASE)])).unwrap();
    let wanted = crate::journal::ENTRIES_MAX as usize + 20;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for at in 0..wanted / 4 {
                    store.apply(edit(vec![create(&format!("w{thread}-{at} A 192.0.2.1"))])).unwrap();
                }
            });
        }
    });
    let journal = store.journal(&apex(), usize::MAX).unwrap();
    assert_eq!(journal.len() as u64, crate::journal::ENTRIES_MAX);
    assert!(journal.windows(2).all(|pair| pair[0].from == pair[1].to));
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
}
