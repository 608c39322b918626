//! Packets cut into pieces: the outer IPv6 packet on its way into the tunnel (RFC 8200 4.5,
//! RFC 2473 7.2), the inner IPv4 packet on its way to a link that is too small (RFC 791 3.2).

use ahash::RandomState;
use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::ipv6::FragmentHeader;
use hikyaku_net::packet::{Ipv4, ipv4};
use hikyaku_net::protocol;
use zerocopy::{FromBytes, IntoBytes};

use super::{Composed, IPV6_MIN_MTU, OUTER_LEN, Outer};
use crate::verdict::Reason;

/// The smallest MTU an IPv4 link may have (RFC 791 3.2).
pub const IPV4_MIN_MTU: u16 = 68;

/// Encapsulates `inner` in as few packets of at most `mtu` bytes as do (below 1280 it is taken for
/// 1280). Each has a fragment header, unless all fits one packet: atomic fragments are not made
/// (RFC 8021).
///
/// `inner` is at most 65535 bytes, what an IPv4 packet can be; what is longer is cut off there.
pub fn outer(header: Outer, inner: &[u8], mtu: u16, id: u32) -> OuterPieces<'_> {
    let inner = &inner[..inner.len().min(u16::MAX as usize)];
    OuterPieces { header, rest: Some(inner), offset: 0, mtu: mtu.max(IPV6_MIN_MTU).into(), id }
}

/// Length of a fragment header.
pub const FRAGMENT_LEN: usize = size_of::<FragmentHeader>();

/// Bytes of the inner packet in every piece but the last, of pieces of at most `mtu` bytes.
fn room(mtu: usize) -> usize {
    (mtu - OUTER_LEN - FRAGMENT_LEN) & !7
}

/// How much of an inner packet of `len` bytes that does not fit is in the first piece that [`outer`] makes, if the second
/// takes all the rest.
pub fn first_of_two(len: usize, mtu: u16) -> Option<usize> {
    let mtu = mtu.max(IPV6_MIN_MTU).into();
    let first = room(mtu);
    (first < len && OUTER_LEN + FRAGMENT_LEN + len - first <= mtu).then_some(first)
}

/// The packets that [`outer`] makes, in order.
#[derive(Clone, Debug)]
pub struct OuterPieces<'a> {
    header: Outer,
    rest: Option<&'a [u8]>,
    offset: u16,
    mtu: usize,
    id: u32,
}

impl<'a> Iterator for OuterPieces<'a> {
    type Item = Composed<'a>;

    fn next(&mut self) -> Option<Composed<'a>> {
        let rest = self.rest.take()?;
        if self.offset == 0 && OUTER_LEN + rest.len() <= self.mtu {
            let ip = self.header.header(rest.len() as u16, protocol::IPV4);
            return Some(Composed::new([ip.as_bytes(), &[]], rest));
        }
        let more = rest.len() > self.mtu - OUTER_LEN - FRAGMENT_LEN;
        let (payload, rest) = rest.split_at(if more { room(self.mtu) } else { rest.len() });
        let fragment = FragmentHeader {
            next_header: protocol::IPV4,
            reserved: 0,
            offset_more: (self.offset | more as u16).into(),
            id: self.id.into(),
        };
        if more {
            self.rest = Some(rest);
            self.offset += payload.len() as u16;
        }
        let ip = self.header.header((payload.len() + FRAGMENT_LEN) as u16, protocol::FRAGMENT);
        Some(Composed::new([ip.as_bytes(), fragment.as_bytes()], payload))
    }
}

/// Identifications for outer fragments: nobody can predict the next (RFC 7739), and none comes
/// again before 2^32 others, which a random number could not promise (RFC 8200 4.5).
///
/// A counter for each worker, in steps of their number, through a keyed permutation: a Feistel network of four
/// rounds with a keyed hash of AES rounds as its function, a fifth of what SipHash takes. Those of the same key never meet.
#[derive(Clone, Debug)]
pub struct FragmentIds {
    key: RandomState,
    next: u32,
    workers: u32,
}

impl FragmentIds {
    /// The generator of worker `worker` of `workers`; all of them share one key.
    pub fn new(key: RandomState, worker: u32, workers: u32) -> Self {
        Self { key, next: worker, workers: workers.max(1) }
    }

    /// The next identification, one that was not given out for long.
    pub fn next_id(&mut self) -> u32 {
        let n = self.next;
        self.next = n.wrapping_add(self.workers);
        let [mut left, mut right] = [(n >> 16) as u16, n as u16];
        for round in 0..4u8 {
            (left, right) = (right, left ^ self.key.hash_one(u32::from(round) << 16 | u32::from(right)) as u16);
        }
        u32::from(left) << 16 | u32::from(right)
    }
}

/// Cuts a checked IPv4 packet into pieces of at most `mtu` bytes. A packet that fits comes out as
/// one piece. `packet` may go on behind the packet.
///
/// # Errors
/// [`Reason::TooBig`] if it does not fit and has DF (the answer tells `mtu`), or if `mtu` is below
/// 68; what [`ipv4::check`] says about a broken one; [`Reason::Ipv4Length`] for options that
/// cannot be told apart.
pub fn inner(packet: &[u8], mtu: u16) -> Result<InnerPieces<'_>, Reason> {
    let checked = ipv4::check(packet)?;
    let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| Reason::Ipv4Truncated)?;
    if checked.len > mtu as usize && (ip.dont_fragment() || mtu < IPV4_MIN_MTU) {
        return Err(Reason::TooBig);
    }
    let (header, payload) = packet[..checked.len].split_at(checked.header_len);
    let options = &header[size_of::<Ipv4>()..];
    let (copied, copied_len) = copied_options(options)?;
    Ok(InnerPieces { ip, options, copied, copied_len, rest: Some(payload), at: 0, mtu: mtu.into() })
}

/// The options that every fragment carries: those with the copied flag (RFC 791 3.1), padded with
/// "end of options" to a multiple of four.
fn copied_options(options: &[u8]) -> Result<([u8; 40], usize), Reason> {
    const COPIED: u8 = 0x80;
    let (mut copied, mut len, mut at) = ([0; 40], 0, 0);
    while let Some(&kind) = options.get(at) {
        let size = match kind {
            0 => break,
            1 => 1,
            _ => *options.get(at + 1).filter(|&&size| size >= 2).ok_or(Reason::Ipv4Length)? as usize,
        };
        let option = options.get(at..at + size).ok_or(Reason::Ipv4Length)?;
        if kind & COPIED != 0 {
            copied[len..len + size].copy_from_slice(option);
            len += size;
        }
        at += size;
    }
    Ok((copied, len.next_multiple_of(4)))
}

/// The packets that [`inner`] makes, in order.
#[derive(Clone, Debug)]
pub struct InnerPieces<'a> {
    ip: Ipv4,
    options: &'a [u8],
    copied: [u8; 40],
    copied_len: usize,
    rest: Option<&'a [u8]>,
    /// How much of the payload is out.
    at: usize,
    mtu: usize,
}

impl<'a> Iterator for InnerPieces<'a> {
    type Item = Composed<'a>;

    fn next(&mut self) -> Option<Composed<'a>> {
        let rest = self.rest.take()?;
        let options = if self.at == 0 { self.options } else { &self.copied[..self.copied_len] };
        let header_len = size_of::<Ipv4>() + options.len();
        let more = header_len + rest.len() > self.mtu;
        // At least 8 with an MTU of 68 and a header of 60; a smaller MTU has been refused.
        let (payload, rest) = rest.split_at(if more { (self.mtu - header_len) & !7 } else { rest.len() });
        let mut ip = self.ip;
        ip.version_ihl = 0x40 | (header_len / 4) as u8;
        ip.total_len = ((header_len + payload.len()) as u16).into();
        // The packet may itself be a fragment: offsets go on from its own, and what was not the
        // end stays no end.
        let fragment = self.ip.fragment.get() + (self.at / 8) as u16;
        ip.fragment = (fragment | if more { Ipv4::MF } else { 0 }).into();
        ip.checksum = Checksum::ABSENT;
        ip.checksum = Sum::new().bytes(ip.as_bytes()).bytes(options).checksum();
        let piece = Composed::new([ip.as_bytes(), options], payload);
        if more {
            self.at += payload.len();
            self.rest = Some(rest);
        }
        Some(piece)
    }
}
