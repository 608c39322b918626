//! How many sessions each inside host has, where a host may have only so many.

use ahash::RandomState;
use hikyaku_net::Addr4;

use crate::sessions::LanId;

/// The sessions of one host of a LAN; with none, a free place.
#[derive(Clone, Copy, Debug, Default)]
struct Host {
    addr: Addr4,
    /// How many sessions it has, 24 bits, and above them the number of its LAN.
    sessions_and_lan: u32,
}

impl Host {
    const SESSIONS: u32 = (1 << 24) - 1;

    /// How many sessions it has.
    fn sessions(self) -> u32 {
        self.sessions_and_lan & Self::SESSIONS
    }

    /// Whether it is this one.
    fn is(self, lan: LanId, addr: Addr4) -> bool {
        self.addr == addr && self.sessions_and_lan >> 24 == u32::from(lan.0)
    }
}

/// Counts in fixed memory: a host has its place in one cache line of eight, or, with eight others
/// there, none. Then it is not counted and not limited; the table's own size still is the limit of
/// all of them.
#[derive(Debug)]
pub(super) struct Hosts {
    /// Most sessions of one host.
    most: u32,
    hasher: RandomState,
    sets: Box<[[Host; WAYS]]>,
}

const WAYS: usize = 8;

impl Hosts {
    /// For a table of so many sessions: a place for every eighth.
    pub fn new(most: u32, sessions: u32) -> Self {
        let sets = (sessions as usize / (8 * WAYS)).next_power_of_two();
        Self { most, hasher: RandomState::new(), sets: vec![Default::default(); sets].into() }
    }

    fn set(&self, lan: LanId, addr: Addr4) -> usize {
        self.hasher.hash_one(u64::from(addr.word()) | u64::from(lan.0) << 32) as usize & (self.sets.len() - 1)
    }

    /// How many sessions more it may have, if `most` is what one may have: all of its share, or what
    /// others may make it have.
    fn has_less_than(&self, lan: LanId, addr: Addr4, most: u32) -> bool {
        self.sets[self.set(lan, addr)].iter().all(|host| !host.is(lan, addr) || host.sessions() < most)
    }

    /// Whether a session more is in its share.
    pub fn may_open(&self, lan: LanId, addr: Addr4) -> bool {
        self.has_less_than(lan, addr, self.most)
    }

    /// Whether a stranger may open one to it: not into the last quarter, which is for its own.
    pub fn may_be_opened_to(&self, lan: LanId, addr: Addr4) -> bool {
        self.has_less_than(lan, addr, self.most - self.most / 4)
    }

    /// One more. False: it is not counted, so [`Self::remove`] is not to be called for it.
    pub fn add(&mut self, lan: LanId, addr: Addr4) -> bool {
        let set = self.set(lan, addr);
        let set = &mut self.sets[set];
        let known = set.iter().position(|host| host.sessions() > 0 && host.is(lan, addr));
        let Some(place) = known.or_else(|| set.iter().position(|host| host.sessions() == 0)) else { return false };
        set[place] = Host { addr, sessions_and_lan: u32::from(lan.0) << 24 | (set[place].sessions() + 1) };
        true
    }

    /// A session of the host at `addr` ended: it has one less.
    pub fn remove(&mut self, lan: LanId, addr: Addr4) {
        let set = self.set(lan, addr);
        let host = self.sets[set].iter_mut().find(|host| host.sessions() > 0 && host.is(lan, addr));
        debug_assert!(host.is_some(), "it was counted");
        if let Some(host) = host {
            host.sessions_and_lan -= 1;
        }
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.sets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const LAN: LanId = LanId(0);

    fn host(n: u32) -> Addr4 {
        std::net::Ipv4Addr::from(0x0a00_0000 + n).into()
    }

    #[test]
    fn every_host_has_its_own_share() {
        let mut hosts = Hosts::new(8, 1 << 10);
        for n in 0..20 {
            for i in 0..8 {
                assert!(hosts.may_open(LAN, host(n)) && hosts.add(LAN, host(n)));
                assert_eq!(hosts.may_be_opened_to(LAN, host(n)), i + 1 < 6);
            }
            assert!(!hosts.may_open(LAN, host(n)));
        }
        assert!(hosts.may_open(LanId(1), host(3)), "another host, in another LAN");
        hosts.remove(LAN, host(3));
        assert!(hosts.may_open(LAN, host(3)) && !hosts.may_open(LAN, host(4)));
    }

    #[test]
    fn more_hosts_than_places_are_counted_rightly_or_not_at_all() {
        let (mut hosts, mut model) = (Hosts::new(u32::MAX, 1 << 10), BTreeMap::<u32, u32>::new());
        let mut x = 1u64;
        for _ in 0..100_000 {
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let n = (x >> 40) as u32 % 500;
            match model.get_mut(&n) {
                Some(count) if x >> 63 == 0 => {
                    hosts.remove(LAN, host(n));
                    *count -= 1;
                    if *count == 0 {
                        model.remove(&n);
                    }
                }
                _ if hosts.add(LAN, host(n)) => *model.entry(n).or_default() += 1,
                _ => {}
            }
        }
        assert!(model.len() > 64 && model.len() <= 128, "{}", model.len());
        for (&n, &count) in &model {
            assert!(hosts.has_less_than(LAN, host(n), count + 1) && !hosts.has_less_than(LAN, host(n), count));
        }
        assert_eq!(hosts.bytes(), 1024, "a byte for every session");
    }
}
