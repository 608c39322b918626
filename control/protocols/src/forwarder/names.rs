//! Names that are answered here: of hosts of the LAN, as the user says, and those that lead nowhere outside.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{code, is_within, rtype, small, wire_name};
use super::query::Query;
use super::rebinding::is_inside;

/// How long hosts may keep what is said here: a lease may be another's soon.
const TTL: u32 = 30;

/// What hosts of a home are under, unless the user says otherwise (RFC 8375).
pub const HOME: &str = "home.arpa";

/// Names with addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The first is what its addresses are called.
    pub names: Vec<String>,
    /// Where it is.
    pub addresses: Vec<IpAddr>,
}

/// What is known here.
#[derive(Debug, Default)]
pub(super) struct Names {
    addresses: HashMap<Vec<u8>, Vec<IpAddr>>,
    /// By address, as in a message.
    names: HashMap<IpAddr, Vec<u8>>,
    /// Below which nothing is outside.
    own_domain: Vec<u8>,
}

/// What there is of a name.
enum Said {
    Records(Vec<(u16, Vec<u8>)>),
    NoSuchName,
}

/// Domains that mean nothing outside (RFC 6761 6.3, 6.4; RFC 6762 22.1; RFC 7686 2; RFC 8375 4; RFC 9462 6.4), as in a message.
const NOT_OUTSIDE: [(&[u8], Kind); 6] = [
    (b"\x09localhost\0", Kind::Itself),
    (b"\x08resolver\x04arpa\0", Kind::Empty),
    (b"\x04home\x04arpa\0", Kind::Nothing),
    (b"\x05local\0", Kind::Nothing),
    (b"\x05onion\0", Kind::Nothing),
    (b"\x07invalid\0", Kind::Nothing),
];

/// What is answered about a name in such a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The asker itself.
    Itself,
    /// That it is there and has no records.
    Empty,
    /// That it is not there, but for the domain itself.
    Nothing,
}

impl Names {
    /// Of several hosts with one name, the first counts.
    pub fn new(hosts: &[Host], own_domain: &str) -> Self {
        let mut known = Self { own_domain: wire_name(own_domain), ..Self::default() };
        for host in hosts {
            for (n, name) in host.names.iter().enumerate() {
                let name = wire_name(name);
                if known.addresses.contains_key(&name) {
                    continue;
                }
                for &address in host.addresses.iter().filter(|_| n == 0) {
                    known.names.entry(address).or_insert_with(|| name.clone());
                }
                known.addresses.insert(name, host.addresses.clone());
            }
        }
        known
    }

    /// The answer, if it is not to be looked for elsewhere. `is_elsewhere`: the user says who knows about it.
    pub fn answer(&self, query: &Query, is_elsewhere: impl FnOnce(&[u8]) -> bool) -> Option<Vec<u8>> {
        let name = small(query.name());
        let (code, records) = match self.said(&name, query.qtype, is_elsewhere)? {
            Said::Records(records) => (code::NO_ERROR, records),
            Said::NoSuchName => (code::NO_SUCH_NAME, Vec::new()),
        };
        Some(query.answer(code, true, TTL, &records))
    }

    fn said(&self, name: &[u8], qtype: u16, is_elsewhere: impl FnOnce(&[u8]) -> bool) -> Option<Said> {
        if let Some(addresses) = self.addresses.get(name) {
            return Some(Said::Records(addresses.iter().filter_map(|&address| record(address, qtype)).collect()));
        }
        let reverse = reverse_address(name);
        if let Some(name) = reverse.and_then(|address| self.names.get(&address)) {
            let is_asked = [rtype::PTR, rtype::ANY].contains(&qtype);
            return Some(Said::Records(is_asked.then(|| (rtype::PTR, name.clone())).into_iter().collect()));
        }
        // RFC 6303 4.2: nobody outside knows whose address of a LAN it is.
        let is_nobodys = reverse.is_some_and(is_inside);
        let under = NOT_OUTSIDE.iter().find(|(domain, _)| is_within(name, domain));
        let is_own = self.is_only_here() && is_within(name, &self.own_domain);
        if !(is_nobodys || is_own || under.is_some()) || is_elsewhere(name) {
            return None;
        }
        let is_domain = under.is_some_and(|(domain, _)| name == *domain) || is_own && name == self.own_domain;
        Some(match under.map(|&(_, kind)| kind) {
            Some(Kind::Itself) => {
                let itself = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                Said::Records(itself.into_iter().filter_map(|address| record(address, qtype)).collect())
            }
            Some(Kind::Empty) => Said::Records(Vec::new()),
            _ if is_domain => Said::Records(Vec::new()),
            _ => Said::NoSuchName,
        })
    }

    /// A domain of one label is nobody's outside. One of several may have hosts there, too.
    fn is_only_here(&self) -> bool {
        self.own_domain.first().is_some_and(|&label| self.own_domain.len() == usize::from(label) + 2)
    }
}

/// A record of that address, if such are asked for.
fn record(address: IpAddr, qtype: u16) -> Option<(u16, Vec<u8>)> {
    let (rtype, data) = match address {
        IpAddr::V4(address) => (rtype::A, address.octets().to_vec()),
        IpAddr::V6(address) => (rtype::AAAA, address.octets().to_vec()),
    };
    [rtype, rtype::ANY].contains(&qtype).then_some((rtype, data))
}

/// The address that a name of `in-addr.arpa` or `ip6.arpa` stands for (RFC 1035 3.5, RFC 3596 2.5).
fn reverse_address(name: &[u8]) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(b"\x07in-addr\x04arpa\0") {
        let mut octets = [0; 4];
        let mut labels = Labels(labels);
        for octet in octets.iter_mut().rev() {
            *octet = std::str::from_utf8(labels.next()?).ok()?.parse().ok()?;
        }
        return labels.next().is_none().then(|| Ipv4Addr::from(octets).into());
    }
    let labels = name.strip_suffix(b"\x03ip6\x04arpa\0")?;
    let mut bits = 0u128;
    let mut labels = Labels(labels);
    for at in 0..32 {
        let &[digit] = labels.next()? else { return None };
        bits |= u128::from(char::from(digit).to_digit(16)?) << (at * 4);
    }
    labels.next().is_none().then(|| Ipv6Addr::from_bits(bits).into())
}

/// Labels one after the other.
struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        let (label, rest) = rest.split_at_checked(length.into())?;
        self.0 = rest;
        Some(label)
    }
}
