//! Which session the later fragments of a packet belong to (RFC 4787 REQ-14).
//!
//! Only a packet's first fragment has ports. What its translation was is remembered for a while;
//! fragments that come before it wait, few of them and not for long. Inbound, fragments belong together
//! only if they came from the same end of the tunnel: whoever may send by the ports of a first fragment
//! (RFC 7597 8.1) speaks for no other one's.

use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;

use ahash::RandomState;
use hikyaku_net::checksum::Delta;
use hikyaku_net::packet::Ipv4;
use hikyaku_net::{Addr6, Port, Time};
use hikyaku_ring::LinkId;

use super::key::pair_addrs;
use crate::sessions::hash::Hash as FlowHash;
use crate::sessions::{Direction, LanId};

/// How a packet's fragments are translated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Learned {
    /// New source and destination.
    pub addrs: u64,
    /// Change of the header checksum.
    pub delta: Delta,
    /// The hash of the flow, which its flow label is made of.
    pub hash: FlowHash,
    /// The port at the far end; of an ICMP query its identifier outside.
    pub far_port: Port,
    /// The LAN of the inside host.
    pub lan: LanId,
}

/// Where a packet comes from: it goes outbound from this LAN, or inbound from this end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A host of this LAN.
    Lan(LanId),
    /// This end of the tunnel.
    Tunnel(Addr6),
}

impl Origin {
    /// The way that such packets go.
    pub fn direction(self) -> Direction {
        match self {
            Self::Lan(_) => Direction::Outbound,
            Self::Tunnel(_) => Direction::Inbound,
        }
    }
}

impl Default for Origin {
    fn default() -> Self {
        Self::Lan(LanId::default())
    }
}

/// What the fragments of one IPv4 packet have in common (RFC 791).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PacketId {
    addrs: u64,
    id: u16,
    protocol: u8,
    origin: Origin,
}

impl PacketId {
    /// Those of this packet.
    pub fn of(origin: Origin, ip: &Ipv4) -> Self {
        Self { addrs: pair_addrs(ip.src, ip.dst), id: ip.id.get(), protocol: ip.protocol, origin }
    }
}

/// A fragment that came before the first one of its packet.
#[derive(Debug)]
pub struct Waiting<P = PacketId> {
    packet: P,
    since: Time,
    /// Where it came in.
    pub link: LinkId,
    /// The packet, IP header first.
    pub bytes: Vec<u8>,
}

/// One worker's memory of fragments, and of what a first one taught: how it was translated, or which worker
/// it is for. `P` is what the fragments of one packet have in common. Its size is fixed, and nothing an attacker fills makes it slower.
#[derive(Debug)]
pub struct Fragments<T = Learned, P = PacketId> {
    hasher: RandomState,
    known: Box<[(P, Time, T)]>,
    waiting: VecDeque<Waiting<P>>,
    /// Buffers for fragments that will wait.
    spare: Vec<Vec<u8>>,
}

/// Packets whose first fragment is remembered, four to a set.
const KNOWN: usize = 4096;
const WAYS: usize = 4;

/// Fragments that may wait.
pub const MAX_WAITING: usize = 64;

/// How long a translation is remembered and how long a fragment waits: fragments of one packet
/// come within a few milliseconds; RFC 4787 names no time.
pub const AGE: Duration = Duration::from_secs(2);

impl<T: Clone + Default, P: Clone + Default> Default for Fragments<T, P> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            known: vec![(P::default(), Time::default(), T::default()); KNOWN].into(),
            waiting: VecDeque::with_capacity(MAX_WAITING),
            spare: (0..MAX_WAITING).map(|_| Vec::with_capacity(2048)).collect(),
        }
    }
}

impl<T: Copy, P: Copy + Eq + Hash> Fragments<T, P> {
    fn set(&self, packet: &P) -> usize {
        self.hasher.hash_one(packet) as usize % (KNOWN / WAYS) * WAYS
    }

    /// Remembers what a first fragment taught.
    pub fn learn(&mut self, packet: P, learned: T, now: Time) {
        let at = self.set(&packet);
        let set = &mut self.known[at..at + WAYS];
        // Its own place, or the oldest's.
        let place = set.iter().position(|(p, ..)| *p == packet);
        let oldest = || set.iter().enumerate().min_by_key(|(_, (_, since, _))| *since).map_or(0, |(i, _)| i);
        let place = place.unwrap_or_else(oldest);
        set[place] = (packet, now, learned);
    }

    /// What the first fragment of a packet taught, if it was seen.
    pub fn find(&self, packet: P, now: Time) -> Option<T> {
        let at = self.set(&packet);
        let known = |(p, since, _): &&(P, Time, T)| *p == packet && now.since(*since) < AGE;
        self.known[at..at + WAYS].iter().find(known).map(|&(.., learned)| learned)
    }

    /// Lets a fragment wait; false when there is no room.
    pub fn wait(&mut self, packet: P, link: LinkId, bytes: &[u8], now: Time) -> bool {
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        self.waiting.push_back(Waiting { packet, since: now, link, bytes: buffer });
        true
    }

    /// A fragment whose first one has come, in order of arrival.
    pub fn ready(&mut self, packet: P) -> Option<Waiting<P>> {
        let at = self.waiting.iter().position(|w| w.packet == packet)?;
        self.waiting.remove(at)
    }

    /// A fragment that has waited too long at `now`.
    pub fn overdue(&mut self, now: Time) -> Option<Waiting<P>> {
        self.waiting.front().filter(|w| now.since(w.since) >= AGE)?;
        self.waiting.pop_front()
    }

    /// Lets go of what has waited too long at `now`; `late` is told of every one. Answers how many still wait.
    pub fn expire(&mut self, now: Time, mut late: impl FnMut()) -> usize {
        while let Some(waiting) = self.overdue(now) {
            late();
            self.done(waiting);
        }
        self.waiting()
    }

    /// Takes a buffer back.
    pub fn done(&mut self, waiting: Waiting<P>) {
        self.spare.push(waiting.bytes);
    }

    /// How many fragments wait for the first one of their packet.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_net::Addr4;
    use zerocopy::FromZeros;

    const OUTBOUND: Origin = Origin::Lan(LanId(0));
    const INBOUND: Origin = Origin::Tunnel(Addr6([7; 16]));

    fn packet(id: u16) -> Ipv4 {
        let mut ip = Ipv4::new_zeroed();
        (ip.src, ip.dst, ip.protocol, ip.id) = (Addr4([10, 0, 0, 1]), Addr4([198, 51, 100, 1]), 17, id.into());
        ip
    }

    fn learned(n: u64) -> Learned {
        Learned { addrs: n, ..Learned::default() }
    }

    #[test]
    fn rfc4787_req14_a_translation_is_remembered_for_its_packet_and_direction_only() {
        let mut fragments = Fragments::default();
        let start = Time(5_000_000_000);
        fragments.learn(PacketId::of(OUTBOUND, &packet(1)), learned(1), start);
        fragments.learn(PacketId::of(OUTBOUND, &packet(2)), learned(2), start);
        let find = |fragments: &Fragments, origin, id, now| {
            fragments.find(PacketId::of(origin, &packet(id)), now).map(|l| l.addrs)
        };
        let nearly = Time(start.0 + AGE.as_nanos() as u64 - 1);
        assert_eq!(find(&fragments, OUTBOUND, 1, nearly), Some(1));
        assert_eq!(find(&fragments, OUTBOUND, 2, nearly), Some(2));
        assert_eq!(find(&fragments, INBOUND, 1, nearly), None);
        assert_eq!(find(&fragments, OUTBOUND, 3, nearly), None);
        fragments.learn(PacketId::of(INBOUND, &packet(1)), learned(9), start);
        assert_eq!(find(&fragments, INBOUND, 1, nearly), Some(9));
        let (other_end, other_lan) = (Origin::Tunnel(Addr6([8; 16])), Origin::Lan(LanId(1)));
        assert_eq!(find(&fragments, other_end, 1, nearly), None, "another end of the tunnel");
        assert_eq!(find(&fragments, other_lan, 1, nearly), None, "another LAN");
        assert_eq!(find(&fragments, OUTBOUND, 1, start + AGE), None);
        // An identification that comes again is another packet's.
        fragments.learn(PacketId::of(OUTBOUND, &packet(1)), learned(7), start + AGE);
        assert_eq!(find(&fragments, OUTBOUND, 1, start + AGE), Some(7));
    }

    #[test]
    fn the_oldest_of_a_set_makes_room() {
        let mut fragments = Fragments::default();
        for id in 0..=u16::MAX {
            fragments.learn(PacketId::of(OUTBOUND, &packet(id)), learned(id.into()), Time(u64::from(id)));
        }
        let now = Time(1 << 16);
        let known =
            |id: &u16| fragments.find(PacketId::of(OUTBOUND, &packet(*id)), now).map(|l| l.addrs) == Some((*id).into());
        assert_eq!((0..=u16::MAX).filter(known).count(), KNOWN, "every place is in use");
        assert!((u16::MAX - 30..=u16::MAX).all(|id| known(&id)), "the latest are remembered");
    }

    #[test]
    fn few_fragments_wait_in_order_and_not_for_long() {
        let mut fragments = Fragments::default();
        let wait = |fragments: &mut Fragments, id, byte| {
            let now = Time(u64::from(byte));
            fragments.wait(PacketId::of(INBOUND, &packet(id)), LinkId(3), &[byte; 3000], now)
        };
        for round in 0..3 {
            for n in 0..MAX_WAITING as u8 {
                assert!(wait(&mut fragments, u16::from(n % 2), n));
            }
            assert!(!wait(&mut fragments, 5, 200), "no more than that, round {round}");
            assert!(fragments.ready(PacketId::of(OUTBOUND, &packet(0))).is_none());
            for n in (0..MAX_WAITING as u8).step_by(2) {
                let waiting = fragments.ready(PacketId::of(INBOUND, &packet(0))).unwrap();
                assert_eq!((waiting.link, &waiting.bytes[..]), (LinkId(3), &[n; 3000][..]));
                fragments.done(waiting);
            }
            assert!(fragments.ready(PacketId::of(INBOUND, &packet(0))).is_none());
            assert!(fragments.overdue(Time(AGE.as_nanos() as u64)).is_none());
            for n in (1..MAX_WAITING as u8).step_by(2) {
                let waiting = fragments.overdue(Time(1 << 40)).unwrap();
                assert_eq!(waiting.bytes[0], n);
                fragments.done(waiting);
            }
            assert_eq!(fragments.waiting(), 0);
        }
    }
}
