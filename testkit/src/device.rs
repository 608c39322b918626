//! A wire for smoltcp: one packet at a time in, a queue out.

use std::collections::VecDeque;

use smoltcp::phy::{self, DeviceCapabilities, Medium};
use smoltcp::time::Instant;

/// The longest packet that is sent, bytes with the IP header.
const MTU: usize = 1500;

/// Packets that wait to be taken, at most: smoltcp keeps the others and sends them later.
const QUEUE: usize = 64;

#[derive(Default)]
pub(crate) struct Device {
    /// The packet being heard.
    pub heard: Option<Vec<u8>>,
    /// Packets that were sent, oldest first.
    pub out: VecDeque<Vec<u8>>,
}

impl phy::Device for Device {
    type RxToken<'a> = Heard;
    type TxToken<'a> = Slot<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Heard, Slot<'_>)> {
        Some((Heard(self.heard.take()?), Slot(&mut self.out)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Slot<'_>> {
        if self.out.len() < QUEUE { Some(Slot(&mut self.out)) } else { None }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        (capabilities.medium, capabilities.max_transmission_unit) = (Medium::Ip, MTU);
        capabilities
    }
}

pub(crate) struct Heard(Vec<u8>);

impl phy::RxToken for Heard {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

pub(crate) struct Slot<'a>(&'a mut VecDeque<Vec<u8>>);

impl phy::TxToken for Slot<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}
