//! Which outside ports are in use.

use std::sync::Arc;

use hikyaku_net::{Port, PortSet, protocol};
use rand::{Rng, RngExt};

use crate::sessions::sync::{AtomicU64, Ordering::Relaxed};

/// What is known of the outside ports of one address without the table's lock, by whose holder it is changed, for TCP, UDP
/// and ICMP identifiers. A port's place is its rank in the set: a small set has a few words.
#[derive(Debug)]
pub(super) struct PortBits {
    set: PortSet,
    /// By [`plane`], a bit for each port: nobody has it.
    free: [Box<[AtomicU64]>; 3],
    /// By plane, a bit for each 64th part of the set: a static mapping has a port of it.
    forwarded: [AtomicU64; 3],
}

impl PortBits {
    /// Whether `port` is one that nobody has.
    ///
    /// Without the lock this may be out of date, but not for a packet that answers one of ours: that port was
    /// taken before ours was sent.
    #[inline]
    pub fn is_unused(&self, protocol: u8, port: Port) -> bool {
        self.rank(plane(protocol), port).is_some()
    }

    /// Whether `port` is of the set, and surely no static mapping's. Never 0: that is no port.
    #[inline]
    pub fn is_without_forward(&self, protocol: u8, port: Port) -> bool {
        let rank = self.set.rank_of(port.number()).filter(|_| port.number() != 0);
        rank.is_some_and(|rank| self.forwarded[plane(protocol)].load(Relaxed) & self.part(rank) == 0)
    }

    /// The bit of the part that a port of this rank is in.
    #[inline]
    fn part(&self, rank: u32) -> u64 {
        1 << (rank * 64 / self.set.len())
    }

    #[inline]
    fn is_free(&self, plane: usize, rank: u32) -> bool {
        self.free[plane][rank as usize / 64].load(Relaxed) >> (rank % 64) & 1 != 0
    }

    /// The rank of a port of the set that is free.
    #[inline]
    fn rank(&self, plane: usize, port: Port) -> Option<u32> {
        self.set.rank_of(port.number()).filter(|&rank| self.is_free(plane, rank))
    }
}

/// The outside ports, and how they are chosen.
#[derive(Debug)]
pub(super) struct Ports {
    set: PortSet,
    /// How many of the set's are below [`PRIVILEGED`].
    privileged: u32,
    size: u32,
    bits: Arc<PortBits>,
    left: [u32; 3],
    /// Even UDP ports stay even, odd ones odd.
    parity: bool,
}

/// Ports below this are kept below it (RFC 4787 REQ-3a).
const PRIVILEGED: u16 = 1024;

/// Where a protocol's figures stand in arrays of three.
pub(super) fn plane(protocol: u8) -> usize {
    match protocol {
        protocol::TCP => 0,
        protocol::UDP => 1,
        _ => 2,
    }
}

impl Ports {
    /// All ports of `set` free, but 0: that is no port to answer to (RFC 768).
    /// `parity`: see [`Config::port_parity`](super::Config::port_parity).
    pub fn new(set: PortSet, parity: bool) -> Self {
        let len = set.len();
        let mut bits = vec![u64::MAX; len.div_ceil(64) as usize];
        if let Some(last) = bits.last_mut() {
            *last >>= (64 - len % 64) % 64;
        }
        let zero = set.contains(0);
        bits[0] &= !u64::from(zero);
        let size = len - u32::from(zero);
        let free = [(); 3].map(|()| bits.iter().map(|&word| AtomicU64::new(word)).collect());
        let bits = Arc::new(PortBits { set, free, forwarded: Default::default() });
        Self { set, privileged: set.rank(PRIVILEGED.into()), size, bits, left: [size; 3], parity }
    }

    pub fn bytes(&self) -> usize {
        size_of::<PortBits>() + self.bits.free.iter().map(|bits| size_of_val(&**bits)).sum::<usize>()
    }

    /// For whoever has no lock.
    pub fn bits(&self) -> Arc<PortBits> {
        self.bits.clone()
    }

    /// Static mappings have these ports, and no others. What is forwarded before and after is so all the time.
    pub fn set_forwarded(&mut self, ports: impl Iterator<Item = (u8, Port)>) {
        let mut now = [0; 3];
        for (protocol, port) in ports {
            let Some(rank) = self.set.rank_of(port.number()) else { continue };
            now[plane(protocol)] |= self.bits.part(rank);
        }
        for (word, now) in self.bits.forwarded.iter().zip(now) {
            word.store(now, Relaxed);
        }
    }

    /// How many ports can be used.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How many of them are free.
    pub fn left(&self, plane: usize) -> u32 {
        self.left[plane]
    }

    /// Takes `wanted` if it is free, else a free port near a random place in the same range
    /// (privileged or not), else any other; where parity counts, first one that is even or odd as well.
    pub fn take(&mut self, protocol: u8, wanted: Port, rng: &mut impl Rng) -> Option<Port> {
        let plane = plane(protocol);
        if let Some(rank) = self.bits.rank(plane, wanted) {
            self.mark_taken(plane, rank);
            return Some(wanted);
        }
        if self.left[plane] == 0 {
            return None;
        }
        let (low, high) = ((0, self.privileged), (self.privileged, self.set.len()));
        let (first, then) = if wanted.number() < PRIVILEGED { (low, high) } else { (high, low) };
        let mut search = |which| {
            let found = self.search(plane, first, which, rng);
            found.or_else(|| self.search(plane, then, which, rng))
        };
        let rank = self.alike(protocol, wanted).and_then(&mut search).or_else(|| search(u64::MAX))?;
        self.mark_taken(plane, rank);
        Some(self.set.nth(rank).into())
    }

    /// Whether `port` is even or odd as `wanted`, or that does not count.
    pub fn is_alike(&self, protocol: u8, wanted: Port, port: Port) -> bool {
        !self.counts_parity(protocol) || (wanted.number() ^ port.number()) & 1 == 0
    }

    fn counts_parity(&self, protocol: u8) -> bool {
        self.parity && protocol == protocol::UDP
    }

    /// Of 64 ranks those whose ports are even or odd as `wanted`; `None` if that does not count.
    fn alike(&self, protocol: u8, wanted: Port) -> Option<u64> {
        const EVEN: u64 = u64::MAX / 3;
        self.counts_parity(protocol).then(|| {
            // Ranks and ports are even and odd together, but where all ports are alike.
            let differ = (self.set.nth(0) ^ self.set.nth(1)) & 1 != 0;
            let odd = wanted.number() & 1 != 0;
            match differ {
                true if odd => !EVEN,
                true => EVEN,
                false if odd == (self.set.nth(0) & 1 != 0) => u64::MAX,
                false => 0,
            }
        })
    }

    /// Takes `port` if it is free; says whether it was.
    pub fn reserve(&mut self, protocol: u8, port: Port) -> bool {
        let rank = self.bits.rank(plane(protocol), port);
        if let Some(rank) = rank {
            self.mark_taken(plane(protocol), rank);
        }
        rank.is_some()
    }

    /// Gives a taken port back.
    pub fn give_back(&mut self, protocol: u8, port: Port) {
        let plane = plane(protocol);
        let Some(rank) = self.set.rank_of(port.number()) else { return debug_assert!(false, "{port:?} is not ours") };
        debug_assert!(!self.bits.is_free(plane, rank));
        self.set_free(plane, rank, true);
        self.left[plane] += 1;
    }

    /// Ports that are not free, from a random one on; no more than `most` of the set are looked at.
    pub fn taken(&self, protocol: u8, most: u32, rng: &mut impl Rng) -> impl Iterator<Item = Port> {
        let (len, plane) = (self.set.len(), plane(protocol));
        let start = rng.random_range(0..len);
        let ranks = (start..len).chain(0..start).take(most as usize);
        let taken = ranks.filter(move |&rank| !self.bits.is_free(plane, rank));
        taken.map(|rank| self.set.nth(rank)).filter(|&port| port != 0).map(Port::from)
    }

    fn mark_taken(&mut self, plane: usize, rank: u32) {
        self.set_free(plane, rank, false);
        self.left[plane] -= 1;
    }

    /// Whoever has the table's lock changes bits: load and store need not be one step.
    fn set_free(&mut self, plane: usize, rank: u32, to: bool) {
        let (word, bit) = (&self.bits.free[plane][rank as usize / 64], 1 << (rank % 64));
        let old = word.load(Relaxed);
        word.store(if to { old | bit } else { old & !bit }, Relaxed);
    }

    /// The rank of the first free port from a random one on, going round within `low..high`, of those
    /// that `which` has among 64: at most 1025 words are looked at.
    fn search(&self, plane: usize, (low, high): (u32, u32), which: u64, rng: &mut impl Rng) -> Option<u32> {
        if low == high {
            return None;
        }
        let start = rng.random_range(low..high);
        self.first_free(plane, start, high - 1, which).or_else(|| self.first_free(plane, low, start, which))
    }

    fn first_free(&self, plane: usize, from: u32, to: u32, which: u64) -> Option<u32> {
        (from / 64..=to / 64).find_map(|w| {
            let mut word = self.bits.free[plane][w as usize].load(Relaxed) & which;
            if w == from / 64 {
                word &= u64::MAX << (from % 64);
            }
            if w == to / 64 {
                word &= u64::MAX >> (63 - to % 64);
            }
            (word != 0).then(|| w * 64 + word.trailing_zeros())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use std::collections::BTreeSet;

    #[test]
    fn every_port_is_given_once_until_none_is_left() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(1);
        // RFC 7597 5.1 with a = 4, k = 6, m = 6: 15 blocks of 64.
        let set = PortSet::new(4, 6, 5).unwrap();
        let mut ports = Ports::new(set, false);
        let given: BTreeSet<u16> =
            std::iter::from_fn(|| ports.take(protocol::TCP, Port::from(320), &mut rng)).map(Port::number).collect();
        assert_eq!(given, (0..=u16::MAX).filter(|&p| set.contains(p)).collect());
        assert_eq!((given.len(), given.first()), (15 * 64, Some(&4416)));
        assert!(ports.take(protocol::UDP, Port::from(320), &mut rng).is_some(), "protocols do not share");
        ports.give_back(protocol::TCP, Port::from(4416));
        assert_eq!(ports.take(protocol::TCP, Port::from(1), &mut rng), Some(Port::from(4416)));
    }

    #[test]
    fn every_port_of_a_set_can_be_taken_once_for_each_protocol() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(3);
        for (offset, length, psid) in [(4, 8, 0x34), (6, 8, 255), (0, 16, 7), (0, 10, 0), (4, 12, 9), (1, 3, 1)] {
            let set = PortSet::new(offset, length, psid).unwrap();
            let all: BTreeSet<u16> = (1..=u16::MAX).filter(|&p| set.contains(p)).collect();
            let mut ports = Ports::new(set, psid % 2 == 0);
            for protocol in [protocol::TCP, protocol::UDP, protocol::ICMP] {
                let mut given = BTreeSet::new();
                for wanted in 0.. {
                    let seen: BTreeSet<u16> = ports.taken(protocol, u32::MAX, &mut rng).map(Port::number).collect();
                    assert!(given.len() > 20 || seen == given, "what is taken is seen to be");
                    let Some(port) = ports.take(protocol, Port::from(wanted), &mut rng) else { break };
                    assert!(given.insert(port.number()));
                    assert_eq!(ports.left(plane(protocol)) as usize, all.len() - given.len());
                }
                assert_eq!(given, all, "{set:?}");
                let seen: BTreeSet<u16> = ports.taken(protocol, u32::MAX, &mut rng).map(Port::number).collect();
                assert_eq!(seen, all);
            }
        }
    }

    #[test]
    fn a_reserved_port_is_given_to_nobody() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(4);
        let mut ports = Ports::new(PortSet::new(0, 13, 128).unwrap(), false);
        assert!(ports.reserve(protocol::UDP, Port::from(1026)) && !ports.reserve(protocol::UDP, Port::from(1026)));
        assert!(!ports.reserve(protocol::UDP, Port::from(1032)), "not of the set");
        let given = std::iter::from_fn(|| ports.take(protocol::UDP, Port::from(1026), &mut rng)).map(Port::number);
        assert_eq!(given.collect::<BTreeSet<_>>(), BTreeSet::from([1024, 1025, 1027, 1028, 1029, 1030, 1031]));
    }

    #[test]
    fn rfc4787_req3_port_is_preserved_and_keeps_its_range() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let mut ports = Ports::new(PortSet::ALL, false);
        for edge in [0u16, 1, 1023, 1024, 65535] {
            let port = ports.take(protocol::UDP, edge.into(), &mut rng);
            assert!(port == Some(edge.into()) || edge == 0);
            let other = ports.take(protocol::UDP, edge.into(), &mut rng).unwrap().number();
            assert_eq!(other < 1024, edge < 1024);
            assert_ne!(other, 0);
        }
    }

    #[test]
    fn rfc4787_req4_even_to_even_and_odd_to_odd_as_long_as_there_are() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(5);
        // All, the privileged only, blocks of two, of one (all even, all odd), not at a word's beginning.
        for (offset, length, psid) in [(0, 0, 0), (0, 6, 0), (4, 11, 7), (4, 12, 8), (4, 12, 9), (6, 8, 255)] {
            let set = PortSet::new(offset, length, psid).unwrap();
            let mut ports = Ports::new(set, true);
            for wanted in [40001u16, 40000, 500, 501] {
                let left = |ports: &Ports, odd: u16| {
                    let all = (1..=u16::MAX).filter(|&p| p & 1 == odd);
                    all.filter(|&p| ports.bits.is_unused(protocol::UDP, p.into())).count()
                };
                for _ in 0..20_000 {
                    let alike = left(&ports, wanted & 1);
                    let Some(port) = ports.take(protocol::UDP, wanted.into(), &mut rng) else { break };
                    assert_eq!(port.number() & 1 == wanted & 1, alike > 0, "{set:?}: {port:?} for {wanted}");
                    // Some of them are enough.
                    for _ in 50..alike {
                        let _ = ports.take(protocol::UDP, wanted.into(), &mut rng);
                    }
                }
            }
            assert_eq!(ports.left(plane(protocol::UDP)), 0, "{set:?}");
            // It is UDP's.
            let tcp = std::iter::from_fn(|| ports.take(protocol::TCP, 40001.into(), &mut rng)).take(64);
            let odd = tcp.filter(|p| p.number() & 1 != 0).count();
            assert!(odd < 64 || length == 12, "{set:?}");
        }
    }
}
