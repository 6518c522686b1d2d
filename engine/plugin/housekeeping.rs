//! Work that comes round again and again beside the queries: one thread for all of it.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Something to do at regular times.
pub struct Task {
    /// From the end of one run to the next.
    pub every: Duration,
    /// What to do; it should not take long, others wait.
    pub run: Box<dyn FnMut() + Send>,
}

/// The thread that runs tasks. Dropping it waits for the task that is running and ends it.
pub struct Housekeeping {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeping {
    /// Runs each task for the first time after its interval.
    pub fn start(tasks: Vec<Task>) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut due: Vec<(Instant, Task)> = tasks.into_iter().map(|task| (Instant::now() + task.every, task)).collect();
        let keep = move || {
            while let Some((next, task)) = due.iter_mut().min_by_key(|(next, _)| *next) {
                match stopped.recv_timeout(next.saturating_duration_since(Instant::now())) {
                    Err(RecvTimeoutError::Timeout) => {
                        (task.run)();
                        *next = Instant::now() + task.every;
                    }
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("housekeeping".into()).spawn(keep)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already reported; there is nothing to add to it.
            let _ = thread.join();
        }
    }
}
