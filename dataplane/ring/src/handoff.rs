//! Handoff rings: frames from one worker to another, buffers swapped as between any two rings.
//!
//! A handoff ring is a ring of slots with two ends. One worker sends into it as into a link's transmit ring, the
//! other takes from it as from a receive ring, and what comes back in the slots are buffers. Neither
//! kernel nor lock is between them: each end has a ring header of its own, and two words say how far
//! each of them has got, looked at once per turn.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU32 as Word;

use crossbeam_utils::CachePadded;
use netmap_sys::netmap::{netmap_ring, netmap_slot};

use super::queue::{RxRing, TxRing};
use super::region::{Region, RegionId};
use super::{Frame, NotSent, Spare, Traffic};

// Under shuttle its scheduler may stop a worker between any two looks at these words.
#[cfg(shuttle)]
use shuttle::sync::atomic::{AtomicU32, Ordering};
#[cfg(not(shuttle))]
use std::sync::atomic::{AtomicU32, Ordering};

/// Slots of a handoff ring where nobody asks for another number: two full bursts, a megabyte of buffers.
pub const HANDOFF_SLOTS: u32 = 512;

/// The fewest slots that make one.
pub const MIN_HANDOFF_SLOTS: u32 = 2;

/// How far both ends have got, each word on a cache line of its own.
#[derive(Debug)]
struct Reached {
    /// Slots before this one were filled.
    filled: CachePadded<AtomicU32>,
    /// Slots before this one were emptied.
    emptied: CachePadded<AtomicU32>,
}

/// Memory of a handoff ring's two ring headers and its slots.
#[derive(Clone, Debug)]
struct Rings {
    region: Arc<Region>,
    slots: u32,
}

impl Rings {
    /// A header and its padding.
    const HEADER: usize = size_of::<netmap_ring>().next_multiple_of(128);

    fn header(&self, end: usize) -> *mut netmap_ring {
        // SAFETY: both headers lie at the front of the region, see `handoff_ring`.
        unsafe { self.region.base().add(end * Self::HEADER).cast().as_ptr() }
    }

    fn word(&self, end: usize, field: impl FnOnce(*mut netmap_ring) -> *mut u32) -> &Word {
        // SAFETY: the header is mapped and aligned; its words are only ever touched as atomics.
        unsafe { Word::from_ptr(field(self.header(end))) }
    }

    fn head(&self, end: usize) -> u32 {
        // SAFETY: only the address of the field is taken.
        self.word(end, |r| unsafe { &raw mut (*r).head }).load(std::sync::atomic::Ordering::Relaxed)
    }

    /// The numbers of the buffers in all slots.
    fn buffers(&self) -> impl Iterator<Item = u32> + '_ {
        let slots_at = 2 * Self::HEADER;
        (0..self.slots as usize).map(move |i| {
            // SAFETY: slot `i` lies inside the region; the number is one aligned word and is only looked at.
            unsafe {
                let slot = self.region.base().add(slots_at).cast::<netmap_slot>().add(i).as_ptr();
                (&raw const (*slot).buf_idx).read()
            }
        })
    }

    fn set_tail(&self, end: usize, tail: u32) {
        // SAFETY: only the address of the field is taken.
        self.word(end, |r| unsafe { &raw mut (*r).tail }).store(tail, std::sync::atomic::Ordering::Relaxed);
    }
}

/// The ring's buffers, which others than it began with, are nobody's when both ends are dropped.
#[derive(Debug)]
struct Buffers {
    rings: Rings,
    spare: Spare,
}

impl Drop for Buffers {
    fn drop(&mut self) {
        self.spare.refill(self.rings.buffers());
    }
}

const OUT: usize = 0;
const IN: usize = 1;

/// The end of a handoff ring that frames go into.
#[derive(Debug)]
pub struct HandoffTx {
    tx: TxRing,
    rings: Rings,
    reached: Arc<Reached>,
    _buffers: Arc<Buffers>,
}

/// The end of a handoff ring that frames come out of.
#[derive(Debug)]
pub struct HandoffRx {
    /// The frames, after [`Self::sync`].
    pub rx: RxRing,
    rings: Rings,
    reached: Arc<Reached>,
    _buffers: Arc<Buffers>,
}

/// A handoff ring whose frames' buffers are in the memory of `like`, with a slot for each of `buffers`, which are
/// nobody else's. At least [`MIN_HANDOFF_SLOTS`] of them.
pub fn handoff_ring(like: &RxRing, mut buffers: Spare) -> io::Result<(HandoffTx, HandoffRx)> {
    let slots =
        u32::try_from(buffers.len()).ok().filter(|&n| n >= MIN_HANDOFF_SLOTS).ok_or(io::ErrorKind::InvalidInput)?;
    let slots_at = 2 * Rings::HEADER;
    let bytes = slots_at + buffers.len() * size_of::<netmap_slot>();
    let region = Region::anonymous(bytes, RegionId(u64::MAX), false)?;
    let rings = |region: &Arc<Region>| Rings { region: region.clone(), slots };
    for (end, tail) in [(OUT, slots - 1), (IN, 0)] {
        // SAFETY: both headers lie inside the region, which is zeroed and known to nobody else yet; all
        // bytes zero is a netmap_ring.
        unsafe {
            let header = rings(&region).header(end);
            (*header).num_slots = slots;
            (*header).tail = tail;
        }
    }
    for (i, buf_idx) in buffers.empty().into_iter().enumerate() {
        // SAFETY: the slots lie behind the headers inside the region, see `bytes`.
        unsafe {
            let slot = region.base().add(slots_at).cast::<netmap_slot>().add(i);
            slot.write(netmap_slot { buf_idx, len: 0, flags: 0, ptr: 0 });
        }
    }
    let reached =
        Arc::new(Reached { filled: CachePadded::new(AtomicU32::new(0)), emptied: CachePadded::new(AtomicU32::new(0)) });
    let buffers = Arc::new(Buffers { rings: rings(&region), spare: buffers });
    let (out_at, in_at) = (OUT * Rings::HEADER, IN * Rings::HEADER);
    Ok((
        HandoffTx {
            tx: TxRing::of_handoff(like, &region, out_at, slots_at),
            rings: rings(&region),
            reached: reached.clone(),
            _buffers: buffers.clone(),
        },
        HandoffRx {
            rx: RxRing::of_handoff(like, &region, in_at, slots_at),
            rings: rings(&region),
            reached,
            _buffers: buffers,
        },
    ))
}

impl HandoffTx {
    /// Hands frames of `rx` on, in order, and shows them to the other end; see [`TxRing::send`]. Answers how many went; the
    /// others are `refused`.
    #[inline(always)]
    pub fn send(
        &mut self,
        rx: &mut RxRing,
        frames: &[Frame],
        mut refused: impl FnMut(&mut RxRing, Frame, NotSent),
    ) -> usize {
        if (self.tx.space() as usize) < frames.len() {
            self.sync();
            self.tx.space();
        }
        // The slots that the other end wrote last, and not those that it is about to: it would have to ask for them again.
        self.tx.prefetch_slots(frames.len());
        let sent = if self.tx.region() == rx.region() {
            let sent = self.tx.send_all(rx, frames);
            frames[sent..].iter().for_each(|&frame| refused(rx, frame, NotSent::Full));
            sent
        } else {
            // The link was opened anew, perhaps with larger buffers.
            let mut send = |&&frame: &&Frame| self.tx.send(rx, frame).map_err(|not| refused(rx, frame, not)).is_ok();
            frames.iter().filter(&mut send).count()
        };
        self.show();
        sent
    }

    /// Hands on a frame of `len` bytes that `fill` writes; see [`TxRing::originate`].
    pub fn originate(&mut self, len: usize, fill: impl FnOnce(&mut [u8])) -> Result<(), NotSent> {
        if self.tx.space() == 0 {
            self.sync();
        }
        self.tx.originate(len, fill)
    }

    /// The longest frame that [`Self::originate`] takes, bytes.
    pub fn longest(&self) -> usize {
        self.tx.buf_size() as usize
    }

    /// Shows the other end what was sent, and finds out what it has taken. Answers whether it has yet to
    /// take something.
    pub fn sync(&mut self) -> bool {
        let head = self.show();
        let emptied = self.reached.emptied.load(Ordering::Acquire);
        self.rings.set_tail(OUT, if emptied == 0 { self.rings.slots - 1 } else { emptied - 1 });
        head != emptied
    }

    /// Shows the other end what was sent. Answers up to where.
    fn show(&mut self) -> u32 {
        self.tx.publish();
        let head = self.rings.head(OUT);
        self.reached.filled.store(head, Ordering::Release);
        head
    }

    /// What was sent since the last call.
    pub fn take_traffic(&mut self) -> Traffic {
        self.tx.take_traffic()
    }
}

impl HandoffRx {
    /// Shows the frames that came.
    pub fn sync(&mut self) {
        self.rings.set_tail(IN, self.reached.filled.load(Ordering::Acquire));
    }

    /// Gives back the slots that were released.
    pub fn give_back(&mut self) {
        self.reached.emptied.store(self.rings.head(IN), Ordering::Release);
    }

    /// Shows the frames that came; whether there are any.
    pub fn waits(&mut self) -> bool {
        self.sync();
        self.rx.available() > 0
    }

    /// The numbers of the buffers in all slots, whoever's they are just now: tests look.
    pub fn buffers(&self) -> impl Iterator<Item = u32> + '_ {
        self.rings.buffers()
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;
    use crate::memory::{MemoryConfig, links};

    #[test]
    fn of_a_link_that_was_opened_anew_only_what_is_too_long_is_refused() {
        let queue = |buf_size| {
            let config = MemoryConfig { slots: 8, buf_size, huge_pages: false, ..Default::default() };
            links(1, 1, config).unwrap().remove(0).remove(0)
        };
        let spare = MemoryConfig { slots: 8, handoff_slots: 8, huge_pages: false, ..Default::default() };
        let (mut old, _wire) = links(1, 2, spare).unwrap().remove(0).remove(0);
        let (mut out, mut to) = handoff_ring(&old.rx, old.spare.take(8)).unwrap();
        let (mut new, mut wire) = queue(4096);
        for len in [60, 3000, 61] {
            assert!(wire.deliver(&vec![len as u8; len]));
        }
        let frames: Vec<_> = (0..3).map(|_| new.rx.take().unwrap()).collect();
        let mut refused = Vec::new();
        let sent = out.send(&mut new.rx, &frames, |_, frame, not| refused.push((frame, not)));
        assert_eq!((sent, refused), (2, vec![(frames[1], NotSent::TooLong)]));
        to.sync();
        let came: Vec<_> = (0..to.rx.available()).map(|_| to.rx.take().unwrap().len()).collect();
        assert_eq!(came, [60, 61]);
    }
}
