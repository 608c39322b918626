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

#![forbid(unsafe_code)]

mod error;
mod packet;
mod pcapng;
mod read;
mod window;
mod write;

pub use error::{CaptureError, Problem};
pub use packet::Packet;
pub use read::Reader;
pub use write::{Precision, Writer};
