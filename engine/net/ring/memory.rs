//! The buffers of a ring, and how they are handed to the kernel. Who owns what is written at the top of `ring.rs`.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::super::datagram::BUFFER_SIZE;
use super::buffers::Home;
use super::{BUFFERS, GROUP};

/// The buffers of one ring, and the ring through which the kernel gets them.
pub(super) struct Memory {
    /// `BUFFERS` times `BUFFER_SIZE` octets.
    buffers: NonNull<u8>,
    /// The buffer ring: `BUFFERS` entries on a page of their own.
    entries: NonNull<BufRingEntry>,
    /// How many buffers have been given to the kernel since the start, modulo 2^16; the next entry to write.
    tail: u16,
    /// Leave the memory allocated: the kernel may still write to it.
    pub(super) keep: bool,
}

impl Memory {
    /// Allocates all buffers and gives them to the kernel.
    pub(super) fn register(ring: &IoUring) -> io::Result<Self> {
        let mut memory =
            Self { buffers: allocate(BUFFERS_LAYOUT), entries: allocate(ENTRIES_LAYOUT).cast(), tail: 0, keep: false };
        let entries = memory.entries.as_ptr() as u64;
        // SAFETY: the entries are page-aligned, `BUFFERS` in number, and are freed only after the ring has no more
        // requests, or never: `Ring::drop` sees to it.
        unsafe { ring.submitter().register_buf_ring_with_flags(entries, BUFFERS, GROUP, 0) }?;
        for id in 0..BUFFERS {
            memory.give(id);
        }
        memory.publish();
        Ok(memory)
    }

    /// The first octet of a buffer. `id` is below `BUFFERS`.
    pub(super) fn base(&self, id: u16) -> *mut u8 {
        debug_assert!(id < BUFFERS);
        self.buffers.as_ptr().wrapping_add(usize::from(id) * BUFFER_SIZE)
    }

    /// A whole buffer, to be read and written.
    ///
    /// # Safety
    ///
    /// `id` is below `BUFFERS`, and the buffer is T's for as long as the reference lives.
    pub(super) unsafe fn buffer<'a>(&self, id: u16) -> &'a mut [u8] {
        // SAFETY: the octets lie within the allocation and were zeroed at the start; the caller promises the rest.
        unsafe { std::slice::from_raw_parts_mut(self.base(id), BUFFER_SIZE) }
    }
}

impl Home for Memory {
    /// Writes a buffer of T's into the buffer ring. It becomes K's with [`publish`](Home::publish).
    #[inline]
    fn give(&mut self, id: u16) {
        let addr = self.base(id) as u64;
        let at = usize::from(self.tail % BUFFERS);
        // SAFETY: `at` is within the ring. The kernel reads entries between its head and the published tail; this one
        // lies behind the tail, as there are no more buffers than entries. The last field of entry 0 is the tail
        // itself, which `set_addr`, `set_len` and `set_bid` do not write.
        let entry = unsafe { self.entries.add(at).as_mut() };
        entry.set_addr(addr);
        entry.set_len(BUFFER_SIZE as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given.
    #[inline]
    fn publish(&mut self) {
        // SAFETY: the first entry exists and is initialized, being zeroed memory; the tail is its last field.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) }.cast_mut();
        // SAFETY: the field is aligned to 2, lives as long as `self`, and is written by this thread alone; the kernel
        // reads it with acquire order.
        unsafe { AtomicU16::from_ptr(tail) }.store(self.tail, Ordering::Release);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if !self.keep {
            // SAFETY: allocated by `register` with this layout, and no request uses it any more (`Ring::drop`); the
            // buffer ring's own pages are pinned by the kernel for as long as it is registered.
            unsafe { dealloc(self.buffers.as_ptr(), BUFFERS_LAYOUT) };
            // SAFETY: as above.
            unsafe { dealloc(self.entries.as_ptr().cast(), ENTRIES_LAYOUT) };
        }
    }
}

/// Zeroed memory.
fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: both layouts have a size other than zero.
    let memory = unsafe { alloc_zeroed(layout) };
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Layout of the buffers: from a page's beginning.
const BUFFERS_LAYOUT: Layout = layout(BUFFERS as usize * BUFFER_SIZE);

/// Layout of the buffer ring, which has to begin at a page.
const ENTRIES_LAYOUT: Layout = layout(BUFFERS as usize * size_of::<BufRingEntry>());

/// Pages.
const fn layout(size: usize) -> Layout {
    match Layout::from_size_align(size, PAGE) {
        Ok(layout) => layout,
        Err(_) => panic!("the buffers are too large"),
    }
}

/// The largest page size in use on Linux: what the buffer ring is aligned to.
const PAGE: usize = 65536;
