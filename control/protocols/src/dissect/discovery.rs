//! ARP (RFC 826) and ICMPv6: discovery of neighbours and routers (RFC 4861 4, RFC 4191 2, RFC 8106 5), and what else there is.

use std::net::Ipv4Addr;

use hikyaku_net::Mac;

use super::{Body, Protocol, add, ipv6, number, seconds};
use crate::names::printable_labels;

/// An address at `at`, if the bytes reach so far.
pub(super) fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    bytes.get(at..at + 4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(Ipv4Addr::from)
}

fn mac(bytes: &[u8]) -> Option<Mac> {
    bytes.get(..6).and_then(|bytes| bytes.try_into().ok()).map(Mac)
}

pub(super) fn arp(bytes: &[u8], text: &mut String) {
    let (Some(sender), Some(target)) = (ipv4(bytes, 14), ipv4(bytes, 24)) else {
        return add(text, format_args!("cut off"));
    };
    match bytes[6..8] {
        [0, 1] if sender.is_unspecified() => add(text, format_args!("who has {target}? a probe")),
        [0, 1] => add(text, format_args!("who has {target}? tell {sender}")),
        _ => add(text, format_args!("{sender} is at {}", mac(&bytes[8..]).unwrap_or_default())),
    }
}

pub(super) fn of_icmpv6(bytes: &[u8]) -> (Protocol, &'static str, u8, Body<'_>) {
    let kind = bytes.first().copied().unwrap_or_default();
    let (protocol, name) = match kind {
        1 => (Protocol::Icmp, "destination unreachable"),
        2 => (Protocol::Icmp, "packet too big"),
        3 => (Protocol::Icmp, "time exceeded"),
        4 => (Protocol::Icmp, "parameter problem"),
        128 => (Protocol::Icmp, "echo request"),
        129 => (Protocol::Icmp, "echo reply"),
        130 => (Protocol::Neighbour, "listener query"),
        131 | 143 => (Protocol::Neighbour, "listener report"),
        133 => (Protocol::Router, "router solicitation"),
        134 => (Protocol::Router, "router advertisement"),
        135 => (Protocol::Neighbour, "neighbour solicitation"),
        136 => (Protocol::Neighbour, "neighbour advertisement"),
        137 => (Protocol::Neighbour, "redirect"),
        _ => (Protocol::Icmp, "ICMPv6 message"),
    };
    (protocol, name, kind, Body::Icmpv6(bytes))
}

pub(super) fn icmpv6(bytes: &[u8], text: &mut String) {
    let code = number::<1>(bytes, 1);
    let options = match bytes.first() {
        Some(133) => 8,
        Some(134) => {
            advertisement(bytes, text);
            16
        }
        Some(135) => {
            target("for", bytes, text);
            24
        }
        Some(136) => {
            target("of", bytes, text);
            let flags = number::<1>(bytes, 4);
            for (bit, name) in [(0x80, "router"), (0x40, "solicited"), (0x20, "override")] {
                if flags & bit != 0 {
                    add(text, format_args!("{name}"));
                }
            }
            24
        }
        Some(128 | 129) => {
            let (id, turn) = (number::<2>(bytes, 4), number::<2>(bytes, 6));
            return add(text, format_args!("id {id}, number {turn}, {} bytes", bytes.len()));
        }
        Some(2) => return add(text, format_args!("mtu {}", number::<4>(bytes, 4))),
        Some(kind) => return add(text, format_args!("type {kind}, code {code}, {} bytes", bytes.len())),
        None => return add(text, format_args!("cut off")),
    };
    self::options(bytes.get(options..).unwrap_or_default(), text);
}

fn target(word: &str, bytes: &[u8], text: &mut String) {
    match ipv6(bytes, 8) {
        Some(target) => add(text, format_args!("{word} {target}")),
        None => add(text, format_args!("cut off")),
    }
}

/// The fixed part of a router advertisement (RFC 4861 4.2).
fn advertisement(bytes: &[u8], text: &mut String) {
    let flags = number::<1>(bytes, 5);
    for (bit, name) in [(0x80, "managed"), (0x40, "other")] {
        if flags & bit != 0 {
            add(text, format_args!("{name}"));
        }
    }
    let preference = match flags >> 3 & 3 {
        0b01 => "high",
        0b11 => "low",
        _ => "medium",
    };
    add(text, format_args!("router for {} s, preference {preference}", number::<2>(bytes, 6)));
    for (at, what) in [(8, "reachable time"), (12, "retransmission timer")] {
        if number::<4>(bytes, at) != 0 {
            add(text, format_args!("{what} {} ms", number::<4>(bytes, at)));
        }
    }
}

/// Options of neighbour discovery: their length is in units of eight bytes.
fn options(mut bytes: &[u8], text: &mut String) {
    while let [kind, units, ..] = *bytes {
        let len = usize::from(units) * 8;
        let Some((option, rest)) = bytes.split_at_checked(len).filter(|_| len > 0) else {
            return add(text, format_args!("option {kind} cut off"));
        };
        self::option(kind, option, text);
        bytes = rest;
    }
}

fn option(kind: u8, option: &[u8], text: &mut String) {
    let first = |bytes: &[u8]| ipv6(bytes, 0).unwrap_or(std::net::Ipv6Addr::UNSPECIFIED);
    match (kind, option.len()) {
        (1, _) => add(text, format_args!("source {}", mac(&option[2..]).unwrap_or_default())),
        (2, _) => add(text, format_args!("target {}", mac(&option[2..]).unwrap_or_default())),
        (3, 32) => {
            let flags = option[3];
            let how = ["", " autonomous", " on-link", " on-link autonomous"][usize::from(flags >> 6)];
            let (valid, preferred) = (seconds(number::<4>(option, 4)), seconds(number::<4>(option, 8)));
            let prefix = first(&option[16..]);
            add(text, format_args!("prefix {prefix}/{}{how} valid {valid} preferred {preferred}", option[2]));
        }
        (5, 8) => add(text, format_args!("mtu {}", number::<4>(option, 4))),
        (14, _) => add(text, format_args!("nonce of {} bytes", option.len() - 2)),
        (24, _) => {
            let mut prefix = [0; 16];
            let len = (option.len() - 8).min(16);
            prefix[..len].copy_from_slice(&option[8..8 + len]);
            let lifetime = seconds(number::<4>(option, 4));
            add(text, format_args!("route {}/{} for {lifetime}", first(&prefix), option[2]));
        }
        (25, _) => {
            for resolver in option[8..].chunks_exact(16) {
                add(text, format_args!("resolver {} for {}", first(resolver), seconds(number::<4>(option, 4))));
            }
        }
        (31, _) => {
            let domain = printable_labels(&option[8..]).unwrap_or_default();
            add(text, format_args!("search {domain:?} for {}", seconds(number::<4>(option, 4))));
        }
        _ => add(text, format_args!("option {kind} of {} bytes", option.len())),
    }
}
