//! Whether the border router in use answers: packets sent against packets received.

use std::time::Duration;

use hikyaku_net::Time;

/// When a border router counts as silent.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// So long nothing came back ...
    pub silence: Duration,
    /// ... although at least so many packets went out meanwhile. One-way traffic (a camera's UDP) looks like
    /// a dead border router: more packets make that rarer, and holds (see [`super::Selector`]) make it harmless.
    pub packets: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(5), packets: 20 }
    }
}

/// ICMPv6 errors about the border router say that it is gone when so many came within [`UNREACHABLE_WINDOW`]
/// and nothing else did: one alone may be a hiccup of routing, or forged (RFC 5927 4.1).
const UNREACHABLE_REPORTS: u32 = 3;
const UNREACHABLE_WINDOW: Duration = Duration::from_secs(10);
/// Errors that come beside answers are not believed.
const ALIVE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
struct Silence {
    since: Time,
    sent_before: u64,
}

#[derive(Debug, Default)]
pub(super) struct Watch {
    sent: u64,
    received: u64,
    sent_at: Option<Time>,
    silence: Option<Silence>,
    /// When something came back last, and since when without a pause that counts.
    pub heard: Option<Time>,
    pub answering_since: Option<Time>,
    unreachable: Option<(Time, u32)>,
}

/// What the counters of packets say about the border router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Answers,
    /// So many packets went unanswered for so long.
    Silent {
        packets: u64,
        time: Duration,
    },
    Nothing,
}

impl Watch {
    /// For another border router: only the counters go on.
    pub fn restart(&mut self) {
        *self = Self { sent: self.sent, received: self.received, ..Self::default() };
    }

    /// `sent` and `received` count up from any start; if one is less than before the start is another.
    pub fn traffic(&mut self, now: Time, sent: u64, received: u64, patience: &Patience) -> Sign {
        let (sent_before, received_before) = (self.sent, self.received);
        (self.sent, self.received) = (sent, received);
        if sent < sent_before || received < received_before {
            self.silence = None;
            return Sign::Nothing;
        }
        if received > received_before {
            (self.heard, self.silence, self.unreachable) = (Some(now), None, None);
            self.sent_at = Some(now).filter(|_| sent > sent_before).or(self.sent_at);
            self.answering_since.get_or_insert(now);
            return Sign::Answers;
        }
        if sent == sent_before {
            // Nobody asks: nobody need answer.
            if self.sent_at.is_none_or(|at| now.since(at) >= patience.silence) {
                self.silence = None;
            }
            return Sign::Nothing;
        }
        self.sent_at = Some(now);
        let silence = *self.silence.get_or_insert(Silence { since: now, sent_before });
        let (packets, time) = (sent - silence.sent_before, now.since(silence.since));
        if time < patience.silence || packets < patience.packets {
            return Sign::Nothing;
        }
        self.answering_since = None;
        Sign::Silent { packets, time }
    }

    /// An ICMPv6 error says that the border router cannot be reached. Whether it is to be believed.
    pub fn unreachable(&mut self, now: Time) -> bool {
        if self.heard.is_some_and(|heard| now.since(heard) < ALIVE) {
            return false;
        }
        let (since, count) = self.unreachable.filter(|u| now.since(u.0) < UNREACHABLE_WINDOW).unwrap_or((now, 0));
        self.unreachable = Some((since, count + 1));
        count + 1 >= UNREACHABLE_REPORTS
    }
}
