//! Solicitations, true and broken, of many hosts, and a line that changes: who asks makes no flood, what is sent is a sound
//! advertisement that every link carries, and hosts are never told that something is preferred for longer than it is valid.
#![no_main]

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::checksum::Sum;
use hikyaku_net::{Mac, Prefix6, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::advertiser::{Advertised, Advertiser, MAX_PREFIXES, Output, Preference, Prefix, Route};
use hikyaku_protocols::slaac::{Advertisement, Lifetime};
use libfuzzer_sys::fuzz_target;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OURS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// A solicitation of host number `host` with a right checksum; `body` is what stands behind that. Number 0 has no address.
fn solicitation(host: u8, body: &[u8]) -> Vec<u8> {
    let source = match host {
        0 => Ipv6Addr::UNSPECIFIED,
        host => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100 + u16::from(host)),
    };
    let body = &body[..body.len().min(1400)];
    let length = body.len() as u16 + 4;
    let [high, low] = length.to_be_bytes();
    let sum = Sum::new().bytes(&source.octets()).bytes(&ALL_ROUTERS.octets()).number(length).number(58);
    let [s0, s1] = sum.bytes(&[133, 0, 0, 0]).bytes(body).checksum().0;
    let ip = [0x60, 0, 0, 0, high, low, 58, 255];
    [&ip[..], &source.octets(), &ALL_ROUTERS.octets(), &[133, 0, s0, s1], body].concat()
}

/// What bytes make of a line: a prefix for every three, of a few that come and go.
fn line(bytes: &[u8]) -> Advertised {
    let prefix = |&[number, preferred, valid]: &[u8; 3]| {
        let seconds = |byte: u8| (byte < 255).then(|| u64::from(byte) * 60);
        Prefix {
            prefix: Prefix6::new(Ipv6Addr::new(0x2001, 0xdb8, 0, number.into(), 0, 0, 0, 0), 64).expect("64 bits"),
            preferred: seconds(preferred),
            valid: seconds(valid),
        }
    };
    let route = |&[number, len, valid, ..]: &[u8; 5]| Route {
        prefix: Prefix6::new(Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, 0), len % 129).expect("128 bits"),
        valid: (valid < 255).then(|| u64::from(valid) * 60),
    };
    let first = bytes.first().copied().unwrap_or_default();
    let resolvers = bytes.iter().take(usize::from(first % 5));
    Advertised {
        is_default_router: first & 0x80 != 0,
        preference: [Preference::Low, Preference::Medium, Preference::High][usize::from(first % 3)],
        is_managed: first & 0x40 != 0,
        has_information: first & 0x20 != 0,
        is_autonomous: true,
        routes: bytes.as_chunks::<5>().0.iter().map(route).collect(),
        mtu: 1280 + u16::from(first),
        prefixes: bytes.as_chunks::<3>().0.iter().map(prefix).collect(),
        resolvers: resolvers.map(|&byte| Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, byte.into())).collect(),
        // As the configuration lets them pass: names of hosts (RFC 1123 2.1), and here too long ones.
        domains: vec![bytes.iter().take(70).map(|byte| char::from(b'a' + byte % 26)).collect()],
    }
}

struct Lan {
    machine: Advertiser,
    now: Time,
    /// The last advertisement to all.
    told: Option<Time>,
    /// Flags M and O of what was set last.
    flags: (bool, bool),
}

impl Lan {
    fn settle(&mut self) {
        for output in drain(|| self.machine.drive(self.now)) {
            let Output::Send(packet) = output else { continue };
            let said = Advertisement::parse(&packet).expect("a sound advertisement");
            assert!(packet.len() <= 1280 && said.ignored == 0, "{said:?}");
            assert!(said.router == OURS && said.prefixes.len() <= MAX_PREFIXES);
            let flags = (said.managed, said.other);
            assert!(flags == self.flags || flags == (false, false), "RFC 4861 4.2: {flags:?}");
            for prefix in &said.prefixes {
                assert!(prefix.on_link && prefix.autonomous && prefix.length == 64 && prefix.preferred <= prefix.valid);
                assert!(prefix.valid > Lifetime::Seconds(0) && prefix.valid <= Lifetime::Seconds(7200), "{prefix:?}");
            }
            if packet[24..40] == ALL_NODES.octets() {
                let last = self.told.replace(self.now);
                assert!(last.is_none_or(|last| self.now.since(last) >= Duration::from_secs(3)), "RFC 4861 6.2.6");
            }
        }
        assert!(self.machine.poll_timeout().is_none_or(|next| next > self.now), "nothing is due after a drive");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut lan = Lan { machine: Advertiser::new(US), now: Time(1_000_000_000), told: None, flags: (false, false) };
    lan.machine.set_source(lan.now, Some(OURS));
    for (what, message) in Steps(bytes) {
        let number = what >> 3;
        match what & 7 {
            0 => lan.machine.handle_input(lan.now, Mac([2, 0, 0, 0, 1, number]), message),
            1 => lan.machine.handle_input(lan.now, Mac([2, 0, 0, 0, 1, number]), &solicitation(number, message)),
            2 | 3 => lan.now = later(lan.now, lan.machine.poll_timeout(), number),
            4 => lan.machine.set(lan.now, None),
            5 => {
                let wall = 1_700_000_000 + u64::from(lan.now.seconds());
                if let Some(saved) = lan.machine.saved(lan.now, wall) {
                    let told = lan.machine.prefixes(lan.now).len();
                    assert!(saved.prefixes.len() == told);
                    (lan.machine, lan.flags) = (Advertiser::new(US), (false, false));
                    lan.machine.restore(lan.now, wall, &saved);
                    lan.machine.set_source(lan.now, Some(OURS));
                    // A program takes longer than that to start.
                    lan.now = lan.now + Duration::from_secs(3);
                }
            }
            _ => {
                let line = line(message);
                lan.flags = (line.is_managed, line.has_information);
                lan.machine.set(lan.now, Some(line));
            }
        }
        lan.settle();
    }
});
