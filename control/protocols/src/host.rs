//! Text that says which host: an address that a host may have, or its name.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An IPv4 address that a host may have.
pub fn host4(text: &str) -> Result<Ipv4Addr, String> {
    let addr: Ipv4Addr = text.parse().map_err(|_| "an IPv4 address is written as 192.0.2.1")?;
    if addr.is_unspecified() || addr.is_loopback() || addr.octets()[0] >= 224 || addr.octets()[0] == 0 {
        return Err("it is no address of a host".into());
    }
    Ok(addr)
}

/// An IPv6 address that is one host's everywhere: not link-local, not multicast.
pub fn host6(text: &str) -> Result<Ipv6Addr, String> {
    let addr: Ipv6Addr = text.parse().map_err(|_| "an IPv6 address is written as 2001:db8::1")?;
    if is_host6(addr) { Ok(addr) } else { Err("it is no global unicast address".into()) }
}

/// Whether an address may be one host's everywhere.
pub fn is_host6(addr: Ipv6Addr) -> bool {
    let is_mapped = addr.to_ipv4_mapped().is_some();
    let is_special = addr.is_unspecified() || addr.is_loopback() || addr.is_multicast();
    !(is_special || is_mapped || addr.is_unicast_link_local())
}

/// A domain name that names a host: letters, digits and hyphens (RFC 1123 2.1), without the last dot.
pub fn host_name(text: &str) -> Result<String, String> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is an address that went wrong.
    let is_name = name.len() <= 253
        && name.split('.').all(is_label)
        && !name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    if is_name { Ok(name.to_ascii_lowercase()) } else { Err("a name is written as gw.example.net".into()) }
}
