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

/// By [`Class`]. What the control thread answers has limits of its own, lower than these: 50 a second for each station.
const BOUNDS: [Bounds; 4] = [
    Bounds { places: 128, rate: (16_000, 128), sender: (4_000, 64) },
    Bounds { places: 128, rate: (16_000, 128), sender: (4_000, 64) },
    Bounds { places: 64, rate: (1_000, 64), sender: (100, 32) },
    Bounds { places: 64, rate: (1_000, 64), sender: (1_000, 64) },
];

/// Senders share this many shares of a class, by a keyed hash: memory is fixed.
const SHARES: usize = 256;

fn sides<T>(make: impl Fn(&Bounds) -> T) -> [[T; BOUNDS.len()]; 2] {
    [(); 2].map(|()| BOUNDS.each_ref().map(&make))
}

fn place_of(side: Side, class: Class) -> (usize, usize) {
    (usize::from(side == Side::Lan), class as usize)
}

/// Frames for the control thread, from all workers.
#[derive(Debug)]
pub struct Queues {
    queues: [[ArrayQueue<Message>; BOUNDS.len()]; 2],
    /// The queue whose turn it is. There is one control thread, so nobody comes in between.
    turn: AtomicUsize,
}

impl Default for Queues {
    fn default() -> Self {
        Self { queues: sides(|bounds| ArrayQueue::new(bounds.places)), turn: AtomicUsize::new(0) }
    }
}

impl Queues {
    /// Whether there was room for a frame that came in, or is to go out, on this side.
    pub(crate) fn push(&self, side: Side, class: Class, message: Message) -> bool {
        let (side, class) = place_of(side, class);
        self.queues[side][class].push(message).is_ok()
    }

    /// The next frame: of each queue in turn, in the order in which they came.
    pub fn pop(&self) -> Option<Message> {
        let queues = self.queues.as_flattened();
        let first = self.turn.load(Ordering::Relaxed);
        (first..first + queues.len()).map(|turn| turn % queues.len()).find_map(|turn| {
            let message = queues[turn].pop()?;
            self.turn.store(turn + 1, Ordering::Relaxed);
            Some(message)
        })
    }

    /// Whether no frame waits.
    pub fn is_empty(&self) -> bool {
        self.queues.as_flattened().iter().all(ArrayQueue::is_empty)
    }
}

/// What one worker may still put into the queues.
pub(crate) struct Limits {
    classes: [[Limiter; BOUNDS.len()]; 2],
    senders: [[Box<[Limiter]>; BOUNDS.len()]; 2],
    /// Which share a sender has.
    secret: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let limiter = |(rate, burst)| Limiter::new(rate, burst);
        Self {
            classes: sides(|bounds| limiter(bounds.rate)),
            senders: sides(|bounds| vec![limiter(bounds.sender); SHARES].into()),
            secret: rand::random::<u64>() | 1,
        }
    }
}

impl Limits {
    /// Whether one more frame of `sender`, a number that is the same for all of its frames, may go to the control thread.
    /// One that sends too much uses up nobody else's share of the class.
    pub fn take(&mut self, (side, class): (Side, Class), sender: u64, now: Time) -> bool {
        let (side, class) = place_of(side, class);
        let share = (sender.wrapping_mul(self.secret) >> 56) as usize % SHARES;
        self.senders[side][class][share].take(now) && self.classes[side][class].take(now)
    }
}
