//! Buffers beside those of rings, for handoff rings.

use std::sync::Arc;

use super::device;
use super::region::Region;

/// Buffers that are in no ring and nobody else's. Those that are left when it is dropped go back to the kernel's netmap,
/// if they are its.
#[derive(Debug, Default)]
pub struct Spare {
    buffers: Vec<u32>,
    netmap: Option<Netmap>,
}

/// Where netmap's buffers are.
#[derive(Clone, Debug)]
struct Netmap {
    region: Arc<Region>,
    /// Of buffer 0 in the region.
    offset: usize,
    buf_size: usize,
}

impl From<Vec<u32>> for Spare {
    /// Buffers of memory that ends with the process.
    fn from(buffers: Vec<u32>) -> Self {
        Self { buffers, netmap: None }
    }
}

impl Spare {
    /// Buffers of a region of the kernel's netmap, whose buffer 0 is at `offset`.
    pub(super) fn of_netmap(buffers: Vec<u32>, region: &Arc<Region>, offset: usize, buf_size: usize) -> Self {
        Self { buffers, netmap: Some(Netmap { region: region.clone(), offset, buf_size }) }
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// The first `n` of them, or all.
    pub fn take(&mut self, n: usize) -> Self {
        Self { buffers: self.buffers.drain(..n.min(self.buffers.len())).collect(), netmap: self.netmap.clone() }
    }

    /// The numbers of all, with nobody to give them back. [`Self::refill`] makes up for that.
    pub(super) fn empty(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.buffers)
    }

    /// Has these now, as many as were taken out.
    pub(super) fn refill(&mut self, buffers: impl Iterator<Item = u32>) {
        self.buffers.extend(buffers);
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        if let Some(Netmap { region, offset, buf_size }) = &self.netmap {
            device::give_back(region, self.buffers.iter().map(|&buf| (buf, offset + buf as usize * buf_size)));
        }
    }
}
