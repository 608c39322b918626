//! The border routers that could be used: which of them answer an echo request (RFC 4443 4.1), and which were tried.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

use crate::echo::EchoRequest;

/// So many echo requests without a reply say something.
const UNANSWERED: u32 = 3;
/// Between two echo requests to the same one: of the first ten, and of the others.
const FIRST_INTERVAL: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(3);
const FIRST_REQUESTS: u32 = 10;
/// So long ago it replied at most, if it replies.
const FRESH: Duration = Duration::from_secs(10);
/// A reply to one of so many requests is heard; older ones are late.
const RECENT: u32 = 16;

#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub address: Ipv6Addr,
    /// Its source names it now. Otherwise it is one that worked, kept until one of the others has.
    pub named: bool,
    /// It has had its turn in this round.
    pub tried: bool,
    /// It was left because it did not answer, and has not been heard since.
    pub failed: bool,
    /// It has replied to echo requests: if it does not now, that says something.
    pub echoes: bool,
    /// Drawn at random, so that strangers cannot reply for it.
    identifier: u16,
    data: [u8; 8],
    /// Echo requests since it was asked anew.
    pub asked: u32,
    asked_at: Time,
    /// When it last replied to one of them.
    replied_at: Option<Time>,
}

impl Candidate {
    fn new(address: Ipv6Addr) -> Self {
        let (identifier, data) = rand::random();
        let (tried, failed, echoes) = (false, false, false);
        let (asked, asked_at, replied_at) = (0, Time(0), None);
        Self { address, named: true, tried, failed, echoes, identifier, data, asked, asked_at, replied_at }
    }

    /// What was asked is forgotten, with all replies that are still to come.
    fn ask_anew(&mut self) {
        let fresh = Self::new(self.address);
        (self.identifier, self.data, self.asked, self.replied_at) = (fresh.identifier, fresh.data, 0, None);
    }

    /// Whether it replies.
    pub fn replies(&self, now: Time) -> bool {
        self.replied_at.is_some_and(|at| now.since(at) < FRESH)
    }

    /// Whether it does not reply, and was asked often enough, with time for the last reply.
    pub fn is_silent(&self, now: Time) -> bool {
        let waited = self.asked > UNANSWERED || now.since(self.asked_at) >= FIRST_INTERVAL;
        !self.replies(now) && self.is_asked_enough() && waited
    }

    pub fn is_asked_enough(&self) -> bool {
        self.asked >= UNANSWERED
    }

    /// The next echo request, if it is time for one.
    pub fn ask(&mut self, now: Time) -> Option<EchoRequest> {
        let interval = if self.asked < FIRST_REQUESTS { FIRST_INTERVAL } else { INTERVAL };
        if self.asked > 0 && now.since(self.asked_at) < interval {
            return None;
        }
        let sequence = self.asked as u16;
        (self.asked, self.asked_at) = (self.asked.saturating_add(1), now);
        Some(EchoRequest { to: self.address, identifier: self.identifier, sequence, data: self.data })
    }

    fn has_asked(&self, request: &EchoRequest) -> bool {
        let age = (self.asked as u16).wrapping_sub(1).wrapping_sub(request.sequence);
        (request.to, request.identifier, request.data) == (self.address, self.identifier, self.data)
            && u32::from(age) < self.asked.min(RECENT)
    }
}

/// The candidates, the preferred one first.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

impl Candidates {
    /// These are named now, and `kept` stays among them. What is known of those that were there before is kept; the
    /// first that was not is returned.
    pub fn set(&mut self, named: &[Ipv6Addr], kept: Option<Ipv6Addr>) -> Option<Ipv6Addr> {
        let old = std::mem::take(&mut self.0);
        let known = |address| old.iter().find(|c| c.address == address).copied();
        let kept = kept.filter(|address| !named.contains(address));
        for &address in named.iter().chain(&kept) {
            let candidate = known(address).unwrap_or_else(|| Candidate::new(address));
            self.0.push(Candidate { named: kept != Some(address), ..candidate });
        }
        named.iter().copied().find(|&address| known(address).is_none())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn iter(&self) -> impl Iterator<Item = &Candidate> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        self.0.iter_mut()
    }

    pub fn get(&self, address: Ipv6Addr) -> Option<&Candidate> {
        self.0.iter().find(|c| c.address == address)
    }

    pub fn get_mut(&mut self, address: Ipv6Addr) -> Option<&mut Candidate> {
        self.0.iter_mut().find(|c| c.address == address)
    }

    /// The first besides the one in use that is so.
    pub fn other(&self, current: Ipv6Addr, is_so: impl Fn(&Candidate) -> bool) -> Option<Ipv6Addr> {
        self.0.iter().find(|c| c.address != current && is_so(c)).map(|c| c.address)
    }

    /// All are asked for echoes anew.
    pub fn ask_anew(&mut self) {
        self.0.iter_mut().for_each(Candidate::ask_anew);
    }

    /// On another line nothing is known of them.
    pub fn forget(&mut self) {
        self.0.iter_mut().for_each(|c| *c = Candidate { named: c.named, ..Candidate::new(c.address) });
    }

    /// None of them has had its turn.
    pub fn begin_round(&mut self) {
        self.0.iter_mut().for_each(|c| c.tried = false);
    }

    /// Whose request this was, if it was one of ours; it has replied.
    pub fn replied(&mut self, now: Time, request: &EchoRequest) -> Option<Ipv6Addr> {
        let candidate = self.0.iter_mut().find(|c| c.has_asked(request))?;
        (candidate.replied_at, candidate.echoes, candidate.failed) = (Some(now), true, false);
        Some(candidate.address)
    }
}
