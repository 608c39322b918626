//! What can be wrong with a capture, and where.

use std::fmt;
use std::io;

use super::link_type::KNOWN;
use super::unpack::Packing;

/// A capture that cannot be read, or not to its end. Frames before it were good.
#[derive(Debug)]
pub struct CaptureError {
    /// The capture file's name.
    pub file: String,
    /// Bytes from the start of the capture, after unpacking, at which the bad record begins.
    pub offset: u64,
    /// What the capture was unpacked from.
    pub packing: Option<Packing>,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a capture.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be opened.
    #[error("cannot be opened: {0}")]
    Open(io::Error),
    /// It has no bytes.
    #[error("is empty; a capture starts with a header even when no frame is in it")]
    Empty,
    /// Neither of the formats known.
    #[error("is not a capture: it starts with {0}; give a pcap or pcapng file, plain or in gzip, zstd or lz4")]
    NotACapture(String),
    /// Frames of a link layer that is not known.
    #[error("has link type {0}, which is not read; {KNOWN} are")]
    LinkType(i32),
    /// A frame of a link layer that is not known, behind others that were read.
    #[error(
        "frame {frame} has link type {link_type}, which is not read ({KNOWN} are); the frames before it were; \
         `tshark -r FILE -Y eth -w NEW.pcapng` keeps those of Ethernet alone"
    )]
    Mixed {
        /// Its number: the first of the capture is 1.
        frame: u64,
        /// The link type of its interface.
        link_type: i32,
    },
    /// It ends inside a record.
    #[error("is cut off inside {0}; the frames before it were read")]
    Truncated(&'static str),
    /// A record contradicts itself.
    #[error("is damaged: {0}; the frames before it were read")]
    Damaged(String),
    /// The system or the unpacking failed.
    #[error("cannot be read on: {0}; the frames before it were read")]
    Read(#[from] io::Error),
    /// It cannot be created.
    #[error("cannot be created: {0}")]
    Create(io::Error),
    /// The system failed to write.
    #[error("cannot be written: {0}")]
    Write(io::Error),
}

impl CaptureError {
    /// A problem with the file as a whole.
    pub(super) fn new(file: &str, problem: Problem) -> Self {
        Self { file: file.to_string(), offset: 0, packing: None, problem }
    }

    /// Whether the file is the wrong one (exit 2) rather than the right one in bad shape (exit 1).
    pub fn is_wrong_file(&self) -> bool {
        matches!(
            self.problem,
            Problem::Open(_) | Problem::Empty | Problem::NotACapture(_) | Problem::LinkType(_) | Problem::Create(_)
        )
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.file)?;
        if matches!(
            self.problem,
            Problem::Mixed { .. } | Problem::Truncated(_) | Problem::Damaged(_) | Problem::Read(_)
        ) {
            write!(f, "at byte {}", self.offset)?;
            if let Some(packing) = self.packing {
                write!(f, " of the unpacked {packing}")?;
            }
            write!(f, ": ")?;
        }
        self.problem.fmt(f)
    }
}

impl std::error::Error for CaptureError {}
