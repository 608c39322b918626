//! Which Ethernet address an IPv4 host of a link has.

use hikyaku_net::{Addr4, Mac};

/// A fixed hash table, at most a quarter full, made anew when it changes: lookups touch one line,
/// and rarely guess wrong where they end. The hash is keyed, so that nobody on the LAN can choose
/// addresses that make them long.
#[derive(Clone, Debug)]
pub struct Neighbours {
    slots: Box<[(Addr4, Option<Mac>)]>,
    default: Option<Mac>,
    /// What places are multiplied by: odd, and random for each table.
    factor: u32,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self::new([], None)
    }
}

impl Neighbours {
    /// A table of these hosts. `default` answers for all others: the one station of a
    /// point-to-point link, or of a replayed capture.
    pub fn new(hosts: impl IntoIterator<Item = (Addr4, Mac)>, default: Option<Mac>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let len = (hosts.len() * 4).next_power_of_two().max(4);
        let mut table =
            Self { slots: vec![(Addr4::default(), None); len].into(), default, factor: rand::random::<u32>() | 1 };
        for (addr, mac) in hosts {
            let at = table.find(addr);
            table.slots[at] = (addr, Some(mac));
        }
        table
    }

    /// The station of `addr`.
    #[inline(always)]
    pub fn get(&self, addr: Addr4) -> Option<Mac> {
        match self.slots[self.place(addr)] {
            (first, Some(mac)) if first == addr => Some(mac),
            _ => self.search(addr),
        }
    }

    /// As [`Self::get`], wherever it is.
    #[inline(never)]
    fn search(&self, addr: Addr4) -> Option<Mac> {
        self.slots[self.find(addr)].1.or(self.default)
    }

    /// Where `addr` is looked for first: the hosts of one /24 side by side, so that they never
    /// collide; where the next /24 lies is random.
    #[inline(always)]
    fn place(&self, addr: Addr4) -> usize {
        let number = u32::from_be_bytes(addr.0);
        (number ^ (number >> 8).wrapping_mul(self.factor) >> 8) as usize & (self.slots.len() - 1)
    }

    /// The slot of `addr`, or the free one where it would be. There always is a free one.
    fn find(&self, addr: Addr4) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = self.place(addr);
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
    fn hosts_of_one_network_never_collide() {
        let hosts = (1..255u8).map(|i| (Addr4([192, 168, 1, i]), Mac([2, 0, 0, 0, 0, i])));
        let table = Neighbours::new(hosts, None);
        for (i, (addr, mac)) in table.slots.iter().enumerate() {
            assert!(mac.is_none() || table.place(*addr) == i);
        }
    }
}
