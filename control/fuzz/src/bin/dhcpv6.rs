//! Datagrams of DHCPv6 servers, true, foreign and broken, to a client that asks: what it holds is bounded,
//! and comes from answers to its own messages alone.
#![no_main]

use std::net::Ipv6Addr;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::dhcpv6::{self, Client, Config, MAX_DATAGRAM, Mode, Output, Want};
use libfuzzer_sys::fuzz_target;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// More than any list of the client's may have.
const MOST: usize = 16;

fn check(client: &Client, now: Time) {
    let information = client.information();
    let lists = [information.dns.len(), information.search.len(), information.ntp.len(), information.sntp.len()];
    let softwires = [information.s46.len(), information.s46_priority.len()];
    assert!(lists.into_iter().chain(softwires).all(|length| length <= MOST), "{information:?}");
    assert!(information.s46.iter().map(|container| container.bytes.len()).sum::<usize>() <= MAX_DATAGRAM);
    let names = information.search.iter().chain(&information.aftr_name);
    for name in names {
        assert!(name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic()), "{name:?}");
    }
    assert!(client.prefixes().len() <= MOST && client.addresses().len() <= MOST);
    for leased in client.prefixes() {
        let (address, len) = (leased.what.address(), leased.what.len());
        assert!(u128::MAX.checked_shr(len.into()).unwrap_or(0) & address.to_bits() == 0 && len > 0);
        assert!(!address.is_multicast() && !address.is_unicast_link_local());
        assert!(leased.valid_until.is_none_or(|end| end > now), "{leased:?} is over");
    }
    for leased in client.addresses() {
        let address = leased.what;
        assert!(!address.is_multicast() && !address.is_unspecified() && !address.is_loopback(), "{leased:?}");
        assert!(leased.valid_until.is_none_or(|end| end > now), "{leased:?} is over");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut config = Config::new(Mac([2, 0, 0, 0x12, 0x34, 0x56]));
    (config.want, config.rapid_commit, config.reconfigure) = (Want::PrefixAndAddress, true, true);
    let mut client = Client::with_rng(config, StdRng::seed_from_u64(1));
    let server = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    let mut now = Time(1_000_000_000);
    client.set_mode(now, Mode::Stateful);
    // Transaction ids: leases and information are asked for side by side.
    let mut asked: Vec<[u8; 3]> = Vec::new();
    for (what, message) in Steps(bytes) {
        let number = what >> 2;
        let mut message = message.to_vec();
        match what & 3 {
            2 => now = later(now, client.poll_timeout(), number),
            3 => match number % 8 {
                0 => client.set_mode(now, Mode::Off),
                1 => client.set_mode(now, Mode::Stateless),
                2 => client.set_mode(now, Mode::Stateful),
                3 => client.link_up(now),
                4 => client.release(now),
                6 => client.set_mode(now, Mode::Other),
                7 if number > 31 => client.told_in_vain(now),
                7 => client.doubt(now),
                _ => client.addresses().first().map(|l| l.what).into_iter().for_each(|a| client.decline(now, a)),
            },
            answers => {
                let xid = asked.iter().rev().nth(usize::from(number & 1)).or(asked.last());
                if let (1, Some(id), Some(xid)) = (answers, message.get_mut(1..4), xid) {
                    id.copy_from_slice(xid);
                }
                dhcpv6::fuzz(&message);
                let before = (client.prefixes().to_vec(), client.addresses().to_vec(), client.information().clone());
                let from = if number == 63 { dhcpv6::SERVERS } else { server };
                client.handle_input(now, from, &message);
                // RFC 8415 16.10: another transaction's, or from no single station.
                if number == 63 || !asked.iter().any(|xid| message.get(1..4) == Some(&xid[..])) {
                    let after = (client.prefixes(), client.addresses(), client.information());
                    assert_eq!((&before.0[..], &before.1[..], &before.2), after, "believed {message:x?}");
                }
            }
        }
        for output in drain(|| client.drive(now)) {
            match output {
                Output::Send { payload, .. } => {
                    assert!(payload.len() <= 1200, "fits every line");
                    asked.extend(payload.get(1..4).and_then(|xid| <[u8; 3]>::try_from(xid).ok()));
                }
                // For the log: a server's words are not the terminal's.
                Output::Event(event) => assert!(!event.to_string().contains(char::is_control), "{event:?}"),
            }
        }
        assert!(client.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
        check(&client, now);
    }
});
