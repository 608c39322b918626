//! Leases as they are shown, and as they are kept in a file.

use std::sync::Arc;

use hikyaku_net::{Mac, Prefix6, Time};
use serde::{Deserialize, Serialize};

use super::super::duid::Duid;
use super::source::Kind;
use super::table::{Binding, Owner};
use crate::text::{as_text, from_text};

/// What a client has, for `hikyaku show leases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// Addresses, which are prefixes of 128 bits, or delegated prefixes; none while the line has no prefix.
    pub leases: Vec<Prefix6>,
    /// The station that asked.
    pub mac: Mac,
    /// The client's identifier.
    pub duid: Duid,
    /// As it calls itself.
    pub hostname: Option<Arc<str>>,
    /// Seconds until its lease ends.
    pub left: u64,
}

/// What a restart must not lose; times in seconds of Unix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseFile {
    /// When it was written, in seconds of Unix.
    pub saved: u64,
    /// Leases, and who had one before: it gets the same again.
    pub(super) leases: Vec<SavedLease>,
    /// What leases were made of.
    pub(super) prefixes: Vec<SavedPrefix>,
}

/// A lease in a [`LeaseFile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedLease {
    pub kind: Kind,
    pub duid: Duid,
    pub iaid: u32,
    #[serde(with = "crate::text::mac")]
    pub mac: Mac,
    /// An interface id, or the number of the first /64.
    pub number: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
    /// When it ends, or ended, in seconds of Unix.
    pub until: u64,
    /// What it was promised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub promised: Vec<Promised>,
}

/// An address, of 128 bits, or a prefix that a client was promised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Promised {
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub what: Prefix6,
    /// In seconds of Unix.
    pub until: u64,
}

/// A prefix that clients may have leases of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPrefix {
    pub kind: Kind,
    #[serde(serialize_with = "as_text", deserialize_with = "from_text")]
    pub prefix: Prefix6,
    /// Until when; absent where it was there when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
}

/// All leases as they are at one moment: quick to make, and made a [`LeaseFile`] of where there is time.
#[derive(Clone, Debug)]
pub struct LeaseSnapshot {
    pub(super) now: Time,
    /// Seconds of Unix.
    pub(super) wall: u64,
    pub(super) bindings: Vec<(Kind, Arc<Owner>, Binding)>,
    pub(super) prefixes: Vec<(Kind, Prefix6, Option<Time>)>,
}

impl LeaseSnapshot {
    /// What is to be written.
    pub fn file(&self) -> LeaseFile {
        LeaseFile {
            saved: self.wall,
            leases: self.bindings.iter().map(|(kind, owner, binding)| self.lease(*kind, owner, binding)).collect(),
            prefixes: self
                .prefixes
                .iter()
                .map(|&(kind, prefix, until)| SavedPrefix { kind, prefix, until: until.map(|until| self.unix(until)) })
                .collect(),
        }
    }

    fn lease(&self, kind: Kind, owner: &Owner, binding: &Binding) -> SavedLease {
        let Owner { duid, iaid, station } = owner.clone();
        SavedLease {
            kind,
            duid,
            iaid,
            mac: station,
            number: binding.number,
            hostname: binding.name.as_deref().map(str::to_owned),
            known: binding.is_known,
            until: self.unix(binding.end),
            promised: binding
                .promised
                .iter()
                .map(|&(what, until)| Promised { what, until: self.unix(until) })
                .collect(),
        }
    }

    /// Rounded up: a promise is not shortened by writing it down.
    fn unix(&self, at: Time) -> u64 {
        match at > self.now {
            true => self.wall + at.since(self.now).as_millis().div_ceil(1000) as u64,
            false => self.wall.saturating_sub(self.now.since(at).as_secs()),
        }
    }
}
