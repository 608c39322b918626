//! The far side of a netmap ring in memory of ours: what the kernel's netmap is for its own rings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netmap_sys::netmap::{netmap_ring, netmap_slot};

use crate::region::Region;

/// A ring's slots as their provider sees them. Slots from the head up to the tail are the user's,
/// and all others are this side's.
#[derive(Debug)]
pub(super) struct Slots {
    region: Arc<Region>,
    at: usize,
    len: u32,
}

// SAFETY: this is one side of a ring; the worker has the other, and head and tail, which are
// atomics, say whose a slot is.
unsafe impl Send for Slots {}

/// Which way the frames of a ring go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Receive,
    Transmit,
}

/// Bytes of a ring of `len` slots.
pub(super) fn ring_bytes(len: u32) -> usize {
    (size_of::<netmap_ring>() + len as usize * size_of::<netmap_slot>()).next_multiple_of(128)
}

impl Slots {
    /// The ring of `len` slots, two or more, at `at` of the region.
    ///
    /// # Safety
    /// [`ring_bytes`] of the region from `at` on belong to this ring, and nobody else is this side
    /// of it.
    pub unsafe fn new(region: Arc<Region>, at: usize, len: u32) -> Self {
        assert!(at.is_multiple_of(128) && at + ring_bytes(len) <= region.len() && len >= 2);
        Self { region, at, len }
    }

    /// Writes a header with no frames in the ring. The slots keep their buffers, none of which is
    /// marked as anything.
    pub fn reset(&mut self, direction: Direction, bufs_at: usize, buf_size: u32) {
        let ring = self.ring();
        // SAFETY: all bytes zero is a netmap_ring; the ring lies inside the region (`new`), and the
        // other side is made after the reset.
        unsafe {
            let mut header: netmap_ring = std::mem::zeroed();
            header.buf_ofs = bufs_at as i64 - self.at as i64;
            header.num_slots = self.len;
            header.nr_buf_size = buf_size;
            // The C header's comment has them the wrong way round: 1 is transmit.
            header.dir = u16::from(direction == Direction::Transmit);
            header.tail = if direction == Direction::Transmit { self.len - 1 } else { 0 };
            ring.write(header);
        }
        for i in 0..self.len {
            let buf = self.get(i).buf_idx;
            self.set(i, netmap_slot { buf_idx: buf, len: 0, flags: 0, ptr: 0 });
        }
    }

    /// Where it is in the region.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many slots the ring has.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// The slot after `index`.
    pub fn after(&self, index: u32) -> u32 {
        if index + 1 == self.len { 0 } else { index + 1 }
    }

    /// Slots from `from` up to `to`.
    pub fn between(&self, from: u32, to: u32) -> u32 {
        if to >= from { to - from } else { to + self.len - from }
    }

    /// The first slot that the user has not handed over.
    pub fn head(&self) -> u32 {
        // SAFETY: only the address of the field is taken.
        let head = self.word(|r| unsafe { &raw mut (*r).head }).load(Ordering::Acquire);
        head.min(self.len - 1)
    }

    /// Shows the slots before `tail` to the user.
    pub fn set_tail(&mut self, tail: u32) {
        // SAFETY: only the address of the field is taken.
        self.word(|r| unsafe { &raw mut (*r).tail }).store(tail, Ordering::Release);
    }

    /// A slot's content. Of a slot that is the user's only the buffer's number is looked at, and
    /// only by tests and at the end.
    pub fn get(&self, index: u32) -> netmap_slot {
        // SAFETY: `slot` checks the index; a slot is plain integers.
        unsafe { self.slot(index).read() }
    }

    /// Writes a slot of this side's.
    pub fn set(&mut self, index: u32, slot: netmap_slot) {
        // SAFETY: `slot` checks the index; which slots are this side's the caller knows.
        unsafe { self.slot(index).write(slot) };
    }

    fn ring(&self) -> *mut netmap_ring {
        // SAFETY: `new` found the ring inside the region.
        unsafe { self.region.base().add(self.at).cast().as_ptr() }
    }

    fn slot(&self, index: u32) -> *mut netmap_slot {
        assert!(index < self.len);
        // SAFETY: below the number of slots that `new` found room for behind the header.
        unsafe { self.ring().add(1).cast::<netmap_slot>().add(index as usize) }
    }

    fn word(&self, field: impl FnOnce(*mut netmap_ring) -> *mut u32) -> &AtomicU32 {
        // SAFETY: the ring's header is mapped and aligned; both sides touch these words as atomics.
        unsafe { AtomicU32::from_ptr(field(self.ring())) }
    }
}
