//! Which frames are ordinary.
//!
//! An ordinary frame needs nothing but what the fast path of [`super::fast_outbound`] and
//! [`super::fast_inbound`] does. Classification only ever says "ordinary" or not; why a frame is not
//! ordinary is found by the slow path, which checks everything again from the start. So it
//! may be wrong in one direction only, and a property test holds it to that.
//!
//! Fields that are the same in every ordinary frame are compared all at once, under a mask: 5 to 8
//! clocks less than one by one (docs/performance.md).

use hikyaku_net::packet::{Ethernet, Ipv4, Ipv6, ethertype};
use hikyaku_net::{Mac, protocol};
use hikyaku_ring::HEAD;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::Translation;
use crate::snapshot::Link;

/// A frame from the LAN.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug)]
#[repr(C)]
pub struct Plain {
    /// The frame's Ethernet header.
    pub ethernet: Ethernet,
    /// The IPv4 header, without options.
    pub ip: Ipv4,
    /// What follows the IPv4 header: options, transport, payload.
    pub rest: [u8; HEAD - 34],
}

/// A frame of the tunnel, and what becomes one: outbound, the LAN's Ethernet header stood where
/// the last 14 bytes of `outer` are; inbound, the LAN's Ethernet header is written there.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug)]
#[repr(C)]
pub struct Tunnelled {
    /// Ethernet on the WAN link.
    pub ethernet: Ethernet,
    /// The outer IPv6 header.
    pub outer: Ipv6,
    /// The inner IPv4 header, without options.
    pub inner: Ipv4,
    /// Inner options, transport, payload.
    pub rest: [u8; HEAD - 74],
}

/// A frame of native IPv6.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug)]
#[repr(C)]
pub struct Native {
    /// The frame's Ethernet header.
    pub ethernet: Ethernet,
    /// The IPv6 header.
    pub ip: Ipv6,
    /// What follows it: extension headers, transport, payload.
    pub rest: [u8; HEAD - 54],
}

impl Tunnelled {
    /// The Ethernet header of the inner packet's frame, once the outer header is popped: over the
    /// end of the outer header.
    #[inline(always)]
    pub fn lan_ethernet(&mut self) -> &mut Ethernet {
        let bytes: &mut [u8; HEAD] = zerocopy::transmute_mut!(self);
        let place: &mut [u8; 14] = (&mut bytes[40..54]).try_into().expect("fourteen bytes");
        zerocopy::transmute_mut!(place)
    }
}

/// Where the inner packet of an ordinary frame of the tunnel begins.
pub const INNER: usize = 14 + 40;

/// Length of the destination options header that [`has_limit`] looks for.
pub const LIMIT_LEN: usize = 8;

/// Whether the inner packet comes [`LIMIT_LEN`] bytes later: behind a destination options header that is a tunnel
/// encapsulation limit (RFC 2473 4.1.1) and padding, as Linux puts it into every packet. The limit, whatever it is,
/// is for whoever encapsulates once more; we are the end.
#[inline(always)]
pub fn has_limit(head: &[u8; HEAD]) -> bool {
    // IPv4 follows, no further eight bytes; option 4 of one byte; one byte of padding (PadN, RFC 8200 4.2).
    const OPTIONS: [u64; 2] = [0x0400_0401_0001_0100, 0xffff_ffff_00ff_ffff];
    let options: &[u8; 8] = head[INNER..INNER + LIMIT_LEN].try_into().expect("eight bytes");
    let outer_protocol = head[20];
    outer_protocol == protocol::DESTINATION && (u64::from_be_bytes(*options) ^ OPTIONS[0]) & OPTIONS[1] == 0
}

/// The inner packet of a frame of the tunnel that begins at `AT`: its header, and the first four bytes behind that.
#[inline(always)]
pub fn inner<const AT: usize>(head: &[u8; HEAD]) -> (&Ipv4, &[u8; 4]) {
    let header: &[u8; 20] = head[AT..AT + 20].try_into().expect("twenty bytes");
    (zerocopy::transmute_ref!(header), head[AT + 20..AT + 24].try_into().expect("four bytes"))
}

/// Sixteen bytes of which some are known.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    want: [u64; 2],
    mask: [u64; 2],
}

impl Pattern {
    /// The first 16 bytes of frames that are for us: destination, ethertype and what follows.
    pub fn frame(link: &Link, ethertype: u16, [first, first_mask]: [u8; 2], [second, second_mask]: [u8; 2]) -> Self {
        let (mut want, mut mask) = ([0; 16], [0; 16]);
        if link.any_station {
            mask[0] = 1; // unicast
        } else {
            want[..6].copy_from_slice(&link.mac.0);
            mask[..6].fill(0xff);
        }
        mask[6] |= 1; // no group is a source
        want[12..14].copy_from_slice(&ethertype.to_be_bytes());
        mask[12..14].fill(0xff);
        (want[14], mask[14]) = (first, first_mask);
        (want[15], mask[15]) = (second, second_mask);
        let words = |bytes: [u8; 16]| -> [u64; 2] { zerocopy::transmute!(bytes) };
        Self { want: words(want), mask: words(mask) }
    }

    /// Matches IPv4 packets without options.
    pub fn ipv4(link: &Link) -> Self {
        Self::frame(link, ethertype::IPV4, [0x45, 0xff], [0, 0])
    }

    /// IPv6 whose ECN field is not CE or ECT(1): nothing to do on decapsulation (RFC 6040 4.2).
    pub fn ipv6(link: &Link) -> Self {
        Self::frame(link, ethertype::IPV6, [0x60, 0xf0], [0, 0x10])
    }

    /// IPv6, whatever its traffic class.
    pub fn native6(link: &Link) -> Self {
        Self::frame(link, ethertype::IPV6, [0x60, 0xf0], [0, 0])
    }

    /// Whether a frame begins with this.
    #[inline(always)]
    pub fn fits(&self, head: &[u8; HEAD]) -> bool {
        let first: &[u8; 16] = head.first_chunk().expect("a head is longer than 16");
        let [a, b]: [u64; 2] = zerocopy::transmute!(*first);
        (a ^ self.want[0]) & self.mask[0] | (b ^ self.want[1]) & self.mask[1] == 0
    }
}

/// The shortest ordinary packet of a protocol: an IPv4 header and what the fast path looks at behind it. With
/// NAPT nothing but TCP and UDP is ordinary, however long.
#[inline(always)]
pub fn least<'a, N: Translation<'a>>(protocol: u8) -> usize {
    const fn table(others: u16) -> [u16; 256] {
        let mut table = [others; 256];
        table[protocol::TCP as usize] = 20 + 20;
        table[protocol::UDP as usize] = 20 + 8;
        table
    }
    static WITH_NAPT: [u16; 256] = table(u16::MAX);
    static WITHOUT: [u16; 256] = table(20 + 8);
    let table = if N::NAPT { &WITH_NAPT } else { &WITHOUT };
    table[protocol as usize] as usize
}

/// Whether a link takes frames to `dst`; the slow twin of [`Pattern::frame`].
pub fn accepts(link: &Link, dst: Mac) -> bool {
    dst == link.mac || link.any_station && !dst.is_group()
}
