//! What survives when the program or its disk fails: kills under many writers, a disk without room.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use store::Rtype;

use crate::http::{RECORDS, Site};

#[test]
fn no_acknowledged_write_is_lost_by_kills_under_16_writers() {
    kill(5);
}

/// The same often; takes many minutes.
#[test]
#[ignore = "long"]
fn no_acknowledged_write_is_lost_by_200_kills_under_16_writers() {
    kill(200);
}

/// Kills the program again and again while 16 clients write; each start has to list and answer all that was
/// acknowledged.
fn kill(rounds: usize) {
    let mut site = Site::start();
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    for round in 0..rounds {
        let done = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        let found = Mutex::new((Vec::new(), Vec::new()));
        std::thread::scope(|scope| {
            for writer in 0..16 {
                let (site, done, over, found) = (&site, &done, &over, &found);
                scope.spawn(move || {
                    for at in 0.. {
                        let zone = format!("z{}.example.org.", writer % 4);
                        let owner = format!("r{round}-{writer}-{at}.{zone}");
                        let address = format!("192.0.2.{}", (writer * 16 + at) % 256);
                        let record = json!({"zone": zone, "name": owner, "record_type": "A", "ttl": 60,
                            "content": {"ip": address}});
                        found.lock().unwrap().1.push(owner.clone());
                        match site.try_call("POST", RECORDS, Some(&record)) {
                            Ok((200, _)) => found.lock().unwrap().0.push((owner, address)),
                            Ok((status, body)) => {
                                over.store(true, Ordering::Relaxed);
                                panic!("{status} {body}");
                            }
                            // The kill came before the answer.
                            Err(_) => return,
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                        if over.load(Ordering::Relaxed) {
                            return;
                        }
                    }
                });
            }
            let site = &site;
            let (done, over) = (&done, &over);
            scope.spawn(move || {
                // At another moment each time.
                while done.load(Ordering::Relaxed) < 40 + round * 7 % 60 && !over.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                }
                site.program.kill();
                over.store(true, Ordering::Relaxed);
            });
        });
        let (new, all) = found.into_inner().unwrap();
        acknowledged.extend(new);
        asked.extend(all);
        site = site.restart();
        let listed = site.all_records();
        for (owner, address) in &acknowledged {
            assert_eq!(listed.get(owner), Some(address), "round {round}: {owner} was acknowledged");
        }
        assert!(listed.keys().all(|owner| asked.contains(owner)), "round {round}: a record that nobody wrote");
        // What is listed is answered; the newest ones stand for all.
        for (owner, address) in acknowledged.iter().rev().take(20) {
            assert_eq!(site.answers(owner, Rtype::A), [format!("{owner} 60 IN A {address}")], "round {round}");
        }
        assert!(!site.program.text().contains("damaged"), "{}", site.program.text());
    }
}
