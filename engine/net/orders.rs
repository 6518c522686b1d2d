//! What a worker is told while it runs: listeners that come and go.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};

use super::socket::Endpoint;

/// One thing that a worker is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Answer what comes in on this socket, too.
    Open(Endpoint),
    /// Let go of the socket of this listener, as soon as what has come in is answered.
    Close(usize),
}

/// The orders of one worker, and the bell that wakes it.
#[derive(Debug)]
pub(super) struct Orders {
    /// Those that it has not taken.
    list: Mutex<Vec<Order>>,
    /// Becomes readable with an order.
    hears: UnixStream,
    /// The other end.
    rings: UnixStream,
}

impl Orders {
    /// None yet.
    pub(super) fn new() -> io::Result<Self> {
        let (hears, rings) = UnixStream::pair()?;
        hears.set_nonblocking(true)?;
        rings.set_nonblocking(true)?;
        Ok(Self { list: Mutex::default(), hears, rings })
    }

    /// Tells the worker.
    pub(super) fn give(&self, order: Order) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // If there is no room the bell is ringing already.
        let _ = (&self.rings).write(&[0]);
    }

    /// What the worker has been told since it last looked.
    pub(super) fn take(&self) -> Vec<Order> {
        let mut rings = [0; 64];
        while (&self.hears).read(&mut rings).is_ok_and(|count| count == rings.len()) {}
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The descriptor that becomes readable.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.hears.as_fd()
    }
}
