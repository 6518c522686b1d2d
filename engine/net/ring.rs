//! Datagrams over io_uring: one multishot RECVMSG a socket into provided buffers, answers sent from the same buffer.
//!
//! # Who owns what
//!
//! There are three owners: the kernel's buffer ring (K), this thread (T), and a submitted send (S).
//!
//! - **Buffers.** All `BUFFERS` buffers are one allocation that lives as long as [`Memory`]. A buffer is K's from the
//!   moment it is written into the buffer ring and the tail is published, until a completion of a RECVMSG names it. Then
//!   it is T's: nothing in the kernel knows of it, and only then a reference to it is made, which ends before the buffer
//!   is passed on. If there is no answer, T gives it back to K. If there is, the buffer is S's from the push of its SEND
//!   until `io_uring_enter` has taken that entry from the submission queue.
//! - **Sends end within the submit.** They carry MSG_DONTWAIT, which makes the kernel finish the request, with EAGAIN if
//!   need be, in the same `io_uring_enter` that takes it: a request that may not wait is never queued to be done later.
//!   Therefore an empty submission queue after `io_uring_enter` means that no S is left, and all buffers that were S's
//!   are given back to K. A send that succeeds posts no completion (IOSQE_CQE_SKIP_SUCCESS); one that fails posts one,
//!   which is only counted. The kernel has the answer copied into its own memory by then: this is not a zero-copy send.
//! - **Headers.** The `msghdr` of a RECVMSG (`receive_headers`) is read by the kernel when the request is prepared, and
//!   only its lengths matter; it lives until the ring is gone all the same. The `msghdr` and `iovec` of a SENDMSG are
//!   S's like the buffer of the same number, and are written by T only while T owns that buffer.
//! - **End.** Dropping [`Ring`] cancels all requests and waits until the kernel has confirmed that no RECVMSG is armed.
//!   Should it ever not, the memory is left allocated for good: a leak is harmless, a write into freed memory is not.
//!
//! # Bounds
//!
//! A buffer is in one place at a time, so there are never more than `BUFFERS` receptions and sends together; the
//! submission and completion queues have room for all of them and for the few entries that re-arm sockets. When all
//! buffers are T's or S's, the multishot ends with ENOBUFS and datagrams wait in the socket until it is armed again,
//! which happens at the end of the turn in which buffers come back.
//!
//! # Tried, with `benches/load`
//!
//! Kept: sends without a completion, as above. Dropped: fewer buffers than 1,024, which no run told apart; and
//! SO_INCOMING_CPU, which on loopback brought 1.1 to 2 times the answers (2 workers, dnsperf on one core), but where a
//! network card has one queue it would leave all the work to one core. Dropped too: NAPI busy polling and UDP_GRO, which
//! changed neither replies a second nor CPU time a reply by more than rounds differ (`benches/results/`, 2026-11-26).
//! Not fit: GSO, as datagrams to different clients are never merged.
//!
//! The bookkeeping of all this is `ring/buffers.rs`, free of `unsafe`, and tested over a model of the kernel.
#![allow(unsafe_code)]

mod buffers;
mod memory;
mod probe;
mod window;

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::{Duration, Instant};

use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

pub(super) use self::probe::probe;

use self::buffers::{Buffers, Completion, Step};
use self::memory::Memory;
use self::window::Window;
use super::counters::WorkerTotals;
use super::datagram::{self, CONTROL_AT, CONTROL_ROOM, Filled, MESSAGE_AT, NAME_AT, NAME_ROOM};
use super::error::Plain;
use super::orders::Orders;
use super::socket::Endpoint;
use super::stop::Stop;
use super::worker::{PacketIo, Taken, Wait};
use super::{Batch, LISTENERS_MORE, Responder};

/// The way in over io_uring, for one thread: it must be used on the thread that made it.
pub(super) struct Ring {
    /// The queues. Declared before the memory that its requests point to.
    ring: IoUring,
    /// The buffers, and who owns each.
    buffers: Buffers<Memory>,
    /// One for each socket: the lengths that a RECVMSG is to fill.
    receive_headers: Box<[libc::msghdr]>,
    /// One for each buffer: the message of a SENDMSG.
    send_headers: Box<[SendHeader]>,
    /// The sockets, each at the place at which it is registered.
    endpoints: Vec<Option<Endpoint>>,
    /// What becomes readable when there are orders.
    bell: RawFd,
    /// What this kernel can do.
    features: Features,
    /// The completions that are being worked on.
    window: Window,
    /// Signs that have been seen; outlive a `take` only when answering panicked behind them.
    signs: Taken,
}

/// The message of a SENDMSG: stays in place from start to end.
#[repr(C)]
struct SendHeader {
    /// Points into the buffer of the same number, and to `part`.
    message: libc::msghdr,
    /// The answer.
    part: libc::iovec,
}

/// What differs between kernels that can do the rest. Found out by [`probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    /// SEND takes an address, which is cheaper than a SENDMSG.
    pub(super) send_addr: bool,
}

impl Ring {
    /// Makes the ring and arms all sockets. The error names the step that failed.
    pub(super) fn open(
        endpoints: Vec<Endpoint>,
        orders: &Orders,
        stop: &Stop,
        features: Features,
    ) -> Result<Self, String> {
        let ring = build().map_err(|e| failed("io_uring_setup", &e))?;
        let missing = [
            ("lossless completions", ring.params().is_feature_nodrop()),
            ("waiting with a time limit", ring.params().is_feature_ext_arg()),
            ("skipped completions", ring.params().is_feature_skip_cqe_on_success()),
        ];
        if let Some((name, _)) = missing.iter().find(|(_, there)| !there) {
            return Err(format!("this kernel's io_uring lacks {name}"));
        }
        let memory = Memory::register(&ring).map_err(|e| failed("io_uring_register (buffers)", &e))?;
        let mut files: Vec<_> = endpoints.iter().map(Endpoint::raw).collect();
        files.resize(endpoints.len() + SPARE_PLACES, NO_FILE);
        ring.submitter().register_files(&files).map_err(|e| failed("io_uring_register (files)", &e))?;
        let mut ring = Self {
            receive_headers: vec![receive_header(); files.len()].into_boxed_slice(),
            send_headers: send_headers(&memory),
            buffers: Buffers::new(memory, BUFFERS, endpoints.len()),
            ring,
            endpoints: endpoints.into_iter().map(Some).collect(),
            bell: orders.fd().as_raw_fd(),
            features,
            window: Window::default(),
            signs: Taken::default(),
        };
        ring.watch(stop.fd().as_raw_fd(), Kind::Stop);
        ring.watch(ring.bell, Kind::Orders);
        ring.arm();
        ring.wait(Wait::Look).map_err(|e| failed("io_uring_enter", &e))?;
        Ok(ring)
    }

    /// Asks for a completion when a descriptor becomes readable.
    fn watch(&mut self, fd: RawFd, kind: Kind) {
        let entry = opcode::PollAdd::new(Fd(fd), libc::POLLIN as u32).build().user_data(tag(kind, 0));
        // SAFETY: a poll uses no memory of ours, and the kernel keeps the file open by itself.
        unsafe { self.ring.submission().push(&entry) }.ok();
    }

    /// Pushes a RECVMSG for each socket that has none. What finds no room in the queue is pushed in the next turn.
    fn arm(&mut self) {
        let (headers, ring) = (&self.receive_headers, &mut self.ring);
        self.buffers.arm(|socket| {
            let Some(header) = headers.get(socket) else { return false };
            let entry = opcode::RecvMsgMulti::new(Fixed(socket as u32), ptr::from_ref(header), GROUP)
                .build()
                .user_data(tag(Kind::Receive, socket as u32));
            // SAFETY: `header` is boxed and lives until the ring is gone. The memory written to is that of the buffer
            // ring, of which the kernel only uses what K owns.
            unsafe { ring.submission().push(&entry) }.is_ok()
        });
    }

    /// Gives all buffers that were being sent back to the kernel, if it has taken every entry of the queue.
    fn collect_sent(&mut self) {
        if self.ring.submission().is_empty() {
            self.buffers.all_taken();
        }
    }

    /// Closes the sockets that the kernel is through with. Nothing may be sent to their places any more: the queue has to
    /// be empty.
    #[cold]
    fn let_go(&mut self) {
        self.ring.submit().ok();
        self.collect_sent();
        if !self.ring.submission().is_empty() {
            return;
        }
        while let Some(place) = self.buffers.take_left() {
            self.ring.submitter().register_files_update(place as u32, &[NO_FILE]).ok();
            if let Some(endpoint) = self.endpoints.get_mut(place) {
                *endpoint = None;
            }
        }
    }
}

impl PacketIo for Ring {
    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let result = match wait {
            Wait::ForEvent => self.ring.submit_and_wait(1),
            // With deferred task run nothing is received unless completions are asked for, so one is, with no time.
            Wait::Look => {
                let no_time = Timespec::new();
                self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&no_time))
            }
        };
        self.collect_sent();
        match result {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // A signal, no time, or completions to be taken first: all of them lead on to `take`.
                Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn take(&mut self, responder: &mut impl Responder, tally: &mut WorkerTotals) -> Taken {
        let mut taken = Taken::default();
        // What answering panicked about in the turn before.
        self.buffers.give_back();
        let (_, mut submissions, mut completions) = self.ring.split();
        // What is received from here on is seen in the next turn: `completions` ends where it ended when it was made, and
        // with deferred task run the kernel adds to it within `io_uring_enter` only.
        let batch = &mut responder.batch();
        // What a panic left over goes one by one, so that none of it can stop the others.
        let mut alone = !self.window.is_empty();
        loop {
            if !alone {
                self.window.fill(completions.by_ref().map(|completion| read(&completion)));
                if self.window.is_empty() {
                    break;
                }
                // The kernel wrote them not long ago, but more than a core has at hand.
                for (_, completion) in self.window.iter() {
                    if let Some(id) = completion.datagram(BUFFERS) {
                        // SAFETY: the completion names the buffer, so it is T's. The reference ends here.
                        datagram::ask(unsafe { self.buffers.home().buffer(id) });
                    }
                }
                for (place, completion) in self.window.iter() {
                    let Some(Some(endpoint)) = self.endpoints.get(completion.socket) else { continue };
                    if let Some(id) = completion.datagram(BUFFERS) {
                        // SAFETY: the completion names the buffer, so it is T's. The reference ends here.
                        let buffer = unsafe { self.buffers.home().buffer(id) };
                        datagram::read(buffer, filled(buffer, completion.result), endpoint, place, batch);
                    }
                }
                self.window.iter().for_each(|(place, _)| batch.fetch(place));
            }
            while let Some((place, completion)) = self.window.take() {
                let id = match self.buffers.completed(completion, tally) {
                    Step::Answer(id) => id,
                    Step::Stop => {
                        self.signs.stop = true;
                        continue;
                    }
                    Step::Orders => {
                        self.signs.orders = true;
                        continue;
                    }
                    Step::Nothing => continue,
                };
                let Some(Some(endpoint)) = self.endpoints.get(completion.socket) else {
                    self.buffers.give_back();
                    continue;
                };
                taken.datagrams += 1;
                // SAFETY: the completion names the buffer, so it is T's; it was not seen in another completion, since K
                // gets it back only below or in `collect_sent`. The reference ends before either.
                let buffer = unsafe { self.buffers.home().buffer(id) };
                let filled = filled(buffer, completion.result);
                let reply = datagram::answer(buffer, filled, endpoint, tally, place, alone, batch);
                let pushed = reply.is_some_and(|reply| {
                    let base = self.buffers.home().base(id);
                    let to = Fixed(completion.socket as u32);
                    let entry = if self.features.send_addr && reply.control_len == 0 {
                        opcode::Send::new(to, base.wrapping_add(MESSAGE_AT), reply.len as u32)
                            .dest_addr(base.wrapping_add(NAME_AT).cast())
                            .dest_addr_len(reply.name_len as libc::socklen_t)
                            .flags(libc::MSG_DONTWAIT)
                            .build()
                    } else {
                        let Some(header) = self.send_headers.get_mut(usize::from(id)) else {
                            return false;
                        };
                        header.part.iov_len = reply.len;
                        header.message.msg_namelen = reply.name_len as libc::socklen_t;
                        header.message.msg_controllen = reply.control_len as _;
                        opcode::SendMsg::new(to, &raw const header.message).flags(libc::MSG_DONTWAIT as u32).build()
                    };
                    let entry =
                        entry.flags(squeue::Flags::SKIP_SUCCESS).user_data(tag(Kind::Send, completion.socket as u32));
                    // SAFETY: from here on the buffer is S's: `Buffers::send` notes it, and neither it nor its
                    // `SendHeader` is touched until `collect_sent` has seen the queue empty.
                    unsafe { submissions.push(&entry) }.is_ok()
                });
                if pushed {
                    self.buffers.send();
                } else {
                    tally.dropped += u64::from(reply.is_some());
                    self.buffers.give_back();
                }
            }
            alone = false;
        }
        drop((submissions, completions));
        (taken.stop, taken.orders) = (self.signs.stop, self.signs.orders);
        self.signs = Taken::default();
        self.buffers.publish();
        if !self.buffers.all_armed() {
            // A socket that fails and fails again must not keep the core busy.
            if self.buffers.failures() > FAILURES_MAX {
                std::thread::sleep(FAILURE_PAUSE);
            }
            self.arm();
        }
        if self.buffers.any_left() {
            self.let_go();
        }
        if taken.orders {
            self.watch(self.bell, Kind::Orders);
        }
        taken
    }

    fn open(&mut self, endpoint: Endpoint) -> io::Result<()> {
        let place =
            self.buffers.open(self.receive_headers.len()).ok_or_else(|| io::Error::other("no place is left"))?;
        if let Err(error) = self.ring.submitter().register_files_update(place as u32, &[endpoint.raw()]) {
            self.buffers.close(place);
            return Err(error);
        }
        self.endpoints.resize_with(self.endpoints.len().max(place + 1), || None);
        self.endpoints[place] = Some(endpoint);
        self.arm();
        Ok(())
    }

    fn close(&mut self, listener: usize, at_once: bool) -> bool {
        let is_it = |endpoint: &&Endpoint| endpoint.listener == listener;
        let Some((place, endpoint)) = self
            .endpoints
            .iter()
            .enumerate()
            .find_map(|(place, endpoint)| endpoint.as_ref().filter(is_it).map(|endpoint| (place, endpoint)))
        else {
            return true;
        };
        if !at_once && !endpoint.is_empty() {
            return false;
        }
        if self.buffers.close(place) {
            let entry =
                opcode::AsyncCancel::new(tag(Kind::Receive, place as u32)).build().user_data(tag(Kind::Cancel, 0));
            // SAFETY: a cancel uses no memory of ours.
            unsafe { self.ring.submission().push(&entry) }.ok();
        }
        true
    }

    fn close_door(&mut self) {
        self.endpoints.iter().flatten().for_each(Endpoint::close_door);
    }

    fn is_awaited(&self) -> bool {
        self.endpoints.iter().flatten().any(Endpoint::is_awaited)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Entries that were never submitted must not be taken now: the submit empties the queue first.
        let end = Instant::now() + CANCEL_WAIT;
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build().user_data(tag(Kind::Cancel, 0));
        // SAFETY: a cancel uses no memory of ours.
        unsafe { self.ring.submission().push(&entry) }.ok();
        loop {
            self.wait(Wait::Look).ok();
            let mut tally = WorkerTotals::default();
            for completion in self.ring.completion() {
                self.buffers.completed(read(&completion), &mut tally);
                self.buffers.give_back();
            }
            let quiet = self.ring.submission().is_empty() && self.buffers.none_armed();
            if quiet || Instant::now() > end {
                self.buffers.home_mut().keep = !quiet;
                // The kernel takes a ring down when it finds time; until then its sockets would go on to get their
                // share of the datagrams that whoever listens next is sent.
                self.ring.submitter().unregister_files().ok();
                return;
            }
        }
    }
}

/// What the bookkeeping needs of a completion.
#[inline]
fn read(completion: &cqueue::Entry) -> Completion {
    let (kind, index) = untag(completion.user_data());
    Completion {
        kind,
        socket: index as usize,
        result: completion.result(),
        buffer: cqueue::buffer_select(completion.flags()),
        more: cqueue::more(completion.flags()),
    }
}

/// Sets up the queues.
fn build() -> io::Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_submit_all()
        .setup_cqsize(COMPLETIONS)
        .build(SUBMISSIONS)
}

/// The message of a RECVMSG, of which only the lengths are used.
fn receive_header() -> libc::msghdr {
    // SAFETY: all-zero is a valid msghdr: null pointers with length 0.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_namelen = NAME_ROOM as libc::socklen_t;
    header.msg_controllen = CONTROL_ROOM as _;
    header
}

/// The messages of all possible SENDMSGs, each pointing into its buffer.
fn send_headers(memory: &Memory) -> Box<[SendHeader]> {
    let mut headers: Box<[SendHeader]> = (0..BUFFERS)
        .map(|id| {
            let base = memory.base(id);
            let mut message = receive_header();
            message.msg_name = base.wrapping_add(NAME_AT).cast();
            message.msg_control = base.wrapping_add(CONTROL_AT).cast();
            message.msg_iovlen = 1;
            let part = libc::iovec { iov_base: base.wrapping_add(MESSAGE_AT).cast(), iov_len: 0 };
            SendHeader { message, part }
        })
        .collect();
    // Now that they do not move any more.
    for header in &mut headers {
        header.message.msg_iov = &raw mut header.part;
    }
    headers
}

/// Reads the header in front of a received datagram: `struct io_uring_recvmsg_out`.
fn filled(buffer: &[u8], result: i32) -> Filled {
    let field = |at: usize| {
        let bytes = buffer.get(at..).and_then(|rest| rest.first_chunk::<4>());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    Filled {
        name_len: field(0) as usize,
        control_len: field(4) as usize,
        message_len: usize::try_from(result).unwrap_or(0).saturating_sub(MESSAGE_AT),
        cut: field(12) & libc::MSG_TRUNC as u32 != 0,
    }
}

/// What a completion is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    /// A RECVMSG; the index is that of the socket.
    Receive,
    /// A send that failed; the index is that of the socket.
    Send,
    /// The sign to stop.
    Stop,
    /// The sign that there are orders.
    Orders,
    /// The end of all others.
    #[default]
    Cancel,
}

/// Packs kind and index into a completion's user data.
fn tag(kind: Kind, index: u32) -> u64 {
    (kind as u64) << 32 | u64::from(index)
}

/// The other way round.
fn untag(user_data: u64) -> (Kind, u32) {
    let kind = match user_data >> 32 {
        0 => Kind::Receive,
        1 => Kind::Send,
        2 => Kind::Stop,
        3 => Kind::Orders,
        _ => Kind::Cancel,
    };
    (kind, user_data as u32)
}

/// The reason why io_uring is not used.
fn failed(step: &str, error: &io::Error) -> String {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            " (forbidden: container seccomp profile or sysctl kernel.io_uring_disabled)"
        }
        Some(libc::ENOSYS) => " (this kernel is built without io_uring)",
        Some(libc::EINVAL) => " (this kernel is too old)",
        Some(libc::ENOMEM) => " (memory, or the limit of locked memory: ulimit -l)",
        _ => "",
    };
    format!("{step}: {}{hint}", Plain(error))
}

/// Buffers of one worker. A power of two, as the buffer ring demands. 4 MiB; a batch is as large as this at most.
const BUFFERS: u16 = 1024;

/// Places for sockets beyond those of the start.
const SPARE_PLACES: usize = LISTENERS_MORE;

/// What stands at a place without a socket.
const NO_FILE: RawFd = -1;

/// Submission queue: every buffer may be sent from, every socket be armed.
const SUBMISSIONS: u32 = 2 * BUFFERS as u32;

/// Completion queue: as the kernel would choose it, twice the submissions.
const COMPLETIONS: u32 = 2 * SUBMISSIONS;

/// The only buffer group of a ring.
const GROUP: u16 = 0;

/// Receptions that may fail in a row before the thread takes a rest with each.
const FAILURES_MAX: u32 = 64;

/// The rest.
const FAILURE_PAUSE: Duration = Duration::from_millis(10);

/// How long the end of all requests is waited for when a ring is dropped.
const CANCEL_WAIT: Duration = Duration::from_secs(2);
