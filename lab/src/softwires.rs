//! Who is at the near end of each tunnel: B4s that were seen, and fixed addresses that were told.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// First upper half that the kernel sees for customers: 100.64.0.0/10 (RFC 6598), a /16 for each.
const FIRST: u16 = 100 << 8 | 64;
const HALVES: usize = 64;

/// One DS-Lite softwire. Another address at either end, or another network inside, is another one, as
/// it is for a real AFTR: sessions do not survive the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Softwire {
    /// The far end, ours.
    pub aftr: Ipv6Addr,
    /// The near end, the B4's address.
    pub b4: Ipv6Addr,
    /// Upper half of the addresses behind it.
    pub inside: u16,
}

/// All of them. At most 64 DS-Lite softwires: the 65th takes the place of the oldest.
#[derive(Default)]
pub struct Softwires {
    known: HashMap<Softwire, usize>,
    /// By number, which is the upper half shown to the kernel less `FIRST`.
    table: Vec<Softwire>,
    oldest: usize,
    /// Fixed address -> the CE that has it.
    fixed: HashMap<Ipv4Addr, Ipv6Addr>,
}

impl Softwires {
    /// The upper half under which the kernel knows this softwire; a new one is opened.
    pub fn open(&mut self, softwire: Softwire) -> u16 {
        let number = match self.known.get(&softwire) {
            Some(&number) => number,
            None if self.table.len() < HALVES => {
                self.table.push(softwire);
                self.table.len() - 1
            }
            None => {
                let number = self.oldest;
                self.oldest = (self.oldest + 1) % HALVES;
                self.known.remove(&self.table[number]);
                self.table[number] = softwire;
                number
            }
        };
        self.known.insert(softwire, number);
        FIRST + number as u16
    }

    /// The softwire behind an address that the kernel sent a packet to.
    pub fn behind(&self, address: Ipv4Addr) -> Option<Softwire> {
        let [high, low, ..] = address.octets();
        let number = u16::from_be_bytes([high, low]).checked_sub(FIRST)?;
        self.table.get(usize::from(number)).copied()
    }

    /// A fixed address is at this CE from now on.
    pub fn bind(&mut self, address: Ipv4Addr, ce: Ipv6Addr) {
        self.fixed.insert(address, ce);
    }

    /// Nobody has this fixed address any more.
    pub fn unbind(&mut self, address: Ipv4Addr) {
        self.fixed.remove(&address);
    }

    /// The CE that has a fixed address.
    pub fn ce(&self, address: Ipv4Addr) -> Option<Ipv6Addr> {
        self.fixed.get(&address).copied()
    }

    /// DS-Lite softwires as they were opened, then fixed addresses: one line each.
    pub fn describe(&self) -> Vec<String> {
        let softwires = self.table.iter().map(|s| {
            let [high, low] = s.inside.to_be_bytes();
            format!("softwire {} {} {high}.{low}.0.0/16", s.aftr, s.b4)
        });
        softwires.chain(self.fixed.iter().map(|(address, ce)| format!("fixed {address} {ce}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn softwire(n: u16) -> Softwire {
        Softwire { aftr: Ipv6Addr::LOCALHOST, b4: Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1), inside: 0xc0a8 }
    }

    #[test]
    fn every_softwire_has_a_half_of_its_own_and_is_found_by_it() {
        let mut softwires = Softwires::default();
        for n in 0..64 {
            assert_eq!(softwires.open(softwire(n)), FIRST + n);
        }
        for n in 0..64 {
            assert_eq!(softwires.open(softwire(n)), FIRST + n);
            assert_eq!(softwires.behind(Ipv4Addr::new(100, 64 + n as u8, 7, 2)), Some(softwire(n)));
        }
        assert_eq!(softwires.behind(Ipv4Addr::new(100, 63, 7, 2)), None);
        assert_eq!(softwires.behind(Ipv4Addr::new(100, 128, 7, 2)), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut softwires = Softwires::default();
        for n in 0..66 {
            softwires.open(softwire(n));
        }
        assert_eq!(softwires.behind(Ipv4Addr::new(100, 64, 0, 1)), Some(softwire(64)));
        assert_eq!(softwires.behind(Ipv4Addr::new(100, 65, 0, 1)), Some(softwire(65)));
        assert_eq!(softwires.open(softwire(0)), FIRST + 2);
    }
}
