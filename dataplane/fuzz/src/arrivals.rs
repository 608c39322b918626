//! Frames that are more likely to be looked at than any bytes are, and any bytes. Part of the targets that feed a whole router:
//! they have `router` and `twins`.

use arbitrary::Arbitrary;

use crate::router::{
    BR, CE, CLIENT, CLIENT_MAC, CLIENT6, GATEWAY_MAC, OTHER6, OUTSIDE, PEER6, ROUTER_MAC, ROUTER6, SERVER, WAN_MAC,
};
use crate::twins::{internet_sum, repair, repair_transport};

/// A frame that comes in by one of the links.
#[derive(Arbitrary, Debug)]
pub struct Arrival {
    kind: Kind,
    /// Bytes of the frame to be changed, and to what.
    changes: Vec<(u8, u8)>,
    /// Make the (inner) IPv4 header checksum right afterwards.
    repair: bool,
    cut: Option<u8>,
    more: u16,
    /// A tag, perhaps the second one.
    tag: Option<[u8; 4]>,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    /// These bytes are the frame.
    Frame(Vec<u8>),
    /// This is the IPv4 packet's payload.
    Packet { protocol: Protocol, ports: [u8; 4], hairpin: bool, ttl: u8, fragment: u16, payload: Vec<u8> },
    /// An outer fragment of a packet.
    Piece { id: u8, offset: u8, more: bool, payload: Vec<u8> },
    /// A packet of native IPv6: its extension headers, and what is behind them.
    Native {
        protocol: Protocol,
        ports: [u8; 4],
        ends: u8,
        hop_limit: u8,
        headers: Vec<(u8, [u8; 7])>,
        payload: Vec<u8>,
        quote: Option<Box<Kind>>,
    },
    /// An ICMPv6 error to us that quotes a packet.
    Error { kind: u8, code: u8, word: u32, quote: Box<Kind> },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other(u8),
}

fn ethernet(wan: bool, payload: &[u8]) -> Vec<u8> {
    let (dst, src, kind) = if wan { (WAN_MAC, GATEWAY_MAC, [0x86, 0xdd]) } else { (ROUTER_MAC, CLIENT_MAC, [8, 0]) };
    [&dst[..], &src, &kind, payload].concat()
}

fn outer(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let header = [0x60, 0, 0, 0, len[0], len[1], next, 60];
    [&header[..], &BR.octets(), &CE.octets(), payload].concat()
}

/// An IPv4 packet that a host sends to the LAN link, or to be found in the tunnel.
fn ipv4(napt: bool, wan: bool, kind: &Kind) -> Vec<u8> {
    let Kind::Packet { protocol, ports, hairpin, ttl, fragment, payload } = kind else { return Vec::new() };
    let protocol = match *protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Icmp => 1,
        Protocol::Other(number) => number,
    };
    let inside = if wan && napt { OUTSIDE } else { CLIENT };
    let outside = if *hairpin { OUTSIDE } else { SERVER };
    let (src, dst) = if wan { (outside, inside) } else { (inside, outside) };
    // Few ports, so that sessions meet: the high bytes are the same.
    let transport = match protocol {
        6 | 17 => [&[0x9c, ports[0] & 3, 0x9c, ports[2] & 3][..], payload].concat(),
        1 => [&[ports[0] & 11, ports[1], 0, 0, 0x9c, ports[2] & 3][..], payload].concat(),
        _ => payload.clone(),
    };
    let len = (20 + transport.len() as u16).to_be_bytes();
    let fragment = if fragment & 0x8000 != 0 { (fragment & 0x7fff).to_be_bytes() } else { [0, 0] };
    let header = [0x45, 0, len[0], len[1], 0, 1, fragment[0], fragment[1], *ttl, protocol, 0, 0];
    let mut packet = [&header[..], &src, &dst, &transport].concat();
    repair(&mut packet);
    packet
}

/// A packet of native IPv6 between few hosts and ports, so that sessions meet.
fn ipv6(wan: bool, kind: &Kind) -> Vec<u8> {
    let Kind::Native { protocol, ports, ends, hop_limit, headers, payload, quote } = kind else { return Vec::new() };
    let host = [CLIENT6, CLIENT6, OTHER6, OTHER6, CLIENT6, OTHER6, ROUTER6, CE][usize::from(ends & 7)];
    let peer = if ends & 8 == 0 { PEER6 } else { OTHER6 };
    let (src, dst) = if wan { (peer, host) } else { (host, peer) };
    let (protocol, transport) = match *protocol {
        Protocol::Tcp => (6, [&[0x9c, ports[0] & 3, 0x9c, ports[2] & 3][..], payload].concat()),
        Protocol::Udp => (17, [&[0x9c, ports[0] & 3, 0x9c, ports[2] & 3][..], payload].concat()),
        Protocol::Icmp => {
            let kind = [1, 2, 3, 4, 128, 129, 135, ports[1]][usize::from(ports[0] & 7)];
            // An error quotes what went the other way.
            let quoted = quote.as_ref().map(|quote| ipv6(!wan, quote)).unwrap_or_default();
            (58, [&[kind, 0, 0, 0, 0x9c, ports[2] & 3, 0, 0][..], &quoted, payload].concat())
        }
        Protocol::Other(number) => (number, payload.clone()),
    };
    // Few kinds of header, those that a walk knows.
    let kinds: Vec<u8> =
        headers.iter().take(10).map(|(kind, _)| [0, 43, 44, 60, 60, 44, 51, *kind][usize::from(kind & 7)]).collect();
    let mut next = kinds.iter().skip(1).copied().chain([protocol]);
    let mut rest = Vec::new();
    for (_, bytes) in headers.iter().take(10) {
        rest.push(next.next().unwrap_or(protocol));
        rest.extend([bytes[0] & 1]);
        rest.extend(&bytes[1..]);
    }
    rest.extend(transport);
    let len = (rest.len() as u16).to_be_bytes();
    let first = kinds.first().copied().unwrap_or(protocol);
    [&[0x60, 0, 0, 0, len[0], len[1], first, *hop_limit][..], &src.octets(), &dst.octets(), &rest].concat()
}

fn frame(napt: bool, wan: bool, kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::Native { .. } => {
            let (dst, src) = if wan { (WAN_MAC, GATEWAY_MAC) } else { (ROUTER_MAC, CLIENT_MAC) };
            [&dst[..], &src, &[0x86, 0xdd], &ipv6(wan, kind)].concat()
        }
        Kind::Frame(bytes) => bytes.clone(),
        Kind::Packet { .. } if wan => ethernet(true, &outer(4, &ipv4(napt, true, kind))),
        Kind::Packet { .. } => ethernet(false, &ipv4(napt, false, kind)),
        Kind::Piece { id, offset, more, payload } => {
            let offset = (u16::from(*offset) << 3 | u16::from(*more)).to_be_bytes();
            let header = [4, 0, offset[0], offset[1], 0, 0, 0, *id & 3];
            ethernet(true, &outer(44, &[&header[..], payload].concat()))
        }
        Kind::Error { kind, code, word, quote } => {
            // What we sent: the packet as it left, from our end to the far one.
            let mut sent = ipv4(napt, false, quote);
            if napt && sent.len() >= 20 {
                sent[12..16].copy_from_slice(&OUTSIDE);
                repair(&mut sent);
            }
            let mut quoted = outer(4, &sent);
            quoted[8..24].copy_from_slice(&CE.octets());
            quoted[24..40].copy_from_slice(&BR.octets());
            let mut message = [&[kind & 7, *code, 0, 0][..], &word.to_be_bytes(), &quoted].concat();
            let len = (message.len() as u16).to_be_bytes();
            let pseudo = [&BR.octets()[..], &CE.octets(), &[0, 0, len[0], len[1], 0, 0, 0, 58], &message].concat();
            let sum = !internet_sum(&pseudo);
            message[2..4].copy_from_slice(&sum.to_be_bytes());
            ethernet(true, &outer(58, &message))
        }
    }
}

/// The frame. `napt`: the router has one; `right`: make its transport checksum right.
pub fn made((napt, right): (bool, bool), wan: bool, arrival: &Arrival) -> Vec<u8> {
    let mut frame = frame(napt, wan, &arrival.kind);
    for &(at, to) in &arrival.changes {
        if let Some(byte) = frame.get_mut(usize::from(at)) {
            *byte = to;
        }
    }
    let ip = if wan { 54 } else { 14 };
    if arrival.repair && frame.len() > ip {
        repair(&mut frame[ip..]);
    }
    if let Some([odd, a, b, c]) = arrival.tag
        && frame.len() >= 12
    {
        let tag = if odd == 0 { [0x88, 0xa8, a, b] } else { [0x81, 0, a & 0xe0, b.wrapping_mul(c & 1) & 15] };
        frame.splice(12..12, tag);
    }
    if let Some(cut) = arrival.cut {
        frame.truncate(cut.into());
    }
    frame.resize((frame.len() + usize::from(arrival.more % 1500) / 4).min(1536), 0xee);
    if right && frame.len() > ip {
        repair_transport(&mut frame[ip..]);
    }
    frame
}
