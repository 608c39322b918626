//! DNS rebinding: a name of the Internet that leads to an address of the LAN lets a web page of a stranger's speak to hosts
//! that no stranger reaches. Such answers are not passed on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is of no host of the Internet: of a LAN, a link, a host itself (RFC 6890).
pub(super) fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inside4(address),
        IpAddr::V6(address) => is_inside6(address),
    }
}

fn is_inside4(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    // 0.0.0.0/8 reaches the host itself on many systems; 100.64.0.0/10 is RFC 6598's.
    a == 0 || address.is_private() || address.is_loopback() || address.is_link_local() || a == 100 && b & 0xc0 == 64
}

fn is_inside6(address: Ipv6Addr) -> bool {
    let own = address.is_unspecified() || address.is_loopback();
    // ::ffff:0:0/96 (RFC 4291 2.5.5.2) and 64:ff9b::/96 (RFC 6052 2.1) stand for an IPv4 address.
    let [.., c, d] = address.segments();
    let embedded = || Ipv4Addr::from_bits(u32::from(c) << 16 | u32::from(d));
    let stands_for = matches!(address.segments(), [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..]);
    own || address.is_unique_local() || address.is_unicast_link_local() || stands_for && is_inside4(embedded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_lans_links_and_hosts_are_inside() {
        let inside = [
            "10.1.2.3",
            "172.31.255.1",
            "192.168.1.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.1.1",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "fc00::1",
            "::ffff:192.168.1.1",
            "64:ff9b::10.0.0.1",
        ];
        let outside = [
            "192.0.2.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "8.8.8.8",
            "2001:db8::1",
            "2409::1",
            "::ffff:192.0.2.1",
            "64:ff9b::192.0.2.1",
        ];
        assert!(inside.iter().all(|address| is_inside(address.parse().unwrap())));
        assert!(!outside.iter().any(|address| is_inside(address.parse().unwrap())));
    }
}
