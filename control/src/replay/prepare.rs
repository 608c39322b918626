//! What is done to frames of a capture before they are played, where it was asked for.

use clap::Args;
use hikyaku_net::Mac;
use hikyaku_net::checksum::Sum;

use super::player::untagged;

/// How frames are made what the router is to see.
#[derive(Args, Clone, Debug, Default)]
pub struct Preparation {
    /// Leave out frames from this Ethernet address: what the router of the capture itself sent,
    /// where a capture has both directions. May be given more than once.
    #[arg(long, value_name = "MAC", value_parser = hikyaku_config::mac)]
    pub skip_source: Vec<Mac>,

    /// Play what is inside VLAN tags (802.1Q, 802.1ad) and PPPoE sessions as if it came without
    /// them: a capture of another router's line, for instance.
    #[arg(long)]
    pub unwrap: bool,

    /// Make checksums of IPv4, TCP, UDP and ICMP right before frames are played: a host that
    /// captures what it sends itself often leaves them to its card.
    #[arg(long)]
    pub fix_checksums: bool,
}

impl Preparation {
    /// Whether a frame is left out.
    pub fn skips(&self, frame: &[u8]) -> bool {
        frame.get(6..12).is_some_and(|source| self.skip_source.iter().any(|mac| mac.0 == *source))
    }
}

/// Tags and headers that one frame may have around its packet, at most.
const MAX_WRAPPERS: usize = 4;
/// Where the type of an Ethernet frame is.
const TYPE: usize = 12;

/// Takes tags and a PPPoE header off a frame. Whether there were any.
pub(super) fn unwrap(frame: &mut Vec<u8>) -> bool {
    let before = frame.len();
    for _ in 0..MAX_WRAPPERS {
        match frame.get(TYPE..).unwrap_or(&[]) {
            [0x81, 0x00, _, _, ..] | [0x88, 0xa8, _, _, ..] | [0x91, 0x00, _, _, ..] => _ = frame.drain(TYPE..TYPE + 4),
            // RFC 2516 4: version and type 1, a session, the length of what follows.
            [0x88, 0x64, 0x11, 0, _, _, len0, len1, protocol @ ..] => {
                let ethertype = match protocol {
                    [0x00, 0x21, ..] => [0x08, 0x00],
                    [0x00, 0x57, ..] => [0x86, 0xdd],
                    _ => break,
                };
                // Behind it may be padding.
                frame.truncate(TYPE + 8 + usize::from(u16::from_be_bytes([*len0, *len1])).max(2));
                frame.drain(TYPE..TYPE + 8);
                frame[TYPE..TYPE + 2].copy_from_slice(&ethertype);
                break;
            }
            _ => break,
        }
    }
    frame.len() != before
}

/// Makes the checksums of a frame right, also of IPv4 inside IPv6. Whether any was wrong.
pub(super) fn fix_checksums(frame: &mut [u8]) -> bool {
    let at = frame.len() - untagged(frame.get(TYPE..).unwrap_or(&[])).len();
    match frame.get_mut(at..).unwrap_or(&mut []) {
        [0x08, 0x00, packet @ ..] => fix_ipv4(packet).unwrap_or(false),
        [0x86, 0xdd, packet @ ..] => fix_ipv6(packet).unwrap_or(false),
        _ => false,
    }
}

/// `None`: it is not whole.
fn fix_ipv4(packet: &mut [u8]) -> Option<bool> {
    let total = usize::from(u16::from_be_bytes(*packet.get(2..)?.first_chunk()?));
    let packet = packet.get_mut(..total)?;
    let (header, payload) = packet.split_at_mut_checked(usize::from(packet[0] & 0xf) * 4)?;
    if header.len() < 20 || header[0] >> 4 != 4 {
        return None;
    }
    let is_wrong = put(header, 10, Sum::new());
    let is_fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
    let is_payload_wrong = !is_fragment && fix_payload(header[9], &header[12..20], payload).unwrap_or(false);
    Some(is_wrong | is_payload_wrong)
}

fn fix_ipv6(packet: &mut [u8]) -> Option<bool> {
    let (header, rest) = packet.split_first_chunk_mut::<40>()?;
    let mut payload = rest.get_mut(..usize::from(u16::from_be_bytes([header[4], header[5]])))?;
    let mut next = header[6];
    // Hop-by-hop and destination options (RFC 8200 4.3, 4.6).
    while let 0 | 60 = next {
        let len = 8 + 8 * usize::from(*payload.get(1)?);
        next = payload[0];
        payload = payload.get_mut(len..)?;
    }
    match next {
        4 => fix_ipv4(payload),
        _ => fix_payload(next, &header[8..], payload),
    }
}

/// The checksum of a whole TCP segment, UDP datagram or ICMP message between these two addresses.
fn fix_payload(protocol: u8, addresses: &[u8], payload: &mut [u8]) -> Option<bool> {
    let (at, least) = match protocol {
        1 | 58 => (2, 8),
        6 => (16, 20),
        17 => (6, 8),
        _ => return None,
    };
    let payload = match protocol {
        17 => payload.get_mut(..usize::from(u16::from_be_bytes(*payload.get(4..)?.first_chunk()?)))?,
        _ => payload,
    };
    if payload.len() < least {
        return None;
    }
    // RFC 768: no checksum, which IPv4 allows.
    if protocol == 17 && addresses.len() == 8 && payload[at..at + 2] == [0, 0] {
        return Some(false);
    }
    let pseudo = Sum::new().bytes(addresses).number(protocol.into()).number(payload.len() as u16);
    let is_wrong = put(payload, at, if protocol == 1 { Sum::new() } else { pseudo });
    if protocol == 17 && payload[at..at + 2] == [0, 0] {
        payload[at..at + 2].fill(0xff);
    }
    Some(is_wrong)
}

/// Writes the checksum of `bytes` and of what was summed up before to its place there. Whether it was another.
fn put(bytes: &mut [u8], at: usize, before: Sum) -> bool {
    let was = [bytes[at], bytes[at + 1]];
    bytes[at..at + 2].fill(0);
    let is = before.bytes(bytes).checksum().0;
    bytes[at..at + 2].copy_from_slice(&is);
    // In one's complement zero has two forms.
    was != is && (was, is) != ([0xff; 2], [0; 2])
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, PacketHeaders};
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        let ethernet = || PacketBuilder::ethernet2([2; 6], [4; 6]);
        let v4 = ethernet().ipv4([192, 0, 2, 1], [198, 51, 100, 7], 64);
        let v6 = ethernet().ipv6([0x20; 16], [0x21; 16], 64);
        match kind {
            0 => v4.udp(53, 4242).write(&mut frame, payload),
            1 => v4.tcp(80, 4242, 7, 100).write(&mut frame, payload),
            2 => v4.icmpv4_echo_request(1, 2).write(&mut frame, payload),
            3 => v6.udp(53, 4242).write(&mut frame, payload),
            4 => v6.tcp(80, 4242, 7, 100).write(&mut frame, payload),
            _ => v6.icmpv6_echo_request(1, 2).write(&mut frame, payload),
        }
        .unwrap();
        frame
    }

    /// Where each kind has checksums.
    fn checksums(kind: u8) -> &'static [usize] {
        match kind {
            0 => &[24, 40],
            1 => &[24, 50],
            2 => &[24, 36],
            3 => &[60],
            4 => &[70],
            _ => &[56],
        }
    }

    /// The frame's packet in IPv6, behind a destination option as Linux's tunnel sends.
    fn tunnelled(frame: &[u8], option: bool) -> Vec<u8> {
        let packet = [if option { &[4, 0, 4, 1, 4, 1, 0, 0][..] } else { &[] }, &frame[14..]].concat();
        let outer = [&[0x60, 0, 0, 0][..], &(packet.len() as u16).to_be_bytes(), &[if option { 60 } else { 4 }, 64]];
        [&frame[..12], &[0x86, 0xdd], &outer.concat(), &[0x20; 32], &packet].concat()
    }

    proptest! {
        /// RFC 791, 768, 9293, 792, 4443: etherparse computes the checksums that come out.
        #[test]
        fn checksums_become_what_another_computes(
            kind in 0..6u8, tag: bool, way in 0..3u8, wrong in any::<[u8; 2]>(),
            payload in proptest::collection::vec(any::<u8>(), 0..100)
        ) {
            let right = frame(kind, &payload);
            let wrap = |frame: &[u8]| {
                let frame = if way > 0 && kind < 3 { tunnelled(frame, way == 2) } else { frame.to_vec() };
                if tag { [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat() } else { frame }
            };
            let mut spoiled = right.clone();
            for &at in checksums(kind) {
                // None at all is right for UDP.
                if (kind, wrong) != (0, [0, 0]) || at == 24 {
                    spoiled[at..at + 2].copy_from_slice(&wrong);
                }
            }
            let mut fixed = wrap(&spoiled);
            let is_wrong = fix_checksums(&mut fixed);
            prop_assert_eq!(&fixed, &wrap(&right));
            prop_assert_eq!(is_wrong, spoiled != right);
            prop_assert!(!fix_checksums(&mut fixed));
        }

        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..120), ethertype in 0..5usize) {
            let mut frame = bytes;
            if let Some(place) = frame.get_mut(12..14) {
                place.copy_from_slice(&[[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0x64], [0x88, 0xa8]][ethertype]);
            }
            fix_checksums(&mut frame);
            let before = frame.len();
            prop_assert_eq!(unwrap(&mut frame), frame.len() < before);
        }
    }

    #[test]
    fn what_is_cut_or_a_fragment_or_has_no_checksum_stays() {
        let whole = frame(1, &[7; 20]);
        let mut cut = whole[..whole.len() - 1].to_vec();
        cut[24] ^= 1;
        let before = cut.clone();
        assert!(!fix_checksums(&mut cut));
        assert_eq!(cut, before);

        let mut fragment = whole.clone();
        (fragment[20], fragment[50]) = (0x20, whole[50] ^ 1);
        assert!(fix_checksums(&mut fragment), "its header was changed");
        assert_eq!(fragment[50], whole[50] ^ 1);

        let mut none = frame(0, b"x");
        none[40..42].fill(0);
        assert!(!fix_checksums(&mut none));
    }

    #[test]
    fn rfc2516_tags_and_sessions_are_taken_off() {
        let plain = frame(0, b"question");
        let wrapped = |wrapper: &[u8]| [&plain[..12], wrapper, &plain[14..], &[0; 3]].concat();
        let len = (plain.len() - 14 + 2) as u8;
        let session = [0x88, 0x64, 0x11, 0, 0, 9, 0, len, 0, 0x21];
        let both = [&[0x88, 0xa8, 0, 1, 0x81, 0, 0, 2][..], &session].concat();
        for (mut frame, padding) in [(wrapped(&session), 0), (wrapped(&both), 0), (wrapped(&[0x81, 0, 0, 2, 8, 0]), 3)]
        {
            assert!(unwrap(&mut frame));
            assert_eq!(frame, [&plain[..], &vec![0; padding]].concat());
            assert!(PacketHeaders::from_ethernet_slice(&frame).is_ok());
        }
        // LCP, and discovery (RFC 2516 5).
        for wrapper in [[0x88, 0x64, 0x11, 0, 0, 9, 0, 6, 0xc0, 0x21], [0x88, 0x63, 0x11, 9, 0, 0, 0, 0, 0, 0x21]] {
            let mut frame = wrapped(&wrapper);
            assert!(!unwrap(&mut frame));
            assert_eq!(frame, wrapped(&wrapper));
        }
    }
}
