//! Captures that were compressed: told by their first bytes, never by their names, and unpacked as they are read.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder};

/// How a capture was compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4's frame format.
    Lz4,
}

/// The first bytes that [`Packing::of`] wants.
pub(super) const MAGIC: usize = 4;

impl Packing {
    /// What begins with these bytes.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        Some(match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one of metadata that is skipped (RFC 8878 3.1.2), which the other may have, too.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            [0x04, 0x22, 0x4d, 0x18] => Self::Lz4,
            _ => return None,
        })
    }

    /// The bytes that were packed. What lacks its end gives [`io::ErrorKind::UnexpectedEof`].
    pub(super) fn unpack(self, from: impl Read + Send + 'static) -> Box<dyn Read + Send> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(from)),
            Self::Zstd => Box::new(Zstd { source: Source::new(from), decoder: ZstdDecoder::new(), is_open: false }),
            Self::Lz4 => Box::new(Lz4(Lz4Decoder::new(Source::new(from)))),
        }
    }
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// Bytes, and whether there were fewer than was asked for.
struct Source<R> {
    from: BufReader<R>,
    is_cut: bool,
}

impl<R: Read> Source<R> {
    fn new(from: R) -> Self {
        Self { from: BufReader::new(from), is_cut: false }
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.from.fill_buf()?.is_empty())
    }

    /// An error of a decoder, which does not say whether it is one of too few bytes.
    fn error(&self, error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
        let kind = if self.is_cut { io::ErrorKind::UnexpectedEof } else { io::ErrorKind::InvalidData };
        io::Error::new(kind, error)
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.from.read(buf)?;
        self.is_cut |= n == 0 && !buf.is_empty();
        Ok(n)
    }
}

/// Frames of zstd, one behind the other. A window of more than 128 MB is refused: a few bytes of a file may ask for terabytes.
struct Zstd<R> {
    source: Source<R>,
    decoder: ZstdDecoder,
    is_open: bool,
}

impl<R: Read> Zstd<R> {
    /// Goes on to the next frame. False: there is none.
    fn open(&mut self) -> io::Result<bool> {
        while !self.source.is_at_end()? {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    self.is_open = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let skipped = io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                    if skipped < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(self.source.error(error)),
            }
        }
        Ok(false)
    }

    fn check(&self) -> io::Result<()> {
        match (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum()) {
            (Some(said), Some(is)) if said != is => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "the checksum of a zstd frame is wrong"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for Zstd<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.is_open || self.open()? {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let blocks = self.decoder.decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1));
                blocks.map_err(|error| self.source.error(error))?;
            }
            let n = self.decoder.read(buf)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            self.check()?;
            self.is_open = false;
        }
        Ok(0)
    }
}

/// Frames of lz4, one behind the other. The decoder says "end" at the end of each, and just so where the bytes end between two
/// blocks of one, or behind a frame's first four bytes: only that it wanted more tells (lz4_flex 0.14.2).
struct Lz4<R: Read>(Lz4Decoder<Source<R>>);

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while !buf.is_empty() {
            let n = self.0.read(buf)?;
            let source = self.0.get_mut();
            if n > 0 {
                return Ok(n);
            } else if source.is_cut {
                return Err(io::ErrorKind::UnexpectedEof.into());
            } else if source.is_at_end()? {
                break;
            }
        }
        Ok(0)
    }
}
