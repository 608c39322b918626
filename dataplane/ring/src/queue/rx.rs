//! The receive side: which frames wait, and their bytes.

use std::sync::Arc;

use netmap_sys::netmap::{NS_BUF_CHANGED, NS_MOREFRAG};

use super::{BadRing, Raw};
use crate::frame::{Frame, HEAD, Headroom};
use crate::region::{Region, RegionId};
use crate::vlan::{self, MIN_FRAME, TAG, Tagged, Vlan};

/// Length of an Ethernet header.
const ETHERNET: usize = 14;

/// Why a receive slot holds nothing that may be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSlot {
    /// `buf_idx`, `len` or offset point outside the buffer memory.
    Bounds,
    /// Part of a frame that spans several slots.
    MoreFrag,
    /// Shorter than an Ethernet header. Zero-length slots occur on native links.
    Runt,
    /// Of another VLAN than the link's, or of none: [`RxRing::refused`] is the frame.
    Vlan,
}

/// The receive side of a queue. Frames are taken in order, then their slots are released together.
#[derive(Debug)]
#[repr(align(128))]
pub struct RxRing {
    pub(super) raw: Raw,
    /// First slot not yet taken. Always below the ring's size.
    next: u32,
    /// The slot before the next one said that its frame goes on.
    continues: bool,
    vlan: Option<Vlan>,
    /// Why the last of those that were looked at was no frame.
    bad: BadSlot,
    refused: Frame,
    /// Shorter frames are looked at: runts, and with a VLAN every frame.
    least: usize,
}

impl RxRing {
    /// Attaches to the receive ring at `offset` of `region`. Its slots have their initial offsets
    /// already: they belong to the other side, and a card was told where to write when the ring
    /// was bound.
    pub(crate) fn attach(region: Arc<Region>, offset: usize, headroom: Headroom) -> Result<Self, BadRing> {
        let raw = Raw::attach(region, offset, headroom)?;
        let next = raw.head();
        Ok(Self::of(raw, next))
    }

    fn of(raw: Raw, next: u32) -> Self {
        Self { raw, next, continues: false, vlan: None, least: ETHERNET, bad: BadSlot::Runt, refused: Frame::EMPTY }
    }

    /// Frames are of this VLAN, and lose its tag when they are taken. `None`: of none.
    pub fn set_vlan(&mut self, vlan: Option<Vlan>) {
        self.vlan = vlan;
        self.least = if vlan.is_some() { usize::MAX } else { ETHERNET };
    }

    /// The end of a handoff ring that frames come out of; see [`crate::handoff_ring`].
    pub(crate) fn of_handoff(like: &RxRing, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        Self::of(Raw::of_handoff(&like.raw, rings, header_at, slots_at), 0)
    }

    /// Where the region's buffers begin in it.
    pub(crate) fn first_buffer(&self) -> usize {
        self.raw.bufs.as_ptr() as usize - self.raw.region.base().as_ptr() as usize
    }

    /// How many frames wait.
    #[inline(always)]
    pub fn available(&self) -> u32 {
        self.raw.until_tail(self.next)
    }

    /// Asks the cache for the headers of the frame that is `i` places behind the next one to be taken:
    /// one of those that wait, because the other side writes the slots behind them.
    #[inline(always)]
    pub fn prefetch(&self, i: u32) {
        let index = self.raw.slot_index(self.next, i);
        if index >= self.raw.num_slots {
            return;
        }
        let slot = self.raw.slot(index);
        debug_assert!(i < self.available(), "not one that waits");
        // SAFETY: the slot is inside the ring, and ours, being one of those that wait.
        let (buf, ptr) = unsafe { ((*slot).buf_idx, (*slot).ptr) };
        self.raw.prefetch_head(buf as usize * self.raw.buf_size as usize + (ptr & self.raw.offset_mask) as usize);
    }

    /// Asks the cache for the headers of a frame that was taken.
    #[inline(always)]
    pub fn prefetch_frame(&self, frame: Frame) {
        self.raw.prefetch_head(self.raw.place(frame));
    }

    /// Asks the cache for the headers of the first `n` frames that wait.
    #[inline(always)]
    pub fn prefetch_first(&self, n: u32) {
        for i in 0..n {
            self.prefetch(i);
        }
    }

    /// Asks the cache for the next `n` slots, which another core wrote.
    pub fn prefetch_slots(&self, n: usize) {
        self.raw.prefetch_slots(self.next, n);
    }

    /// Takes the next waiting frame. Not more often than [`Self::available`] said. A frame that is
    /// not sent is to be [restored](Self::restore).
    #[inline(always)]
    pub fn take(&mut self) -> Result<Frame, BadSlot> {
        let index = self.next;
        self.next = self.raw.slot_index(index, 1);
        let slot = self.raw.slot(index);
        // SAFETY: a slot between head and tail is ours until `release`.
        let slot = unsafe { &*slot };
        let start = (slot.ptr & self.raw.offset_mask) as usize;
        let (buf, len, flags) = (slot.buf_idx, slot.len as usize, slot.flags);
        let bad = if flags & NS_MOREFRAG != 0 || self.continues {
            self.continues = flags & NS_MOREFRAG != 0;
            BadSlot::MoreFrag
        } else if buf >= self.raw.buf_limit || start + len.max(HEAD) > self.raw.buf_size as usize {
            BadSlot::Bounds
        } else if len < self.least {
            let frame = self.untag(Frame::new(index, buf, start, len));
            return if frame == Frame::EMPTY { Err(self.bad) } else { Ok(frame) };
        } else {
            return Ok(Frame::new(index, buf, start, len));
        };
        self.restore_slot(index);
        Err(bad)
    }

    /// Takes the tag out of a frame of our VLAN: it is left in front of the frame. [`Frame::EMPTY`] if it is
    /// none, and then `bad` says why. Not a `Result`: that would be returned in memory, and whoever calls
    /// this would keep every frame there.
    #[cold]
    #[inline(never)]
    fn untag(&mut self, frame: Frame) -> Frame {
        let bad = match self.vlan {
            Some(vlan) if frame.len() >= ETHERNET => match vlan::tagged(self.bytes(frame)) {
                Tagged::Id(id) if id == vlan.id() => match self.tag_to_front(frame) {
                    Some(frame) => return frame,
                    None => BadSlot::Bounds,
                },
                Tagged::Cut => BadSlot::Runt,
                Tagged::Id(_) | Tagged::No => BadSlot::Vlan,
            },
            _ => BadSlot::Runt,
        };
        match bad {
            BadSlot::Vlan => self.refused = frame,
            _ => self.restore(frame),
        }
        self.bad = bad;
        Frame::EMPTY
    }

    /// The frame that was refused last because of its VLAN, as it came. It is to be [restored](Self::restore) where
    /// it is not sent.
    pub fn refused(&self) -> Frame {
        self.refused
    }

    /// On a link without a VLAN, the frame without a tag that says a priority and no VLAN (IEEE 802.1Q
    /// 6.9.1): it is of none.
    pub fn without_priority_tag(&mut self, frame: Frame) -> Frame {
        let is_one = self.vlan.is_none() && vlan::tagged(self.bytes(frame)) == Tagged::Id(0);
        if is_one { self.tag_to_front(frame).unwrap_or(frame) } else { frame }
    }

    /// `None` where the frame is so near the end of its buffer that there would be no [`HEAD`].
    fn tag_to_front(&mut self, frame: Frame) -> Option<Frame> {
        if frame.start() + TAG + HEAD > self.raw.buf_size as usize {
            return None;
        }
        vlan::tag_to_front(self.bytes(frame).first_chunk_mut()?);
        Some(frame.pop(TAG))
    }

    /// A frame that nothing was done to since it was taken, as it was before that: with its tag.
    pub fn as_it_came(&mut self, frame: Frame) -> Frame {
        if self.vlan.is_none() {
            return frame;
        }
        let frame = frame.push(TAG);
        if let Some(head) = self.bytes(frame).first_chunk_mut() {
            vlan::tag_from_front(head);
        }
        frame
    }

    /// Takes the tag out again that [`Self::as_it_came`] has put back.
    pub fn without_tag_again(&mut self, frame: Frame) {
        if self.vlan.is_some() {
            self.tag_to_front(frame);
        }
    }

    /// Puts a tag into a frame, with how often that had to move all of it: 0 or 1. `None` where the
    /// buffer is too small.
    pub(super) fn tag(&mut self, frame: Frame, vlan: Vlan) -> Option<(Frame, u64)> {
        let mut frame = self.padded(frame, MIN_FRAME);
        let shifts = frame.start() < TAG;
        if shifts {
            frame = self.shift(frame, TAG)?;
        }
        let frame = frame.push(TAG);
        let head: &mut [u8; 16] = self.bytes(frame).first_chunk_mut()?;
        vlan::tag_from_front(head);
        head[12..].copy_from_slice(&vlan.tag());
        Some((frame, shifts.into()))
    }

    /// Lengthens a frame to `len`, at most [`HEAD`], with zeroes: nobody's old bytes leave in the
    /// padding. A longer one stays as it is.
    #[inline(always)]
    pub fn padded(&mut self, frame: Frame, len: usize) -> Frame {
        if frame.len() >= len { frame } else { self.pad(frame, len) }
    }

    fn pad(&mut self, frame: Frame, len: usize) -> Frame {
        debug_assert!(len <= HEAD);
        // What was behind other headers may end with its buffer.
        let fits = frame.start() + len <= self.raw.buf_size as usize;
        let frame = if fits { frame } else { self.shift(frame, 0).unwrap_or(frame) };
        let padded = frame.with_len(len);
        self.bytes(padded)[frame.len()..].fill(0);
        padded
    }

    /// The slot of a frame that was not sent gets its initial offset back. Does nothing to a slot
    /// whose frame was sent, so it need not be known.
    ///
    /// The kernel never resets it: a slot returned at 24 receives at 24 next lap. Native drivers
    /// look at the offset only where the buffer is said to have changed, and a frame that is
    /// dropped goes back in the same buffer.
    pub fn restore(&mut self, frame: Frame) {
        self.restore_slot(frame.slot());
    }

    fn restore_slot(&mut self, index: u32) {
        if self.raw.offset_mask != 0 {
            let slot = self.raw.slot(index);
            // SAFETY: the slots of taken frames are ours until `release`.
            let slot = unsafe { &mut *slot };
            slot.ptr = self.raw.headroom.of(slot.buf_idx) as u64;
            slot.flags = NS_BUF_CHANGED;
        }
    }

    /// The first [`HEAD`] bytes of the buffer from the frame's start, past its end too: bytes
    /// beyond [`Frame::len`] are left over from earlier frames and mean nothing.
    #[inline(always)]
    pub fn head(&mut self, frame: Frame) -> &mut [u8; HEAD] {
        self.window(frame, 0)
    }

    /// The window of [`HEAD`] bytes that starts `back` bytes before the frame, which must have that
    /// much headroom.
    #[inline(always)]
    pub fn window(&mut self, frame: Frame, back: usize) -> &mut [u8; HEAD] {
        debug_assert!(frame.start() >= back);
        let at = self.raw.place(frame).wrapping_sub(back);
        assert!(at <= self.raw.last_head);
        // SAFETY: the bytes are inside the buffer memory; `&mut self` makes this the only view
        // into buffers of slots this worker holds.
        unsafe { &mut *self.raw.bufs.add(at).as_ptr().cast() }
    }

    /// The bytes of a frame, from its Ethernet header on.
    #[inline(always)]
    pub fn bytes(&mut self, frame: Frame) -> &mut [u8] {
        assert!(frame.start() + frame.len() <= self.raw.buf_size as usize);
        let at = self.raw.bytes(frame, 0, frame.len());
        // SAFETY: as in `window`.
        unsafe { std::slice::from_raw_parts_mut(at.as_ptr(), frame.len()) }
    }

    /// Moves the frame inside its buffer so that it begins at `start`, and what is in front of it
    /// where there is room: its tag. `None` where the buffer is too small.
    #[cold]
    pub fn shift(&mut self, frame: Frame, start: usize) -> Option<Frame> {
        let len = frame.len();
        if start + len.max(HEAD) > self.raw.buf_size as usize {
            return None;
        }
        let moved = frame.spanning(start, len);
        let front = TAG.min(start).min(frame.start());
        let (from, to) = (self.raw.bytes(frame, front, front + len), self.raw.bytes(moved, front, front + len));
        // SAFETY: both ranges are inside the one buffer that this frame owns; they may overlap.
        unsafe { std::ptr::copy(from.as_ptr(), to.as_ptr(), front + len) };
        Some(moved)
    }

    /// Gives all taken slots back, with whatever buffers they hold now.
    #[inline(always)]
    pub fn release(&mut self) {
        self.raw.publish(self.next);
    }

    /// Gives the slots back that were taken since the last [`Self::release`] without another look at their frames, because
    /// whoever took them panicked. Answers how many. No buffer is lost: a frame that was sent is in a slot of where it went.
    pub fn abandon(&mut self) -> u32 {
        let first = self.raw.head();
        let taken = if self.next >= first { self.next - first } else { self.next + self.raw.num_slots - first };
        (0..taken).for_each(|i| self.restore_slot(self.raw.slot_index(first, i)));
        self.continues = false;
        self.release();
        taken
    }

    /// The memory its buffers are in.
    pub fn region(&self) -> RegionId {
        self.raw.region_id
    }

    /// Number of slots; one fewer can wait.
    pub fn slots(&self) -> u32 {
        self.raw.num_slots
    }

    /// Bytes of each buffer.
    pub fn buf_size(&self) -> u32 {
        self.raw.buf_size
    }

    /// Whether received frames have room in front for a pushed header.
    pub fn headroom(&self) -> Headroom {
        self.raw.headroom
    }
}
