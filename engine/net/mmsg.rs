//! Datagrams over `recvmmsg` and `sendmmsg`, for where io_uring is forbidden or too old.
//!
//! # Who owns what
//!
//! The calls are synchronous: the kernel uses the memory that the headers point to between call and return, and at no
//! other time. Buffers, headers and vectors are boxed at start and never move, and the headers are the only pointers to
//! them that last; a reference to a buffer is made after `recvmmsg` has returned and ends before `sendmmsg` is called.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::ptr;

use super::counters::WorkerTotals;
use super::datagram::{
    self, BUFFER_SIZE, CONTROL_AT, CONTROL_ROOM, Filled, MESSAGE_AT, MESSAGE_ROOM, NAME_AT, NAME_ROOM,
};
use super::orders::Orders;
use super::socket::Endpoint;
use super::stop::Stop;
use super::worker::{PacketIo, Taken, Wait};
use super::{AHEAD, Batch, Responder};

/// The way in over `recvmmsg`, for one thread.
pub(super) struct Mmsg {
    /// The sockets.
    endpoints: Vec<Endpoint>,
    /// `BATCH` buffers; only used through `base`.
    buffers: *mut [u8],
    /// One for each buffer: what to receive into.
    receive: Box<[libc::mmsghdr]>,
    /// The same for the answers, in the order in which they are sent.
    send: Box<[libc::mmsghdr]>,
    /// One for each buffer: where its message lies.
    receive_parts: Box<[libc::iovec]>,
    /// One for each entry of `send`.
    send_parts: Box<[libc::iovec]>,
    /// The sign to stop, the sign that there are orders, then the sockets in the order of `endpoints`.
    polled: Vec<libc::pollfd>,
    /// The last turn left something in a socket: there is no need to wait.
    more: bool,
    /// What has been received and not yet been answered; outlives a turn only when answering panicked.
    batch: Received,
}

/// How far the answering of received datagrams has come.
#[derive(Clone, Copy, Debug, Default)]
struct Received {
    /// Index of the socket.
    socket: usize,
    /// Datagrams received.
    received: usize,
    /// The next to answer.
    next: usize,
    /// Answers that wait to be sent.
    answers: usize,
}

impl Mmsg {
    /// Prepares buffers and headers.
    pub(super) fn open(endpoints: Vec<Endpoint>, orders: &Orders, stop: &Stop) -> Self {
        let signs = [stop.fd().as_raw_fd(), orders.fd().as_raw_fd()];
        let polled = signs.into_iter().chain(endpoints.iter().map(Endpoint::raw)).map(poll).collect();
        let buffers = Box::into_raw(vec![0u8; BATCH * BUFFER_SIZE].into_boxed_slice());
        let nothing = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut this = Self {
            endpoints,
            buffers,
            receive: vec![empty_header(); BATCH].into_boxed_slice(),
            send: vec![empty_header(); BATCH].into_boxed_slice(),
            receive_parts: vec![nothing; BATCH].into_boxed_slice(),
            send_parts: vec![nothing; BATCH].into_boxed_slice(),
            polled,
            more: false,
            batch: Received::default(),
        };
        for index in 0..BATCH {
            let base = this.base(index);
            let part = &mut this.receive_parts[index];
            *part = libc::iovec { iov_base: base.wrapping_add(MESSAGE_AT).cast(), iov_len: MESSAGE_ROOM };
            let header = &mut this.receive[index].msg_hdr;
            header.msg_name = base.wrapping_add(NAME_AT).cast();
            header.msg_control = base.wrapping_add(CONTROL_AT).cast();
            header.msg_iov = part;
            header.msg_iovlen = 1;
            let header = &mut this.send[index].msg_hdr;
            header.msg_iov = &raw mut this.send_parts[index];
            header.msg_iovlen = 1;
        }
        this
    }

    /// The first octet of a buffer. `index` is below `BATCH`.
    fn base(&self, index: usize) -> *mut u8 {
        debug_assert!(index < BATCH);
        self.buffers.cast::<u8>().wrapping_add(index * BUFFER_SIZE)
    }

    /// Takes one batch from one socket and returns how many datagrams it was.
    fn receive(&mut self, fd: i32) -> io::Result<usize> {
        for header in &mut self.receive {
            header.msg_hdr.msg_namelen = NAME_ROOM as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_ROOM as _;
        }
        // SAFETY: `receive` has `BATCH` headers, whose pointers were set in `open` to memory that lives as long as
        // `self`; nobody holds a reference to it now.
        let count = unsafe {
            libc::recvmmsg(fd, self.receive.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT as _, ptr::null_mut())
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Has what is left of the batch answered, and sends all its answers. What a panic left goes one by one, so that none
    /// of it can stop the others.
    fn answer_batch(&mut self, batch: &mut impl Batch, alone: bool, tally: &mut WorkerTotals) {
        let Some(endpoint) = self.endpoints.get(self.batch.socket) else {
            return;
        };
        while self.batch.next < self.batch.received {
            let window = self.batch.next..self.batch.received.min(self.batch.next + AHEAD);
            if !alone {
                for (place, index) in window.clone().enumerate() {
                    // SAFETY: as below; the reference ends before the next one is made.
                    let buffer = unsafe { std::slice::from_raw_parts(self.base(index), BUFFER_SIZE) };
                    datagram::read(buffer, self.filled(index), endpoint, place, batch);
                }
                (0..window.len()).for_each(|place| batch.fetch(place));
            }
            for (place, from) in window.enumerate() {
                self.batch.next += 1;
                let base = self.base(from);
                // SAFETY: `base` begins a buffer of this size, and no call that uses it is under way.
                let buffer = unsafe { std::slice::from_raw_parts_mut(base, BUFFER_SIZE) };
                let Some(reply) = datagram::answer(buffer, self.filled(from), endpoint, tally, place, alone, batch)
                else {
                    continue;
                };
                let to = self.batch.answers;
                self.batch.answers += 1;
                let part = &mut self.send_parts[to];
                part.iov_base = base.wrapping_add(MESSAGE_AT).cast();
                part.iov_len = reply.len;
                let header = &mut self.send[to].msg_hdr;
                header.msg_name = base.wrapping_add(NAME_AT).cast();
                header.msg_namelen = reply.name_len as libc::socklen_t;
                header.msg_control = base.wrapping_add(CONTROL_AT).cast();
                header.msg_controllen = reply.control_len as _;
            }
        }
        let (fd, answers) = (endpoint.raw(), self.batch.answers);
        self.batch = Received::default();
        self.send(fd, answers, tally);
    }

    /// What the kernel put into a buffer of the batch.
    fn filled(&self, index: usize) -> Filled {
        let received = &self.receive[index];
        let header = &received.msg_hdr;
        Filled {
            name_len: header.msg_namelen as usize,
            control_len: header.msg_controllen,
            message_len: received.msg_len as usize,
            cut: header.msg_flags & libc::MSG_TRUNC != 0,
        }
    }

    /// Sends the first `count` entries of `send`; what the kernel refuses is dropped and counted.
    fn send(&mut self, fd: i32, count: usize, tally: &mut WorkerTotals) {
        let mut done = 0;
        while let Some(rest) = self.send.get_mut(done..count).filter(|rest| !rest.is_empty()) {
            // SAFETY: `rest` has as many headers, whose pointers lead to the vectors and buffers of `self`; nobody
            // holds a reference to them now.
            let sent = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT as _) };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => done += sent,
                // The error is that of the first message; the others have not been tried.
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => {
                    tally.dropped += 1;
                    done += 1;
                }
            }
        }
    }
}

impl PacketIo for Mmsg {
    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let timeout = if wait == Wait::Look || self.more { 0 } else { -1 };
        // SAFETY: `polled` has as many entries as are named.
        let count = unsafe { libc::poll(self.polled.as_mut_ptr(), self.polled.len() as _, timeout) };
        if count < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted { Ok(()) } else { Err(error) };
        }
        Ok(())
    }

    fn take(&mut self, responder: &mut impl Responder, tally: &mut WorkerTotals) -> Taken {
        let mut taken = Taken::default();
        if self.batch.received > 0 {
            self.answer_batch(&mut responder.batch(), true, tally);
        }
        self.more = false;
        taken.stop = self.polled[0].revents != 0;
        taken.orders = self.polled[1].revents != 0;
        for index in 0..self.endpoints.len() {
            if self.polled[SIGNS + index].revents == 0 {
                continue;
            }
            let endpoint = &self.endpoints[index];
            match self.receive(endpoint.raw()) {
                Ok(received) => {
                    taken.datagrams += received as u64;
                    self.more |= received == BATCH;
                    self.batch = Received { socket: index, received, ..Received::default() };
                    self.answer_batch(&mut responder.batch(), false, tally);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => tally.errors += u64::from(error.kind() != io::ErrorKind::Interrupted),
            }
        }
        taken
    }

    fn open(&mut self, endpoint: Endpoint) -> io::Result<()> {
        self.polled.push(poll(endpoint.raw()));
        self.endpoints.push(endpoint);
        Ok(())
    }

    fn close(&mut self, listener: usize, at_once: bool) -> bool {
        let Some(index) = self.endpoints.iter().position(|endpoint| endpoint.listener == listener) else { return true };
        if !at_once && !self.endpoints[index].is_empty() {
            return false;
        }
        self.endpoints.remove(index);
        self.polled.remove(SIGNS + index);
        true
    }

    fn close_door(&mut self) {
        self.endpoints.iter().for_each(Endpoint::close_door);
    }

    fn is_awaited(&self) -> bool {
        self.endpoints.iter().any(Endpoint::is_awaited)
    }
}

impl Drop for Mmsg {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `open` and freed here only.
        drop(unsafe { Box::from_raw(self.buffers) });
    }
}

/// What is waited for at a descriptor.
fn poll(fd: i32) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

/// A header that points nowhere.
fn empty_header() -> libc::mmsghdr {
    // SAFETY: all-zero is a valid mmsghdr: null pointers with length 0.
    unsafe { zeroed() }
}

/// Descriptors that are polled before the sockets.
const SIGNS: usize = 2;

/// Datagrams taken in one call. More would not lower the cost of a call noticeably, and delays the first answer.
const BATCH: usize = 64;
