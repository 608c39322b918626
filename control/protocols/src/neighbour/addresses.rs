//! Our own addresses: asked for before they are used, announced, defended (RFC 4862 5.4, RFC 5227).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use hikyaku_net::{Mac, Time};
use serde::Serialize;

use super::arp;
use super::frame::{ALL_NODES, ALL_ROUTERS, group_mac};
use super::ndp::{self, Flags, Nonce};
use super::outbox::Outbox;
use super::{Config, Output, up_to};

/// RFC 5227 1.1: PROBE_NUM, ANNOUNCE_NUM, ANNOUNCE_INTERVAL.
const ARP_PROBES: u8 = 3;
const ARP_ANNOUNCEMENTS: u8 = 2;
const ARP_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(2);

/// RFC 5227 1.1 has PROBE_WAIT 1 s, PROBE_MIN 1 s, PROBE_MAX 2 s and ANNOUNCE_WAIT 2 s, for hosts that look
/// for a free address. Ours is the one that a network's hosts have as their router: they wait for it, and
/// stations of a LAN answer within milliseconds. So it is probed in less than a second.
const ARP_PROBE_MIN: Duration = Duration::from_millis(100);
const ARP_PROBE_SPREAD: Duration = Duration::from_millis(100);
const ARP_ANNOUNCE_WAIT: Duration = Duration::from_millis(300);

/// An IPv6 address that nobody has objected to for so long after the last question is ours. RFC 4862 5.1 has RetransTimer
/// there, whose default this is (RFC 4861 10). A router that says another means how often neighbours are asked: lines with
/// 10 s are in use, where whoever has the address answers as fast as on any other.
const DAD_WAIT: Duration = Duration::from_secs(1);

/// RFC 4861 10: MAX_NEIGHBOR_ADVERTISEMENT.
const ADVERTISEMENTS: u8 = 3;

/// RFC 5227 1.1: DEFEND_INTERVAL. A defence is not repeated sooner, or two defenders would never end.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);

/// A duplicate is asked for again after this time, and up to half as much: the other station may have
/// left, and RFC 4862 5.4.5 would else have somebody come and restart us. RFC 5227 2.1.1 has
/// RATE_LIMIT_INTERVAL 60 s.
const RETRY: Duration = Duration::from_secs(60);

/// How far an address of ours has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Progress {
    /// Nobody has objected yet (RFC 4862 2: tentative). Not used.
    Tentative,
    /// Nobody has objected yet, and hardly anybody will, since the interface id is a random one: used meanwhile, with the
    /// care of RFC 4429. Nobody is asked for from it, and answers for it replace nothing that others know.
    Optimistic,
    /// Nobody else has it: it may be used, and is answered for and defended.
    Ready,
    /// Another station has it. Not used; asked for again every minute or so.
    Duplicate,
}

impl Progress {
    /// Packets may come from it.
    pub fn may_be_used(self) -> bool {
        matches!(self, Self::Ready | Self::Optimistic)
    }

    /// It is being asked for (RFC 4862 5.4.2).
    fn is_asked_for(self) -> bool {
        matches!(self, Self::Tentative | Self::Optimistic)
    }
}

#[derive(Debug)]
struct Address {
    addr: IpAddr,
    progress: Progress,
    /// Probes sent while tentative, announcements while ready.
    sent: u8,
    due: Option<Time>,
    nonce: Nonce,
    defended: Option<Time>,
}

/// All our addresses of a link. There are few: they are looked through one by one.
#[derive(Debug)]
pub(super) struct Addresses {
    list: Vec<Address>,
    /// New ones that are used while they are asked for.
    pub optimistic: Vec<Ipv6Addr>,
    router: bool,
    transmits: u8,
    delay: Duration,
}

impl Addresses {
    pub fn new(config: &Config) -> Self {
        let (router, transmits, delay) = (config.router, config.dad_transmits, config.dad_delay);
        Self { list: Vec::new(), optimistic: Vec::new(), router, transmits, delay }
    }

    /// Ours are these from now on; those that stay keep what they are.
    pub fn set(&mut self, now: Time, addrs: &[IpAddr]) {
        self.list.retain(|address| addrs.contains(&address.addr));
        for &addr in addrs {
            if self.list.iter().all(|address| address.addr != addr) {
                // RFC 4862 5.4.2: hosts that come up together do not speak together.
                let delay = if addr.is_ipv6() { up_to(self.delay) } else { Duration::ZERO };
                let due = Some(now + delay);
                let is_optimistic = matches!(addr, IpAddr::V6(addr) if self.optimistic.contains(&addr));
                let progress = if is_optimistic { Progress::Optimistic } else { Progress::Tentative };
                let nonce = rand::random();
                self.list.push(Address { addr, progress, sent: 0, due, nonce, defended: None });
            }
        }
    }

    /// Each with how far it has come.
    pub fn all(&self) -> impl Iterator<Item = (IpAddr, Progress)> {
        self.list.iter().map(|address| (address.addr, address.progress))
    }

    pub fn progress(&self, addr: IpAddr) -> Option<Progress> {
        self.list.iter().find(|address| address.addr == addr).map(|address| address.progress)
    }

    /// The address of ours to ask for `target` from: of those that are ready the one nearest to it, so that
    /// it is of the same network and scope where there is one (RFC 4861 7.2.2, RFC 6724 5 rule 8).
    pub fn nearest(&self, target: IpAddr) -> Option<IpAddr> {
        let common = |addr: IpAddr| match (addr, target) {
            (IpAddr::V4(a), IpAddr::V4(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
            (IpAddr::V6(a), IpAddr::V6(b)) => Some((a.to_bits() ^ b.to_bits()).leading_zeros()),
            _ => None,
        };
        let ready = self.list.iter().filter(|address| address.progress == Progress::Ready);
        ready.filter_map(|a| Some((common(a.addr)?, a.addr))).max().map(|(_, addr)| addr)
    }

    /// A link-local address that is ready.
    pub fn link_local(&self) -> Option<Ipv6Addr> {
        self.list.iter().find_map(|address| match address.addr {
            IpAddr::V6(addr) if address.progress == Progress::Ready && addr.is_unicast_link_local() => Some(addr),
            _ => None,
        })
    }

    /// Announces all that are ready once more: the link was down, stations may have moved.
    pub fn announce(&mut self, now: Time) {
        for address in self.list.iter_mut().filter(|address| address.progress == Progress::Ready) {
            (address.sent, address.due) = (0, Some(now));
        }
    }

    /// Another station asks whether anybody has `addr` (RFC 4862 5.4.3, RFC 5227 2.1.1). While we ask the same,
    /// neither gets it; `nonce` tells our own question, come back by a loop, from another's (RFC 7527 4.2).
    /// Whether the address is ready, and so is to be answered for.
    pub fn asked_about(&mut self, now: Time, addr: IpAddr, mac: Mac, nonce: Option<&[u8]>, out: &mut Outbox) -> bool {
        let Some(address) = self.list.iter_mut().find(|address| address.addr == addr) else { return false };
        // ARP has no nonce, and only our own station's probes may be ours.
        let looped = if addr.is_ipv4() { mac == out.mac } else { nonce.is_some_and(|nonce| nonce == address.nonce) };
        match address.progress {
            Progress::Tentative | Progress::Optimistic if looped => out.counts.own += 1,
            Progress::Tentative | Progress::Optimistic => address.lose(now, mac, out),
            Progress::Ready | Progress::Duplicate => {}
        }
        address.progress == Progress::Ready && !looped
    }

    /// The station `mac` says that `addr` is its own. Whether it is one of ours.
    pub fn claimed(&mut self, now: Time, addr: IpAddr, mac: Mac, out: &mut Outbox) -> bool {
        let router = self.router;
        let Some(address) = self.list.iter_mut().find(|address| address.addr == addr) else { return false };
        match address.progress {
            Progress::Tentative | Progress::Optimistic => address.lose(now, mac, out),
            Progress::Ready => {
                out.counts.conflicts += 1;
                if address.defended.is_none_or(|at| now.since(at) >= DEFEND_INTERVAL) {
                    address.defended = Some(now);
                    out.event(Output::Conflict { addr, mac });
                    // RFC 5227 2.4 (c): a router does not give up the address that others rely on.
                    // RFC 4862 leaves a duplicate found late open; those who heard the claim hear us too.
                    out.send(announcement(out.mac, addr, router, true));
                }
            }
            Progress::Duplicate => {}
        }
        true
    }

    /// When something is to be done.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.list.iter().filter_map(|address| address.due).min()
    }

    /// Does what is due. Whether an address became ready.
    pub fn handle_timeout(&mut self, now: Time, retransmit: Duration, out: &mut Outbox) -> bool {
        let (transmits, router) = (self.transmits, self.router);
        let mut ready = false;
        for address in self.list.iter_mut().filter(|address| address.due.is_some_and(|due| due <= now)) {
            if address.progress == Progress::Duplicate {
                (address.progress, address.sent) = (Progress::Tentative, 0);
                address.nonce = rand::random();
            }
            if address.progress.is_asked_for() {
                address.probe(now, transmits, retransmit, out);
                ready |= address.progress == Progress::Ready;
            }
            if address.progress == Progress::Ready {
                address.announce(now, router, retransmit, out);
            }
        }
        ready
    }
}

impl Address {
    /// Asks, or after the last question has had its time, is ready.
    fn probe(&mut self, now: Time, transmits: u8, retransmit: Duration, out: &mut Outbox) {
        let probes = if self.addr.is_ipv4() { ARP_PROBES.min(transmits.saturating_mul(3)) } else { transmits };
        if self.sent >= probes {
            (self.progress, self.sent) = (Progress::Ready, 0);
            out.event(Output::Ready(self.addr));
            return;
        }
        self.sent += 1;
        let (frame, wait) = match self.addr {
            IpAddr::V6(addr) => (ndp::detection(out.mac, addr, self.nonce), retransmit.min(DAD_WAIT)),
            IpAddr::V4(addr) => {
                let last = self.sent == probes;
                let wait = if last { ARP_ANNOUNCE_WAIT } else { ARP_PROBE_MIN + up_to(ARP_PROBE_SPREAD) };
                (arp::write(false, out.mac, [0; 4].into(), Mac::BROADCAST, addr), wait)
            }
        };
        out.send(frame);
        self.due = Some(now + wait);
    }

    fn announce(&mut self, now: Time, router: bool, retransmit: Duration, out: &mut Outbox) {
        let (announcements, interval) = match self.addr {
            IpAddr::V4(_) => (ARP_ANNOUNCEMENTS, ARP_ANNOUNCE_INTERVAL),
            IpAddr::V6(_) => (ADVERTISEMENTS, retransmit),
        };
        out.send(announcement(out.mac, self.addr, router, false));
        self.sent += 1;
        self.due = (self.sent < announcements).then(|| now + interval);
    }

    fn lose(&mut self, now: Time, mac: Mac, out: &mut Outbox) {
        out.counts.duplicates += 1;
        out.event(Output::Duplicate { addr: self.addr, mac });
        self.progress = Progress::Duplicate;
        self.due = Some(now + RETRY + up_to(RETRY / 2));
    }
}

/// What tells everybody where an address of ours is.
///
/// ARP: RFC 5227 2.3. A router on a LAN tells all nodes, and that what they remember is old (RFC 4861 7.2.6).
/// A host tells the routers, so that they need not ask when the first packet for us comes, without
/// disturbing a holder that there should not be (RFC 9131 6.1.1); a defence goes to all.
fn announcement(mac: Mac, addr: IpAddr, router: bool, defence: bool) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => arp::write(false, mac, addr, Mac::BROADCAST, addr),
        IpAddr::V6(addr) => {
            let to_all = router || defence;
            let group = if to_all { ALL_NODES } else { ALL_ROUTERS };
            let flags = Flags { router, solicited: false, overrides: to_all };
            ndp::advertisement(mac, addr, group, group_mac(group), flags)
        }
    }
}
