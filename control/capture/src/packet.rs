//! What a capture is made of.

use hikyaku_net::Time;

/// One Ethernet frame of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// When it was captured: nanoseconds since 1970.
    pub time: Time,
    /// The frame from its Ethernet header on, without FCS: what the capture kept of it.
    pub bytes: Vec<u8>,
    /// How many bytes the capture did not keep (snap length).
    pub missing: u32,
}

/// The largest frame that is believed. Anything above is a damaged length field, not a packet:
/// even a super-packet of segmentation offload is below 256 KiB (libpcap's own limit).
pub(crate) const MAX_FRAME: u32 = 256 << 10;

/// The one link type that is played.
pub(crate) const ETHERNET: i32 = 1;
