//! Link layers that captures have, and the Ethernet frame that stands for a frame of theirs.

/// What stands in front of packets in a capture.
///
/// Numbers and layouts: <https://www.tcpdump.org/linktypes.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LinkType {
    Ethernet,
    /// Nothing: the packet says by its version what it is.
    Ip,
    /// Linux cooked: what `-i any` and tunnel devices give.
    Cooked,
    /// Its second version.
    Cooked2,
    /// The address family, in four bytes of whichever order.
    Loopback,
    /// Protocol numbers of PPP, behind address and control or not (RFC 1661 2, RFC 1662 3.1).
    Ppp,
    /// A header of PPPoE, and PPP behind it (RFC 2516 4).
    Pppoe,
}

/// As text for messages: what [`LinkType::of`] knows.
pub(super) const KNOWN: &str =
    "Ethernet (1), Linux cooked (113, 276), raw IP (101, 228, 229), BSD loopback (0, 108) and PPP (9, 50, 51)";

/// The station that made headers come from, and the one that they go to: locally administered, and unicast.
const MADE: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0xfe], [2, 0, 0, 0, 0, 0xff]];
/// What is shorter is a length of 802.2, not a type (IEEE 802.3 3.2.6).
const FIRST_TYPE: u16 = 0x0600;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

impl LinkType {
    /// The one of this number; `None` if it is not read.
    pub fn of(number: i32) -> Option<Self> {
        Some(match number {
            1 => Self::Ethernet,
            // 12 and 14: as some systems numbered it in their files.
            12 | 14 | 101 | 228 | 229 => Self::Ip,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            0 | 108 => Self::Loopback,
            9 | 50 => Self::Ppp,
            51 => Self::Pppoe,
            _ => return None,
        })
    }

    /// The Ethernet frame with what this frame carries. `None`: that has no Ethernet type, or its header is cut.
    pub fn ethernet(self, frame: &[u8]) -> Option<Vec<u8>> {
        let mut from = MADE[0];
        let (ethertype, payload) = match self {
            Self::Ethernet => return Some(frame.to_vec()),
            Self::Ip => (by_version(frame)?, frame),
            Self::Cooked => {
                let ([_, _, kind0, kind1, _, len, address @ .., type0, type1], payload) =
                    frame.split_first_chunk::<16>()?;
                from = station([*kind0, *kind1], *len, address).unwrap_or(from);
                (u16::from_be_bytes([*type0, *type1]), payload)
            }
            Self::Cooked2 => {
                let ([type0, type1, _, _, _, _, _, _, kind0, kind1, _, len, address @ ..], payload) =
                    frame.split_first_chunk::<20>()?;
                from = station([*kind0, *kind1], *len, address).unwrap_or(from);
                (u16::from_be_bytes([*type0, *type1]), payload)
            }
            Self::Loopback => {
                let (_, packet) = frame.split_first_chunk::<4>()?;
                (by_version(packet)?, packet)
            }
            Self::Ppp => ppp(frame)?,
            Self::Pppoe => ppp(frame.get(6..)?)?,
        };
        let header = [&MADE[1][..], &from, &ethertype.to_be_bytes()];
        (ethertype >= FIRST_TYPE).then(|| [&header.concat(), payload].concat())
    }
}

fn by_version(packet: &[u8]) -> Option<u16> {
    match packet.first()? >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}

/// The sender's address, where the device was one of Ethernet (ARPHRD_ETHER, or the loopback).
fn station(kind: [u8; 2], len: u8, address: &[u8; 8]) -> Option<[u8; 6]> {
    let is_ethernet = matches!(u16::from_be_bytes(kind), 1 | 772) && len == 6;
    let address: [u8; 6] = *address.first_chunk()?;
    (is_ethernet && address[0] & 1 == 0 && address != [0; 6]).then_some(address)
}

/// Type and packet of a frame of PPP. Its protocol may be in one byte (RFC 1661 6.5).
fn ppp(frame: &[u8]) -> Option<(u16, &[u8])> {
    match frame.strip_prefix(&[0xff, 0x03]).unwrap_or(frame) {
        [0x00, 0x21, packet @ ..] | [0x21, packet @ ..] => Some((IPV4, packet)),
        [0x00, 0x57, packet @ ..] | [0x57, packet @ ..] => Some((IPV6, packet)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: [u8; 4] = [0x45, 1, 2, 3];

    #[test]
    fn each_layer_becomes_ethernet() {
        let made = |from: [u8; 6], ethertype: [u8; 2], payload: &[u8]| {
            Some([&[2, 0, 0, 0, 0, 0xff][..], &from, &ethertype, payload].concat())
        };
        let [ours, theirs] = [MADE[0], [2, 1, 2, 3, 4, 5]];
        let cooked = |kind: u8, len: u8, ethertype: [u8; 2]| {
            [&[0, 4, 0, kind, 0, len, 2, 1, 2, 3, 4, 5, 0, 0], &ethertype[..], &PACKET].concat()
        };
        let cooked2 = |kind: u8, ethertype: [u8; 2]| {
            [&ethertype[..], &[0, 0, 0, 0, 0, 2, 0, kind, 0, 6, 2, 1, 2, 3, 4, 5, 0, 0], &PACKET].concat()
        };
        let ipv4 = |from| made(from, [8, 0], &PACKET);
        for (number, frame, expected) in [
            (1, PACKET.to_vec(), Some(PACKET.to_vec())),
            (101, PACKET.to_vec(), ipv4(ours)),
            (228, PACKET.to_vec(), ipv4(ours)),
            (229, vec![0x60, 1], made(ours, [0x86, 0xdd], &[0x60, 1])),
            (101, vec![0x50], None),
            (101, vec![], None),
            (113, cooked(1, 6, [8, 0]), ipv4(theirs)),
            // A tunnel, whose addresses are no stations.
            (113, cooked(3, 4, [8, 0]), ipv4(ours)),
            (113, cooked(1, 6, [0x81, 0]), made(theirs, [0x81, 0], &PACKET)),
            // 802.2.
            (113, cooked(1, 6, [0, 4]), None),
            (113, vec![0; 15], None),
            (276, cooked2(1, [0x86, 0xdd]), made(theirs, [0x86, 0xdd], &PACKET)),
            (276, cooked2(3, [8, 0]), ipv4(ours)),
            (276, vec![0; 19], None),
            (0, [&[2, 0, 0, 0][..], &PACKET].concat(), ipv4(ours)),
            (108, [&[0, 0, 0, 2][..], &PACKET].concat(), ipv4(ours)),
            (0, vec![2, 0, 0], None),
            (9, [&[0, 0x21][..], &PACKET].concat(), ipv4(ours)),
            (9, [&[0xff, 3, 0, 0x57][..], &[0x60]].concat(), made(ours, [0x86, 0xdd], &[0x60])),
            (50, [&[0xff, 3, 0x21][..], &PACKET].concat(), ipv4(ours)),
            // LCP.
            (9, vec![0xc0, 0x21, 1], None),
            (51, [&[0x11, 0, 0, 9, 0, 6, 0, 0x21][..], &PACKET].concat(), ipv4(ours)),
            (51, vec![0x11, 0, 0, 9, 0], None),
        ] {
            assert_eq!(LinkType::of(number).unwrap().ethernet(&frame), expected, "{number} {frame:02x?}");
        }
        // 802.11 has no frames of IP as they are.
        assert_eq!([105, 127, 276 << 16].map(LinkType::of), [None; 3]);
    }
}
