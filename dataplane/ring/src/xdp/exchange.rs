//! Slots of a netmap ring pair on one side, descriptors of AF_XDP's four rings on the other.
//!
//! A netmap slot always has a buffer; it is given away only for another one. AF_XDP has no such
//! rule: it is given buffers by the fill and the transmit ring and returns them by the receive and
//! the completion ring, in an order of its own. So a slot that is on this side holds no buffer
//! that means anything while the kernel has one for it. Which buffers the kernel has is kept in a
//! set for each direction: as many as there are such slots. By the sets a buffer is found again
//! whose socket is gone, and one that comes back twice is not believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use netmap_sys::netmap::{NS_MOREFRAG, netmap_slot};

use super::rings::{Consumer, Producer};
use super::slots::Slots;
use super::umem::Place;

/// What sits in AF_XDP's receive and transmit rings.
pub(super) type Descriptor = libc::xdp_desc;

/// The shortest frame that leaves: an Ethernet header.
const SHORTEST: u16 = 14;

/// The frame goes on in the next buffer (`XDP_PKT_CONTD`). Sockets are not bound for that; a kernel that does it
/// all the same is understood.
const CONTINUES: u32 = 1;

/// Moves buffers between a ring pair and a socket, and knows where each of them is.
pub(super) struct Exchange {
    rx: Slots,
    tx: Slots,
    /// Bytes of a buffer, as a power of two.
    buf_shift: u32,
    /// Receive slots from here up to the head were released and not yet looked at.
    released: u32,
    /// First receive slot that has no frame to show.
    rx_tail: u32,
    /// Transmit slots from here up to the head were published and not yet looked at.
    published: u32,
    /// First transmit slot without a buffer; those up to `published` have none either.
    empty: u32,
    /// Buffers that the kernel has for receiving: one for each receive slot that shows no frame.
    receiving: Buffers,
    /// Buffers that the kernel sends from: one for each transmit slot without.
    sending: Buffers,
    /// Buffers of frames that no kernel would send.
    refused: Vec<u32>,
    /// Counts buffers that the kernel returned though it did not have them: its bug, or ours.
    strays: Arc<AtomicU64>,
}

impl Exchange {
    /// Of a place just claimed. `buffers`: all buffers of the region have lower numbers.
    pub fn new(place: Place, buf_shift: u32, buffers: u32, strays: Arc<AtomicU64>) -> Self {
        let Place { rx, tx, .. } = place;
        let mut receiving = Buffers::none_of(buffers);
        for i in 0..rx.len() {
            receiving.insert(rx.get(i).buf_idx);
        }
        let sending = Buffers::none_of(buffers);
        Self {
            rx,
            tx,
            buf_shift,
            released: 0,
            rx_tail: 0,
            published: 0,
            empty: 0,
            receiving,
            sending,
            refused: Vec::new(),
            strays,
        }
    }

    /// A new socket, which has no buffers yet: it gets those that are there to receive into.
    /// Frames that the last socket had not sent are lost.
    pub fn begin(&mut self, fill: &mut Producer<u64>) {
        self.take_back_transmit();
        let shift = self.buf_shift;
        self.receiving.iter().for_each(|buf| fill.push(u64::from(buf) << shift));
        fill.publish();
    }

    /// Released receive slots' buffers go to the fill ring.
    pub fn refill(&mut self, fill: &mut Producer<u64>) {
        let head = self.rx.head();
        if self.released == head {
            return;
        }
        // Always enough: the fill ring is as large as the receive ring.
        let mut room = fill.room();
        while self.released != head && room > 0 {
            let buf = self.rx.get(self.released).buf_idx;
            let fresh = self.receiving.insert(buf);
            debug_assert!(fresh, "buffer {buf} is in two places");
            fill.push(u64::from(buf) << self.buf_shift);
            self.released = self.rx.after(self.released);
            room -= 1;
        }
        fill.publish();
    }

    /// Received frames go into receive slots and are shown. Returns how many.
    pub fn receive(&mut self, from: &mut Consumer<Descriptor>) -> u32 {
        // One slot stays empty, else a full ring would look like an empty one.
        let room = self.rx.len() - 1 - self.rx.between(self.released, self.rx_tail);
        let n = from.available().min(room);
        if n == 0 {
            return 0;
        }
        let mut shown = 0;
        for _ in 0..n {
            let Descriptor { addr, len, options } = from.pop();
            let Some(buf) = self.receiving.remove(addr >> self.buf_shift) else {
                self.stray();
                continue;
            };
            let start = addr & ((1 << self.buf_shift) - 1);
            let len = u16::try_from(len).unwrap_or(u16::MAX); // refused by the ring, which checks bounds
            let flags = if options & CONTINUES != 0 { NS_MOREFRAG } else { 0 };
            self.rx.set(self.rx_tail, netmap_slot { buf_idx: buf, len, flags, ptr: start });
            self.rx_tail = self.rx.after(self.rx_tail);
            shown += 1;
        }
        from.release();
        self.rx.set_tail(self.rx_tail);
        shown
    }

    /// Published frames go to the kernel's transmit ring.
    pub fn transmit(&mut self, to: &mut Producer<Descriptor>) {
        let head = self.tx.head();
        if self.published == head {
            return;
        }
        let mut room = to.room();
        while self.published != head && room > 0 {
            let netmap_slot { buf_idx: buf, len, ptr, .. } = self.tx.get(self.published);
            let start = ptr & 0xffff;
            // The kernel would skip such a frame and keep its buffer for good.
            if len < SHORTEST || start + u64::from(len) > 1 << self.buf_shift {
                self.refused.push(buf);
            } else {
                let fresh = self.sending.insert(buf);
                debug_assert!(fresh, "buffer {buf} is in two places");
                to.push(Descriptor { addr: u64::from(buf) << self.buf_shift | start, len: len.into(), options: 0 });
                room -= 1;
            }
            self.published = self.tx.after(self.published);
        }
        to.publish();
    }

    /// Buffers of frames that were sent go into transmit slots, which are free then.
    pub fn complete(&mut self, from: &mut Consumer<u64>) {
        let n = from.available();
        for _ in 0..n {
            match self.sending.remove(from.pop() >> self.buf_shift) {
                Some(buf) => self.free(buf),
                None => self.stray(),
            }
        }
        while let Some(buf) = self.refused.pop() {
            self.free(buf);
        }
        if n > 0 {
            from.release();
        }
        self.show_free();
    }

    fn free(&mut self, buf: u32) {
        self.tx.set(self.empty, netmap_slot { buf_idx: buf, len: 0, flags: 0, ptr: 0 });
        self.empty = self.tx.after(self.empty);
    }

    fn stray(&self) {
        self.strays.fetch_add(1, Ordering::Relaxed);
    }

    fn show_free(&mut self) {
        let tail = if self.empty == 0 { self.tx.len() - 1 } else { self.empty - 1 };
        self.tx.set_tail(tail);
    }

    /// The socket is gone: what it had to send, and what it would have been given, is not sent.
    fn take_back_transmit(&mut self) {
        let lost: Vec<u32> = self.sending.drain().chain(self.refused.drain(..)).collect();
        lost.into_iter().for_each(|buf| self.free(buf));
        // These slots have their buffers still.
        self.published = self.tx.head();
        self.empty = self.published;
        self.show_free();
    }

    /// The socket is gone for good: every slot gets a buffer again.
    pub fn end(&mut self) {
        self.take_back_transmit();
        let mut at = self.rx_tail;
        let unused: Vec<u32> = self.receiving.drain().collect();
        for buf in unused {
            self.rx.set(at, netmap_slot { buf_idx: buf, len: 0, flags: 0, ptr: 0 });
            at = self.rx.after(at);
        }
        debug_assert_eq!(at, self.released, "as many buffers as slots");
    }
}

/// A set of buffer numbers: a bit for each, 8 KiB for 64 Ki of them.
struct Buffers {
    bits: Box<[u64]>,
}

impl Buffers {
    /// The empty set of numbers below `limit`.
    fn none_of(limit: u32) -> Self {
        Self { bits: vec![0; limit.div_ceil(64) as usize].into() }
    }

    /// Puts a number in; false if it is in already, or none of ours.
    fn insert(&mut self, buf: u32) -> bool {
        let Some(word) = self.bits.get_mut(buf as usize / 64) else { return false };
        let before = std::mem::replace(word, *word | 1 << (buf % 64));
        before != *word
    }

    /// Takes a number out, if it is in.
    fn remove(&mut self, buf: u64) -> Option<u32> {
        let word = self.bits.get_mut(usize::try_from(buf / 64).ok()?)?;
        let before = std::mem::replace(word, *word & !(1 << (buf % 64)));
        (before != *word).then_some(buf as u32)
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter().enumerate().flat_map(|(at, &word)| ones(at, word))
    }

    /// Takes all of them out.
    fn drain(&mut self) -> impl Iterator<Item = u32> + '_ {
        self.bits.iter_mut().enumerate().flat_map(|(at, word)| ones(at, std::mem::take(word)))
    }
}

/// The numbers in word `at` of a set.
fn ones(at: usize, word: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| word >> bit & 1 != 0).map(move |bit| at as u32 * 64 + bit)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::frame::Headroom;
    use crate::xdp::rings::tests::pipe;
    use crate::xdp::{HEADROOM, OpenOptions, Umem};
    use crate::{BadSlot, RxRing, TxRing};

    const SLOTS: u32 = 64;

    /// A link whose kernel is the test.
    struct Link {
        rx: RxRing,
        tx: TxRing,
        exchange: Exchange,
        ours: Ours,
        kernel: Kernel,
    }

    /// The socket's ends of its rings.
    struct Ours {
        fill: Producer<u64>,
        completion: Consumer<u64>,
        rx: Consumer<Descriptor>,
        tx: Producer<Descriptor>,
    }

    /// The kernel's ends, and what it has under way.
    struct Kernel {
        fill: Consumer<u64>,
        completion: Producer<u64>,
        rx: Producer<Descriptor>,
        tx: Consumer<Descriptor>,
        empty: VecDeque<u64>,
        unsent: VecDeque<u64>,
    }

    fn socket() -> (Ours, Kernel) {
        let (fill, kernel_fill) = pipe(SLOTS);
        let (kernel_completion, completion) = pipe(SLOTS);
        let (kernel_rx, rx) = pipe(SLOTS);
        let (tx, kernel_tx) = pipe(SLOTS);
        let kernel = Kernel {
            fill: kernel_fill,
            completion: kernel_completion,
            rx: kernel_rx,
            tx: kernel_tx,
            empty: VecDeque::new(),
            unsent: VecDeque::new(),
        };
        (Ours { fill, completion, rx, tx }, kernel)
    }

    impl Link {
        fn new(umem: &Umem) -> Self {
            let place = umem.claim().unwrap();
            let (rx, tx) = place.attach(Headroom::new(HEADROOM, 1)).unwrap();
            let mut exchange = Exchange::new(place, umem.buf_size().ilog2(), umem.limit(), Arc::default());
            let (mut ours, kernel) = socket();
            exchange.begin(&mut ours.fill);
            Self { rx, tx, exchange, ours, kernel }
        }

        /// The kernel receives `n` frames, if it has buffers, and takes those from either end.
        fn receive(&mut self, n: u32, any_end: bool) {
            let kernel = &mut self.kernel;
            for _ in 0..kernel.fill.available() {
                kernel.empty.push_back(kernel.fill.pop());
            }
            kernel.fill.release();
            for _ in 0..n.min(kernel.rx.room()) {
                let taken = if any_end { kernel.empty.pop_back() } else { kernel.empty.pop_front() };
                let Some(addr) = taken else { break };
                kernel.rx.push(Descriptor { addr: addr + u64::from(HEADROOM), len: 60, options: 0 });
            }
            kernel.rx.publish();
        }

        /// The kernel takes what there is to send and completes `n` frames, from either end.
        fn send(&mut self, n: u32, any_end: bool) {
            let kernel = &mut self.kernel;
            for _ in 0..kernel.tx.available() {
                kernel.unsent.push_back(kernel.tx.pop().addr);
            }
            kernel.tx.release();
            for _ in 0..n.min(kernel.completion.room()) {
                let taken = if any_end { kernel.unsent.pop_back() } else { kernel.unsent.pop_front() };
                let Some(addr) = taken else { break };
                kernel.completion.push(addr);
            }
            kernel.completion.publish();
        }

        fn sync(&mut self) {
            self.exchange.refill(&mut self.ours.fill);
            self.exchange.receive(&mut self.ours.rx);
            self.exchange.transmit(&mut self.ours.tx);
            self.exchange.complete(&mut self.ours.completion);
        }

        /// How many buffers the exchange takes to be the kernel's, and how many are.
        fn held(&mut self) -> [[usize; 2]; 2] {
            let Self { exchange, ours, kernel, .. } = self;
            let receiving = ours.fill.waiting() + ours.rx.available();
            let sending = ours.tx.waiting() + ours.completion.available();
            [
                [exchange.receiving.iter().count(), receiving as usize + kernel.empty.len()],
                [exchange.sending.iter().count(), sending as usize + kernel.unsent.len()],
            ]
        }

        /// Buffers in slots that are the user's, or that the exchange has not looked at yet, and
        /// buffers that it has for the kernel.
        fn buffers(&self) -> Vec<u32> {
            let e = &self.exchange;
            let slots = |ring: &Slots, from: u32, to: u32| -> Vec<u32> {
                (0..ring.between(from, to)).map(|i| ring.get((from + i) % ring.len()).buf_idx).collect()
            };
            // The one transmit slot that always stays empty has a buffer as well.
            let spare = (e.empty + e.tx.len() - 1) % e.tx.len();
            let mut all = slots(&e.rx, e.released, e.rx_tail);
            all.extend(slots(&e.tx, e.published, spare));
            all.push(e.tx.get(spare).buf_idx);
            all.extend(e.receiving.iter().chain(e.sending.iter()).chain(e.refused.iter().copied()));
            all
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        /// The kernel receives and sends.
        Kernel {
            link: usize,
            received: u32,
            sent: u32,
            any_end: bool,
        },
        /// A burst of one link's frames: most go to the other link, some are dropped.
        Burst {
            from: usize,
            n: u32,
            drop_every: u32,
        },
        /// Frames of our own; one without bytes is refused.
        Originate {
            link: usize,
            n: u32,
            len: usize,
        },
        Sync {
            link: usize,
        },
        /// The interface was gone and is there again.
        NewSocket {
            link: usize,
        },
        /// The link is closed and opened again.
        Reopen {
            link: usize,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        let (link, n) = (0..2usize, 0..2 * SLOTS);
        prop_oneof![
            4 => (link.clone(), n.clone(), n.clone(), any::<bool>())
                .prop_map(|(link, received, sent, any_end)| Step::Kernel { link, received, sent, any_end }),
            4 => (link.clone(), n.clone(), 1..5u32)
                .prop_map(|(from, n, drop_every)| Step::Burst { from, n, drop_every }),
            2 => (link.clone(), 0..SLOTS, prop_oneof![Just(60usize), Just(1514), Just(0)])
                .prop_map(|(link, n, len)| Step::Originate { link, n, len }),
            6 => link.clone().prop_map(|link| Step::Sync { link }),
            1 => link.clone().prop_map(|link| Step::NewSocket { link }),
            1 => link.prop_map(|link| Step::Reopen { link }),
        ]
    }

    proptest! {
        /// Whatever the kernel does with buffers, in whatever order, and however often links go
        /// and come back: each buffer is in one place.
        #[test]
        fn no_buffer_is_lost_or_there_twice(steps in vec(step(), 1..120)) {
            let options = OpenOptions { slots: SLOTS, huge_pages: false, ..Default::default() };
            let umem = Umem::new(2, 0, 2048, &options).unwrap();
            let mut links = [0, 1].map(|_| Some(Link::new(&umem)));
            for step in steps {
                match step {
                    Step::Kernel { link, received, sent, any_end } => {
                        let link = links[link].as_mut().unwrap();
                        link.receive(received, any_end);
                        link.send(sent, any_end);
                    }
                    Step::Burst { from, n, drop_every } => {
                        let [a, b] = &mut links;
                        let (from, to) = if from == 0 { (a, b) } else { (b, a) };
                        let (from, to) = (from.as_mut().unwrap(), to.as_mut().unwrap());
                        for i in 0..from.rx.available().min(n) {
                            let frame = from.rx.take().unwrap();
                            prop_assert_eq!(frame.headroom(), usize::from(HEADROOM));
                            if i % drop_every == 0 || to.tx.send(&mut from.rx, frame.push(40)).is_err() {
                                from.rx.restore(frame);
                            }
                        }
                        from.rx.release();
                        to.tx.publish();
                        prop_assert_eq!((to.tx.take_traffic().shifted, to.tx.take_traffic().copied), (0, 0));
                    }
                    Step::Originate { link, n, len } => {
                        let link = links[link].as_mut().unwrap();
                        (0..n).for_each(|_| { let _ = link.tx.originate(len, |to| to.fill(7)); });
                        link.tx.publish();
                    }
                    Step::Sync { link } => links[link].as_mut().unwrap().sync(),
                    Step::NewSocket { link } => {
                        let link = links[link].as_mut().unwrap();
                        (link.ours, link.kernel) = socket();
                        link.exchange.begin(&mut link.ours.fill);
                        prop_assert_eq!(link.tx.space(), SLOTS - 1, "all of the ring is free again");
                    }
                    Step::Reopen { link } => {
                        let mut closed = links[link].take().unwrap();
                        closed.exchange.end();
                        drop(closed);
                        links[link] = Some(Link::new(&umem));
                    }
                }
                for link in links.iter_mut().flatten() {
                    for [taken_for, held] in link.held() {
                        prop_assert_eq!(taken_for, held);
                    }
                }
                let mut all: Vec<u32> = links.iter().flatten().flat_map(Link::buffers).collect();
                all.sort_unstable();
                prop_assert!(all.iter().copied().eq(2..2 + 4 * SLOTS), "{:?}", all);
            }
            for link in &mut links {
                let mut link = link.take().unwrap();
                prop_assert_eq!(link.exchange.strays.load(Ordering::Relaxed), 0);
                link.exchange.end();
            }
            let mut all = umem.buffers().unwrap();
            all.sort_unstable();
            prop_assert!(all.iter().copied().eq(2..2 + 4 * SLOTS), "{:?}", all);
        }
    }

    #[test]
    fn a_frame_of_several_buffers_is_refused_and_those_around_it_are_not() {
        let options = OpenOptions { slots: SLOTS, huge_pages: false, ..Default::default() };
        let umem = Umem::new(1, 0, 2048, &options).unwrap();
        let mut link = Link::new(&umem);
        for options in [0, CONTINUES, CONTINUES, 0, 0] {
            let addr = link.kernel.fill.pop() + u64::from(HEADROOM);
            link.kernel.rx.push(Descriptor { addr, len: 60, options });
        }
        link.kernel.rx.publish();
        link.sync();
        let taken: Vec<_> = (0..link.rx.available()).map(|_| link.rx.take().err()).collect();
        let refused = Some(BadSlot::MoreFrag);
        assert_eq!(taken, [None, refused, refused, refused, None]);
    }

    /// A kernel that returns what it was not given, or twice, is not believed.
    #[test]
    fn strays_are_counted_and_change_nothing() {
        let options = OpenOptions { slots: SLOTS, huge_pages: false, ..Default::default() };
        let umem = Umem::new(1, 0, 2048, &options).unwrap();
        let mut link = Link::new(&umem);
        link.receive(1, false);
        link.sync();
        let shown = link.rx.available();
        let stolen = u64::from(link.exchange.rx.get(0).buf_idx) << 11;
        for addr in [stolen, 0, 5 << 11 | 1 << 40, u64::MAX] {
            link.kernel.rx.push(Descriptor { addr, len: 60, options: 0 });
            link.kernel.completion.push(addr);
        }
        link.kernel.rx.publish();
        link.kernel.completion.publish();
        link.sync();
        assert_eq!((link.rx.available(), shown), (1, 1));
        assert_eq!(link.exchange.strays.load(Ordering::Relaxed), 8);
        let mut all = link.buffers();
        all.sort_unstable();
        assert!(all.iter().copied().eq(2..2 + 2 * SLOTS), "{all:?}");
    }
}
