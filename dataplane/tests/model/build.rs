//! Frames from symbols, written byte by byte: half of them could not be said with a packet builder.

use super::bytes::*;
use super::history::*;
use super::napt::{End, Flow};
use super::path::Model;
use crate::common::{
    BR, CE, CLIENT, CLIENT_MAC, GATEWAY_MAC, OTHER_CLIENT, OTHER_CLIENT_MAC, OUTSIDE, ROUTER, ROUTER_MAC, WAN_MAC,
    bytes,
};

const PORTS: [u16; 6] = [40000, 40001, 40002, 1000, 5000, 0];
const PEERS: [Addr; 3] = [[203, 0, 113, 80], [198, 51, 100, 7], [203, 0, 113, 81]];
const PEER_PORTS: [u16; 4] = [443, 53, 80, 40000];
/// Every kind of address that should not be there, and some that are only strange.
const ODD: [Addr; 16] = [
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [127, 0, 0, 1],
    [169, 254, 1, 1],
    [224, 0, 0, 1],
    [239, 1, 2, 3],
    [240, 0, 0, 1],
    [255, 255, 255, 255],
    [192, 168, 1, 0],
    [192, 168, 1, 255],
    ROUTER,
    CLIENT,
    [192, 168, 2, 9],
    OUTSIDE,
    [10, 0, 0, 1],
    [192, 0, 0, 2],
];

/// A LAN host: two with neighbour entries, one without, one more.
fn host(n: u8) -> Addr {
    [CLIENT, OTHER_CLIENT, [192, 168, 1, 12], [192, 168, 1, 200]][usize::from(n) % 4]
}

/// An address of the line in the tunnel, and others.
pub fn far(n: u8) -> std::net::Ipv6Addr {
    let mut address = BR.octets();
    address[14] = n;
    address.into()
}

pub fn near(n: u8) -> std::net::Ipv6Addr {
    let mut address = CE.octets();
    address[13] = n;
    address.into()
}

impl Model {
    fn session(&self, n: u8) -> Option<(Flow, u16)> {
        let all = &self.napt.sessions;
        let nth = all.iter().nth(usize::from(n) % all.len().max(1));
        nth.map(|(flow, session)| (*flow, session.outside))
    }

    /// Protocol, if it is a session's, source and destination of a packet, seen from one side.
    fn ends(&self, ends: Ends, from_lan: bool) -> (Option<u8>, End, End) {
        let outside = |port: u16| if self.line.napt { (OUTSIDE, port) } else { (CLIENT, port) };
        match ends {
            Ends::Session(n) => match self.session(n) {
                Some(((protocol, inside, peer), _)) if from_lan => (Some(protocol), inside, peer),
                Some(((protocol, _, peer), port)) => (Some(protocol), peer, (OUTSIDE, port)),
                None => self.ends(Ends::New(n % 4, n / 4 % 6, n % 3, n / 8 % 4), from_lan),
            },
            Ends::Stranger(n, peer) => {
                let Some(((protocol, ..), port)) = self.session(n) else {
                    return self.ends(Ends::Session(n), from_lan);
                };
                let peer = (PEERS[usize::from(peer) % 3], 7000 + u16::from(peer));
                (Some(protocol), if from_lan { (host(peer.1 as u8), peer.1) } else { peer }, (OUTSIDE, port))
            }
            Ends::New(h, p, q, r) => {
                let (inside, peer) =
                    ((host(h), PORTS[usize::from(p)]), (PEERS[usize::from(q)], PEER_PORTS[usize::from(r)]));
                let towards = if self.line.napt { outside(inside.1) } else { inside };
                if from_lan { (None, inside, peer) } else { (None, peer, towards) }
            }
            Ends::OutsidePort(h, p, port) => {
                let from = if from_lan { host(h) } else { PEERS[usize::from(h) % 3] };
                let forwards = &self.line.forwards;
                let forward = forwards.get(usize::from(port) % forwards.len().max(1));
                let port = forward.map_or(port, |f| f.outside.0);
                (forward.map(|f| f.protocol), (from, PORTS[usize::from(p)]), outside(port))
            }
            Ends::Odd(n, source) => {
                // To all, and to the port of DHCP servers, among them.
                let port = if n % 2 == 1 { 67 } else { 40000 };
                let (odd, (_, from, to)) = ((ODD[usize::from(n)], port), self.ends(Ends::New(0, 0, 0, 0), from_lan));
                if source { (None, odd, to) } else { (None, from, odd) }
            }
        }
    }

    /// An IPv4 packet, or its pieces.
    fn packets(&self, ends: Ends, carries: Carries, ip: Ip, cut: Option<Cut>, from_lan: bool) -> Vec<Vec<u8>> {
        let (protocol, from, to) = self.ends(ends, from_lan);
        let kind = match (protocol, carries.kind) {
            (_, Kind::Error(kind, code, quoted)) => Kind::Error(kind, code, quoted),
            (Some(17), _) => Kind::Udp,
            (Some(6), _) => Kind::Tcp,
            (Some(1), Kind::Echo) => Kind::Echo,
            (Some(1), _) => Kind::EchoReply,
            (Some(other), _) => Kind::Other(other),
            (_, kind) => kind,
        };
        let (protocol, mut transport) = match kind {
            Kind::Udp => (17, udp(from.1, to.1, &carries)),
            Kind::Tcp => (6, tcp(from.1, to.1, &carries)),
            Kind::Echo | Kind::EchoReply => (1, echo(kind, if from_lan { from.1 } else { to.1 }, carries.len)),
            Kind::Error(kind, code, quoted) => (1, self.error(kind, code, quoted, (from, to), from_lan)),
            Kind::Other(protocol) => (protocol, bytes(carries.len)),
        };
        let sum = match protocol {
            17 | 33 | 136 => Some((6, true)),
            6 => Some((16, true)),
            1 => Some((2, false)),
            _ => None,
        };
        if let Some((at, pseudo)) = sum.filter(|(at, _)| transport.len() >= at + 2) {
            put(&mut transport, at, 0);
            let len = transport.len() as u16;
            let pseudo =
                if pseudo { [&from.0[..], &to.0, &[0, protocol], &len.to_be_bytes()].concat() } else { Vec::new() };
            let right = checksum(&[&pseudo, &transport]);
            let right = if matches!(protocol, 17 | 136) && right == 0 { 0xffff } else { right };
            let told = match carries.sum {
                Sum::Right => right,
                Sum::Wrong => right ^ 0x1234,
                Sum::None => 0,
            };
            put(&mut transport, at, told);
        }
        let packet = datagram(from.0, to.0, protocol, ip, &transport);
        match cut {
            None => vec![packet],
            Some(cut) => shuffled(cut4(&packet, cut.size.into()), cut),
        }
    }

    /// An ICMP error about what went the other way.
    fn error(&self, kind: u8, code: u8, quoted: u8, (from, to): (End, End), from_lan: bool) -> Vec<u8> {
        let session = self.session(quoted).map(|((protocol, inside, peer), port)| {
            if from_lan { (protocol, peer, inside) } else { (protocol, (OUTSIDE, port), peer) }
        });
        let (protocol, src, dst) = session.unwrap_or((17, to, from));
        let mut transport = match protocol {
            1 => echo(Kind::Echo, src.1.max(dst.1), 4),
            _ => [&src.1.to_be_bytes()[..], &dst.1.to_be_bytes(), &bytes(usize::from(quoted))].concat(),
        };
        transport.resize(transport.len().max(8 + usize::from(quoted % 3) * 6), 1);
        let ip = Ip { ttl: 7, df: false, tos: 0, id: 1, options: quoted % 16 / 14 };
        let about = datagram(src.0, dst.0, protocol, ip, &transport);
        [&[kind, code, 0, 0, 0, if quoted == 5 { 9 } else { 0 }, 5, 200][..], &about].concat()
    }

    /// One burst from the LAN.
    pub fn lan_frames(&self, sent: &LanSent) -> Vec<Vec<u8>> {
        let packets = self.packets(sent.ends, sent.carries, sent.ip, sent.cut, true);
        let frames = packets.into_iter().map(|packet| {
            let station = if packet[12..16] == OTHER_CLIENT { OTHER_CLIENT_MAC } else { CLIENT_MAC };
            let frame = match sent.ethernet {
                // Neighbour discovery and the like; the ends of what is no tunnel here.
                8.. => {
                    let to = ["fe80::1", "ff02::1", "ff05::1", "2001:db8::1"][usize::from(packet[5] + packet[8]) % 4];
                    let to: std::net::Ipv6Addr = to.parse().unwrap();
                    let next = [58, 17, 6, 4, 59][packet.len() % 5];
                    let packet = ipv6(0, next, &[near(3).octets(), to.octets()].concat(), &packet);
                    ethernet(ROUTER_MAC, station, 0x86dd, 0, &packet)
                }
                odd => ethernet(ROUTER_MAC, station, 0x0800, odd, &packet),
            };
            spoiled(frame, sent.spoil, 14)
        });
        frames.collect()
    }

    /// One burst from the WAN. `left`: what went into the tunnel before.
    pub fn wan_frames(&self, sent: &WanSent, left: &[Vec<u8>]) -> Vec<Vec<u8>> {
        match sent {
            WanSent::Garbage(bytes) => {
                let mut frame = [&WAN_MAC[..], &GATEWAY_MAC, bytes].concat();
                frame.truncate(14.max(frame.len()));
                vec![frame]
            }
            WanSent::Inner { ends, carries, ip, cut, outer, spoil } => {
                let packets = self.packets(*ends, *carries, *ip, *cut, false);
                packets.into_iter().flat_map(|packet| self.tunnelled(&packet, outer, *spoil)).collect()
            }
            &WanSent::Error { kind, code, word, about, from, quoted, spoil } => {
                let quote = left.get(usize::from(about) % left.len().max(1)).map_or(vec![0; 60], |f| f[14..].to_vec());
                let quote = &quote[..quote.len().min(usize::from(quoted))];
                let mut message = [&[kind, code, 0, 0][..], &word.to_be_bytes(), quote].concat();
                let from = [self.line.remote, far(9), near(9), "ff02::1".parse().unwrap()][usize::from(from) % 4];
                let ends = [from.octets(), self.line.local.octets()].concat();
                let pseudo = [&ends[..], &(message.len() as u32).to_be_bytes(), &[0, 0, 0, 58]].concat();
                let sum = checksum(&[&pseudo, &message]);
                put(&mut message, 2, sum);
                let packet = ipv6(0, 58, &ends, &message);
                vec![spoiled(ethernet(WAN_MAC, GATEWAY_MAC, 0x86dd, 0, &packet), spoil, 54)]
            }
        }
    }

    fn tunnelled(&self, inner: &[u8], outer: &Outer, spoil: Option<Spoil>) -> Vec<Vec<u8>> {
        let from = [self.line.remote, far(7), near(1), BR][usize::from(outer.from) % 4];
        let to = [self.line.local, near(8), "fe80::1".parse().unwrap(), "ff02::1".parse().unwrap()]
            [usize::from(outer.to) % 4];
        let ends = [from.octets(), to.octets()].concat();
        let id = u32::from(outer.id) << 8;
        let options = [4, 0, 4, 1, 4, 1, 1, 0];
        let (next, payload) = match outer.extensions {
            0 => (4, inner.to_vec()),
            1 => (60, [&options[..], inner].concat()),
            2 => (0, [&options[..], inner].concat()),
            3 => (44, [&[4, 0, 0, 0, 1, 2, 3, 4][..], inner].concat()),
            4 => (43, [&[4, 0, 0, outer.class & 1, 0, 0, 0, 0][..], inner].concat()),
            5 => (60, [&[4, 0, 0x80, 1, 4, 1, 1, 0][..], inner].concat()),
            6 => (17, inner.to_vec()),
            _ => (44, [&[4, 0, 0, 6, 1, 2, 3, 4][..], inner].concat()),
        };
        let frame = |packet: &[u8]| spoiled(ethernet(WAN_MAC, GATEWAY_MAC, 0x86dd, outer.ethernet, packet), spoil, 54);
        let Some(cut) = outer.cut else { return vec![frame(&ipv6(outer.class, next, &ends, &payload))] };
        let size = usize::from(cut.size);
        let pieces = payload.chunks(size).enumerate().map(|(i, piece)| {
            let mut header = [next, 0, 0, 0, 0, 0, 0, 0];
            let more = u16::from((i + 1) * size < payload.len());
            put(&mut header, 2, (i * size) as u16 | more);
            header[4..].copy_from_slice(&id.to_be_bytes());
            frame(&ipv6(outer.class, 44, &ends, &[&header[..], piece].concat()))
        });
        shuffled(pieces.collect(), cut)
    }
}

fn datagram(src: Addr, dst: Addr, protocol: u8, ip: Ip, payload: &[u8]) -> Vec<u8> {
    let options: &[u8] = match ip.options {
        0 => &[],
        1 => &[1, 1, 1, 1],
        2 => &[7, 7, 4, 0, 0, 0, 0, 0],
        3 => &[0x94, 4, 0, 0],
        4 => &[131, 3, 4, 0],
        5 => &[137, 3, 4, 0],
        6 => &[68, 200, 5, 0],
        _ => &[0x82, 3, 0, 7, 3, 0, 0, 1],
    };
    let mut packet = vec![0x45 + (options.len() / 4) as u8, ip.tos, 0, 0, 0, 0, 0, 0, ip.ttl, protocol, 0, 0];
    packet[6] = if ip.df { 0x40 } else { 0 };
    put(&mut packet, 4, 0x4200 + u16::from(ip.id));
    packet.extend([&src[..], &dst, options, payload].concat());
    let len = packet.len() as u16;
    put(&mut packet, 2, len);
    seal(&mut packet);
    packet
}

fn udp(from: u16, to: u16, carries: &Carries) -> Vec<u8> {
    let len = (8 + carries.len as u16).wrapping_add_signed(carries.wrong_len.into());
    let header = [from, to, len, 0].map(u16::to_be_bytes).concat();
    [header, bytes(carries.len)].concat()
}

fn tcp(from: u16, to: u16, carries: &Carries) -> Vec<u8> {
    let options: &[u8] = match carries.options {
        0 => &[],
        1 => &[2, 4, 5, 180],
        2 => &[1, 2, 4, 5, 180, 0, 0, 0],
        3 => &[1, 1, 2, 4, 2, 24, 1, 1, 2, 4, 255, 255],
        4 => &[3, 3, 7, 2, 4, 5, 180, 0],
        5 => &[2, 3, 5, 180],
        6 => &[5, 40, 2, 4],
        _ => &[2, 4, 255, 255, 3, 0, 2, 4, 255, 255, 0, 0],
    };
    let words = (5 + (options.len() / 4) as u8).wrapping_add_signed(carries.wrong_len) & 15;
    let mut header = [from.to_be_bytes(), to.to_be_bytes()].concat();
    header.extend([16, 0, 0, 1, 0, 0, 0, 77, words << 4, carries.flags, 32, 0, 0, 0, 0, 0]);
    [&header[..], options, &bytes(carries.len)].concat()
}

fn echo(kind: Kind, id: u16, len: usize) -> Vec<u8> {
    // Some are timestamps.
    let kind = match (kind, len % 5) {
        (Kind::Echo, 4) => 13,
        (Kind::Echo, _) => 8,
        (_, 4) => 14,
        _ => 0,
    };
    [&[kind, 0, 0, 0][..], &id.to_be_bytes(), &[0, 1], &bytes(len)].concat()
}

fn ipv6(class: u8, next: u8, ends: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60 | class >> 4, class << 4 | 1, 0x23, 0x45];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([next, 57]);
    [&packet[..], ends, payload].concat()
}

/// In most frames all is as it should be.
fn ethernet(dst: [u8; 6], src: [u8; 6], ethertype: u16, odd: u8, packet: &[u8]) -> Vec<u8> {
    let (dst, src, ethertype) = match odd {
        1 => ([2, 9, 9, 9, 9, 9], src, ethertype),
        2 => ([255; 6], src, ethertype),
        3 => ([0x33, 0x33, 0, 0, 0, 1], src, ethertype),
        4 => (dst, [1, 0, 0, 0, 0, 9], ethertype),
        // A tag of no VLAN, of which nothing is left but that; of one or another; a provider's.
        5 if packet.len().is_multiple_of(3) => {
            let frame = ethernet(dst, src, ethertype, 0, packet);
            return [&frame[..12], &[0x81, 0, 0xa0, 0], &frame[12..]].concat();
        }
        5 if packet.len() % 3 == 1 => (dst, src, 0x88a8),
        5 => (dst, src, 0x8100),
        6 => (dst, src, 0x0806),
        7 => (dst, src, 0x1234),
        _ => (dst, src, ethertype),
    };
    [&dst[..], &src, &ethertype.to_be_bytes(), packet].concat()
}

/// RFC 791 3.2 again; also of what has DF.
fn cut4(packet: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (header, payload) = packet.split_at(header_len(packet));
    let pieces = payload.chunks(size).enumerate().map(|(i, part)| {
        let mut piece = [header, part].concat();
        let more = if (i + 1) * size < payload.len() { 0x2000 } else { 0 };
        let fragment = word(packet, 6) | (i * size / 8) as u16 | more;
        put(&mut piece, 6, fragment);
        let len = piece.len() as u16;
        put(&mut piece, 2, len);
        seal(&mut piece);
        piece
    });
    pieces.collect()
}

fn shuffled(mut pieces: Vec<Vec<u8>>, cut: Cut) -> Vec<Vec<u8>> {
    pieces.truncate(24);
    let n = pieces.len().max(1);
    pieces.rotate_left(usize::from(cut.first) % n);
    if let Some(piece) = cut.twice.and_then(|i| pieces.get(usize::from(i)).cloned()) {
        pieces.push(piece);
    }
    if let Some(lost) = cut.lost.map(usize::from).filter(|&i| i < pieces.len()) {
        pieces.remove(lost);
    }
    pieces
}

fn spoiled(mut frame: Vec<u8>, spoil: Option<Spoil>, ip_at: usize) -> Vec<u8> {
    let len = frame.len();
    match spoil {
        None => {}
        Some(Spoil::Flip(at, bits)) => frame[usize::from(at) % len] ^= bits,
        Some(Spoil::Mended(at, to)) => {
            frame[usize::from(at) % len] = to;
            let ip = &mut frame[ip_at.min(len)..];
            if ip.len() >= 20 && (20..=ip.len()).contains(&header_len(ip)) {
                seal(ip);
            }
        }
        Some(Spoil::Short(by)) => frame.truncate(len.saturating_sub(by.into()).max(1)),
        Some(Spoil::Long(by)) => frame.extend(vec![0xee; by.into()]),
    }
    frame
}
