//! The machine on a link that the tests play. Frames are written and read by `etherparse` and by hand, never by the
//! code under test.

mod checks;
mod detection;
mod listening;
mod property;
mod resolution;
mod takeover;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use etherparse::{ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacket, EtherType, PacketBuilder};
use hikyaku_net::{Mac, Time};

use super::{Config, Neighbours, Output};
use crate::Machine;

pub const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
pub const HOST: Mac = Mac([2, 0, 0, 0, 0, 0x10]);
pub const THIEF: Mac = Mac([2, 0, 0, 0, 0, 0x66]);
pub const US4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
pub const HOST4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
pub const US6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 1);
pub const HOST6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0x12, 0x3456);
pub const US_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const SECOND: Duration = Duration::from_secs(1);

/// A frame of ours, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Arp { to: Mac, reply: bool, mac: Mac, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr },
    Solicit { to: Mac, source: Ipv6Addr, destination: Ipv6Addr, target: Ipv6Addr, options: Vec<u8> },
    Advert { to: Mac, source: Ipv6Addr, destination: Ipv6Addr, target: Ipv6Addr, flags: u8, options: Vec<u8> },
    Report { to: Mac, source: Ipv6Addr, destination: Ipv6Addr, body: Vec<u8> },
    Frame(Vec<u8>),
}

pub const ROUTER: u8 = 0x80;
pub const SOLICITED: u8 = 0x40;
pub const OVERRIDE: u8 = 0x20;

fn mac(bytes: &[u8]) -> Mac {
    Mac(bytes.try_into().unwrap())
}

fn addr4(bytes: &[u8]) -> Ipv4Addr {
    <[u8; 4]>::try_from(bytes).unwrap().into()
}

fn addr6(bytes: &[u8]) -> Ipv6Addr {
    <[u8; 16]>::try_from(bytes).unwrap().into()
}

/// Reads a frame of ours; panics if it is not as the RFCs have it.
pub fn understand(frame: &[u8]) -> Said {
    let to = mac(&frame[..6]);
    match (&frame[12..14], frame.get(20)) {
        ([0x08, 0x06], _) => {
            assert_eq!(mac(&frame[6..12]), US);
            assert_eq!(frame.len(), 60, "RFC 894: the shortest frame");
            let (arp, padding) = frame[14..].split_at(28);
            assert_eq!(arp[..7], [0, 1, 8, 0, 6, 4, 0]);
            assert!(padding.iter().all(|&b| b == 0));
            Said::Arp {
                to,
                reply: [1, 2].iter().position(|&b| b == arp[7]).unwrap() == 1,
                mac: mac(&arp[8..14]),
                sender: addr4(&arp[14..18]),
                target_mac: mac(&arp[18..24]),
                target: addr4(&arp[24..28]),
            }
        }
        ([0x86, 0xdd], Some(&next)) if matches!(next, 58 | 0) => {
            assert_eq!(mac(&frame[6..12]), US);
            let (ip, body) = frame[14..].split_at(40);
            assert_eq!(ip[0] >> 4, 6);
            assert_eq!(usize::from(ip[4]) << 8 | usize::from(ip[5]), body.len());
            let (source, destination) = (addr6(&ip[8..24]), addr6(&ip[24..40]));
            let body = if next == 0 {
                assert_eq!(body[..8], [58, 0, 5, 2, 0, 0, 1, 0]);
                &body[8..]
            } else {
                body
            };
            let icmp = etherparse::Icmpv6Slice::from_slice(body).unwrap();
            assert!(icmp.is_checksum_valid(source.octets(), destination.octets()));
            assert_eq!(ip[7], if next == 0 { 1 } else { 255 });
            assert_eq!(body[1], 0);
            let body = body.to_vec();
            match body[0] {
                135 => {
                    let (target, options) = (addr6(&body[8..24]), body[24..].to_vec());
                    Said::Solicit { to, source, destination, target, options }
                }
                136 => {
                    assert_eq!(body[5..8], [0; 3]);
                    let (target, flags, options) = (addr6(&body[8..24]), body[4], body[24..].to_vec());
                    Said::Advert { to, source, destination, target, flags, options }
                }
                131 | 143 => Said::Report { to, source, destination, body },
                kind => panic!("ICMPv6 type {kind}"),
            }
        }
        _ => Said::Frame(frame.to_vec()),
    }
}

/// An ARP packet of `from`.
pub fn arp(from: Mac, reply: bool, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let operation = if reply { ArpOperation::REPLY } else { ArpOperation::REQUEST };
    let packet = ArpPacket::from(ArpEthIpv4Packet {
        operation,
        sender_mac: from.0,
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    });
    assert_eq!((packet.hw_addr_type, packet.proto_addr_type), (ArpHardwareId::ETHERNET, EtherType::IPV4));
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, [0xff; 6]).arp(packet).write(&mut frame).unwrap();
    frame
}

/// An ICMPv6 message of `from`; `body` is what stands behind the checksum.
pub fn icmp6(
    from: Mac,
    hop_limit: u8,
    ends: (Ipv6Addr, Ipv6Addr),
    kind: u8,
    code: u8,
    rest: [u8; 4],
    body: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, [0x33, 0x33, 0, 0, 0, 1])
        .ipv6(ends.0.octets(), ends.1.octets(), hop_limit)
        .icmpv6_raw(kind, code, rest)
        .write(&mut frame, body)
        .unwrap();
    frame
}

/// A link-layer address option.
pub fn lladdr(kind: u8, mac: Mac) -> Vec<u8> {
    [&[kind, 1], &mac.0[..]].concat()
}

/// A nonce option of six bytes (RFC 3971 5.3.2).
pub fn nonce(nonce: [u8; 6]) -> Vec<u8> {
    [&[14, 1], &nonce[..]].concat()
}

pub fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    let o = addr.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, o[13], o[14], o[15]])
}

/// A solicitation of `target` by the host at `from`, with its link-layer address.
pub fn ns(from: Mac, source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let body = [&target.octets()[..], &lladdr(1, from)].concat();
    icmp6(from, 255, (source, solicited_node(target)), 135, 0, [0; 4], &body)
}

/// The question of a host at `from` whether `target` is free.
pub fn dad_ns(from: Mac, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let body = [&target.octets()[..], options].concat();
    icmp6(from, 255, (Ipv6Addr::UNSPECIFIED, solicited_node(target)), 135, 0, [0; 4], &body)
}

/// An advertisement of `target` by the host at `from`: to us if it is solicited, else to all.
pub fn na(from: Mac, target: Ipv6Addr, flags: u8) -> Vec<u8> {
    let destination = if flags & SOLICITED != 0 { US6 } else { ALL_NODES };
    let body = [&target.octets()[..], &lladdr(2, from)].concat();
    icmp6(from, 255, (target, destination), 136, 0, [flags, 0, 0, 0], &body)
}

/// A link with its time.
pub struct Link {
    pub machine: Neighbours,
    pub now: Time,
}

impl Link {
    /// A LAN whose router has its addresses and has announced them.
    pub fn lan() -> Self {
        Self::with(Config::new(US, true))
    }

    pub fn with(config: Config) -> Self {
        let mut link = Self::bare(config);
        link.machine.set_addresses(link.now, vec![US4.into(), US6.into(), US_LOCAL.into()]);
        link.run(SECOND * 10);
        assert!(
            [IpAddr::from(US4), US6.into(), US_LOCAL.into()]
                .iter()
                .all(|&addr| link.machine.progress(addr) == Some(super::Progress::Ready))
        );
        link
    }

    pub fn bare(config: Config) -> Self {
        Self { machine: Neighbours::new(config), now: Time(1_000_000_000) }
    }

    /// Everything that wants out now.
    pub fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.machine.drive(self.now)).collect()
    }

    /// Hears a frame, and answers.
    pub fn hear(&mut self, frame: &[u8]) -> Vec<Output> {
        assert!(self.machine.handle_input(self.now, frame));
        self.drain()
    }

    /// Lets time pass, and polls when the machine wants it.
    pub fn run(&mut self, time: Duration) -> Vec<(Duration, Output)> {
        let (start, end) = (self.now, self.now + time);
        let mut outputs = Vec::new();
        loop {
            outputs.extend(self.drain().into_iter().map(|output| (self.now.since(start), output)));
            match self.machine.poll_timeout() {
                Some(due) if due <= end => {
                    assert!(due > self.now, "nothing is due after a poll");
                    self.now = due;
                }
                _ => break,
            }
        }
        self.now = end;
        outputs
    }

    pub fn state(&self, addr: impl Into<IpAddr>) -> Option<super::State> {
        let addr = addr.into();
        self.machine.entries(self.now).into_iter().find(|entry| entry.address == addr).map(|entry| entry.state)
    }
}

/// The frames among outputs, understood.
pub fn said(outputs: &[Output]) -> Vec<Said> {
    let frame = |output: &Output| match output {
        Output::Send(frame) => Some(understand(frame)),
        _ => None,
    };
    outputs.iter().filter_map(frame).collect()
}

/// The events among outputs.
pub fn events(outputs: &[Output]) -> Vec<Output> {
    outputs.iter().filter(|output| !matches!(output, Output::Send(_))).cloned().collect()
}

/// Outputs without the times at which they came.
pub fn untimed(outputs: Vec<(Duration, Output)>) -> Vec<Output> {
    outputs.into_iter().map(|(_, output)| output).collect()
}
