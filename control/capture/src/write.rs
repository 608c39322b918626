//! Writing: classic pcap, in gzip when the name ends so.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use hikyaku_net::Time;
use pcap_parser::{LegacyPcapBlock, PcapHeader, ToVec};

use super::error::{CaptureError, Problem};
use super::packet::MAX_FRAME;

/// How fine the timestamps of a written capture are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Microseconds: what every tool reads.
    Micro,
    /// Nanoseconds: what this program reads comes out unchanged.
    #[default]
    Nano,
}

/// A pcap file being written.
pub struct Writer {
    to: Box<dyn Sink>,
    file: String,
    precision: Precision,
}

/// A stream with an end to write.
trait Sink: Write + Send {
    fn finish(self: Box<Self>) -> io::Result<()>;
}

struct Plain<W: Write>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Sink for Plain<W> {
    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send> Sink for GzEncoder<W> {
    fn finish(self: Box<Self>) -> io::Result<()> {
        GzEncoder::finish(*self)?.flush()
    }
}

impl Writer {
    /// Creates or replaces a file; packed when its name ends in `.gz`; `-` is the standard output.
    pub fn create(path: impl AsRef<Path>, precision: Precision) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        if file == "-" {
            return Self::new("standard output", io::stdout(), precision);
        }
        let to = match File::create(path) {
            Ok(to) => BufWriter::new(to),
            Err(e) => return Err(CaptureError::new(&file, Problem::Create(e))),
        };
        if path.extension().is_some_and(|e| e == "gz") {
            Self::start(&file, Box::new(GzEncoder::new(to, Compression::fast())), precision)
        } else {
            Self::start(&file, Box::new(Plain(to)), precision)
        }
    }

    /// Writes to anything; `name` is for messages.
    pub fn new(name: &str, to: impl Write + Send + 'static, precision: Precision) -> Result<Self, CaptureError> {
        Self::start(name, Box::new(Plain(to)), precision)
    }

    fn start(name: &str, to: Box<dyn Sink>, precision: Precision) -> Result<Self, CaptureError> {
        let mut writer = Self { to, file: name.to_string(), precision };
        let magic_number = if precision == Precision::Nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let mut header = PcapHeader { magic_number, snaplen: MAX_FRAME, ..PcapHeader::new() };
        writer.put(header.to_vec())?;
        Ok(writer)
    }

    /// Adds a frame that went by at `time`.
    pub fn write(&mut self, time: Time, frame: &[u8]) -> Result<(), CaptureError> {
        let fraction = (time.0 % 1_000_000_000) as u32;
        let mut block = LegacyPcapBlock {
            ts_sec: (time.0 / 1_000_000_000) as u32,
            ts_usec: if self.precision == Precision::Nano { fraction } else { fraction / 1000 },
            caplen: frame.len() as u32,
            origlen: frame.len() as u32,
            data: frame,
        };
        self.put(block.to_vec())
    }

    /// Writes what is still buffered. A writer that is only dropped may lose it, and the reason why.
    pub fn finish(self) -> Result<(), CaptureError> {
        self.to.finish().map_err(|e| CaptureError::new(&self.file, Problem::Write(e)))
    }

    fn put(&mut self, bytes: Result<Vec<u8>, impl Debug>) -> Result<(), CaptureError> {
        let written = bytes.map_err(|e| io::Error::other(format!("{e:?}")));
        let written = written.and_then(|bytes| self.to.write_all(&bytes));
        written.map_err(|e| CaptureError::new(&self.file, Problem::Write(e)))
    }
}
