//! Lines about queries, on their way from one thread that answers to the one that writes: text in a ring of words that
//! neither of them locks, and that is allocated once.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::Level;

/// The lines of one thread. It alone puts them in, and one other thread takes them out.
///
/// A line is a word with its level and length, and behind it its octets, eight in a word.
pub(super) struct Queue {
    words: Box<[AtomicU64]>,
    /// Words that have been put in since the beginning.
    put: AtomicUsize,
    /// Words that have been taken out, and written.
    done: AtomicUsize,
}

/// A line that is being put in; what is longer than [`LINE_MAX`] is cut.
pub struct Line<'q> {
    queue: &'q Queue,
    /// Where its first word is.
    start: usize,
    /// Octets so far.
    len: usize,
    /// Octets that there is room for.
    room: usize,
    /// The last of them, as long as they are no whole word.
    word: u64,
}

impl Queue {
    /// An empty one.
    pub(super) fn new() -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self { words, put: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// Puts a line in; false if there is no room for it.
    pub(super) fn put(&self, level: Level, write: impl FnOnce(&mut Line<'_>) -> fmt::Result) -> bool {
        let start = self.put.load(Ordering::Relaxed);
        let used = start.wrapping_sub(self.done.load(Ordering::Acquire));
        let Some(free) = WORDS.checked_sub(used + 1) else { return false };
        let mut line = Line { queue: self, start, len: 0, room: free * OCTETS, word: 0 };
        if write(&mut line).is_err() {
            return false;
        }
        let len = line.len;
        self.word(start + 1 + len / OCTETS).store(line.word, Ordering::Relaxed);
        self.word(start).store((level as u64) << 32 | len as u64, Ordering::Relaxed);
        self.put.store(start + 1 + len.div_ceil(OCTETS), Ordering::Release);
        true
    }

    /// Where the last line ends that was put in.
    pub(super) fn end(&self) -> usize {
        self.put.load(Ordering::Acquire)
    }

    /// Whether all lines before this place are written.
    pub(super) fn is_written(&self, end: usize) -> bool {
        self.done.load(Ordering::Acquire) >= end
    }

    /// Appends the lines that are there to a text, each with its level in front; gives where they end.
    pub(super) fn read(&self, text: &mut Vec<u8>) -> usize {
        let (mut at, end) = (self.done.load(Ordering::Relaxed), self.end());
        while at < end {
            let head = self.word(at).load(Ordering::Relaxed);
            let len = head as u32 as usize;
            text.extend_from_slice(Level::of(head >> 32).prefix().as_bytes());
            let words = len.div_ceil(OCTETS);
            for word in at + 1..at + 1 + words {
                text.extend_from_slice(&self.word(word).load(Ordering::Relaxed).to_le_bytes());
            }
            text.truncate(text.len() - (words * OCTETS - len));
            text.push(b'\n');
            at += 1 + words;
        }
        end
    }

    /// Gives back the room of lines that are written.
    pub(super) fn written(&self, end: usize) {
        self.done.store(end, Ordering::Release);
    }

    /// The word at a place.
    #[inline]
    fn word(&self, at: usize) -> &AtomicU64 {
        &self.words[at % WORDS]
    }
}

impl fmt::Write for Line<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let text = &text.as_bytes()[..text.len().min(LINE_MAX - self.len)];
        // One octet less, so that the last word is never beyond the room.
        if self.len + text.len() >= self.room {
            return Err(fmt::Error);
        }
        let (wholes, rest) = text.as_chunks::<OCTETS>();
        for &octets in wholes {
            let (octets, shift) = (u64::from_le_bytes(octets), 8 * (self.len % OCTETS) as u32);
            self.queue.word(self.start + 1 + self.len / OCTETS).store(self.word | octets << shift, Ordering::Relaxed);
            self.word = octets.checked_shr(64 - shift).unwrap_or(0);
            self.len += OCTETS;
        }
        for &octet in rest {
            let place = self.len % OCTETS;
            self.word |= u64::from(octet) << (8 * place);
            if place == OCTETS - 1 {
                self.queue.word(self.start + 1 + self.len / OCTETS).store(self.word, Ordering::Relaxed);
                self.word = 0;
            }
            self.len += 1;
        }
        Ok(())
    }
}

/// Words of a queue: 1 MiB, room for some 7,000 lines.
const WORDS: usize = 1 << 17;

/// Octets of a word.
const OCTETS: usize = size_of::<u64>();

/// Octets of a line at most; a name alone may take 1,000 when all of it has to be escaped.
const LINE_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    /// Takes all lines out.
    fn take(queue: &Queue) -> String {
        let mut text = Vec::new();
        let end = queue.read(&mut text);
        queue.written(end);
        String::from_utf8(text).expect("the lines of this test")
    }

    #[test]
    fn lines_come_out_as_they_went_in_however_often_the_ring_goes_round() {
        let queue = Queue::new();
        let mut number = 0;
        for round in 0..300 {
            let mut expected = String::new();
            for _ in 0..100 {
                let text = "x".repeat(number % 97);
                assert!(queue.put(Level::Info, |line| write!(line, "{number} {text}")));
                expected.push_str(&format!("[INFO] {number} {text}\n"));
                number += 1;
            }
            assert_eq!(take(&queue), expected, "{round}");
        }
        assert!(queue.put(Level::Error, |_| Ok(())));
        assert_eq!(take(&queue), "[ERROR] \n");
    }

    #[test]
    fn what_finds_no_room_is_not_there_at_all_and_what_is_too_long_is_cut() {
        let queue = Queue::new();
        let text = "y".repeat(1000);
        let mut count = 0;
        while queue.put(Level::Info, |line| line.write_str(&text)) {
            count += 1;
        }
        assert!(count > 1000, "{count}");
        assert_eq!(take(&queue), format!("[INFO] {text}\n").repeat(count));
        assert!(!queue.put(Level::Info, |_| Err(fmt::Error)));
        assert!(queue.put(Level::Warning, |line| (0..10).try_for_each(|_| line.write_str(&text))));
        assert_eq!(take(&queue), format!("[WARNING] {}\n", "y".repeat(LINE_MAX)));
    }

    #[test]
    fn one_thread_puts_in_while_another_takes_out() {
        let queue = Queue::new();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut all = String::new();
                while !all.ends_with("] end\n") {
                    all.push_str(&take(&queue));
                }
                all
            });
            for number in 0..50_000 {
                while !queue.put(Level::Info, |line| write!(line, "{number}")) {
                    std::thread::yield_now();
                }
            }
            while !queue.put(Level::Info, |line| line.write_str("end")) {}
            let expected: String = (0..50_000).map(|number| format!("[INFO] {number}\n")).collect();
            assert_eq!(reader.join().expect("it reads to the end"), expected + "[INFO] end\n");
        });
    }
}
