//! When advertisements are sent (RFC 4861 6.2.4 to 6.2.6).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;

/// RFC 4861 6.2.1: MaxRtrAdvInterval and MinRtrAdvInterval.
pub(super) const MAX_INTERVAL: Duration = Duration::from_secs(600);
const MIN_INTERVAL: Duration = Duration::from_secs(200);

/// RFC 4861 10: MAX_INITIAL_RTR_ADVERTISEMENTS, and the longest interval between them.
const INITIAL: u8 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);

/// RFC 4861 10: MAX_FINAL_RTR_ADVERTISEMENTS.
const FINAL: u8 = 3;

/// RFC 4861 10: MIN_DELAY_BETWEEN_RAS, of those to all nodes.
const MIN_DELAY: Duration = Duration::from_secs(3);

/// Of the MAX_RA_DELAY_TIME of RFC 4861 10, half a second, a tenth: it keeps routers of a link from answering together, and a
/// home has few. Who solicits waits.
const MAX_ANSWER_DELAY: Duration = Duration::from_millis(50);

/// Hosts that are answered one by one; more at once hear what all are told.
const MAX_ANSWERS: usize = 32;

/// What is to be sent, and when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// The next to all nodes.
    due: Option<Time>,
    /// The last to all nodes.
    sent: Option<Time>,
    /// How many of those that follow a change are still to be sent.
    left: u8,
    /// Hosts that solicited, each with when it is answered.
    answers: Vec<(Ipv6Addr, Time)>,
}

impl Schedule {
    /// There is something new to say: at once, and twice more soon (RFC 4861 6.2.4).
    pub fn changed(&mut self, now: Time) {
        self.left = INITIAL;
        self.due = Some(self.earliest(now));
    }

    /// It ends: the last words are said at once and repeated (RFC 4861 6.2.5).
    pub fn last_words(&mut self, now: Time) {
        self.left = FINAL;
        self.due = Some(self.earliest(now));
        self.answers.clear();
    }

    /// A host asks; `None`: one that cannot be answered itself.
    pub fn solicited(&mut self, now: Time, host: Option<Ipv6Addr>) {
        let due = now + rand::random_range(Duration::ZERO..=MAX_ANSWER_DELAY);
        match host {
            Some(host) if self.answers.iter().any(|&(waiting, _)| waiting == host) => {}
            Some(host) if self.answers.len() < MAX_ANSWERS => self.answers.push((host, due)),
            _ => {
                let due = due.max(self.earliest(now));
                self.due = Some(self.due.map_or(due, |planned| planned.min(due)));
            }
        }
    }

    /// RFC 4861 6.2.6: to all nodes not so soon after the last.
    fn earliest(&self, now: Time) -> Time {
        self.sent.map_or(now, |sent| now.max(sent + MIN_DELAY))
    }

    /// The next host that is to be answered by now.
    pub fn next_answer(&mut self, now: Time) -> Option<Ipv6Addr> {
        let at = self.answers.iter().position(|&(_, due)| due <= now)?;
        Some(self.answers.remove(at).0)
    }

    /// Whether all nodes are to be told by now.
    pub fn is_due(&self, now: Time) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// All nodes were told. `is_last`: that it is over, so nothing comes after the last words.
    pub fn sent(&mut self, now: Time, is_last: bool) {
        self.sent = Some(now);
        self.left = self.left.saturating_sub(1);
        self.due = match (self.left, is_last) {
            (0, true) => None,
            (_, true) => Some(now + MIN_DELAY),
            (0, false) => Some(now + rand::random_range(MIN_INTERVAL..=MAX_INTERVAL)),
            (_, false) => Some(now + INITIAL_INTERVAL),
        };
    }

    /// There is nothing to say.
    pub fn stop(&mut self) {
        self.due = None;
        self.answers.clear();
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.answers.iter().map(|&(_, due)| due).chain(self.due).min()
    }
}
