//! Another customer of the same MAP domain, so that one can see the ways between customers (RFC 7597 8.1,
//! mesh mode): a CE without translation. What runs behind its TUN device has the shared address itself and must
//! use ports of the set.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6Header, Ipv6HeaderSlice};

use crate::aftr::Output;
use crate::outer::packet;
use crate::ports::Fragments;
use crate::shared::{Domain, PortSet};
use crate::shift::Side;

/// What happened to packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Came from the border router.
    pub from_br: u64,
    /// Came from the CE that has the inner source.
    pub from_ces: u64,
    /// Sent to the border router.
    pub to_br: u64,
    /// Sent to the CE that has the inner destination.
    pub to_ces: u64,
    /// From somebody else, for a port of somebody else, or no tunnel packet as it should be.
    pub refused: u64,
}

/// Another customer (CE) of a MAP domain.
pub struct Ce {
    address: Ipv6Addr,
    br: Ipv6Addr,
    ipv4: Ipv4Addr,
    ports: PortSet,
    domain: Domain,
    mesh: bool,
    fragments: [Fragments; 2],
    /// Where packets came from and went so far.
    pub counts: Counts,
}

impl Ce {
    /// The one at `address`, which in a `mesh` speaks with other customers directly. `None` if that is nobody's address
    /// in the domain.
    pub fn new(address: Ipv6Addr, br: Ipv6Addr, domain: Domain, mesh: bool) -> Option<Self> {
        let (ipv4, ports) = domain.share(address)?;
        let counts = Counts::default();
        Some(Self { address, br, ipv4, ports, domain, mesh, fragments: Default::default(), counts })
    }

    /// An IPv6 packet that arrived here, whoever it is for.
    pub fn from_line(&mut self, outer: &[u8], out: &mut Output) {
        let Ok(header) = Ipv6HeaderSlice::from_slice(outer) else { return };
        if header.destination_addr() != self.address || header.next_header() != IpNumber::IPV4 {
            return;
        }
        let whole = Ipv6Header::LEN..Ipv6Header::LEN + usize::from(header.payload_length());
        let Some(inner) = outer.get(whole) else { return self.counts.refused += 1 };
        for (inner, port) in self.fragments[0].hear(inner.to_vec(), Side::Destination) {
            if self.is_for_us(&inner, port) && self.is_from_its_owner(header.source_addr(), &inner) {
                out.to_internet.push(inner);
            } else {
                self.counts.refused += 1;
            }
        }
    }

    fn is_for_us(&self, inner: &[u8], port: Option<u16>) -> bool {
        let destination = Ipv4HeaderSlice::from_slice(inner).map(|header| header.destination_addr());
        destination == Ok(self.ipv4) && port.is_some_and(|port| self.ports.contains(port))
    }

    /// What comes directly must come from who has the inner source (RFC 7597 8.1). Later fragments are not looked
    /// into: their first was.
    fn is_from_its_owner(&mut self, outer: Ipv6Addr, inner: &[u8]) -> bool {
        if outer == self.br {
            self.counts.from_br += 1;
            return true;
        }
        let Ok(header) = Ipv4HeaderSlice::from_slice(inner) else { return false };
        let source = header.source_addr();
        let heard = self.fragments[1].hear(inner.to_vec(), Side::Source);
        let is_owner = self.mesh && heard.iter().all(|&(_, port)| self.domain.judge(outer, source, port).is_ok());
        self.counts.from_ces += u64::from(is_owner);
        is_owner
    }

    /// An IPv4 packet that the kernel routed to the line.
    pub fn from_inside(&mut self, inner: &[u8], out: &mut Output) {
        let Ok(header) = Ipv4HeaderSlice::from_slice(inner) else { return self.counts.refused += 1 };
        let (source, destination) = (header.source_addr(), header.destination_addr());
        let port = |side| Fragments::default().hear(inner.to_vec(), side).first().and_then(|&(_, port)| port);
        if self.domain.judge(self.address, source, port(Side::Source)).is_err() {
            return self.counts.refused += 1;
        }
        let far = port(Side::Destination).and_then(|port| self.domain.owner(destination, port)).filter(|_| self.mesh);
        match far {
            Some(_) => self.counts.to_ces += 1,
            None => self.counts.to_br += 1,
        }
        out.to_line.push(packet(self.address, far.unwrap_or(self.br), IpNumber::IPV4, inner));
    }

    /// Answers `status` with what it is and has counted, one word and value a line.
    pub fn command(&self, line: &str) -> String {
        if line != "status" {
            return format!("error: no such command: {line:?}; there is status");
        }
        let Counts { from_br, from_ces, to_br, to_ces, refused } = self.counts;
        let mut text = format!("address {} psid {}", self.ipv4, self.ports.psid);
        for (name, count) in
            [("from-br", from_br), ("from-ces", from_ces), ("to-br", to_br), ("to-ces", to_ces), ("refused", refused)]
        {
            let _ = write!(text, "\n{name} {count}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;
    use crate::shared::InterfaceId;

    const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 4);
    /// Example 1 of RFC 7597 Appendix A, and a neighbour of the same IPv4 address with PSID 0x35.
    const US: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0xc000, 0x212, 0x34);
    const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3500, 0, 0xc000, 0x212, 0x35);
    const SHARED: [u8; 4] = [192, 0, 2, 18];
    const SERVER: [u8; 4] = [198, 51, 100, 2];

    fn ce(mesh: bool) -> Ce {
        let rule = "2001:db8::/40,192.0.2.0/24,16,6".parse().unwrap();
        let domain = Domain { interface_id: InterfaceId::Rfc7597, rules: vec![rule], bindings: Vec::new() };
        Ce::new(US, BR, domain, mesh).unwrap()
    }

    fn udp(source: ([u8; 4], u16), destination: ([u8; 4], u16)) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(source.0, destination.0, 64)
            .udp(source.1, destination.1)
            .write(&mut packet, b"hello")
            .unwrap();
        packet
    }

    #[test]
    fn customers_are_sent_to_directly_and_others_by_the_border_router() {
        let mut ce = ce(true);
        let mut out = Output::default();
        for destination in [(SHARED, 1236), (SERVER, 53), (SHARED, 80)] {
            ce.from_inside(&udp((SHARED, 1232), destination), &mut out);
        }
        let to: Vec<_> =
            out.to_line.iter().map(|p| Ipv6HeaderSlice::from_slice(p).unwrap().destination_addr()).collect();
        assert_eq!(to, [OTHER, BR, BR]);
        ce.from_inside(&udp((SHARED, 1236), (SERVER, 53)), &mut out);
        assert_eq!(ce.counts, Counts { to_ces: 1, to_br: 2, refused: 1, ..Counts::default() });
    }

    #[test]
    fn without_a_mesh_all_goes_by_the_border_router() {
        let mut ce = ce(false);
        let mut out = Output::default();
        ce.from_inside(&udp((SHARED, 1232), (SHARED, 1236)), &mut out);
        assert_eq!(Ipv6HeaderSlice::from_slice(&out.to_line[0]).unwrap().destination_addr(), BR);
        ce.from_line(&packet(OTHER, US, IpNumber::IPV4, &udp((SHARED, 1236), (SHARED, 1232))), &mut out);
        assert_eq!(ce.counts, Counts { to_br: 1, refused: 1, ..Counts::default() });
    }

    #[test]
    fn who_sends_directly_must_have_the_inner_source() {
        let mut ce = ce(true);
        let mut out = Output::default();
        for (outer, inner) in [
            (OTHER, udp((SHARED, 1236), (SHARED, 1232))),
            (BR, udp((SERVER, 53), (SHARED, 1232))),
            (OTHER, udp((SERVER, 53), (SHARED, 1232))),
            (OTHER, udp((SHARED, 1240), (SHARED, 1232))),
            (BR, udp((SERVER, 53), (SHARED, 1236))),
        ] {
            ce.from_line(&packet(outer, US, IpNumber::IPV4, &inner), &mut out);
        }
        assert_eq!(out.to_internet.len(), 2);
        assert_eq!(ce.counts, Counts { from_ces: 1, from_br: 1, refused: 3, ..Counts::default() });
    }
}
