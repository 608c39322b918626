//! The values that keys have, each with one way to write it.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use hikyaku_net::{Mac, Prefix4};
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::dhcpv6::Duid;
use hikyaku_protocols::host::{host_name, host4, host6};
use hikyaku_protocols::service::{Local, WishedEnd};
use hikyaku_protocols::slaac::Token;

/// Reads an Ethernet address.
pub fn mac(text: &str) -> Result<Mac, String> {
    let bytes: Option<Vec<u8>> =
        text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() <= 2)).collect();
    let mac = bytes.and_then(|bytes| bytes.try_into().ok());
    mac.map(Mac).ok_or_else(|| "an Ethernet address is written as 02:00:00:00:01:0a".to_string())
}

/// An Ethernet address of one station.
pub fn station(text: &str) -> Result<Mac, String> {
    let mac = mac(text)?;
    if mac.is_group() || mac == Mac::default() {
        return Err("it is no single station's: the lowest bit of the first byte is 0, and not all are".into());
    }
    Ok(mac)
}

/// Reads a DHCP unique identifier: pairs of hex digits, with colons or without.
pub fn duid(text: &str) -> Result<Duid, String> {
    Duid::try_from(text.replace(':', "")).map_err(|error| error.to_string())
}

/// The lower half of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum InterfaceId {
    /// From a secret, the prefix and the link, the same as long as these are (RFC 7217).
    #[default]
    Stable,
    /// From the Ethernet address (RFC 4291 appendix A).
    Eui64,
    /// As it was issued.
    Token(Token),
}

impl FromStr for InterfaceId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stable" => Ok(Self::Stable),
            "eui64" => Ok(Self::Eui64),
            _ => text.parse().map(Self::Token).map_err(|error| format!("{error}; or give `stable` or `eui64`")),
        }
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stable => f.write_str("stable"),
            Self::Eui64 => f.write_str("eui64"),
            Self::Token(token) => token.fmt(f),
        }
    }
}

/// Our end of the tunnel: an interface id, a whole address, or what is made of the IPv4 address.
pub fn near_end(text: &str) -> Result<WishedEnd, String> {
    if text == "from-ipv4" {
        return Ok(WishedEnd::FromIpv4);
    }
    if let Ok(token) = text.parse() {
        return Ok(WishedEnd::Local(Local::Token(token)));
    }
    let says = |why| format!("{why}; give an interface id such as ::feed, a whole address, or `from-ipv4`");
    host6(text).map(|address| WishedEnd::Local(Local::Address(address))).map_err(says)
}

/// Who is at the far end of the tunnel: an address, or a name that the line's own resolvers know.
pub fn far_end(text: &str) -> Result<Endpoint, String> {
    if text.contains(':') {
        return host6(text).map(|address| Endpoint::Addresses(vec![address]));
    }
    host_name(text).map(Endpoint::Name).map_err(|_| "give an IPv6 address or a name such as gw.example.net".into())
}

/// An address of ours and the network around it: `192.168.1.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network4 {
    /// Our own address in it.
    pub address: Ipv4Addr,
    /// Bits that all addresses of the network share, 8 to 30.
    pub len: u8,
}

impl Network4 {
    fn mask(self) -> u32 {
        u32::MAX << (32 - self.len)
    }

    /// The network without our address: a prefix.
    pub fn prefix(self) -> Prefix4 {
        Prefix4::new(self.first(), self.len).expect("checked when it was read")
    }

    /// All host bits 0.
    pub fn first(self) -> Ipv4Addr {
        (u32::from(self.address) & self.mask()).into()
    }

    /// All host bits 1: the broadcast address.
    pub fn last(self) -> Ipv4Addr {
        (u32::from(self.address) | !self.mask()).into()
    }

    /// Whether `address` may be a host's there: of the network, neither its first nor its last.
    pub fn is_host(self, address: Ipv4Addr) -> bool {
        self.first() < address && address < self.last()
    }
}

impl FromStr for Network4 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "an address with its network is written as 192.168.1.1/24";
        if text.contains(':') {
            return Err("that is IPv6; give our IPv4 address and its network, such as 192.168.1.1/24".into());
        }
        let (address, len) = text.split_once('/').ok_or(FORM)?;
        let len = len.parse().ok().filter(|len| (8..=30).contains(len)).ok_or("the length is a number from 8 to 30")?;
        let network = Self { address: host4(address)?, len };
        if !network.is_host(network.address) {
            return Err(format!(
                "the first and the last address of a network are nobody's; give {}",
                Self { address: (u32::from(network.first()) + 1).into(), len }
            ));
        }
        Ok(network)
    }
}

impl fmt::Display for Network4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// Addresses for hosts: `192.168.1.100-192.168.1.199`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The lowest address of the pool.
    pub first: Ipv4Addr,
    /// The highest address of the pool, not below the first.
    pub last: Ipv4Addr,
}

impl Pool {
    /// The most addresses that a pool may have.
    pub const MAX: u32 = 65536;

    /// The upper half of a network, 1024 addresses at most, without `ours` where that is in it.
    pub fn upper_half(network: Network4) -> Self {
        let (first, last) = (u32::from(network.first()), u32::from(network.last()));
        let ours = u32::from(network.address);
        let mut low = first + (last - first).div_ceil(2);
        let mut high = (last - 1).min(low + 1023);
        if (low..=high).contains(&ours) {
            // The longer side of it; a network of four has one address left.
            if ours - low >= high - ours && ours > low {
                high = ours - 1;
            } else if high > ours {
                low = ours + 1;
            } else {
                (low, high) = (first + 1, ours - 1);
            }
        }
        Self { first: low.into(), last: high.into() }
    }

    /// How many addresses it has, up to [`Self::MAX`].
    pub fn size(self) -> u32 {
        u32::from(self.last) - u32::from(self.first) + 1
    }

    /// Whether an address is of the pool.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (self.first..=self.last).contains(&address)
    }
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "a pool is written as 192.168.1.100-192.168.1.199";
        let (first, last) = text.split_once('-').ok_or(FORM)?;
        let pool = Self { first: host4(first.trim())?, last: host4(last.trim())? };
        if pool.last < pool.first {
            return Err(format!("it runs backwards; give {}-{}", pool.last, pool.first));
        }
        if u32::from(pool.last) - u32::from(pool.first) >= Self::MAX {
            return Err(format!("a pool has at most {} addresses", Self::MAX));
        }
        Ok(pool)
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// The permission bits of a file, in octal: `0660`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(pub u32);

impl FromStr for FileMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mode) if mode <= 0o777 && digits.len() >= 3 => Ok(Self(mode)),
            _ => Err("a mode is written in octal, as \"0660\"".into()),
        }
    }
}

impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn interface_ids_and_ends() {
        let token = |bits| Token::new(bits).unwrap();
        assert_eq!("::feed".parse(), Ok(InterfaceId::Token(token(0xfeed))));
        assert_eq!("::1:2:3:4".parse(), Ok(InterfaceId::Token(token(0x1_0002_0003_0004))));
        assert_eq!(InterfaceId::Token(token(0xfeed)).to_string(), "::feed");
        for bad in ["::", "feed", "2001:db8::feed", "", "EUI64", "::ffff:ffff:1:2:3"] {
            assert!(bad.parse::<InterfaceId>().is_err(), "{bad}");
        }
        assert_eq!(near_end("::feed"), Ok(WishedEnd::Local(Local::Token(token(0xfeed)))));
        assert_eq!(near_end("2001:db8::1"), Ok(WishedEnd::Local(Local::Address("2001:db8::1".parse().unwrap()))));
        assert!(["::", "fe80::1", "ff02::1", "x"].iter().all(|bad| near_end(bad).is_err()));
        assert_eq!(far_end("GW.Example.net."), Ok(Endpoint::Name("gw.example.net".into())));
        assert_eq!(far_end("2001:db8::a"), Ok(Endpoint::Addresses(vec!["2001:db8::a".parse().unwrap()])));
        for bad in ["192.0.2.1", "a..b", "-a.b", "a_b", "", "a b", "ff02::1", &"a".repeat(64)] {
            assert!(far_end(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn networks_and_pools() {
        let lan: Network4 = "192.168.1.1/24".parse().unwrap();
        assert_eq!((lan.first(), lan.last()), ([192, 168, 1, 0].into(), [192, 168, 1, 255].into()));
        assert_eq!(Pool::upper_half(lan).to_string(), "192.168.1.128-192.168.1.254");
        assert_eq!("192.168.1.0/24".parse::<Network4>().unwrap_err().split("; ").nth(1), Some("give 192.168.1.1/24"));
        for bad in [
            "192.168.1.1",
            "2001:db8::1/64",
            "192.168.1.1/31",
            "192.168.1.1/7",
            "192.168.1.255/24",
            "127.0.0.1/8",
            "x/24",
            "1.2/8",
        ] {
            assert!(bad.parse::<Network4>().is_err(), "{bad}");
        }
        for bad in ["10.0.0.9-10.0.0.1", "10.0.0.1", "10.0.0.0-10.1.0.0", "10.0.0.1-", "224.0.0.1-224.0.0.2"] {
            assert!(bad.parse::<Pool>().is_err(), "{bad}");
        }
        assert_eq!("10.0.0.0-10.0.255.255".parse::<Pool>().unwrap().size(), 65536);
    }

    proptest! {
        #[test]
        fn the_pool_that_suits_is_of_hosts_that_are_not_us(address: u32, len in 8u8..=30) {
            let text = format!("{}/{len}", Ipv4Addr::from(address));
            if let Ok(network) = text.parse::<Network4>() {
                let pool = Pool::upper_half(network);
                prop_assert!(network.is_host(pool.first) && network.is_host(pool.last) && pool.first <= pool.last);
                prop_assert!(!pool.contains(network.address) && pool.size() <= 1024);
            }
        }
    }

    #[test]
    fn modes_and_stations() {
        assert_eq!("0660".parse(), Ok(FileMode(0o660)));
        assert_eq!("0o600".parse(), Ok(FileMode(0o600)));
        assert!(["660x", "0999", "01777", "", "7", "-660"].iter().all(|bad| bad.parse::<FileMode>().is_err()));
        assert_eq!(FileMode(0o60).to_string(), "0060");
        assert_eq!(station("02:00:00:00:00:01"), Ok(Mac([2, 0, 0, 0, 0, 1])));
        assert!(
            ["01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", "02"].iter().all(|m| station(m).is_err())
        );
    }
}
