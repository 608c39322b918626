//! Router advertisements, true and broken, of many routers: what a line knows is bounded and makes sense,
//! and a packet that was refused changes nothing of it.
#![no_main]

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_control_fuzz::{Steps, drain, later};
use hikyaku_net::checksum::Sum;
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::slaac::{Advertisement, Config, Facts, InterfaceId, Lifetime, Slaac};
use hikyaku_protocols::slaac::{MAX_DOMAINS, MAX_PREFIXES, MAX_RESOLVERS, MAX_ROUTERS, MAX_ROUTES};
use libfuzzer_sys::fuzz_target;

/// More routers than are kept.
fn router(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number % 16))
}

/// An advertisement of `router` with a right checksum; `body` is what stands behind that.
fn advertisement(router: Ipv6Addr, body: &[u8]) -> Vec<u8> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let body = &body[..body.len().min(1456)];
    let length = body.len() as u16 + 4;
    let [high, low] = length.to_be_bytes();
    let sum = Sum::new().bytes(&router.octets()).bytes(&all_nodes.octets()).number(length).number(58);
    let [s0, s1] = sum.bytes(&[134, 0, 0, 0]).bytes(body).checksum().0;
    let ip = [0x60, 0, 0, 0, high, low, 58, 255];
    [&ip[..], &router.octets(), &all_nodes.octets(), &[134, 0, s0, s1], body].concat()
}

fn is_prefix(address: Ipv6Addr, length: u8) -> bool {
    length <= 128 && address.to_bits() & u128::MAX.checked_shr(length.into()).unwrap_or(0) == 0
}

fn check(facts: &Facts) {
    assert!(facts.routers.len() <= MAX_ROUTERS && facts.prefixes.len() <= MAX_PREFIXES);
    assert!(facts.routes.len() <= MAX_ROUTES && facts.rdnss.len() <= MAX_RESOLVERS && facts.dnssl.len() <= MAX_DOMAINS);
    assert!((1280..=1500).contains(&facts.mtu) && facts.hop_limit > 0);
    assert!((Duration::from_millis(1)..=Duration::from_secs(3600)).contains(&facts.reachable_time));
    assert!((Duration::from_millis(10)..=Duration::from_secs(60)).contains(&facts.retrans_timer));
    assert!(facts.routers.iter().all(|r| r.address.is_unicast_link_local()));
    assert!(facts.routes.iter().all(|r| is_prefix(r.prefix, r.length) && r.length > 0));
    for p in &facts.prefixes {
        let senseless = p.prefix.is_multicast() || p.prefix.is_unicast_link_local() || p.prefix.is_unspecified();
        assert!(is_prefix(p.prefix, p.length) && !senseless && p.preferred <= p.valid, "{p:?}");
    }
    for a in &facts.addresses {
        let within = |p: Ipv6Addr| a.address.segments()[..4] == p.segments()[..4];
        assert!(facts.prefixes.iter().any(|p| p.autonomous && p.length == 64 && within(p.prefix)), "{a:?}");
        assert!(a.preferred <= a.valid && a.valid > Lifetime::Seconds(0) || a.valid == Lifetime::Seconds(0));
    }
    // Logged and shown: no byte of it may be the terminal's.
    assert!(facts.dnssl.iter().all(|d| d.domain.bytes().all(|b| b.is_ascii_graphic())), "{:?}", facts.dnssl);
}

fuzz_target!(|bytes: &[u8]| {
    let interface_id = InterfaceId::Token("::feed".parse().expect("a token"));
    let mut line = Slaac::new(Config { mac: Mac([2, 0, 0, 0, 0, 9]), mtu: 1500, interface_id });
    let mut now = Time(1_000_000_000);
    line.link_up(now, Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfeed)));
    for (what, message) in Steps(bytes) {
        let number = what >> 2;
        let before = line.facts(now);
        let packet = match what & 3 {
            0 => Some(message.to_vec()),
            1 => Some(advertisement(router(number), message)),
            2 => {
                now = later(now, line.poll_timeout(), number);
                None
            }
            _ => {
                match number >> 4 {
                    0 => line.unreachable(now, router(number)),
                    1 => line.reachable(now, router(number)),
                    2 => line.no_router(now, router(number)),
                    _ => before.addresses.iter().for_each(|a| line.duplicate(now, a.address)),
                }
                None
            }
        };
        if let Some(packet) = packet {
            line.handle_input(now, &packet);
            if let Err(refusal) = Advertisement::parse(&packet) {
                assert_eq!((line.facts(now), line.last_refusal), (before, Some(refusal)));
            }
        }
        drain(|| line.drive(now));
        assert!(line.poll_timeout().is_none_or(|next| next > now), "nothing is due after a drive");
        let facts = line.facts(now);
        check(&facts);
        let far = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        assert!(line.next_hop(far).is_none_or(|hop| hop == far || hop.is_unicast_link_local()));
    }
});
