//! Rules as an operator may have many of: a packet of the flows here passes them all, and fits the last.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::rules::{Action, Address, Rule, Rules, Zone};
use hikyaku_net::{Prefix4, Prefix6, protocol};

/// So many, as workers ask them; `None`: none.
pub(crate) fn compiled(count: u16) -> Option<Arc<Rules>> {
    let last = count.checked_sub(1)?;
    let list = (0..last).map(refusing).chain([Rule { name: "rest".into(), ..any(Action::Accept) }]).collect();
    Some(Arc::new(Rules::new(list, None).expect("there is room for them")))
}

/// Of some network outside, by its prefixes of both families, and some ports that are asked for there.
fn refusing(n: u16) -> Rule {
    let v4 = Prefix4::new(Ipv4Addr::from_bits(0x0b00_0000 | u32::from(n) << 8), 24);
    let v6 = Prefix6::new(Ipv6Addr::from_bits(0x2600_u128 << 112 | u128::from(n) << 80), 48);
    Rule {
        name: format!("r{n}"),
        protocols: vec![if n.is_multiple_of(2) { protocol::TCP } else { protocol::UDP }],
        ports: vec![(1000 + n, 1010 + n)],
        destination: vec![Address::V4(v4.expect("a length")), Address::V6(v6.expect("a length"))],
        ..any(Action::Drop)
    }
}

fn any(action: Action) -> Rule {
    let (name, protocols, source_ports, ports, source, destination) = Default::default();
    let (from, to) = (Zone::Lan(LanId::default()), Zone::Wan);
    Rule { name, from, to, protocols, source_ports, ports, source, destination, action, rate: None, log: false }
}
