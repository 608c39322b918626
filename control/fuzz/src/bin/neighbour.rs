//! ARP and NDP of a LAN with guests, and storms of it: memory and answers are bounded, addresses of ours and
//! pinned ones stay whose they are, and we speak for nobody else.
#![no_main]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::checksum::Sum;
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::neighbour::{Config, Neighbours, Output};
use libfuzzer_sys::fuzz_target;

const CAPACITY: usize = 16;
const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OURS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(192, 168, 1, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
];

/// A few, so that they meet; the first ones are ours.
fn address(number: u8) -> IpAddr {
    let number = number & 31;
    match number & 1 {
        0 => Ipv4Addr::new(192, 168, 1, number / 2 + 1).into(),
        _ => Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, u16::from(number / 2 + 1)).into(),
    }
}

fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, number])
}

/// Puts the lengths and the checksum of an ICMPv6 message right: few random ones are.
fn repair(frame: &mut [u8]) {
    if frame.len() < 62 || frame[12..14] != [0x86, 0xdd] {
        return;
    }
    let length = (frame.len() - 54) as u16;
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame[56..58].fill(0);
    let sum = Sum::new().bytes(&frame[22..54]).number(length).number(58).bytes(&frame[54..]);
    frame[56..58].copy_from_slice(&sum.checksum().0);
}

/// The same from many senders, about many addresses: the last byte of each changes.
fn storm(frame: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_arp = frame.get(12..14) == Some(&[8, 6]);
    let places: &[usize] = if is_arp { &[11, 27, 31] } else { &[11, 37, 77, 85] };
    (0u8..64).map(move |number| {
        let mut frame = frame.to_vec();
        for &place in places {
            frame.get_mut(place).into_iter().for_each(|byte| *byte ^= number);
        }
        repair(&mut frame);
        frame
    })
}

/// Who a frame of ours speaks for: the sender of ARP, the target of an advertisement.
fn speaks_for(frame: &[u8]) -> Option<IpAddr> {
    match (frame.get(12..14)?, frame.get(20)?, frame.get(54)) {
        ([8, 6], ..) => {
            let sender = Ipv4Addr::from(*frame[28..].first_chunk::<4>()?);
            (!sender.is_unspecified()).then_some(sender.into())
        }
        ([0x86, 0xdd], 58, Some(136)) => Some(Ipv6Addr::from(*frame[62..].first_chunk::<16>()?).into()),
        _ => None,
    }
}

struct Link {
    machine: Neighbours,
    now: Time,
    pins: HashMap<IpAddr, Mac>,
    kept: usize,
}

impl Link {
    fn hear(&mut self, frame: &[u8]) {
        self.machine.handle_input(self.now, frame);
        self.settle();
    }

    fn settle(&mut self) {
        for output in drain(|| self.machine.drive(self.now)) {
            let Output::Send(frame) = output else { continue };
            // Frames that waited for a neighbour are of another protocol.
            if let Some(whose) = speaks_for(&frame) {
                assert!(frame[6..12] == US.0 && OURS.contains(&whose), "speaks for {whose}");
            }
        }
        let entries = self.machine.entries(self.now).len();
        assert!(entries <= CAPACITY + self.pins.len() + self.kept, "{entries} neighbours");
        for (address, mac) in self.machine.usable() {
            assert!(!OURS.contains(&address) && mac != US && !mac.is_group() && mac != Mac::default());
        }
        for (&address, &mac) in &self.pins {
            assert_eq!(self.machine.get(address), Some(mac), "{address} is pinned");
        }
        assert_eq!(self.machine.counts().overflowed, 0);
        assert!(self.machine.poll_timeout().is_none_or(|next| next > self.now), "nothing is due after a drive");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let config = Config { capacity: CAPACITY, ..Config::new(US, bytes.first().is_some_and(|b| b & 0x80 != 0)) };
    let mut link = Link { machine: Neighbours::new(config), now: Time(1_000_000_000), pins: HashMap::new(), kept: 0 };
    link.machine.set_addresses(link.now, OURS.to_vec());
    for (what, message) in Steps(bytes) {
        let number = what >> 3;
        match what & 7 {
            0 => link.hear(message),
            1 | 2 => {
                let mut frame = message.to_vec();
                repair(&mut frame);
                link.hear(&frame);
            }
            3 => storm(message).for_each(|frame| link.hear(&frame)),
            4 => link.now = later(link.now, link.machine.poll_timeout(), number),
            5 => {
                let waiting = [&[0; 12][..], &[8, 0], message].concat();
                link.machine.want(link.now, address(number), Some(waiting));
            }
            6 => {
                let (address, mac) = (address(number), station(2 + number % 3));
                link.machine.pin(link.now, address, mac);
                if !OURS.contains(&address) {
                    link.pins.insert(address, mac);
                }
            }
            _ if number < 16 => {
                link.machine.unpin(link.now, address(number * 2));
                link.pins.remove(&address(number * 2));
            }
            _ => {
                let kept = [address(number), address(number + 5)];
                link.machine.keep(link.now, &kept);
                // A pin or a router of before may still be there.
                link.kept += kept.len();
            }
        }
        link.settle();
    }
});
