//! What rules open of IPv4 where we translate: a rule that accepts from outside what is for ports of one host is a static mapping
//! of these ports, as it is of IPv6 what lets a stranger in. So what both families have is written once.

use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::{Forward, LanId};
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_net::{PortSet, Prefix4, protocol};

use super::covered::covers;
use crate::forward::StaticMapping;

/// What a list of rules opens.
#[derive(Debug, Default)]
pub(super) struct Opened {
    /// The mappings, each with the place of its rule.
    pub mappings: Vec<(usize, StaticMapping)>,
    /// Rules for the end of the list: a mapping alone would let anybody in, whom its rule does not fit, too.
    pub closing: Vec<Rule>,
}

/// The name of rules that nobody wrote. No rule that is written has a space in it.
const NOBODY_ELSE: &str = "nobody else";

impl Opened {
    /// `forward`: what leads to hosts already, and by which ports is said there.
    pub fn new(rules: &[Rule], forward: &[StaticMapping]) -> Self {
        let mut opened = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            let Some(to) = host(rule) else { continue };
            let host = to.address();
            for &kind in &rule.protocols {
                let known = forward.iter().chain(opened.mappings.iter().map(|(_, mapping)| mapping));
                let taken: Vec<(u16, u16)> = known.filter_map(|known| inside(known, kind, host)).collect();
                let left: Vec<(u16, u16)> = rule.ports.iter().flat_map(|&range| without(range, &taken)).collect();
                opened.mappings.extend(left.iter().map(|&outside| {
                    let forward = Forward {
                        protocol: kind,
                        outside,
                        lan: LanId::default(),
                        inside: host,
                        inside_port: outside.0,
                    };
                    (at, StaticMapping::Ports(forward))
                }));
                let closing = Rule {
                    name: NOBODY_ELSE.into(),
                    protocols: vec![kind],
                    ports: left,
                    source: Vec::new(),
                    source_ports: Vec::new(),
                    destination: vec![Address::V4(to)],
                    action: Action::Drop,
                    rate: None,
                    log: false,
                    ..rule.clone()
                };
                if !closing.ports.is_empty() && !covers(rule, &closing) {
                    opened.closing.push(closing);
                }
            }
        }
        opened
    }
}

/// The one host of IPv4 whose ports a rule opens.
fn host(rule: &Rule) -> Option<Prefix4> {
    let v4 = |address: &Address| if let Address::V4(prefix) = address { Some(*prefix) } else { None };
    let mut hosts = rule.destination.iter().filter_map(v4);
    let host = hosts.next().filter(|prefix| prefix.len() == 32 && hosts.next().is_none())?;
    let has_ports = |&kind: &u8| matches!(kind, protocol::TCP | protocol::UDP);
    let opens = rule.action == Action::Accept
        && rule.from == Zone::Wan
        && !rule.protocols.is_empty()
        && rule.protocols.iter().all(has_ports)
        && !rule.ports.is_empty()
        // Who begins has an address of IPv4.
        && (rule.source.is_empty() || rule.source.iter().any(|source| v4(source).is_some()));
    opens.then_some(host)
}

/// The ports of a host that a mapping leads to.
fn inside(mapping: &StaticMapping, kind: u8, host: Ipv4Addr) -> Option<(u16, u16)> {
    match *mapping {
        StaticMapping::All(of) => (of == host).then_some((1, u16::MAX)),
        StaticMapping::Ports(forward) => {
            let last = forward.inside_port.saturating_add(forward.outside.1 - forward.outside.0);
            ((forward.protocol, forward.inside) == (kind, host)).then_some((forward.inside_port, last))
        }
    }
}

/// A range of ports without those of others.
fn without(range: (u16, u16), taken: &[(u16, u16)]) -> Vec<(u16, u16)> {
    let mut left = vec![range];
    for &(first, last) in taken {
        let cut = |(a, b): (u16, u16)| {
            let before = (first > a).then(|| (a, b.min(first.saturating_sub(1))));
            let behind = (last < b).then(|| (a.max(last.saturating_add(1)), b));
            [before, behind].into_iter().flatten().filter(|(a, b)| a <= b)
        };
        left = left.into_iter().flat_map(cut).collect();
    }
    left
}

/// Whether a router takes these mappings, in words if not.
pub(super) fn check(forward: &[StaticMapping], more: &[StaticMapping]) -> Result<(), String> {
    let on = |list: &[StaticMapping]| -> Vec<Forward> {
        list.iter().flat_map(|mapping| mapping.on(PortSet::ALL, LanId::default())).collect()
    };
    // What is wrong without them is said elsewhere.
    let (mut all, more) = (on(forward), on(more));
    if Forward::check_all(PortSet::ALL, &all).is_err() {
        return Ok(());
    }
    all.extend(more);
    Forward::check_all(PortSet::ALL, &all).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_without_others() {
        assert_eq!(without((10, 20), &[]), [(10, 20)]);
        assert_eq!(without((10, 20), &[(1, 9), (21, 30)]), [(10, 20)]);
        assert_eq!(without((10, 20), &[(12, 13), (19, 40)]), [(10, 11), (14, 18)]);
        assert_eq!(without((10, 20), &[(10, 10), (20, 20)]), [(11, 19)]);
        assert_eq!(without((10, 20), &[(1, 65535)]), []);
        assert_eq!(without((0, 65535), &[(0, 0), (65535, 65535)]), [(1, 65534)]);
        assert_eq!(without((0, 65535), &[(0, 65535)]), []);
    }
}
