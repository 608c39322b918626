//! Whether anything comes back from the border router in use: packets sent against packets received.

use std::time::Duration;

use hikyaku_net::Time;

/// When a border router is suspected to be dead and asked for an echo. One-way traffic (a camera's) looks the same.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// So long nothing came back ...
    pub silence: Duration,
    /// ... although at least so many packets went out meanwhile.
    pub packets: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { silence: Duration::from_secs(5), packets: 3 }
    }
}

/// ICMPv6 errors about the border router say that it is gone when so many came within [`UNREACHABLE_WINDOW`]
/// and nothing else did: one alone may be a hiccup of routing, or forged (RFC 5927 4.1).
const UNREACHABLE_REPORTS: u32 = 3;
const UNREACHABLE_WINDOW: Duration = Duration::from_secs(10);
/// Errors that come beside answers are not believed.
const ALIVE: Duration = Duration::from_secs(2);

/// Packets went out, and none came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    pub since: Time,
    pub packets: u64,
    pub time: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Watch {
    sent: u64,
    received: u64,
    /// When the counters were told last.
    told: Time,
    /// When packets were seen to go out last.
    sent_at: Option<Time>,
    /// Since when nothing comes back, and how many packets had been sent then.
    silence: Option<(Time, u64)>,
    /// When a packet last came back.
    pub heard: Option<Time>,
    /// When an echo reply last came.
    echoed: Option<Time>,
    unreachable: Option<(Time, u32)>,
}

/// What the counters of packets say about the border router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Something came back.
    Answers,
    /// Nobody has sent anything for a while, so nobody need answer.
    Idle,
    /// Nothing new.
    Nothing,
}

impl Watch {
    /// For another border router: only the counters go on.
    pub fn restart(&mut self, now: Time) {
        let Self { sent, received, sent_at, .. } = *self;
        *self = Self { sent, received, sent_at, told: now, ..Self::default() };
    }

    /// `sent` and `received` count up from any start; if one is less than before the start is another.
    pub fn traffic(&mut self, now: Time, sent: u64, received: u64, patience: &Patience) -> Sign {
        let (told, sent_before, received_before) = (self.told, self.sent, self.received);
        (self.told, self.sent, self.received) = (now, sent, received);
        if sent < sent_before || received < received_before {
            self.silence = None;
            return Sign::Nothing;
        }
        if sent > sent_before {
            self.sent_at = Some(now);
        }
        if received > received_before {
            (self.heard, self.silence, self.unreachable) = (Some(now), None, None);
            return Sign::Answers;
        }
        if sent > sent_before {
            self.silence.get_or_insert((told, sent_before));
        } else if self.sent_at.is_none_or(|at| now.since(at) >= patience.silence) {
            self.silence = None;
            return Sign::Idle;
        }
        Sign::Nothing
    }

    /// An echo reply came from the border router: it lives, and silence is measured anew.
    pub fn echoed(&mut self, now: Time) {
        (self.echoed, self.silence, self.unreachable) = (Some(now), None, None);
    }

    /// Since when nothing came back, if packets go out.
    pub fn silence(&self, now: Time) -> Option<Silence> {
        let (since, sent_before) = self.silence?;
        Some(Silence { since, packets: self.sent - sent_before, time: now.since(since) })
    }

    /// An ICMPv6 error says that the border router cannot be reached. Whether it is to be believed.
    pub fn unreachable(&mut self, now: Time) -> bool {
        if [self.heard, self.echoed].into_iter().flatten().any(|at| now.since(at) < ALIVE) {
            return false;
        }
        let (since, count) = self.unreachable.filter(|u| now.since(u.0) < UNREACHABLE_WINDOW).unwrap_or((now, 0));
        self.unreachable = Some((since, count + 1));
        count + 1 >= UNREACHABLE_REPORTS
    }
}
