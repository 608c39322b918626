//! Datagrams of a LAN's guests to the DHCPv6 server: no two clients have a lease in common, none is outside what there is, and a
//! datagram that is no message of anybody changes nothing.
#![no_main]

use std::time::Duration;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::{Mac, Prefix6, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::dhcpv6::server::{
    Client, Config, Counts, Datagram, Delegable, OnLink, Output, Reservation, Served, Server, fuzz,
};
use hikyaku_protocols::dhcpv6::{Duid, SERVERS};
use libfuzzer_sys::fuzz_target;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 1, number])
}

fn config() -> Config {
    let client = Client::Station(station(2));
    let reservations = vec![Reservation { client, interface_id: "::50".parse().ok(), subnet: Some(0x30) }];
    Config { mac: US, secret: [7; 32], reservations }
}

fn prefix(text: &str) -> Prefix6 {
    text.parse().expect("a prefix")
}

/// A line that has one of a few prefixes, or none.
fn served(number: u8) -> Option<Served> {
    let base = prefix(&format!("2001:db8:{:x}:aa00::/56", number % 3 + 1));
    let (preferred, valid) = (Some(u64::from(number) * 60), Some(u64::from(number) * 120));
    let taken = vec![prefix(&format!("2001:db8:{:x}:aa00::/63", number % 3 + 1))];
    (number % 7 > 0).then(|| Served {
        on_link: vec![OnLink { prefix: prefix(&format!("2001:db8:{:x}:aa01::/64", number % 3 + 1)), preferred, valid }],
        delegable: vec![Delegable { prefix: base, len: 56 + number % 9, taken, preferred, valid }],
        ..Served::default()
    })
}

/// A client's message: its identifier and ours in front of what the bytes say, so that they are heard.
fn message(kind: u8, from: u8, options: &[u8]) -> Vec<u8> {
    let client = Duid::link_layer(station(from));
    let duid = |code: u8, duid: &Duid| [&[0, code, 0, 10][..], duid.bytes()].concat();
    let server = if [3, 5, 8, 9].contains(&kind) { duid(2, &Duid::link_layer(US)) } else { vec![] };
    [&[kind, 1, 2, 3][..], &duid(1, &client), &server, options].concat()
}

fn refused(counts: Counts) -> u64 {
    counts.malformed + counts.relayed + counts.not_link_local + counts.unexpected + counts.limited + counts.foreign
}

fuzz_target!(|bytes: &[u8]| {
    let mut server = Server::new(config());
    let mut now = Time(1_000_000_000);
    server.set(now, served(60));
    for (what, message_bytes) in Steps(bytes) {
        let number = what >> 2;
        match what & 3 {
            0 | 1 => {
                let from = number & 7;
                let payload = match what & 3 {
                    0 => message_bytes.to_vec(),
                    _ => message(number >> 3, from, message_bytes),
                };
                let source = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, from.into());
                let datagram = Datagram { station: station(from), source, destination: SERVERS, payload: &payload };
                fuzz(datagram);
                let (before, counts) = (server.leases(now).len(), server.counts);
                server.handle_input(now, datagram);
                assert!(
                    refused(server.counts) == refused(counts) || server.leases(now).len() <= before,
                    "{payload:x?}"
                );
            }
            2 => now = later(now, server.poll_timeout(), number),
            _ if number & 1 == 0 => server.set(now, served(number)),
            _ => {
                let file = server.snapshot(now, 1).file();
                server = Server::new(config());
                server.restore(now, 1, &file);
                server.set(now, served(number));
            }
        }
        // What was saved may be said: replies follow.
        let mut outputs = drain(|| server.drive(now));
        while !outputs.is_empty() {
            for output in outputs {
                match output {
                    Output::Send { payload, .. } => {
                        assert!((4..=1232).contains(&payload.len()) && [2, 7].contains(&payload[0]))
                    }
                    Output::Event(event) => assert!(!event.to_string().contains(char::is_control), "{event:?}"),
                    Output::Save => server.saved(server.changes()),
                }
            }
            outputs = drain(|| server.drive(now));
        }
        assert!(server.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
        let leases = server.leases(now);
        let all: Vec<Prefix6> = leases.iter().flat_map(|lease| lease.leases.iter().copied()).collect();
        for (at, one) in all.iter().enumerate() {
            let overlaps = |other: &&Prefix6| one.contains(other.address()) || other.contains(one.address());
            // An address is of the LAN's prefix, which is nobody else's.
            assert_eq!(all[at + 1..].iter().find(overlaps), None, "{all:?}");
        }
        assert!(leases.iter().all(|lease| Duration::from_secs(lease.left) <= Duration::from_secs(5400)), "{leases:?}");
        assert_eq!(server.routes(now).len(), all.iter().filter(|lease| lease.len() < 128).count());
    }
});
