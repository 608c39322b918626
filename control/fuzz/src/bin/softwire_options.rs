//! Softwire containers of DHCPv6 (RFC 7598): refused with a reason, or what they say holds together: a CE
//! that a rule makes of this line is found again by its address and ports, where the border router looks.
#![no_main]

use std::net::Ipv6Addr;

use hikyaku_net::Prefix6;
use hikyaku_net::map::{InterfaceId, Rule};
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::dhcpv6::S46Container;
use hikyaku_protocols::map_domain::MAX_RULES;
use hikyaku_protocols::softwire_options::{self, Softwire};
use libfuzzer_sys::fuzz_target;

const MAPE: u16 = 94;
const LW: u16 = 96;

fn is_host(address: &Ipv6Addr) -> bool {
    !address.is_multicast() && !address.is_unspecified() && !address.is_loopback()
}

/// `line` with the bits that the rule has for all its lines.
fn check(rule: &Rule, line: Ipv6Addr) {
    let others = u128::MAX.checked_shr(rule.ipv6().len().into()).unwrap_or(0);
    let line = Ipv6Addr::from_bits(rule.ipv6().address().to_bits() | line.to_bits() & others);
    let line = Prefix6::new(line, 128).expect("a whole address is a prefix");
    for iid in [InterfaceId::Draft03, InterfaceId::Rfc7597] {
        let Ok(ce) = rule.ce(line, iid) else { continue };
        assert!(rule.ipv4().contains(ce.ipv4.into()) && ce.end_user.contains(line.address()), "{rule:?} {ce:?}");
        let (first, last) = ce.ports.ranges().next().expect("no port set is empty");
        for port in [first, last] {
            assert!(ce.ports.contains(port));
            assert_eq!(rule.remote(ce.ipv4.into(), port, iid), Some(ce.address.into()), "{rule:?} {ce:?}");
        }
    }
}

// Sixteen bytes for the line's address, and the container.
fuzz_target!(|bytes: &[u8]| {
    let Some((&line, bytes)) = bytes.split_first_chunk::<16>() else { return };
    softwire_options::fuzz(bytes);
    for code in [MAPE, LW] {
        match Softwire::read(&S46Container { code, bytes: bytes.to_vec() }) {
            Ok(Softwire::MapE(domain)) => {
                assert!((1..=MAX_RULES).contains(&domain.rules.len()) && !domain.br.is_empty());
                assert!(domain.br.iter().all(is_host), "{:?}", domain.br);
                domain.rules.iter().for_each(|rule| check(rule, line.into()));
            }
            Ok(Softwire::Lw4o6(lw4o6)) => {
                let Endpoint::Addresses(lwaftr) = &lw4o6.lwaftr else { panic!("a name: {lw4o6:?}") };
                assert!(!lwaftr.is_empty() && lwaftr.iter().all(is_host), "{lw4o6:?}");
                assert!(lw4o6.ports.ranges().next().is_some());
                let whole = Prefix6::new(line.into(), 128).expect("a whole address is a prefix");
                let end = lw4o6.end(&[whole]);
                assert!(end.is_none() || lw4o6.bind_prefix.contains(line.into()), "{lw4o6:?}");
            }
            Err(why) => assert!(!why.to_string().contains(char::is_control), "{why:?}"),
        }
    }
});
