//! The one thread that writes. Edits wait in a queue; all that wait are taken together, each is checked and applied
//! after the one before it, one commit makes them durable, one call publishes them, and each gets its own verdict.
//!
//! When the disk fails so badly that nobody can say whether a commit took place, the zones that it would have changed are
//! unsettled: the thread looks again and again, and before it takes another edit it publishes them as the database then
//! has them.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::db::{Read, Table, Then, Write};
use crate::edit::{Applied, Change, Edit, EditError, NodeData, Trial};
use crate::pages::Counts;
use crate::settle::{Origin, Plan, Touched};
use crate::stage::{Counters, Stage};
use crate::store::Shared;
use crate::tables::{self, NEXT_PLACE, NEXT_ZONE, REMOVED_OCTETS};
use crate::watch::{ROWS_MAX, RowChange, Watch};
use crate::{Name, StoreError, Timestamp, removed};

/// The way to the writing thread; dropping it waits until what is in the queue is done.
pub(crate) struct Writer {
    /// The queue; `None` while the writer is being dropped.
    queue: Option<SyncSender<Job>>,
    /// The thread, until it is waited for.
    thread: Option<JoinHandle<()>>,
}

/// What the thread can be asked to do.
pub(crate) enum Work {
    /// An edit of zones.
    Edit(Edit),
    /// To set or remove a value that the store keeps for others.
    Setting(String, Option<Vec<u8>>),
}

/// Work, and where its verdict goes.
struct Job {
    /// What to do.
    work: Work,
    /// Takes the verdict.
    reply: Reply,
}

/// What became of a piece of work.
type Verdict = Result<Applied, EditError>;

/// What is done with a verdict, on the writing thread; it is dropped if there is none to come.
type Reply = Box<dyn FnOnce(Verdict) + Send>;

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUE_MAX);
        let thread = thread::Builder::new().name("store".into());
        let thread = thread
            .spawn(move || run(&shared, &jobs))
            .map_err(|error| StoreError::Internal(format!("the writing thread did not start: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has work done, and waits for the verdict.
    pub(crate) fn ask(&self, work: Work) -> Verdict {
        let (reply, verdict) = sync_channel(1);
        self.submit(work, move |done| {
            // Who does not wait any more does not need it.
            let _ = reply.send(done);
        });
        verdict.recv().unwrap_or_else(|_| Err(gone().into()))
    }

    /// Has work done, and does not wait for it, except for room in the queue.
    pub(crate) fn submit(&self, work: Work, reply: impl FnOnce(Verdict) + Send + 'static) {
        if let Some(queue) = &self.queue {
            // A job that cannot be sent is dropped, and its reply with it.
            let _ = queue.send(Job { work, reply: Box::new(reply) });
        }
    }
}

/// What is said where no verdict comes.
fn gone() -> StoreError {
    StoreError::Internal("the writing thread failed over this change".into())
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A panic of the thread was told to those it concerned.
            let _ = thread.join();
        }
    }
}

/// Takes all that waits, again and again.
fn run(shared: &Shared, jobs: &Receiver<Job>) {
    let mut unsettled = None;
    while let Some(batch) = next(jobs, unsettled.is_some()) {
        let (works, replies): (Vec<_>, Vec<_>) = batch.into_iter().map(|job| (job.work, job.reply)).unzip();
        let verdicts = catch_unwind(AssertUnwindSafe(|| commit(shared, works, &mut unsettled)));
        let verdicts = verdicts.unwrap_or_else(|_| {
            shared.db.close();
            Err(StoreError::Internal("a change failed in the program".into()))
        });
        match verdicts {
            Ok(verdicts) => {
                for (reply, verdict) in replies.into_iter().zip(verdicts) {
                    reply(verdict);
                }
            }
            Err(error) => {
                for reply in replies {
                    reply(Err(error.clone().into()));
                }
            }
        }
    }
}

/// All that waits and goes into one commit, once there is something; `None` at the end. While a commit is unsettled the
/// wait is short, and there may be nothing.
fn next(jobs: &Receiver<Job>, is_unsettled: bool) -> Option<Vec<Job>> {
    let first = match is_unsettled {
        false => jobs.recv().ok()?,
        true => match jobs.recv_timeout(SETTLE_EVERY) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => return Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => return None,
        },
    };
    let mut batch = vec![first];
    while batch.len() < BATCH_MAX
        && let Ok(job) = jobs.try_recv()
    {
        batch.push(job);
    }
    Some(batch)
}

/// The zones of a commit that may have taken place and is not published, with their order keys; `None` if there is none.
type Unsettled = Option<Vec<(Vec<u8>, Name)>>;

/// Publishes the zones of an unsettled commit as they are. Fails as long as the database cannot be read.
fn settle(shared: &Shared, unsettled: &mut Unsettled) -> Result<(), StoreError> {
    let Some(zones) = unsettled else { return Ok(()) };
    let (changes, sound, damaged) = shared.db.read(|view| {
        let (mut changes, mut sound, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
        for (key, apex) in &*zones {
            // A disk that fails like this may have damaged pages, and not all of that is met with an error.
            let change = catch_unwind(AssertUnwindSafe(|| change(view, key, Touched::whole(apex))));
            match change.unwrap_or_else(|_| Err(tables::zone_damaged(key, "its records cannot be read"))) {
                Ok(change) => {
                    changes.push(change);
                    sound.push(key.clone());
                }
                // It is served as it was, and no edit of it is taken.
                Err(StoreError::Damaged(_)) => damaged.push(key.clone()),
                Err(error) => return Err(error),
            }
        }
        Ok((changes, sound, damaged))
    })?;
    *unsettled = None;
    shared.release(&sound);
    damaged.iter().for_each(|key| shared.withhold(key));
    let published = publish(shared, changes);
    tell(shared, &shared.watching(), None);
    published
}

/// Does all the work in one transaction and publishes it, after what is unsettled. An error is the verdict for all of it.
fn commit(shared: &Shared, works: Vec<Work>, unsettled: &mut Unsettled) -> Result<Vec<Verdict>, StoreError> {
    settle(shared, unsettled)?;
    if works.is_empty() {
        return Ok(Vec::new());
    }
    let watching = shared.watching();
    let written = shared.db.write(|view| {
        let mut batch = Batch::new(shared, view, !watching.is_empty())?;
        let mut verdicts = Vec::with_capacity(works.len());
        for work in works {
            verdicts.push(match work {
                Work::Edit(edit) => batch.edit(view, edit)?,
                Work::Setting(key, value) => batch.setting(view, &key, value.as_deref()).map(|()| Ok(nothing()))?,
            });
        }
        let zones = batch.zones();
        let changes = batch.finish(view)?;
        let then = if batch.wrote { Then::Commit } else { Then::Abort };
        // From here on, until it is published or known not to be there.
        *unsettled = batch.wrote.then_some(zones);
        Ok(((verdicts, changes, batch), then))
    });
    let (mut verdicts, changes, batch) = written.inspect_err(|error| {
        if !matches!(error, StoreError::Unsettled(_)) {
            *unsettled = None;
        }
    })?;
    shared.release(&batch.released);
    if let Err(error) = publish(shared, changes) {
        for verdict in verdicts.iter_mut().filter(|verdict| verdict.is_ok()) {
            *verdict = Err(error.clone().into());
        }
    }
    *unsettled = None;
    if batch.wrote {
        tell(shared, &watching, batch.watched.as_deref());
    }
    Ok(verdicts)
}

/// Publishes what has been stored.
fn publish(shared: &Shared, changes: Vec<Change>) -> Result<(), StoreError> {
    let publish = shared.publish.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(publish) = publish.as_ref()
        && !changes.is_empty()
    {
        catch_unwind(AssertUnwindSafe(|| publish(changes))).map_err(|_| {
            let message = "the change is stored but could not be served: the program failed over it";
            StoreError::Internal(message.into())
        })?;
    }
    Ok(())
}

/// Tells those who look of rows that changed, which were gathered for those who were `watching`.
fn tell(shared: &Shared, watching: &[Arc<dyn Watch>], changes: Option<&[RowChange]>) {
    // They have no say in the verdicts.
    let tell = |watch: &Arc<dyn Watch>, changes| drop(catch_unwind(AssertUnwindSafe(|| watch.changed(changes))));
    if changes.is_none_or(|changes| !changes.is_empty()) {
        watching.iter().for_each(|watch| tell(watch, changes));
    }
    // Who began to look while the commit was under way may have read what was there before it.
    for watch in shared.watching() {
        if !watching.iter().any(|told| Arc::ptr_eq(told, &watch)) {
            tell(&watch, None);
        }
    }
}

/// Checks an edit as if it were applied now, and writes nothing.
pub(crate) fn try_out(shared: &Shared, edit: Edit) -> Result<Trial, EditError> {
    shared.db.check_sound()?;
    shared.db.read(|view| {
        let plan = Batch::new(shared, view, false)?.plan(view, edit);
        Ok(plan.map(|mut plan| Trial { applied: plan.applied(), entries: plan.entries() }))
    })?
}

/// The work of one transaction.
struct Batch {
    /// Zones that must not be touched.
    withheld: Arc<std::collections::HashSet<Vec<u8>>>,
    /// When it is taken to happen.
    now: Timestamp,
    /// The numbers that are free.
    next: Counters,
    /// What is to be published, by the apex's order key.
    touched: BTreeMap<Vec<u8>, Touched>,
    /// How many rows come and go.
    counts: Counts,
    /// Zones that are damaged no more.
    released: Vec<Vec<u8>>,
    /// Whether anybody looks at the rows that change.
    is_watched: bool,
    /// Those rows, edit by edit; `None` if they are too many.
    watched: Option<Vec<RowChange>>,
    /// Whether there is anything to commit.
    wrote: bool,
}

impl Batch {
    /// A batch without work.
    fn new(shared: &Shared, view: &dyn Read, is_watched: bool) -> Result<Self, StoreError> {
        Ok(Self {
            withheld: shared.withheld(),
            now: (shared.clock)(),
            next: Counters {
                zone: tables::counter(view, NEXT_ZONE)?,
                place: tables::counter(view, NEXT_PLACE)?,
                removed_octets: tables::removed_octets(view)?,
            },
            touched: BTreeMap::new(),
            counts: Counts::default(),
            released: Vec::new(),
            is_watched,
            watched: Some(Vec::new()),
            wrote: false,
        })
    }

    /// Checks an edit.
    fn plan(&self, view: &dyn Read, edit: Edit) -> Result<Plan, EditError> {
        let origin = Origin { who: edit.who.chars().take(WHO_CHARACTERS_MAX).collect(), api: edit.api };
        let mut stage = Stage::new(view, &self.withheld, self.now, self.next);
        let mut steps = edit.ops.into_iter().enumerate();
        match steps.try_for_each(|(op, step)| stage.step(op, step)) {
            Ok(()) => Plan::new(stage, &origin, self.is_watched),
            // Before a step that is wrong in itself another may break a rule of zones: the first fault is told.
            Err(fault) if fault.op() > Some(0) => match Plan::new(stage, &origin, false) {
                Err(earlier) if earlier.op().is_some() && earlier.op() < fault.op() => Err(earlier),
                _ => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Checks and writes an edit. The outer error is one of the disk and ends the transaction; an edit that is refused
    /// leaves no trace in it.
    fn edit(&mut self, view: &mut dyn Write, edit: Edit) -> Result<Verdict, StoreError> {
        let mut plan = match self.plan(&*view, edit) {
            Ok(plan) => plan,
            Err(EditError::Store(error @ (StoreError::Full | StoreError::Io(_)))) => return Err(error),
            Err(refused) => return Ok(Err(refused)),
        };
        let applied = plan.applied();
        self.wrote |= plan.write(view, &mut self.counts)?;
        self.next = plan.next;
        if let Some(watched) = plan.watched {
            let all = self.watched.take().zip(watched.changes()).map(|(mut all, more)| {
                all.extend(more);
                all
            });
            self.watched = all.filter(|all| all.len() <= ROWS_MAX);
        }
        for key in plan.released {
            Arc::make_mut(&mut self.withheld).remove(&key);
            self.released.push(key);
        }
        for (key, touched) in plan.touched {
            match self.touched.entry(key) {
                btree_map::Entry::Vacant(entry) => {
                    entry.insert(touched);
                }
                btree_map::Entry::Occupied(mut entry) => {
                    let entry = entry.get_mut();
                    entry.whole |= touched.whole;
                    entry.owners.extend(touched.owners);
                    entry.nodes = touched.nodes;
                }
            }
        }
        Ok(Ok(applied))
    }

    /// Sets or removes a value that the store keeps for others.
    fn setting(&mut self, view: &mut dyn Write, key: &str, value: Option<&[u8]>) -> Result<(), StoreError> {
        self.wrote = true;
        match value {
            Some(value) => view.put(Table::Settings, key.as_bytes(), value).map(drop),
            None => view.remove(Table::Settings, key.as_bytes()).map(drop),
        }
    }

    /// The zones that are to be published, with their order keys.
    fn zones(&self) -> Vec<(Vec<u8>, Name)> {
        self.touched.iter().map(|(key, touched)| (key.clone(), touched.apex.clone())).collect()
    }

    /// Writes the counters, and gathers what has to be published.
    fn finish(&mut self, view: &mut dyn Write) -> Result<Vec<Change>, StoreError> {
        if self.wrote {
            std::mem::take(&mut self.counts).write(view)?;
            let removed_octets = removed::prune(view, self.next.removed_octets, &removed::BOUNDS)?;
            tables::set_counter(view, REMOVED_OCTETS, removed_octets)?;
            tables::set_counter(view, NEXT_ZONE, self.next.zone)?;
            tables::set_counter(view, NEXT_PLACE, self.next.place)?;
        }
        let touched = std::mem::take(&mut self.touched);
        touched.into_iter().map(|(key, touched)| change(&*view, &key, touched)).collect()
    }
}

/// The new state of a zone, for those who serve it.
fn change(view: &dyn Read, key: &[u8], touched: Touched) -> Result<Change, StoreError> {
    let Touched { apex, whole, owners, nodes } = touched;
    if let Some(nodes) = nodes {
        return Ok(Change::Whole { apex, nodes });
    }
    let Some(header) = tables::header(view, key)? else {
        return Ok(Change::Removed { apex });
    };
    let mut nodes = Vec::new();
    if whole {
        tables::zone_nodes(view, &header, &mut |node| nodes.push(node))?;
        return Ok(Change::Whole { apex, nodes });
    }
    for (owner_key, owner) in owners {
        let rows = tables::node_rows(view, header.number, &apex, &owner_key)?;
        let empty = NodeData { owner, rrsets: Vec::new() };
        nodes.push(tables::node_data(&rows).unwrap_or(empty));
    }
    Ok(Change::Nodes { apex, nodes })
}

/// What a setting applies to: no row, no zone.
fn nothing() -> Applied {
    Applied { rows: Vec::new(), zones: Vec::new(), unchanged: Vec::new(), warnings: Vec::new() }
}

/// How many edits can wait; beyond that their callers wait to get into the queue.
const QUEUE_MAX: usize = 4_096;

/// How many edits share a commit at most, which bounds how long the first of them waits.
const BATCH_MAX: usize = 1_024;

/// How long the thread waits before it looks again what became of a commit; shorter in the store's own tests, which are to
/// be quick.
const SETTLE_EVERY: Duration = Duration::from_millis(if cfg!(test) { 10 } else { 1_000 });

/// Characters that history keeps of who asked for an edit.
const WHO_CHARACTERS_MAX: usize = 255;
