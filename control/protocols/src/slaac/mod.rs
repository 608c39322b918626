//! The line's routers: router solicitation and advertisements, prefixes, SLAAC.
//!
//! The host side of RFC 4861 6.3, 4862 5.5, 8106, 4191 (a host of type C) and 7559. Duplicate address
//! detection and neighbour unreachability detection are done elsewhere and told to [`Slaac`].
//!
//! [`Advertisement::parse`] takes any bytes and is what to fuzz; `Slaac::handle_input` on top of it holds state of
//! bounded size.
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::slaac::{Config, InterfaceId, Output, Slaac};
//!
//! let mac = Mac([2, 0, 0, 0, 0, 1]);
//! let mut line = Slaac::new(Config { mac, mtu: 1500, interface_id: InterfaceId::Eui64(mac) });
//! line.link_up(Time(0), None);
//! let now = line.poll_timeout().unwrap(); // after a short random delay (RFC 4861 6.3.7)
//! let Some(Output::Send(packet)) = line.drive(now) else { panic!("nothing to send") };
//! assert_eq!(packet[40], 133, "a router solicitation");
//! // What comes in goes to `line.handle_input(now, &packet)`; then `line.facts(now)` has routers and addresses.
//! assert!(line.facts(now).routers.is_empty());
//! ```

mod advertisement;
mod event;
mod facts;
mod interface_id;
mod kept;
mod lifetime;
mod prefixes;
mod routers;
mod solicit;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};
use serde::Serialize;

pub use crate::router_discovery::Refusal;
pub use advertisement::{
    Advertisement, MAX_DOMAINS, MAX_PREFIXES, MAX_RESOLVERS, MAX_ROUTES, Preference, PrefixOption, RouteOption,
};
pub use event::Event;
pub use facts::{Address, Announced, Facts, Prefix, Resolver, Route, Router, SearchDomain};
pub use interface_id::{InterfaceId, Token, TokenError};
pub use lifetime::Lifetime;
pub use routers::{MAX_ROUTERS, Standing};

use crate::Machine;
use kept::Kept;
use prefixes::Prefixes;
use routers::{Parameters, Routers};
use solicit::Solicitor;

/// RFC 8200 5: no link carries less.
const MIN_MTU: u16 = 1280;
/// RFC 4861 10, and what a router leaves open (RFC 1700's default TTL).
const REACHABLE_TIME: Duration = Duration::from_secs(30);
const RETRANS_TIMER: Duration = Duration::from_secs(1);
const HOP_LIMIT: u8 = 64;

/// How our end of the line is.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our Ethernet address: it is in solicitations, and EUI-64 ids are made of it.
    pub mac: Mac,
    /// Largest IP packet of the link, bytes; routers may say less.
    pub mtu: u16,
    /// How the lower 64 bits of addresses are made.
    pub interface_id: InterfaceId,
}

/// What the machine wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this IPv6 packet to the line.
    Send(Vec<u8>),
    /// Something in [`Slaac::facts`] is other than before, besides the seconds that are left. Lifetimes
    /// that an advertisement renewed are no change.
    Changed,
    /// Something happened that is worth a line in the log.
    Event(Event),
    /// This router, which may have been taken for dead, was heard, and says that its Ethernet address is this
    /// (RFC 4861 6.3.4).
    Heard(Ipv6Addr, Mac),
}

/// Solicitations, advertisements, and what was wrong with these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Router solicitations that were sent.
    pub solicitations: u64,
    /// Router advertisements that were taken.
    pub advertisements: u64,
    /// Packets that were none, or not to be believed ([`Refusal`]).
    pub refused: u64,
    /// Options of advertisements left out: wrong length, senseless value, or too many.
    pub options_ignored: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ResolverKey {
    address: Ipv6Addr,
    router: Ipv6Addr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct RouteKey {
    prefix: Ipv6Addr,
    length: u8,
    router: Ipv6Addr,
    preference: Preference,
}

/// The host side of router discovery and address autoconfiguration on one link.
#[derive(Debug)]
pub struct Slaac {
    config: Config,
    link_up: bool,
    /// Ours, if duplicate address detection let it pass.
    link_local: Option<Ipv6Addr>,
    solicitor: Solicitor,
    routers: Routers,
    /// Of the last advertisement, for when no router is left.
    last: Parameters,
    prefixes: Prefixes,
    routes: Kept<RouteKey>,
    resolvers: Kept<ResolverKey>,
    /// Each with the router that said it.
    domains: Kept<(String, Ipv6Addr)>,
    /// No router, or none that answers: what [`Self::settle`] saw last.
    lost: bool,
    /// The router's lifetime was about to end at this moment, and it was asked for.
    asked_late: Option<Time>,
    /// As last told by [`Output::Changed`].
    told: Facts,
    /// When [`Self::settle`] ran last.
    settled: Time,
    mtu_refused: Option<(Ipv6Addr, u32)>,
    outputs: VecDeque<Output>,
    /// Solicitations, advertisements, and what was wrong with these.
    pub counts: Counts,
    /// Why the last packet that was refused was refused.
    pub last_refusal: Option<Refusal>,
}

impl Slaac {
    /// A host that knows no router, and is silent until [`Self::link_up`].
    pub fn new(config: Config) -> Self {
        let told = Facts {
            routers: Vec::new(),
            managed: false,
            other: false,
            prefixes: Vec::new(),
            addresses: Vec::new(),
            routes: Vec::new(),
            mtu: config.mtu,
            hop_limit: HOP_LIMIT,
            reachable_time: REACHABLE_TIME,
            retrans_timer: RETRANS_TIMER,
            rdnss: Vec::new(),
            dnssl: Vec::new(),
        };
        Self {
            config,
            link_up: false,
            link_local: None,
            solicitor: Solicitor::default(),
            routers: Routers::default(),
            last: Parameters::default(),
            prefixes: Prefixes::default(),
            routes: Kept::new(MAX_ROUTES),
            resolvers: Kept::new(MAX_RESOLVERS),
            domains: Kept::new(MAX_DOMAINS),
            lost: true,
            asked_late: None,
            told,
            settled: Time::default(),
            mtu_refused: None,
            outputs: VecDeque::new(),
            counts: Counts::default(),
            last_refusal: None,
        }
    }

    /// The link carries packets (again). `link_local` is our address if it is known to be nobody else's;
    /// without it solicitations come from `::`. Call it again when it is ready. What was known stays: a
    /// cable that was out for a second ends nothing; routers are asked anew.
    pub fn link_up(&mut self, now: Time, link_local: Option<Ipv6Addr>) {
        let (again, before) = (self.link_up, self.link_local);
        (self.link_up, self.link_local) = (true, link_local);
        // A question from `::` is answered to all, which a router does every three seconds at most (RFC 4861 6.2.6), and
        // some not at all: it is asked once more from an address that it can answer to. While the first waits to be sent,
        // or was answered, there is no need.
        match again {
            false => self.solicitor.start(now),
            true if before.is_none() && link_local.is_some() && self.solicitor.is_waiting() => self.solicit(now),
            true => {}
        }
    }

    /// Nothing can be sent; lifetimes go on.
    pub fn link_down(&mut self, now: Time) {
        self.link_up = false;
        self.solicitor.stop();
        self.prefixes.link_down(now);
    }

    /// Asks for advertisements now, whatever is known: the line may be another (RFC 4861 6.3.7).
    pub fn solicit(&mut self, now: Time) {
        if self.link_up {
            self.solicitor.start_at_once(now);
        }
    }

    /// The router that is to be used, as long as it may be reachable, whatever others say of themselves.
    pub fn set_router(&mut self, now: Time, router: Option<Ipv6Addr>) {
        if self.routers.chosen != router {
            self.routers.chosen = router;
            self.settle(now);
        }
    }

    /// An IPv6 packet came in on the line.
    pub fn handle_input(&mut self, now: Time, packet: &[u8]) {
        match Advertisement::parse(packet) {
            Ok(heard) => self.handle_advertisement(now, &heard),
            Err(refusal) => {
                self.counts.refused += 1;
                self.last_refusal = Some(refusal);
            }
        }
    }

    fn handle_advertisement(&mut self, now: Time, heard: &Advertisement) {
        self.settle(now);
        self.counts.advertisements += 1;
        self.counts.options_ignored += u64::from(heard.ignored);
        let mut heard = heard.clone();
        if let Some(mtu) = heard.mtu.take_if(|mtu| !self.mtu_range().contains(mtu)) {
            self.counts.options_ignored += 1;
            let router = heard.router;
            if self.mtu_refused.replace((router, mtu)) != Some((router, mtu)) {
                self.event(Event::MtuRefused { router, mtu, most: self.config.mtu });
            }
        }
        self.handle_router(now, &heard);
        self.last.learn(&heard);
        let Self { routers, outputs, .. } = self;
        let standing = |router| routers.standing(router);
        let mut event = |e| outputs.push_back(Output::Event(e));
        let router = heard.router;
        self.prefixes.learn(now, router, &heard.prefixes, standing, &mut event);
        for &RouteOption { prefix, length, preference, lifetime } in heard.routes.iter().filter(|r| r.length > 0) {
            let key = RouteKey { prefix, length, router, preference };
            let same = |k: &RouteKey| (k.prefix, k.length, k.router) == (prefix, length, router);
            self.routes.learn(now, key, lifetime, same, |route| standing(route.router));
        }
        for &(address, lifetime) in &heard.resolvers {
            let key = ResolverKey { address, router };
            self.resolvers.learn(now, key.clone(), lifetime, |kept| *kept == key, |kept| standing(kept.router));
        }
        for (domain, lifetime) in &heard.domains {
            let same = |kept: &(String, Ipv6Addr)| kept.0.eq_ignore_ascii_case(domain) && kept.1 == router;
            self.domains.learn(now, (domain.clone(), router), *lifetime, same, |kept| standing(kept.1));
        }
        if let Some(mac) = heard.mac {
            outputs.push_back(Output::Heard(router, mac));
        }
        self.settle(now);
    }

    fn handle_router(&mut self, now: Time, heard: &Advertisement) {
        // RFC 4191 3.1: a route to ::/0 overrides lifetime and preference of the header.
        let header = (heard.preference, Lifetime::Seconds(heard.lifetime.into()));
        let default = heard.routes.iter().rfind(|r| r.length == 0).map(|r| (r.preference, r.lifetime));
        let (preference, lifetime) = default.unwrap_or(header);
        let address = heard.router;
        let (is_new, gone) = self.routers.learn(now, heard, preference, lifetime.end(now));
        match gone {
            Some(address) if lifetime.is_zero() => self.event(Event::RouterWithdrawn { address }),
            Some(address) => self.event(Event::RouterForgotten { address }),
            None => {}
        }
        if is_new {
            self.event(Event::RouterFound { address });
        }
        // RFC 7559 2: only an advertisement that gives a default router is an answer.
        if !lifetime.is_zero() {
            self.solicitor.stop();
        }
    }

    /// Neighbour unreachability detection: `router` does not answer. Another one is used, if there is one.
    pub fn unreachable(&mut self, now: Time, router: Ipv6Addr) {
        self.routers.unreachable(now, router);
        self.settle(now);
    }

    /// Neighbour unreachability detection: `router` answers, or does so again.
    pub fn reachable(&mut self, now: Time, router: Ipv6Addr) {
        self.routers.reachable(router);
        self.settle(now);
    }

    /// Until when addresses in the prefix of `address` may be used (RFC 4862 5.5.4); `None`: it is in no prefix of the link.
    pub fn valid_until(&self, address: Ipv6Addr) -> Option<Time> {
        self.prefixes.valid_until(address, |router| self.routers.standing(router))
    }

    /// Whether `router` is a default router that does not answer.
    pub fn is_dead(&self, router: Ipv6Addr) -> bool {
        self.routers.standing(router) == Standing::Dead
    }

    /// A neighbour advertisement of `router` has no router flag any more (RFC 4861 7.2.5).
    pub fn no_router(&mut self, now: Time, router: Ipv6Addr) {
        if self.routers.remove(router) {
            self.event(Event::RouterWithdrawn { address: router });
        }
        self.settle(now);
    }

    /// Duplicate address detection: somebody else has `address`.
    pub fn duplicate(&mut self, now: Time, address: Ipv6Addr) {
        let outputs = &mut self.outputs;
        let mut event = |e| outputs.push_back(Output::Event(e));
        self.prefixes.duplicate(now, address, &self.config.interface_id, &mut event);
        self.settle(now);
    }

    /// The default routers, the one that is used first; none has ended as of the last event or timeout.
    pub fn routers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.routers.sorted().into_iter().map(|router| router.address)
    }

    /// All that routers have said and that still holds at `now`.
    pub fn facts(&self, now: Time) -> Facts {
        self.facts_with(now, |end| Lifetime::left(end, now))
    }

    /// Where a packet goes: its destination itself if that is on the link, else a router.
    pub fn next_hop(&self, destination: Ipv6Addr) -> Option<Ipv6Addr> {
        // What others than the router in use say to be on the link would take packets off their way.
        let in_use = self.routers.best().map(|r| r.address);
        let is_on_link = || self.prefixes.is_on_link(destination, |router| in_use.is_none_or(|used| used == router));
        if destination.is_unicast_link_local() || destination.is_multicast() || is_on_link() {
            return Some(destination);
        }
        // RFC 4191 3.2: the longest prefix with a router that may be reachable, then preference.
        let matching = self.routes.iter().map(|(route, _)| route);
        let matching = matching.filter(|r| advertisement::masked(destination, r.length) == Some(r.prefix));
        let usable = matching.filter(|r| self.routers.standing(r.router) != Standing::Dead);
        let special = usable.max_by_key(|r| (r.length, r.preference)).map(|r| r.router);
        special.or(in_use)
    }

    fn mtu_range(&self) -> std::ops::RangeInclusive<u32> {
        MIN_MTU.into()..=self.config.mtu.into()
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Ends what is over at `now`, asks for routers if the last one was lost, and says what changed.
    fn settle(&mut self, now: Time) {
        self.settled = now;
        for address in self.routers.expire(now) {
            self.event(Event::RouterExpired { address });
        }
        let Self { routers, outputs, .. } = self;
        let mut event = |e| outputs.push_back(Output::Event(e));
        self.prefixes.expire(now, &self.config.interface_id, |router| routers.standing(router), &mut event);
        self.routes.expire(now);
        self.resolvers.expire(now);
        self.domains.expire(now);

        let lost = self.routers.best().is_none_or(routers::Entry::is_dead);
        // At the moment of the loss only: a dead router's advertisements must not make us ask again each time.
        if lost && !self.lost && self.link_up {
            self.solicitor.start(now);
        }
        self.lost = lost;
        // Once for each lifetime: then solicitations go on by themselves.
        let late = self.routers.best().and_then(routers::Entry::late_at);
        if late.is_some_and(|at| at <= now) && late != self.asked_late && self.link_up {
            self.asked_late = late;
            self.solicitor.start(now);
        }

        let facts = self.facts_with(now, |end| if end > now { Lifetime::Forever } else { Lifetime::Seconds(0) });
        if facts == self.told {
            return;
        }
        let old = std::mem::replace(&mut self.told, facts);
        let new = &self.told;
        let mut events = Vec::new();
        if old.default_router() != new.default_router() {
            events.push(Event::RouterInUse { address: new.default_router() });
        }
        if (old.managed, old.other) != (new.managed, new.other) {
            events.push(Event::Flags { managed: new.managed, other: new.other });
        }
        if old.mtu != new.mtu {
            events.push(Event::Mtu { old: old.mtu, new: new.mtu });
        }
        self.outputs.extend(events.into_iter().map(Output::Event));
        // One is enough, however much happened before somebody asked.
        if !self.outputs.contains(&Output::Changed) {
            self.outputs.push_back(Output::Changed);
        }
    }

    fn facts_with(&self, now: Time, left: impl Fn(Time) -> Lifetime + Copy) -> Facts {
        let routers = self.routers.sorted();
        let parameters = routers.first().map_or(self.last, |r| r.parameters);
        let standing = |router| self.routers.standing(router);
        let prefixes = self.prefixes.sorted(now, standing);
        let address = |e: &&prefixes::Entry| {
            let (preferred, valid) = e.announcer(standing).autonomous?;
            Some(Address {
                address: e.address()?,
                deprecated: e.is_deprecated(now, standing),
                preferred: left(preferred),
                valid: left(valid),
            })
        };
        let prefix = |e: &&prefixes::Entry| {
            let announcer = e.announcer(standing);
            let mut all: Vec<_> = e.announcers().iter().map(|announcer| announcer.router).collect();
            all.sort_by_key(|&router| (standing(router), router != announcer.router));
            Prefix {
                prefix: e.prefix,
                length: e.length,
                routers: all,
                announced: announcer.announced(now),
                on_link: announcer.on_link.is_some(),
                autonomous: announcer.autonomous.is_some(),
                address: e.address(),
                deprecated: e.is_deprecated(now, standing),
                preferred: left(announcer.autonomous.map_or(announcer.end(), |(preferred, _)| preferred)),
                valid: left(announcer.end()),
            }
        };
        Facts {
            addresses: prefixes.iter().filter_map(address).collect(),
            routers: routers
                .iter()
                .map(|r| Router {
                    address: r.address,
                    mac: r.mac,
                    preference: r.preference,
                    lifetime: left(r.end),
                    unreachable: r.is_dead(),
                })
                .collect(),
            managed: parameters.managed,
            other: parameters.other,
            prefixes: prefixes.iter().map(prefix).collect(),
            routes: self
                .routes
                .iter()
                .map(|(route, end)| Route {
                    prefix: route.prefix,
                    length: route.length,
                    router: route.router,
                    preference: route.preference,
                    lifetime: left(end),
                })
                .collect(),
            mtu: parameters.mtu.map_or(self.config.mtu, |mtu| mtu as u16),
            hop_limit: parameters.hop_limit.unwrap_or(HOP_LIMIT),
            reachable_time: parameters.reachable_time.unwrap_or(REACHABLE_TIME),
            retrans_timer: parameters.retrans_timer.unwrap_or(RETRANS_TIMER),
            rdnss: self.resolvers_with(left),
            dnssl: self.domains_with(left),
        }
    }

    /// Those that the stations of the best standing say.
    fn resolvers_with(&self, left: impl Fn(Time) -> Lifetime) -> Vec<Resolver> {
        let standing = |key: &ResolverKey| self.routers.standing(key.router);
        let best = self.resolvers.iter().map(|(key, _)| standing(key)).min();
        let theirs = self.resolvers.iter().filter(|(key, _)| Some(standing(key)) == best);
        let mut all: Vec<Resolver> = Vec::new();
        for (key, end) in theirs {
            if all.iter().all(|known| known.address != key.address) {
                all.push(Resolver { address: key.address, lifetime: left(end) });
            }
        }
        all
    }

    /// In the same way.
    fn domains_with(&self, left: impl Fn(Time) -> Lifetime) -> Vec<SearchDomain> {
        let best = self.domains.iter().map(|((_, router), _)| self.routers.standing(*router)).min();
        let theirs = self.domains.iter().filter(|((_, router), _)| Some(self.routers.standing(*router)) == best);
        theirs.map(|((domain, _), end)| SearchDomain { domain: domain.clone(), lifetime: left(end) }).collect()
    }
}

impl Machine for Slaac {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        self.settle(now);
        if self.solicitor.is_due(now) {
            self.counts.solicitations += 1;
            self.outputs.push_back(Output::Send(solicit::solicitation(self.link_local, self.config.mac)));
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let now = self.settled;
        let pending = (!self.outputs.is_empty()).then_some(now);
        let kept = [self.routes.poll_timeout(), self.resolvers.poll_timeout(), self.domains.poll_timeout()];
        let parts =
            [pending, self.solicitor.poll_timeout(), self.routers.poll_timeout(now), self.prefixes.poll_timeout(now)];
        parts.into_iter().chain(kept).flatten().filter(|&t| t != lifetime::NEVER).min()
    }
}
