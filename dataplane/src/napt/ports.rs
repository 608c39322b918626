//! Which outside ports are in use.

use rand::Rng;

use crate::packet::{Port, protocol};

/// The ports that a NAPT may use: all 65,536, or the share of one MAP CE or lw4o6 line
/// (RFC 7597 5.1): of the `offset` first bits not all zero (unless there are none), then `psid` in
/// `length` bits, then any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSet {
    offset: u8,
    length: u8,
    psid: u16,
}

impl PortSet {
    /// All.
    pub const ALL: Self = Self { offset: 0, length: 0, psid: 0 };

    /// The set of `psid`; `None` if it does not fit `length` bits or these not a port.
    pub fn new(offset: u8, length: u8, psid: u16) -> Option<Self> {
        let fits = offset as u32 + length as u32 <= 16 && u32::from(psid) >> length == 0;
        fits.then_some(Self { offset, length, psid })
    }

    /// How many first bits may not all be zero (RFC 7597 5.1: *a*).
    pub const fn offset(self) -> u8 {
        self.offset
    }

    /// How many bits the PSID has (RFC 7597 5.1: *k*).
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Whose share it is.
    pub const fn psid(self) -> u16 {
        self.psid
    }

    /// How many ports are in it.
    #[allow(clippy::len_without_is_empty)] // none is
    pub const fn len(self) -> u32 {
        let all = 1 << (16 - self.length);
        // Without those whose first bits are all zero.
        if self.offset == 0 { all } else { all - (all >> self.offset) }
    }

    /// Its ports in order, as ranges from the first to the last port of each.
    pub fn ranges(self) -> impl Iterator<Item = (u16, u16)> + Clone {
        let (shift, below) = (16 - u32::from(self.offset), 16 - u32::from(self.offset + self.length));
        let blocks = if self.offset == 0 { 0..1 } else { 1..1u32 << self.offset };
        // Without a PSID one block begins where the other ends.
        let (blocks, size) = if self.length == 0 {
            let (first, last) = (blocks.start << shift, 1 << 16);
            (blocks.start..blocks.start + 1, last - first)
        } else {
            (blocks, 1 << below)
        };
        blocks.map(move |block| {
            let first = block << shift | u32::from(self.psid) << below;
            (first as u16, (first + size - 1) as u16)
        })
    }

    /// Whether `port` is in it.
    pub fn contains(self, port: u16) -> bool {
        let (port, below) = (u32::from(port), 16 - self.offset - self.length);
        let is_ours = port >> below & ((1 << self.length) - 1) == u32::from(self.psid);
        is_ours && (self.offset == 0 || port >> (16 - self.offset) != 0)
    }
}

/// The outside ports of one address, a bit each, for TCP, UDP and ICMP identifiers.
#[derive(Debug)]
pub(super) struct Ports {
    free: [Box<[u64; 1024]>; 3],
    left: [u32; 3],
}

/// Ports below this are kept below it (RFC 4787 REQ-3a).
const PRIVILEGED: u16 = 1024;

fn plane(protocol: u8) -> usize {
    match protocol {
        protocol::TCP => 0,
        protocol::UDP => 1,
        _ => 2,
    }
}

impl Ports {
    /// All ports of `set` free, but 0: that is no port to answer to (RFC 768).
    pub fn new(set: PortSet) -> Self {
        let mut bits = Box::new([0u64; 1024]);
        let mut left = 0;
        for port in (1..=u16::MAX).filter(|&p| set.contains(p)) {
            bits[port as usize / 64] |= 1 << (port % 64);
            left += 1;
        }
        Self { free: [bits.clone(), bits.clone(), bits], left: [left; 3] }
    }

    pub fn bytes(&self) -> usize {
        3 * size_of::<[u64; 1024]>()
    }

    /// Takes `wanted` if it is free, else a free port near a random place in the same range
    /// (privileged or not), else any other.
    pub fn take(&mut self, protocol: u8, wanted: Port, rng: &mut impl Rng) -> Option<Port> {
        let wanted = wanted.number();
        let plane = plane(protocol);
        if self.left[plane] == 0 {
            return None;
        }
        let port = if self.is_free(plane, wanted) {
            wanted
        } else {
            let (low, high) = ((1, PRIVILEGED - 1), (PRIVILEGED, u16::MAX));
            let (first, then) = if wanted < PRIVILEGED { (low, high) } else { (high, low) };
            self.search(plane, first, rng).or_else(|| self.search(plane, then, rng))?
        };
        self.free[plane][port as usize / 64] &= !(1 << (port % 64));
        self.left[plane] -= 1;
        Some(port.into())
    }

    /// Gives a taken port back.
    pub fn give_back(&mut self, protocol: u8, port: Port) {
        let (plane, port) = (plane(protocol), port.number());
        debug_assert!(!self.is_free(plane, port));
        self.free[plane][port as usize / 64] |= 1 << (port % 64);
        self.left[plane] += 1;
    }

    fn is_free(&self, plane: usize, port: u16) -> bool {
        self.free[plane][port as usize / 64] >> (port % 64) & 1 != 0
    }

    /// The first free port from a random one on, going round within `low..=high`: at most 1025
    /// words are looked at.
    fn search(&self, plane: usize, (low, high): (u16, u16), rng: &mut impl Rng) -> Option<u16> {
        use rand::RngExt;
        let start = rng.random_range(low..=high);
        self.first_free(plane, start, high).or_else(|| self.first_free(plane, low, start))
    }

    fn first_free(&self, plane: usize, from: u16, to: u16) -> Option<u16> {
        let (first, last) = (from as usize / 64, to as usize / 64);
        (first..=last).find_map(|w| {
            let mut word = self.free[plane][w];
            if w == first {
                word &= u64::MAX << (from % 64);
            }
            if w == last {
                word &= u64::MAX >> (63 - to % 64);
            }
            (word != 0).then(|| (w * 64) as u16 + word.trailing_zeros() as u16)
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
        let mut ports = Ports::new(set);
        let given: BTreeSet<u16> =
            std::iter::from_fn(|| ports.take(protocol::TCP, Port::from(320), &mut rng)).map(Port::number).collect();
        assert_eq!(given, (0..=u16::MAX).filter(|&p| set.contains(p)).collect());
        assert_eq!((given.len(), given.first()), (15 * 64, Some(&4416)));
        assert!(ports.take(protocol::UDP, Port::from(320), &mut rng).is_some(), "protocols do not share");
        ports.give_back(protocol::TCP, Port::from(4416));
        assert_eq!(ports.take(protocol::TCP, Port::from(1), &mut rng), Some(Port::from(4416)));
    }

    #[test]
    fn port_sets_share_all_ports_but_the_first_ones() {
        for (offset, length) in [(0u8, 0u8), (0, 4), (4, 8), (6, 8), (1, 15), (0, 16), (16, 0)] {
            let mut owners = vec![0u32; 1 << 16];
            for psid in 0..1u32 << length {
                let set = PortSet::new(offset, length, psid as u16).unwrap();
                (0..=u16::MAX).filter(|&p| set.contains(p)).for_each(|p| owners[p as usize] += 1);
                if length == 16 && psid == 3 {
                    break;
                }
            }
            let first = if offset == 0 { 0 } else { 1 << (16 - offset) };
            assert!(owners[..first].iter().all(|&n| n == 0), "a = {offset}, k = {length}");
            let last = if length == 16 { 4 } else { 1 << 16 };
            assert!(owners[first..last].iter().all(|&n| n == 1), "a = {offset}, k = {length}");
        }
        // k = 0 and a = 16: every port but 0 by itself, in one range.
        assert!(PortSet::new(16, 0, 0).unwrap().ranges().eq([(1, u16::MAX)]));
        assert_eq!(PortSet::new(4, 13, 0), None);
        assert_eq!(PortSet::new(4, 8, 256), None);
    }

    #[test]
    fn rfc7597_5_1_ranges_are_the_ports_of_the_set() {
        for (offset, length) in (0..=16u8).flat_map(|a| (0..=16 - a).map(move |k| (a, k))) {
            let last = ((1u32 << length) - 1) as u16;
            for psid in BTreeSet::from([0, last / 3, last]) {
                let set = PortSet::new(offset, length, psid).unwrap();
                assert_eq!((set.offset(), set.length(), set.psid()), (offset, length, psid));
                let ports: Vec<u16> = (0..=u16::MAX).filter(|&p| set.contains(p)).collect();
                assert!(set.ranges().flat_map(|(first, last)| first..=last).eq(ports.iter().copied()), "{set:?}");
                assert_eq!(set.len() as usize, ports.len(), "{set:?}");
                assert!(
                    set.ranges().zip(set.ranges().skip(1)).all(|(a, b)| u32::from(a.1) + 1 < b.0.into()),
                    "{set:?}"
                );
            }
        }
        assert!(PortSet::ALL.ranges().eq([(0, u16::MAX)]));
        // v6plus: a = 4, k = 8: 15 ranges of 16.
        let set = PortSet::new(4, 8, 0x34).unwrap();
        assert!(set.ranges().take(2).eq([(0x1340, 0x134f), (0x2340, 0x234f)]));
        assert_eq!((set.ranges().count(), set.len()), (15, 240));
    }

    #[test]
    fn rfc4787_req3_port_is_preserved_and_keeps_its_range() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let mut ports = Ports::new(PortSet::ALL);
        for edge in [0u16, 1, 1023, 1024, 65535] {
            let port = ports.take(protocol::UDP, edge.into(), &mut rng);
            assert!(port == Some(edge.into()) || edge == 0);
            let other = ports.take(protocol::UDP, edge.into(), &mut rng).unwrap().number();
            assert_eq!(other < 1024, edge < 1024);
            assert_ne!(other, 0);
        }
    }
}
