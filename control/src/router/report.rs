//! What `hikyaku show` is told.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use hikyaku_config::Pool;
use hikyaku_dataplane::counters::{Event, Totals, Volume};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::{BurstReport, Handle};
use hikyaku_net::{Mac, PortSet, Time};
use hikyaku_protocols::aftr;
use hikyaku_protocols::dhcpv4::LeaseView;
use hikyaku_protocols::dhcpv6::{Prefix, server};
use hikyaku_protocols::neighbour::{Neighbour, Progress};
use hikyaku_protocols::slaac::Lifetime;
use hikyaku_ring::{LinkId, Losses, Vlan};
use serde::Serialize;

use super::choose::Choice;
use super::facts::Facts;
use super::forwarding::NamesStatus;
use super::lan::Lan;
use super::sessions::{Walk, ports};
use super::{LinkFacts, Router, WAN};
use crate::show::report;
use crate::show::{Query, Request};

/// What the control thread's loop knows and the router does not.
pub struct Surroundings<'a> {
    /// The workers' handles, by worker.
    pub handles: &'a [Handle],
    /// By worker, where they are pinned.
    pub cores: &'a [usize],
    /// What bursts were like, by worker.
    pub bursts: &'a mut [BurstReport],
    /// How long turns take.
    pub control: report::Control,
    /// What the cards pass on, by link.
    pub heard: Vec<Option<&'static str>>,
    /// Bytes of the links' rings and buffers.
    pub memory: usize,
    /// How the forwarder of names of each LAN is doing.
    pub names: Vec<NamesStatus>,
    /// Of the configuration and the links.
    pub warnings: &'a [String],
}

impl Router {
    /// Answers a question of the control socket.
    pub fn answer(&mut self, now: Time, query: Query, around: Surroundings) {
        match query.request {
            Request::Status => query.reply.answer(self.status(now, around)),
            Request::Neighbours => {
                let (lans, wan) = (&self.machines.lans, &self.machines.wan);
                let of_lan = |lan: &Lan| OnLink {
                    lan: Some(lan.config.name.clone()),
                    link: lan.link.name.clone(),
                    entries: lan.neighbours.entries(now),
                    leases: lan.dhcpv4.as_ref().map(|server| server.leases(now)).unwrap_or_default(),
                    leases6: lan.dhcpv6.leases(now),
                };
                let mut links: Vec<OnLink> = lans.iter().map(of_lan).collect();
                let (link, entries) = (wan.link.name.clone(), wan.neighbours.entries(now));
                links.push(OnLink { link, entries, ..OnLink::default() });
                query.reply.answer_with(move || links.into_iter().flat_map(neighbours).collect::<Vec<_>>());
            }
            Request::Leases => {
                let of_lan = |lan: &Lan| {
                    let leases = lan.dhcpv4.as_ref().map(|server| server.leases(now)).unwrap_or_default();
                    let pool = lan.dhcpv4.as_ref().and(lan.config.dhcpv4.as_ref()).map(|config| config.pool);
                    (lan.config.name.clone(), pool, leases, lan.dhcpv6.leases(now))
                };
                let lans: Vec<_> = self.machines.lans.iter().map(of_lan).collect();
                query.reply.answer_with(move || {
                    let mut lans = lans.into_iter().map(|(lan, pool, leases, ipv6)| leases_of(lan, pool, leases, ipv6));
                    let first = lans.next().unwrap_or_default();
                    report::Leases { other_lans: lans.collect(), ..first }
                });
            }
            Request::Route => query.reply.answer(self.routes()),
            Request::Rules => query.reply.answer(self.machines.rules.report(&self.config)),
            Request::Links => query.reply.answer(self.links(around.handles)),
            Request::Counters => query.reply.answer(self.counters(&around)),
            Request::Ports => match self.machines.tunnel.napt() {
                Some(napt) => query.reply.answer(ports(napt)),
                None => query.reply.refuse(NOT_TRANSLATED),
            },
            Request::Sessions(filter) => match self.machines.tunnel.napt() {
                Some(napt) => query.reply.stream(Walk::new(napt.clone(), self.shared.clock.clone(), filter)),
                None => query.reply.refuse(NOT_TRANSLATED),
            },
        }
    }

    /// The state of line, service, both sides, table and workers, as `hikyaku show status` has it.
    pub fn status(&self, now: Time, around: Surroundings) -> report::Status {
        let facts = self.machines.gather(now);
        let heard = |link: LinkId| around.heard.get(link.index()).copied().flatten().map(String::from);
        let totals = totals(around.handles);
        let lans = self.machines.lans.iter().enumerate().map(|(at, lan)| report::Lan {
            heard: heard(lan.id),
            names: lan.config.dns.as_ref().and(around.names.get(at)).map(names),
            ..self.lan_status(lan, now, &totals)
        });
        let mut lans: Vec<report::Lan> = lans.collect();
        let other_lans = lans.split_off(1);
        let state = report::State {
            name: name_of(&self.state),
            text: self.state.to_string(),
            since_seconds: now.since(self.since).as_secs(),
        };
        let stats = self.machines.tunnel.napt().map(|napt| napt.stats());
        report::Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_seconds: now.since(self.started).as_secs(),
            line: state.clone(),
            wan: report::Wan { heard: heard(WAN), ..self.wan_status(&facts, &totals) },
            service: self.service_status(&facts, state),
            notification: self.machines.notice.as_ref().map(|notice| notification(&notice.machine.status(now))),
            provisioning: self.machines.provisioning.as_ref().map(|provisioning| {
                let status = provisioning.machine.status(now);
                report::Provisioning { text: status.to_string(), state: name_of(&status.state) }
            }),
            lan: lans.remove(0),
            other_lans,
            sessions: stats.map(|stats| report::SessionTotals {
                live: stats.live.into(),
                capacity: stats.capacity.into(),
                opened: stats.created,
                expired: stats.expired,
            }),
            warnings: around.warnings.iter().cloned().chain(self.standing(now)).chain(self.warnings(&facts)).collect(),
            control: around.control.clone(),
            memory: report::Memory {
                links: around.memory,
                sessions: self.machines.tunnel.napt().map(|napt| napt.bytes()),
                filter: self.machines.filter.get().map(|filter| filter.bytes()),
            },
            workers: workers(around),
        }
    }

    fn service_status(&self, facts: &Facts, state: report::State) -> report::Service {
        let (config, carried) = (&self.config.service, facts.carried.as_ref());
        let (tunnel, far) = (&self.machines.tunnel, &self.machines.far);
        let outside = carried.and_then(|carried| carried.plan.outside);
        let mtu = facts.slaac.mtu;
        report::Service {
            name: config.wish.name.text().into(),
            kind: carried.map(|carried| carried.plan.technology.name().into()),
            found_by: self.choice.decision.steps.clone(),
            state: report::State { text: service_text(facts, &self.choice), ..state },
            local: carried.map(|carried| carried.local),
            remote: facts.far.address,
            aftr_name: match &facts.far.state {
                aftr::State::Using { name, .. } => name.clone(),
                _ => None,
            },
            ipv4: outside.map(|outside| outside.ipv4),
            psid: outside.filter(|outside| outside.ports != PortSet::ALL).map(|outside| outside.ports.psid()),
            ports: outside.map(|outside| outside.ports.len()),
            mesh: tunnel.mesh.is_some(),
            tunnel_mtu: config.mtu.inner_mtu(mtu),
            path_mtu: Some(far.path.path_mtu(facts.now, mtu)),
            last_packet_seconds: far.heard().map(|heard| facts.now.since(heard).as_secs()),
            refused: far.path.refused(),
        }
    }

    fn lan_status(&self, lan: &Lan, now: Time, totals: &Totals) -> report::Lan {
        let (received, sent) = volumes(totals, lan.id);
        report::Lan {
            name: lan.config.name.clone(),
            link: lan.link.name.clone(),
            mode: lan.link.mode.clone(),
            heard: None,
            names: None,
            vlan: lan.link.vlan.map(Vlan::id),
            mac: lan.link.mac.to_string(),
            mtu: lan.config.mtu,
            up: lan.up,
            lost: self.losses[lan.id.index()].frames(),
            received,
            sent,
            ipv4: lan.config.ipv4.to_string(),
            leases: lan.dhcpv4.as_ref().map(|server| server.addresses_in_use()),
            addresses: lan
                .neighbours
                .ours()
                .into_iter()
                .filter(|ours| ours.address.is_ipv6())
                .map(lan_address)
                .collect(),
            prefixes: lan.advertiser.prefixes(now).into_iter().map(lan_prefix).collect(),
            is_default_router: lan.advertiser.is_default_router(),
        }
    }

    fn wan_status(&self, facts: &Facts, totals: &Totals) -> report::Wan {
        let (received, sent) = volumes(totals, WAN);
        let wan = &self.machines.wan;
        report::Wan {
            link: wan.link.name.clone(),
            mode: wan.link.mode.clone(),
            heard: None,
            vlan: wan.link.vlan.map(Vlan::id),
            mac: wan.link.mac.to_string(),
            mtu: facts.slaac.mtu,
            up: wan.up,
            lost: self.losses[WAN.index()].frames(),
            received,
            sent,
            addresses: wan.neighbours.ours().into_iter().map(|ours| address(ours, facts)).collect(),
            prefixes: prefixes(facts),
            routers: facts.slaac.routers.iter().map(|router| self.router(router)).collect(),
            resolvers: self.choice.uplink.resolvers.clone(),
        }
    }

    fn router(&self, router: &hikyaku_protocols::slaac::Router) -> report::Router {
        let known = self.machines.wan.neighbours.get(router.address.into());
        report::Router {
            address: router.address,
            mac: known.map(|mac| mac.to_string()),
            state: if router.unreachable { "unreachable".into() } else { "reachable".into() },
            lifetime_seconds: seconds(router.lifetime).unwrap_or(u64::MAX),
        }
    }

    fn warnings(&self, facts: &Facts) -> Vec<String> {
        let mut warnings = self.machines.tunnel.unusable.clone();
        let taken = |lan: &Lan| Some((lan.taken?, lan.address(), self.said_of(lan)));
        warnings.extend(self.machines.lans.iter().filter_map(taken).map(|(mac, address, of)| {
            format!(
                "{of}our LAN address {address} is in use by the station {mac}: until it is ours no host has a router or DHCPv4 from us; \
                 remove it there, or give us another with [lan] ipv4"
            )
        }));
        let dhcpv6 = &facts.dhcpv6;
        warnings.extend(dhcpv6.refused.iter().chain(&dhcpv6.flaws).map(ToString::to_string));
        if let Some(why) = dhcpv6.ignored.filter(|_| !dhcpv6.is_informed()) {
            warnings.push(format!("what answers our DHCPv6 messages is ignored: {why}"));
        }
        let refused = self.machines.far.path.refused();
        if refused > 0 {
            warnings.push(format!(
                "the border router's side refused our address {refused} times (ICMPv6 unreachable, code 5): does it know \
                 that we are at {}?",
                facts.carried.as_ref().map_or("no address".into(), |carried| carried.local.to_string())
            ));
        }
        warnings
    }

    /// All links, the line's first.
    fn links(&self, handles: &[Handle]) -> Vec<report::Link> {
        let totals = totals(handles);
        let one = |side: &str, id: LinkId, facts: &LinkFacts, up| {
            let (received, sent) = volumes(&totals, id);
            let (link, mode) = (facts.name.clone(), facts.mode.clone());
            report::Link { side: side.into(), link, mode, up, received, sent, lost: lost(&self.losses[id.index()]) }
        };
        let (lans, wan) = (&self.machines.lans, &self.machines.wan);
        let lans = lans.iter().map(|lan| one(&lan.config.name, lan.id, &lan.link, lan.up));
        [one("wan", WAN, &wan.link, wan.up)].into_iter().chain(lans).collect()
    }

    fn counters(&self, around: &Surroundings) -> report::Counters {
        let totals = totals(around.handles);
        let (lans, wan) = (&self.machines.lans, &self.machines.wan);
        let mut control = BTreeMap::new();
        let mut machine = |name: &str, counts: BTreeMap<String, u64>| control.insert(name.to_string(), counts);
        let frames_lost = ("frames-lost".to_string(), self.machines.frames.lost);
        let mut unread = BTreeMap::from([("wan".to_string(), wan.unread), frames_lost]);
        for (at, lan) in lans.iter().enumerate() {
            let name = &lan.config.name;
            // Of the first LAN they are called as on a router with one.
            let of = |machine: &str| if at == 0 { machine.to_string() } else { format!("{machine} {name}") };
            machine(&format!("neighbour {name}"), counted(lan.neighbours.counts()));
            machine(&format!("echo {name}"), counted(&lan.echo.counts));
            machine(&format!("dhcpv6 {name}"), counted(&lan.dhcpv6.counts));
            machine(&format!("link {name}"), lost(&self.losses[lan.id.index()]));
            machine(&of("advertiser"), counted(&lan.advertiser.counts));
            machine(&of("forwarder"), around.names.get(at).map(|names| counted(&names.counts)).unwrap_or_default());
            if let Some(server) = &lan.dhcpv4 {
                machine(&of("dhcpv4"), counted(&server.counts));
            }
            unread.insert(name.clone(), lan.unread);
        }
        machine("neighbour wan", counted(wan.neighbours.counts()));
        machine("echo wan", counted(&wan.echo.counts));
        machine("link wan", lost(&self.losses[WAN.index()]));
        machine("line", counted(&wan.slaac.counts));
        machine("dhcpv6", counted(&wan.dhcpv6.counts));
        machine("names", counted(wan.resolver.counts()));
        machine("stack", counted(&wan.sockets.counts));
        machine("nd proxy", counted(&self.machines.nd_proxy.counts));
        machine("unread", unread);
        report::Counters {
            received: totals.received(),
            held: totals.held,
            verdicts: Verdict::all()
                .map(|v| (v.name().to_string(), totals.verdict(v)))
                .filter(|&(_, n)| n > 0)
                .collect(),
            events: Event::ALL
                .iter()
                .map(|&e| (e.name().to_string(), totals.event(e)))
                .filter(|&(_, n)| n > 0)
                .collect(),
            control,
        }
    }
}

fn names(status: &NamesStatus) -> report::Names {
    let NamesStatus { counts, servers, kept: (answers, bytes), open } = status;
    let server = |&(address, answers)| report::NameServer { address, answers };
    report::Names {
        servers: servers.iter().map(server).collect(),
        questions: counts.questions,
        local: counts.local,
        from_cache: counts.from_cache,
        unanswered: counts.unanswered,
        rebinding: counts.rebinding,
        open: *open,
        kept: *answers,
        kept_bytes: *bytes,
    }
}

/// Who is on a link, and what they have.
#[derive(Default)]
struct OnLink {
    /// `None`: it is the line's.
    lan: Option<String>,
    link: String,
    entries: Vec<Neighbour>,
    leases: Vec<LeaseView>,
    leases6: Vec<server::LeaseView>,
}

/// By address, with the names that stations give when they ask for a lease.
fn neighbours(on: OnLink) -> Vec<report::Neighbour> {
    let OnLink { lan, link, mut entries, leases, leases6 } = on;
    let ipv4 = leases.into_iter().filter_map(|lease| Some((lease.mac?, lease.hostname?)));
    let ipv6 = leases6.into_iter().filter_map(|lease| Some((lease.mac, lease.hostname?)));
    let names: HashMap<Mac, Arc<str>> = ipv6.chain(ipv4).collect();
    entries.sort_unstable_by_key(|entry| entry.address);
    let named = |mac: Option<Mac>| Some(names.get(&mac?)?.to_string());
    let one = |entry: Neighbour| report::Neighbour {
        name: named(entry.mac),
        lan: lan.clone(),
        link: link.clone(),
        address: entry.address,
        mac: entry.mac.map(|mac| mac.to_string()),
        state: name_of(&entry.state),
        age_seconds: Some(entry.age),
    };
    entries.into_iter().map(one).collect()
}

fn leases_of(lan: String, pool: Option<Pool>, leases: Vec<LeaseView>, ipv6: Vec<server::LeaseView>) -> report::Leases {
    let lease6 = |lease: server::LeaseView| report::Lease6 {
        leases: lease.leases.iter().map(server::lease_text).collect(),
        mac: lease.mac.to_string(),
        duid: lease.duid.to_string(),
        name: lease.hostname.map(|name| name.to_string()),
        expires_seconds: lease.left,
    };
    let one = |lease: LeaseView| report::Lease {
        address: lease.address,
        mac: lease.mac.map_or(String::new(), |mac| mac.to_string()),
        name: lease.hostname.map(|name| name.to_string()),
        state: name_of(&lease.standing),
        expires_seconds: Some(lease.left),
    };
    report::Leases {
        lan,
        other_lans: Vec::new(),
        pool: pool.map(|pool| pool.to_string()),
        pool_size: pool.map_or(0, |pool| pool.size()),
        leases: leases.into_iter().map(one).collect(),
        ipv6: ipv6.into_iter().map(lease6).collect(),
    }
}

/// What all workers counted.
fn totals(handles: &[Handle]) -> Totals {
    let mut totals = Totals::default();
    handles.iter().for_each(|handle| totals.add(&handle.counters.totals()));
    totals
}

/// What was received from a link, and sent.
fn volumes(totals: &Totals, link: LinkId) -> (report::Volume, report::Volume) {
    let volume = |Volume { frames, bytes }| report::Volume { frames, bytes };
    let traffic = totals.link(link);
    (volume(traffic.received), volume(traffic.sent))
}

fn lost(losses: &Losses) -> BTreeMap<String, u64> {
    losses.named().into_iter().filter(|&(_, n)| n > 0).map(|(name, n)| (name.to_string(), n)).collect()
}

/// What the service is waiting for, or up with.
fn service_text(facts: &Facts, choice: &Choice) -> String {
    let decision = &choice.decision;
    match (&choice.plan, &decision.plan) {
        (None, _) if decision.is_waiting() => "it is being found out what the line has".into(),
        (None, _) if decision.steps.is_empty() => "nothing is known of it yet".into(),
        (None, _) => "the line has nothing, as far as could be found out; it is asked again".into(),
        (Some(_), None) => format!("{}; kept, for nobody says otherwise", facts.far.state),
        (Some(_), Some(_)) => facts.far.state.to_string(),
    }
}

fn address(ours: hikyaku_protocols::neighbour::Ours, facts: &Facts) -> report::Address {
    let advertised = facts.slaac.addresses.iter().find(|address| IpAddr::V6(address.address) == ours.address);
    let state = match (ours.progress, advertised) {
        (Progress::Ready, Some(address)) if address.deprecated => "deprecated",
        (Progress::Ready, _) => "preferred",
        (Progress::Duplicate, _) => "duplicate",
        (Progress::Tentative, _) => "tentative",
        (Progress::Optimistic, _) => "optimistic",
    };
    let role = match ours.address {
        address if facts.carried.as_ref().map(|carried| IpAddr::V6(carried.local)) == Some(address) => "tunnel",
        IpAddr::V6(address) if address.is_unicast_link_local() => "link-local",
        IpAddr::V6(address) if is_leased(address, facts) => "dhcpv6",
        _ => "slaac",
    };
    report::Address {
        address: ours.address,
        state: state.into(),
        role: role.into(),
        valid_seconds: advertised.and_then(|address| seconds(address.valid)),
    }
}

fn lan_address(ours: hikyaku_protocols::neighbour::Ours) -> report::Address {
    let is_link_local = matches!(ours.address, IpAddr::V6(address) if address.is_unicast_link_local());
    report::Address {
        address: ours.address,
        state: if ours.progress == Progress::Ready { "preferred".into() } else { name_of(&ours.progress) },
        role: if is_link_local { "link-local".into() } else { "lan".into() },
        valid_seconds: None,
    }
}

fn lan_prefix(known: hikyaku_protocols::advertiser::Known) -> report::Prefix {
    report::Prefix {
        prefix: known.prefix.to_string(),
        source: if known.withdrawn { "withdrawn".into() } else { "advertised".into() },
        preferred_seconds: Some(known.preferred.into()),
        valid_seconds: Some(known.valid.into()),
    }
}

/// Whether it is an address of DHCPv6's, or in a prefix of DHCPv6's.
fn is_leased(address: Ipv6Addr, facts: &Facts) -> bool {
    let in_prefix = |prefix: &Prefix| {
        let mask = u128::MAX.checked_shl(128 - u32::from(prefix.len())).unwrap_or_default();
        (address.to_bits() ^ prefix.address().to_bits()) & mask == 0
    };
    facts.dhcpv6.addresses.iter().any(|leased| leased.what == address)
        || facts.dhcpv6.prefixes.iter().any(|leased| in_prefix(&leased.what))
}

fn prefixes(facts: &Facts) -> Vec<report::Prefix> {
    let advertised = facts.slaac.prefixes.iter().map(|prefix| report::Prefix {
        prefix: format!("{}/{}", prefix.prefix, prefix.length),
        source: "ra".into(),
        preferred_seconds: seconds(prefix.preferred),
        valid_seconds: seconds(prefix.valid),
    });
    let delegated = facts.dhcpv6.prefixes.iter().map(|leased| report::Prefix {
        prefix: leased.what.to_string(),
        source: "dhcpv6-pd".into(),
        preferred_seconds: leased.preferred,
        valid_seconds: leased.valid,
    });
    advertised.chain(delegated).collect()
}

fn notification(status: &hikyaku_protocols::notification::Status) -> report::Notification {
    report::Notification {
        dialect: status.service.to_string(),
        state: report::State { name: name_of(&status.state), text: status.to_string(), since_seconds: 0 },
        last_success_seconds: status.last_success,
        next_seconds: status.next_attempt,
    }
}

fn workers(around: Surroundings) -> Vec<report::Worker> {
    let one = |(id, (handle, bursts)): (usize, (&Handle, &mut BurstReport))| {
        bursts.refresh();
        let (frames, nanoseconds) = (&bursts.frames, &bursts.nanoseconds);
        let totals = handle.counters.totals();
        report::Worker {
            id,
            core: around.cores.get(id).copied(),
            frames: totals.received() + totals.event(Event::HandoffReceived),
            dropped: totals.dropped(),
            burst_frames_p50: frames.value_at_quantile(0.5),
            burst_frames_p99: frames.value_at_quantile(0.99),
            burst_ns_p50: nanoseconds.value_at_quantile(0.5),
            burst_ns_p99: nanoseconds.value_at_quantile(0.99),
        }
    };
    around.handles.iter().zip(around.bursts).enumerate().map(one).collect()
}

fn seconds(lifetime: Lifetime) -> Option<u64> {
    match lifetime {
        Lifetime::Seconds(seconds) => Some(seconds.into()),
        Lifetime::Forever => None,
    }
}

/// The word that stands for a state in JSON.
pub(super) fn name_of(state: &impl Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(serde_json::Value::Object(fields)) => {
            fields.get("state").and_then(|name| name.as_str()).unwrap_or_default().to_string()
        }
        _ => String::new(),
    }
}

/// A machine's counts by their names.
fn counted(counts: &impl Serialize) -> BTreeMap<String, u64> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(counts) else { return BTreeMap::new() };
    fields
        .into_iter()
        .filter_map(|(name, n)| Some((name.replace('_', "-"), n.as_u64()?)))
        .filter(|&(_, n)| n > 0)
        .collect()
}

/// Why there are neither sessions nor ports.
const NOT_TRANSLATED: &str =
    "nothing is translated here: no service is in use yet, or it is DS-Lite, whose far end translates";
