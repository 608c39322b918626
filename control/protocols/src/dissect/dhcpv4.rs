//! DHCPv4 (RFC 2131, RFC 2132). Authentication (RFC 3118) is told by its length, as is what is not known.

use hikyaku_net::Mac;

use super::discovery::ipv4;
use super::{add, number, seconds};
use crate::names::printable;
use crate::text::hex;

/// The fixed fields and the magic cookie (RFC 2131 2, 3).
const HEADER: usize = 240;

/// The message's type (option 53); 0 where it is not said.
pub(super) fn kind(bytes: &[u8]) -> u8 {
    let mut kind = 0;
    options(bytes.get(HEADER..).unwrap_or_default(), |code, body| {
        if code == 53 {
            kind = body.first().copied().unwrap_or_default();
        }
    });
    kind
}

pub(super) fn name(kind: u8) -> &'static str {
    const NAMES: [&str; 8] =
        ["DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPDECLINE", "DHCPACK", "DHCPNAK", "DHCPRELEASE", "DHCPINFORM"];
    NAMES.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or("DHCPv4 message")
}

pub(super) fn say(bytes: &[u8], text: &mut String) {
    let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return add(text, format_args!("cut off")) };
    let station = Mac(header[28..34].try_into().expect("six bytes"));
    add(text, format_args!("transaction {}, of {station}", hex(&header[4..8])));
    for (at, what) in [(12, "has"), (16, "gets"), (24, "relay")] {
        if let Some(address) = ipv4(header, at).filter(|address| !address.is_unspecified()) {
            add(text, format_args!("{what} {address}"));
        }
    }
    options(rest, |code, body| option(code, body, text));
}

/// Calls `each` for all options up to the end.
fn options(mut bytes: &[u8], mut each: impl FnMut(u8, &[u8])) {
    while let [code, rest @ ..] = bytes {
        match (code, rest) {
            (0, _) => bytes = rest,
            (255, _) | (_, []) => return,
            (_, [len, rest @ ..]) => {
                let Some((body, rest)) = rest.split_at_checked((*len).into()) else { return };
                each(*code, body);
                bytes = rest;
            }
        }
    }
}

fn option(code: u8, body: &[u8], text: &mut String) {
    let address = |what: &str, text: &mut String| {
        for address in body.chunks_exact(4).filter_map(|address| ipv4(address, 0)) {
            add(text, format_args!("{what} {address}"));
        }
    };
    match code {
        1 => address("mask", text),
        3 => address("router", text),
        6 => address("resolver", text),
        50 => address("wants", text),
        54 => address("server", text),
        12 | 15 => {
            let name = printable(&String::from_utf8_lossy(body)).unwrap_or_default();
            add(text, format_args!("{} {name:?}", if code == 12 { "host" } else { "domain" }));
        }
        26 => add(text, format_args!("mtu {}", number::<2>(body, 0))),
        51 => add(text, format_args!("for {}", seconds(number::<4>(body, 0)))),
        // The name says it.
        53 => {}
        55 => {
            let codes: Vec<String> = body.iter().map(u8::to_string).collect();
            add(text, format_args!("asks for {}", codes.join(" ")));
        }
        58 | 59 => add(text, format_args!("T{} {}", code - 57, seconds(number::<4>(body, 0)))),
        61 => add(text, format_args!("client {}", hex(body))),
        _ => add(text, format_args!("option {code} of {} bytes", body.len())),
    }
}
