//! DHCPv6 (RFC 8415, RFC 3646, RFC 6334, RFC 7598). Authentication (RFC 8415 21.11) may hold a key, and is told by its length.

use super::{add, ipv6, number, seconds};
use crate::names::printable_labels;
use crate::text::hex;

/// How deep options may nest: association, lease, status.
const DEEPEST: usize = 3;

pub(super) fn name(kind: u8) -> &'static str {
    const NAMES: [&str; 13] = [
        "Solicit",
        "Advertise",
        "Request",
        "Confirm",
        "Renew",
        "Rebind",
        "Reply",
        "Release",
        "Decline",
        "Reconfigure",
        "Information-request",
        "Relay-forward",
        "Relay-reply",
    ];
    NAMES.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or("DHCPv6 message")
}

pub(super) fn say(bytes: &[u8], text: &mut String) {
    let Some((header, rest)) = bytes.split_at_checked(4) else { return add(text, format_args!("cut off")) };
    if matches!(header[0], 12 | 13) {
        return add(text, format_args!("{} bytes", bytes.len()));
    }
    add(text, format_args!("transaction {}", hex(&header[1..])));
    options(rest, DEEPEST, text);
}

fn options(mut bytes: &[u8], deep: usize, text: &mut String) {
    while let [c0, c1, l0, l1, rest @ ..] = bytes {
        let code = u16::from_be_bytes([*c0, *c1]);
        let Some((body, rest)) = rest.split_at_checked(u16::from_be_bytes([*l0, *l1]).into()) else {
            return add(text, format_args!("option {code} cut off"));
        };
        option(code, body, deep, text);
        bytes = rest;
    }
    if !bytes.is_empty() {
        add(text, format_args!("cut off"));
    }
}

fn option(code: u16, body: &[u8], deep: usize, text: &mut String) {
    let times = |at| (seconds(number::<4>(body, at)), seconds(number::<4>(body, at + 4)));
    // What is inside, in parentheses.
    let inside = |at: usize| {
        let mut inner = String::new();
        if deep > 0 {
            options(body.get(at..).unwrap_or_default(), deep - 1, &mut inner);
        }
        if inner.is_empty() { inner } else { format!(" ({inner})") }
    };
    match code {
        1 => add(text, format_args!("client {}", hex(body))),
        2 => add(text, format_args!("server {}", hex(body))),
        3 | 25 if body.len() >= 12 => {
            let (what, (t1, t2)) = (if code == 3 { "IA_NA" } else { "IA_PD" }, times(4));
            add(text, format_args!("{what} {} T1 {t1} T2 {t2}{}", number::<4>(body, 0), inside(12)));
        }
        5 if body.len() >= 24 => {
            let (preferred, valid) = times(16);
            let address = ipv6(body, 0).expect("it is so long");
            add(text, format_args!("address {address} preferred {preferred} valid {valid}{}", inside(24)));
        }
        26 if body.len() >= 25 => {
            let (preferred, valid) = times(0);
            let prefix = ipv6(body, 9).expect("it is so long");
            add(text, format_args!("prefix {prefix}/{} preferred {preferred} valid {valid}{}", body[8], inside(25)));
        }
        6 => {
            let codes: Vec<String> = body.chunks_exact(2).map(|code| number::<2>(code, 0).to_string()).collect();
            add(text, format_args!("asks for {}", codes.join(" ")));
        }
        7 => add(text, format_args!("preference {}", number::<1>(body, 0))),
        8 => add(text, format_args!("elapsed {} ms", u64::from(number::<2>(body, 0)) * 10)),
        13 => {
            let words = String::from_utf8_lossy(body.get(2..).unwrap_or_default());
            add(text, format_args!("status {} {words:?}", number::<2>(body, 0)));
        }
        14 => add(text, format_args!("rapid commit")),
        19 => add(text, format_args!("asks for message {}", number::<1>(body, 0))),
        20 => add(text, format_args!("takes Reconfigure")),
        23 | 31 => {
            for address in body.chunks_exact(16).filter_map(|address| ipv6(address, 0)) {
                add(text, format_args!("{} {address}", if code == 23 { "resolver" } else { "SNTP server" }));
            }
        }
        24 | 64 => {
            let name = printable_labels(body).unwrap_or_default();
            add(text, format_args!("{} {name:?}", if code == 24 { "search" } else { "AFTR" }));
        }
        32 => add(text, format_args!("refresh in {}", seconds(number::<4>(body, 0)))),
        82 | 83 => add(text, format_args!("option {code}: {}", seconds(number::<4>(body, 0)))),
        94..=96 => {
            let what = ["MAP-E", "MAP-T", "lw4o6"][usize::from(code - 94)];
            add(text, format_args!("container of {what}, {} bytes", body.len()));
        }
        _ => add(text, format_args!("option {code} of {} bytes", body.len())),
    }
}
