//! Questions that are under way: whoever asks the same meanwhile waits for the one answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::base::iana::OptRcode;
use tokio::sync::watch::{Receiver, Sender, channel};

use super::table::Key;
use crate::plugin::{Brought, Failure};

/// The questions under way. It is locked beside the workers, for a look-up at the beginning and at the end of an errand.
///
/// There are never more of them, and of those who wait, than there may be errands at once.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<Box<[u8]>, Told>>);

/// How those who wait are told.
type Told = Receiver<Option<Brought>>;

/// What to do for a question.
pub(super) enum Role {
    /// Fetch the answer.
    Fetch(Fetching),
    /// Wait for it.
    Wait(Waiting),
}

/// Tells those who wait, at the latest when it is dropped.
pub(super) struct Fetching {
    pending: Arc<Pending>,
    /// Until it is told or dropped.
    key: Option<Box<[u8]>>,
    sender: Sender<Option<Brought>>,
}

/// Is told of the answer.
pub(super) struct Waiting(Told);

impl Pending {
    /// Takes a role in answering a question; those over a stream are told apart, as theirs may be a longer answer.
    pub(super) fn take_role(self: &Arc<Self>, key: &Key, is_stream: bool) -> Role {
        let key: Box<[u8]> = [key.as_slice(), &[u8::from(is_stream)]].concat().into();
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = pending.get(&key) {
            return Role::Wait(Waiting(receiver.clone()));
        }
        let (sender, receiver) = channel(None);
        pending.insert(key.clone(), receiver);
        Role::Fetch(Fetching { pending: Arc::clone(self), key: Some(key), sender })
    }
}

impl Fetching {
    /// Tells those who wait.
    pub(super) fn tell(mut self, brought: &Brought) {
        // Whoever comes from now on finds what is kept, or fetches anew.
        self.forget();
        if self.sender.receiver_count() > 0 {
            self.sender.send_replace(Some(brought.clone()));
        }
    }

    /// The question is not under way any more.
    fn forget(&mut self) {
        if let Some(key) = self.key.take() {
            self.pending.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
        }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // After a panic nobody may wait for ever.
        self.forget();
    }
}

impl Waiting {
    /// The answer.
    pub(super) async fn answer(mut self) -> Brought {
        let told = self.0.wait_for(Option::is_some).await;
        told.ok().and_then(|brought| brought.clone()).unwrap_or(Err((OptRcode::SERVFAIL, GONE)))
    }
}

/// Who fetched the answer has ended without one.
const GONE: Failure = Failure { plugin: "cache", text: "the answer that was waited for has not come" };
