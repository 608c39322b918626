//! Which outside ports are in use.

use rand::Rng;

use crate::packet::{Port, protocol};

/// The outside ports of one address, a bit each, for TCP, UDP and ICMP identifiers.
#[derive(Debug)]
pub(super) struct Ports {
    free: [Box<[u64; 1024]>; 3],
    left: [u32; 3],
}

/// Ports below this are kept below it (RFC 4787 REQ-3a, RFC 7857 5).
const PRIVILEGED: u16 = 1024;

fn plane(protocol: u8) -> usize {
    match protocol {
        protocol::TCP => 0,
        protocol::UDP => 1,
        _ => 2,
    }
}

impl Ports {
    /// All ports free that `usable` says may be used.
    pub fn new(usable: impl Fn(u16) -> bool) -> Self {
        let mut bits = Box::new([0u64; 1024]);
        let mut left = 0;
        for port in (0..=u16::MAX).filter(|&p| usable(p)) {
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
        let usable = |p: u16| (p >> 6) & 63 == 5;
        let mut ports = Ports::new(usable);
        let given: BTreeSet<u16> =
            std::iter::from_fn(|| ports.take(protocol::TCP, Port::from(320), &mut rng)).map(Port::number).collect();
        assert_eq!(given, (0..=u16::MAX).filter(|&p| p != 0 && usable(p)).collect());
        assert!(ports.take(protocol::UDP, Port::from(320), &mut rng).is_some(), "protocols do not share");
        ports.give_back(protocol::TCP, Port::from(4416));
        assert_eq!(ports.take(protocol::TCP, Port::from(1), &mut rng), Some(Port::from(4416)));
    }

    #[test]
    fn rfc4787_req3_port_is_preserved_and_keeps_its_range() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(2);
        let mut ports = Ports::new(|_| true);
        for edge in [0u16, 1, 1023, 1024, 65535] {
            assert_eq!(ports.take(protocol::UDP, edge.into(), &mut rng), Some(edge.into()));
            let other = ports.take(protocol::UDP, edge.into(), &mut rng).unwrap().number();
            assert_eq!(other < 1024, edge < 1024);
            assert_ne!(other, 0);
        }
    }
}
