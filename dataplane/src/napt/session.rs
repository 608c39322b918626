//! One session: 64 bytes, one cache line, the same record for both directions.

use hikyaku_net::checksum::Delta;
use hikyaku_net::protocol;

use super::key::{Endpoint, Key, Kind, pair_addrs, pair_ports, split_addrs, split_ports};
use super::sync::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use super::timeouts::is_question;

/// A session's place in the table. 0 is nobody's.
pub type SessionId = u32;

/// Which way a packet goes through the NAPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the LAN to the Internet.
    Outbound,
    /// From the Internet to the LAN.
    Inbound,
}

/// By what right a session has its outside port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Claim {
    /// It belongs to an endpoint-independent mapping, which has the port.
    Mapped = 0,
    /// Nobody else has the port towards the same peer.
    Shared = 1,
    /// By a static mapping ([`super::Forward`]).
    Forwarded = 2,
    /// It has none: nobody else speaks its protocol, which has no ports, with the same peer.
    ByAddress = 3,
}

/// The record of a session. All fields are atomics because any worker reads it at any time; only
/// the holder of the table's lock writes identity and links.
///
/// Addresses and ports are stored twice, in the order in which they stand in a packet of either
/// direction: the match and the rewrite are one load each.
#[derive(Debug)]
#[cfg_attr(not(loom), derive(zerocopy::FromZeros))]
#[cfg_attr(loom, derive(Default))]
#[repr(C, align(64))]
pub struct Session {
    /// Inside and peer's address, as they stand in a packet from the LAN.
    out_addrs: AtomicU64,
    /// Peer's and outside address, as they stand in a packet from the tunnel.
    in_addrs: AtomicU64,
    out_ports: AtomicU32,
    in_ports: AtomicU32,
    /// Change of the address words, and of address and port words, outbound.
    deltas: AtomicU32,
    /// 0 when the session is over: who found it a moment ago, and still has its packet to finish, must
    /// not believe in it any longer, because its outside port may be another's by then.
    protocol: AtomicU8,
    state: AtomicU8,
    /// Slot of the timing wheel it hangs in.
    pub(super) wheel_slot: AtomicU8,
    /// What the session claims of the table, a [`Claim`].
    claim: AtomicU8,
    /// Second of the last packet.
    last: AtomicU32,
    /// Ring of sessions that share the mapping.
    pub(super) sibling_next: AtomicU32,
    pub(super) sibling_prev: AtomicU32,
    /// List of sessions in one slot of the timing wheel.
    pub(super) wheel_next: AtomicU32,
    pub(super) wheel_prev: AtomicU32,
    /// Outbound, inbound; they wrap.
    packets: [AtomicU32; 2],
    /// 1 if it is among its host's count.
    counted: AtomicU8,
    _spare: [AtomicU8; 3],
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Session>() == 64);

/// What is known of a connection, as bits that are only ever added, until a new SYN starts over; but for
/// resets, which may turn out to be none.
pub(super) mod state {
    use super::Direction;
    use hikyaku_net::packet::Tcp;

    /// A packet went out.
    pub const SEEN_OUT: u8 = 1;
    /// A packet came in.
    pub const SEEN_IN: u8 = 2;
    /// The handshake is complete. All but TCP are born with it: nothing to track.
    pub const ESTABLISHED: u8 = 4;
    /// In a TCP state: the inside host has sent a FIN.
    pub const FIN_OUT: u8 = 8;
    /// In a TCP state: the peer has sent a FIN.
    pub const FIN_IN: u8 = 16;
    /// A reset went out.
    pub const RESET_OUT: u8 = 32;
    /// A reset came in.
    pub const RESET_IN: u8 = 64;

    /// Whether a state says that the connection was reset.
    pub fn is_reset(state: u8) -> bool {
        state & (RESET_OUT | RESET_IN) != 0
    }

    /// Nothing more is to come but what is still on its way.
    pub fn is_closed(state: u8) -> bool {
        is_reset(state) || state & (FIN_OUT | FIN_IN) == FIN_OUT | FIN_IN
    }

    /// The state of a TCP connection after a packet (RFC 5382 REQ-2, RFC 7857 2).
    ///
    /// A reset makes it one that is closing; nobody here knows sequence numbers, so it may be forged or out of
    /// window, and ends nothing (RFC 7857 2.2). Whoever has really reset a connection sends nothing on it any more
    /// but resets: if anything else comes from that side, the connection lives and is open as before.
    pub fn after(old: u8, direction: Direction, flags: u8) -> u8 {
        let (seen, fin, reset) = match direction {
            Direction::Outbound => (SEEN_OUT, FIN_OUT, RESET_OUT),
            Direction::Inbound => (SEEN_IN, FIN_IN, RESET_IN),
        };
        if is_closed(old) && flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN {
            // The ports are used again for a new connection (RFC 6191).
            return seen;
        }
        let mut new = old | seen;
        if flags & Tcp::FIN != 0 {
            new |= fin;
        }
        if flags & Tcp::RST != 0 {
            // Not established any more: so that what follows is looked at.
            return (new | reset) & !ESTABLISHED;
        }
        // Packets have gone both ways, and this one is more than a handshake.
        if flags & Tcp::SYN == 0 && old & (SEEN_OUT | SEEN_IN) == SEEN_OUT | SEEN_IN {
            new &= !reset;
            new |= if is_reset(new) { 0 } else { ESTABLISHED };
        }
        new
    }
}

/// The new header fields, and what they change in the checksums.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite {
    /// Source and destination address.
    pub addrs: u64,
    /// Source and destination port.
    pub ports: u32,
    /// For the IPv4 header checksum.
    pub ip: Delta,
    /// For the transport checksum, which covers addresses (but ICMP's) and ports.
    pub transport: Delta,
}

impl Session {
    /// Fills a free record in. The caller holds the table's lock and nobody can find the record.
    pub(super) fn write(&self, protocol: u8, inside: Endpoint, peer: Endpoint, outside: Endpoint, state: u8, now: u32) {
        let ip = Delta::words(inside.addr.word(), outside.addr.word());
        let ports = Delta::word(inside.port.word(), outside.port.word());
        // The ICMP checksum has no pseudo header.
        let transport = if protocol == protocol::ICMP { ports } else { ip.and(ports) };
        self.out_addrs.store(pair_addrs(inside.addr, peer.addr), Relaxed);
        self.in_addrs.store(pair_addrs(peer.addr, outside.addr), Relaxed);
        self.out_ports.store(pair_ports(inside.port, peer.port), Relaxed);
        self.in_ports.store(pair_ports(peer.port, outside.port), Relaxed);
        self.deltas.store(u32::from(ip.0) | u32::from(transport.0) << 16, Relaxed);
        self.protocol.store(protocol, Relaxed);
        self.state.store(state, Relaxed);
        self.last.store(now, Relaxed);
        self.packets[0].store(0, Relaxed);
        self.packets[1].store(0, Relaxed);
    }

    /// Whether this is the session of `key`.
    #[inline(always)]
    pub fn is(&self, key: &Key) -> bool {
        let (addrs, ports) = match key.kind {
            Kind::Outbound => (&self.out_addrs, &self.out_ports),
            _ => (&self.in_addrs, &self.in_ports),
        };
        (addrs.load(Relaxed) == key.addrs)
            & (ports.load(Relaxed) == key.ports)
            & (self.protocol.load(Relaxed) == key.protocol)
    }

    /// What to write into a packet that goes this way.
    #[inline(always)]
    pub fn rewrite(&self, direction: Direction) -> Rewrite {
        let deltas = self.deltas.load(Relaxed);
        let (ip, transport) = (Delta(deltas as u16), Delta((deltas >> 16) as u16));
        match direction {
            // outside -> peer: the inbound pair with its halves exchanged.
            Direction::Outbound => Rewrite {
                addrs: self.in_addrs.load(Relaxed).rotate_left(32),
                ports: self.in_ports.load(Relaxed).rotate_left(16),
                ip,
                transport,
            },
            // peer -> inside
            Direction::Inbound => Rewrite {
                addrs: self.out_addrs.load(Relaxed).rotate_left(32),
                ports: self.out_ports.load(Relaxed).rotate_left(16),
                ip: ip.reverse(),
                transport: transport.reverse(),
            },
        }
    }

    /// Notes a packet: the session lives on, one more is counted. `refresh` is false for a
    /// direction that shall not keep sessions alive (RFC 4787 REQ-6).
    #[inline(always)]
    pub fn note(&self, direction: Direction, now: u32, refresh: bool) {
        if refresh && self.last.load(Relaxed) != now {
            self.last.store(now, Relaxed);
        }
        let count = &self.packets[direction as usize];
        count.store(count.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// The handshake is complete (or there is none) and nothing but SYN, FIN and RST need be
    /// looked at.
    #[inline(always)]
    pub fn is_established(&self) -> bool {
        self.state.load(Relaxed) & state::ESTABLISHED != 0
    }

    /// Follows a TCP connection. Returns its [`state`] before and after; another worker may be
    /// adding the other direction's bits at the same moment.
    pub(super) fn track(&self, direction: Direction, flags: u8) -> (u8, u8) {
        let step = |old| {
            let new = state::after(old, direction, flags);
            (new != old).then_some(new)
        };
        match self.state.fetch_update(Relaxed, Relaxed, step) {
            Ok(old) => (old, state::after(old, direction, flags)),
            Err(same) => (same, same),
        }
    }

    /// The last step of its opening. `counted`: among its host's sessions.
    pub(super) fn begin(&self, claim: Claim, counted: bool) {
        self.claim.store(claim as u8, Relaxed);
        self.counted.store(counted.into(), Relaxed);
    }

    /// It is over: it is no packet's any more, whoever has it in hand. What it made of packets stays
    /// readable until the record is written again.
    pub(super) fn end(&self) {
        self.protocol.store(0, Relaxed);
    }

    /// Whether it is open, for the holder of the table's lock.
    pub(super) fn is_live(&self) -> bool {
        self.protocol() != 0
    }

    /// Whether it is counted among its host's.
    pub(super) fn is_counted(&self) -> bool {
        self.counted.load(Relaxed) != 0
    }

    /// By what right it has its outside port.
    pub fn claim(&self) -> Claim {
        match self.claim.load(Relaxed) {
            0 => Claim::Mapped,
            1 => Claim::Shared,
            2 => Claim::Forwarded,
            _ => Claim::ByAddress,
        }
    }

    pub(super) fn state(&self) -> u8 {
        self.state.load(Relaxed)
    }

    /// Whether it is a connection that is closed or reset and has been silent since: what was still
    /// on its way has come. Seconds are whole, so two are at least one.
    pub(super) fn is_over(&self, now: u32) -> bool {
        let is_closed = self.protocol() == protocol::TCP && state::is_closed(self.state());
        is_closed && now.saturating_sub(self.last()) >= 2
    }

    /// What it is doing, for people: `established`, `opening`, `closing`.
    pub fn standing(&self) -> &'static str {
        match self.state() {
            s if state::is_closed(s) => "closing",
            s if s & state::ESTABLISHED != 0 => "established",
            _ => "opening",
        }
    }

    /// Second of the last packet that kept it alive.
    pub fn last(&self) -> u32 {
        self.last.load(Relaxed)
    }

    /// TCP, UDP, ICMP or one that is translated by address.
    #[inline(always)]
    pub fn protocol(&self) -> u8 {
        self.protocol.load(Relaxed)
    }

    /// The LAN host's end.
    pub fn inside(&self) -> Endpoint {
        let (addr, _) = split_addrs(self.out_addrs.load(Relaxed));
        let (port, _) = split_ports(self.out_ports.load(Relaxed));
        Endpoint { addr, port }
    }

    /// The endpoint at the other end of the session, in the Internet.
    pub fn peer(&self) -> Endpoint {
        let (_, addr) = split_addrs(self.out_addrs.load(Relaxed));
        let (_, port) = split_ports(self.out_ports.load(Relaxed));
        Endpoint { addr, port }
    }

    /// Our end as the Internet sees it.
    pub fn outside(&self) -> Endpoint {
        let (_, addr) = split_addrs(self.in_addrs.load(Relaxed));
        let (_, port) = split_ports(self.in_ports.load(Relaxed));
        Endpoint { addr, port }
    }

    /// Whether it is a question and perhaps its answer: to such a port, and nothing came back yet or no more than two packets went
    /// either way, since a resolver asks for both of a name's addresses at once. A tunnel to such a port soon is not, and
    /// what once is not never is again: the ageing need not look.
    #[inline(always)]
    pub(super) fn is_question(&self) -> bool {
        is_question(self.protocol(), self.peer().port) && self.is_short()
    }

    #[cold]
    fn is_short(&self) -> bool {
        let [out, back] = self.packets();
        back == 0 || out <= 2 && back <= 2
    }

    /// Packets outbound and inbound, modulo 2^32.
    pub fn packets(&self) -> [u32; 2] {
        [self.packets[0].load(Relaxed), self.packets[1].load(Relaxed)]
    }

    /// The key it is found by.
    pub(super) fn key(&self, kind: Kind) -> Key {
        let (addrs, ports) = match kind {
            Kind::Outbound => (self.out_addrs.load(Relaxed), self.out_ports.load(Relaxed)),
            Kind::Inbound => (self.in_addrs.load(Relaxed), self.in_ports.load(Relaxed)),
            Kind::MappingInside => return Key::mapping(kind, self.protocol(), self.inside()),
            Kind::MappingOutside => return Key::mapping(kind, self.protocol(), self.outside()),
        };
        Key { addrs, ports, protocol: self.protocol(), kind }
    }
}
