//! Whole IPv4 datagrams as the demo's judges see them: parsed by `etherparse`, never by the dataplane.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, TcpOptionElement, TcpSlice, UdpSlice};

/// ICMP's protocol number (RFC 792).
pub const ICMP: u8 = 1;
/// TCP's protocol number (RFC 9293 3.1).
pub const TCP: u8 = 6;
/// UDP's protocol number (RFC 768).
pub const UDP: u8 = 17;

/// One end of a flow: an address, and a port or an ICMP identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The host's IPv4 address.
    pub addr: Ipv4Addr,
    /// TCP or UDP port, ICMP identifier, 0 where there is neither.
    pub port: u16,
}

/// Which end of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The end that sent the datagram.
    Source,
    /// The end that the datagram is for.
    Destination,
}

/// An IPv4 datagram that is not a fragment, from its header on, without link-layer padding.
#[derive(Clone, PartialEq, Eq)]
pub struct Datagram(pub Vec<u8>);

impl Datagram {
    /// The IPv4 header, with its options.
    pub fn header(&self) -> Ipv4HeaderSlice<'_> {
        Ipv4HeaderSlice::from_slice(&self.0).expect("checked when made")
    }

    /// Number of the protocol behind the header.
    pub fn protocol(&self) -> u8 {
        self.0[9]
    }

    /// Everything behind the IPv4 header.
    pub fn body(&self) -> &[u8] {
        &self.0[self.body_at()..]
    }

    fn body_at(&self) -> usize {
        usize::from(self.0[0] & 15) * 4
    }

    /// All checksums and lengths are right.
    pub fn check(&self) -> Result<(), String> {
        let header = self.header();
        let right = header.to_header().calc_header_checksum();
        if header.header_checksum() != right {
            return Err(format!("IPv4 header checksum {:04x}, should be {right:04x}", header.header_checksum()));
        }
        let body = self.body();
        let wrong = match self.protocol() {
            TCP => {
                TcpSlice::from_slice(body).map_err(|e| e.to_string())?;
                self.transport_sum(body) != 0
            }
            UDP => {
                let udp = UdpSlice::from_slice(body).map_err(|e| e.to_string())?;
                if usize::from(udp.length()) != body.len() {
                    return Err(format!("UDP length {}, but {} bytes are there", udp.length(), body.len()));
                }
                udp.checksum() != 0 && self.transport_sum(body) != 0
            }
            ICMP => sum(body) != 0,
            _ => false,
        };
        if wrong { Err(format!("checksum of protocol {} is wrong", self.protocol())) } else { Ok(()) }
    }

    fn transport_sum(&self, body: &[u8]) -> u16 {
        Sum16BitWords::new()
            .add_slice(&self.0[12..20])
            .add_2bytes([0, self.protocol()])
            .add_2bytes((body.len() as u16).to_be_bytes())
            .add_slice(body)
            .ones_complement()
            .to_be()
    }

    /// One end of the flow. Of an ICMP error that is the end of the datagram it quotes.
    pub fn end(&self, end: End) -> Endpoint {
        let (ip_at, body) = (if end == End::Source { 12 } else { 16 }, self.body());
        let addr = |ip: &[u8]| Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3]);
        let port = match (self.protocol(), self.quoted_at()) {
            (ICMP, Some(at)) => {
                let quoted = &self.0[at..];
                let opposite = if end == End::Source { 16 } else { 12 };
                return Endpoint {
                    addr: addr(&quoted[opposite..]),
                    port: port_at(quoted, end.opposite()).map_or(0, |p| word(quoted, p)),
                };
            }
            (TCP | UDP, _) if body.len() >= 4 => word(body, if end == End::Source { 0 } else { 2 }),
            (ICMP, None) if body.len() >= 8 => word(body, 4),
            _ => 0,
        };
        Endpoint { addr: addr(&self.0[ip_at..]), port }
    }

    /// The protocol of the flow: of an ICMP error, that of the datagram it quotes.
    pub fn flow_protocol(&self) -> u8 {
        self.quoted_at().map_or(self.protocol(), |at| self.0[at + 9])
    }

    /// Where the datagram quoted by an ICMP error begins.
    pub fn quoted_at(&self) -> Option<usize> {
        let at = self.body_at() + 8;
        let is_error = self.protocol() == ICMP && matches!(self.body().first(), Some(3 | 4 | 5 | 11 | 12));
        (is_error && self.0.len() >= at + 20).then_some(at)
    }

    /// Moves one end to `to`, as a translator does: address, port or identifier, in the header and
    /// in what an ICMP error quotes, all checksums with it.
    pub fn translate(&mut self, end: End, to: Endpoint) {
        if let Some(at) = self.quoted_at() {
            translate(&mut self.0[at..], end.opposite(), to);
            let error_end = if end == End::Source { 12 } else { 16 };
            self.0[error_end..error_end + 4].copy_from_slice(&to.addr.octets());
            let body = self.body_at();
            self.put_sum(body + 2, |d| sum(&d.0[body..]));
        } else {
            translate(&mut self.0, end, to);
        }
        self.fix_header();
    }

    /// The datagram one hop further: TTL one less, the header's checksum mended.
    #[must_use]
    pub fn forwarded(mut self) -> Self {
        self.0[8] -= 1;
        self.fix_header();
        self
    }

    /// The MSS option of a SYN.
    pub fn mss(&self) -> Option<u16> {
        let tcp = (self.protocol() == TCP).then(|| TcpSlice::from_slice(self.body()).ok()).flatten()?;
        tcp.options_iterator().find_map(|o| match o {
            Ok(TcpOptionElement::MaximumSegmentSize(mss)) if tcp.syn() => Some(mss),
            _ => None,
        })
    }

    /// Writes another MSS where one is.
    pub fn set_mss(&mut self, mss: u16) {
        let at = self.body_at();
        let options = at + 20..at + usize::from(self.0[at + 12] >> 4) * 4;
        // The option starts at an even place or not; only the whole sum tells.
        let found = options.clone().take_while(|&i| i + 4 <= options.end).find(|&i| self.0[i..i + 2] == [2, 4]);
        if let Some(i) = found {
            self.0[i + 2..i + 4].copy_from_slice(&mss.to_be_bytes());
            self.put_sum(at + 16, |d| d.transport_sum(d.body()));
        }
    }

    /// A copy whose MSS, if it is lower than that of `sent`, is raised to it: a router may lower it.
    #[must_use]
    pub fn with_mss_of(&self, sent: &Self) -> Self {
        let mut raised = self.clone();
        if let (Some(is), Some(was)) = (self.mss(), sent.mss())
            && is < was
        {
            raised.set_mss(was);
        }
        raised
    }

    /// Where this datagram differs from what was sent.
    pub fn difference(&self, sent: &Self) -> String {
        let at = self.0.iter().zip(&sent.0).position(|(a, b)| a != b).unwrap_or(self.0.len().min(sent.0.len()));
        match (self.0.get(at), sent.0.get(at)) {
            (Some(is), Some(was)) => format!("{self}: byte {at} is {is:#04x}, should be {was:#04x} as in: {sent}"),
            _ => format!("{self}: should be {} bytes as in: {sent}", sent.0.len()),
        }
    }

    fn fix_header(&mut self) {
        let end = self.body_at();
        self.put_sum(10, |d| sum(&d.0[..end]));
    }

    fn put_sum(&mut self, at: usize, of: impl FnOnce(&Self) -> u16) {
        self.0[at..at + 2].fill(0);
        let sum = of(self);
        self.0[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

impl std::fmt::Debug for Datagram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self} {:02x?}", self.0)
    }
}

impl std::fmt::Display for Datagram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (header, name) = (
            self.header(),
            match self.protocol() {
                ICMP => "icmp".into(),
                TCP => "tcp".into(),
                UDP => "udp".into(),
                other => format!("protocol {other}"),
            },
        );
        let (from, to) = (header.source_addr(), header.destination_addr());
        match (self.protocol(), self.body()) {
            (TCP | UDP, [a, b, c, d, ..]) => {
                let (sport, dport) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                write!(f, "{name} {from}:{sport} > {to}:{dport}")?;
            }
            (ICMP, [kind, code, ..]) => write!(f, "{name} {from} > {to} type {kind} code {code}")?,
            _ => write!(f, "{name} {from} > {to}")?,
        }
        write!(f, ", {} bytes, id {:04x}, ttl {}", self.0.len(), header.identification(), header.ttl())
    }
}

impl End {
    fn opposite(self) -> Self {
        if self == Self::Source { Self::Destination } else { Self::Source }
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn sum(bytes: &[u8]) -> u16 {
    Sum16BitWords::new().add_slice(bytes).ones_complement().to_be()
}

/// Where the port or identifier of a packet stands, if the packet (it may be a quote) has it.
fn port_at(packet: &[u8], end: End) -> Option<usize> {
    let at = usize::from(packet[0] & 15) * 4;
    let at = match packet[9] {
        TCP | UDP => at + if end == End::Source { 0 } else { 2 },
        ICMP => at + 4,
        _ => return None,
    };
    (at + 2 <= packet.len()).then_some(at)
}

/// Translates one end of a packet that may be cut off behind its first bytes: checksums are
/// changed by what changed (RFC 1624), as the whole is not there to be summed.
fn translate(packet: &mut [u8], end: End, to: Endpoint) {
    let addr_at = if end == End::Source { 12 } else { 16 };
    let body = usize::from(packet[0] & 15) * 4;
    let old: [u8; 4] = packet[addr_at..addr_at + 4].try_into().expect("four bytes");
    packet[addr_at..addr_at + 4].copy_from_slice(&to.addr.octets());
    let port = port_at(packet, end).map(|at| (at, [packet[at], packet[at + 1]]));
    if let Some((at, _)) = port {
        packet[at..at + 2].copy_from_slice(&to.port.to_be_bytes());
    }
    let (sum_at, has_pseudo_header) = match packet[9] {
        TCP => (body + 16, true),
        UDP => (body + 6, true),
        ICMP => (body + 2, false),
        _ => (usize::MAX, false),
    };
    if sum_at < packet.len() - 1 && !(packet[9] == UDP && word(packet, sum_at) == 0) {
        let mut change = Sum16BitWords::new().add_2bytes((!word(packet, sum_at)).to_be_bytes());
        if has_pseudo_header {
            change = change.add_slice(&old.map(|b| !b)).add_slice(&to.addr.octets());
        }
        if let Some((_, old)) = port {
            change = change.add_slice(&old.map(|b| !b)).add_slice(&to.port.to_be_bytes());
        }
        let new = match change.ones_complement().to_be() {
            0 if packet[9] == UDP => 0xffff,
            new => new,
        };
        packet[sum_at..sum_at + 2].copy_from_slice(&new.to_be_bytes());
    }
    packet[10..12].fill(0);
    let header = sum(&packet[..body]);
    packet[10..12].copy_from_slice(&header.to_be_bytes());
}

/// Puts fragments together, IPv4 or IPv6: whatever the key says belongs together.
#[derive(Default)]
pub struct Pieces(HashMap<Vec<u8>, Vec<Piece>>);

#[derive(PartialEq)]
struct Piece {
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
}

impl Pieces {
    /// Adds a piece; the whole when it was the last missing one. A piece that came twice counts once.
    pub fn add(&mut self, key: Vec<u8>, offset: usize, more: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let of_key = self.0.entry(key.clone()).or_default();
        let piece = Piece { offset, more, bytes: bytes.to_vec() };
        if of_key.contains(&piece) {
            return None;
        }
        of_key.push(piece);
        of_key.sort_by_key(|p| p.offset);
        let mut whole = Vec::new();
        for piece in of_key.iter() {
            if piece.offset != whole.len() {
                return None;
            }
            whole.extend(&piece.bytes);
        }
        if of_key.last().is_none_or(|p| p.more) {
            return None;
        }
        self.0.remove(&key);
        Some(whole)
    }

    /// The datagram of an IPv4 packet: itself, or what it completes. The error says why it is none.
    pub fn datagram(&mut self, packet: &[u8]) -> Result<Option<Datagram>, String> {
        let header = Ipv4HeaderSlice::from_slice(packet).map_err(|e| e.to_string())?;
        let (start, end) = (header.slice().len(), usize::from(header.total_len()));
        if end < start || end > packet.len() {
            return Err(format!("IPv4 total length {end}, but {} bytes are there", packet.len()));
        }
        let right = header.to_header().calc_header_checksum();
        if header.header_checksum() != right {
            return Err(format!("IPv4 header checksum {:04x}, should be {right:04x}", header.header_checksum()));
        }
        if !header.is_fragmenting_payload() {
            return Ok(Some(Datagram(packet[..end].to_vec())));
        }
        let mut key = packet[12..20].to_vec();
        key.extend(&packet[4..6]);
        key.push(packet[9]);
        let offset = usize::from(header.fragments_offset().value()) * 8;
        let Some(body) = self.add(key, offset, header.more_fragments(), &packet[start..end]) else { return Ok(None) };
        // The header of a datagram that was never cut.
        let mut whole = packet[..start].to_vec();
        whole.extend(body);
        let len = u16::try_from(whole.len()).map_err(|_| "fragments beyond 65535 bytes".to_string())?;
        whole[2..4].copy_from_slice(&len.to_be_bytes());
        whole[6] &= 0x40;
        whole[7] = 0;
        let mut whole = Datagram(whole);
        whole.fix_header();
        Ok(Some(whole))
    }

    /// How many datagrams lack a piece.
    pub fn incomplete(&self) -> usize {
        self.0.len()
    }
}

/// Translates one end of a packet that may be a fragment. `to` is asked for the new end of a flow,
/// or of the later pieces of any flow; its `None` is passed on.
pub fn translate_packet(
    packet: &mut [u8],
    end: End,
    to: impl FnOnce(Option<(u8, Endpoint)>) -> Option<Endpoint>,
) -> Option<()> {
    let is_later_piece = word(packet, 6) & 0x1fff != 0;
    let mut datagram = Datagram(packet.to_vec());
    if is_later_piece {
        let addr_at = if end == End::Source { 12 } else { 16 };
        datagram.0[addr_at..addr_at + 4].copy_from_slice(&to(None)?.addr.octets());
        datagram.fix_header();
    } else {
        let to = to(Some((datagram.flow_protocol(), datagram.end(end))))?;
        datagram.translate(end, to);
    }
    packet.copy_from_slice(&datagram.0);
    Some(())
}
