//! IPv4 in IPv6 (RFC 2473, RFC 6333): what fits, what is cut into pieces, what is put together
//! again, and which marks pass from one header to the other.
//!
//! Everything here works on byte slices and knows neither rings nor clocks nor configuration.

use hikyaku_net::Addr6;
use hikyaku_net::packet::Ipv6;

pub mod ecn;
pub mod fragment;
pub mod mss;
pub mod mtu;
pub mod reassembly;

/// What the outer header adds to an inner packet, bytes.
pub const OUTER_LEN: usize = size_of::<Ipv6>();

/// The smallest MTU an IPv6 link may have (RFC 8200 5).
pub const IPV6_MIN_MTU: u16 = 1280;

/// What an outer header says besides its length (RFC 2473 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// This end of the tunnel.
    pub src: Addr6,
    /// The far end of the tunnel.
    pub dst: Addr6,
    /// Traffic class, see [`ecn::ClassMode`].
    pub class: u8,
    /// Flow label, the low 20 bits.
    pub flow: u32,
    /// How many hops the packet may take.
    pub hop_limit: u8,
}

impl Outer {
    /// The header in front of `payload_len` bytes that begin with `next_header`.
    #[inline]
    pub fn header(&self, payload_len: u16, next_header: u8) -> Ipv6 {
        Ipv6 {
            version_class_flow: Ipv6::version_class_flow(self.class, self.flow),
            payload_len: payload_len.into(),
            next_header,
            hop_limit: self.hop_limit,
            src: self.src,
            dst: self.dst,
        }
    }
}

/// A packet of our own making, not yet in a buffer: headers made here, payload borrowed from the
/// packet that gave rise to it.
#[derive(Clone, Copy, Debug)]
pub struct Composed<'a> {
    header: [u8; MAX_HEADER],
    header_len: u8,
    payload: &'a [u8],
}

/// The longest header: IPv4 with all its options.
const MAX_HEADER: usize = 60;

impl<'a> Composed<'a> {
    /// `parts` one behind the other, at most 60 bytes together, then `payload`.
    pub(crate) fn new(parts: [&[u8]; 2], payload: &'a [u8]) -> Self {
        let mut header = [0; MAX_HEADER];
        let (first, second) = header.split_at_mut(parts[0].len());
        first.copy_from_slice(parts[0]);
        second[..parts[1].len()].copy_from_slice(parts[1]);
        Self { header, header_len: (parts[0].len() + parts[1].len()) as u8, payload }
    }

    fn header_len(&self) -> usize {
        self.header_len as usize
    }

    /// Bytes, from the first of the IP header to the last of the payload.
    #[allow(clippy::len_without_is_empty, reason = "it has at least a header")]
    pub fn len(&self) -> usize {
        self.header_len() + self.payload.len()
    }

    /// Writes the packet to the front of `to`.
    ///
    /// # Panics
    /// If `to` is shorter than [`Self::len`].
    pub fn write(&self, to: &mut [u8]) {
        let (header, rest) = to.split_at_mut(self.header_len());
        header.copy_from_slice(&self.header[..self.header_len()]);
        rest[..self.payload.len()].copy_from_slice(self.payload);
    }
}
