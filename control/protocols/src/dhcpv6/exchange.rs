//! One message and its repetitions, until it is answered or given up (RFC 8415 15).

use std::time::Duration;

use hikyaku_net::Time;
use rand::RngExt;
use rand::rngs::StdRng;

/// How a kind of message is repeated (RFC 8415 7.6).
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    /// IRT: the first wait.
    pub first: Duration,
    /// MRT: the longest wait, if there is one.
    pub longest: Option<Duration>,
    /// MRC: how often it is sent at most, if that is limited.
    pub times: Option<u32>,
    /// The longest random delay before the first transmission.
    pub delay: Duration,
    /// Whether the first wait may not be shorter than `first` (RFC 8415 18.2.1, so that preference counts).
    pub collects: bool,
}

const SECOND: Duration = Duration::from_secs(1);

/// SOL_MAX_RT and INF_MAX_RT unless the server says otherwise (RFC 7083).
pub(super) const MAX_RT: Duration = Duration::from_secs(3600);

/// The longest random delay of the first message of a start. RFC 8415 18.2.1 and 18.2.6 have one second, so that clients
/// that start together do not ask together. They solicited routers before, each with a delay of its own, and a household
/// waits for this message: a tenth of it is left.
pub(super) const START_DELAY: Duration = Duration::from_millis(100);

impl Schedule {
    pub(super) fn solicit(longest: Duration) -> Self {
        Self { first: SECOND, longest: Some(longest), times: None, delay: START_DELAY, collects: true }
    }

    pub(super) fn information_request(longest: Duration, delay: Duration) -> Self {
        Self { first: SECOND, longest: Some(longest), times: None, delay, collects: false }
    }

    /// Begins later, by a random delay of up to a second, doubled for each of so many refusals up to 128 s: a server
    /// that offers and then refuses is not asked in a loop (RFC 8415 18.2.10).
    pub(super) fn after_refusals(mut self, refusals: u32) -> Self {
        if refusals > 0 {
            self.delay = SECOND * (1 << refusals.min(7));
        }
        self
    }

    pub(super) const REQUEST: Self = Self {
        first: SECOND,
        longest: Some(Duration::from_secs(30)),
        times: Some(10),
        delay: Duration::ZERO,
        collects: false,
    };

    /// Renew, and Rebind after it.
    pub(super) const RENEW: Self = Self {
        first: Duration::from_secs(10),
        longest: Some(Duration::from_secs(600)),
        times: None,
        delay: Duration::ZERO,
        collects: false,
    };

    /// Confirm, and the Rebind that stands for it where prefixes are delegated (RFC 8415 18.2.12).
    pub(super) const CONFIRM: Self =
        Self { first: SECOND, longest: Some(Duration::from_secs(4)), times: None, delay: SECOND, collects: false };

    /// CNF_MAX_RD (RFC 8415 7.6): a Confirm that nobody answered for so long is given up.
    pub(super) const CONFIRM_LASTS: Duration = Duration::from_secs(10);

    /// Release and Decline (RFC 8415 18.2.7, 18.2.8).
    pub(super) const GIVE_BACK: Self =
        Self { first: SECOND, longest: None, times: Some(4), delay: Duration::ZERO, collects: false };
}

/// What an [`Exchange`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// There is nothing to do before [`Exchange::due`].
    Wait,
    /// The message is to be sent now, for the first time or again.
    Send,
    /// Nobody answered as often and as long as it was tried.
    GiveUp,
}

/// A message under way.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub schedule: Schedule,
    /// Transaction id (RFC 8415 16.1): the answer carries it, so it is drawn from the cryptographic generator.
    pub xid: [u8; 3],
    /// When it is given up, whatever else (MRD, or the end of T2 or of the leases).
    pub end: Option<Time>,
    /// How often it was sent, since it began or was last hurried.
    pub sent: u32,
    first_sent: Option<Time>,
    wait: Duration,
    due: Time,
}

impl Exchange {
    /// Waits of this length need not be cut short.
    const SOON: Duration = Duration::from_secs(8);

    pub(super) fn new(schedule: Schedule, now: Time, end: Option<Time>, rng: &mut StdRng) -> Self {
        let delay = schedule.delay.mul_f64(rng.random_range(0.0..=1.0));
        Self { schedule, xid: rng.random(), end, sent: 0, first_sent: None, wait: Duration::ZERO, due: now + delay }
    }

    /// When [`Self::turn`] next has something to say.
    pub(super) fn due(&self) -> Time {
        self.end.map_or(self.due, |end| end.min(self.due))
    }

    /// Call when due. `Send` counts as sent.
    pub(super) fn turn(&mut self, now: Time, rng: &mut StdRng) -> Turn {
        if self.end.is_some_and(|end| end <= now) {
            return Turn::GiveUp;
        }
        if now < self.due {
            return Turn::Wait;
        }
        if self.schedule.times == Some(self.sent) {
            return Turn::GiveUp;
        }
        let (base, factor) = match self.sent {
            0 => (self.schedule.first, 1.0),
            _ => (self.wait, 2.0),
        };
        // RFC 8415 15: RAND is uniform in -0.1..=0.1, and the cap gets a RAND of its own.
        let shortest = if self.sent == 0 && self.schedule.collects { f64::EPSILON } else { -0.1 };
        self.wait = base.mul_f64(factor + rng.random_range(shortest..=0.1));
        if let Some(longest) = self.schedule.longest
            && self.wait > longest
        {
            self.wait = longest.mul_f64(1.0 + rng.random_range(-0.1..=0.1));
        }
        self.sent += 1;
        self.first_sent.get_or_insert(now);
        self.due = now + self.wait;
        Turn::Send
    }

    /// Whether this is the transaction id of a message that was sent.
    pub(super) fn is_answered_by(&self, xid: [u8; 3]) -> bool {
        self.first_sent.is_some() && self.xid == xid
    }

    /// Whether it is sent again only after more than [`Self::SOON`].
    pub(super) fn is_slow(&self, now: Time) -> bool {
        self.due.since(now) > Self::SOON
    }

    /// Cuts a long wait short: it is sent at once, and its waits begin anew. One that is soon sent again stays as it is.
    pub(super) fn hurry(&mut self, now: Time) {
        if self.is_slow(now) {
            (self.due, self.sent) = (now, 0);
        }
    }

    /// The next wait is not shorter than this.
    pub(super) fn slow_down(&mut self, now: Time, wait: Duration) {
        if self.wait < wait {
            (self.wait, self.due) = (wait, now + wait);
        }
    }

    /// The Elapsed Time option's value, hundredths of a second (RFC 8415 21.9).
    pub(super) fn elapsed(&self, now: Time) -> u16 {
        let elapsed = self.first_sent.map_or(0, |first| now.since(first).as_millis() / 10);
        u16::try_from(elapsed).unwrap_or(u16::MAX)
    }

    /// Whether the first wait is over: until then a client collects Advertises (RFC 8415 18.2.1).
    pub(super) fn collecting(&self) -> bool {
        self.sent <= 1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    fn waits(mut exchange: Exchange, rng: &mut StdRng, most: usize) -> (Vec<Duration>, Time) {
        let mut waits = Vec::new();
        let mut last = None;
        loop {
            let now = exchange.due();
            match exchange.turn(now, rng) {
                Turn::Send if waits.len() == most => return (waits, now),
                Turn::Send => {
                    waits.extend(last.map(|last| now.since(last)));
                    last = Some(now);
                }
                Turn::GiveUp => return (waits, now),
                Turn::Wait => unreachable!("it was due"),
            }
        }
    }

    fn within(wait: Duration, seconds: f64) -> bool {
        (seconds * 0.8999..=seconds * 1.1001).contains(&wait.as_secs_f64())
    }

    proptest! {
        /// RFC 8415 15 and 7.6: each wait is twice the one before, within a tenth, up to the cap.
        #[test]
        fn waits_double_up_to_the_cap(seed: u64, start in 0u64..1 << 40) {
            let mut rng = StdRng::seed_from_u64(seed);
            let exchange = Exchange::new(Schedule::solicit(MAX_RT), Time(start), None, &mut rng);
            prop_assert!(exchange.due().since(Time(start)) <= SECOND);
            let (waits, _) = waits(exchange, &mut rng, 20);
            prop_assert!(waits[0] > SECOND && waits[0] <= SECOND.mul_f64(1.1), "18.2.1: RAND of the first is above 0");
            for pair in waits.windows(2) {
                let doubled = pair[0].as_secs_f64() * 2.0;
                let capped = within(pair[1], MAX_RT.as_secs_f64());
                prop_assert!(capped || (doubled * 0.949..=doubled * 1.051).contains(&pair[1].as_secs_f64()));
                prop_assert!(pair[1] <= MAX_RT.mul_f64(1.1));
            }
            prop_assert!(within(waits[19], 3600.0));
        }

        /// RFC 8415 18.2.2: REQ_MAX_RC transmissions, and after the last its wait is still kept.
        #[test]
        fn requests_are_sent_ten_times(seed: u64) {
            let mut rng = StdRng::seed_from_u64(seed);
            let exchange = Exchange::new(Schedule::REQUEST, Time(5), None, &mut rng);
            prop_assert_eq!(exchange.due(), Time(5));
            let (waits, end) = waits(exchange, &mut rng, 100);
            prop_assert_eq!(waits.len(), 9);
            prop_assert!(waits.iter().all(|&wait| wait <= Duration::from_secs(33)));
            let spent: Duration = waits.iter().sum();
            prop_assert!(within(end.since(Time(5) + spent), 30.0));
        }

        /// RFC 8415 18.2.4: nothing is sent after the end, and the end itself is a turn.
        #[test]
        fn ends_when_told(seed: u64, seconds in 1u64..100_000) {
            let mut rng = StdRng::seed_from_u64(seed);
            let end = Time(0) + Duration::from_secs(seconds);
            let exchange = Exchange::new(Schedule::RENEW, Time(0), Some(end), &mut rng);
            let (_, gave_up) = waits(exchange, &mut rng, 10_000);
            prop_assert_eq!(gave_up, end);
        }
    }

    /// RFC 8415 21.9: 0 in the first message, hundredths of a second, and it does not wrap.
    #[test]
    fn elapsed_time() {
        let mut rng = StdRng::seed_from_u64(0);
        let mut exchange = Exchange::new(Schedule::REQUEST, Time(0), None, &mut rng);
        assert_eq!(exchange.elapsed(Time(0)), 0);
        assert_eq!(exchange.turn(Time(0), &mut rng), Turn::Send);
        assert_eq!(exchange.elapsed(Time(0)), 0);
        assert_eq!(exchange.elapsed(Time(0) + Duration::from_millis(1239)), 123);
        assert_eq!(exchange.elapsed(Time(0) + Duration::from_secs(656)), u16::MAX);
    }
}
