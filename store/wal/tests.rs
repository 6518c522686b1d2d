//! What a log gives back after all that can happen to it.

use super::*;

/// A log in memory.
#[derive(Default)]
struct Memory(Mutex<Option<Vec<u8>>>);

impl Medium for Memory {
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn create(&self) -> io::Result<usize> {
        *self.0.lock().unwrap() = Some(vec![0; 9 * BLOCK]);
        Ok(9 * BLOCK)
    }

    fn write(&self, at: usize, octets: &[u8]) -> io::Result<()> {
        let mut log = self.0.lock().unwrap();
        log.as_mut().ok_or(ErrorKind::NotFound)?[at..at + octets.len()].copy_from_slice(octets);
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        *self.0.lock().unwrap() = None;
        Ok(())
    }
}

/// A log of a file that has its first commits, and what it lies on.
fn log() -> (Wal, Arc<Memory>) {
    let memory = Arc::<Memory>::default();
    let medium: Arc<dyn Medium> = memory.clone();
    let mut wal = Wal::create(&medium).unwrap();
    wal.count();
    assert!(!add(&mut wal, 1), "the next commit goes to the file too");
    wal.restart();
    wal.mark.last = 0;
    (wal, memory)
}

/// Adds a commit that sets one entry to so many octets; whether there was room.
fn add(wal: &mut Wal, octets: usize) -> bool {
    let mut changes = wal.changes();
    changes.note(3, b"key", Some(&vec![b'x'; octets]));
    changes.note(4, b"gone", None);
    wal.append(changes).unwrap()
}

/// Opens the log for a file that has the commits up to `last`: how many it lacks, or what is wrong.
fn open(memory: &Arc<Memory>, mark: Mark, last: u64) -> Result<usize, &'static str> {
    let medium: Arc<dyn Medium> = memory.clone();
    match Wal::open(&medium, Mark { last, ..mark }) {
        Ok(Some((wal, lacking))) => {
            assert_eq!(wal.mark.last, last + lacking.len() as u64);
            for changes in &lacking {
                let entries = entries(changes).unwrap();
                assert!(matches!(entries[..], [(3, b"key", Some(_)), (4, b"gone", None)]));
            }
            Ok(lacking.len())
        }
        Ok(None) => Err("forget"),
        Err(WalError::Damaged(why)) => Err(why),
        Err(WalError::Io(error)) => panic!("{error}"),
    }
}

#[test]
fn a_file_gets_the_commits_that_it_lacks_and_no_others() {
    let (mut wal, memory) = log();
    let mark = wal.mark();
    assert!((0..5).all(|_| add(&mut wal, 100)));
    for last in 0..=5 {
        assert_eq!(open(&memory, mark, last), Ok(5 - last as usize));
    }
    // The file has them all and one more; the log begins anew over what it had.
    wal.restart();
    assert_eq!(open(&memory, mark, 6), Ok(0));
    assert!(add(&mut wal, 2 * BLOCK));
    assert_eq!(open(&memory, mark, 6), Ok(1));
    assert_eq!(open(&memory, mark, 7), Ok(0));
    assert_eq!(open(&memory, Mark { id: [7; 16], ..mark }, 0), Err(ANOTHER));
    assert_eq!(open(&memory, mark, 5), Err("it is of a later state than the database"));
}

#[test]
fn what_has_no_room_is_not_in_the_log() {
    let (mut wal, memory) = log();
    assert!(!add(&mut wal, 8 * BLOCK));
    assert!(add(&mut wal, 6 * BLOCK));
    assert!(!add(&mut wal, BLOCK));
    assert!(add(&mut wal, 100));
    assert!(!add(&mut wal, 0));
    assert_eq!(open(&memory, wal.mark(), 0), Ok(2));
}

#[test]
fn a_bit_that_changes_in_a_commit_with_others_behind_it_is_found() {
    let (mut wal, memory) = log();
    let mark = wal.mark();
    for octets in [100, 5_000, 100] {
        assert!(add(&mut wal, octets));
    }
    let sound = memory.read().unwrap().unwrap();
    for (at, expected) in [
        (0, Err(ANOTHER)),
        (BLOCK, Err("a record in it cannot be read")),
        (BLOCK + 17, Err("a record in it cannot be read")),
        (BLOCK + 25, Err("a record in it cannot be read")),
        (2 * BLOCK + 5_000, Err("a record in it cannot be read")),
        // The last one may never have been written as a whole, and then it was not acknowledged.
        (4 * BLOCK + 20, Ok(2)),
        // Behind the last one there is nothing.
        (6 * BLOCK, Ok(3)),
    ] {
        let mut octets = sound.clone();
        octets[at] ^= 4;
        *memory.0.lock().unwrap() = Some(octets);
        assert_eq!(open(&memory, mark, 0), expected, "{at}");
    }
    for (octets, expected) in [
        (None, Err("it is missing")),
        (Some(Vec::new()), Err(ANOTHER)),
        (Some(vec![0; sound.len()]), Err(ANOTHER)),
        (Some(sound[..4 * BLOCK].to_vec()), Err(ANOTHER)),
        (Some(b"forget\n".to_vec()), Err("forget")),
    ] {
        *memory.0.lock().unwrap() = octets;
        assert_eq!(open(&memory, mark, 0), expected);
    }
}

#[test]
fn octets_that_no_commit_has_written_are_no_entries() {
    let whole = [3, 1, 0, 0, 0, 2, 0, 0, 0, b'k', b'v', b'w'];
    assert_eq!(entries(&whole), Some(vec![(3, &b"k"[..], Some(&b"vw"[..]))]));
    for cut in 1..whole.len() {
        assert_eq!(entries(&whole[..cut]), None, "{cut}");
    }
}

/// What is said of a log that is not the one that was made.
const ANOTHER: &str = "it is another one, or not whole";
