//! What hosts may have of ours, as it is kept over a restart (RFC 9096 3.5).

use std::fmt::Display;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_net::{Prefix6, Time};
use serde::{Deserialize, Serialize};

use crate::text::{as_text, from_text};

/// What hosts may have of what they were told; times in seconds of Unix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Prefixes that were advertised.
    pub prefixes: Vec<SavedOption<Prefix6>>,
    /// Resolvers that were named.
    pub resolvers: Vec<SavedOption<Ipv6Addr>>,
}

impl Saved {
    /// Nothing.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() && self.resolvers.is_empty()
    }
}

/// Something that hosts were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(serialize = "T: Display", deserialize = "T: FromStr<Err: Display>"))]
pub struct SavedOption<T> {
    /// A prefix or an address.
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub what: T,
    /// Until when hosts may have it; absent where it was being told when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

impl<T> SavedOption<T> {
    /// Until when hosts may have it, if they were last told so now, for `most`. `wall`: seconds since 1970.
    pub(super) fn until(&self, now: Time, wall: u64, most: Duration) -> Time {
        let left = self.until.map_or(most, |until| Duration::from_secs(until.saturating_sub(wall)));
        // A clock that was set back gives nobody more.
        now + left.min(most)
    }
}
