//! One receive ring and one transmit ring as a worker sees them: slots, buffers, offsets.
//!
//! Everything the rest of the crate may do to shared memory is here, so every bound is checked
//! here: the kernel does not report a bad `head`, `buf_idx`, `len` or offset, it resets the ring
//! and goes on. A [`Frame`] that exists has passed those checks.

mod rx;
mod tx;

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netmap_sys::netmap::{netmap_ring, netmap_slot};

use super::cpu::prefetch_to_write;
use super::frame::{Frame, HEAD, Headroom};
use super::provider::Provider;
use super::region::{Region, RegionId};
use super::spare::Spare;
use super::vlan::Vlan;
pub use rx::{BadSlot, RxRing};
pub use tx::{NotSent, Traffic, TxRing};

/// One receive and one transmit ring of a link, owned by one worker.
pub struct Queue {
    /// Frames that came in.
    pub rx: RxRing,
    /// Frames that go out.
    pub tx: TxRing,
    /// Who moves frames between both rings and the world.
    pub provider: Box<dyn Provider>,
    /// Buffers of the same memory beside those of the rings, for handoff rings to other workers; none unless asked for.
    pub spare: Spare,
}

impl Queue {
    /// Both rings are of this VLAN.
    pub fn set_vlan(&mut self, vlan: Option<Vlan>) {
        self.rx.set_vlan(vlan);
        self.tx.set_vlan(vlan);
    }
}

/// A ring's place in shared memory, checked once when it was attached.
#[derive(Debug)]
struct Raw {
    ring: NonNull<netmap_ring>,
    slots: NonNull<netmap_slot>,
    bufs: NonNull<u8>,
    num_slots: u32,
    buf_size: u32,
    /// Buffer indices at or above this lie outside the region.
    buf_limit: u32,
    /// Bytes of all buffers below it, at least 64 KiB.
    bufs_len: usize,
    /// The last place in them where [`HEAD`] bytes begin.
    last_head: usize,
    /// All ones below `offset_bits` where the link knows offsets, else 0.
    offset_mask: u64,
    /// The largest place in a buffer that a frame begins at, [`Headroom::max_start`].
    max_start: u16,
    headroom: Headroom,
    region_id: RegionId,
    /// Keeps the buffers mapped.
    region: Arc<Region>,
    /// Keeps the ring mapped, where it is not in the same memory.
    _ring: Option<Arc<Region>>,
}

// SAFETY: a ring is used by the one worker that owns it; the other side (kernel or `Wire`)
// follows the head/tail protocol, and the region outlives the ring by its `Arc`.
unsafe impl Send for Raw {}

/// A ring in shared memory that does not look like one.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("ring at offset {offset} of the netmap region: {what}")]
pub struct BadRing {
    offset: usize,
    what: String,
}

impl Raw {
    fn attach(region: Arc<Region>, offset: usize, headroom: Headroom) -> Result<Self, BadRing> {
        let bad = |what: String| BadRing { offset, what };
        let header = size_of::<netmap_ring>();
        if !offset.is_multiple_of(64) || offset.checked_add(header).is_none_or(|end| end > region.len()) {
            return Err(bad("its header lies outside the region".into()));
        }
        // SAFETY: the header lies inside the mapped region, as just checked, and is aligned.
        let ring = unsafe { region.base().add(offset) }.cast::<netmap_ring>();
        // SAFETY: as above. These four words do not change while the ring is bound to us.
        let (num_slots, buf_size, buf_ofs, tail) = unsafe {
            let r = ring.as_ptr();
            ((*r).num_slots, (*r).nr_buf_size, (*r).buf_ofs, (*r).tail)
        };
        let slots_end = offset + header + num_slots as usize * size_of::<netmap_slot>();
        if num_slots < 2 || slots_end > region.len() {
            return Err(bad(format!("its {num_slots} slots do not fit the region")));
        }
        if tail >= num_slots {
            return Err(bad(format!("its tail {tail} is not below its {num_slots} slots")));
        }
        let first_buf = usize::try_from(offset as i64 + buf_ofs)
            .ok()
            .filter(|&b| b < region.len())
            .ok_or_else(|| bad(format!("its buffers start at {buf_ofs}, outside the region")))?;
        if (buf_size as usize) < headroom.max() as usize + HEAD + 64 || buf_size > 1 << 16 {
            return Err(bad(format!("its buffers of {buf_size} bytes do not suit headroom {}", headroom.max())));
        }
        let buf_limit = (region.len() - first_buf) / buf_size as usize;
        if buf_limit * (buf_size as usize) < 1 << 16 {
            return Err(bad(format!("there is no room for its buffers behind {buf_ofs}")));
        }
        Ok(Self {
            ring,
            // SAFETY: both lie inside the region, as checked above.
            slots: unsafe { ring.add(1) }.cast(),
            // SAFETY: as above.
            bufs: unsafe { region.base().add(first_buf) },
            num_slots,
            buf_size,
            buf_limit: buf_limit as u32,
            bufs_len: buf_limit * buf_size as usize,
            last_head: buf_limit * buf_size as usize - HEAD,
            offset_mask: if headroom == Headroom::NONE { 0 } else { 0xffff },
            max_start: headroom.max_start(),
            headroom,
            region_id: region.id(),
            region,
            _ring: None,
        })
    }

    /// One end of a handoff ring: header and slots at these places of `rings`, buffers where those of `like` are.
    fn of_handoff(like: &Self, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        // SAFETY: `handoff_ring` made room for a header there.
        let ring = unsafe { rings.base().add(header_at) }.cast::<netmap_ring>();
        // SAFETY: as above; the number does not change.
        let num_slots = unsafe { (*ring.as_ptr()).num_slots };
        assert!(slots_at + num_slots as usize * size_of::<netmap_slot>() <= rings.len());
        Self {
            ring,
            // SAFETY: as just checked.
            slots: unsafe { rings.base().add(slots_at) }.cast(),
            num_slots,
            // Whatever the link knows: a frame goes on from where it begins.
            offset_mask: 0xffff,
            max_start: u16::MAX,
            headroom: Headroom::NONE,
            region: like.region.clone(),
            _ring: Some(rings.clone()),
            ..*like
        }
    }

    /// The slot `i` places after `from`. Below the ring's size if both are.
    #[inline(always)]
    fn slot_index(&self, from: u32, i: u32) -> u32 {
        // The smaller of the two: one of them is wrong by the ring's size, upwards.
        let at = from + i;
        at.min(at.wrapping_sub(self.num_slots))
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> *mut netmap_slot {
        assert!(index < self.num_slots);
        // SAFETY: `attach` checked that `num_slots` slots lie inside the region.
        unsafe { self.slots.as_ptr().add(index as usize) }
    }

    /// Where a frame begins in the buffer memory.
    #[inline(always)]
    fn place(&self, frame: Frame) -> usize {
        frame.buf() as usize * self.buf_size as usize + frame.start()
    }

    /// The first byte of `len` that begin `back` bytes before the frame. The caller sees to it that
    /// they are in the frame's own buffer; that they are in buffer memory is checked here.
    #[inline(always)]
    fn bytes(&self, frame: Frame, back: usize, len: usize) -> NonNull<u8> {
        let at = self.place(frame).wrapping_sub(back);
        assert!(at <= self.bufs_len - len);
        // SAFETY: `bufs_len` bytes from `bufs` on lie inside the region.
        unsafe { self.bufs.add(at) }
    }

    /// Asks the cache for the headers of a frame that begins there in the buffer memory.
    #[inline(always)]
    fn prefetch_head(&self, place: usize) {
        let frame = self.bufs.as_ptr().wrapping_add(place);
        // Headers are rewritten. Tunnelled ones reach into the second line; a pushed header into the line
        // before, which is only written, so the store buffer hides it.
        prefetch_to_write(frame);
        prefetch_to_write(frame.wrapping_add(64));
    }

    /// Asks the cache for `n` slots from `next` on, four to a line.
    fn prefetch_slots(&self, next: u32, n: usize) {
        for i in (0..n as u32 + 3).step_by(4) {
            let index = self.slot_index(next, i.min(self.num_slots));
            prefetch_to_write(self.slots.as_ptr().wrapping_add(index as usize));
        }
    }

    #[inline(always)]
    fn word(&self, field: impl FnOnce(*mut netmap_ring) -> *mut u32) -> &AtomicU32 {
        // SAFETY: the ring header is mapped and aligned; the other side writes these words
        // concurrently, so they are only ever touched as atomics.
        unsafe { AtomicU32::from_ptr(field(self.ring.as_ptr())) }
    }

    #[inline(always)]
    fn tail(&self) -> u32 {
        // SAFETY: only the address of the field is taken.
        let tail = self.word(|r| unsafe { &raw mut (*r).tail }).load(Ordering::Acquire);
        // A tail outside the ring would be the other side's bug: then nothing is available.
        if tail < self.num_slots { tail } else { self.head() }
    }

    fn head(&self) -> u32 {
        // SAFETY: only the address of the field is taken.
        let head = self.word(|r| unsafe { &raw mut (*r).head }).load(Ordering::Relaxed);
        head.min(self.num_slots - 1)
    }

    /// Gives everything before `next` to the other side.
    #[inline(always)]
    fn publish(&self, next: u32) {
        // SAFETY: only the addresses of the fields are taken.
        self.word(|r| unsafe { &raw mut (*r).cur }).store(next, Ordering::Relaxed);
        // SAFETY: as above.
        self.word(|r| unsafe { &raw mut (*r).head }).store(next, Ordering::Release);
    }

    /// Slots from `next` up to the tail.
    #[inline(always)]
    fn until_tail(&self, next: u32) -> u32 {
        let tail = self.tail();
        if tail >= next { tail - next } else { tail + self.num_slots - next }
    }
}
