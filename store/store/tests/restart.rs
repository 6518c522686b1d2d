//! The folder of a store: opened anew, after an end and after a kill, by one process at a time, and of one schema.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

#[test]
fn a_restart_serves_the_same_and_lists_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let ids: Vec<RowId>;
    let before = {
        let store = open(folder.path());
        store.apply(edit(vec![import(BASE)])).unwrap();
        let ops = (0..50).map(|at| create(&format!("h{at} A 192.0.2.{at}"))).collect();
        ids = store.apply(edit(ops)).unwrap().rows.iter().map(|row| row.id).collect();
        store.set_setting("secret", Some(b"x")).unwrap();
        store.set_setting("other", Some(b"y")).unwrap();
        store.set_setting("other", None).unwrap();
        store.set_setting("secrets", Some(b"z")).unwrap();
        let pair = |key: &str, value: &[u8]| (key.to_owned(), value.to_vec());
        assert_eq!(store.settings("secret").unwrap(), [pair("secret", b"x"), pair("secrets", b"z")]);
        (served(&store, &apex()), store.zones().unwrap(), store.rows(0, 1000).unwrap())
    };
    let opened = Store::open(folder.path()).unwrap();
    assert!(!opened.repaired && opened.damaged.is_none());
    let store = opened.store;
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
    assert_eq!((served(&store, &apex()), store.zones().unwrap(), store.rows(0, 1000).unwrap()), before);
    assert_eq!(store.setting("secret").unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(store.setting("other").unwrap(), None);
    let listed: Vec<_> = store.rows(3, 1000).unwrap().0.iter().map(|row| row.id).collect();
    assert_eq!(listed, ids, "rows come in order of insertion");
    assert_eq!(store.rows(13, 2).unwrap().0.iter().map(|row| row.id).collect::<Vec<_>>(), ids[10..12]);
    assert_eq!(store.rows(53, 5).unwrap(), (vec![], 53));
}

#[test]
fn the_folder_is_private_and_belongs_to_one_process() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("a/b");
    let store = open(&folder);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join("zonda.redb"))), (0o700, 0o600));
    let second = Store::open(&folder).err().unwrap();
    assert!(second.to_string().ends_with("zonda.redb is in use by another process"), "{second}");
    drop(store);
    open(&folder);
}

#[test]
fn a_newer_schema_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let newer = |view: &mut dyn db::Write| tables::set_counter(view, tables::SCHEMA, 99).map(|()| ((), Then::Commit));
    store.shared.db.write(newer).unwrap();
    drop(store);
    let error = Store::open(folder.path()).err().unwrap();
    assert_eq!(error, StoreError::TooNew { found: 99, known: schema::VERSION });
}

/// What the killed process of the next test does: edits, printing each id once it is acknowledged.
#[test]
fn child_that_is_killed() {
    let Some(folder) = std::env::var_os("ZONDA_STORE_TEST_FOLDER") else {
        return;
    };
    let store = open(Path::new(&folder));
    for at in 0.. {
        let made = store.apply(edit(vec![create(&format!("k{}-{at} A 192.0.2.1", std::process::id()))]));
        println!("id {}", made.unwrap().rows[0].id);
    }
}

#[test]
fn acknowledged_edits_survive_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..5 {
        let wanted = acknowledged.len() + 15;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::restart::child_that_is_killed", "--nocapture"])
            .env("ZONDA_STORE_TEST_FOLDER", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ids = |line: String| line.strip_prefix("id ").map(|id| id.parse::<RowId>().unwrap());
        for line in lines.by_ref().map(Result::unwrap) {
            acknowledged.extend(ids(line));
            if acknowledged.len() >= wanted {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.map_while(Result::ok).filter_map(ids));
        let opened = Store::open(folder.path()).unwrap();
        assert!(opened.repaired);
        assert_eq!(opened.store.load(&mut |_| ()).unwrap(), []);
        for id in &acknowledged {
            assert!(opened.store.row(*id).unwrap().is_some(), "{id} is lost");
        }
    }
}
