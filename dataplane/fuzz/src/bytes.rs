//! An input, read from its beginning. Behind its end are zeros, so every input is a whole one.

/// What is left of it.
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Whether all of it was read.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// The next bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let (read, rest) = self.0.split_at(N.min(self.0.len()));
        array[..read.len()].copy_from_slice(read);
        self.0 = rest;
        array
    }

    /// As many bytes as the next one says, or are left.
    pub fn some(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let (read, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        read
    }
}
