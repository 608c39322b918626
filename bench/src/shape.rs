//! Packets as lines are full of them although few tests are: each shape is made of the plain frame that it stands for.

use clap::ValueEnum;
use hikyaku_dataplane::napt::Direction;
use hikyaku_net::checksum::{Checksum, Sum};
use hikyaku_net::packet::Ipv4;
use hikyaku_net::{Addr4, Port, protocol};
use zerocopy::{FromBytes, IntoBytes};

use crate::traffic::{self, Flow};

/// In what shape packets come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PacketShape {
    /// One frame in, one out.
    #[default]
    Plain,
    /// Inbound, from a tunnel end that puts an encapsulation limit into each packet (RFC 2473 4.1.1), as Linux's does.
    EncapLimit,
    /// Outbound, of 1480 bytes as WireGuard's are: the tunnel takes 1460, so each leaves in two outer fragments
    /// (RFC 6333 5.3).
    FragmentOut,
    /// Inbound, of 1480 bytes that the far end has cut into 1460 and 40: two frames each, in and out.
    FragmentIn,
}

/// A destination options header with a limit of 4 and padding, in front of IPv4 (RFC 2473 4.1.1).
pub const LIMIT: [u8; 8] = [protocol::IPV4, 0, 4, 1, 4, 1, 1, 0];

/// The LAN's frame of the largest packet that the tunnel takes whole.
pub const WHOLE: usize = 14 + 1460;

/// The LAN's frame of a packet that is cut into two.
pub const CUT: usize = 14 + 1480;

/// Where the tunnel's inner packet begins.
const INNER: usize = 54;

impl PacketShape {
    /// Which way such packets go; `None`: either.
    pub fn way(self) -> Option<Direction> {
        match self {
            Self::Plain => None,
            Self::EncapLimit | Self::FragmentIn => Some(Direction::Inbound),
            Self::FragmentOut => Some(Direction::Outbound),
        }
    }

    /// Whether a packet is in two fragments, before the router or behind it.
    pub fn is_cut(self) -> bool {
        matches!(self, Self::FragmentOut | Self::FragmentIn)
    }

    /// Frames that a packet comes in.
    pub fn frames_in(self) -> u32 {
        if self == Self::FragmentIn { 2 } else { 1 }
    }

    /// Frames that a packet leaves in.
    pub fn frames_out(self) -> u32 {
        if self.is_cut() { 2 } else { 1 }
    }

    /// Bytes of the tunnel's frames in which a packet comes that has `len` bytes on the LAN, Ethernet header included.
    pub fn inbound_frames(self, len: usize) -> impl Iterator<Item = usize> {
        let [first, last] = match self {
            Self::Plain | Self::FragmentOut => [40 + len, 0],
            Self::EncapLimit => [40 + len + LIMIT.len(), 0],
            Self::FragmentIn => [40 + WHOLE, INNER + 20 + len - WHOLE],
        };
        [first, last].into_iter().filter(|&len| len > 0)
    }

    /// A frame of `flow` as a LAN host sends it.
    pub fn outbound(self, to: &mut [u8], flow: &Flow, flags: u8) {
        traffic::outbound(to, flow, flags);
        if self == Self::FragmentOut {
            set_fragment(&mut to[14..], 0, 0);
        }
    }

    /// A frame towards `dst` as the border router sends it: the `n`th of packet `id` of its flow.
    pub fn inbound(self, to: &mut [u8], flow: &Flow, dst: (Addr4, Port), flags: u8, (n, id): (usize, u16)) {
        match self {
            Self::Plain | Self::FragmentOut => traffic::inbound(to, flow, dst, flags),
            Self::EncapLimit => {
                traffic::inbound(&mut to[LIMIT.len()..], flow, dst, flags);
                to.copy_within(LIMIT.len()..LIMIT.len() + INNER, 0);
                to[INNER..][..LIMIT.len()].copy_from_slice(&LIMIT);
                let payload = (to.len() - INNER) as u16;
                to[18..20].copy_from_slice(&payload.to_be_bytes());
                to[20] = protocol::DESTINATION;
            }
            Self::FragmentIn => {
                traffic::inbound(to, flow, dst, flags);
                let offset = (WHOLE - 14 - 20) / 8;
                set_fragment(&mut to[INNER..], id, if n == 0 { Ipv4::MF } else { offset as u16 });
                if n == 0 && flow.protocol == protocol::UDP {
                    to[INNER + 24..][..2].copy_from_slice(&((CUT - 14 - 20) as u16).to_be_bytes());
                }
            }
        }
    }
}

/// Makes an IPv4 packet a fragment, or one that may be cut.
fn set_fragment(packet: &mut [u8], id: u16, fragment: u16) {
    let (ip, _) = Ipv4::mut_from_prefix(packet).expect("it begins with a header");
    (ip.id, ip.fragment, ip.checksum) = (id.into(), fragment.into(), Checksum::ABSENT);
    ip.checksum = Sum::new().bytes(ip.as_bytes()).checksum();
}
