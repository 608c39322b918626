//! ARP and NDP on one link: resolution, unreachability, duplicate address detection, our addresses defended.
//!
//! RFC 826 and 5227 for IPv4; RFC 4861 and 4862 for IPv6, with RFC 7527 (looped detection), 7048 (patience with a
//! router), 9131 (routers learn early), 6980 (no fragments), and the listener's side of RFC 3810.
//!
//! Two rules go beyond them, because a LAN has guests:
//!
//! - A known neighbour is not replaced by whoever says so. It is asked itself, three times in three seconds; if it
//!   answers, the claim is refused ([`Output::Claimed`]), and if not, the claimant has the address
//!   ([`Output::Moved`]). So a replaced card is in use after three seconds, and nobody takes an address
//!   unnoticed from a host that is there.
//! - Whatever strangers send, memory is bounded ([`Config::capacity`]) and so are our answers and questions.
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::neighbour::{Config, Neighbours, Output};
//!
//! let mut lan = Neighbours::new(Config { dad_transmits: 0, ..Config::new(Mac([2, 0, 0, 0, 0, 1]), true) });
//! let now = Time(0);
//! lan.set_addresses(now, vec![[192, 168, 1, 1].into()]);
//! while lan.drive(now).is_some() {} // the address is announced
//! lan.want(now, [192, 168, 1, 9].into(), None);
//! let Some(Output::Send(request)) = lan.drive(now) else { panic!("nothing to send") };
//! assert_eq!(request[..14], *b"\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\x01\x08\x06", "ARP, to everybody");
//! // What comes in goes to `lan.handle_input(now, &frame)`; an answer makes it Output::Resolved.
//! ```

mod addresses;
mod arp;
mod cache;
mod entries;
mod frame;
mod listener;
mod message;
mod mld;
mod ndp;
mod outbox;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_net::{Mac, Prefix4, Prefix6, Time};
use serde::Serialize;

use crate::Machine;
use crate::answer_limits::AnswerLimits;
use addresses::Addresses;
use cache::{Cache, Evidence};

use arp::Arp;
use frame::{ALL_NODES, ALL_ROUTERS, ETHERNET, address_frame, group, group_mac, is_host, is_station, solicited_node};
use listener::Listener;
use message::{Message, Refusal};
use ndp::{Advertisement, Flags, Solicitation};
use outbox::Outbox;

pub use addresses::Progress;
pub use entries::{Neighbour, State};
pub use outbox::Counts;

/// What a link is, and how its neighbours are asked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our Ethernet address on this link.
    pub mac: Mac,
    /// We are a router there (RFC 4861 4.4, the R flag): on a LAN. Not on the line.
    pub router: bool,
    /// The link's IPv4 networks. ARP from addresses outside is neither answered nor believed. Empty: all are inside.
    pub on_link4: Vec<Prefix4>,
    /// How long a neighbour that answered is not asked again, on average (RFC 4861 6.3.2: BaseReachableTime).
    /// 1 s to 1 h; what is outside is drawn to the nearer end.
    pub reachable_time: Duration,
    /// Between two questions (RFC 4861 6.3.2: RetransTimer). Half a second to 10 s.
    pub retransmit: Duration,
    /// How often to ask whether an IPv6 address is free (RFC 4862 5.1: DupAddrDetectTransmits); IPv4 is
    /// asked three times as often (RFC 5227). 0: never.
    pub dad_transmits: u8,
    /// The first of these questions waits for up to this time, with IPv6. RFC 4862 5.4.2 has one second, so that hosts
    /// that come up together do not ask together.
    pub dad_delay: Duration,
    /// Most neighbours, IPv4 and IPv6 together; a quarter of them may be unresolved. Pinned ones come on top.
    pub capacity: usize,
}

impl Config {
    /// The defaults of the RFCs, but a tenth of a second for [`Self::dad_delay`], as a line or a LAN of today has few
    /// hosts for its speed; and 4096 neighbours.
    pub fn new(mac: Mac, router: bool) -> Self {
        Self {
            mac,
            router,
            on_link4: Vec::new(),
            reachable_time: Duration::from_secs(30),
            retransmit: Duration::from_secs(1),
            dad_transmits: 1,
            dad_delay: Duration::from_millis(100),
            capacity: 4096,
        }
    }
}

/// What [`Neighbours`] wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this Ethernet frame.
    Send(Vec<u8>),
    /// A neighbour's Ethernet address is known, or a kept one answers again.
    Resolved(IpAddr),
    /// A neighbour does not answer, or gave way to others in a full table. It is forgotten, with the frame that
    /// waited for it; but a kept one stays in use, and is asked on.
    Lost(IpAddr),
    /// A neighbour has another Ethernet address now.
    Moved {
        /// The neighbour's IP address.
        addr: IpAddr,
        /// The Ethernet address that it had until now.
        from: Mac,
        /// The Ethernet address that it has from now on.
        to: Mac,
    },
    /// A station wanted a neighbour's address, and was refused: the holder is there, or is pinned. Told of every ten
    /// seconds at most, and of the same station every hour.
    Claimed {
        /// The IP address that was wanted.
        addr: IpAddr,
        /// The station that has it, and keeps it.
        holder: Mac,
        /// The station that does not get it.
        by: Mac,
    },
    /// A neighbour that was a router says that it is none any more (RFC 4861 7.2.5).
    NotRouter(IpAddr),
    /// An address of ours may be used.
    Ready(IpAddr),
    /// An address of ours is another station's: it must not be used. It is asked for again every minute or so.
    Duplicate {
        /// The address of ours.
        addr: IpAddr,
        /// The station that has it.
        mac: Mac,
    },
    /// A station uses an address of ours that is in use. It was contradicted. Told of every ten seconds at most.
    Conflict {
        /// The address of ours.
        addr: IpAddr,
        /// The station that uses it, too.
        mac: Mac,
    },
    /// A neighbour solicitation for an address of the proxied prefix that is not ours ([`Neighbours::set_proxied`]).
    Solicited {
        /// The address that is asked for.
        target: Ipv6Addr,
        /// Who asks; `None`: whoever wants to have it (RFC 4862 5.4).
        asker: Option<Ipv6Addr>,
        /// The asker's Ethernet address.
        station: Mac,
    },
    /// A frame from this address, which is not ours, bears our Ethernet address: another station has it too. Told of
    /// once; [`Counts::twin`] goes on.
    Twin(IpAddr),
}

/// An address of ours, for `hikyaku show`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ours {
    /// The address that we have, or want to have.
    pub address: IpAddr,
    /// How far duplicate address detection has come with it.
    pub progress: Progress,
}

/// The neighbours and the addresses of one link.
#[derive(Debug)]
pub struct Neighbours {
    config: Config,
    addresses: Addresses,
    cache: Cache,
    listener: Listener,
    answers: AnswerLimits,
    /// Others' addresses in it are answered for, where they are known elsewhere.
    proxied: Option<Prefix6>,
    /// Groups of services of ours.
    services: Vec<Ipv6Addr>,
    out: Outbox,
}

impl Neighbours {
    /// A link without addresses, on which nobody is known.
    pub fn new(config: Config) -> Self {
        Self {
            addresses: Addresses::new(&config),
            cache: Cache::new(&config),
            listener: Listener::default(),
            answers: AnswerLimits::default(),
            proxied: None,
            services: Vec::new(),
            out: Outbox::new(config.mac),
            config,
        }
    }

    /// Our addresses there are these from now on. New ones become ready in their time; those that stay keep
    /// what they are. What is not an address of one host is passed over.
    pub fn set_addresses(&mut self, now: Time, mut addrs: Vec<IpAddr>) {
        addrs.retain(|&addr| is_host(addr));
        let mut groups: Vec<_> = addrs.iter().filter_map(|&addr| v6(addr)).map(solicited_node).collect();
        // A router of a link, if it speaks IPv6 there at all (RFC 4291 2.8).
        if self.config.router && !groups.is_empty() {
            groups.push(ALL_ROUTERS);
        }
        if !groups.is_empty() {
            groups.extend(&self.services);
        }
        groups.sort();
        groups.dedup();
        for &addr in &addrs {
            self.cache.forget(addr, &mut self.out);
        }
        self.addresses.set(now, &addrs);
        self.listener.set(now, groups);
    }

    /// Of the addresses that [`Self::set_addresses`] brings from now on these are used while they are asked for
    /// ([`Progress::Optimistic`]). Only for addresses whose interface id is random or a hash, and so most likely
    /// nobody's (RFC 4429 3.1). Replaces the last list.
    pub fn set_optimistic(&mut self, addrs: Vec<Ipv6Addr>) {
        self.addresses.optimistic = addrs;
    }

    /// Groups at which services of ours are asked for; with the next [`Self::set_addresses`], and only where we have an IPv6
    /// address, they are listened to.
    pub fn set_services(&mut self, groups: Vec<Ipv6Addr>) {
        self.services = groups;
    }

    /// Solicitations for addresses in this prefix that are not ours are told from now on ([`Output::Solicited`]).
    pub fn set_proxied(&mut self, prefix: Option<Prefix6>) {
        self.proxied = prefix;
    }

    /// Whether any are.
    pub fn is_proxied(&self) -> bool {
        self.proxied.is_some()
    }

    /// Answers a solicitation in the name of `target`, who is on another link: from our link-local address, and not to replace
    /// a station that is there (RFC 4861 7.2.8). `asker`: who is answered; `None`: all, as somebody wants the address
    /// itself.
    pub fn advertise_for(&mut self, now: Time, target: Ipv6Addr, asker: Option<Ipv6Addr>, station: Mac) {
        let Some(source) = self.addresses.link_local() else { return };
        if self.may_answer(now, station) {
            let flags = Flags { router: false, solicited: asker.is_some(), overrides: false };
            let to = asker.map_or_else(|| group_mac(ALL_NODES), |_| station);
            let (ours, destination) = (self.config.mac, asker.unwrap_or(ALL_NODES));
            self.out.send(ndp::advertisement_of(ours, (source, target), destination, to, flags));
        }
    }

    /// The multicast groups that we listen to, in order; none without an IPv6 address.
    pub fn groups(&self) -> Vec<Ipv6Addr> {
        let all_nodes = (!self.listener.groups().is_empty()).then_some(ALL_NODES);
        all_nodes.into_iter().chain(self.listener.groups().iter().copied()).collect()
    }

    /// Announces our addresses once more: the link was down.
    pub fn announce(&mut self, now: Time) {
        self.addresses.announce(now);
    }

    /// What a router advertisement says (RFC 4861 6.3.4): zero leaves it as it is. Kept within 1 s to 1 h and
    /// half a second to 10 s, so that no router makes us flood or wait.
    pub fn set_timers(&mut self, reachable_time: Duration, retransmit: Duration) {
        let said = |new: Duration, old| if new.is_zero() { old } else { new };
        self.cache.set_timers(said(reachable_time, self.cache.reachable_time), said(retransmit, self.cache.retransmit));
    }

    /// Hears an Ethernet frame. False if it is no ARP, solicitation, advertisement or listener query, and so
    /// is for somebody else.
    pub fn handle_input(&mut self, now: Time, frame: &[u8]) -> bool {
        let counts = &mut self.out.counts;
        match message::read(frame) {
            Err(Refusal::Other) => return false,
            Err(Refusal::Arp) => counts.malformed_arp += 1,
            Err(Refusal::Ndp) => counts.malformed_ndp += 1,
            Ok(Message::Arp(arp)) => {
                counts.arp += 1;
                self.handle_arp(now, arp);
            }
            Ok(Message::Solicitation(solicitation)) => {
                counts.solicitations += 1;
                self.handle_solicitation(now, solicitation);
            }
            Ok(Message::Advertisement(advertisement)) => {
                counts.advertisements += 1;
                self.handle_advertisement(now, advertisement);
            }
            Ok(Message::Query(query)) => {
                counts.queries += 1;
                self.listener.asked(now, query);
            }
        }
        true
    }

    /// Sends `frame`, with its Ethernet destination filled in, to the neighbour `addr`: now if it is known,
    /// later if it answers. Without a frame the neighbour is only looked for.
    pub fn want(&mut self, now: Time, addr: IpAddr, frame: Option<Vec<u8>>) {
        let short = frame.as_ref().is_some_and(|frame| frame.len() < ETHERNET);
        if short || self.addresses.progress(addr).is_some() {
            self.out.counts.frames_dropped += u64::from(frame.is_some());
        } else if let Some(mac) = group(addr) {
            frame.into_iter().for_each(|frame| self.out.send(address_frame(frame, mac)));
        } else if is_host(addr) {
            self.cache.want(now, addr, frame, &self.addresses, &mut self.out);
        } else {
            self.out.counts.frames_dropped += u64::from(frame.is_some());
        }
    }

    /// A router solicitation or advertisement said that `addr` is at `mac` (RFC 4861 6.2.6, 6.3.4).
    pub fn learn(&mut self, now: Time, addr: Ipv6Addr, mac: Mac, is_router: bool) {
        let addr = IpAddr::V6(addr);
        if !is_station(mac) || !is_host(addr) {
            return;
        }
        if mac == self.config.mac {
            return self.handle_own_station(now, addr, false);
        }
        if self.addresses.progress(addr).is_none() {
            let router = Some(is_router);
            self.handle_evidence(now, Evidence { addr, mac, answer: false, overrides: true, creates: true, router });
        }
    }

    /// These neighbours are never forgotten, and looked for until they answer: the line's routers. One that
    /// falls silent is used on, for want of a better one (RFC 7048). Replaces the last list.
    pub fn keep(&mut self, now: Time, addrs: &[IpAddr]) {
        let usable = |addr: &IpAddr| is_host(*addr) && self.addresses.progress(*addr).is_none();
        let addrs: Vec<_> = addrs.iter().copied().filter(usable).collect();
        self.cache.keep(now, &addrs, &self.addresses, &mut self.out);
    }

    /// Asks a neighbour that is known whether it is still there, once a second at most: there is reason to doubt it
    /// (RFC 4861 7.3.1). A pinned one is asked once, its answer is [`Output::Resolved`], and its silence changes nothing.
    pub fn probe(&mut self, now: Time, addr: IpAddr) {
        self.cache.probe(now, addr, &self.addresses, &mut self.out);
    }

    /// Only the station `mac` has the neighbour address `addr`: a lease or a reservation. It is not asked any more.
    /// An address of ours is not pinned, nor to a `mac` that is ours or of no station.
    pub fn pin(&mut self, now: Time, addr: IpAddr, mac: Mac) {
        let other = is_station(mac) && mac != self.config.mac;
        if other && is_host(addr) && self.addresses.progress(addr).is_none() {
            self.cache.pin(now, addr, mac, &mut self.out);
        }
    }

    /// The lease or reservation of `addr` ended: it is a neighbour like any other again, and asked in five seconds.
    pub fn unpin(&mut self, now: Time, addr: IpAddr) {
        self.cache.unpin(now, addr);
    }

    /// Where frames to `addr` go, if that is known. A group's Ethernet address follows from its own
    /// (RFC 2464 7, RFC 1112 6.4).
    pub fn get(&self, addr: IpAddr) -> Option<Mac> {
        group(addr).or_else(|| self.cache.get(addr))
    }

    /// All neighbours that frames can be sent to, in no order.
    pub fn usable(&self) -> impl Iterator<Item = (IpAddr, Mac)> {
        self.cache.usable()
    }

    /// Goes up whenever [`Self::usable`] changes.
    pub fn generation(&self) -> u64 {
        self.cache.generation()
    }

    /// How far an address of ours has come; `None` if it is not ours.
    pub fn progress(&self, addr: IpAddr) -> Option<Progress> {
        self.addresses.progress(addr)
    }

    /// Our addresses, for `hikyaku show`.
    pub fn ours(&self) -> Vec<Ours> {
        self.addresses.all().map(|(address, progress)| Ours { address, progress }).collect()
    }

    /// The neighbours, for `hikyaku show neighbours`, in no order.
    pub fn entries(&self, now: Time) -> Vec<Neighbour> {
        self.cache.neighbours(now)
    }

    /// What was heard, sent and refused so far.
    pub fn counts(&self) -> &Counts {
        &self.out.counts
    }

    fn handle_evidence(&mut self, now: Time, evidence: Evidence) {
        self.cache.handle_evidence(now, evidence, &self.addresses, &mut self.out);
    }

    /// RFC 826, with RFC 5227 2.1.1 and 2.4.
    fn handle_arp(&mut self, now: Time, arp: Arp) {
        let Arp { reply, mac, sender, target } = arp;
        if mac == self.config.mac {
            return match sender.is_unspecified() {
                // A probe has nothing to tell ours from a twin's by.
                true => self.out.counts.own += 1,
                false => self.handle_own_station(now, sender.into(), false),
            };
        }
        let asked = !reply && {
            let (addr, probe) = (IpAddr::V4(target), sender.is_unspecified());
            match probe {
                true => self.addresses.asked_about(now, addr, mac, None, &mut self.out),
                false => self.addresses.progress(addr) == Some(Progress::Ready),
            }
        };
        if !sender.is_unspecified() {
            let addr = IpAddr::V4(sender);
            if self.addresses.claimed(now, addr, mac, &mut self.out) {
                return;
            }
            let within = |net: &Prefix4| net.contains(sender.into()) && !net.is_broadcast(sender.into());
            if !self.config.on_link4.is_empty() && !self.config.on_link4.iter().any(within) {
                self.out.counts.off_link += 1;
                return;
            }
            // RFC 826: who talks to us is remembered; others are only kept up to date.
            let answer = reply || self.cache.get(addr) == Some(mac);
            self.handle_evidence(now, Evidence { addr, mac, answer, overrides: true, creates: asked, router: None });
        }
        if asked && self.may_answer(now, mac) {
            self.out.send(arp::write(true, self.config.mac, target, mac, sender));
        }
    }

    /// RFC 4861 7.2.3 and 7.2.4, RFC 4862 5.4.3.
    fn handle_solicitation(&mut self, now: Time, solicitation: Solicitation) {
        let Solicitation { from, source, target, mac, nonce } = solicitation;
        let addr = IpAddr::V6(target);
        let is_proxied = self.proxied.is_some_and(|prefix| prefix.contains(target));
        if is_proxied && from != self.config.mac && self.addresses.progress(addr).is_none() {
            let station = mac.unwrap_or(from);
            self.out.event(Output::Solicited { target, asker: source, station });
        }
        let Some(source) = source else {
            if self.addresses.asked_about(now, addr, from, nonce, &mut self.out) && self.may_answer(now, from) {
                self.advertise(target, ALL_NODES, group_mac(ALL_NODES));
            }
            return;
        };
        let station = mac.unwrap_or(from);
        if from == self.config.mac || station == self.config.mac {
            return self.handle_own_station(now, source.into(), false);
        }
        let may_be_used = |progress: Progress| progress.may_be_used();
        if self.addresses.claimed(now, source.into(), station, &mut self.out)
            || !self.addresses.progress(addr).is_some_and(may_be_used)
        {
            return;
        }
        if let Some(mac) = mac {
            let (answer, overrides, creates) = (false, true, true);
            self.handle_evidence(now, Evidence { addr: source.into(), mac, answer, overrides, creates, router: None });
        }
        // Without the option the answer goes where the question came from: to look for its sender first, as
        // RFC 4861 7.2.4 allows, would have strangers make us send.
        if self.may_answer(now, station) {
            self.advertise(target, source, station);
        }
    }

    /// RFC 4861 7.2.5, RFC 4862 5.4.4.
    fn handle_advertisement(&mut self, now: Time, advertisement: Advertisement) {
        let Advertisement { from, target, mac, router, solicited, overrides } = advertisement;
        let addr = IpAddr::V6(target);
        let station = mac.unwrap_or(from);
        if station == self.config.mac {
            return self.handle_own_station(now, addr, solicited);
        }
        if self.addresses.claimed(now, addr, station, &mut self.out) {
            return;
        }
        // Without the option it is about the address that is known.
        let Some(mac) = mac.or_else(|| self.cache.get(addr)) else { return };
        // RFC 9131 6.1.2: a router remembers who tells it, and need not ask when the first packet comes.
        let creates = self.config.router;
        self.handle_evidence(now, Evidence { addr, mac, answer: solicited, overrides, creates, router: Some(router) });
    }

    /// A frame from `addr` that bears our Ethernet address. From an address that is ours it is our own, come back by a
    /// loop. We send nothing yet from one that we are only asking for, so somebody else has it (RFC 4862 5.4.4); and
    /// nothing from others: a station of the link has our Ethernet address. `answers`: it says where `addr` is because it
    /// was asked, as we do for an optimistic one.
    fn handle_own_station(&mut self, now: Time, addr: IpAddr, answers: bool) {
        match self.addresses.progress(addr) {
            Some(Progress::Optimistic) if answers => self.out.counts.own += 1,
            Some(Progress::Tentative | Progress::Optimistic) => {
                _ = self.addresses.claimed(now, addr, self.config.mac, &mut self.out)
            }
            Some(Progress::Ready | Progress::Duplicate) => self.out.counts.own += 1,
            None => {
                self.out.counts.twin += 1;
                if self.out.counts.twin == 1 {
                    self.out.event(Output::Twin(addr));
                }
            }
        }
    }

    fn may_answer(&mut self, now: Time, to: Mac) -> bool {
        let may = self.answers.take(now, to);
        *if may { &mut self.out.counts.answered } else { &mut self.out.counts.answers_limited } += 1;
        may
    }

    /// Answers a solicitation of our address `target`. RFC 4429 3.3: without the override flag while it may be
    /// another's.
    fn advertise(&mut self, target: Ipv6Addr, to: Ipv6Addr, station: Mac) {
        let overrides = self.addresses.progress(target.into()) == Some(Progress::Ready);
        let flags = Flags { router: self.config.router, solicited: !to.is_multicast(), overrides };
        self.out.send(ndp::advertisement(self.config.mac, target, to, station, flags));
    }
}

impl Machine for Neighbours {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        // RFC 4862 5.4.2: a group is joined before its address is asked for.
        self.listener.handle_timeout(now, self.addresses.link_local(), &mut self.out);
        if self.addresses.handle_timeout(now, self.cache.retransmit, &mut self.out) {
            self.cache.source_ready(now);
        }
        while self.out.has_room() && self.cache.handle_timeout(now, &self.addresses, &mut self.out) {}
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let at_once = (!self.out.is_empty()).then_some(Time(0));
        let timers = [self.addresses.poll_timeout(), self.listener.poll_timeout(), self.cache.poll_timeout()];
        timers.into_iter().flatten().chain(at_once).min()
    }
}

fn v6(addr: IpAddr) -> Option<Ipv6Addr> {
    match addr {
        IpAddr::V4(_) => None,
        IpAddr::V6(addr) => Some(addr),
    }
}

/// A random time from zero to `most`.
fn up_to(most: Duration) -> Duration {
    rand::random_range(Duration::ZERO..=most)
}
