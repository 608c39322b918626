//! Frames that are more likely to be looked at than any bytes are, and any bytes. Part of the targets that feed a whole router:
//! they have `bytes`, `router` and `twins`.

use crate::bytes::Bytes;
use crate::router::{
    BR, CE, CLIENT, CLIENT_MAC, CLIENT6, GATEWAY_MAC, OTHER6, OUTSIDE, PEER6, ROUTER_MAC, ROUTER6, SERVER, WAN_MAC,
};
use crate::twins::{internet_sum, repair, repair_transport};

/// The longest frame that comes in.
pub const LONGEST: usize = 1536;

/// What kind of frame an input's byte asks for.
#[derive(Clone, Copy)]
enum Kind {
    /// A TCP segment with these flags.
    Segment,
    Tcp,
    Udp,
    /// A question to a name server, or its answer.
    Question,
    Icmp,
    Other,
    /// An outer fragment of a packet.
    Piece,
    /// An ICMPv6 error to us that quotes a packet.
    Error,
    /// A packet of native IPv6: extension headers, and what is behind them.
    Native,
    /// The bytes are the frame.
    Frame,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Segment,
        Self::Udp,
        Self::Icmp,
        Self::Piece,
        Self::Error,
        Self::Tcp,
        Self::Question,
        Self::Other,
        Self::Native,
        Self::Frame,
    ];
}

/// What is done to a frame once it is there: bits of a byte of the input.
mod how {
    /// Bytes of it are changed: so many, in two bits.
    pub const CHANGES: u8 = 3;
    /// The (inner) IPv4 header checksum is made right afterwards.
    pub const REPAIR: u8 = 4;
    pub const TAG: u8 = 8;
    pub const CUT: u8 = 0x10;
    /// It is longer than its bytes say: in the packet by up to 1479, or behind it by up to 374.
    pub const MORE: u8 = 0x20;
    /// Of an IPv4 packet: it comes from our outside address, or goes there.
    pub const HAIRPIN: u8 = 0x40;
    /// Of an IPv4 packet: it is a fragment.
    pub const FRAGMENT: u8 = 0x80;
}

/// What is known of a frame before it is made.
#[derive(Clone, Copy)]
struct Plan {
    /// Our router has a NAPT.
    napt: bool,
    /// It comes from the WAN.
    wan: bool,
    kind: Kind,
    how: u8,
    /// Bytes at the end of an IPv4 packet that the input need not have.
    longer: usize,
}

fn ethernet(wan: bool, out: &mut Vec<u8>) {
    let (dst, src, kind) = if wan { (WAN_MAC, GATEWAY_MAC, [0x86, 0xdd]) } else { (ROUTER_MAC, CLIENT_MAC, [8, 0]) };
    out.extend(dst);
    out.extend(src);
    out.extend(kind);
}

/// An IPv6 header, as if what follows were `length` bytes. The border router's to us.
fn outer(next: u8, length: usize, out: &mut Vec<u8>) {
    let [high, low] = (length as u16).to_be_bytes();
    out.extend([0x60, 0, 0, 0, high, low, next, 60]);
    out.extend(BR.octets());
    out.extend(CE.octets());
}

/// Writes `what` with an IPv6 header in front of it.
fn tunnelled(next: u8, out: &mut Vec<u8>, what: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    outer(next, 0, out);
    what(out);
    let length = (out.len() - begin - 40) as u16;
    out[begin + 4..begin + 6].copy_from_slice(&length.to_be_bytes());
}

/// An IPv4 packet that a host sends to the LAN link, or to be found in the tunnel.
fn ipv4(input: &mut Bytes, plan: Plan, out: &mut Vec<u8>) {
    let Plan { napt, wan, kind, how, longer } = plan;
    let begin = out.len();
    let inside = if wan && napt { OUTSIDE } else { CLIENT };
    let outside = if how & how::HAIRPIN != 0 { OUTSIDE } else { SERVER };
    let (src, dst) = if wan { (outside, inside) } else { (inside, outside) };
    let fragment = if how & how::FRAGMENT != 0 { u16::from_be_bytes(input.array()) & 0x7fff } else { 0 };
    // Few ports, so that sessions meet; an ordinary TTL is likely.
    let [ports, ttl] = input.array();
    let (ours, theirs) =
        ([0x9c, ports & 3], if matches!(kind, Kind::Question) { [0, 53] } else { [0x9c, ports >> 2 & 3] });
    let (from, to) = if wan { (theirs, ours) } else { (ours, theirs) };
    let protocol = match kind {
        Kind::Segment | Kind::Tcp => 6,
        Kind::Udp | Kind::Question => 17,
        Kind::Icmp => 1,
        _ => input.byte(),
    };
    let [f0, f1] = fragment.to_be_bytes();
    out.extend([0x45, 0, 0, 0, 0, 1, f0, f1, 64u8.wrapping_sub(ttl), protocol, 0, 0]);
    out.extend(src);
    out.extend(dst);
    match protocol {
        6 | 17 => out.extend([from[0], from[1], to[0], to[1]]),
        1 => out.extend([ports >> 4 & 11, input.byte(), 0, 0, 0x9c, ports & 3]),
        _ => {}
    }
    if matches!(kind, Kind::Segment) {
        let flags = input.byte();
        out.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50 | (flags & 0x80) >> 2, flags & 0x3f, 0xff, 0xff, 0, 0, 0, 0]);
    }
    out.extend(input.some());
    out.resize(out.len() + longer, 0xdd);
    let length = (out.len() - begin) as u16;
    out[begin + 2..begin + 4].copy_from_slice(&length.to_be_bytes());
    repair(&mut out[begin..]);
}

/// An ICMPv6 error about a packet of ours: as it left, from our end to the far one.
fn error(input: &mut Bytes, plan: Plan, out: &mut Vec<u8>) {
    let begin = out.len();
    let [kind, code, quoted] = input.array();
    out.extend([kind & 7, code, 0, 0]);
    out.extend(input.array::<4>());
    let quote = out.len();
    tunnelled(4, out, |out| {
        let begin = out.len();
        ipv4(input, Plan { wan: false, kind: Kind::ALL[usize::from(quoted % 3)], ..plan }, out);
        if plan.napt {
            out[begin + 12..begin + 16].copy_from_slice(&OUTSIDE);
            repair(&mut out[begin..]);
        }
    });
    out[quote + 8..quote + 24].copy_from_slice(&CE.octets());
    out[quote + 24..quote + 40].copy_from_slice(&BR.octets());
    let length = (out.len() - begin) as u16;
    let pseudo = [BR.octets(), CE.octets()].map(|end| internet_sum(&end));
    let sums = [pseudo[0], pseudo[1], length, 58, internet_sum(&out[begin..])].map(u16::to_be_bytes);
    let sum = !internet_sum(sums.as_flattened());
    out[begin + 2..begin + 4].copy_from_slice(&sum.to_be_bytes());
}

/// A packet of native IPv6 between few hosts and ports, so that sessions meet. `most`: errors quote no error that quotes.
fn native(input: &mut Bytes, wan: bool, most: u8, out: &mut Vec<u8>) {
    let begin = out.len();
    let [ends, what, ports, hop_limit] = input.array();
    let host = [CLIENT6, CLIENT6, OTHER6, OTHER6, CLIENT6, OTHER6, ROUTER6, CE][usize::from(ends & 7)];
    let peer = if ends & 8 == 0 { PEER6 } else { OTHER6 };
    let (src, dst) = if wan { (peer, host) } else { (host, peer) };
    let protocol = match what & 7 {
        0..=2 => 6,
        3 | 4 => 17,
        5 | 6 => 58,
        _ => input.byte(),
    };
    out.extend([0x60, 0, 0, 0, 0, 0, protocol, 64u8.wrapping_sub(hop_limit)]);
    out.extend(src.octets());
    out.extend(dst.octets());
    // Few kinds of extension header, those that a walk knows: each stands where the one before says what follows.
    let mut next_at = begin + 6;
    for _ in 0..what >> 3 & 3 {
        let [kind, length] = input.array();
        let kind = [0, 43, 44, 60, 60, 44, 51, kind][usize::from(kind & 7)];
        out[next_at] = kind;
        next_at = out.len();
        out.extend([protocol, length & 1]);
        out.extend(input.array::<6>());
    }
    match protocol {
        6 | 17 => out.extend([0x9c, ports & 3, 0x9c, ports >> 2 & 3]),
        58 => {
            let kind = [1, 2, 3, 4, 128, 129, 135, ports][usize::from(ports & 7)];
            out.extend([kind, 0, 0, 0, 0x9c, ports >> 3 & 3, 0, 0]);
            if what & 0x20 != 0 && most > 0 {
                // An error quotes what went the other way.
                native(input, !wan, most - 1, out);
            }
        }
        _ => {}
    }
    if protocol == 6 {
        let flags = input.byte();
        out.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x50 | (flags & 0x80) >> 2, flags & 0x3f, 0xff, 0xff, 0, 0, 0, 0]);
    }
    out.extend(input.some());
    let length = (out.len() - begin - 40) as u16;
    out[begin + 4..begin + 6].copy_from_slice(&length.to_be_bytes());
}

fn frame(input: &mut Bytes, plan: Plan, out: &mut Vec<u8>) {
    match plan.kind {
        Kind::Frame => out.extend(input.some()),
        Kind::Piece => {
            ethernet(true, out);
            tunnelled(44, out, |out| {
                let [id, offset] = input.array();
                let offset = u16::from(offset >> 1) << 3 | u16::from(offset & 1);
                out.extend([4, 0, (offset >> 8) as u8, offset as u8, 0, 0, 0, id & 3]);
                out.extend(input.some());
            });
        }
        Kind::Native => {
            let (dst, src) = if plan.wan { (WAN_MAC, GATEWAY_MAC) } else { (ROUTER_MAC, CLIENT_MAC) };
            out.extend(dst);
            out.extend(src);
            out.extend([0x86, 0xdd]);
            native(input, plan.wan, 1, out);
        }
        Kind::Error => {
            ethernet(true, out);
            tunnelled(58, out, |out| error(input, plan, out));
        }
        _ if plan.wan => {
            ethernet(true, out);
            tunnelled(4, out, |out| ipv4(input, plan, out));
        }
        _ => {
            ethernet(false, out);
            ipv4(input, plan, out);
        }
    }
}

/// Appends the next frame of an input to `out`. `napt`: the router has one; `right`: make its transport checksum right.
pub fn next(input: &mut Bytes, (napt, right): (bool, bool), wan: bool, out: &mut Vec<u8>) {
    let begin = out.len();
    let [kind, how] = input.array();
    let more = if how & how::MORE != 0 { usize::from(u16::from_be_bytes(input.array())) } else { 0 };
    let (longer, padding) = if more & 1 != 0 { (more / 2 % 1480, 0) } else { (0, more / 2 % 375) };
    frame(input, Plan { napt, wan, kind: Kind::ALL[usize::from(kind) % Kind::ALL.len()], how, longer }, out);
    for _ in 0..how & how::CHANGES {
        let [at, to] = input.array();
        if let Some(byte) = out.get_mut(begin + usize::from(at)) {
            *byte = to;
        }
    }
    let ip = begin + if wan { 54 } else { 14 };
    if how & how::REPAIR != 0 && out.len() > ip {
        repair(&mut out[ip..]);
    }
    if how & how::TAG != 0 && out.len() >= begin + 12 {
        let [odd, a, b, c] = input.array();
        let tag = if odd == 0 { [0x88, 0xa8, a, b] } else { [0x81, 0, a & 0xe0, b.wrapping_mul(c & 1) & 15] };
        out.splice(begin + 12..begin + 12, tag);
    }
    if how & how::CUT != 0 {
        out.truncate(begin + usize::from(input.byte()));
    }
    out.resize((out.len() + padding).min(begin + LONGEST), 0xee);
    if right && out.len() > ip {
        repair_transport(&mut out[ip..]);
    }
}
