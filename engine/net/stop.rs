//! How the threads are told to stop: by a pipe that closes, and a time after which nothing is waited for.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// Shared by all threads of one [`Running`](super::Running).
#[derive(Debug)]
pub(super) struct Stop {
    /// Becomes readable, for every worker and for good, when the writing end is closed.
    reader: PipeReader,
    /// The end whose closing is the sign.
    writer: Mutex<Option<PipeWriter>>,
    /// The same sign for the stream threads.
    asked: watch::Sender<bool>,
    /// When draining ends.
    deadline: OnceLock<Instant>,
}

impl Stop {
    /// Makes the pipe.
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self {
            reader,
            writer: Mutex::new(Some(writer)),
            asked: watch::Sender::new(false),
            deadline: OnceLock::new(),
        })
    }

    /// Tells all threads to finish within `grace`. Only the first call counts.
    pub(super) fn ask(&self, grace: Duration) {
        let now = Instant::now();
        self.deadline.get_or_init(|| now.checked_add(grace).unwrap_or(now));
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.asked.send_replace(true);
    }

    /// What is left of the grace time; nothing before [`ask`](Self::ask).
    pub(super) fn left(&self) -> Duration {
        self.deadline.get().map_or(Duration::ZERO, |deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits for the sign, on a stream thread.
    pub(super) async fn asked(&self) {
        // The sender is here.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    /// The descriptor that becomes readable.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
