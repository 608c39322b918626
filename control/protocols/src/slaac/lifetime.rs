//! Lifetimes as router advertisements give them.

use std::fmt;
use std::time::Duration;

use hikyaku_net::Time;
use serde::{Serialize, Serializer};

/// A moment that does not come: the end of [`Lifetime::Forever`].
pub(super) const NEVER: Time = Time(u64::MAX);

/// How long something stays true: as an option says, or what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lifetime {
    /// It ends after so many seconds.
    Seconds(u32),
    /// All ones on the wire (RFC 4861 4.6.2, RFC 8106 5.1, RFC 4191 2.3).
    Forever,
}

impl Lifetime {
    /// From the seconds of an option, of which all ones are for ever (RFC 4861 4.6.2).
    pub fn from_wire(seconds: u32) -> Self {
        if seconds == u32::MAX { Self::Forever } else { Self::Seconds(seconds) }
    }

    /// No time at all: what the option is about ends now.
    pub fn is_zero(self) -> bool {
        self == Self::Seconds(0)
    }

    /// When it ends if it begins `now`.
    pub(super) fn end(self, now: Time) -> Time {
        match self {
            Self::Seconds(seconds) => now + Duration::from_secs(seconds.into()),
            Self::Forever => NEVER,
        }
    }

    /// What is left until `end`, in whole seconds.
    pub(super) fn left(end: Time, now: Time) -> Self {
        match end {
            NEVER => Self::Forever,
            end => Self::Seconds(end.since(now).as_secs().min(u32::MAX.into()) as u32),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "{seconds} s"),
            Self::Forever => f.write_str("forever"),
        }
    }
}

/// Seconds as a number, or `"forever"`.
impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => serializer.serialize_u32(*seconds),
            Self::Forever => serializer.serialize_str("forever"),
        }
    }
}
