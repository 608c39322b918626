//! The memory of AF_XDP links: netmap rings in front, and behind them the buffers, which are the
//! chunks of the kernel's UMEM. Buffer `n` of a netmap slot is the chunk at `n` times the size.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use netmap_sys::netmap::netmap_slot;

use super::bpf::Program;
use super::slots::{Direction, Slots, ring_bytes};
use super::{OpenError, OpenOptions, Transfer, frame_room};
use crate::frame::Headroom;
use crate::queue::BadRing;
use crate::region::{Region, RegionId};
use crate::{LinkName, RxRing, TxRing};

/// Memory that AF_XDP links share, so that frames move between them by swapping buffers.
///
/// It has room for a fixed number of queues. Dropping a queue gives its room back, and another can
/// be opened there: the memory itself is never moved, and lives as long as any of its queues.
#[derive(Clone, Debug)]
pub struct Umem(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    region: Arc<Region>,
    slots: u32,
    buf_size: u32,
    /// Buffers, the two that netmap reserves included.
    bufs: u32,
    bufs_at: usize,
    /// Buffers that were in no ring to begin with, and are not given out yet.
    spare: Mutex<Vec<u32>>,
    /// A handle for each queue there is room for; whose room is free, nobody else has.
    places: Mutex<Vec<Arc<Region>>>,
    /// Sockets that the kernel knows this memory by.
    sockets: Mutex<Vec<Sharer>>,
    /// Programs in use, by interface.
    programs: Mutex<Vec<Weak<Program>>>,
}

/// A socket that is bound to the memory and shares it with others.
#[derive(Debug)]
struct Sharer {
    ifindex: u32,
    queue: u32,
    transfer: Transfer,
    socket: Weak<OwnedFd>,
}

/// Room for one queue: a ring pair, empty, every slot with a buffer.
pub(super) struct Place {
    pub rx: Slots,
    pub tx: Slots,
    handle: Arc<Region>,
}

impl Umem {
    /// Memory for `queues` queues and `spare` buffers more, all of `buf_size` bytes: 2048 or 4096.
    pub fn new(queues: usize, spare: usize, buf_size: u32, options: &OpenOptions) -> Result<Self, OpenError> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 16); // above every netmap region's 16-bit number
        if !matches!(buf_size, 2048 | 4096) || !matches!(options.slots, 64..=32768) || !options.slots.is_power_of_two()
        {
            return Err(OpenError::Shape { slots: options.slots, buf_size });
        }
        let slots = options.slots;
        let rings = 2 * queues;
        // Buffers 0 and 1 are reserved, as in the kernel's regions.
        let first_spare = 2 + rings * slots as usize;
        let bufs = first_spare + spare;
        // The kernel wants whole pages.
        let bufs_at = (rings * ring_bytes(slots)).next_multiple_of(4096);
        let bytes = bufs_at + (bufs * buf_size as usize).next_multiple_of(4096);
        let memory = |source| OpenError::Memory { bytes, source };
        let bufs = u32::try_from(bufs).map_err(|_| memory(io::ErrorKind::OutOfMemory.into()))?;
        let id = RegionId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let region = Region::anonymous(bytes, id, options.huge_pages).map_err(memory)?;
        let places = (0..queues).map(|_| region.handle()).collect();
        let umem = Self(Arc::new(Inner {
            region,
            slots,
            buf_size,
            bufs,
            bufs_at,
            spare: Mutex::new((first_spare as u32..bufs).collect()),
            places: Mutex::new(places),
            sockets: Mutex::default(),
            programs: Mutex::default(),
        }));
        let mut buf = 2;
        for n in 0..rings {
            // SAFETY: nobody else knows the memory yet, and ring `n` of it is this one's.
            let mut ring = unsafe { umem.ring(umem.0.region.clone(), n) };
            for i in 0..slots {
                ring.set(i, netmap_slot { buf_idx: buf, len: 0, flags: 0, ptr: 0 });
                buf += 1;
            }
        }
        Ok(umem)
    }

    /// Memory for the links of these names, with as many slots in their handoff rings, and with buffers that suit the
    /// largest of their MTUs.
    pub fn for_links<'a>(
        names: impl IntoIterator<Item = (&'a LinkName, u32)>,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let (mut queues, mut spare, mut buf_size) = (0, 0, options.buf_size.unwrap_or(2048));
        for (name, handoff_slots) in names {
            let found = super::open::find(name)?;
            let own = super::open::queue_numbers(name, &found)?.len();
            queues += own;
            spare += own * own.saturating_sub(1) * handoff_slots as usize;
            if options.buf_size.is_none() && found.mtu.is_some_and(|mtu| mtu > frame_room(buf_size)) {
                buf_size = 4096;
            }
        }
        Self::new(queues, spare, buf_size, options)
    }

    /// The region's name: equal for links that swap buffers.
    pub fn region(&self) -> RegionId {
        self.0.region.id()
    }

    /// Bytes of all of it.
    pub fn bytes(&self) -> usize {
        self.0.region.len()
    }

    /// Bytes of a buffer.
    pub fn buf_size(&self) -> u32 {
        self.0.buf_size
    }

    /// Slots of a ring.
    pub fn slots(&self) -> u32 {
        self.0.slots
    }

    /// The numbers of all buffers, wherever they have got to; `None` while a queue is open, because
    /// the kernel has some then. Each number is there once, or a buffer was lost: tests look.
    pub fn buffers(&self) -> Option<Vec<u32>> {
        let mut places = lock(&self.0.places);
        if !places.iter_mut().all(|handle| Arc::get_mut(handle).is_some()) {
            return None;
        }
        let mut found = Vec::new();
        for n in 0..2 * places.len() {
            // SAFETY: no queue is open, so ring `n` has no other user; it is dropped at once.
            let ring = unsafe { self.ring(self.0.region.clone(), n) };
            found.extend((0..ring.len()).map(|i| ring.get(i).buf_idx));
        }
        Some(found)
    }

    /// Where the buffers are, for the kernel: address and length.
    pub(super) fn chunks(&self) -> (u64, u64) {
        let inner = &*self.0;
        let base = inner.region.base().as_ptr().expose_provenance() + inner.bufs_at;
        let len = (inner.bufs as usize * inner.buf_size as usize).next_multiple_of(4096);
        (base as u64, len as u64)
    }

    /// All buffers have lower numbers.
    pub(super) fn limit(&self) -> u32 {
        self.0.bufs
    }

    /// Room for a queue, if there is any left.
    pub(super) fn claim(&self) -> Option<Place> {
        let mut places = lock(&self.0.places);
        let free = |handle: &mut Arc<Region>| Arc::get_mut(handle).is_some();
        let n = places.iter_mut().position(free)?;
        let handle = places[n].clone();
        // SAFETY: nobody but the list had the handle, and each end of a ring keeps it: these two
        // rings have no ends left. The handle just made keeps others away.
        let (mut tx, mut rx) = unsafe { (self.ring(handle.clone(), 2 * n), self.ring(handle.clone(), 2 * n + 1)) };
        tx.reset(Direction::Transmit, self.0.bufs_at, self.0.buf_size);
        rx.reset(Direction::Receive, self.0.bufs_at, self.0.buf_size);
        Some(Place { rx, tx, handle })
    }

    /// Spare buffers, `n` if there are as many.
    pub(super) fn take_spare(&self, n: usize) -> Vec<u32> {
        let mut spare = lock(&self.0.spare);
        let keep = spare.len().saturating_sub(n);
        spare.split_off(keep)
    }

    /// Sockets whose memory another one of the same kind can share.
    pub(super) fn sharers(&self, transfer: Transfer) -> Vec<Arc<OwnedFd>> {
        let mut sockets = lock(&self.0.sockets);
        sockets.retain(|s| s.socket.strong_count() > 0);
        sockets.iter().filter(|s| s.transfer == transfer).filter_map(|s| s.socket.upgrade()).collect()
    }

    /// Whether a queue has a socket of this memory already.
    pub(super) fn has_socket(&self, ifindex: u32, queue: u32) -> bool {
        let is_it = |s: &Sharer| (s.ifindex, s.queue) == (ifindex, queue) && s.socket.strong_count() > 0;
        lock(&self.0.sockets).iter().any(is_it)
    }

    pub(super) fn add_sharer(&self, ifindex: u32, queue: u32, transfer: Transfer, socket: &Arc<OwnedFd>) {
        lock(&self.0.sockets).push(Sharer { ifindex, queue, transfer, socket: Arc::downgrade(socket) });
    }

    /// The program at an interface, if a queue of it is open already.
    pub(super) fn program(&self, ifindex: u32) -> Option<Arc<Program>> {
        let mut programs = lock(&self.0.programs);
        programs.retain(|program| program.strong_count() > 0);
        programs.iter().filter_map(Weak::upgrade).find(|program| program.ifindex() == ifindex)
    }

    pub(super) fn add_program(&self, program: &Arc<Program>) {
        lock(&self.0.programs).push(Arc::downgrade(program));
    }

    /// # Safety
    /// Nobody else is this side of ring `n`.
    unsafe fn ring(&self, region: Arc<Region>, n: usize) -> Slots {
        // SAFETY: the caller's promise; `new` made room for the rings one after the other.
        unsafe { Slots::new(region, n * ring_bytes(self.0.slots), self.0.slots) }
    }
}

impl Place {
    /// The user's ends of the two rings.
    pub fn attach(&self, headroom: Headroom) -> Result<(RxRing, TxRing), BadRing> {
        let rx = RxRing::attach(self.handle.clone(), self.rx.at(), headroom)?;
        Ok((rx, TxRing::attach(self.handle.clone(), self.tx.at(), headroom)?))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
