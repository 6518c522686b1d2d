//! Who owns each buffer, and which sockets are listened on: the bookkeeping of a ring, without the ring.
//!
//! It is written so that its test runs the same code over a model of the kernel, in any order of events. The rules
//! stand at the top of `ring.rs`.
#![forbid(unsafe_code)]

use super::super::counters::WorkerTotals;
use super::Kind;

/// Where buffers go when they are T's and not needed: the kernel's buffer ring.
pub(super) trait Home {
    /// Puts a buffer of T's behind the others.
    fn give(&mut self, id: u16);

    /// Makes all that was given K's.
    fn publish(&mut self);
}

/// The owners of all buffers, and the sockets that receive into them.
pub(super) struct Buffers<H> {
    /// Owner K.
    home: H,
    /// How many there are.
    count: u16,
    /// Owner T: the buffer whose message is being answered; still set when answering panicked.
    answering: Option<u16>,
    /// Owner S: the buffers whose sends have been pushed since the submission queue was last empty.
    sending: Vec<u16>,
    /// The sockets, each at its place.
    sockets: Vec<Socket>,
    /// Receptions that failed one after the other.
    failures: u32,
}

/// A place for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    /// There is none.
    Free,
    /// It has no RECVMSG in the kernel.
    Idle,
    /// It has.
    Armed,
    /// It has, which is being cancelled.
    Leaving,
    /// It had its last one.
    Left,
}

/// A completion, as far as the bookkeeping reads it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Completion {
    /// What it is about.
    pub(super) kind: Kind,
    /// The socket.
    pub(super) socket: usize,
    /// The octets that came, or the negative error.
    pub(super) result: i32,
    /// The buffer that was filled.
    pub(super) buffer: Option<u16>,
    /// The request goes on.
    pub(super) more: bool,
}

impl Completion {
    /// The buffer, if it is a datagram in one of so many.
    #[inline]
    pub(super) fn datagram(&self, buffers: u16) -> Option<u16> {
        self.buffer.filter(|id| self.kind == Kind::Receive && *id < buffers)
    }
}

/// What is to be done for a completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Nothing,
    /// The sign to stop has been given.
    Stop,
    /// There are orders.
    Orders,
    /// The datagram in this buffer is to be answered, and then either [`Buffers::send`] or [`Buffers::give_back`] called.
    Answer(u16),
}

impl<H: Home> Buffers<H> {
    /// All buffers are at home, no socket is armed.
    pub(super) fn new(home: H, count: u16, sockets: usize) -> Self {
        let sending = Vec::with_capacity(usize::from(count));
        Self { home, count, answering: None, sending, sockets: vec![Socket::Idle; sockets], failures: 0 }
    }

    /// Takes in a completion.
    #[inline]
    pub(super) fn completed(&mut self, completion: Completion, tally: &mut WorkerTotals) -> Step {
        match completion.kind {
            Kind::Receive => {}
            // The buffer went home with the others when the queue was seen empty: here only the failure is told.
            Kind::Send => {
                tally.dropped += 1;
                return Step::Nothing;
            }
            Kind::Stop => return Step::Stop,
            Kind::Orders => return Step::Orders,
            Kind::Cancel => return Step::Nothing,
        }
        if !completion.more
            && let Some(socket) = self.sockets.get_mut(completion.socket)
        {
            *socket = if *socket == Socket::Leaving { Socket::Left } else { Socket::Idle };
        }
        let Some(id) = completion.datagram(self.count) else {
            match -completion.result {
                libc::ENOBUFS => tally.overruns += 1,
                libc::ECANCELED => {}
                _ => {
                    tally.errors += 1;
                    self.failures += 1;
                }
            }
            return Step::Nothing;
        };
        self.failures = 0;
        self.answering = Some(id);
        Step::Answer(id)
    }

    /// The send from the buffer that was answered is in the submission queue.
    #[inline]
    pub(super) fn send(&mut self) {
        self.sending.extend(self.answering.take());
    }

    /// The buffer that was answered, or whose answering panicked, is not needed.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if let Some(id) = self.answering.take() {
            self.home.give(id);
        }
    }

    /// What was given back becomes the kernel's, at the end of a turn.
    #[inline]
    pub(super) fn publish(&mut self) {
        self.home.publish();
    }

    /// The kernel has taken every entry of the submission queue: all sends are over.
    #[inline]
    pub(super) fn all_taken(&mut self) {
        for id in self.sending.drain(..) {
            self.home.give(id);
        }
        self.home.publish();
    }

    /// Has every socket armed that is not; `arm` is false when there is no room for it now.
    #[inline]
    pub(super) fn arm(&mut self, mut arm: impl FnMut(usize) -> bool) {
        for (number, socket) in self.sockets.iter_mut().enumerate().filter(|(_, socket)| **socket == Socket::Idle) {
            if arm(number) {
                *socket = Socket::Armed;
            }
        }
    }

    /// Whether every socket is armed.
    #[inline]
    pub(super) fn all_armed(&self) -> bool {
        !self.sockets.contains(&Socket::Idle)
    }

    /// Whether no socket is armed: the kernel writes to no buffer any more.
    pub(super) fn none_armed(&self) -> bool {
        !self.sockets.iter().any(|socket| matches!(socket, Socket::Armed | Socket::Leaving))
    }

    /// The place of a socket that comes, below `places`; it has to be armed.
    pub(super) fn open(&mut self, places: usize) -> Option<usize> {
        let place = self.sockets.iter().position(|socket| *socket == Socket::Free).unwrap_or(self.sockets.len());
        if place == self.sockets.len() && place < places {
            self.sockets.push(Socket::Free);
        }
        *self.sockets.get_mut(place)? = Socket::Idle;
        Some(place)
    }

    /// Lets a socket go; true if its RECVMSG has to be cancelled.
    pub(super) fn close(&mut self, place: usize) -> bool {
        let Some(socket) = self.sockets.get_mut(place) else { return false };
        let is_armed = *socket == Socket::Armed;
        *socket = if is_armed { Socket::Leaving } else { Socket::Left };
        is_armed
    }

    /// Whether the kernel is through with a socket that was let go.
    #[inline]
    pub(super) fn any_left(&self) -> bool {
        self.sockets.contains(&Socket::Left)
    }

    /// The place of a socket that was let go, once the kernel is through with it; it is free from now on.
    pub(super) fn take_left(&mut self) -> Option<usize> {
        let place = self.sockets.iter().position(|socket| *socket == Socket::Left)?;
        self.sockets[place] = Socket::Free;
        Some(place)
    }

    /// Receptions that failed one after the other.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Where the buffers are at home.
    #[inline]
    pub(super) fn home(&self) -> &H {
        &self.home
    }

    /// The same, to be changed.
    pub(super) fn home_mut(&mut self) -> &mut H {
        &mut self.home
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// A buffer ring that knows who owns what, and fails the test when a buffer is handed over by who does not own it.
    struct Ring {
        /// Given and published, in the order in which the kernel takes them.
        published: VecDeque<u16>,
        /// Given and not yet published.
        given: Vec<u16>,
        /// What each buffer is.
        owners: Vec<Owner>,
    }

    /// The owners of `ring.rs`; a buffer that was named by a completion is T's when that is taken from the queue.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Owner {
        Kernel,
        Completion,
        Thread,
        Send,
    }

    impl Home for Ring {
        fn give(&mut self, id: u16) {
            let owner = &mut self.owners[usize::from(id)];
            assert!(matches!(owner, Owner::Thread | Owner::Send), "buffer {id} was given back by {owner:?}");
            *owner = Owner::Kernel;
            self.given.push(id);
        }

        fn publish(&mut self) {
            self.published.extend(self.given.drain(..));
            assert!(self.published.len() <= self.owners.len());
        }
    }

    /// What waits in the submission queue.
    #[derive(Clone, Copy)]
    enum Entry {
        Receive(usize),
        Cancel(usize),
        Send(u16),
    }

    /// The kernel and the thread, one event at a time, in an order that the seed chooses.
    struct World {
        state: u64,
        buffers: Buffers<Ring>,
        /// The submission queue, short so that it is often full.
        queue: VecDeque<Entry>,
        completions: VecDeque<Completion>,
        /// Sockets with a RECVMSG in the kernel.
        listening: Vec<bool>,
        tally: WorkerTotals,
        /// What the kernel has done: failed sends, and receptions that ended for want of a buffer.
        refused: u64,
        starved: u64,
        /// Datagrams that the kernel put into buffers, and those that came to be answered.
        delivered: u64,
        taken: u64,
    }

    const COUNT: u16 = 8;
    const SOCKETS: usize = 3;
    const QUEUE: usize = 6;

    impl World {
        fn new(seed: u64) -> Self {
            let home = Ring {
                published: (0..COUNT).collect(),
                given: Vec::new(),
                owners: vec![Owner::Kernel; usize::from(COUNT)],
            };
            Self {
                state: seed,
                buffers: Buffers::new(home, COUNT, SOCKETS),
                queue: VecDeque::new(),
                completions: VecDeque::new(),
                listening: vec![false; SOCKETS],
                tally: WorkerTotals::default(),
                refused: 0,
                starved: 0,
                delivered: 0,
                taken: 0,
            }
        }

        /// A number below `bound`.
        fn below(&mut self, bound: usize) -> usize {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.state >> 33) as usize % bound
        }

        /// A datagram reaches a socket, or its reception fails or ends for no reason of ours.
        fn arrive(&mut self) {
            let socket = self.below(SOCKETS);
            if !self.listening[socket] {
                return;
            }
            let mut completion = Completion { kind: Kind::Receive, socket, result: 40, buffer: None, more: true };
            match self.below(12) {
                0 => (completion.result, completion.more) = (-libc::ENOMEM, false),
                // A datagram of no octets, or a full completion queue, ends a multishot with its last buffer.
                kind => match self.buffers.home_mut().published.pop_front() {
                    Some(id) => {
                        self.buffers.home_mut().owners[usize::from(id)] = Owner::Completion;
                        (completion.buffer, completion.more) = (Some(id), kind > 1);
                        self.delivered += 1;
                    }
                    None => {
                        (completion.result, completion.more) = (-libc::ENOBUFS, false);
                        self.starved += 1;
                    }
                },
            }
            self.listening[socket] = completion.more;
            self.completions.push_back(completion);
        }

        /// `io_uring_enter`: the kernel takes some of the queue, mostly all of it. A send is over when it was taken.
        fn submit(&mut self) {
            let all = self.queue.len();
            let count = if self.below(4) == 0 { self.below(all + 1) } else { all };
            for entry in self.queue.drain(..count).collect::<Vec<_>>() {
                match entry {
                    Entry::Receive(socket) => {
                        assert!(!self.listening[socket], "socket {socket} was armed twice");
                        self.listening[socket] = true;
                    }
                    Entry::Cancel(socket) => {
                        if std::mem::take(&mut self.listening[socket]) {
                            let result = -libc::ECANCELED;
                            let completion =
                                Completion { kind: Kind::Receive, socket, result, buffer: None, more: false };
                            self.completions.push_back(completion);
                        }
                    }
                    Entry::Send(id) => {
                        let owner = self.buffers.home().owners[usize::from(id)];
                        assert_eq!(owner, Owner::Send, "buffer {id} is sent from");
                        if self.below(5) == 0 {
                            self.refused += 1;
                            let completion = Completion {
                                kind: Kind::Send,
                                socket: 0,
                                result: -libc::EAGAIN,
                                buffer: None,
                                more: false,
                            };
                            self.completions.push_back(completion);
                        }
                    }
                }
            }
            if self.queue.is_empty() {
                self.buffers.all_taken();
            }
        }

        /// A socket goes, or its place is taken again once it is gone.
        fn change(&mut self) {
            if self.queue.len() == QUEUE {
                return;
            }
            let socket = self.below(SOCKETS);
            match self.buffers.sockets[socket] {
                Socket::Idle | Socket::Armed => {
                    if self.buffers.close(socket) {
                        self.queue.push_back(Entry::Cancel(socket));
                    }
                }
                Socket::Left => {
                    let place = self.buffers.take_left().expect("one has left");
                    assert!(!self.listening[place], "socket {place} is still listened on");
                }
                Socket::Free => {
                    let place = self.buffers.open(SOCKETS).expect("a place is free");
                    assert!(!self.listening[place], "place {place} is not free");
                }
                Socket::Leaving => {}
            }
        }

        /// A turn of the thread, as `Ring::take` does it; the batch may be cut off by a panic.
        fn turn(&mut self) {
            self.buffers.give_back();
            while let Some(completion) = self.completions.pop_front() {
                let Step::Answer(id) = self.buffers.completed(completion, &mut self.tally) else { continue };
                self.taken += 1;
                let owner = &mut self.buffers.home_mut().owners[usize::from(id)];
                assert_eq!(*owner, Owner::Completion, "buffer {id} is answered");
                *owner = Owner::Thread;
                match self.below(10) {
                    // A panic: the next turn gives the buffer back.
                    0 => return,
                    1 | 2 => self.buffers.give_back(),
                    _ if self.queue.len() == QUEUE => self.buffers.give_back(),
                    _ => {
                        self.queue.push_back(Entry::Send(id));
                        self.buffers.home_mut().owners[usize::from(id)] = Owner::Send;
                        self.buffers.send();
                    }
                }
            }
            self.buffers.publish();
            let queue = &mut self.queue;
            self.buffers.arm(|socket| {
                let room = queue.len() < QUEUE;
                if room {
                    queue.push_back(Entry::Receive(socket));
                }
                room
            });
        }

        /// Every buffer is in one place, and that is the place that its owner says.
        fn check(&self) {
            let home = self.buffers.home();
            let mut places = vec![0; usize::from(COUNT)];
            let in_completions = self.completions.iter().filter_map(|completion| completion.buffer);
            let of = [
                (Owner::Kernel, home.published.iter().chain(&home.given).copied().collect::<Vec<_>>()),
                (Owner::Completion, in_completions.collect()),
                (Owner::Thread, self.buffers.answering.into_iter().collect()),
                (Owner::Send, self.buffers.sending.clone()),
            ];
            for (owner, ids) in of {
                for id in ids {
                    places[usize::from(id)] += 1;
                    assert_eq!(home.owners[usize::from(id)], owner, "buffer {id}");
                }
            }
            assert_eq!(places, vec![1; usize::from(COUNT)]);
        }
    }

    /// In whatever order the kernel completes, runs out of buffers, ends a multishot, refuses a send or takes a part of
    /// the queue, and wherever answering panics: each buffer is owned once, and all of them come home.
    #[test]
    fn each_buffer_is_owned_exactly_once() {
        let (mut starved, mut refused) = (0, 0);
        for seed in 0..300 {
            let mut world = World::new(seed);
            for _ in 0..2000 {
                match world.below(64) {
                    0..=39 => world.arrive(),
                    40..=47 => world.submit(),
                    48 => world.change(),
                    _ => world.turn(),
                }
                world.check();
            }
            // Two rounds without new datagrams: one to answer what has come, one to send it. A panic costs a round more.
            let is_armed = |socket: &Socket| *socket == Socket::Armed;
            while !(world.completions.is_empty()
                && world.queue.is_empty()
                && world.buffers.sockets.iter().all(is_armed))
            {
                world.turn();
                world.submit();
                while world.buffers.take_left().is_some() {}
                while world.buffers.open(SOCKETS).is_some() {}
                world.check();
            }
            world.turn();
            world.check();
            assert_eq!(world.buffers.home().published.len(), usize::from(COUNT), "seed {seed}");
            assert_eq!(world.listening, [true; SOCKETS], "seed {seed}");
            assert_eq!(world.taken, world.delivered, "seed {seed}");
            assert_eq!((world.tally.dropped, world.tally.overruns), (world.refused, world.starved), "seed {seed}");
            starved += world.starved;
            refused += world.refused;
        }
        // The walk has been where it hurts.
        assert!(starved > 1000 && refused > 1000, "{starved} {refused}");
    }
}
