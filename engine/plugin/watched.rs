//! A file that the query line reads in prepared form, and that may change while it does.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::Task;

/// Makes of a file's octets what is looked up; on an error, why not.
type Read<T> = Box<dyn Fn(&[u8]) -> Result<T, String> + Send>;

/// A file and what was made of it last. Workers load that without a lock, and what is replaced is freed here and not by
/// them.
pub(super) struct Watched<T> {
    path: PathBuf,
    read: Read<T>,
    current: Arc<ArcSwap<T>>,
    /// What was replaced last: a worker may still look at it.
    replaced: Option<Arc<T>>,
    seen: Option<Seen>,
    /// The last complaint, so that it is not repeated at each look.
    complaint: Option<String>,
}

/// What a file was like: modification time and size.
type Seen = (Option<SystemTime>, u64);

impl<T: Send + Sync + 'static> Watched<T> {
    /// A file that has not been read; `initial` stands for its contents until then.
    pub(super) fn new(path: PathBuf, initial: T, read: Read<T>) -> Self {
        let current = Arc::new(ArcSwap::from_pointee(initial));
        Self { path, read, current, replaced: None, seen: None, complaint: None }
    }

    /// What the query line looks at.
    pub(super) fn current(&self) -> Arc<ArcSwap<T>> {
        Arc::clone(&self.current)
    }

    /// Reads the file if it has changed, and tells whether it had; on an error what was there before stays.
    pub(super) fn look(&mut self) -> io::Result<bool> {
        let found = std::fs::metadata(&self.path)?;
        let found = (found.modified().ok(), found.len());
        if self.seen == Some(found) {
            return Ok(false);
        }
        let next = (self.read)(&std::fs::read(&self.path)?).map_err(io::Error::other)?;
        self.replaced = Some(self.current.swap(Arc::new(next)));
        self.seen = Some(found);
        Ok(true)
    }

    /// The work of looking again and again, which logs for `plugin` what happened; a file that is not there is not worth
    /// a word, it may come back.
    pub(super) fn task(mut self, plugin: &'static str, every: Duration) -> Task {
        let run = move || match self.look() {
            Ok(true) => {
                self.complaint = None;
                crate::log::info(&format!("plugin/{plugin}: {} was read anew", self.path.display()));
            }
            Ok(false) => {}
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => {
                let text = format!("{}: {why}", self.path.display());
                if self.complaint.as_ref() != Some(&text) {
                    crate::log::error(&format!("plugin/{plugin}: {text}; what was read before stays"));
                    self.complaint = Some(text);
                }
            }
        };
        Task { every, run: Box::new(run) }
    }
}
