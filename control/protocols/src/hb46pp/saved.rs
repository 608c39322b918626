//! An answer, kept and written down.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use serde::{Deserialize, Serialize};

use super::{MAX_TTL, Offer};
use crate::http::{MAX_BODY, Secret};

/// An answer that could be used.
#[derive(Debug)]
pub(super) struct Answer {
    pub offer: Offer,
    /// The server's last, whether or not in this answer.
    pub token: Option<Secret>,
    /// Who gave it: nobody else is told the token.
    pub host: String,
    /// For whom, upper half.
    pub prefix: Ipv6Addr,
    /// As it came: the token is in it.
    pub body: Secret,
    /// When it was given or read.
    pub at: Time,
    /// How old it was then.
    pub age: Duration,
}

/// An answer as a file has it. Holds the token: the file is for its owner only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// When it was given, seconds of Unix.
    pub taken: u64,
    /// For which line: the upper 64 bits of its prefix.
    pub prefix: Ipv6Addr,
    /// The name of the server.
    pub host: String,
    /// To be said to that server the next time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// All that the server said, in JSON.
    answer: String,
}

impl fmt::Debug for Saved {
    /// Without the token, and without the answer, which has it too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Saved {{ {} for {}, of {} }}", self.host, self.prefix, self.taken)
    }
}

#[cfg(test)]
impl Saved {
    pub(super) fn answer_and_host(&self) -> (&str, &str) {
        (&self.answer, &self.host)
    }
}

impl Answer {
    pub fn save(&self, now: Time, wall: u64) -> Saved {
        Saved {
            taken: wall.saturating_sub(self.age(now).as_secs()),
            prefix: self.prefix,
            host: self.host.clone(),
            token: self.token.as_ref().map(|token| token.expose().to_string()),
            answer: self.body.expose().to_string(),
        }
    }

    /// `None` if it is too old, or no answer: files are edited, and programs change. A wall clock that stands
    /// before the moment of saving was not set yet.
    pub fn load(saved: &Saved, now: Time, wall: u64) -> Option<Self> {
        let age = Duration::from_secs(wall.saturating_sub(saved.taken));
        if age > MAX_TTL || saved.answer.len() > MAX_BODY {
            return None;
        }
        Some(Self {
            offer: Offer::parse(saved.answer.as_bytes()).ok()?,
            token: saved.token.as_deref().map(Secret::new),
            host: saved.host.clone(),
            prefix: upper_half(saved.prefix),
            body: Secret::new(saved.answer.clone()),
            at: now,
            age,
        })
    }

    pub fn age(&self, now: Time) -> Duration {
        self.age.saturating_add(now.since(self.at))
    }
}

/// The upper 64 bits.
pub(super) fn upper_half(prefix: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64)
}
