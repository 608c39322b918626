//! Information-request and its Reply, beside whatever becomes of leases (RFC 8415 18.2.6).

use std::time::Duration;

use hikyaku_net::Time;
use rand::rngs::StdRng;

use super::exchange::{Exchange, MAX_RT, START_DELAY, Schedule, Turn};
use super::{Duid, State};

/// Information refresh time if the server has no word on it, and the shortest there is (RFC 8415 7.6), seconds.
const REFRESH: u32 = 86_400;
const SHORTEST_REFRESH: u32 = 600;

/// What is further apart is of different troubles.
const TROUBLE: Duration = Duration::from_secs(1800);

/// So often in one trouble a server is believed in vain. Then the word of another counts before its own.
const IN_VAIN: u32 = 3;

/// How far asking for everything but leases has come.
#[derive(Debug)]
enum Stage {
    /// Nothing is asked: leases bring it, or nobody wants it.
    Idle,
    Asking(Exchange),
    /// Told, until this time; `None` is for ever.
    Informed(Option<Time>),
}

/// The asking for everything but leases.
#[derive(Debug)]
pub(super) struct Inquiry {
    stage: Stage,
    /// INF_MAX_RT (RFC 7083).
    longest: Duration,
    /// Who told last, by an Information-request or together with leases.
    told_by: Option<Duid>,
    /// How often since, in one trouble, it turned out to be in vain, and the last time.
    in_vain: (u32, Option<Time>),
}

impl Inquiry {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Idle, longest: MAX_RT, told_by: None, in_vain: (0, None) }
    }

    /// Begins, unless it is under way or answered.
    pub(super) fn begin(&mut self, now: Time, rng: &mut StdRng) {
        if matches!(self.stage, Stage::Idle) {
            self.ask_within(START_DELAY, now, rng);
        }
    }

    /// Sends a first Information-request within a second (RFC 8415 18.2.6: INF_MAX_DELAY), whatever was under way.
    pub(super) fn ask(&mut self, now: Time, rng: &mut StdRng) {
        self.ask_within(Duration::from_secs(1), now, rng);
    }

    fn ask_within(&mut self, delay: Duration, now: Time, rng: &mut StdRng) {
        let schedule = Schedule::information_request(self.longest, delay);
        self.stage = Stage::Asking(Exchange::new(schedule, now, None, rng));
    }

    /// What was told may be of another line: it is asked for anew, if it was asked for at all.
    pub(super) fn doubt(&mut self, now: Time, rng: &mut StdRng) {
        match &mut self.stage {
            Stage::Idle => (),
            Stage::Asking(exchange) => exchange.hurry(now),
            Stage::Informed(_) => self.ask(now, rng),
        }
    }

    /// Whether the answer of this server gives that of another one time: of the one that told last, or, if that was in vain, of
    /// any other.
    pub(super) fn gives_way(&self, server: &Duid) -> bool {
        self.told_by.as_ref().is_some_and(|told_by| (told_by == server) == (self.in_vain.0 >= IN_VAIN))
    }

    /// What was told is of no use.
    pub(super) fn told_in_vain(&mut self, now: Time) {
        let (times, last) = self.in_vain;
        let is_same = last.is_some_and(|last| now.since(last) <= TROUBLE);
        self.in_vain = (if is_same { times.saturating_add(1) } else { 1 }, Some(now));
    }

    /// Who told last.
    pub(super) fn told_by(&self) -> Option<&Duid> {
        self.told_by.as_ref()
    }

    /// Notes who told.
    pub(super) fn told(&mut self, server: Duid) {
        if self.told_by.as_ref() != Some(&server) {
            (self.told_by, self.in_vain) = (Some(server), (0, None));
        }
    }

    /// Asks no more, and forgets who told.
    pub(super) fn forget(&mut self) {
        (self.stage, self.told_by, self.in_vain) = (Stage::Idle, None, (0, None));
    }

    /// Asks no more: leases bring it, or nobody wants it.
    pub(super) fn stop(&mut self) {
        self.stage = Stage::Idle;
    }

    /// Answered, and good for so many seconds (RFC 8415 21.23): not below the shortest, and all ones is for ever.
    pub(super) fn answered(&mut self, now: Time, refresh: Option<u32>) {
        let seconds = refresh.unwrap_or(REFRESH).max(SHORTEST_REFRESH);
        self.stage = Stage::Informed((seconds != u32::MAX).then(|| now + Duration::from_secs(seconds.into())));
    }

    /// INF_MAX_RT, from a server (RFC 8415 21.25).
    pub(super) fn set_longest(&mut self, longest: Duration) {
        self.longest = longest;
        if let Stage::Asking(exchange) = &mut self.stage {
            exchange.schedule.longest = Some(longest);
        }
    }

    /// What is to be done at [`Self::due`]: nothing, or to send the message.
    pub(super) fn turn(&mut self, now: Time, rng: &mut StdRng) -> Turn {
        if matches!(self.stage, Stage::Informed(Some(refresh)) if refresh <= now) {
            self.ask(now, rng);
        }
        match &mut self.stage {
            Stage::Asking(exchange) => exchange.turn(now, rng),
            _ => Turn::Wait,
        }
    }

    /// When [`Self::turn`] has something to do.
    pub(super) fn due(&self) -> Option<Time> {
        match &self.stage {
            Stage::Idle => None,
            Stage::Asking(exchange) => Some(exchange.due()),
            Stage::Informed(refresh) => *refresh,
        }
    }

    /// The Information-request that is under way, if one is.
    pub(super) fn exchange(&self) -> Option<&Exchange> {
        match &self.stage {
            Stage::Asking(exchange) => Some(exchange),
            _ => None,
        }
    }

    /// When it is asked for again, if it has been told.
    pub(super) fn refresh(&self) -> Option<Time> {
        match self.stage {
            Stage::Informed(refresh) => refresh,
            _ => None,
        }
    }

    /// What a person is told of it; `None` while nothing is asked.
    pub(super) fn state(&self) -> Option<State> {
        match self.stage {
            Stage::Idle => None,
            Stage::Asking(_) => Some(State::Asking),
            Stage::Informed(_) => Some(State::Informed),
        }
    }
}
