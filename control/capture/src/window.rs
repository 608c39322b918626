//! A view of the next bytes of a stream that grows as far as a record needs.

use std::io::{self, Cursor, Read};

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// The bytes of a stream from the current record on.
pub(super) struct Window<R> {
    from: R,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    offset: u64,
    /// The stream itself said that it lacks its end (what is compressed knows).
    cut: bool,
}

impl<R: Read> Window<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buf: vec![0; CHUNK], start: 0, end: 0, offset: 0, cut: false }
    }

    /// The next `len` bytes, or as many as there are before the end of the stream.
    pub(super) fn peek(&mut self, len: usize) -> io::Result<&[u8]> {
        if self.end - self.start < len {
            self.fill(len)?;
        }
        Ok(&self.buf[self.start..self.end.min(self.start + len)])
    }

    fn fill(&mut self, len: usize) -> io::Result<()> {
        self.buf.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buf.len() < len {
            self.buf.resize(len, 0);
        }
        while self.end < len {
            match self.from.read(&mut self.buf[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // A compressed stream without its end: what was unpacked so far is good.
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                    self.cut = true;
                    break;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Goes on to the byte after the `len` that were peeked at.
    pub(super) fn advance(&mut self, len: usize) {
        debug_assert!(len <= self.end - self.start);
        self.start += len;
        self.offset += len as u64;
    }

    /// The bytes not passed yet, then the rest of the stream.
    pub(super) fn into_read(mut self) -> impl Read {
        self.buf.truncate(self.end);
        let mut rest = Cursor::new(self.buf);
        rest.set_position(self.start as u64);
        rest.chain(self.from)
    }

    /// Whether the stream broke off rather than ended.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// Bytes passed so far.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }
}
