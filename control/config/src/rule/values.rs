//! The values of a rule's keys, each with one way to write it.

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_dataplane::rules::Address;
use hikyaku_net::packet::Icmp;
use hikyaku_net::{Prefix4, Prefix6, protocol};

/// What a rule is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(pub String);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match (1..=32).contains(&text.len()) && text.chars().all(is_plain) {
            true => Ok(Self(text.into())),
            false => Err("a name has 1 to 32 letters, digits, `-`, `_` and `.`"),
        }
    }
}

/// An upper-layer protocol, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Protocol(pub u8);

/// Generic Routing Encapsulation (RFC 2784).
const GRE: u8 = 47;

const PROTOCOLS: [(&str, u8); 10] = [
    ("tcp", protocol::TCP),
    ("udp", protocol::UDP),
    ("icmp", protocol::ICMP),
    ("icmpv6", protocol::ICMPV6),
    ("esp", protocol::ESP),
    ("ah", protocol::AH),
    ("gre", GRE),
    ("sctp", protocol::SCTP),
    ("dccp", protocol::DCCP),
    ("udp-lite", protocol::UDP_LITE),
];

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|&(_, number)| number);
        named.or_else(|| text.parse().ok()).map(Self).ok_or_else(|| {
            let names = PROTOCOLS.map(|(name, _)| name).join(", ");
            format!("give one of {names}, or a number from 0 to 255")
        })
    }
}

/// As it is written, by name if it has one.
pub fn protocol_text(number: u8) -> String {
    let named = PROTOCOLS.iter().find(|(_, of)| *of == number);
    named.map_or_else(|| number.to_string(), |(name, _)| (*name).into())
}

/// Ranges of ports: `22,8000-8010`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports(Vec<(u16, u16)>);

impl Deref for Ports {
    type Target = [(u16, u16)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl FromStr for Ports {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| match text.trim().parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("'{}' is no port: give numbers from 1 to 65535, as in 22,8000-8010", text.trim())),
        };
        let range = |text: &str| {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let (first, last) = (port(first)?, port(last)?);
            if first <= last { Ok((first, last)) } else { Err(format!("{first}-{last}: give the smaller one first")) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self)
    }
}

/// A type of ICMP or ICMPv6 that begins something: of both, where it has one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IcmpType(pub Vec<u8>);

impl FromStr for IcmpType {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const QUERIES: [u8; 3] = [Icmp::ECHO_REQUEST, Icmp::TIMESTAMP, Icmp::ECHO_REQUEST6];
        match text {
            "echo-request" => Ok(Self(vec![Icmp::ECHO_REQUEST, Icmp::ECHO_REQUEST6])),
            "timestamp-request" => Ok(Self(vec![Icmp::TIMESTAMP])),
            _ => match text.parse() {
                Ok(number) if QUERIES.contains(&number) => Ok(Self(vec![number])),
                _ => Err(
                    "only queries begin anything: give echo-request (8, 128) or timestamp-request (13). Errors pass with \
                          their session, answers too, and nothing else is forwarded",
                ),
            },
        }
    }
}

/// Once in so long: `10/s`, and the 10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub each: Duration,
    pub number: u32,
}

impl FromStr for Interval {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            let (number, unit) = text.split_once('/')?;
            let number = number.trim().parse().ok().filter(|number| (1..=1_000_000).contains(number))?;
            let seconds = match unit.trim() {
                "s" => 1,
                "min" => 60,
                "h" => 3600,
                _ => return None,
            };
            Some(Self { each: Duration::from_secs(seconds) / number, number })
        };
        read().ok_or("it is written as 10/s, 30/min or 100/h, with a number from 1 to 1000000")
    }
}

/// What is in front of the interface id of a host of the LAN.
const OF_LAN: &str = "::/64+";

/// An address, a prefix, or a host of the LAN by its interface id.
pub(super) fn address(text: &str) -> Result<Address, String> {
    const FORM: &str = "write it as 192.0.2.0/24, 2001:db8::/48, an address, or ::/64+::10 for a host of the LAN";
    if let Some(id) = text.strip_prefix(OF_LAN) {
        return match id.parse::<Ipv6Addr>().map(Ipv6Addr::to_bits) {
            Ok(bits) if bits >> 64 == 0 && bits != 0 => Ok(Address::InterfaceId(bits as u64)),
            _ => Err(format!("'{id}' is no interface id: {FORM}")),
        };
    }
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(len.parse::<u8>().map_err(|_| FORM)?)),
        None => (text, None),
    };
    let (prefix, kept) = match address.parse::<IpAddr>().map_err(|_| FORM)? {
        IpAddr::V4(address) => {
            let prefix = Prefix4::new(address, len.unwrap_or(32)).ok_or(FORM)?;
            (Address::V4(prefix), prefix.address() == address)
        }
        IpAddr::V6(address) => {
            let prefix = Prefix6::new(address, len.unwrap_or(128)).ok_or(FORM)?;
            (Address::V6(prefix), prefix.address() == address)
        }
    };
    if kept { Ok(prefix) } else { Err(format!("it has bits behind its length; give {}", address_text(&prefix))) }
}

/// As it is written.
pub fn address_text(address: &Address) -> String {
    match address {
        Address::V4(prefix) if prefix.len() == 32 => prefix.address().to_string(),
        Address::V4(prefix) => prefix.to_string(),
        Address::V6(prefix) if prefix.len() == 128 => prefix.address().to_string(),
        Address::V6(prefix) => prefix.to_string(),
        Address::InterfaceId(id) => format!("{OF_LAN}{}", Ipv6Addr::from_bits((*id).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_they_are_written() {
        for text in
            ["192.0.2.0/24", "192.0.2.1", "2001:db8::/48", "2001:db8::1", "::/64+::10", "::/64+::1:2:3:4", "::/0"]
        {
            assert_eq!(address(text).map(|address| address_text(&address)), Ok(text.into()));
        }
        for bad in
            ["", "x", "192.0.2.0/33", "::/129", "::/64+", "::/64+::", "::/64+2001:db8::1", "::/56+::1", "1.2.3.4/x"]
        {
            assert!(address(bad).unwrap_err().contains("write it as"), "{bad}");
        }
        assert!(address("192.0.2.1/24").unwrap_err().ends_with("give 192.0.2.0/24"));
        assert_eq!(&*"22, 8000-8010".parse::<Ports>().unwrap(), [(22, 22), (8000, 8010)]);
        assert!(["", "0", "65536", "1-", "9-8", "1,,2", "http"].iter().all(|bad| bad.parse::<Ports>().is_err()));
        let tenth = Interval { each: Duration::from_millis(100), number: 10 };
        assert_eq!("10/s".parse(), Ok(tenth));
        assert_eq!("30/min".parse::<Interval>().unwrap().each, Duration::from_secs(2));
        assert!(["", "10", "0/s", "10/day", "-1/s", "1000001/h"].iter().all(|bad| bad.parse::<Interval>().is_err()));
        for (text, number) in [("tcp", 6), ("gre", 47), ("47", 47), ("0", 0), ("255", 255)] {
            assert_eq!(text.parse(), Ok(Protocol(number)));
            assert_eq!(protocol_text(number).parse(), Ok(Protocol(number)));
        }
        assert!(["TCP", "256", "", "tcp,udp"].iter().all(|bad| bad.parse::<Protocol>().is_err()));
        assert_eq!("echo-request".parse(), Ok(IcmpType(vec![8, 128])));
        assert!(["0", "129", "redirect", "3", "256"].iter().all(|bad| bad.parse::<IcmpType>().is_err()));
        assert!("a b".parse::<Name>().is_err() && "".parse::<Name>().is_err() && "web.1_a-b".parse::<Name>().is_ok());
    }
}
