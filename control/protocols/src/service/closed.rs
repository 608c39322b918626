//! Prefixes that mean "no ISP yet".

use std::net::Ipv6Addr;

/// Prefixes that NTT's access networks give to lines without an ISP: nothing outside the closed network
/// can be reached from them. East, then west.
const CLOSED: [(Ipv6Addr, u32); 5] = [
    (Ipv6Addr::new(0x2001, 0xc90, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2404, 0x1a8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2408, 0, 0, 0, 0, 0, 0, 0), 22),
    (Ipv6Addr::new(0x2001, 0xd70, 0, 0, 0, 0, 0, 0), 30),
    (Ipv6Addr::new(0x2001, 0xa000, 0, 0, 0, 0, 0, 0), 21),
];

/// Whether a prefix or address is of a closed access network.
pub fn closed_network(address: Ipv6Addr) -> bool {
    CLOSED.iter().any(|(prefix, len)| (address.to_bits() ^ prefix.to_bits()) >> (128 - len) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges() {
        let closed = |text: &str| closed_network(text.parse().unwrap());
        for inside in ["2001:c90::1", "2404:1a8:ffff::", "2408:0:1::", "2408:3ff:ffff::1", "2001:d73::", "2001:a7ff::"]
        {
            assert!(closed(inside), "{inside}");
        }
        for outside in
            ["2001:c91::", "2404:1a9::", "2408:400::", "2001:d74::", "2001:a800::", "2409:10::", "2400:4050::"]
        {
            assert!(!closed(outside), "{outside}");
        }
    }
}
