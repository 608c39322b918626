//! Frames of a LAN's guests to the DHCPv4 server: each address is one client's, of the pool or reserved,
//! and a frame that is no request of anybody changes nothing.
#![no_main]

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::checksum::Sum;
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::dhcpv4::{self, Config, LeaseView, Output, Reservation, Server};
use libfuzzer_sys::fuzz_target;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn config() -> Config {
    Config {
        mac: US,
        address: ROUTER,
        prefix_len: 24,
        pool: host(100)..=host(103),
        reservations: vec![Reservation { mac: Mac([2, 0, 0, 0, 1, 50]), address: host(50) }],
        lease_time: Duration::from_secs(3600),
        dns: vec![],
        domain: Some("home.arpa".to_owned()),
        mtu: Some(1460),
    }
}

/// A frame that brings `message` to the server, to it alone or to all. UDP without a checksum.
fn frame(message: &[u8], to_us: bool) -> Vec<u8> {
    let (station, to) = if to_us { (US, ROUTER) } else { (Mac::BROADCAST, Ipv4Addr::BROADCAST) };
    let message = &message[..message.len().min(1472)];
    let udp = 8 + message.len() as u16;
    let mut ip =
        [&[0x45, 0][..], &(20 + udp).to_be_bytes(), &[0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0], &to.octets()].concat();
    let sum = Sum::new().bytes(&ip).checksum().0;
    ip[10..12].copy_from_slice(&sum);
    let ethernet = [&station.0[..], &[2, 0, 0, 0, 1, 1, 8, 0]].concat();
    [&ethernet[..], &ip, &[0, 68, 0, 67], &udp.to_be_bytes(), &[0, 0], message].concat()
}

/// What does not change as time passes.
fn uses(server: &Server, now: Time) -> Vec<LeaseView> {
    let mut rows = server.leases(now);
    rows.iter_mut().for_each(|row| row.left = 0);
    rows
}

fuzz_target!(|bytes: &[u8]| {
    let config = config();
    let mut server = Server::new(config.clone()).expect("a configuration that can be");
    let mut now = Time(1_000_000_000);
    for (what, message) in Steps(bytes) {
        let number = what >> 2;
        let heard = match what & 3 {
            0 => Some(message.to_vec()),
            1 => Some(frame(message, number & 1 == 1)),
            2 => {
                now = later(now, server.poll_timeout(), number);
                None
            }
            _ => {
                server.in_use(now, host(98 + number % 8), Mac([2, 0, 0, 0, 1, number >> 3]));
                None
            }
        };
        if let Some(frame) = heard {
            dhcpv4::fuzz(&frame, &config);
            let (before, counts) = (uses(&server, now), server.counts);
            server.handle_input(now, &frame);
            let refused = |c: dhcpv4::Counts| c.not_for_us + c.malformed + c.relayed + c.limited;
            if refused(server.counts) > refused(counts) && server.counts.informs == counts.informs {
                assert_eq!(uses(&server, now), before, "changed by {frame:x?}");
            }
        }
        let outputs = drain(|| server.drive(now));
        for output in &outputs {
            match output {
                Output::Send(frame) => {
                    assert!(frame[6..12] == US.0 && (14 + 20 + 8 + 300..=1514).contains(&frame.len()), "{frame:x?}");
                }
                // For the log: a guest's name is not the terminal's.
                Output::Event(event) => assert!(!event.to_string().contains(char::is_control), "{event:?}"),
                Output::Probe(address) => assert!(config.pool.contains(address) || *address == host(50)),
                Output::Save => {}
            }
        }
        assert!(server.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
        let mut seen = HashSet::new();
        for lease in server.leases(now) {
            let name = lease.hostname.unwrap_or_default();
            assert!(name.chars().count() <= 253 && !name.contains(char::is_control), "{name:?}");
            assert!(seen.insert(lease.address) && (config.pool.contains(&lease.address) || lease.address == host(50)));
        }
        assert!(server.file(now, 1).leases.len() <= 5);
    }
});
