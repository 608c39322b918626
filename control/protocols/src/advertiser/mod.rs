//! What a router tells the hosts of a link: router advertisements, at their times and to who asks (RFC 4861 6.2).
//!
//! Prefixes, for SLAAC (RFC 4862) or not, the MTU, resolvers and search domains (RFC 8106), routes to what is delegated (RFC 4191),
//! whether there is DHCPv6. Lifetimes are those of RFC 9096 3.4: short
//! enough to wait out, constant as long as the line's own are not shorter (RFC 4861 6.2.1). What hosts make of an
//! advertisement differs, and so:
//!
//! - All that there is to say is in every advertisement, also in one to a single host: some take their resolvers from the last.
//! - A prefix that is gone is advertised as before, but deprecated, for as long as hosts may have it (RFC 9096 3.5): preferred
//!   for 0 seconds, valid for what is left. Valid for 0 seconds would have some delete the address with its connections.
//!   What hosts may have outlives a restart ([`Saved`]).
//! - A resolver or domain that is gone is taken back by the lifetime 0, beside the new ones.
//! - A router that does not know its line yet says nothing, if the one before it did: hosts go on with what they have.
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::advertiser::{Advertised, Advertiser, Output, Preference, Prefix};
//!
//! let mut lan = Advertiser::new(Mac([2, 0, 0, 0, 0, 1]));
//! let prefix = "2001:db8:0:1::/64".parse()?;
//! lan.set(Time(0), Some(Advertised {
//!     is_default_router: true,
//!     preference: Preference::Medium,
//!     is_managed: false,
//!     has_information: true,
//!     mtu: 1500,
//!     is_autonomous: true,
//!     prefixes: vec![Prefix { prefix, preferred: Some(14400), valid: Some(43200) }],
//!     routes: vec![],
//!     resolvers: vec!["2001:db8::53".parse()?],
//!     domains: vec![],
//! }));
//! lan.set_source(Time(0), Some("fe80::1".parse()?)); // our link-local address is ready
//! let sent = std::iter::from_fn(|| lan.drive(Time(0)));
//! let Some(Output::Send(packet)) = sent.last() else { panic!("nothing to send") };
//! assert_eq!(packet[40], 134, "a router advertisement");
//! // What hosts send goes to `lan.handle_input(now, station, &packet)`: solicitations are answered.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod event;
mod message;
mod option;
mod saved;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Prefix6, Time};
use serde::Serialize;

use crate::Machine;
use crate::answer_limits::AnswerLimits;
use option::Options;
use schedule::Schedule;

pub use crate::router_discovery::Refusal;
pub use event::Event;
pub use saved::Saved;

pub use crate::slaac::Preference;

/// Prefixes that are advertised at once, those that are gone included, at most.
pub const MAX_PREFIXES: usize = 12;

/// Resolvers, and search domains, that are named at once. glibc and rdnssd read three.
pub const MAX_RESOLVERS: usize = 3;

/// Those and as many that are taken back.
const MAX_OPTIONS: usize = 2 * MAX_RESOLVERS;

/// RFC 4861 6.2.1: AdvDefaultLifetime, and RFC 8106 5.1: the lifetime of resolvers, three times the longest interval between
/// two advertisements.
const LIFETIME: Duration = schedule::MAX_INTERVAL.saturating_mul(3);

/// Routes that are told at once, those that are gone included: of each delegated prefix one.
const MAX_ROUTES: usize = 6;

/// RFC 9096 3.4: ND_PREFERRED_LIMIT and ND_VALID_LIMIT.
pub(crate) const PREFERRED: Duration = Duration::from_secs(2700);
pub(crate) const VALID: Duration = Duration::from_secs(5400);

/// How long a router that was started anew waits for its line before it tells hosts that it is none.
const RESTART_PATIENCE: Duration = Duration::from_secs(60);

/// What the hosts of a link are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Packets to everywhere may be sent through us.
    pub is_default_router: bool,
    /// How much we are to be used where there are other routers (RFC 4191 2.2).
    pub preference: Preference,
    /// DHCPv6 gives addresses (M, RFC 4861 4.2): only where it really does, as some hosts lose everything for waiting for them.
    pub is_managed: bool,
    /// DHCPv6 tells of resolvers and the like (O).
    pub has_information: bool,
    /// Largest IPv6 packet of the link, bytes; 1280 at least.
    pub mtu: u16,
    /// Hosts make addresses in the prefixes themselves (A, RFC 4861 4.6.2).
    pub is_autonomous: bool,
    /// Hosts reach each other's addresses in these directly (L). [`MAX_PREFIXES`] at most.
    pub prefixes: Vec<Prefix>,
    /// The way to these leads through us, whether or not there is one to everywhere (RFC 4191 2.3, RFC 7084 L-3).
    pub routes: Vec<Route>,
    /// Recursive DNS servers (RFC 8106 5.1), the best first; of more than [`MAX_RESOLVERS`] the first ones.
    pub resolvers: Vec<Ipv6Addr>,
    /// Search domains (RFC 8106 5.2), of letters, digits and hyphens; of more than [`MAX_RESOLVERS`] the first ones.
    pub domains: Vec<String>,
}

/// A prefix of the link and how long it is there, from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// 64 bits of it (RFC 4862 5.5.3 d, RFC 7421).
    pub prefix: Prefix6,
    /// Seconds for which its addresses are for new connections; 0: not any more; `None`: for ever.
    pub preferred: Option<u64>,
    /// Seconds for which its addresses may be used at all; `None`: for ever.
    pub valid: Option<u64>,
}

/// A route through us and how long it is there, from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it leads to, 1 to 64 bits.
    pub prefix: Prefix6,
    /// Seconds for which it is there; `None`: for ever.
    pub valid: Option<u64>,
}

/// What the machine wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this IPv6 packet to the link.
    Send(Vec<u8>),
    /// This host says that its Ethernet address is this (RFC 4861 6.2.6).
    Heard(Ipv6Addr, Mac),
    /// [`Advertiser::saved`] is another than before: a restart must know it.
    Save,
    /// Something happened that is worth a line in the log.
    Event(Event),
}

/// Solicitations, advertisements, and what was wrong with the former.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Router advertisements to all nodes.
    pub advertised: u64,
    /// Router advertisements to the one host that solicited.
    pub answered: u64,
    /// Router solicitations that were heard.
    pub solicitations: u64,
    /// Packets that were none, or broken ([`Refusal`]).
    pub refused: u64,
    /// Solicitations that were not answered, because of too many.
    pub limited: u64,
    /// Prefixes that hosts may have and that there was no room for any more.
    pub displaced: u64,
}

/// A prefix as hosts know it, for `hikyaku show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The prefix.
    pub prefix: Prefix6,
    /// Seconds for which hosts that hear of it now prefer it.
    pub preferred: u32,
    /// Seconds for which they have it at all.
    pub valid: u32,
    /// It is not there any more: hosts are told so.
    pub withdrawn: bool,
}

/// What the fixed part of an advertisement says (RFC 4861 4.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Header {
    is_default_router: bool,
    preference: Preference,
    is_managed: bool,
    has_information: bool,
}

/// The router side of router discovery on one link.
#[derive(Debug)]
pub struct Advertiser {
    mac: Mac,
    /// Our link-local address, once it may be used.
    source: Option<Ipv6Addr>,
    header: Header,
    /// The last that hosts were to be told: what it is missing from they take for another.
    mtu: Option<u16>,
    is_autonomous: bool,
    /// We are no router (any more): what is still sent are last words.
    is_ceased: bool,
    prefixes: Options<Prefix6>,
    routes: Options<Prefix6>,
    resolvers: Options<Ipv6Addr>,
    domains: Options<String>,
    schedule: Schedule,
    /// Until when the line may take to be there, after a restart.
    waits_until: Option<Time>,
    limits: AnswerLimits,
    outputs: VecDeque<Output>,
    /// Solicitations, advertisements, and what was wrong with the former.
    pub counts: Counts,
    /// Why the last packet that was refused was refused.
    pub last_refusal: Option<Refusal>,
}

impl Advertiser {
    /// Of a link where our Ethernet address is `mac`. It is silent until it is told what to say, and from where.
    pub fn new(mac: Mac) -> Self {
        Self {
            mac,
            source: None,
            header: Header::default(),
            mtu: None,
            is_autonomous: true,
            is_ceased: false,
            prefixes: Options::new(MAX_PREFIXES),
            routes: Options::new(MAX_ROUTES),
            resolvers: Options::new(MAX_OPTIONS),
            domains: Options::new(MAX_OPTIONS),
            schedule: Schedule::default(),
            waits_until: None,
            limits: AnswerLimits::default(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
            last_refusal: None,
        }
    }

    /// What hosts were told before a restart. Before there is a prefix again they are told nothing, for a minute.
    /// `wall`: seconds since 1970.
    pub fn restore(&mut self, now: Time, wall: u64, saved: &Saved) {
        saved.prefixes.iter().for_each(|known| self.prefixes.remember(now, known.what, known.until(now, wall, VALID)));
        let resolvers = saved.resolvers.iter();
        resolvers.for_each(|known| self.resolvers.remember(now, known.what, known.until(now, wall, LIFETIME)));
        if !self.prefixes.is_empty() {
            self.waits_until = Some(now + RESTART_PATIENCE);
        }
    }

    /// What a restart has to know, in times of Unix. `wall`: seconds since 1970. `None`: hosts have nothing of ours.
    pub fn saved(&self, now: Time, wall: u64) -> Option<Saved> {
        let saved = Saved { prefixes: self.prefixes.saved(now, wall), resolvers: self.resolvers.saved(now, wall) };
        (!saved.is_empty()).then_some(saved)
    }

    /// Hosts are to be told this from now on; `None`: that we are no router (RFC 4861 6.2.5). What is as before may be
    /// said again: only what it is about is news, not how long that lasts.
    pub fn set(&mut self, now: Time, advertised: Option<Advertised>) {
        let Some(advertised) = advertised else { return self.cease(now) };
        let Advertised { mtu, is_autonomous, prefixes, routes, resolvers, domains, .. } = advertised;
        let Advertised { is_default_router, preference, is_managed, has_information, .. } = advertised;
        let mut is_news = self.mtu.replace(mtu) != Some(mtu);
        is_news |= std::mem::replace(&mut self.is_autonomous, is_autonomous) != is_autonomous;
        is_news |= self.set_header(Header { is_default_router, preference, is_managed, has_information });
        self.is_ceased = false;
        if !prefixes.is_empty() {
            self.waits_until = None;
        }
        let until =
            |lifetime: Option<u64>| lifetime.map_or(option::NEVER, |seconds| now + Duration::from_secs(seconds));
        let current = prefixes.iter().map(|prefix| {
            let valid = until(prefix.valid);
            (prefix.prefix, option::Current { preferred: until(prefix.preferred).min(valid), valid })
        });
        is_news |= self.set_prefixes(now, current.collect());
        let constant = option::Current { preferred: option::NEVER, valid: option::NEVER };
        let routes = routes.iter().filter(|route| (1..=64).contains(&route.prefix.len()));
        let routes = routes
            .map(|route| (route.prefix, option::Current { preferred: until(route.valid), valid: until(route.valid) }));
        is_news |= self.routes.set(now, routes.collect()).is_news;
        let resolvers: Vec<_> =
            resolvers.into_iter().take(MAX_RESOLVERS).map(|resolver| (resolver, constant)).collect();
        let change = self.resolvers.set(now, resolvers);
        self.save_if(change.is_another);
        is_news |= change.is_news;
        let domains: Vec<_> = domains.into_iter().take(MAX_RESOLVERS).map(|domain| (domain, constant)).collect();
        is_news |= self.domains.set(now, domains).is_news;
        if is_news && self.has_to_say(now) {
            self.schedule.changed(now);
        }
    }

    /// Whether that is news to hosts.
    fn set_prefixes(&mut self, now: Time, current: Vec<(Prefix6, option::Current)>) -> bool {
        let change = self.prefixes.set(now, current);
        change.begun.into_iter().for_each(|prefix| self.event(Event::PrefixAdvertised { prefix }));
        change.ended.into_iter().for_each(|prefix| self.event(Event::PrefixWithdrawn { prefix }));
        self.counts.displaced += change.displaced;
        self.save_if(change.is_another);
        change.is_news
    }

    /// RFC 4861 6.2.5: hosts are told a few times that it is over.
    fn cease(&mut self, now: Time) {
        if std::mem::replace(&mut self.is_ceased, true) {
            return;
        }
        self.waits_until = None;
        let is_known = self.has_something();
        self.set_header(Header::default());
        self.set_prefixes(now, Vec::new());
        self.routes.set(now, Vec::new());
        let change = self.resolvers.set(now, Vec::new());
        self.save_if(change.is_another);
        self.domains.set(now, Vec::new());
        if is_known {
            self.schedule.last_words(now);
        }
    }

    /// What advertisements come from: our link-local address there, once nobody else has it (RFC 4861 4.2).
    pub fn set_source(&mut self, now: Time, source: Option<Ipv6Addr>) {
        if std::mem::replace(&mut self.source, source) != source && source.is_some() && self.has_to_say(now) {
            self.schedule.changed(now);
        }
    }

    /// The link carries packets again: there may be other hosts.
    pub fn link_up(&mut self, now: Time) {
        if self.has_to_say(now) {
            self.schedule.changed(now);
        }
    }

    /// Whether there is something to say, or about to be: an address is wanted for [`Self::set_source`].
    pub fn wants_source(&self) -> bool {
        self.has_something() && !self.is_ceased || self.schedule.poll_timeout().is_some()
    }

    /// An IPv6 packet came in from the station `from`: a host that solicits is answered.
    pub fn handle_input(&mut self, now: Time, from: Mac, packet: &[u8]) {
        let solicitation = match message::read_solicitation(packet) {
            Ok(solicitation) => solicitation,
            Err(refusal) => {
                self.counts.refused += 1;
                self.last_refusal = Some(refusal);
                return;
            }
        };
        self.counts.solicitations += 1;
        if self.source.is_none() || !self.has_to_say(now) || from == self.mac {
            return;
        }
        if !self.limits.take(now, from) {
            self.counts.limited += 1;
            return;
        }
        if let Some((host, mac)) = solicitation.source.zip(solicitation.mac).filter(|&(_, mac)| mac != self.mac) {
            self.outputs.push_back(Output::Heard(host, mac));
        }
        // RFC 7772 5: to the one who asks, as the others would wake up for it.
        self.schedule.solicited(now, solicitation.source.filter(|host| host.is_unicast_link_local()));
    }

    /// What hosts that hear of it now have of our prefixes.
    pub fn prefixes(&self, now: Time) -> Vec<Known> {
        let known = self.prefixes.entries(now, (PREFERRED, VALID));
        let known = known.map(|(&prefix, lifetimes)| Known {
            prefix,
            preferred: lifetimes.preferred,
            valid: lifetimes.valid,
            withdrawn: lifetimes.is_withdrawn,
        });
        known.collect()
    }

    /// Whether hosts are told to send through us.
    pub fn is_default_router(&self) -> bool {
        self.header.is_default_router
    }

    /// Whether that is news to hosts.
    fn set_header(&mut self, header: Header) -> bool {
        let before = std::mem::replace(&mut self.header, header);
        if before.is_default_router != header.is_default_router {
            self.event(if header.is_default_router { Event::DefaultRouter } else { Event::NoDefaultRouter });
        }
        before != header
    }

    /// Whether there is something to say, besides last words.
    fn has_to_say(&self, now: Time) -> bool {
        self.has_something() && !self.is_ceased && self.waits_until.is_none_or(|until| until <= now)
    }

    fn has_something(&self) -> bool {
        self.header.is_default_router || !self.prefixes.is_empty() || !self.resolvers.is_empty()
    }

    fn save_if(&mut self, is_another: bool) {
        if is_another && !self.outputs.contains(&Output::Save) {
            self.outputs.push_back(Output::Save);
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// The advertisement as of now; what is in it hosts have from now on.
    fn advertisement(&mut self, now: Time, source: Ipv6Addr, to: Ipv6Addr) -> Vec<u8> {
        let mut options = message::Writer::new(self.mac, self.header, LIFETIME);
        self.mtu.into_iter().for_each(|mtu| options.mtu(mtu));
        let is_autonomous = self.is_autonomous;
        self.prefixes.tell(now, (PREFERRED, VALID), |&prefix, told| {
            options.prefix(prefix, is_autonomous, told.preferred, told.valid);
        });
        let lifetime = |told: option::Lifetimes| if told.is_withdrawn { 0 } else { told.valid };
        self.routes.tell(now, (LIFETIME, LIFETIME), |&route, told| options.route(route, lifetime(told)));
        self.resolvers.tell(now, (LIFETIME, LIFETIME), |&resolver, told| options.resolver(resolver, lifetime(told)));
        self.domains.tell(now, (LIFETIME, LIFETIME), |domain, told| options.domain(domain, lifetime(told)));
        options.finish(source, to)
    }
}

impl Machine for Advertiser {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        if self.waits_until.is_some_and(|until| until <= now) {
            self.waits_until = None;
            self.schedule.changed(now);
        }
        let is_another = self.prefixes.expire(now) | self.resolvers.expire(now);
        self.routes.expire(now);
        self.domains.expire(now);
        self.save_if(is_another);
        let Some(source) = self.source else { return };
        if !self.is_ceased && !self.has_to_say(now) {
            return self.schedule.stop();
        }
        while let Some(host) = self.schedule.next_answer(now) {
            self.counts.answered += 1;
            let packet = self.advertisement(now, source, host);
            self.outputs.push_back(Output::Send(packet));
        }
        if self.schedule.is_due(now) {
            self.counts.advertised += 1;
            let packet = self.advertisement(now, source, message::ALL_NODES);
            self.outputs.push_back(Output::Send(packet));
            self.schedule.sent(now, self.is_ceased);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let at_once = (!self.outputs.is_empty()).then_some(Time(0));
        let (prefixes, routes) = (self.prefixes.poll_timeout(), self.routes.poll_timeout());
        let ends = [prefixes, routes, self.resolvers.poll_timeout(), self.domains.poll_timeout()];
        let speaks = self.source.and_then(|_| self.schedule.poll_timeout());
        ends.into_iter().chain([at_once, self.waits_until, speaks]).flatten().min()
    }
}
