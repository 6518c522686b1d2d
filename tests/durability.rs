//! What survives when the program or its disk fails: kills under many writers, a disk without room, back-ups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use store::Rtype;

use crate::cases::describe;
use crate::http::{RECORDS, Site};
use crate::support::{Question, free_port, run};

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
                    std::thread::sleep(std::time::Duration::from_millis(1));
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

#[test]
fn without_room_on_the_disk_writes_fail_reads_go_on_and_room_is_enough_for_writes_again() {
    let site = Site::start();
    let record = |name: &str| {
        json!({"zone": "example.org.", "name": name, "record_type": "TXT", "ttl": 60,
            "content": {"text": "x".repeat(20_000)}})
    };
    assert_eq!(site.call("POST", RECORDS, Some(&record("first"))).0, 200);
    let file = site.program.folder.path().join("pb_data/zonda.redb");
    site.program.limit_files(Some(file.metadata().unwrap().len()));
    let mut written = 1;
    let refused = loop {
        match site.call("POST", RECORDS, Some(&record(&format!("r{written}")))) {
            (200, _) => written += 1,
            refused => break refused,
        }
        assert!(written < 1_000, "the limit has no effect");
    };
    assert_eq!((refused.0, refused.1["message"].as_str().unwrap()), (507, FULL));
    for _ in 0..3 {
        assert_eq!(site.call("POST", RECORDS, Some(&record("more"))).0, 507);
        assert_eq!(site.call("GET", RECORDS, None).1["totalItems"], written);
        for (name, rcode) in [("first.example.org.", "NOERROR"), ("more.example.org.", "NXDOMAIN")] {
            let answer = describe(&site.program.ask(&Question::new(name, Rtype::TXT)));
            assert_eq!(answer.status[0], rcode);
        }
    }
    site.program.limit_files(None);
    assert_eq!(site.call("POST", RECORDS, Some(&record("more"))).0, 200);
    assert_eq!(site.call("GET", RECORDS, None).1["totalItems"], written + 1);
    site.program.kill();
    let site = site.restart();
    assert_eq!(site.call("GET", RECORDS, None).1["totalItems"], written + 1);
}

#[test]
fn a_second_program_on_the_same_folder_is_told_so() {
    let site = Site::start();
    let folder = site.program.folder.path();
    let corefile = std::fs::read_to_string(folder.join("Corefile")).unwrap();
    let ports = [(site.program.port, free_port()), (site.http.port(), free_port())];
    let corefile = ports.iter().fold(corefile, |text, (old, new)| text.replace(&format!(":{old}"), &format!(":{new}")));
    std::fs::write(folder.join("second"), corefile).unwrap();
    let (code, _, stderr) = run(folder, &["-conf", "second"]);
    assert_eq!(code, Some(1));
    assert!(stderr.trim_end().ends_with("pb_data/zonda.redb is in use by another process"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_back_up_is_made_from_the_server_and_from_the_folder_and_is_restored() {
    let mut site = Site::start();
    for at in 0..20 {
        let record = json!({"zone": "example.org.", "name": format!("r{at}"), "record_type": "A", "ttl": 60,
            "content": {"ip": "192.0.2.1"}});
        assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    }
    let folder = site.program.folder.path().to_owned();
    let good = |arguments: &[&str]| {
        let (code, stdout, stderr) = run(&folder, arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stdout}{stderr}");
        stdout
    };
    let bad = |arguments: &[&str], why: &str| {
        let (code, stdout, stderr) = run(&folder, arguments);
        assert_eq!(code, Some(1), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains(why), "{arguments:?}: {stderr}");
    };
    assert_eq!(good(&["backup", "pb_data", "online"]), "online: 1 zones with 22 records\n");
    std::fs::write(folder.join("empty"), "").unwrap();
    bad(&["backup", "-conf", "empty", "pb_data", "x"], "is in use by another process, and the Corefile does not name");
    bad(&["compact", "pb_data"], "stop it first");
    assert_eq!(site.program.end("TERM"), Some(0));
    good(&["backup", "pb_data", "offline"]);
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(read("online") == read("offline"), "both are the same state");
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(folder.join("online")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");

    // What is no file is no place for one.
    bad(&["backup", "pb_data", "/dev/null"], "/dev/null: it is no regular file");
    std::os::unix::fs::symlink("online", folder.join("link")).unwrap();
    good(&["backup", "pb_data", "link"]);
    assert!(folder.join("link").is_symlink() && read("link") == read("offline"));

    // An export replaces a file whole, or not at all.
    good(&["export", "example.org", "--output", "exported"]);
    std::fs::set_permissions(folder.join("exported"), PermissionsExt::from_mode(0o640)).unwrap();
    let text = read("exported");
    good(&["export", "example.org", "--output", "exported"]);
    assert!(read("exported") == text);
    assert_eq!(std::fs::metadata(folder.join("exported")).unwrap().permissions().mode() & 0o777, 0o640);
    // Where that can be tried: it stays its owner's.
    use std::os::unix::fs::{MetadataExt, chown};
    if chown(folder.join("exported"), Some(1), Some(1)).is_ok() {
        good(&["export", "example.org", "--output", "exported"]);
        let now = std::fs::metadata(folder.join("exported")).unwrap();
        assert_eq!((now.uid(), now.gid(), now.mode() & 0o777), (1, 1, 0o640));
    }
    std::fs::create_dir(folder.join("exported.part")).unwrap();
    bad(&["export", "example.org", "--output", "exported"], "exported: Is a directory");
    assert!(read("exported") == text);
    good(&["export", "example.org", "--output", "/dev/null"]);

    good(&["restore", "online", "copy"]);
    good(&["backup", "copy", "again"]);
    assert!(read("again") == read("online"));
    bad(&["restore", "online", "copy"], "there is a database in copy already");
    std::fs::write(folder.join("cut"), &read("online")[..500]).unwrap();
    bad(&["restore", "cut", "other"], "cut: the back-up is cut short");
    bad(&["restore", "Corefile", "other"], "Corefile: this is not a back-up of zonda");
    bad(&["backup", "nowhere", "x"], "there is no database in nowhere");
    assert!(!folder.join("x").exists() && !folder.join("x.part").exists());

    // The server goes on with what was restored.
    std::fs::remove_dir_all(folder.join("pb_data")).unwrap();
    good(&["restore", "online", "pb_data"]);
    assert!(good(&["compact", "pb_data"]).contains("octets before"));
    let site = site.restart();
    assert_eq!(site.answers("r19.example.org.", Rtype::A), ["r19.example.org. 60 IN A 192.0.2.1"]);
    assert_eq!(site.all_records().len(), 20);
}

#[test]
fn of_a_damaged_file_the_sound_zones_are_served_and_saved() {
    let mut site = Site::start();
    for zone in ["example.org.", "example.net."] {
        let record = json!({"zone": zone, "name": "www", "record_type": "TXT", "ttl": 60, "content": {"text": zone}});
        assert_eq!(site.call("POST", RECORDS, Some(&record)).0, 200);
    }
    let needle = json!({"zone": "example.org.", "name": "x", "record_type": "TXT", "ttl": 60,
        "content": {"text": "needle"}});
    assert_eq!(site.call("POST", RECORDS, Some(&needle)).0, 200);
    let folder = site.program.folder.path().to_owned();
    assert_eq!(site.program.end("TERM"), Some(0));
    assert_eq!(run(&folder, &["check", "pb_data"]).1, "pb_data: OK\n");
    assert_eq!(run(&folder, &["backup", "pb_data", "nightly"]).0, Some(0));
    let nightly = std::fs::read(folder.join("nightly")).unwrap();

    let file = folder.join("pb_data/zonda.redb");
    let mut octets = std::fs::read(&file).unwrap();
    let found: Vec<usize> = (0..octets.len() - 6).filter(|at| octets[*at..].starts_with(b"needle")).collect();
    found.iter().for_each(|at| octets[*at] = b'N');
    std::fs::write(&file, &octets).unwrap();
    let (code, _, stderr) = run(&folder, &["check", "pb_data"]);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the zone example.org. is damaged"), "{stderr}");

    let mut site = site.restart();
    assert_eq!(site.answers("www.example.net.", Rtype::TXT), ["www.example.net. 60 IN TXT \"example.net.\""]);
    let answer = describe(&site.program.ask(&Question::new("x.example.org.", Rtype::TXT)));
    assert_eq!(answer.status, ["SERVFAIL"]);
    assert_eq!(site.call("POST", RECORDS, Some(&needle)).0, 500);
    let text = site.program.text();
    assert!(text.contains("zonda.redb is damaged") && text.contains("zone example.org. is damaged"), "{text}");

    let (code, _, stderr) = run(&folder, &["backup", "pb_data", "saved"]);
    assert_eq!((code, stderr.as_str()), (Some(1), "the zone example.org. is damaged and missing from the back-up\n"));
    // One that lacks a zone takes the place of no other.
    let (code, stdout, stderr) = run(&folder, &["backup", "pb_data", "nightly"]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("nightly.incomplete: 1 zones"), "{stdout}");
    assert!(stderr.contains("example.org. is damaged") && stderr.contains("nightly is what it was before"), "{stderr}");
    assert!(std::fs::read(folder.join("nightly")).unwrap() == nightly);
    assert!(std::fs::read(folder.join("nightly.incomplete")).unwrap() == std::fs::read(folder.join("saved")).unwrap());
    assert!(!folder.join("nightly.part").exists());
    assert_eq!(site.program.end("TERM"), Some(0));
    std::fs::remove_dir_all(folder.join("pb_data")).unwrap();
    assert_eq!(run(&folder, &["restore", "saved", "pb_data"]).1, "pb_data: 1 zones with 3 records\n");
    let site = site.restart();
    assert_eq!(site.answers("www.example.net.", Rtype::TXT).len(), 1);
    assert_eq!(site.call("POST", RECORDS, Some(&needle)).0, 200);
    assert_eq!(site.answers("x.example.org.", Rtype::TXT).len(), 1);
}

/// What a client reads when the disk is full.
const FULL: &str = "The disk of the server is full, nothing was written.";
