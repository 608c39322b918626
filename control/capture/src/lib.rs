//! Captures: pcap and pcapng files, plain or in gzip, as a stream of frames.
//!
//! ```no_run
//! # fn main() -> Result<(), hikyaku_capture::CaptureError> {
//! for packet in hikyaku_capture::Reader::open("lan.pcapng.gz")? {
//!     let packet = packet?;
//!     println!("{} bytes at {:?}", packet.bytes.len(), packet.time);
//! }
//! # Ok(()) }
//! ```

mod error;
mod pcapng;
mod read;
mod window;
mod write;

use hikyaku_dataplane::time::Time;

pub use error::{CaptureError, Problem};
pub use read::Reader;
pub use write::{Precision, Writer};

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
const MAX_FRAME: u32 = 256 << 10;

/// The one link type that is played.
const ETHERNET: i32 = 1;
