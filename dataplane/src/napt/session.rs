//! One session: 64 bytes, one cache line, the same record for both directions.

use hikyaku_net::checksum::Delta;
use hikyaku_net::{Addr4, Port, protocol};

use super::key::{Endpoint, Key, pair_addrs, pair_ports, split_addrs, split_ports};
use crate::sessions::hash::Kind;
use crate::sessions::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sessions::timeouts::is_question;
use crate::sessions::{Direction, LanId, UplinkId, tcp, wheel};

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
    /// The protocol, and above it the number of the inside host's LAN, side by side as in a [`Key`]: what comes from a LAN
    /// is matched by both at once. The protocol is 0 when the session is over: who found it a moment ago, and still has
    /// its packet to finish, must not believe in it any longer, because its outside port may be another's by then.
    protocol_and_lan: AtomicU16,
    /// What is known of the connection, see [`tcp`].
    state: AtomicU8,
    /// Slot of the timing wheel it hangs in.
    wheel_slot: AtomicU8,
    /// Second of the last packet.
    last: AtomicU32,
    /// Ring of sessions that share the mapping.
    pub(super) sibling_next: AtomicU32,
    pub(super) sibling_prev: AtomicU32,
    /// List of sessions in one slot of the timing wheel.
    wheel_next: AtomicU32,
    wheel_prev: AtomicU32,
    /// Outbound, inbound; they wrap.
    packets: [AtomicU32; 2],
    /// What the session claims of the table, a [`Claim`].
    claim: AtomicU8,
    /// 1 if it is among its host's count.
    counted: AtomicU8,
    /// The way to the Internet that it goes, whose address its outside end has.
    uplink: AtomicU8,
    _spare: AtomicU8,
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

/// Between whom a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) protocol: u8,
    /// The inside host's.
    pub(super) lan: LanId,
    pub(super) inside: Endpoint,
    pub(super) peer: Endpoint,
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
    pub(super) fn write(&self, ends: Ends, outside: Endpoint, uplink: UplinkId, state: u8, now: u32) {
        let Ends { protocol, lan, inside, peer } = ends;
        let ip = Delta::words(inside.addr.word(), outside.addr.word());
        let ports = Delta::word(inside.port.word(), outside.port.word());
        // The ICMP checksum has no pseudo header.
        let transport = if protocol == protocol::ICMP { ports } else { ip.and(ports) };
        self.out_addrs.store(pair_addrs(inside.addr, peer.addr), Relaxed);
        self.in_addrs.store(pair_addrs(peer.addr, outside.addr), Relaxed);
        self.out_ports.store(pair_ports(inside.port, peer.port), Relaxed);
        self.in_ports.store(pair_ports(peer.port, outside.port), Relaxed);
        self.deltas.store(u32::from(ip.0) | u32::from(transport.0) << 16, Relaxed);
        self.protocol_and_lan.store(u16::from(protocol) | u16::from(lan.0) << 8, Relaxed);
        self.uplink.store(uplink.0, Relaxed);
        self.state.store(state, Relaxed);
        self.last.store(now, Relaxed);
        self.packets[0].store(0, Relaxed);
        self.packets[1].store(0, Relaxed);
    }

    /// Whether this is the session of `key`, which is of a packet that goes this way.
    #[inline(always)]
    pub fn is(&self, key: &Key, direction: Direction) -> bool {
        let protocol_and_lan = self.protocol_and_lan.load(Relaxed);
        let (addrs, ports, same) = match direction {
            Direction::Outbound => (&self.out_addrs, &self.out_ports, protocol_and_lan == key.protocol_and_lan()),
            Direction::Inbound => (&self.in_addrs, &self.in_ports, protocol_and_lan as u8 == key.protocol()),
        };
        (addrs.load(Relaxed) == key.addrs()) & (ports.load(Relaxed) == key.ports()) & same
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
        self.state.load(Relaxed) & tcp::ESTABLISHED != 0
    }

    /// Follows a TCP connection, see [`tcp::track`].
    pub(super) fn track(&self, direction: Direction, flags: u8) -> (u8, u8) {
        tcp::track(&self.state, direction, flags)
    }

    /// The last step of its opening. `counted`: among its host's sessions.
    pub(super) fn begin(&self, claim: Claim, counted: bool) {
        self.claim.store(claim as u8, Relaxed);
        self.counted.store(counted.into(), Relaxed);
    }

    /// It had so many packets before it was saved.
    pub(super) fn resume(&self, packets: [u32; 2]) {
        self.packets.iter().zip(packets).for_each(|(count, before)| count.store(before, Relaxed));
    }

    /// It is over: it is no packet's any more, whoever has it in hand. What it made of packets stays
    /// readable until the record is written again.
    pub(super) fn end(&self) {
        self.protocol_and_lan.store(self.protocol_and_lan.load(Relaxed) & 0xff00, Relaxed);
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
        let is_closed = self.protocol() == protocol::TCP && tcp::is_closed(self.state());
        is_closed && now.saturating_sub(self.last()) >= 2
    }

    /// What it is doing, for people: `established`, `opening`, `closing`.
    pub fn standing(&self) -> &'static str {
        match self.state() {
            s if tcp::is_closed(s) => "closing",
            s if s & tcp::ESTABLISHED != 0 => "established",
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
        self.protocol_and_lan.load(Relaxed) as u8
    }

    /// The LAN of its inside host, where what comes back goes. Still so when the session is over.
    #[inline(always)]
    pub fn lan(&self) -> LanId {
        LanId((self.protocol_and_lan.load(Relaxed) >> 8) as u8)
    }

    /// The way to the Internet that it goes.
    pub fn uplink(&self) -> UplinkId {
        UplinkId(self.uplink.load(Relaxed))
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
        let mapping =
            |of, end: Endpoint| (of, pair_addrs(end.addr, Addr4::default()), pair_ports(end.port, Port::default()));
        let inside = self.protocol_and_lan.load(Relaxed);
        let outside = inside & 0xff;
        let (lan, addrs, ports) = match kind {
            Kind::Outbound => (inside, self.out_addrs.load(Relaxed), self.out_ports.load(Relaxed)),
            Kind::Inbound => (outside, self.in_addrs.load(Relaxed), self.in_ports.load(Relaxed)),
            Kind::MappingInside => mapping(inside, self.inside()),
            Kind::MappingOutside => mapping(outside, self.outside()),
        };
        Key::of_session(kind, lan, addrs, ports)
    }
}
