//! The ports of one line.

use std::fmt;

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
    /// All 65,536 ports: the line has its address for itself.
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
    #[inline]
    pub fn contains(self, port: u16) -> bool {
        let (port, below) = (u32::from(port), 16 - self.offset - self.length);
        let is_ours = port >> below & ((1 << self.length) - 1) == u32::from(self.psid);
        is_ours && (self.offset == 0 || port >> (16 - self.offset) != 0)
    }

    /// How many of its ports are smaller than `port`, which may be any.
    #[inline]
    pub fn rank(self, port: u32) -> u32 {
        let below = 16 - u32::from(self.offset + self.length);
        let (block, within) = (port >> (16 - self.offset), port & ((1 << (16 - self.offset)) - 1));
        let first_block = u32::from(self.offset != 0);
        if block < first_block {
            return 0;
        }
        let before = within.saturating_sub(u32::from(self.psid) << below).min(1 << below);
        ((block - first_block) << below) + before
    }

    /// [`Self::rank`] of a port that is in it.
    #[inline]
    pub fn rank_of(self, port: u16) -> Option<u32> {
        // Most lines have a whole address: no arithmetic for them.
        if self == Self::ALL {
            return Some(port.into());
        }
        self.contains(port).then(|| self.rank(port.into()))
    }

    /// The port that has `rank` smaller ones in the set.
    #[inline]
    pub fn nth(self, rank: u32) -> u16 {
        let below = 16 - u32::from(self.offset + self.length);
        let block = (rank >> below) + u32::from(self.offset != 0);
        (block << (16 - self.offset) | u32::from(self.psid) << below | rank & ((1 << below) - 1)) as u16
    }
}

/// Its first ranges, for people: `4096-4111, 8192-8207, …`.
impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 4;
        for (i, (first, last)) in self.ranges().enumerate().take(SHOWN) {
            let comma = if i == 0 { "" } else { ", " };
            match first == last {
                true => write!(f, "{comma}{first}")?,
                false => write!(f, "{comma}{first}-{last}")?,
            }
        }
        if self.ranges().nth(SHOWN).is_some() { f.write_str(", …") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn port_sets_share_all_ports_but_the_first_ones() {
        for (offset, length) in [(0u8, 0u8), (0, 4), (4, 8), (6, 8), (1, 15), (0, 16), (16, 0)] {
            let mut owners = vec![0u32; 1 << 16];
            for psid in 0..1u32 << length {
                let set = PortSet::new(offset, length, psid as u16).unwrap();
                set.ranges().flat_map(|(first, last)| first..=last).for_each(|p| owners[p as usize] += 1);
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
                assert!(ports.iter().zip(0..).all(|(&port, i)| (set.nth(i), set.rank_of(port)) == (port, Some(i))));
                assert_eq!((0..=u16::MAX).filter(|&port| set.rank_of(port).is_some()).count(), ports.len());
                for port in [0, 1, 1023, 1024, 4096, 40_000, 65_535, 65_536] {
                    let smaller = ports.iter().filter(|&&p| u32::from(p) < port).count();
                    assert_eq!(set.rank(port) as usize, smaller, "{port} in {set:?}");
                }
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
        assert_eq!(set.to_string(), "4928-4943, 9024-9039, 13120-13135, 17216-17231, …");
        assert_eq!(PortSet::new(0, 16, 443).unwrap().to_string(), "443");
    }
}
