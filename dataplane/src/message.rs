//! What workers and the control thread send each other.

use hikyaku_ring::LinkId;

/// A frame on its way between a worker and the control thread.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where it came in, or shall go out.
    pub link: LinkId,
    /// A packet that is ready to leave by `link`, but for its Ethernet destination: that is all
    /// zeroes, because nobody knows yet whose it is.
    pub unresolved: bool,
    len: u16,
    bytes: [u8; Self::MAX],
}

impl Message {
    /// The longest frame that is punted or injected.
    pub const MAX: usize = 1600;

    /// A copy of `frame`; `None` if it is too long.
    pub fn new(link: LinkId, frame: &[u8]) -> Option<Self> {
        Self::compose(link, frame.len(), |bytes| bytes.copy_from_slice(frame))
    }

    /// A frame of `len` bytes that `fill` writes; `None` if it is too long.
    pub fn compose(link: LinkId, len: usize, fill: impl FnOnce(&mut [u8])) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        fill(bytes.get_mut(..len)?);
        Some(Self { link, unresolved: false, len: len as u16, bytes })
    }

    /// The frame, Ethernet header first.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}
