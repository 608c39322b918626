//! What the control thread is to hear: a queue for each class of it on either side, and how much a worker lets into each.
//!
//! The control thread is slow beside the packet path, and what keeps the line and the hosts' addresses alive must not wait
//! behind what anybody may send. So each class has places and a rate of its own, each sender a share of the rate, and the
//! queues are taken in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use hikyaku_net::{Limiter, Time};

use crate::message::Message;
use crate::snapshot::Side;

/// Why the control thread wants a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// What only stations of the link can say: ARP, neighbour and router discovery, listener queries, DHCP.
    Discovery,
    /// Whatever else goes to a port that the control thread listens on, answers to its echo requests, errors about what it
    /// sent.
    Sockets,
    /// Echo requests, and on the LAN what is to be told that nobody listens (RFC 1122 4.1.3.1).
    Echo,
    /// Packets that lack their next hop's Ethernet address. The control thread keeps one for each neighbour.
    Unresolved,
    /// Questions about names from hosts of the LAN. Another thread takes them than the others ([`Queues::pop_name`]).
    Names,
}

/// Which threads there are frames for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// The control thread.
    pub control: bool,
    /// Whoever takes [`Class::Names`].
    pub names: bool,
}

impl Wanted {
    /// A frame of this class was put into its queue.
    pub fn note(&mut self, class: Class) {
        match class {
            Class::Names => self.names = true,
            _ => self.control = true,
        }
    }
}

/// How much there may be of a class, on one side.
struct Bounds {
    /// Frames that wait, at most.
    places: usize,
    /// Frames that a worker puts into the queue: a second, and at once.
    rate: (u32, u32),
    /// Of these, from one sender.
    sender: (u32, u32),
}

/// By [`Class`], of those that the control thread takes. What it answers has limits of its own, lower than these: 50 a second
/// for each station.
const BOUNDS: [Bounds; 4] = [
    Bounds { places: 128, rate: (16_000, 128), sender: (4_000, 64) },
    Bounds { places: 128, rate: (16_000, 128), sender: (4_000, 64) },
    Bounds { places: 64, rate: (1_000, 64), sender: (100, 32) },
    Bounds { places: 64, rate: (1_000, 64), sender: (1_000, 64) },
];

/// Of [`Class::Names`], which the LAN alone has. Answers from the cache cost a microsecond, and questions of others' a share of
/// the line's that is limited there.
const NAMES: Bounds = Bounds { places: 512, rate: (200_000, 512), sender: (100_000, 128) };

/// Senders share this many shares of a class, by a keyed hash: memory is fixed.
const SHARES: usize = 256;

fn sides<T>(make: impl Fn(&Bounds) -> T) -> [[T; BOUNDS.len()]; 2] {
    [(); 2].map(|()| BOUNDS.each_ref().map(&make))
}

/// Where a class that the control thread takes has its place; `None`: another thread takes it.
fn place_of(side: Side, class: Class) -> Option<(usize, usize)> {
    (class != Class::Names).then_some((usize::from(side == Side::Lan), class as usize))
}

/// Frames for the control thread and its helper, from all workers.
#[derive(Debug)]
pub struct Queues {
    queues: [[ArrayQueue<Message>; BOUNDS.len()]; 2],
    names: ArrayQueue<Message>,
    /// The queue whose turn it is. There is one control thread, so nobody comes in between.
    turn: AtomicUsize,
}

impl Default for Queues {
    fn default() -> Self {
        Self {
            queues: sides(|bounds| ArrayQueue::new(bounds.places)),
            names: ArrayQueue::new(NAMES.places),
            turn: AtomicUsize::new(0),
        }
    }
}

impl Queues {
    /// Whether there was room for a frame that came in, or is to go out, on this side.
    pub(crate) fn push(&self, side: Side, class: Class, message: Message) -> bool {
        let queue = place_of(side, class).map_or(&self.names, |(side, class)| &self.queues[side][class]);
        queue.push(message).is_ok()
    }

    /// The next question about a name.
    pub fn pop_name(&self) -> Option<Message> {
        self.names.pop()
    }

    /// The next frame of any other class: of each queue in turn, in the order in which they came.
    pub fn pop(&self) -> Option<Message> {
        let queues = self.queues.as_flattened();
        let first = self.turn.load(Ordering::Relaxed);
        (first..first + queues.len()).map(|turn| turn % queues.len()).find_map(|turn| {
            let message = queues[turn].pop()?;
            self.turn.store(turn + 1, Ordering::Relaxed);
            Some(message)
        })
    }

    /// Whether no question about a name waits.
    pub fn has_no_name(&self) -> bool {
        self.names.is_empty()
    }

    /// Whether no frame of any other class waits.
    pub fn is_empty(&self) -> bool {
        self.queues.as_flattened().iter().all(ArrayQueue::is_empty)
    }
}

/// What may still be put into a queue, and by each share of senders.
struct Budget {
    all: Limiter,
    senders: Box<[Limiter]>,
}

impl Budget {
    fn new(bounds: &Bounds) -> Self {
        let limiter = |(rate, burst)| Limiter::new(rate, burst);
        Self { all: limiter(bounds.rate), senders: vec![limiter(bounds.sender); SHARES].into() }
    }
}

/// What one worker may still put into the queues.
pub(crate) struct Limits {
    classes: [[Budget; BOUNDS.len()]; 2],
    names: Budget,
    /// Which share a sender has.
    secret: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { classes: sides(Budget::new), names: Budget::new(&NAMES), secret: rand::random::<u64>() | 1 }
    }
}

impl Limits {
    /// Whether one more frame of `sender`, a number that is the same for all of its frames, may go into its queue.
    /// One that sends too much uses up nobody else's share of the class.
    pub fn take(&mut self, (side, class): (Side, Class), sender: u64, now: Time) -> bool {
        let share = (sender.wrapping_mul(self.secret) >> 56) as usize % SHARES;
        let budget = match place_of(side, class) {
            Some((side, class)) => &mut self.classes[side][class],
            None => &mut self.names,
        };
        budget.senders[share].take(now) && budget.all.take(now)
    }
}
