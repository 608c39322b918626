//! Links without a kernel: netmap's slots and buffers in memory of ours, and the [`Wire`] that
//! plays the network card at their far end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use netmap_sys::netmap::{NS_MOREFRAG, netmap_if, netmap_ring, netmap_slot};

use super::frame::Headroom;
use super::provider::Provider;
use super::queue::{BadRing, Queue, RxRing, TxRing};
use super::region::{Region, RegionId};

/// Shape of a set of memory links.
#[derive(Clone, Copy, Debug)]
pub struct MemoryConfig {
    /// Slots of each ring.
    pub slots: u32,
    /// Bytes of each buffer, a multiple of 64.
    pub buf_size: u32,
    /// Where received frames start.
    pub headroom: Headroom,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// Spare buffers of each queue for a handoff ring to each other one's worker.
    pub handoff_slots: u32,
}

impl Default for MemoryConfig {
    fn default() -> Self {
        Self {
            slots: 2048,
            buf_size: 2048,
            headroom: Headroom::new(Headroom::DEFAULT_BASE, 8),
            huge_pages: true,
            handoff_slots: 0,
        }
    }
}

impl MemoryConfig {
    /// The longest frame that fits a buffer behind the largest offset.
    pub fn max_frame(&self) -> usize {
        (self.buf_size as usize).saturating_sub(self.headroom.max() as usize)
    }
}

/// Why memory links could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The system gave no memory.
    #[error("memory rings need {bytes} bytes: {source}")]
    Memory {
        /// How much was asked for.
        bytes: usize,
        /// What the system said.
        source: io::Error,
    },
    /// Slots or buffer sizes are none that a ring can have.
    #[error("memory rings: {0}")]
    Shape(#[from] BadRing),
}

/// Makes `links` links of `queues` queues each in one memory region, so that buffers can be
/// swapped between all of them. Element `[l][q]` is queue `q` of link `l`.
pub fn links(links: usize, queues: usize, config: MemoryConfig) -> Result<Vec<Vec<(Queue, Wire)>>, MemoryError> {
    static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 32); // above every kernel region's 16-bit number
    let slots = config.slots.max(2) as usize;
    let rings = links * queues * 2;
    let ring_len = (size_of::<netmap_ring>() + slots * size_of::<netmap_slot>()).next_multiple_of(128);
    let if_len = size_of::<netmap_if>().next_multiple_of(128);
    // Buffers 0 and 1 are reserved, as in the kernel's regions.
    let bufs_at = (if_len + rings * ring_len).next_multiple_of(4096);
    let spare = (queues - 1) * config.handoff_slots as usize;
    let bytes = bufs_at + (2 + rings * slots + links * queues * spare) * config.buf_size as usize;
    let id = RegionId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    let region =
        Region::anonymous(bytes, id, config.huge_pages).map_err(|source| MemoryError::Memory { bytes, source })?;

    let mut buf = 2u32;
    let mut make_ring = |n: usize, is_tx: bool| {
        let at = if_len + n * ring_len;
        // SAFETY: `at` plus the ring's header and slots lie inside the region by the sums above;
        // nobody else knows the region yet.
        unsafe {
            let ring = region.base().add(at).cast::<netmap_ring>().as_ptr();
            (*ring).buf_ofs = bufs_at as i64 - at as i64;
            (*ring).num_slots = slots as u32;
            (*ring).nr_buf_size = config.buf_size;
            (*ring).ringid = n as u16;
            (*ring).dir = is_tx as u16;
            (*ring).tail = if is_tx { slots as u32 - 1 } else { 0 };
            let slot = ring.add(1).cast::<netmap_slot>();
            for i in 0..slots {
                let start = if is_tx { 0 } else { config.headroom.of(buf) };
                *slot.add(i) = netmap_slot { buf_idx: buf, len: 2048, flags: 0, ptr: start as u64 };
                buf += 1;
            }
        }
        at
    };

    let first_spare = 2 + (rings * slots) as u32;
    let mut all = Vec::with_capacity(links);
    for l in 0..links {
        let mut of_link = Vec::with_capacity(queues);
        for q in 0..queues {
            let n = (l * queues + q) * 2;
            let (tx_at, rx_at) = (make_ring(n, true), make_ring(n + 1, false));
            let queue = Queue {
                rx: RxRing::attach(region.clone(), rx_at, config.headroom)?,
                tx: TxRing::attach(region.clone(), tx_at, config.headroom)?,
                provider: Box::new(Memory),
                spare: (first_spare..).skip((l * queues + q) * spare).take(spare).collect::<Vec<_>>().into(),
            };
            of_link.push((queue, Wire { region: region.clone(), rx_at, tx_at, bufs_at, config, sent_up_to: 0 }));
        }
        all.push(of_link);
    }
    Ok(all)
}

/// The provider of memory links: the wire's side moves the slots, there is nothing to call.
struct Memory;

impl Provider for Memory {
    fn sync_tx(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync_rx(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The far end of a memory queue: puts frames into its receive ring and takes those that were
/// sent, as a network card would.
pub struct Wire {
    region: Arc<Region>,
    rx_at: usize,
    tx_at: usize,
    bufs_at: usize,
    config: MemoryConfig,
    sent_up_to: u32,
}

// SAFETY: a wire owns one side of its two rings; the worker owns the other, and head and tail,
// which are atomics, say whose a slot is.
unsafe impl Send for Wire {}

impl Wire {
    fn ring(&self, at: usize) -> *mut netmap_ring {
        // SAFETY: `at` is a ring made by `links` inside the region.
        unsafe { self.region.base().add(at).cast().as_ptr() }
    }

    fn word(&self, at: usize, field: impl FnOnce(*mut netmap_ring) -> *mut u32) -> &AtomicU32 {
        // SAFETY: the ring header is mapped and aligned, and both sides touch the word as an atomic.
        unsafe { AtomicU32::from_ptr(field(self.ring(at))) }
    }

    fn slot(&self, at: usize, index: u32) -> *mut netmap_slot {
        assert!(index < self.config.slots);
        // SAFETY: `index` is below the number of slots behind the ring's header.
        unsafe { self.ring(at).add(1).cast::<netmap_slot>().add(index as usize) }
    }

    fn buffer(&self, slot: &netmap_slot, len: usize) -> *mut u8 {
        let start = (slot.ptr & 0xffff) as usize;
        let at = self.bufs_at + slot.buf_idx as usize * self.config.buf_size as usize + start;
        assert!(start + len <= self.config.buf_size as usize && at + len <= self.region.len());
        // SAFETY: inside the region, as just checked.
        unsafe { self.region.base().add(at).as_ptr() }
    }

    /// Puts a frame into the receive ring; false when the ring is full or the frame does not fit
    /// a buffer, as a card would lose it.
    pub fn deliver(&mut self, frame: &[u8]) -> bool {
        self.deliver_with(frame.len(), |to| to.copy_from_slice(frame))
    }

    /// Like [`Self::deliver`], with the bytes written by `fill`.
    pub fn deliver_with(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> bool {
        self.put(len, 0, fill)
    }

    /// Puts a frame into as many slots as it has pieces, as a card does that got a frame larger than a
    /// buffer. False, and nothing is put, when there is no room for all of them.
    pub fn deliver_in_slots(&mut self, pieces: &[&[u8]]) -> bool {
        if pieces.len() > self.room() as usize {
            return false;
        }
        let last = pieces.len().saturating_sub(1);
        let mut put = |(i, piece): (usize, &&[u8])| {
            let flags = if i < last { NS_MOREFRAG } else { 0 };
            self.put(piece.len(), flags, |to| to.copy_from_slice(piece))
        };
        pieces.iter().enumerate().all(&mut put)
    }

    fn put(&mut self, len: usize, flags: u16, fill: impl FnOnce(&mut [u8])) -> bool {
        // SAFETY: only the addresses of the fields are taken.
        let head = self.word(self.rx_at, |r| unsafe { &raw mut (*r).head }).load(Ordering::Acquire);
        // SAFETY: as above.
        let tail_word = self.word(self.rx_at, |r| unsafe { &raw mut (*r).tail });
        let tail = tail_word.load(Ordering::Relaxed);
        let next = if tail + 1 == self.config.slots { 0 } else { tail + 1 };
        if next == head || len > self.config.max_frame() {
            return false;
        }
        // SAFETY: slots from tail up to head - 1 are the card's.
        let slot = unsafe { &mut *self.slot(self.rx_at, tail) };
        let to = self.buffer(slot, len);
        // SAFETY: `buffer` checked the range; the slot's buffer is the card's until the tail moves.
        fill(unsafe { std::slice::from_raw_parts_mut(to, len) });
        slot.len = len as u16;
        slot.flags = flags;
        tail_word.store(next, Ordering::Release);
        true
    }

    /// Takes the frames that were sent since the last call, in order, and frees their slots.
    pub fn collect(&mut self, mut each: impl FnMut(&[u8])) -> usize {
        // SAFETY: only the address of the field is taken.
        let head = self.word(self.tx_at, |r| unsafe { &raw mut (*r).head }).load(Ordering::Acquire);
        let mut n = 0;
        while self.sent_up_to != head {
            // SAFETY: slots before head are the card's.
            let slot = unsafe { &*self.slot(self.tx_at, self.sent_up_to) };
            let len = slot.len as usize;
            let from = self.buffer(slot, len);
            // SAFETY: `buffer` checked the range, and the slot is the card's.
            each(unsafe { std::slice::from_raw_parts(from, len) });
            self.sent_up_to = if self.sent_up_to + 1 == self.config.slots { 0 } else { self.sent_up_to + 1 };
            n += 1;
        }
        let tail = if head == 0 { self.config.slots - 1 } else { head - 1 };
        // SAFETY: only the address of the field is taken.
        self.word(self.tx_at, |r| unsafe { &raw mut (*r).tail }).store(tail, Ordering::Release);
        n
    }

    /// The numbers of all buffers in both rings, whoever's they are just now. Buffers are only ever
    /// exchanged, so over all queues of one region these stay the same set: tests look.
    pub fn buffers(&self) -> impl Iterator<Item = u32> + '_ {
        let rings = [self.rx_at, self.tx_at].into_iter();
        rings.flat_map(move |at| {
            (0..self.config.slots).map(move |i| {
                // SAFETY: `slot` checks the index; the number is one aligned word and is only looked at.
                unsafe { (&raw const (*self.slot(at, i)).buf_idx).read() }
            })
        })
    }

    /// Room left in the receive ring.
    pub fn room(&self) -> u32 {
        // SAFETY: only the addresses of the fields are taken.
        let head = self.word(self.rx_at, |r| unsafe { &raw mut (*r).head }).load(Ordering::Acquire);
        // SAFETY: as above.
        let tail = self.word(self.rx_at, |r| unsafe { &raw mut (*r).tail }).load(Ordering::Relaxed);
        let used = if tail >= head { tail - head } else { tail + self.config.slots - head };
        self.config.slots - 1 - used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vlan;

    #[test]
    fn a_frame_crosses_by_swapping_buffers_for_many_laps() {
        let config = MemoryConfig { slots: 8, ..Default::default() };
        let mut made = links(2, 1, config).unwrap();
        let (mut b, mut b_wire) = made.pop().unwrap().pop().unwrap();
        let (mut a, mut a_wire) = made.pop().unwrap().pop().unwrap();
        for lap in 0..1000u32 {
            let frame: Vec<u8> = (0..60 + lap % 1000).map(|i| (i + lap) as u8).collect();
            assert!(a_wire.deliver(&frame));
            assert_eq!(a.rx.available(), 1);
            let taken = a.rx.take().unwrap();
            assert_eq!(taken.len(), frame.len());
            assert_eq!(b.tx.send(&mut a.rx, taken), Ok(()));
            a.rx.release();
            b.tx.publish();
            let mut seen = Vec::new();
            assert_eq!(b_wire.collect(|f| seen.push(f.to_vec())), 1);
            assert_eq!(seen, [frame]);
        }
        assert_eq!(b.rx.available(), 0);
    }

    #[test]
    fn a_frame_goes_from_one_vlan_to_another_and_a_short_one_is_padded_before_its_tag() {
        for headroom in [Headroom::new(64, 8), Headroom::NONE] {
            let mut made = links(2, 1, MemoryConfig { headroom, ..Default::default() }).unwrap();
            let (mut b, mut b_wire) = made.pop().unwrap().pop().unwrap();
            let (mut a, mut a_wire) = made.pop().unwrap().pop().unwrap();
            a.set_vlan(Vlan::new(0xabc));
            b.set_vlan(Vlan::new(0x123));
            for len in [14, 59, 60, 61, 1500] {
                let frame: Vec<u8> = (0..len).map(|i| i as u8 | 1).collect();
                let tagged = |tag: [u8; 4], frame: &[u8]| [&frame[..12], &tag, &frame[12..]].concat();
                assert!(a_wire.deliver(&tagged([0x81, 0, 0xfa, 0xbc], &frame)));
                let taken = a.rx.take().unwrap();
                assert_eq!(a.rx.bytes(taken), frame);
                b.tx.send(&mut a.rx, taken).unwrap();
                a.rx.release();
                b.tx.originate(frame.len(), |to| to.copy_from_slice(&frame)).unwrap();
                b.tx.publish();
                let mut padded = frame.clone();
                padded.resize(frame.len().max(60), 0);
                let wanted = tagged([0x81, 0, 1, 0x23], &padded);
                assert_eq!(b_wire.collect(|sent| assert_eq!(sent, wanted)), 2);
            }
        }
    }

    #[test]
    fn a_full_transmit_ring_says_so_and_keeps_the_frame() {
        let mut made = links(2, 1, MemoryConfig { slots: 4, ..Default::default() }).unwrap();
        let (mut b, mut b_wire) = made.pop().unwrap().pop().unwrap();
        let (mut a, mut a_wire) = made.pop().unwrap().pop().unwrap();
        for i in 0..3u8 {
            assert!(a_wire.deliver(&[i; 60]));
        }
        assert!(!a_wire.deliver(&[9; 60]), "one slot stays empty");
        for _ in 0..3 {
            let f = a.rx.take().unwrap();
            b.tx.send(&mut a.rx, f).unwrap();
        }
        a.rx.release();
        assert!(a_wire.deliver(&[3; 60]));
        let f = a.rx.take().unwrap();
        assert_eq!(b.tx.send(&mut a.rx, f), Err(crate::NotSent::Full));
        b.tx.publish();
        assert_eq!(b_wire.collect(|_| ()), 3);
        assert!(b.tx.send(&mut a.rx, f).is_ok());
    }
}
