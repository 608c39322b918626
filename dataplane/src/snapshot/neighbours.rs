//! Which Ethernet address a host of a link has.

use hikyaku_net::{Addr4, Addr6, Mac};

/// What hosts of a link are known by: their addresses of one family.
pub trait HostAddress: Copy + Eq + Default {
    /// A number whose low bits say where a table with this secret has the host.
    fn place(self, secret: u64) -> u64;
}

impl HostAddress for Addr4 {
    /// The hosts of one /24 side by side, so that they never collide; where the next /24 lies is random.
    #[inline(always)]
    fn place(self, secret: u64) -> u64 {
        let number = u32::from_be_bytes(self.0);
        u64::from(number ^ (number >> 8).wrapping_mul(secret as u32) >> 8)
    }
}

impl HostAddress for Addr6 {
    /// Hosts choose their addresses in a prefix as they like, and many count up: one product alone would put those side by
    /// side, or on top of each other, as the secret happens to be.
    #[inline(always)]
    fn place(self, secret: u64) -> u64 {
        let [prefix, id] = self.words();
        let product = u128::from(id ^ prefix.rotate_left(32)) * u128::from(secret);
        let folded = (product >> 64) as u64 ^ product as u64;
        (folded ^ folded >> 32).wrapping_mul(secret) >> 32
    }
}

/// A fixed hash table, at most a quarter full, made anew when it changes: lookups touch one line,
/// and rarely guess wrong where they end. The hash is keyed, so that nobody on the LAN can choose
/// addresses that make them long.
#[derive(Clone, Debug)]
pub struct Neighbours<A = Addr4> {
    slots: Box<[(A, Option<Mac>)]>,
    default: Option<Mac>,
    /// What places are multiplied by: odd, and random for each table.
    secret: u64,
}

impl<A: HostAddress> Default for Neighbours<A> {
    fn default() -> Self {
        Self::new([], None)
    }
}

impl<A: HostAddress> Neighbours<A> {
    /// A table of these hosts. `default` answers for all others: the one station of a
    /// point-to-point link, or of a replayed capture.
    pub fn new(hosts: impl IntoIterator<Item = (A, Mac)>, default: Option<Mac>) -> Self {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let len = (hosts.len() * 4).next_power_of_two().max(4);
        let mut table =
            Self { slots: vec![(A::default(), None); len].into(), default, secret: rand::random::<u64>() | 1 };
        for (addr, mac) in hosts {
            let at = table.find(addr);
            table.slots[at] = (addr, Some(mac));
        }
        table
    }

    /// The station of `addr`.
    #[inline(always)]
    pub fn get(&self, addr: A) -> Option<Mac> {
        match self.slots[self.place(addr)] {
            (first, Some(mac)) if first == addr => Some(mac),
            _ => self.search(addr),
        }
    }

    /// As [`Self::get`], wherever it is.
    #[inline(never)]
    fn search(&self, addr: A) -> Option<Mac> {
        self.slots[self.find(addr)].1.or(self.default)
    }

    /// Where `addr` is looked for first.
    #[inline(always)]
    fn place(&self, addr: A) -> usize {
        addr.place(self.secret) as usize & (self.slots.len() - 1)
    }

    /// The slot of `addr`, or the free one where it would be. There always is a free one.
    fn find(&self, addr: A) -> usize {
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
    fn every_ipv6_host_is_found_in_a_few_steps() {
        // Addresses as hosts make them: in sequence, by EUI-64, and apart by a power of two.
        let ids: [fn(u64) -> u64; 3] = [|i| i, |i| 0x0200_00ff_fe00_0000 + i, |i| i << 48];
        // Whatever the secret is.
        for id in ids.iter().cycle().take(60) {
            let address = |i: u64| Addr6::from(std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(id(i))));
            let host = |i: u64| (address(i), Mac([2, 0, 0, 0, (i >> 8) as u8, i as u8]));
            let table = Neighbours::new((0..1000).map(host), None);
            assert!((0..1000).all(|i| table.get(host(i).0) == Some(host(i).1)));
            assert_eq!(table.get(host(1000).0), None);
            let there = |i: &u64| table.slots[table.place(host(*i).0)].0 == host(*i).0;
            assert!((0..1000).filter(there).count() > 750, "most are at their own place");
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
