//! The write-ahead log fails, or somebody has taken it away.

use super::*;
use crate::edit::EditError;

/// How many records there are.
fn rows(store: &Store) -> u64 {
    store.rows(0, 0).unwrap().1
}

#[test]
fn the_verdict_is_what_the_disk_has() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for at in 0..3 {
        store.apply(create(at, 300)).unwrap();
    }
    disk.0.lock().unwrap().log_failure = Some(LogFailure::Unwritten);
    assert!(matches!(store.apply(create(3, 300)), Err(EditError::Store(StoreError::Io(_)))));
    assert_eq!(rows(&store), 3);
    // Its record is there although its write has failed, and it is made durable by the look at it.
    disk.0.lock().unwrap().log_failure = Some(LogFailure::Written);
    store.apply(create(4, 300)).unwrap();
    assert_eq!(rows(&store), 4);
    assert_eq!(rows(&disk.after_power_cut(|_, _| 0).reopen().unwrap().store), 4);
    disk.0.lock().unwrap().log_failure = Some(LogFailure::Panic);
    store.apply(create(5, 300)).unwrap();
    assert_eq!(rows(&store), 5);
    assert_eq!(rows(&disk.after_power_cut(|_, _| 0).reopen().unwrap().store), 5);
    store.apply(create(6, 300)).unwrap();
    assert_eq!(rows(&disk.after_power_cut(|_, _| 0).reopen().unwrap().store), 6);
}

#[test]
fn a_log_that_is_not_the_file_s_is_refused_until_somebody_says_to_go_on_without() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for at in 0..4 {
        store.apply(create(at, 300)).unwrap();
    }
    let killed = disk.after_kill();
    drop(store);
    let put = |log: &[u8]| {
        let disk = killed.after_kill();
        disk.0.lock().unwrap().now[Part::Log as usize] = log.to_vec();
        disk
    };
    for log in [&[][..], &[0; LOG_OCTETS], b"something else"] {
        let error = put(log).reopen().err().unwrap().to_string();
        assert!(["zonda.wal", "back-up", "the word forget"].iter().all(|part| error.contains(part)), "{error}");
    }
    let disk = put(b"forget\n");
    let store = disk.reopen().unwrap().store;
    let left = rows(&store);
    assert!(left < 4);
    store.apply(create(9, 300)).unwrap();
    assert_eq!(rows(&disk.after_power_cut(|_, _| 0).reopen().unwrap().store), left + 1);
}

#[test]
fn a_file_that_was_shut_down_is_whole_without_its_log() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    for at in 0..4 {
        store.apply(create(at, 300)).unwrap();
    }
    assert_eq!(disk.0.lock().unwrap().now[Part::Log as usize].len(), LOG_OCTETS);
    drop(store);
    assert!(disk.0.lock().unwrap().now[Part::Log as usize].is_empty());
    assert_eq!(rows(&disk.reopen().unwrap().store), 4);
}
