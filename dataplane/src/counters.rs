//! What a worker counts: one writer, any reader, no lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use hikyaku_ring::LinkId;

use crate::verdict::{Reason, Verdict};

macro_rules! events {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal),* $(,)?) => {
        /// What happened besides verdicts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Event { $($(#[doc = $doc])* $name),* }

        impl Event {
            /// All of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The name in counters and JSON.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What it counts: its doc comment, as it is people are told it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii_start()),* }
            }
        }
    };
}

events! {
    /// A frame was taken from a receive ring.
    Received = "received",
    /// Bytes of frames taken from receive rings.
    ReceivedBytes = "received-bytes",
    /// A frame was received from another worker, by handoff.
    HandoffReceived = "handoff-received",
    /// A frame was put into a transmit ring, of whatever origin.
    Sent = "sent",
    /// Bytes of frames put into transmit rings.
    SentBytes = "sent-bytes",
    /// A frame was moved inside its buffer, because a link has no headroom.
    Shifted = "shifted",
    /// A frame was copied, because two links are in different memory regions.
    Copied = "copied",
    /// An ICMP error of ours was sent.
    IcmpSent = "icmp-sent",
    /// An ICMP error or TCP reset of ours was not sent, because of the rate limit.
    IcmpLimited = "icmp-limited",
    /// A TCP reset of ours was sent, because a rule rejects the connection.
    ResetSent = "reset-sent",
    /// A SYN from outside that nobody let in is remembered, to be answered after six seconds.
    SynHeld = "syn-held",
    /// A TCP SYN's MSS option was lowered.
    MssLowered = "mss-lowered",
    /// A packet left in pieces: outer fragments, or IPv4 fragments to the LAN.
    Fragmented = "fragmented",
    /// A packet of several outer fragments was put together.
    Reassembled = "reassembled-packets",
    /// A smaller path MTU was learned.
    PathMtuLearned = "path-mtu-learned",
    /// A session was opened.
    SessionOpened = "session-opened",
    /// What the control thread got, the host's own network stack got too.
    HostCopied = "host-copied",
    /// A frame of the control thread was sent.
    Injected = "injected",
    /// A frame of the control thread found the transmit ring full.
    InjectLost = "inject-lost",
    /// A worker dropped its queue of a link, because the interface was gone.
    QueueLost = "queue-lost",
    /// A worker got a queue of a link whose interface came back.
    QueueAdopted = "queue-adopted",
    /// A worker panicked and went on, or ended: a fault of this program.
    WorkerPanicked = "worker-panics",
}

/// Links whose traffic is counted each for itself, at most; what others carry is in the sum alone.
pub const COUNTED_LINKS: usize = 16;

/// The counters of one worker. The worker pads them onto cache lines of their own.
#[derive(Debug)]
pub struct Counters {
    verdicts: [AtomicU64; Verdict::COUNT],
    events: [AtomicU64; Event::ALL.len()],
    /// Frames held for reassembly or for their first fragment, without a verdict yet.
    held: AtomicU64,
    links: [LinkCounters; COUNTED_LINKS],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            verdicts: [const { AtomicU64::new(0) }; Verdict::COUNT],
            events: [const { AtomicU64::new(0) }; Event::ALL.len()],
            held: AtomicU64::new(0),
            links: Default::default(),
        }
    }
}

/// What a worker took from one link's rings and put into them.
#[derive(Debug, Default)]
struct LinkCounters {
    received: VolumeCounter,
    sent: VolumeCounter,
}

#[derive(Debug, Default)]
struct VolumeCounter {
    frames: AtomicU64,
    bytes: AtomicU64,
}

impl VolumeCounter {
    fn add(&self, frames: u64, bytes: u64) {
        add(&self.frames, frames);
        add(&self.bytes, bytes);
    }

    fn get(&self) -> Volume {
        Volume { frames: self.frames.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }
}

/// An amount of traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Ethernet frames.
    pub frames: u64,
    /// Their bytes, from the Ethernet header on, without the frame check sequence.
    pub bytes: u64,
}

/// What went over a link, by direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkTraffic {
    /// Taken from its receive rings.
    pub received: Volume,
    /// Put into its transmit rings, of whatever origin.
    pub sent: Volume,
}

impl Volume {
    fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
    }
}

/// One writer: load and store need not be one step.
#[inline(always)]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Counters {
    /// `n` frames ended so.
    #[inline(always)]
    pub fn end(&self, verdict: Verdict, n: u64) {
        add(&self.verdicts[verdict.index()], n);
    }

    /// Something happened `n` times.
    #[inline(always)]
    pub fn note(&self, event: Event, n: u64) {
        add(&self.events[event as usize], n);
    }

    /// So many frames of so many bytes were taken from the link.
    #[inline(always)]
    pub fn received(&self, link: LinkId, frames: u64, bytes: u64) {
        self.note(Event::Received, frames);
        self.note(Event::ReceivedBytes, bytes);
        if let Some(link) = self.links.get(link.index()) {
            link.received.add(frames, bytes);
        }
    }

    /// So many frames of so many bytes were put into the link's transmit ring.
    #[inline(always)]
    pub fn sent(&self, link: LinkId, frames: u64, bytes: u64) {
        self.note(Event::Sent, frames);
        self.note(Event::SentBytes, bytes);
        if let Some(link) = self.links.get(link.index()) {
            link.sent.add(frames, bytes);
        }
    }

    /// Nobody will say any more what became of the frames that have no verdict yet: they end so, and nothing is held.
    pub fn settle(&self, verdict: Verdict) {
        self.set_held(0);
        let totals = self.totals();
        self.end(verdict, totals.taken().saturating_sub(totals.verdicts.iter().sum()));
    }

    /// So many frames wait for their verdict.
    pub fn set_held(&self, n: u64) {
        self.held.store(n, Relaxed);
    }

    /// How many frames wait for their verdict.
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }

    /// How many frames ended so.
    pub fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict.index()].load(Relaxed)
    }

    /// How often something happened.
    pub fn event(&self, event: Event) -> u64 {
        self.events[event as usize].load(Relaxed)
    }

    /// What went over a link.
    pub fn link(&self, link: LinkId) -> LinkTraffic {
        let of = |link: &LinkCounters| LinkTraffic { received: link.received.get(), sent: link.sent.get() };
        self.links.get(link.index()).map(of).unwrap_or_default()
    }

    /// All counts, for showing.
    pub fn totals(&self) -> Totals {
        Totals {
            verdicts: self.verdicts.each_ref().map(|n| n.load(Relaxed)),
            events: self.events.each_ref().map(|n| n.load(Relaxed)),
            held: self.held.load(Relaxed),
            links: std::array::from_fn(|link| self.link(LinkId(link as u8))),
        }
    }
}

/// The sum of several workers' counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    verdicts: [u64; Verdict::COUNT],
    events: [u64; Event::ALL.len()],
    /// Frames without a verdict yet.
    pub held: u64,
    links: [LinkTraffic; COUNTED_LINKS],
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            verdicts: [0; Verdict::COUNT],
            events: [0; Event::ALL.len()],
            held: 0,
            links: [LinkTraffic::default(); COUNTED_LINKS],
        }
    }
}

impl Totals {
    /// Adds the counts of another worker to these.
    pub fn add(&mut self, other: &Self) {
        self.verdicts.iter_mut().zip(other.verdicts).for_each(|(sum, n)| *sum += n);
        self.events.iter_mut().zip(other.events).for_each(|(sum, n)| *sum += n);
        self.held += other.held;
        for (link, other) in self.links.iter_mut().zip(other.links) {
            link.received.add(other.received);
            link.sent.add(other.sent);
        }
    }

    /// What went over a link.
    pub fn link(&self, link: LinkId) -> LinkTraffic {
        self.links.get(link.index()).copied().unwrap_or_default()
    }

    /// Count of one verdict.
    pub fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict.index()]
    }

    /// Count of one event.
    pub fn event(&self, event: Event) -> u64 {
        self.events[event as usize]
    }

    /// Frames taken from receive rings.
    pub fn received(&self) -> u64 {
        self.event(Event::Received)
    }

    /// All verdicts that occurred.
    pub fn verdicts(&self) -> impl Iterator<Item = (Verdict, u64)> + '_ {
        Verdict::all().map(|v| (v, self.verdict(v))).filter(|&(_, n)| n > 0)
    }

    /// All frames dropped, whatever the reason.
    pub fn dropped(&self) -> u64 {
        Reason::ALL.iter().map(|&r| self.verdict(r.into())).sum()
    }

    /// Every frame that a worker received from a link or from another worker has exactly one verdict of it, or is still held.
    pub fn add_up(&self) -> bool {
        self.taken() == self.verdicts.iter().sum::<u64>() + self.held
    }

    fn taken(&self) -> u64 {
        self.received() + self.event(Event::HandoffReceived)
    }
}
