//! No room on the disk.

use super::*;
use crate::edit::EditError;

#[test]
fn a_full_disk_refuses_edits_until_there_is_room_again() {
    let disk = Disk::default();
    let store = disk.store().unwrap();
    store.apply(create(0, 300)).unwrap();
    let room = disk.0.lock().unwrap().now[0].len() + 40_000;
    disk.0.lock().unwrap().room = Some(room);
    let mut at = 1;
    let error = loop {
        match store.apply(create(at, 5_000)) {
            Ok(_) => at += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EditError::Store(StoreError::Full)), "{error}");
    for _ in 0..3 {
        let error = store.apply(create(at, 60_000)).err().unwrap();
        assert!(matches!(error, EditError::Store(StoreError::Full)), "{error}");
        assert_eq!(store.rows(0, 0).unwrap().1, at as u64, "what was acknowledged can be read");
    }
    disk.0.lock().unwrap().room = None;
    store.apply(create(at, 60_000)).unwrap();
    assert_eq!(store.rows(0, 0).unwrap().1, at as u64 + 1);
    assert_eq!(store.load(&mut |_| ()).unwrap(), []);
}
