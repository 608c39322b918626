//! One receive ring and one transmit ring as a worker sees them: slots, buffers, offsets.
//!
//! Everything the rest of the crate may do to shared memory is here, so every bound is checked
//! here: the kernel does not report a bad `head`, `buf_idx`, `len` or offset, it resets the ring
//! and goes on. A [`Frame`] that exists has passed those checks.

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use netmap_sys::netmap::{NS_BUF_CHANGED, NS_MOREFRAG, netmap_ring, netmap_slot};

use super::frame::{Frame, HEAD, Headroom};
use super::region::{Region, RegionId};
use super::vlan::{self, MIN_FRAME, TAG, Tagged, Vlan};

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
    /// [`Headroom::max_start`].
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

    /// One end of a lane: header and slots at these places of `rings`, buffers where those of `like` are.
    fn of_lane(like: &Self, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        // SAFETY: the lane made room for a header there.
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

/// The receive side of a queue. Frames are taken in order, then their slots are released together.
#[derive(Debug)]
pub struct RxRing {
    raw: Raw,
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
    pub(super) fn attach(region: Arc<Region>, offset: usize, headroom: Headroom) -> Result<Self, BadRing> {
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

    /// The end of a lane that frames come out of; see [`super::lane`].
    pub(super) fn of_lane(like: &RxRing, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        Self::of(Raw::of_lane(&like.raw, rings, header_at, slots_at), 0)
    }

    /// Where the region's buffers begin in it.
    pub(super) fn first_buffer(&self) -> usize {
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
        // SAFETY: a slot between head and tail is ours; of others what is read is only a hint.
        let (buf, ptr) = unsafe { ((*slot).buf_idx, (*slot).ptr) };
        self.raw.prefetch_head(buf as usize * self.raw.buf_size as usize + (ptr & self.raw.offset_mask) as usize);
    }

    /// The same for a frame that was taken.
    #[inline(always)]
    pub fn prefetch_frame(&self, frame: Frame) {
        self.raw.prefetch_head(self.raw.place(frame));
    }

    /// The same for the first `n` frames.
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

    /// Undoes [`Self::as_it_came`].
    pub fn without_tag_again(&mut self, frame: Frame) {
        if self.vlan.is_some() {
            self.tag_to_front(frame);
        }
    }

    /// Puts a tag into a frame, with how often that had to move all of it: 0 or 1. `None` where the
    /// buffer is too small.
    fn tag(&mut self, frame: Frame, vlan: Vlan) -> Option<(Frame, u64)> {
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

    /// The frame's bytes.
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

/// The transmit side of a queue.
#[derive(Debug)]
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
    /// Frames.
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
    pub(super) fn attach(region: Arc<Region>, offset: usize, headroom: Headroom) -> Result<Self, BadRing> {
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

    /// The end of a lane that frames go into; see [`super::lane`].
    pub(super) fn of_lane(like: &RxRing, rings: &Arc<Region>, header_at: usize, slots_at: usize) -> Self {
        Self::of(Raw::of_lane(&like.raw, rings, header_at, slots_at), 0)
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
        self.traffic.frames += 1;
        self.traffic.bytes += len as u64;
        self.space -= 1;
        self.next = self.raw.slot_index(self.next, 1);
    }

    /// Asks the cache for the next `n` slots, which another core wrote.
    pub fn prefetch_slots(&self, n: usize) {
        self.raw.prefetch_slots(self.next, n);
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

    #[inline(always)]
    fn exchange(&mut self, index: u32, rx: &mut RxRing, frame: Frame) {
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
        self.advance(frame.len());
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

/// The same to write to it: no other core keeps a copy, that would have to be asked for at the first write.
#[inline(always)]
fn prefetch_to_write<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as `prefetch`; CPUs that do not know the instruction take it for none. The compiler has no
    // other way to say it without assuming more of the CPU.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks the cache for the line at `at`. Any address is allowed: a prefetch cannot fault.
#[inline(always)]
pub fn prefetch<T>(at: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address, mapped or not, has no effect that a program can see.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}
