//! One session of native IPv6, or between two LANs: 64 bytes, one cache line.

use hikyaku_net::{Addr4, Addr6, Port};

use crate::sessions::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sessions::{Direction, LanId, tcp, wheel};

/// A host of IPv4 as the table knows it, which has it only between LANs: a v4-mapped address (RFC 4291 2.5.5.2) that says the
/// LAN, too, so that a host of another one with this address has sessions of its own. No packet of IPv6 has such an address
/// ([`Addr6::is_forwardable`]).
pub fn mapped(LanId(lan): LanId, Addr4([a, b, c, d]): Addr4) -> Addr6 {
    Addr6([0, 0, 0, 0, 0, 0, 0, 0, lan, 0, 0xff, 0xff, a, b, c, d])
}

/// The LAN and the address that this was [`mapped`] from, if it was.
pub fn unmapped(address: Addr6) -> Option<(LanId, Addr4)> {
    match address.0 {
        [0, 0, 0, 0, 0, 0, 0, 0, lan, 0, 0xff, 0xff, a, b, c, d] => Some((LanId(lan), Addr4([a, b, c, d]))),
        _ => None,
    }
}

/// What a session is found by: between whom it is, whichever way a packet of it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The address of the host of ours; between two LANs see [`Flow::between`].
    pub inside: Addr6,
    /// The address of the host in the Internet.
    pub peer: Addr6,
    /// The ports of both, the inside one first, as they stand in a packet that goes out; an echo's identifier and 0; 0 of
    /// what has none.
    ports: u32,
    /// The upper-layer protocol, one of [`hikyaku_net::protocol`].
    pub protocol: u8,
}

impl Flow {
    /// The flow of a packet that goes this way, with these source and destination.
    #[inline(always)]
    pub fn new(direction: Direction, protocol: u8, [src, dst]: [Addr6; 2], [from, to]: [Port; 2]) -> Self {
        let (inside, peer, a, b) = match direction {
            Direction::Outbound => (src, dst, from.0, to.0),
            Direction::Inbound => (dst, src, to.0, from.0),
        };
        Self { inside, peer, ports: u32::from_ne_bytes([a[0], a[1], b[0], b[1]]), protocol }
    }

    /// As [`Self::new`] with both ports as one word, as they stand in the packet.
    #[inline(always)]
    pub fn of_word(direction: Direction, protocol: u8, [src, dst]: [Addr6; 2], ports: u32) -> Self {
        match direction {
            Direction::Outbound => Self { inside: src, peer: dst, ports, protocol },
            Direction::Inbound => Self { inside: dst, peer: src, ports: ports.rotate_left(16), protocol },
        }
    }

    /// Which way a packet between two LANs goes in the table: there both ends are hosts of ours, and whichever has the lesser
    /// address stands inside, whoever began.
    pub fn between([src, dst]: [Addr6; 2]) -> Direction {
        if src.0 < dst.0 { Direction::Outbound } else { Direction::Inbound }
    }

    /// The port of the host of ours.
    pub fn inside_port(&self) -> Port {
        let [a, b, ..] = self.ports.to_ne_bytes();
        Port([a, b])
    }

    /// The port of its peer.
    pub fn peer_port(&self) -> Port {
        let [.., a, b] = self.ports.to_ne_bytes();
        Port([a, b])
    }

    /// All of it but the addresses.
    #[inline(always)]
    pub(super) fn rest(&self) -> u64 {
        u64::from(self.ports) | u64::from(self.protocol) << 32
    }
}

/// The record of a session. All fields are atomics because any worker reads it at any time; only the holder of the table's
/// lock writes identity and links.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
pub struct Session {
    inside: [AtomicU64; 2],
    peer: [AtomicU64; 2],
    /// As in [`Flow`].
    ports: AtomicU32,
    /// 0 when the session is over: no packet has ports and is of protocol 0.
    protocol: AtomicU8,
    /// What is known of a connection ([`tcp`]).
    state: AtomicU8,
    /// Slot of the timing wheel it hangs in.
    wheel_slot: AtomicU8,
    _spare: AtomicU8,
    /// Second of the last packet.
    last: AtomicU32,
    wheel_next: AtomicU32,
    wheel_prev: AtomicU32,
    /// Outbound, inbound; they wrap.
    packets: [AtomicU32; 2],
    /// Whose share it is counted in ([`super::shares`]).
    share: AtomicU32,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Session>() == 64);

impl wheel::Record for Session {
    #[inline(always)]
    fn slot(&self) -> &AtomicU8 {
        &self.wheel_slot
    }

    #[inline(always)]
    fn next(&self) -> &AtomicU32 {
        &self.wheel_next
    }

    #[inline(always)]
    fn prev(&self) -> &AtomicU32 {
        &self.wheel_prev
    }
}

impl Session {
    /// Fills a free record in. The caller holds the table's lock and nobody can find the record.
    pub(super) fn write(&self, flow: &Flow, state: u8, now: u32, share: u32) {
        let store = |words: &[AtomicU64; 2], addr: Addr6| {
            words.iter().zip(addr.words()).for_each(|(word, new)| word.store(new, Relaxed));
        };
        store(&self.inside, flow.inside);
        store(&self.peer, flow.peer);
        self.ports.store(flow.ports, Relaxed);
        self.protocol.store(flow.protocol, Relaxed);
        self.state.store(state, Relaxed);
        self.last.store(now, Relaxed);
        self.share.store(share, Relaxed);
        self.packets.iter().for_each(|count| count.store(0, Relaxed));
    }

    /// Whether this is the session of `flow`.
    #[inline(always)]
    pub fn is(&self, flow: &Flow) -> bool {
        let same = |words: &[AtomicU64; 2], addr: Addr6| {
            let [a, b] = addr.words();
            (words[0].load(Relaxed) == a) & (words[1].load(Relaxed) == b)
        };
        same(&self.inside, flow.inside)
            & same(&self.peer, flow.peer)
            & (self.ports.load(Relaxed) == flow.ports)
            & (self.protocol.load(Relaxed) == flow.protocol)
    }

    /// Between whom it is.
    pub fn flow(&self) -> Flow {
        let addr = |words: &[AtomicU64; 2]| Addr6::from_words(words.each_ref().map(|word| word.load(Relaxed)));
        let (inside, peer) = (addr(&self.inside), addr(&self.peer));
        Flow { inside, peer, ports: self.ports.load(Relaxed), protocol: self.protocol.load(Relaxed) }
    }

    /// Notes a packet: the session lives on, one more is counted.
    #[inline(always)]
    pub fn note(&self, direction: Direction, now: u32) {
        // Mostly it is there already, and the line stays as it is.
        if self.last.load(Relaxed) != now {
            self.last.store(now, Relaxed);
        }
        let count = &self.packets[direction as usize];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The handshake is complete (or there is none) and nothing but SYN, FIN and RST need be looked at.
    #[inline(always)]
    pub fn is_established(&self) -> bool {
        self.state.load(Relaxed) & tcp::ESTABLISHED != 0
    }

    /// Follows a connection. Returns its [state](tcp) before and after; another worker may be adding the other direction's
    /// bits at the same moment.
    pub(super) fn track(&self, direction: Direction, flags: u8) -> (u8, u8) {
        tcp::track(&self.state, direction, flags)
    }

    /// So many packets were counted before.
    pub(super) fn resume(&self, packets: [u32; 2]) {
        self.packets.iter().zip(packets).for_each(|(count, before)| count.store(before, Relaxed));
    }

    /// It is over: it is no packet's any more, whoever has it in hand.
    pub(super) fn end(&self) {
        self.protocol.store(0, Relaxed);
    }

    /// Whether it is open, for the holder of the table's lock.
    pub(super) fn is_live(&self) -> bool {
        self.protocol.load(Relaxed) != 0
    }

    /// What is known of the connection, [`tcp`]'s bits.
    pub(super) fn state(&self) -> u8 {
        self.state.load(Relaxed)
    }

    /// Whose share it is counted in.
    pub(super) fn share(&self) -> u32 {
        self.share.load(Relaxed)
    }

    /// Second of the last packet.
    pub fn last(&self) -> u32 {
        self.last.load(Relaxed)
    }

    /// Packets outbound and inbound, modulo 2^32.
    pub fn packets(&self) -> [u32; 2] {
        [self.packets[0].load(Relaxed), self.packets[1].load(Relaxed)]
    }
}
