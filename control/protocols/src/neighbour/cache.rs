//! The neighbours: resolved, watched (RFC 4861 7.3), and not taken over by the first who says so.

use std::net::IpAddr;
use std::time::Duration;

use hikyaku_net::{Limiter, Mac, Time};

use super::addresses::Addresses;
use super::arp;
use super::entries::{Entries, Entry, Neighbour, State};
use super::frame::address_frame;
use super::ndp;
use super::outbox::Outbox;
use super::{Config, Output, up_to};

/// RFC 4861 10: MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT.
const SOLICITS: u8 = 3;

/// RFC 4861 10: DELAY_FIRST_PROBE_TIME.
const DELAY_FIRST_PROBE: Duration = Duration::from_secs(5);

/// RFC 7048 3 asks for a back-off while a kept neighbour does not answer; this is where it ends.
const MAX_BACK_OFF: Duration = Duration::from_secs(10);

/// How long a neighbour that answered is not asked again because of another station's claim.
const CLAIM_INTERVAL: Duration = Duration::from_secs(10);

/// How long a claim of the same station is no news. A router whose advertisements and answers bear different Ethernet
/// addresses claims its own address with each advertisement.
const CLAIM_TOLD_AGAIN: Duration = Duration::from_secs(3600);

/// Solicitations a second, and at once.
const SOLICIT_RATE: u32 = 500;

/// What was heard about an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub addr: IpAddr,
    pub mac: Mac,
    /// It shows that this station has the address now: a solicited advertisement, an ARP reply.
    pub answer: bool,
    /// It may replace another station: all but an advertisement without the override flag.
    pub overrides: bool,
    /// It is enough to remember a neighbour that was unknown.
    pub creates: bool,
    /// It is, or is not, a router; if that was said.
    pub router: Option<bool>,
}

/// All neighbours of a link.
#[derive(Debug)]
pub(super) struct Cache {
    entries: Entries,
    capacity: usize,
    pub reachable_time: Duration,
    pub retransmit: Duration,
    limiter: Limiter,
}

impl Cache {
    pub fn new(config: &Config) -> Self {
        let mut cache = Self {
            entries: Entries::default(),
            capacity: config.capacity.max(4),
            reachable_time: config.reachable_time,
            retransmit: config.retransmit,
            limiter: Limiter::new(SOLICIT_RATE, SOLICIT_RATE),
        };
        cache.set_timers(config.reachable_time, config.retransmit);
        cache
    }

    /// Within 1 s to 1 h, and half a second to 10 s.
    pub fn set_timers(&mut self, reachable_time: Duration, retransmit: Duration) {
        self.reachable_time = reachable_time.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self.retransmit = retransmit.clamp(Duration::from_millis(500), Duration::from_secs(10));
    }

    /// Goes up whenever [`Self::usable`] changes.
    pub fn generation(&self) -> u64 {
        self.entries.generation
    }

    pub fn usable(&self) -> impl Iterator<Item = (IpAddr, Mac)> {
        self.entries.iter().filter_map(|(addr, entry)| Some((addr, entry.mac?)))
    }

    pub fn get(&self, addr: IpAddr) -> Option<Mac> {
        self.entries.get(addr)?.mac
    }

    pub fn neighbours(&self, now: Time) -> Vec<Neighbour> {
        let row = |(address, entry): (IpAddr, &Entry)| Neighbour {
            address,
            mac: entry.mac,
            state: entry.state,
            router: entry.router,
            age: now.since(entry.heard).as_secs(),
        };
        self.entries.iter().map(row).collect()
    }

    /// `frame`, if there is one, leaves as soon as `addr` is known. One frame waits for each neighbour: a newer
    /// one takes its place (RFC 4861 7.2.2).
    pub fn want(&mut self, now: Time, addr: IpAddr, frame: Option<Vec<u8>>, ours: &Addresses, out: &mut Outbox) {
        if let Some(mac) = self.get(addr) {
            if let Some(frame) = frame {
                out.send(address_frame(frame, mac));
            }
            return;
        }
        if self.entries.get(addr).is_none() {
            if !self.make_room(true, out) {
                out.counts.frames_dropped += u64::from(frame.is_some());
                return;
            }
            self.entries.insert(addr, now);
            self.ask(now, addr, ours, out);
        }
        if frame.is_some() {
            let replaced = self.entries.change(addr, |entry| entry.waiting.replace(frame?)).flatten();
            out.counts.frames_dropped += u64::from(replaced.is_some());
        }
    }

    /// There is a new address to ask from: whoever could not be asked for before is now.
    pub fn source_ready(&mut self, now: Time) {
        let unresolved = |(addr, entry): (IpAddr, &Entry)| (entry.state == State::Incomplete).then_some(addr);
        let unresolved: Vec<_> = self.entries.iter().filter_map(unresolved).collect();
        for addr in unresolved {
            self.entries.change(addr, |entry| (entry.tries, entry.due) = (0, Some(now)));
        }
    }

    /// These are never forgotten, and asked for until they answer. Replaces the last list.
    pub fn keep(&mut self, now: Time, addrs: &[IpAddr], ours: &Addresses, out: &mut Outbox) {
        self.entries.release_all();
        for &addr in addrs {
            if self.entries.get(addr).is_none() {
                if !self.make_room(true, out) {
                    continue;
                }
                self.entries.insert(addr, now);
                self.ask(now, addr, ours, out);
            }
            self.entries.change(addr, |entry| entry.kept = true);
        }
    }

    /// Asks `addr` now, if it is not being asked. A pinned one is asked once, and stays pinned.
    pub fn probe(&mut self, now: Time, addr: IpAddr, ours: &Addresses, out: &mut Outbox) {
        let Some(entry) = self.entries.get(addr) else { return };
        if entry.state == State::Pinned {
            self.entries.change(addr, |entry| entry.tries = 0);
            self.ask(now, addr, ours, out);
            self.entries.change(addr, |entry| entry.due = None);
            return;
        }
        let (state, due) = match entry.state {
            State::Reachable | State::Delay => (State::Probe, None),
            State::Unreachable => (State::Unreachable, entry.due),
            State::Incomplete | State::Probe | State::Pinned => return,
        };
        if due.is_none_or(|due| due > now + self.retransmit) {
            self.entries.change(addr, |entry| (entry.state, entry.tries) = (state, 0));
            self.ask(now, addr, ours, out);
        }
    }

    /// Only `mac` may have `addr`.
    pub fn pin(&mut self, now: Time, addr: IpAddr, mac: Mac, out: &mut Outbox) {
        if self.entries.get(addr).is_none() {
            // A pin is ours to make, not a stranger's: it is made even where nothing gives way.
            self.make_room(true, out);
            self.entries.insert(addr, now);
        }
        let from = self.get(addr);
        self.entries.change(addr, |entry| {
            (entry.state, entry.due, entry.heard) = (State::Pinned, None, now);
            (entry.claim, entry.refused) = (None, None);
        });
        if from != Some(mac) {
            self.settle(addr, mac, from, out);
        }
    }

    /// `addr` is as others are again, and will soon be asked.
    pub fn unpin(&mut self, now: Time, addr: IpAddr) {
        self.entries.change(addr, |entry| {
            if entry.state == State::Pinned {
                (entry.state, entry.tries, entry.due) = (State::Delay, 0, Some(now + DELAY_FIRST_PROBE));
            }
        });
    }

    /// It is an address of ours, and so no neighbour's.
    pub fn forget(&mut self, addr: IpAddr, out: &mut Outbox) {
        if let Some(entry) = self.entries.remove(addr) {
            out.counts.frames_dropped += u64::from(entry.waiting.is_some());
        }
    }

    /// Somebody said something about a neighbour (RFC 4861 7.2.3, 7.2.5; RFC 826).
    ///
    /// A station that was never heard of is believed: there is nobody to ask. A known one is not replaced before
    /// it was asked itself, three times in three seconds: if it answers, the other's claim is refused.
    pub fn handle_evidence(&mut self, now: Time, evidence: Evidence, ours: &Addresses, out: &mut Outbox) {
        let Evidence { addr, mac, answer, router, .. } = evidence;
        let Some(entry) = self.entries.get(addr) else {
            if evidence.creates && self.make_room(false, out) {
                self.entries.insert(addr, now);
                self.believe(now, evidence, out);
            }
            return;
        };
        match (entry.state, entry.mac) {
            (State::Pinned, Some(pinned)) if pinned != mac => self.refuse(now, addr, mac, out),
            // It was asked: see `probe`.
            (State::Pinned, _) if answer && entry.tries > 0 => {
                self.entries.change(addr, |entry| (entry.tries, entry.heard) = (0, now));
                out.event(Output::Resolved(addr));
            }
            (State::Pinned, _) => {}
            (State::Incomplete, _) | (_, None) => self.believe(now, evidence, out),
            (_, Some(known)) if known == mac => {
                let was_router = entry.router;
                if answer {
                    self.answered(now, addr, out);
                }
                self.entries.change(addr, |entry| entry.router = router.unwrap_or(entry.router));
                // RFC 4861 7.2.5: what uses it as a router must learn that it is none any more.
                if was_router && router == Some(false) {
                    out.event(Output::NotRouter(addr));
                }
            }
            (State::Unreachable, known) => {
                let claimant = self.believed(now, evidence);
                self.settle(addr, claimant, known, out);
            }
            (state, _) => {
                if entry.refused.is_some_and(|at| now.since(at) < CLAIM_INTERVAL) {
                    out.counts.claims_ignored += 1;
                    return;
                }
                self.entries.change(addr, |entry| {
                    entry.claim = if evidence.overrides { Some(mac) } else { entry.claim };
                });
                if state != State::Probe {
                    self.entries.change(addr, |entry| (entry.state, entry.tries) = (State::Probe, 0));
                    self.ask(now, addr, ours, out);
                }
            }
        }
    }

    /// When something is to be done.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.entries.first_due().map(|(due, _)| due)
    }

    /// Does one thing that is due. False if nothing is.
    pub fn handle_timeout(&mut self, now: Time, ours: &Addresses, out: &mut Outbox) -> bool {
        let Some((due, addr)) = self.entries.first_due() else { return false };
        let Some(entry) = self.entries.get(addr).filter(|_| due <= now) else { return false };
        let (kept, known, claim, tries) = (entry.kept, entry.mac, entry.claim, entry.tries);
        match entry.state {
            State::Reachable | State::Delay => {
                self.entries.change(addr, |entry| (entry.state, entry.tries) = (State::Probe, 0));
                self.ask(now, addr, ours, out);
            }
            State::Incomplete | State::Probe if tries < SOLICITS => self.ask(now, addr, ours, out),
            State::Probe if let Some(mac) = claim => {
                // The old station is silent, the new one has spoken.
                self.entries.change(addr, |entry| {
                    (entry.state, entry.claim, entry.tries) = (State::Delay, None, 0);
                    (entry.heard, entry.due) = (now, Some(now + DELAY_FIRST_PROBE));
                });
                self.settle(addr, mac, known, out);
            }
            _ if kept => {
                if tries == SOLICITS {
                    out.counts.lost += 1;
                    out.event(Output::Lost(addr));
                }
                self.entries.change(addr, |entry| {
                    out.counts.frames_dropped += u64::from(entry.waiting.take().is_some());
                    if entry.mac.is_some() {
                        entry.state = State::Unreachable;
                    }
                });
                self.ask(now, addr, ours, out);
            }
            State::Incomplete | State::Probe | State::Unreachable | State::Pinned => {
                out.counts.lost += 1;
                self.forget(addr, out);
                out.event(Output::Lost(addr));
            }
        }
        true
    }

    /// Sends a question, to the station if it is known and to all otherwise, and sets the time of the next.
    fn ask(&mut self, now: Time, addr: IpAddr, ours: &Addresses, out: &mut Outbox) {
        let Some(entry) = self.entries.get(addr) else { return };
        let to = entry.mac.filter(|_| entry.state == State::Probe);
        // Those that we depend on are asked even while strangers make us ask for many.
        let may_ask = entry.kept || self.limiter.take(now);
        if !may_ask {
            out.counts.solicits_limited += 1;
        } else if let Some(source) = ours.nearest(addr) {
            let frame = match (source, addr) {
                (IpAddr::V4(source), IpAddr::V4(target)) => {
                    arp::write(false, out.mac, source, to.unwrap_or(Mac::BROADCAST), target)
                }
                (IpAddr::V6(source), IpAddr::V6(target)) => ndp::solicitation(out.mac, source, target, to),
                _ => unreachable!("the nearest address is of the target's family"),
            };
            out.counts.solicited += 1;
            out.send(frame);
        }
        let retransmit = self.retransmit;
        self.entries.change(addr, |entry| {
            let excess = u32::from(entry.tries.saturating_sub(SOLICITS)).min(8);
            let wait = if entry.tries < SOLICITS { retransmit } else { (retransmit * (1 << excess)).min(MAX_BACK_OFF) };
            // A question that was not sent is none that was not answered.
            entry.tries = entry.tries.saturating_add(may_ask.into());
            entry.due = Some(now + wait.max(retransmit));
        });
    }

    /// The station that has `addr` answered.
    fn answered(&mut self, now: Time, addr: IpAddr, out: &mut Outbox) {
        let due = now + self.random_reachable_time();
        let (claim, back) = self
            .entries
            .change(addr, |entry| {
                let back = entry.state == State::Unreachable;
                (entry.state, entry.tries, entry.due, entry.heard) = (State::Reachable, 0, Some(due), now);
                (entry.claim.take(), back)
            })
            .unwrap_or_default();
        if back {
            out.event(Output::Resolved(addr));
        }
        if let Some(claimant) = claim {
            self.refuse(now, addr, claimant, out);
        }
    }

    /// Counts a claim that was not believed, and tells of it now and then.
    fn refuse(&mut self, now: Time, addr: IpAddr, by: Mac, out: &mut Outbox) {
        out.counts.claims_refused += 1;
        let tell = |entry: &mut Entry| {
            let silent = entry.refused.is_none_or(|at| now.since(at) >= CLAIM_INTERVAL);
            entry.refused = if silent { Some(now) } else { entry.refused };
            let known = entry.told.is_some_and(|(told, at)| told == by && now.since(at) < CLAIM_TOLD_AGAIN);
            entry.told = if silent && !known { Some((by, now)) } else { entry.told };
            entry.mac.filter(|_| silent && !known)
        };
        if let Some(holder) = self.entries.change(addr, tell).flatten() {
            out.event(Output::Claimed { addr, holder, by });
        }
    }

    /// Fills an entry without a MAC.
    fn believe(&mut self, now: Time, evidence: Evidence, out: &mut Outbox) {
        let mac = self.believed(now, evidence);
        self.settle(evidence.addr, mac, None, out);
    }

    /// The state that evidence alone gives (RFC 4861 7.2.5, 7.2.3).
    fn believed(&mut self, now: Time, evidence: Evidence) -> Mac {
        let reachable = now + self.random_reachable_time();
        self.entries.change(evidence.addr, |entry| {
            (entry.state, entry.due) = match evidence.answer {
                true => (State::Reachable, Some(reachable)),
                false => (State::Delay, Some(now + DELAY_FIRST_PROBE)),
            };
            (entry.tries, entry.heard, entry.claim) = (0, now, None);
            entry.router = evidence.router.unwrap_or(entry.router);
        });
        evidence.mac
    }

    /// `addr` is at `mac` from now on. What waited for it leaves.
    fn settle(&mut self, addr: IpAddr, mac: Mac, from: Option<Mac>, out: &mut Outbox) {
        let waiting = self.entries.change(addr, |entry| {
            entry.mac = Some(mac);
            entry.waiting.take()
        });
        match from {
            None => {
                out.counts.resolved += 1;
                out.event(Output::Resolved(addr));
            }
            Some(from) => {
                out.counts.moved += 1;
                out.event(Output::Moved { addr, from, to: mac });
            }
        }
        if let Some(frame) = waiting.flatten() {
            out.send(address_frame(frame, mac));
        }
    }

    /// RFC 4861 6.3.4: between half and one and a half times the base.
    fn random_reachable_time(&self) -> Duration {
        self.reachable_time / 2 + up_to(self.reachable_time)
    }

    /// Room for one more. What is wanted displaces the newest of the unresolved, so that those which were asked
    /// first come to their end while a stranger makes us look for thousands; and, when the table is full, the one
    /// whose time ends first, which is the one that has been silent longest. What is only overheard displaces nothing.
    /// Kept and pinned ones stay.
    fn make_room(&mut self, wanted: bool, out: &mut Outbox) -> bool {
        let unresolved = wanted && self.entries.unresolved() >= self.capacity / 4;
        if !unresolved && self.entries.len() < self.capacity {
            return true;
        }
        let Some(victim) = wanted.then(|| self.entries.victim(unresolved)).flatten() else {
            out.counts.no_room += 1;
            return false;
        };
        out.counts.displaced += 1;
        self.forget(victim, out);
        out.event(Output::Lost(victim));
        true
    }
}
