//! Static mappings: outside ports that always lead to the same inside host.

use std::net::Ipv4Addr;

use hikyaku_net::{Port, PortSet, protocol};

use super::key::Endpoint;
use crate::sessions::LanId;

/// Outside ports of one protocol that lead to one inside host, whoever sends to them; what that host
/// sends from there leaves by them. They are given to no other mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forward {
    /// TCP, UDP, or ICMP: then the ports are those echo identifiers.
    pub protocol: u8,
    /// First and last port outside.
    pub outside: (u16, u16),
    /// The LAN of the inside host.
    pub lan: LanId,
    /// The inside host that the packets go to.
    pub inside: Ipv4Addr,
    /// What the first outside port is there; the others follow in order.
    pub inside_port: u16,
}

impl Forward {
    /// All ports of `set` and all protocols to one host, every port as it is: what is called
    /// one-to-one. Nobody else behind this address can open anything then.
    pub fn one_to_one(set: PortSet, lan: LanId, inside: Ipv4Addr) -> impl Iterator<Item = Self> {
        let to_host = move |protocol, (first, last): (u16, u16)| {
            let first = first.max(1);
            Self { protocol, outside: (first, last), lan, inside, inside_port: first }
        };
        let protocols = [protocol::TCP, protocol::UDP, protocol::ICMP];
        protocols.into_iter().flat_map(move |protocol| set.ranges().map(move |range| to_host(protocol, range)))
    }

    /// Whether a table with these ports would take this list: see [`ForwardRefused`].
    pub fn check_all(set: PortSet, list: &[Self]) -> Result<(), ForwardRefused> {
        Forwards::new(set, list).map(drop)
    }

    /// First and last port inside, as numbers that may be too large for a port.
    fn inside_ports(&self) -> (u32, u32) {
        let first = u32::from(self.inside_port);
        (first, first + u32::from(self.outside.1) - u32::from(self.outside.0))
    }
}

/// Why forwards are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardRefused {
    /// Not one of the three.
    #[error("protocol {0} has no ports to forward: give TCP (6), UDP (17) or ICMP (1)")]
    Protocol(u8),
    /// Nothing, or something that is no port.
    #[error("ports {0}-{1} to port {2} and on: give ports from 1 to 65535, the smaller one first")]
    Range(u16, u16, u16),
    /// RFC 7597 5.1: another line's port.
    #[error("{port} is not among this line's {} ports; usable: {set}", set.len())]
    OutsideSet {
        /// The first one that is not.
        port: u16,
        /// The ports of the line.
        set: PortSet,
    },
    /// Who would get it?
    #[error("outside port {0} is forwarded twice; leave one of the two out")]
    Twice(u16),
    /// By which port would it answer?
    #[error("port {1} of {0} is forwarded to from two outside ports; leave one of the two out")]
    TwiceInside(Ipv4Addr, u16),
}

/// All forwards, to be found from both sides in a few steps.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    /// By protocol and outside port.
    by_outside: Box<[Forward]>,
    /// By protocol, LAN, inside address and port.
    by_inside: Box<[Forward]>,
}

impl Forwards {
    /// Checks them: see [`ForwardRefused`].
    pub fn new(set: PortSet, list: &[Forward]) -> Result<Self, ForwardRefused> {
        list.iter().try_for_each(|forward| check(set, forward))?;
        let mut by_outside = list.to_vec();
        by_outside.sort_by_key(|f| (f.protocol, f.outside));
        let mut by_inside = list.to_vec();
        by_inside.sort_by_key(|f| (f.protocol, f.lan, f.inside, f.inside_port));
        for [a, b] in by_outside.array_windows() {
            if a.protocol == b.protocol && b.outside.0 <= a.outside.1 {
                return Err(ForwardRefused::Twice(b.outside.0));
            }
        }
        for [a, b] in by_inside.array_windows() {
            if (a.protocol, a.lan, a.inside) == (b.protocol, b.lan, b.inside)
                && u32::from(b.inside_port) <= a.inside_ports().1
            {
                return Err(ForwardRefused::TwiceInside(b.inside, b.inside_port));
            }
        }
        Ok(Self { by_outside: by_outside.into(), by_inside: by_inside.into() })
    }

    /// In order of protocol and outside port.
    pub fn all(&self) -> &[Forward] {
        &self.by_outside
    }

    /// Where packets to an outside port go.
    #[inline]
    pub fn inside(&self, protocol: u8, outside: Port) -> Option<(LanId, Endpoint)> {
        // As on most lines.
        if self.by_outside.is_empty() {
            return None;
        }
        let port = outside.number();
        let after = self.by_outside.partition_point(|f| (f.protocol, f.outside.0) <= (protocol, port));
        let forward = self.by_outside[..after].last()?;
        let covers = forward.protocol == protocol && port <= forward.outside.1;
        covers.then(|| (forward.lan, Endpoint::new(forward.inside, forward.inside_port + (port - forward.outside.0))))
    }

    /// The outside port of packets that come from `inside` in this LAN.
    #[inline]
    pub fn outside(&self, protocol: u8, lan: LanId, inside: Endpoint) -> Option<Port> {
        if self.by_inside.is_empty() {
            return None;
        }
        let key = (protocol, lan, Ipv4Addr::from(inside.addr.0), inside.port.number());
        let after = self.by_inside.partition_point(|f| (f.protocol, f.lan, f.inside, f.inside_port) <= key);
        let forward = self.by_inside[..after].last()?;
        let (.., port) = key;
        let covers = (forward.protocol, forward.lan, forward.inside) == (key.0, key.1, key.2)
            && u32::from(port) <= forward.inside_ports().1;
        covers.then(|| Port::from(forward.outside.0 + (port - forward.inside_port)))
    }

    /// Every port, with its protocol.
    pub fn ports(&self) -> impl Iterator<Item = (u8, Port)> {
        let ports = |f: &Forward| (f.outside.0..=f.outside.1).map(Port::from);
        self.by_outside.iter().flat_map(move |f| ports(f).map(|port| (f.protocol, port)))
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&*self.by_outside) + size_of_val(&*self.by_inside)
    }
}

fn check(set: PortSet, forward: &Forward) -> Result<(), ForwardRefused> {
    let Forward { protocol, outside: (first, last), inside_port, .. } = *forward;
    if ![protocol::TCP, protocol::UDP, protocol::ICMP].contains(&protocol) {
        return Err(ForwardRefused::Protocol(protocol));
    }
    if first == 0 || last < first || inside_port == 0 || forward.inside_ports().1 > u16::MAX.into() {
        return Err(ForwardRefused::Range(first, last, inside_port));
    }
    match (first..=last).find(|&port| !set.contains(port)) {
        Some(port) => Err(ForwardRefused::OutsideSet { port, set }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: LanId = LanId(0);
    const HOST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    fn tcp(outside: (u16, u16), inside: Ipv4Addr, inside_port: u16) -> Forward {
        Forward { protocol: protocol::TCP, outside, lan: LAN, inside, inside_port }
    }

    #[test]
    fn a_range_is_found_from_both_sides_and_nothing_beside_it() {
        let list = [
            tcp((8000, 8009), HOST, 80),
            tcp((443, 443), HOST, 443),
            tcp((9000, 9000), OTHER, 85),
            Forward { protocol: protocol::UDP, ..tcp((8000, 8000), OTHER, 7) },
        ];
        let forwards = Forwards::new(PortSet::ALL, &list).unwrap();
        let inside = |protocol, port: u16| {
            forwards.inside(protocol, port.into()).map(|(lan, inside)| {
                assert_eq!(lan, LAN);
                inside
            })
        };
        let outside = |protocol, host: Ipv4Addr, port| forwards.outside(protocol, LAN, Endpoint::new(host, port));
        for i in 0..10 {
            assert_eq!(inside(protocol::TCP, 8000 + i), Some(Endpoint::new(HOST, 80 + i)));
            assert_eq!(outside(protocol::TCP, HOST, 80 + i), Some(Port::from(8000 + i)));
        }
        for port in [1, 442, 444, 7999, 8010, 8999, 9001, 65535] {
            assert_eq!(inside(protocol::TCP, port), None, "{port}");
        }
        assert_eq!(inside(protocol::UDP, 8000), Some(Endpoint::new(OTHER, 7)));
        assert_eq!([inside(protocol::UDP, 8001), inside(protocol::ICMP, 8000)], [None; 2]);
        let others = [(HOST, 79), (HOST, 90), (OTHER, 80), (OTHER, 84), (OTHER, 86), (OTHER, 443)];
        assert!(others.into_iter().all(|(host, port)| outside(protocol::TCP, host, port).is_none()));
        assert_eq!(forwards.ports().count(), 13);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        // v6plus: 240 ports.
        let set = PortSet::new(4, 8, 0).unwrap();
        let refused = |list: &[Forward]| Forwards::new(set, list).unwrap_err();
        let outside =
            "443 is not among this line's 240 ports; usable: 4096-4111, 8192-8207, 12288-12303, 16384-16399, …";
        assert_eq!(refused(&[tcp((443, 443), HOST, 443)]).to_string(), outside);
        assert_eq!(refused(&[tcp((4100, 4112), HOST, 1)]), ForwardRefused::OutsideSet { port: 4112, set });
        for (range, to) in [((0, 4), 1), ((4100, 4099), 1), ((4096, 4097), 65535), ((4096, 4096), 0)] {
            assert!(matches!(refused(&[tcp(range, HOST, to)]), ForwardRefused::Range(..)), "{range:?}");
        }
        let gre = Forward { protocol: 47, ..tcp((4096, 4096), HOST, 1) };
        assert_eq!(refused(&[gre]), ForwardRefused::Protocol(47));
        let (a, b) = (tcp((4096, 4100), HOST, 80), tcp((4100, 4101), OTHER, 80));
        assert_eq!(refused(&[a, b]), ForwardRefused::Twice(4100));
        assert_eq!(refused(&[b, a]), ForwardRefused::Twice(4100));
        let c = tcp((4101, 4102), HOST, 84);
        assert_eq!(refused(&[a, c]), ForwardRefused::TwiceInside(HOST, 84));
        assert!(Forwards::new(set, &[a, Forward { protocol: protocol::UDP, ..b }]).is_ok());
    }

    #[test]
    fn one_to_one_is_every_port_of_the_set() {
        for set in [PortSet::ALL, PortSet::new(4, 8, 0x34).unwrap(), PortSet::new(0, 6, 0).unwrap()] {
            let all: Vec<_> = Forward::one_to_one(set, LAN, HOST).collect();
            let forwards = Forwards::new(set, &all).unwrap();
            assert_eq!(forwards.ports().count() as u32, 3 * (set.len() - u32::from(set.contains(0))));
            for (protocol, port) in forwards.ports().step_by(97) {
                assert_eq!(forwards.inside(protocol, port), Some((LAN, Endpoint::new(HOST, port))));
                assert_eq!(forwards.outside(protocol, LAN, Endpoint::new(HOST, port)), Some(port));
            }
        }
    }
}
