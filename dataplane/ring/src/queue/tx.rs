//! The transmit side: frames go out by exchanging buffers.

use std::sync::Arc;

use netmap_sys::netmap::{NS_BUF_CHANGED, netmap_slot};

use super::{BadRing, Raw, RxRing};
use crate::frame::{Frame, Headroom};
use crate::region::{Region, RegionId};
use crate::vlan::{MIN_FRAME, TAG, Vlan};

/// The transmit side of a queue.
#[derive(Debug)]
#[repr(align(128))]
pub struct TxRing {
    raw: Raw,
    /// First slot not yet handed to the other side.
    next: u32,
    /// Slots left as of the last look at the tail.
    space: u32,
    vlan: Option<Vlan>,
    /// A frame that begins here or later is not sent as it is, with a VLAN none is.
    too_far: usize,
    traffic: Traffic,
}

/// What went through a transmit ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many frames were put into the ring.
    pub frames: u64,
    /// Their bytes, tags included.
    pub bytes: u64,
    /// Those that were moved inside their buffer, because this link knows no offsets, or none that
    /// large, or because there was no room for a tag.
    pub shifted: u64,
    /// Those that were copied, because they came from another memory region.
    pub copied: u64,
}

/// Why a frame is not in the transmit ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// There is no free slot.
    #[error("transmit ring full")]
    Full,
    /// It is longer than a buffer of the link.
    #[error("longer than a buffer")]
    TooLong,
}

impl TxRing {
    /// Attaches to the transmit ring at `offset` of `region`.
    pub(crate) fn attach(region: Arc<Region>, offset: usize, headroom: Headroom) -> Result<Self, BadRing> {
        let raw = Raw::attach(region, offset, headroom)?;
        let next = raw.head();
        Ok(Self::of(raw, next))
    }

    fn of(raw: Raw, next: u32) -> Self {
        let space = raw.until_tail(next);
        let too_far = usize::from(raw.max_start) + 1;
        Self { raw, next, space, vlan: None, too_far, traffic: Traffic::default() }
    }

    /// Frames get the tag of this VLAN when they are sent. `None`: they are sent as they are.
    pub fn set_vlan(&mut self, vlan: Option<Vlan>) {
        self.vlan = vlan;
        self.too_far = if vlan.is_some() { 0 } else { usize::from(self.raw.max_start) + 1 };
    }

    /// The end of a handoff ring that frames go into; see [`crate::handoff_ring`].
    pub(crate) fn of_handoff(like: &RxRing, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        Self::of(Raw::of_handoff(&like.raw, rings, header_at, slots_at), 0)
    }

    /// Slots free. One slot of the ring always stays empty.
    #[inline(always)]
    pub fn space(&mut self) -> u32 {
        self.space = self.raw.until_tail(self.next);
        self.space
    }

    #[inline(always)]
    fn claim(&mut self) -> Result<u32, NotSent> {
        if self.space == 0 && self.space() == 0 {
            return Err(NotSent::Full);
        }
        Ok(self.next)
    }

    #[inline(always)]
    fn advance(&mut self, len: usize) {
        self.advance_all(1, len as u64, self.raw.slot_index(self.next, 1));
    }

    #[inline(always)]
    fn advance_all(&mut self, frames: u32, bytes: u64, next: u32) {
        self.traffic.frames += u64::from(frames);
        self.traffic.bytes += bytes;
        self.space -= frames;
        self.next = next;
    }

    /// Asks the cache for the next `n` slots, which another core wrote, as far as they are free.
    pub fn prefetch_slots(&self, n: usize) {
        self.raw.prefetch_slots(self.next, n.min(self.space as usize));
    }

    /// Puts a received frame into this ring and this ring's spare buffer into the frame's slot.
    /// The frame must not be used afterwards.
    #[inline(always)]
    pub fn send(&mut self, rx: &mut RxRing, frame: Frame) -> Result<(), NotSent> {
        let index = self.claim()?;
        if self.raw.region_id != rx.raw.region_id {
            return self.send_copy(rx, frame, self.vlan);
        }
        if frame.start() >= self.too_far {
            return self.send_moved(rx, frame, self.vlan);
        }
        self.exchange(index, rx, frame);
        Ok(())
    }

    /// As [`Self::send`], without a tag or with the one that the frame has: it is not of the link's VLAN.
    pub fn send_as_it_is(&mut self, rx: &mut RxRing, frame: Frame) -> Result<(), NotSent> {
        self.claim()?;
        match self.raw.region_id == rx.raw.region_id {
            true => self.send_moved(rx, frame, None),
            false => self.send_copy(rx, frame, None),
        }
    }

    /// [`Self::send`] of all of these frames, into a ring that takes them as they are, from wherever they begin: their
    /// buffers are in its memory and it has no VLAN. Answers how many there was room for.
    #[inline(always)]
    pub(crate) fn send_all(&mut self, rx: &mut RxRing, frames: &[Frame]) -> usize {
        debug_assert!(self.raw.region_id == rx.raw.region_id && self.vlan.is_none() && self.too_far > u16::MAX.into());
        let (mut next, mut bytes) = (self.next, 0);
        let frames = &frames[..frames.len().min(self.space as usize)];
        for &frame in frames {
            self.swap(next, rx, frame);
            bytes += frame.len() as u64;
            next = self.raw.slot_index(next, 1);
        }
        self.advance_all(frames.len() as u32, bytes, next);
        frames.len()
    }

    #[inline(always)]
    fn exchange(&mut self, index: u32, rx: &mut RxRing, frame: Frame) {
        self.swap(index, rx, frame);
        self.advance(frame.len());
    }

    /// The frame's buffer into this slot, and what was in this slot into the frame's.
    #[inline(always)]
    fn swap(&self, index: u32, rx: &mut RxRing, frame: Frame) {
        assert!(frame.start() + frame.len() <= self.raw.buf_size as usize);
        let theirs = rx.raw.slot(frame.slot());
        let ours = self.raw.slot(index);
        // SAFETY: the receive slot is between its head and tail, the transmit slot between its:
        // both are ours until `release` and `publish`, and they are in different rings.
        unsafe {
            let spare = (*ours).buf_idx;
            let len = frame.len() as u16;
            *ours = netmap_slot { buf_idx: frame.buf(), len, flags: NS_BUF_CHANGED, ptr: frame.start() as u64 };
            // 0 where the link knows no offsets.
            let start = rx.raw.headroom.of(spare) as u64;
            *theirs = netmap_slot { buf_idx: spare, len: 0, flags: NS_BUF_CHANGED, ptr: start };
        }
    }

    /// Sends a frame that needs a tag, or begins where this link cannot send from, or neither.
    #[cold]
    #[inline(never)]
    fn send_moved(&mut self, rx: &mut RxRing, frame: Frame, vlan: Option<Vlan>) -> Result<(), NotSent> {
        let index = self.claim()?;
        let (mut frame, mut shifts) = match vlan {
            Some(vlan) => rx.tag(frame, vlan).ok_or(NotSent::TooLong)?,
            None => (frame, 0),
        };
        if frame.start() > self.raw.max_start.into() {
            frame = rx.shift(frame, 0).ok_or(NotSent::TooLong)?;
            shifts = 1;
        }
        self.traffic.shifted += shifts;
        self.exchange(index, rx, frame);
        Ok(())
    }

    #[cold]
    fn send_copy(&mut self, rx: &mut RxRing, frame: Frame, vlan: Option<Vlan>) -> Result<(), NotSent> {
        let bytes = rx.bytes(frame);
        self.write(vlan, bytes.len(), |to| to.copy_from_slice(bytes))?;
        self.traffic.copied += 1;
        Ok(())
    }

    /// What was sent since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        std::mem::take(&mut self.traffic)
    }

    /// Sends a frame of `len` bytes that `fill` writes into the slot's own buffer.
    pub fn originate(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), NotSent> {
        self.write(self.vlan, len, fill)
    }

    fn write(&mut self, vlan: Option<Vlan>, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), NotSent> {
        let index = self.claim()?;
        let slot = self.raw.slot(index);
        // SAFETY: a slot between head and tail is ours until `publish`.
        let slot = unsafe { &mut *slot };
        let start = self.raw.headroom.of(slot.buf_idx) as usize;
        let (front, whole) = if vlan.is_some() { (TAG, TAG + len.max(MIN_FRAME)) } else { (0, len) };
        if slot.buf_idx >= self.raw.buf_limit {
            return Err(NotSent::Full);
        }
        if start + whole > self.raw.buf_size as usize {
            return Err(NotSent::TooLong);
        }
        let frame = Frame::new(index, slot.buf_idx, start, whole);
        let at = self.raw.bytes(frame, 0, whole);
        // SAFETY: the bytes are inside the slot's buffer, which nobody else holds.
        let bytes = unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), whole) };
        fill(&mut bytes[front..front + len]);
        if let Some(vlan) = vlan {
            bytes[front + len..].fill(0);
            bytes.copy_within(TAG..TAG + 12, 0);
            bytes[12..12 + TAG].copy_from_slice(&vlan.tag());
        }
        slot.len = whole as u16;
        // The same buffer, but perhaps from another offset: see `RxRing::take`.
        slot.flags = NS_BUF_CHANGED;
        if self.raw.offset_mask != 0 {
            slot.ptr = start as u64;
        }
        self.advance(whole);
        Ok(())
    }

    /// Hands all frames sent so far to the other side.
    #[inline(always)]
    pub fn publish(&mut self) {
        self.raw.publish(self.next);
    }

    /// Whether frames were sent that the other side has not taken yet.
    pub fn pending(&self) -> bool {
        self.raw.until_tail(self.next) != self.raw.num_slots - 1
    }

    /// The memory its buffers are in.
    pub fn region(&self) -> RegionId {
        self.raw.region_id
    }

    /// Bytes of each buffer.
    pub fn buf_size(&self) -> u32 {
        self.raw.buf_size
    }

    /// Number of slots; one fewer can be filled.
    pub fn slots(&self) -> u32 {
        self.raw.num_slots
    }
}
