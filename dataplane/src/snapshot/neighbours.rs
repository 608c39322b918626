//! Which Ethernet address an IPv4 host of a link has.

use crate::packet::{Addr4, Mac};

/// A fixed hash table, at most a quarter full, made anew when it changes: lookups touch one line,
/// and rarely guess wrong where they end. The hash is keyed, so that nobody on the LAN can choose
/// addresses that make them long.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    slots: Box<[(Addr4, Option<Mac>)]>,
    default: Option<Mac>,
    /// Odd and random.
    factor: u64,
}

impl Neighbours {
    /// A table of these hosts. `default` answers for all others: the one station of a
    /// point-to-point link, or of a replayed capture.
    pub fn new(hosts: impl IntoIterator<Item = (Addr4, Mac)>, default: Option<Mac>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let len = (hosts.len() * 4).next_power_of_two().max(4);
        let mut table =
            Self { slots: vec![(Addr4::default(), None); len].into(), default, factor: rand::random::<u64>() | 1 };
        for (addr, mac) in hosts {
            let at = table.find(addr);
            table.slots[at] = (addr, Some(mac));
        }
        table
    }

    /// The station of `addr`.
    #[inline(always)]
    pub fn get(&self, addr: Addr4) -> Option<Mac> {
        if self.slots.is_empty() {
            return self.default;
        }
        self.slots[self.find(addr)].1.or(self.default)
    }

    /// The slot of `addr`, or the free one where it would be. There always is a free one.
    #[inline(always)]
    fn find(&self, addr: Addr4) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = (u64::from(addr.word()).wrapping_mul(self.factor) >> 32) as usize & mask;
        while self.slots[at].1.is_some() && self.slots[at].0 != addr {
            at = (at + 1) & mask;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_is_found_and_no_other() {
        let host = |i: u32| (Addr4((0xc0a8_0000 + i).to_be_bytes()), Mac([2, 0, 0, 0, (i >> 8) as u8, i as u8]));
        for n in [0, 1, 2, 3, 254, 1000] {
            let table = Neighbours::new((0..n).map(host), None);
            for i in 0..n {
                assert_eq!(table.get(host(i).0), Some(host(i).1));
            }
            assert_eq!(table.get(host(n).0), None);
            let with_default = Neighbours::new((0..n).map(host), Some(Mac::BROADCAST));
            assert_eq!(with_default.get(host(n).0), Some(Mac::BROADCAST));
        }
    }

    #[test]
    fn hosts_of_one_network_do_not_pile_up() {
        let hosts = (1..255u8).map(|i| (Addr4([192, 168, 1, i]), Mac([2, 0, 0, 0, 0, i])));
        let table = Neighbours::new(hosts, None);
        let longest = table.slots.split(|(_, mac)| mac.is_none()).map(<[_]>::len).max();
        assert!(longest < Some(24), "{longest:?} slots in a row are taken of {}", table.slots.len());
    }
}
