//! 802.1Q tags: a link may be one VLAN of its wire. The tag is the rings' own: it is gone when a frame
//! is taken and there again when one is sent, and nobody in between knows of it.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

/// The number of a VLAN, 1 to 4094 (IEEE 802.1Q, table 9-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vlan(NonZeroU16);

/// No number of a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a VLAN has a number from 1 to 4094")]
pub struct NotAVlan;

/// Bytes of a tag: behind the two addresses.
pub(super) const TAG: usize = 4;

/// Shortest Ethernet frame without FCS. What is shorter is padded before it gets its tag, because who
/// takes the tag out need not pad.
pub(super) const MIN_FRAME: usize = 60;

/// What a tag begins with.
const TPID: [u8; 2] = 0x8100u16.to_be_bytes();

impl Vlan {
    /// The VLAN of this number, if there is one.
    pub const fn new(id: u16) -> Option<Self> {
        match NonZeroU16::new(id) {
            Some(number) if id < 4095 => Some(Self(number)),
            _ => None,
        }
    }

    /// The VLAN's number, 1 to 4094 (IEEE 802.1Q 9.6).
    pub const fn id(self) -> u16 {
        self.0.get()
    }

    /// Its tag, with priority 0.
    pub(super) fn tag(self) -> [u8; TAG] {
        let [a, b] = self.id().to_be_bytes();
        [TPID[0], TPID[1], a, b]
    }
}

impl FromStr for Vlan {
    type Err = NotAVlan;

    fn from_str(text: &str) -> Result<Self, NotAVlan> {
        text.parse().ok().and_then(Self::new).ok_or(NotAVlan)
    }
}

impl fmt::Display for Vlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}

/// What a frame says of its VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tagged {
    /// There is no tag behind the addresses.
    No,
    /// This number, and perhaps a priority: 0 is a priority alone, of whatever VLAN the wire is.
    Id(u16),
    /// There is a tag, but the frame ends in it.
    Cut,
}

/// Reads a frame of 14 bytes at least.
pub(super) fn tagged(frame: &[u8]) -> Tagged {
    match frame[12..] {
        [a, b, high, low, _, _, ..] if [a, b] == TPID => Tagged::Id(u16::from_be_bytes([high, low]) & 0xfff),
        [a, b, ..] if [a, b] == TPID => Tagged::Cut,
        _ => Tagged::No,
    }
}

/// Two addresses and a tag become the tag and two addresses: the frame begins four bytes later.
pub(super) fn tag_to_front(head: &mut [u8; 16]) {
    *head = u128::from_le_bytes(*head).rotate_left(32).to_le_bytes();
}

/// The other way round.
pub(super) fn tag_from_front(head: &mut [u8; 16]) {
    *head = u128::from_le_bytes(*head).rotate_right(32).to_le_bytes();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ieee_802_1q_9_6_numbers() {
        for good in [1, 10, 4094] {
            assert_eq!(good.to_string().parse::<Vlan>().map(Vlan::id), Ok(good));
        }
        for bad in ["0", "4095", "4096", "65536", "-1", "", "x", "0x10"] {
            assert_eq!(bad.parse::<Vlan>(), Err(NotAVlan), "{bad}");
        }
    }

    #[test]
    fn a_tag_goes_to_the_front_and_back() {
        let frame: [u8; 16] = *b"dddddDsssssS\x81\0\0\x0a";
        let mut head = frame;
        tag_to_front(&mut head);
        assert_eq!(&head, b"\x81\0\0\x0adddddDsssssS");
        tag_from_front(&mut head);
        assert_eq!(head, frame);
    }

    #[test]
    fn tags_as_they_come() {
        let frame = |end: &[u8]| [&[0; 12], end].concat();
        assert_eq!(tagged(&frame(&[8, 0, 0, 10, 8, 0])), Tagged::No);
        assert_eq!(tagged(&frame(&[0x88, 0xa8, 0, 10, 8, 0])), Tagged::No);
        assert_eq!(tagged(&frame(&[0x81, 0, 0, 10, 8, 0])), Tagged::Id(10));
        assert_eq!(tagged(&frame(&[0x81, 0, 0xf0, 0, 8, 0])), Tagged::Id(0));
        for len in 14..18 {
            assert_eq!(tagged(&frame(&[0x81, 0, 0, 10, 8, 0])[..len]), Tagged::Cut);
        }
    }
}
