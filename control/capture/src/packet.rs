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

/// What of a capture is not as it was captured, for frames of Ethernet to be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Frames whose Ethernet header was made, as they had none: the packet is as it was.
    pub made: u64,
    /// Frames that are left out, as what they carry has no Ethernet type (PPP's negotiations, 802.2).
    pub left_out: u64,
}
