//! Lines as the tables of tests need them: each function is one thing that a line has or says, put into facts.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use hikyaku_config::Config;
use hikyaku_net::{Mac, PortSet, Time};
use hikyaku_protocols::aftr::{self, Endpoint, Source};
use hikyaku_protocols::dhcpv6::{self, Fact, State};
use hikyaku_protocols::dns::Failure;
use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::service::{Candidate, Local, Outside, Plan, Probe, Said, Technology};
use hikyaku_protocols::slaac::{
    self, Address, Announced, InterfaceId, Lifetime, Preference, Prefix, Resolver, Router, Slaac,
};

use super::choose::Choice;
use super::facts::{AftrNames, Carried, Facts, FarEndFacts, LanFacts, LineId, Provisioned};

/// Puts something into facts.
pub type Says = fn(&mut Facts);

pub const MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
pub const ROUTER_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// The IPv6 address that a text says.
pub fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// A configuration; `text` begins within `[wan]`.
pub fn config(text: &str) -> Config {
    let lan = "[lan]\nlink = 'netmap:lan0'\nipv4 = '192.168.1.1/24'\n";
    Config::parse("test.toml", &format!("{lan}[wan]\nlink = 'netmap:wan0'\n{text}")).unwrap()
}

/// A line with a carrier on which nobody has said anything, and these things in this order.
pub fn facts(says: &[Says]) -> Facts {
    let now = Time(1_000_000_000_000);
    let slaac = slaac::Config { mac: MAC, mtu: 1500, interface_id: InterfaceId::Eui64(MAC) };
    let mut facts = Facts {
        now,
        leaving: false,
        link_up: true,
        link_local: Some(ip("fe80::2")),
        addresses: HashMap::from([(ip("fe80::2"), Progress::Ready)]),
        taken: HashMap::new(),
        slaac: Slaac::new(slaac).facts(now),
        dhcpv6: dhcpv6::Client::new(dhcpv6::Config::new(MAC)).facts(now),
        delegated_addresses: Vec::new(),
        names: AftrNames { line: LineId::default(), known: Probe::default().said(), unresolved: Vec::new() },
        provisioning: None,
        carried: None,
        trouble: None,
        tables: ipip(Local::Own).outside.into_iter().collect(),
        far: FarEndFacts {
            plan: None,
            address: None,
            state: aftr::State::Unconfigured,
            silent_since: None,
            refused: 0,
        },
        next_hop: None,
        is_filtered: true,
        lans: vec![LanFacts { link_up: true, link_local: Some(ip("fe80::1")), addresses: HashMap::new() }],
    };
    says.iter().for_each(|say| say(&mut facts));
    facts
}

/// A router advertises itself.
pub fn router(facts: &mut Facts) {
    facts.slaac.routers.push(Router {
        address: ip("fe80::1"),
        mac: Some(ROUTER_MAC),
        preference: Preference::Medium,
        lifetime: Lifetime::Seconds(1800),
        unreachable: false,
    });
}

fn another_router(facts: &mut Facts, preference: Preference) {
    facts.slaac.routers.push(Router { address: ip("fe80::b"), preference, ..facts.slaac.routers[0].clone() });
}

/// Another one does, too.
pub fn second_router(facts: &mut Facts) {
    another_router(facts, Preference::Medium);
}

/// Another one does, and wants to be used before others.
pub fn preferred_router(facts: &mut Facts) {
    another_router(facts, Preference::High);
}

/// The first one does not answer.
pub fn first_is_dead(facts: &mut Facts) {
    facts.slaac.routers[0].unreachable = true;
}

/// It has the M flag.
pub fn managed(facts: &mut Facts) {
    facts.slaac.managed = true;
}

/// It has the O flag.
pub fn other(facts: &mut Facts) {
    facts.slaac.other = true;
}

fn prefix(facts: &mut Facts, prefix: &str, autonomous: bool, deprecated: bool) {
    let lifetime = Lifetime::Seconds(if deprecated { 0 } else { 1800 });
    let valid = Lifetime::Seconds(3600);
    let prefix = ip(prefix);
    let address = Ipv6Addr::from_bits(prefix.to_bits() | 2);
    facts.slaac.prefixes.push(Prefix {
        prefix,
        length: 64,
        routers: vec![ip("fe80::1")],
        announced: Announced::Yes,
        on_link: true,
        autonomous,
        address: Some(address).filter(|_| autonomous),
        deprecated,
        preferred: lifetime,
        valid,
    });
    if autonomous {
        facts.slaac.addresses.push(Address { address, deprecated, preferred: lifetime, valid });
        facts.addresses.insert(address, Progress::Tentative);
    }
}

/// It advertises 2001:db8:1::/64, in which we are `::2`.
pub fn advertised(facts: &mut Facts) {
    prefix(facts, "2001:db8:1::", true, false);
}

/// It advertises 2001:db8:9::/64, not for new connections any more.
pub fn deprecated(facts: &mut Facts) {
    prefix(facts, "2001:db8:9::", true, true);
}

/// The last prefix is the second router's.
pub fn of_second_router(facts: &mut Facts) {
    facts.slaac.prefixes.last_mut().unwrap().routers = vec![ip("fe80::b")];
}

/// The last prefix is of a station that is no router.
pub fn of_a_stranger(facts: &mut Facts) {
    facts.slaac.prefixes.last_mut().unwrap().routers = vec![ip("fe80::bad")];
}

/// It advertises 2001:db8:4::/64.
pub fn advertised_too(facts: &mut Facts) {
    prefix(facts, "2001:db8:4::", true, false);
}

/// It advertises fd00:1::/64.
pub fn unique_local(facts: &mut Facts) {
    prefix(facts, "fd00:1::", true, false);
}

/// The first prefix was not in its router's last advertisement.
pub fn first_is_missed(facts: &mut Facts) {
    facts.slaac.prefixes[0].announced = Announced::Missed;
}

/// The first prefix was in none for long.
pub fn first_is_withdrawn(facts: &mut Facts) {
    facts.slaac.prefixes[0].announced = Announced::Withdrawn;
}

/// The first prefix is not for new connections any more.
pub fn first_is_deprecated(facts: &mut Facts) {
    facts.slaac.prefixes[0].deprecated = true;
}

/// It advertises 2001:db8:8::/64, in which hosts make no addresses.
pub fn on_link_only(facts: &mut Facts) {
    prefix(facts, "2001:db8:8::", false, false);
}

/// It advertises a prefix that NTT's network gives to lines without a provider.
pub fn closed(facts: &mut Facts) {
    prefix(facts, "2408:210::", true, false);
}

/// It advertises the resolver 2001:db8:1::53.
pub fn rdnss(facts: &mut Facts) {
    facts.slaac.rdnss.push(Resolver { address: ip("2001:db8:1::53"), lifetime: Lifetime::Seconds(1800) });
}

/// The DHCPv6 server delegates 2001:db8:2::/56, in which we are `::2`.
pub fn delegated(facts: &mut Facts) {
    let what = "2001:db8:2::/56".parse().unwrap();
    facts.dhcpv6.prefixes.push(Fact { what, preferred: Some(1800), valid: Some(3600) });
    facts.delegated_addresses.push(Some(ip("2001:db8:2::2")));
    (facts.dhcpv6.mode, facts.dhcpv6.state) = (dhcpv6::Mode::Stateful, State::Bound);
}

/// The first router handed the lease out.
pub fn by_the_first_router(facts: &mut Facts) {
    facts.dhcpv6.router = Some(ip("fe80::1"));
}

/// What it delegates first is not for new connections any more, and it delegates 2001:db8:6::/56 beside it.
pub fn delegated_anew(facts: &mut Facts) {
    delegated(facts);
    facts.dhcpv6.prefixes[0].preferred = Some(0);
    let what = "2001:db8:6::/56".parse().unwrap();
    facts.dhcpv6.prefixes.push(Fact { what, preferred: Some(1800), valid: Some(3600) });
    facts.delegated_addresses.push(Some(ip("2001:db8:6::2")));
}

/// The DHCPv6 server leases 2001:db8:3::5.
pub fn leased(facts: &mut Facts) {
    facts.dhcpv6.addresses.push(Fact { what: ip("2001:db8:3::5"), preferred: Some(1800), valid: Some(3600) });
    (facts.dhcpv6.mode, facts.dhcpv6.state) = (dhcpv6::Mode::Stateful, State::Bound);
}

/// It answers an Information-request.
pub fn informed(facts: &mut Facts) {
    (facts.dhcpv6.mode, facts.dhcpv6.state) = (dhcpv6::Mode::Stateless, State::Informed);
}

/// It is asked and does not answer.
pub fn soliciting(facts: &mut Facts) {
    (facts.dhcpv6.mode, facts.dhcpv6.state) = (dhcpv6::Mode::Stateful, State::Soliciting);
}

/// It names the resolver 2001:db8:2::53.
pub fn dns(facts: &mut Facts) {
    facts.dhcpv6.information.dns.push(ip("2001:db8:2::53"));
}

/// It names the AFTR gw.example.net.
pub fn option64(facts: &mut Facts) {
    facts.dhcpv6.information.aftr_name = Some("gw.example.net".into());
}

/// Nobody objects to any address.
pub fn ready(facts: &mut Facts) {
    let made = facts.slaac.addresses.iter().map(|address| address.address);
    let delegated = facts.delegated_addresses.iter().copied().flatten();
    let leased = facts.dhcpv6.addresses.iter().map(|leased| leased.what).chain(delegated);
    let carried = facts.carried.as_ref().map(|carried| carried.local);
    facts.addresses.extend(made.chain(leased).chain(carried).map(|address| (address, Progress::Ready)));
}

/// The tunnel's other end, 2001:db8:1::feed, is ready.
pub fn feed_ready(facts: &mut Facts) {
    facts.addresses.insert(ip("2001:db8:1::feed"), Progress::Ready);
}

/// The provisioning server, asked from 2001:db8:1::/64, offers DS-Lite.
pub fn offered(facts: &mut Facts) {
    let dslite = Candidate::Dslite(Endpoint::Name("aftr.example.net".into()));
    facts.provisioning = Some(Provisioned { prefix: Some(ip("2001:db8:1::")), said: Said::Said(vec![dslite]) });
}

/// The same, asked from another prefix.
pub fn offered_elsewhere(facts: &mut Facts) {
    offered(facts);
    facts.provisioning.as_mut().unwrap().prefix = Some(ip("2001:db8:77::"));
}

/// Three Solicits were not answered.
pub fn in_vain(facts: &mut Facts) {
    facts.dhcpv6.in_vain = true;
}

/// There is no session table yet.
pub fn no_table(facts: &mut Facts) {
    facts.tables.clear();
}

/// There is no filter for native IPv6.
pub fn unfiltered(facts: &mut Facts) {
    facts.is_filtered = false;
}

/// The program is about to end.
pub fn leaving(facts: &mut Facts) {
    facts.leaving = true;
}

/// A plan: DS-Lite to gw.example.net.
pub fn dslite() -> Plan {
    let far = vec![(Source::Dhcp, Endpoint::Name("gw.example.net".into()))];
    Plan { technology: Technology::Dslite, local: Local::Own, far, outside: None, mesh: None }
}

/// A fixed address, by a tunnel from `local`.
pub fn ipip(local: Local) -> Plan {
    let far = vec![(Source::UserAddresses, Endpoint::Addresses(vec![ip("2001:db8:f::1")]))];
    let outside = Some(Outside { ipv4: [198, 51, 100, 1].into(), ports: PortSet::ALL });
    Plan { technology: Technology::Ipip, local, far, outside, mesh: None }
}

/// DS-Lite from 2001:db8:1::2 is in use.
pub fn carried(facts: &mut Facts) {
    facts.carried = Some(Carried { plan: dslite(), local: ip("2001:db8:1::2") });
    facts.addresses.insert(ip("2001:db8:1::2"), Progress::Ready);
    facts.far = FarEndFacts { plan: Some(dslite()), ..facts.far.clone() };
}

/// The far end says nothing, an echo request included, for ten seconds.
pub fn silent(facts: &mut Facts) {
    facts.far.silent_since = Some(Time(facts.now.0 - 10_000_000_000));
}

/// The far end has a unique local address.
pub fn local_far_end(facts: &mut Facts) {
    facts.far.address = Some(ip("fd00:f::1"));
}

/// DS-Lite from an address of a line that we had before.
pub fn carried_elsewhere(facts: &mut Facts) {
    facts.carried = Some(Carried { plan: dslite(), local: ip("2001:db8:77::2") });
    facts.addresses.insert(ip("2001:db8:77::2"), Progress::Ready);
}

/// The far end's name does not resolve.
pub fn unresolved(facts: &mut Facts) {
    let (name, failure) = ("gw.example.net".into(), Failure::TimedOut);
    let state = aftr::State::Unresolved { name, failure };
    facts.far = FarEndFacts { plan: Some(dslite()), address: None, state, ..facts.far.clone() };
}

/// It resolves, to 2001:db8:f::1, and the way there is known.
pub fn found(facts: &mut Facts) {
    facts.far.address = Some(ip("2001:db8:f::1"));
    facts.next_hop = Some((ip("fe80::1"), Some(ROUTER_MAC)));
}

/// A choice of before: this plan.
pub fn chosen(plan: Plan) -> Choice {
    Choice { plan: Some(plan), ..Choice::default() }
}
