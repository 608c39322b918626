//! What every machine is to do, as it follows from the facts and the choice.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_config::{Config, Dhcpv6Mode, InterfaceId};
use hikyaku_dataplane::napt::LanId;
use hikyaku_net::{Prefix6, Time};
use hikyaku_protocols::advertiser::Advertised;
use hikyaku_protocols::dhcpv6::Mode;
use hikyaku_protocols::dhcpv6::server::Served;
use hikyaku_protocols::hb46pp;
use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::notification;
use hikyaku_protocols::service::{Outside, Plan};

use super::choose::{Choice, ends};
use super::evidence::Sign;
use super::facts::{Carried, Facts, LanFacts, LineId};
use super::lan_ipv6::LanIpv6;
use super::uplink::upper_half;

/// What is to be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Desired {
    /// Our addresses on the WAN.
    pub addresses: Vec<Ipv6Addr>,
    /// Those whose interface id is a hash (RFC 7217): they are used while they are checked (RFC 4429).
    pub optimistic: Vec<Ipv6Addr>,
    /// Those of them that may be used.
    pub usable: Vec<Ipv6Addr>,
    /// What our own packets come from.
    pub source: Option<Ipv6Addr>,
    /// Largest packet of the line, bytes.
    pub mtu: u16,
    /// ReachableTime and RetransTimer of neighbour discovery (RFC 4861 6.3.2).
    pub timers: (Duration, Duration),
    /// The router that packets go through.
    pub router: Option<Ipv6Addr>,
    /// What was learnt of the line is verified: since when, and why.
    pub verified: Option<(Time, Sign)>,
    /// Neighbours that are never forgotten.
    pub kept: Vec<IpAddr>,
    /// The WAN link can be spoken on: routers are asked.
    pub link_up: bool,
    /// Our link-local address, once nobody else has it: routers are asked from there, and until then from `::`.
    pub link_local: Option<Ipv6Addr>,
    /// What is asked of the DHCPv6 server; `None`: what is asked already.
    pub dhcpv6: Option<Mode>,
    /// Who is asked for names.
    pub resolvers: Vec<IpAddr>,
    /// Where names of AFTRs are asked for.
    pub line: LineId,
    /// Services are looked for by their AFTRs' names.
    pub asks_names: bool,
    /// The far end has these names and none resolves, and why.
    pub lacking: Option<(Vec<String>, String)>,
    /// Names of far ends that go on being asked for though they were given up.
    pub given_up: Vec<String>,
    /// Where the provisioning server is asked from, if it is to be.
    pub provisioning: Option<hb46pp::Place>,
    /// What a session table is to translate to.
    pub table: Option<Outside>,
    /// The tunnel to carry; `None` while its end may not be used, its table is not there, or none is chosen.
    pub softwire: Option<Carried>,
    /// The plan whose far end is used: that of the tunnel in use, or of the one that is to be.
    pub far: Option<Plan>,
    /// The prefix from which the far end is spoken to.
    pub prefix: Option<Ipv6Addr>,
    /// Where the border router's operator is told that we are.
    pub place: Option<notification::Place>,
    /// The prefix of the line's link that is a LAN's, too: each side is answered for the other.
    pub proxied: Option<Prefix6>,
    /// The LANs' side, by their numbers.
    pub lans: Vec<DesiredLan>,
}

/// What is to be on a LAN.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DesiredLan {
    /// The link can be spoken on: our addresses are asked for.
    pub link_up: bool,
    /// We have an IPv6 address of its own in each of these.
    pub prefixes: Vec<Prefix6>,
    /// The prefix of the line's link that is this LAN's, too.
    pub proxied: Option<Prefix6>,
    /// Our IPv6 addresses on the line that are in one of them, and so no host's.
    pub shared: Vec<Ipv6Addr>,
    /// What hosts are told of the line's IPv6; `None`: that there is none.
    pub advertised: Option<Advertised>,
    /// What they get by DHCPv6; `None`: nothing.
    pub served: Option<Served>,
    /// Routers with networks behind them: neighbours that are never forgotten.
    pub kept: Vec<IpAddr>,
    /// What advertisements come from: our link-local address, once nobody else has it.
    pub source: Option<Ipv6Addr>,
}

/// What is to be done.
pub(super) fn desired(config: &Config, facts: &Facts, choice: &Choice) -> Desired {
    let addresses = addresses(facts, choice);
    let link_local = facts.link_local.filter(|&address| facts.link_up && facts.is_ready(address));
    let can_ask_server = facts.link_local.is_some_and(|address| facts.link_up && facts.may_use(address));
    let routers = &facts.slaac.routers;
    let next_hop = facts.next_hop.map(|(address, _)| address);
    let wanted = wanted(facts, choice);
    let softwire = softwire(facts, choice, wanted.as_ref());
    let can_ask = !choice.uplink.line.resolvers.is_empty();
    let asks_provisioning = choice.decision.asks_provisioning && can_ask;
    let from = choice.uplink.own.filter(|&own| asks_provisioning && facts.may_use(own));
    Desired {
        usable: addresses.iter().copied().filter(|&address| facts.may_use(address)).collect(),
        optimistic: optimistic(config, facts),
        source: choice.uplink.source,
        mtu: facts.slaac.mtu,
        timers: (facts.slaac.reachable_time, facts.slaac.retrans_timer),
        router: choice.uplink.router,
        verified: choice.evidence.verified,
        link_up: facts.link_up,
        kept: routers.iter().map(|router| router.address).chain(next_hop).map(IpAddr::from).collect(),
        link_local,
        dhcpv6: (can_ask_server && !facts.leaving).then(|| dhcpv6_mode(config, facts)),
        resolvers: choice.uplink.resolvers.clone(),
        line: choice.uplink.line.clone(),
        asks_names: choice.decision.asks_names && can_ask,
        lacking: facts.far.lacking(),
        given_up: choice.given_up.clone(),
        provisioning: from.map(|from| hb46pp::Place { prefix: upper_half(from), from }),
        far: softwire.as_ref().map(|softwire| &softwire.plan).or(choice.plan.as_ref()).cloned(),
        table: wanted.and_then(|wanted| wanted.plan.outside),
        softwire,
        prefix: choice.uplink.prefix,
        place: choice.place,
        proxied: choice.lans.iter().find_map(|lan| lan.shared),
        lans: lans(config, facts, choice, &addresses),
        addresses,
    }
}

fn lans(config: &Config, facts: &Facts, choice: &Choice, wan: &[Ipv6Addr]) -> Vec<DesiredLan> {
    let lans = facts.lans.iter().zip(&choice.lans).zip((0u8..).map(LanId));
    let one = |((facts, lan), number): ((&LanFacts, &LanIpv6), LanId)| {
        let routes = config.routes.iter().filter(|route| route.lan == number);
        DesiredLan { kept: routes.map(|route| route.via).collect(), ..desired_lan(facts, lan, wan) }
    };
    lans.map(one).collect()
}

/// But for routers behind. `wan`: our addresses on the line.
fn desired_lan(facts: &LanFacts, lan: &LanIpv6, wan: &[Ipv6Addr]) -> DesiredLan {
    let prefixes: Vec<Prefix6> = lan.prefixes().collect();
    let is_of_lan = |address: &Ipv6Addr| prefixes.iter().any(|prefix| prefix.contains(*address));
    DesiredLan {
        link_up: facts.link_up,
        shared: wan.iter().copied().filter(is_of_lan).collect(),
        // There what is ours on the line is ours on both sides.
        prefixes: prefixes.iter().copied().filter(|&prefix| lan.shared != Some(prefix)).collect(),
        proxied: lan.shared,
        kept: Vec::new(),
        advertised: lan.advertised.clone(),
        served: lan.served.clone(),
        source: facts.link_local.filter(|address| facts.addresses.get(address) == Some(&Progress::Ready)),
    }
}

/// The link's own, and our ends of the tunnel.
fn addresses(facts: &Facts, choice: &Choice) -> Vec<Ipv6Addr> {
    let advertised = facts.slaac.addresses.iter().map(|address| address.address);
    let leased = facts.dhcpv6.addresses.iter().map(|leased| leased.what);
    let mut addresses: Vec<Ipv6Addr> = facts.link_local.into_iter().chain(advertised).chain(leased).collect();
    addresses.extend(choice.uplink.own);
    addresses.extend(ends(facts, choice.plan.as_ref(), choice.end));
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

/// Those that are made of nothing that the user or a service says. Fixed ids, of cards too, are left out: that two have
/// one is likely where a machine was copied (RFC 4429 3.1).
fn optimistic(config: &Config, facts: &Facts) -> Vec<Ipv6Addr> {
    if config.wan.interface_id != InterfaceId::Stable {
        return Vec::new();
    }
    let advertised = facts.slaac.addresses.iter().map(|address| address.address);
    let delegated = facts.delegated_addresses.iter().flatten().copied();
    facts.link_local.into_iter().chain(advertised).chain(delegated).collect()
}

/// What DHCPv6 is for, by the configuration or the router's flags.
pub(super) fn dhcpv6_mode(config: &Config, facts: &Facts) -> Mode {
    let (mode, slaac) = (facts.dhcpv6.mode, &facts.slaac);
    match config.wan.dhcpv6.mode {
        Dhcpv6Mode::Off => Mode::Off,
        Dhcpv6Mode::Stateless => Mode::Stateless,
        Dhcpv6Mode::Stateful => Mode::Stateful,
        Dhcpv6Mode::Auto if slaac.managed => Mode::Stateful,
        // What the server gave is the server's to end, or ends with its time: RFC 2462 5.5.3 had M going off change
        // nothing, RFC 4862 is silent, and a router that drops the flag for one advertisement, or a second one without
        // it, must not cost the line its prefix.
        Dhcpv6Mode::Auto if mode.wants_leases() && facts.dhcpv6.has_leases() => mode,
        Dhcpv6Mode::Auto if slaac.other => Mode::Other,
        // In the same way what it told (resolvers, an AFTR, softwires) outlives an advertisement without the flag.
        Dhcpv6Mode::Auto if mode != Mode::Off && facts.dhcpv6.is_informed() => mode,
        // The last router's flags say nothing once it is gone; leases end by themselves.
        Dhcpv6Mode::Auto if slaac.routers.is_empty() => mode,
        Dhcpv6Mode::Auto => Mode::Off,
    }
}

/// What was chosen, if its end of the tunnel may be used.
fn wanted(facts: &Facts, choice: &Choice) -> Option<Carried> {
    let local = choice.end.filter(|&end| facts.may_use(end))?;
    choice.plan.clone().map(|plan| Carried { plan, local })
}

/// The same, once its session table is there. Until then what is carried goes on, but no longer than the line lets us have
/// its end.
fn softwire(facts: &Facts, choice: &Choice, wanted: Option<&Carried>) -> Option<Carried> {
    let is_there = |wanted: &&Carried| wanted.plan.outside.is_none_or(|outside| facts.tables.contains(&outside));
    let goes_on = facts.carried.as_ref().filter(|carried| choice.plan.is_some() && facts.may_use(carried.local));
    wanted.filter(is_there).or(goes_on).cloned()
}

#[cfg(test)]
mod tests;
