//! Whether the border router in use is asked for an echo, or left, and for which.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

use super::watch::Silence;
use super::{Output, Selector, Why};

/// So long one that has not carried anything yet is tried while none replies to echo requests.
pub(super) const TURN: Duration = Duration::from_secs(3);
/// So long one that carried and does not reply to echo requests may be silent.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);
/// After each round in which none answered the pause before the next is a second longer, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

impl Selector {
    /// Something came from the one in use.
    pub(super) fn answers(&mut self) {
        if self.asking || self.rounds.is_some() {
            self.calm();
        }
        self.worked = self.current;
        if let Some(candidate) = self.current.and_then(|current| self.candidates.get_mut(current)) {
            candidate.failed = false;
        }
    }

    /// Nobody is suspected any more.
    pub(super) fn calm(&mut self) {
        (self.asking, self.silent_since, self.rounds) = (false, None, None);
        self.candidates.ask_anew();
        self.candidates.begin_round();
    }

    /// Asks for echoes. While all is well only to learn whether the one in use replies at all, or one that a name's
    /// answer brought.
    pub(super) fn ask(&mut self, now: Time) {
        let Some(current) = self.current else { return };
        let carries = self.worked == self.current;
        // The one in use is asked first, and alone: most often it replies.
        let all = self.candidates.get(current).is_some_and(|c| c.asked > 0);
        for candidate in self.candidates.iter_mut() {
            let is_wanted = match (self.asking, candidate.address == current) {
                (true, is_current) => is_current || all,
                (false, true) => carries && !candidate.echoes && !candidate.is_asked_enough(),
                (false, false) => self.awaits_reply && !candidate.failed && !candidate.is_asked_enough(),
            };
            let request = if is_wanted { candidate.ask(now) } else { None };
            self.outputs.extend(request.map(Output::Ask));
        }
    }

    /// Whether the one in use is to be asked for an echo, or left.
    pub(super) fn judge(&mut self, now: Time) {
        let (Some(current), Some(silence)) = (self.current, self.watch.silence(now)) else { return };
        if !self.asking {
            let suspected = silence.time >= self.patience.silence && silence.packets >= self.patience.packets;
            if suspected || self.rounds.is_some() {
                self.candidates.ask_anew();
                self.asking = true;
            }
            return;
        }
        let Some(candidate) = self.candidates.get(current).filter(|c| c.is_silent(now)) else { return };
        let Silence { since, packets, time } = silence;
        self.silent_since.get_or_insert(since);
        let (requests, carried) = (candidate.asked, candidate.named && self.watch.heard.is_some());
        let why = |answers| Why::Silent { packets, requests, time, answers };
        let replies = self.candidates.other(current, |c| c.replies(now));
        let says_something = candidate.echoes || !carried;
        self.refresh_name(now);
        let patience = if carried { LONGEST_SILENCE } else { TURN + self.pause(current) };
        if replies.is_some() && says_something && time >= TURN {
            self.fail(current);
            self.change(now, replies, why(replies));
        } else if time >= patience {
            self.turn(now, current, if self.rounds.is_some() { Why::Turn } else { why(replies) });
        }
    }

    /// Before the next round, if all have had their turn.
    fn pause(&self, current: Ipv6Addr) -> Duration {
        let is_over = self.candidates.other(current, |c| !c.tried).is_none();
        let rounds = self.rounds.filter(|_| is_over).unwrap_or_default();
        LONGEST_PAUSE.min(Duration::from_secs(rounds.into()))
    }

    fn fail(&mut self, current: Ipv6Addr) {
        if let Some(candidate) = self.candidates.get_mut(current) {
            (candidate.tried, candidate.failed) = (true, true);
        }
    }

    /// The one in use does not answer: another has its turn.
    pub(super) fn turn(&mut self, now: Time, current: Ipv6Addr, why: Why) {
        self.fail(current);
        self.refresh_name(now);
        let replies = self.candidates.other(current, |c| c.replies(now));
        if replies.is_some() {
            return self.change(now, replies, why);
        }
        let rounds = self.rounds.get_or_insert_default();
        if self.candidates.other(current, |c| !c.tried).is_none() {
            *rounds = rounds.saturating_add(1);
            self.candidates.begin_round();
        }
        let next = self.candidates.other(current, |c| !c.tried);
        if next.is_some() {
            self.asking = true;
            self.take(now, next, why);
        }
    }

    /// What its name resolves to is of no use: it is asked for again, though not all the time.
    fn refresh_name(&mut self, now: Time) {
        let last = self.refreshed;
        if let Some(slot) = self.source.and_then(|source| self.slots.get_mut(&source)) {
            slot.refresh(now, last);
            self.refreshed = Some(now);
        }
    }
}
