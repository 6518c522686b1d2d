//! The clients of realtime, and the ring of changes that they read.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::{ROWS_MAX, RowChange, Watch};
use tokio::sync::{Notify, broadcast};

use super::super::account;
use super::super::error::ApiError;
use super::topic::Topic;

/// Who is connected, and what they are told.
pub(in crate::http) struct Hub {
    /// The ring.
    changes: broadcast::Sender<Changes>,
    /// How much was put into it so far.
    count: AtomicU64,
    /// The clients; `None` once the service ends.
    clients: Mutex<Option<Clients>>,
}

/// Changes of one commit, or a part of many; shared by all who have not read them yet.
#[derive(Clone)]
pub(super) struct Changes {
    /// Their number in the ring.
    number: u64,
    /// What they are.
    pub(super) rows: Arc<[RowChange]>,
}

/// A client, and its place in the ring.
pub(super) type Admitted = (Arc<Client>, broadcast::Receiver<Changes>);

/// Who is connected.
#[derive(Default)]
struct Clients {
    /// By id.
    by_id: HashMap<String, Arc<Client>>,
    /// How many there have been.
    count: u64,
}

/// One connected client.
pub(in crate::http) struct Client {
    /// 40 characters that nobody guesses.
    pub(super) id: String,
    /// Which one it was.
    number: u64,
    /// What it is told.
    subscription: Mutex<Subscription>,
    /// Woken once it has to go.
    end: Notify,
}

/// What a client is told.
#[derive(Default)]
struct Subscription {
    /// Whether a superuser asked for it; nobody else is told anything.
    is_superuser: bool,
    /// About what, each with the number of the first change in the ring that it is for: what was changed before a list of
    /// topics was replaced is told by the former one, however late.
    topics: VecDeque<(u64, Arc<[Topic]>)>,
}

impl Hub {
    /// Without clients.
    pub(in crate::http) fn new() -> Self {
        Self {
            changes: broadcast::Sender::new(CHANGES_MAX),
            count: AtomicU64::new(0),
            clients: Mutex::new(Some(Clients::default())),
        }
    }

    /// Ends all clients, and takes no more.
    pub(in crate::http) fn end(&self) {
        let clients = self.clients().take();
        end(clients.as_ref());
    }

    /// Takes in a client; `None` if there are too many. The oldest one without a superuser makes room.
    pub(super) fn admit(&self) -> Result<Option<Admitted>, ApiError> {
        let id = account::random_text(ID_LENGTH).map_err(|why| ApiError::internal(&why.to_string()))?;
        let mut clients = self.clients();
        let Some(clients) = clients.as_mut() else { return Ok(None) };
        if clients.by_id.len() >= CLIENTS_MAX {
            let guests = clients.by_id.values().filter(|client| !client.subscription().is_superuser);
            let Some(oldest) = guests.min_by_key(|client| client.number).map(|client| client.id.clone()) else {
                return Ok(None);
            };
            if let Some(oldest) = clients.by_id.remove(&oldest) {
                oldest.end.notify_one();
            }
        }
        clients.count += 1;
        let client = Client { id, number: clients.count, subscription: Mutex::default(), end: Notify::new() };
        let client = Arc::new(client);
        clients.by_id.insert(client.id.clone(), Arc::clone(&client));
        Ok(Some((client, self.changes.subscribe())))
    }

    /// Forgets a client.
    pub(super) fn remove(&self, client: &Client) {
        if let Some(clients) = self.clients().as_mut() {
            clients.by_id.remove(&client.id);
        }
    }

    /// The client with an id.
    pub(in crate::http) fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.clients().as_ref()?.by_id.get(id).cloned()
    }

    /// Replaces what a client is told from now on; false if another than before asks for it. A guest may become a
    /// superuser.
    pub(super) fn subscribe(&self, client: &Client, is_superuser: bool, topics: Vec<Topic>) -> bool {
        let mut subscription = client.subscription();
        if subscription.is_superuser && !is_superuser {
            return false;
        }
        subscription.is_superuser = is_superuser;
        if is_superuser {
            if subscription.topics.len() == LISTS_MAX {
                subscription.topics.pop_front();
            }
            subscription.topics.push_back((self.count.load(Ordering::SeqCst), topics.into()));
        }
        true
    }

    /// The clients; nothing that holds them can fail.
    fn clients(&self) -> MutexGuard<'_, Option<Clients>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch for Hub {
    fn is_on(&self) -> bool {
        self.clients().iter().flat_map(|clients| clients.by_id.values()).any(|client| client.is_told())
    }

    fn changed(&self, changes: Option<&[RowChange]>) {
        let Some(changes) = changes else {
            // Those who come back know that they have missed something.
            return end(self.clients().as_ref());
        };
        for part in changes.chunks(PART_ROWS) {
            let number = self.count.fetch_add(1, Ordering::SeqCst);
            // Fails only if nobody is connected any more.
            let _ = self.changes.send(Changes { number, rows: part.into() });
        }
    }
}

/// Has clients go.
fn end(clients: Option<&Clients>) {
    for client in clients.into_iter().flat_map(|clients| clients.by_id.values()) {
        client.end.notify_one();
    }
}

impl Client {
    /// Which topics changes are told for. They have to come in order.
    pub(super) fn topics(&self, changes: &Changes) -> Arc<[Topic]> {
        let topics = &mut self.subscription().topics;
        while topics.get(1).is_some_and(|(since, _)| *since <= changes.number) {
            topics.pop_front();
        }
        let first = topics.front().filter(|(since, _)| *since <= changes.number);
        first.map_or_else(Arc::default, |(_, topics)| Arc::clone(topics))
    }

    /// Whether it is told anything at present.
    fn is_told(&self) -> bool {
        self.subscription().topics.back().is_some_and(|(_, topics)| !topics.is_empty())
    }

    /// Returns when it has to go.
    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }

    /// What it is told; nothing that holds it can fail.
    fn subscription(&self) -> MutexGuard<'_, Subscription> {
        self.subscription.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Clients at once: half of the connections that the service takes, so that the other calls have the other half.
const CLIENTS_MAX: usize = 256;

/// Places in the ring, for twice what one commit can fill: who is further behind is dropped.
const CHANGES_MAX: usize = 2 * ROWS_MAX / PART_ROWS;

/// Rows in one place of the ring.
const PART_ROWS: usize = 64;

/// Lists of topics that one client replaces before it is told what came before them; earlier ones are forgotten.
const LISTS_MAX: usize = 8;

/// Characters of a client's id.
const ID_LENGTH: usize = 40;
