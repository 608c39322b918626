//! What a received frame is, and where in its buffer it starts.

/// Bytes of a frame's buffer that can be viewed as one array, whatever the frame's length.
///
/// Ethernet (14), outer IPv6 (40), inner IPv4 with options (60) and TCP (20) fit, with a rest.
pub const HEAD: usize = 192;

/// Where received frames start in their buffers: `base`, plus 0 to `colours - 1` cache lines
/// chosen by buffer number.
///
/// With one colour all headers sit at the same stride and share 1/32 of the cache's sets; eight
/// colours cost nothing and keep the headers of a full ring in the first-level cache
/// (docs/performance.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    base: u16,
    /// Number of colours, less one.
    colour_mask: u16,
}

impl Headroom {
    /// Room for a 40-byte outer header, rounded to a cache line.
    pub const DEFAULT_BASE: u16 = 64;
    /// No headroom: the link does not know offsets.
    pub const NONE: Self = Self { base: 0, colour_mask: 0 };

    /// `base` bytes in front of every frame, spread over `colours` cache lines (a power of two).
    pub const fn new(base: u16, colours: u16) -> Self {
        assert!(colours.is_power_of_two());
        Self { base, colour_mask: colours - 1 }
    }

    /// The smallest offset [`Self::of`] answers.
    pub fn base(self) -> u16 {
        self.base
    }

    /// The offset that a frame received into buffer `buf` starts at.
    #[inline(always)]
    pub fn of(self, buf: u32) -> u16 {
        self.base + ((buf as u16 & self.colour_mask) << 6)
    }

    /// The largest offset [`Self::of`] answers.
    pub fn max(self) -> u16 {
        self.base + 64 * self.colour_mask
    }

    /// The largest offset that a frame is sent from, where the link knows offsets: it is declared
    /// to the kernel, which cuts larger ones without a word. Beyond [`Self::max`] there are 64
    /// bytes for an outer header that is popped and 64 by which VALE moves a frame.
    pub fn max_start(self) -> u16 {
        if self == Self::NONE { 0 } else { self.max() + 128 }
    }

    /// This headroom with half the colours, for smaller buffers; `None` when there is only one.
    pub(super) fn fewer_colours(self) -> Option<Self> {
        (self.colour_mask > 0).then_some(Self { colour_mask: self.colour_mask / 2, ..self })
    }
}

/// A received frame: which buffer, where in it, how long. Not the bytes; those are reached
/// through the [`RxRing`](super::RxRing) it came from.
///
/// Two words, so that it travels in registers: four fields would be written to the stack one by
/// one and read back before they have left the store buffer, 14 clocks a frame.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Frame {
    /// Buffer number, slot number.
    place: u64,
    /// Where in its buffer the frame begins and how long it is, 16 bits each.
    span: u32,
}

impl Frame {
    /// A frame that is in no buffer: what a place holds before there is one.
    pub const EMPTY: Self = Self { place: 0, span: 0 };

    #[inline(always)]
    pub(super) fn new(slot: u32, buf: u32, start: usize, len: usize) -> Self {
        debug_assert!(start <= u16::MAX.into() && len <= u16::MAX.into());
        Self { place: u64::from(buf) | u64::from(slot) << 32, span: start as u32 | (len as u32) << 16 }
    }

    #[inline(always)]
    pub(super) fn buf(self) -> u32 {
        self.place as u32
    }

    #[inline(always)]
    pub(super) fn slot(self) -> u32 {
        (self.place >> 32) as u32
    }

    #[inline(always)]
    pub(super) fn start(self) -> usize {
        (self.span & 0xffff) as usize
    }

    /// Length in bytes, Ethernet header included, FCS not.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        (self.span >> 16) as usize
    }

    /// Bytes free in front of the frame.
    #[inline(always)]
    pub fn headroom(self) -> usize {
        self.start()
    }

    #[inline(always)]
    pub(super) fn spanning(self, start: usize, len: usize) -> Self {
        Self { span: start as u32 | (len as u32) << 16, ..self }
    }

    /// The frame with another length, from the same start. Not longer than its buffer: the ring
    /// checks when the bytes are asked for or sent.
    #[inline(always)]
    #[must_use]
    pub fn with_len(self, len: usize) -> Self {
        self.spanning(self.start(), len & 0xffff)
    }

    /// The frame with `n` bytes more in front (a header pushed): at most [`Self::headroom`].
    #[inline(always)]
    #[must_use]
    pub fn push(self, n: usize) -> Self {
        assert!(self.start() >= n);
        self.spanning(self.start() - n, (self.len() + n) & 0xffff)
    }

    /// `n` bytes cut off the front (a header popped): at most its length.
    #[inline(always)]
    #[must_use]
    pub fn pop(self, n: usize) -> Self {
        assert!(self.len() >= n);
        self.spanning((self.start() + n) & 0xffff, self.len() - n)
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (slot, buf) = (self.slot(), self.buf());
        write!(f, "{} bytes at {} of buffer {buf} in slot {slot}", self.len(), self.start())
    }
}
