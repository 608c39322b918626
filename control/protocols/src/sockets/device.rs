//! The wire as smoltcp sees it: one packet in at a time, a bounded queue out.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// Packets that wait to be sent, at most. smoltcp keeps what does not fit and asks again.
pub(crate) const QUEUE: usize = 64;

/// A point-to-point IP link whose other end is whoever has this.
#[derive(Debug)]
pub(crate) struct Device {
    /// The packet being heard.
    pub(crate) heard: Option<Vec<u8>>,
    /// Packets to send, oldest first.
    pub(crate) out: VecDeque<Vec<u8>>,
    /// The longest packet that is sent, bytes with the IP header.
    pub(crate) mtu: usize,
}

impl Device {
    pub(crate) fn new(mtu: usize) -> Self {
        Self { heard: None, out: VecDeque::with_capacity(QUEUE), mtu }
    }

    /// Whether a packet can be heard: an answer to it would still fit.
    pub(crate) fn has_room(&self) -> bool {
        self.out.len() < QUEUE
    }
}

impl phy::Device for Device {
    type RxToken<'a> = Heard;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Heard, Slot<'_>)> {
        let packet = self.heard.take()?;
        Some((Heard(packet), Slot(&mut self.out)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Slot<'_>> {
        if self.has_room() { Some(Slot(&mut self.out)) } else { None }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// A packet for smoltcp to read.
pub(crate) struct Heard(Vec<u8>);

impl phy::RxToken for Heard {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// A place for one packet of smoltcp's.
pub(crate) struct Slot<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}
