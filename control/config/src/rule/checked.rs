//! The rules as a whole: what none of them may say, what they say to packets, and which of them nobody will hear.

use std::collections::BTreeMap;

use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::rules::{self, Action, Address, Rate, Rule, Zone};
use hikyaku_net::{Addr4, Prefix4, protocol};
use hikyaku_protocols::service::Technology;
use hikyaku_schema::{Places, Problems, Read, Section, did_you_mean};

use super::covered::covered;
use super::opened::{self, Opened};
use super::values::Name;
use super::{RuleKeys, Side};
use crate::lan::Lan;
use crate::lans::lan_of;
use crate::route::StaticRoute;
use crate::service::Service;

/// What the operator says of sessions: the sections `[[rule]]`, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// As packets ask them.
    pub list: Vec<Rule>,
    /// How many of them, the last ones, nobody wrote: what is open by IPv4 is for nobody but whom a rule fits.
    pub closing: usize,
}

/// Rules that were read each by itself.
pub(crate) struct Written(Vec<Read<RuleKeys>>);

impl Written {
    /// Reads them, each whatever is wrong with the others.
    pub fn read(sections: Vec<Section>, problems: &mut Problems) -> Self {
        Self(sections.into_iter().filter_map(|section| section.read::<RuleKeys>(&[], problems)).collect())
    }

    /// What they say together, on a router with these LANs and this service; which has the mappings of what they open, too.
    pub fn check(self, lans: &[Lan], routes: &[StaticRoute], service: &mut Service, problems: &mut Problems) -> Rules {
        let mut names: BTreeMap<&Name, ()> = BTreeMap::new();
        for Read { keys, at } in &self.0 {
            if names.insert(&keys.name, ()).is_some() {
                let text = format!("name = '{}': another rule has it already", keys.name.0);
                problems.add(at.place("name"), text);
            }
            One { keys, at, routes, problems }.check(lans, service);
        }
        let mut list: Vec<Rule> = self.0.iter().map(|read| read.keys.rule(lans)).collect();
        let closing = self.open(&mut list, lans, service, problems);
        if let (Err(why), Some(last)) = (rules::Rules::check(&list), self.0.last()) {
            problems.add(last.at.place("name"), format!("[[rule]]: {why}"));
        }
        Rules { list, closing }
    }

    /// What they open of IPv4 where we translate. Says how many rules that takes at the end.
    fn open(&self, list: &mut Vec<Rule>, lans: &[Lan], service: &mut Service, problems: &mut Problems) -> usize {
        if is_dslite(service) {
            return 0;
        }
        let forward = &mut service.behaviour.forward;
        let Opened { mappings, closing } = Opened::new(list, forward);
        for (place, mapping) in mappings {
            let (host, at) = (mapping.host(), &self.0[place].at);
            let Zone::Lan(to) = list[place].to else { continue };
            if lan_of(lans.iter().map(|lan| lan.ipv4), host) != Some(to) {
                let lan = lans.get(usize::from(to.0)).map_or(String::new(), |lan| lan.ipv4.to_string());
                let text = format!("destination = '{host}': it is no host of the LAN {lan}");
                problems.add(at.place("destination"), text);
            } else if let Err(why) = opened::check(forward, &[mapping]) {
                let name = &self.0[place].keys.name.0;
                let text = format!("rule {name}: by IPv4 it opens {mapping}, and {why}");
                problems.add(at.place("ports"), text);
            } else {
                forward.push(mapping);
            }
        }
        let count = closing.len();
        list.extend(closing);
        count
    }
}

/// What comes in by IPv4 is then the far end's to let in.
fn is_dslite(service: &Service) -> bool {
    service.wish.name.profile().technology == Some(Technology::Dslite)
}

impl Rules {
    /// Those that the operator wrote.
    pub fn written(&self) -> &[Rule] {
        &self.list[..self.list.len() - self.closing]
    }

    /// Rules that no packet comes to.
    pub(crate) fn warnings(&self) -> impl Iterator<Item = String> {
        covered(self.written()).into_iter().map(|(rule, by)| {
            let [rule, by] = [rule, by].map(|at| &self.list[at].name);
            format!("[[rule]] {rule}: no packet comes to it, {by} before it fits all that it would; move it up, or leave it out")
        })
    }
}

impl RuleKeys {
    /// On a router with these LANs.
    fn rule(&self, lans: &[Lan]) -> Rule {
        // One that is not there was said.
        let number = |name: &str| lans.iter().position(|lan| lan.name == name).and_then(|at| u8::try_from(at).ok());
        let zone = |side: &Side| match side {
            Side::Wan => Zone::Wan,
            Side::Lan(name) => Zone::Lan(LanId(number(name).unwrap_or_default())),
        };
        let ports = |list: &[super::Ports]| list.iter().flat_map(|ports| ports.iter().copied()).collect();
        let types = self.icmp_types.iter().flat_map(|types| &types.0).map(|&kind| (kind.into(), kind.into()));
        Rule {
            name: self.name.0.clone(),
            from: zone(&self.from),
            to: zone(&self.to),
            protocols: self.protocol.iter().map(|protocol| protocol.0).collect(),
            source_ports: ports(&self.source_ports),
            ports: ports(&self.ports).into_iter().chain(types).collect(),
            source: self.source.clone(),
            destination: self.destination.clone(),
            action: self.action,
            rate: self.rate.map(|rate| Rate { interval: rate.each, burst: self.burst.unwrap_or(rate.number) }),
            log: self.log,
        }
    }
}

/// A rule that is checked.
struct One<'a> {
    keys: &'a RuleKeys,
    at: &'a Places,
    routes: &'a [StaticRoute],
    problems: &'a mut Problems,
}

impl One<'_> {
    fn wrong(&mut self, key: &str, why: impl std::fmt::Display) {
        self.problems.add(self.at.place(key), format!("rule {}: {key}: {why}", self.keys.name.0));
    }

    fn check(&mut self, lans: &[Lan], service: &Service) {
        let keys = self.keys;
        for (key, side) in [("from", &keys.from), ("to", &keys.to)] {
            self.check_side(key, side, lans);
        }
        if keys.from == keys.to {
            self.wrong(
                "to",
                "from and to are one side, and what stays on one side does not come by here; give the other",
            );
        }
        self.check_ports();
        if keys.rate.is_some() && keys.action != Action::Accept {
            self.wrong("rate", "it is of what is accepted; leave it out, or say action = \"accept\"");
        }
        if keys.burst.is_some() && keys.rate.is_none() {
            self.wrong("burst", "there is no rate that it could be of; give one");
        }
        self.check_addresses("source", &keys.source, &keys.from, lans);
        self.check_addresses("destination", &keys.destination, &keys.to, lans);
        self.check_families(service);
    }

    fn check_ports(&mut self) {
        let RuleKeys { protocol, ports, source_ports, icmp_types, .. } = self.keys;
        let all = |is: fn(u8) -> bool| !protocol.is_empty() && protocol.iter().all(|protocol| is(protocol.0));
        for (key, is_set) in [("ports", !ports.is_empty()), ("source-ports", !source_ports.is_empty())] {
            if is_set && !all(protocol::has_ports) {
                self.wrong(
                    key,
                    "only tcp, udp, udp-lite, sctp and dccp have ports: say which as protocol, and no other",
                );
            }
        }
        if !icmp_types.is_empty() && !all(|kind| matches!(kind, protocol::ICMP | protocol::ICMPV6)) {
            self.wrong("icmp-types", "only icmp and icmpv6 have types: say which as protocol, and no other");
        }
    }

    fn check_side(&mut self, key: &str, side: &Side, lans: &[Lan]) {
        let names = || lans.iter().map(|lan| lan.name.as_str());
        if let Side::Lan(name) = side
            && !names().any(|lan| lan == name)
        {
            let (all, near) = (names().collect::<Vec<_>>().join(", "), did_you_mean(name, names().chain(["wan"])));
            self.problems.add(self.at.place(key), format!("{key} = '{name}' is none of: {all}, wan{near}"));
        }
    }

    fn check_addresses(&mut self, key: &str, list: &[Address], side: &Side, lans: &[Lan]) {
        for address in list {
            let text = super::address_text(address);
            match (address, side) {
                (Address::InterfaceId(_), Side::Wan) => {
                    self.wrong(
                        key,
                        format_args!("'{text}' is a host of the LAN, which is on the other side of this rule"),
                    );
                }
                (Address::V4(prefix), Side::Lan(name)) => {
                    let Some(lan) = lans.iter().find(|lan| lan.name == *name).map(|lan| lan.ipv4) else { continue };
                    let meets = |own: Prefix4| {
                        own.contains(prefix.address().into()) || prefix.contains(Addr4::from(own.address()))
                    };
                    let mut behind = self.routes.iter().filter_map(StaticRoute::v4);
                    if !meets(lan.prefix()) && !behind.any(|(network, _)| meets(network)) {
                        let why = format_args!("'{text}' is none of the LAN {lan}; give a host by its address there");
                        self.wrong(key, why);
                    }
                }
                _ => {}
            }
        }
    }

    /// Of which family packets may be that it fits.
    fn check_families(&mut self, service: &Service) {
        let keys = self.keys;
        let of = |list: &[Address]| {
            let is_v4 = |address: &Address| matches!(address, Address::V4(_));
            [list.is_empty() || list.iter().any(is_v4), list.is_empty() || !list.iter().all(is_v4)]
        };
        let only = |kind: u8| keys.protocol.iter().all(|protocol| protocol.0 == kind) && !keys.protocol.is_empty();
        let of_protocol = [!only(protocol::ICMPV6), !only(protocol::ICMP)];
        let both = [of(&keys.source), of(&keys.destination), of_protocol];
        let [v4, v6] = [0, 1].map(|family| both.iter().all(|of| of[family]));
        if !v4 && !v6 {
            self.wrong("destination", "source, destination and protocol are not of one family; no packet is of two");
        }
        if v4 && !v6 && keys.from == Side::Wan && is_dslite(service) {
            self.wrong("from", "what comes in by IPv4 the AFTR decides, with DS-Lite; leave this rule out");
        }
    }
}
