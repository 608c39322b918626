//! Captures: pcap and pcapng files, plain or compressed, of Ethernet and other link layers, as a stream of Ethernet frames.
//!
//! ```no_run
//! # fn main() -> Result<(), hikyaku_capture::CaptureError> {
//! for packet in hikyaku_capture::Reader::open("lan.pcapng.gz")? {
//!     let packet = packet?;
//!     println!("{} bytes at {:?}", packet.bytes.len(), packet.time);
//! }
//! # Ok(()) }
//! ```

#![forbid(unsafe_code)]

mod error;
mod link_type;
mod packet;
mod pcapng;
mod read;
mod unpack;
mod window;
mod write;

pub use error::{CaptureError, Problem};
pub use packet::{Changes, Packet};
pub use read::Reader;
pub use unpack::Packing;
pub use write::{Precision, Writer};
