//! AF_XDP's own rings: single producer, single consumer, shared with the kernel
//! (Documentation/networking/af_xdp.rst). The producer and consumer words run freely and wrap at
//! 2^32; an entry is their value modulo the ring's size, a power of two.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::region::Region;

/// A ring in a mapping, from either side.
struct Ring<T> {
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    /// The number of entries, a power of two, less one.
    mask: u32,
    /// Keeps the ring mapped.
    _mapping: Arc<Region>,
}

// SAFETY: a ring's one side is used by whoever owns this value; its words are atomics, and which
// entries are whose follows from them. The mapping outlives it by its `Arc`.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// The ring that `at` describes.
    ///
    /// # Safety
    /// The mapping holds a ring of `T` there, as the kernel lays it out, with no other user of
    /// this side; any bytes are a `T`.
    unsafe fn new(mapping: Arc<Region>, at: &libc::xdp_ring_offset, entries: u32) -> Self {
        assert!(entries.is_power_of_two());
        let inside = |offset: u64, len: usize, align: usize| {
            let offset = offset as usize;
            assert!(offset + len <= mapping.len() && offset.is_multiple_of(align));
            // SAFETY: inside the mapping, as just checked.
            unsafe { mapping.base().add(offset) }
        };
        Self {
            producer: inside(at.producer, 4, 4).cast(),
            consumer: inside(at.consumer, 4, 4).cast(),
            flags: inside(at.flags, 4, 4).cast(),
            entries: inside(at.desc, entries as usize * size_of::<T>(), align_of::<T>()).cast(),
            mask: entries - 1,
            _mapping: mapping,
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: `new` found it inside the mapping and aligned; both sides touch it as an atomic.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.consumer.as_ref() }
    }

    fn flags(&self) -> &AtomicU32 {
        // SAFETY: as in `producer`.
        unsafe { self.flags.as_ref() }
    }

    fn entry(&self, n: u32) -> *mut T {
        // SAFETY: the masked index is below the number of entries that `new` found room for.
        unsafe { self.entries.as_ptr().add((n & self.mask) as usize) }
    }
}

/// The side of a ring that puts entries in.
pub(super) struct Producer<T> {
    ring: Ring<T>,
    /// The next entry; those before it are the other side's once published.
    next: u32,
    /// The consumer word as last seen.
    taken: u32,
}

impl<T: Copy> Producer<T> {
    /// # Safety
    /// As for [`Ring::new`].
    pub unsafe fn new(mapping: Arc<Region>, at: &libc::xdp_ring_offset, entries: u32) -> Self {
        // SAFETY: the caller's promise.
        let ring = unsafe { Ring::new(mapping, at, entries) };
        let next = ring.producer().load(Ordering::Relaxed);
        let taken = ring.consumer().load(Ordering::Acquire);
        Self { ring, next, taken }
    }

    /// Entries that can be pushed.
    pub fn room(&mut self) -> u32 {
        self.taken = self.ring.consumer().load(Ordering::Acquire);
        // A consumer word that ran ahead would be the kernel's bug: then there is no room.
        (self.ring.mask + 1).saturating_sub(self.next.wrapping_sub(self.taken))
    }

    /// Puts an entry in. Not more often than [`Self::room`] said.
    pub fn push(&mut self, value: T) {
        // SAFETY: an entry between the consumer's word and the producer's plus the ring's size is
        // this side's until `publish`.
        unsafe { self.ring.entry(self.next).write(value) };
        self.next = self.next.wrapping_add(1);
    }

    /// Hands what was pushed to the other side.
    pub fn publish(&mut self) {
        self.ring.producer().store(self.next, Ordering::Release);
    }

    /// Entries that the other side has not taken yet, pushed and not published ones among them.
    pub fn waiting(&mut self) -> u32 {
        self.taken = self.ring.consumer().load(Ordering::Acquire);
        self.next.wrapping_sub(self.taken)
    }

    /// Whether the kernel sleeps and wants a system call to go on (`XDP_RING_NEED_WAKEUP`).
    pub fn needs_wakeup(&self) -> bool {
        self.ring.flags().load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

/// The side of a ring that takes entries out.
pub(super) struct Consumer<T> {
    ring: Ring<T>,
    /// The next entry to take.
    next: u32,
}

impl<T: Copy> Consumer<T> {
    /// # Safety
    /// As for [`Ring::new`].
    pub unsafe fn new(mapping: Arc<Region>, at: &libc::xdp_ring_offset, entries: u32) -> Self {
        // SAFETY: the caller's promise.
        let ring = unsafe { Ring::new(mapping, at, entries) };
        let next = ring.consumer().load(Ordering::Relaxed);
        Self { ring, next }
    }

    /// Entries that can be popped.
    pub fn available(&self) -> u32 {
        let n = self.ring.producer().load(Ordering::Acquire).wrapping_sub(self.next);
        n.min(self.ring.mask + 1)
    }

    /// Takes an entry. Not more often than [`Self::available`] said.
    pub fn pop(&mut self) -> T {
        // SAFETY: entries up to the producer's word are written and are this side's until `release`.
        let value = unsafe { self.ring.entry(self.next).read() };
        self.next = self.next.wrapping_add(1);
        value
    }

    /// Gives the popped entries' places back.
    pub fn release(&mut self) {
        self.ring.consumer().store(self.next, Ordering::Release);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::region::RegionId;

    /// Both ends of a ring in memory of ours: a test plays the kernel.
    pub fn pipe<T: Copy>(entries: u32) -> (Producer<T>, Consumer<T>) {
        let at = libc::xdp_ring_offset { producer: 0, consumer: 64, flags: 128, desc: 192 };
        let region = Region::anonymous(192 + entries as usize * size_of::<T>(), RegionId(0), false).unwrap();
        // SAFETY: zeroed memory of that size is an empty ring; each end is made once.
        unsafe { (Producer::new(region.clone(), &at, entries), Consumer::new(region, &at, entries)) }
    }

    #[test]
    fn entries_pass_in_order_and_the_words_wrap() {
        let (mut producer, mut consumer) = pipe::<u64>(4);
        // Just before the words wrap.
        for word in [producer.ring.producer(), producer.ring.consumer()] {
            word.store(u32::MAX - 1, Ordering::Relaxed);
        }
        (producer.next, consumer.next) = (u32::MAX - 1, u32::MAX - 1);
        let (mut sent, mut seen) = (0, 0);
        for lap in 0..20 {
            let n = producer.room().min(1 + lap % 4);
            (0..n).for_each(|_| {
                producer.push(sent);
                sent += 1;
            });
            assert_eq!(consumer.available(), 0, "nothing is seen before it is published");
            producer.publish();
            assert_eq!((consumer.available(), producer.waiting(), producer.room()), (n, n, 4 - n));
            (0..n).for_each(|_| {
                assert_eq!(consumer.pop(), seen);
                seen += 1;
            });
            assert_eq!(producer.room(), 4 - n, "places come back when they are released");
            consumer.release();
        }
        assert!(sent > 8 && sent == seen);
    }
}
