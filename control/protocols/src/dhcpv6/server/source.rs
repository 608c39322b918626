//! What leases are made of: prefixes of the link, and prefixes to delegate parts of.

use std::time::Duration;

use hikyaku_net::{Prefix6, Time};
use serde::{Deserialize, Serialize};

use super::{Delegable, OnLink};
use crate::advertiser::{PREFERRED, VALID};

/// The kinds of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Of an IA_NA (RFC 8415 21.4): numbers are interface ids.
    Address,
    /// Of an IA_PD (RFC 8415 21.21): numbers are those of the first /64.
    Prefix,
}

/// Old prefixes that are remembered of a kind.
const MOST_WITHDRAWN: usize = 12;

/// Something that leases are made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Source {
    pub prefix: Prefix6,
    /// Length of what is leased: 128 for addresses.
    len: u8,
    /// Parts that are nobody's to lease.
    taken: Vec<Prefix6>,
    preferred: Time,
    valid: Time,
}

impl Source {
    pub fn on_link(now: Time, of: &OnLink) -> Self {
        let (preferred, valid) = ends(now, of.preferred, of.valid);
        Self { prefix: of.prefix, len: 128, taken: Vec::new(), preferred, valid }
    }

    pub fn delegable(now: Time, of: &Delegable) -> Self {
        let (preferred, valid) = ends(now, of.preferred, of.valid);
        Self { prefix: of.prefix, len: of.len, taken: of.taken.clone(), preferred, valid }
    }

    /// What of it has this number, if it may be leased.
    pub fn lease(&self, number: u64) -> Option<Prefix6> {
        let address = match self.len {
            128 => self.prefix.with_interface_id(number),
            _ if number >> self.bits() > 0 => return None,
            _ => (self.prefix.address().to_bits() | u128::from(number) << 64).into(),
        };
        let lease = Prefix6::new(address, self.len)?;
        let is_whole = lease.address() == address && self.len >= self.prefix.len();
        (is_whole && !self.taken.iter().any(|taken| overlaps(*taken, lease))).then_some(lease)
    }

    /// The number of a prefix, if it is one that may be leased.
    pub fn number(&self, lease: Prefix6) -> Option<u64> {
        let number = ((lease.address().to_bits() ^ self.prefix.address().to_bits()) >> 64) as u64;
        (self.lease(number) == Some(lease)).then_some(number)
    }

    /// The numbers of the prefixes in it, the highest first: LANs are numbered from below. There are 65,536 at most.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        let step = 1u64 << 64u8.saturating_sub(self.len).min(16);
        (0..(1u64 << self.bits()) / step).rev().map(move |number| number * step)
    }

    /// Bits of a number: of the prefixes of 64 bits in a large one those at the end are left out.
    fn bits(&self) -> u8 {
        64u8.saturating_sub(self.prefix.len()).min(16)
    }

    /// What is told of its lifetimes, seconds: short enough to wait out (RFC 9096 3.4), never longer than the line's own.
    pub fn lifetimes(&self, now: Time) -> (u32, u32) {
        let left = |until: Time, most: Duration| until.since(now).min(most).as_secs() as u32;
        let valid = left(self.valid, VALID);
        (left(self.preferred, PREFERRED).min(valid), valid)
    }
}

fn ends(now: Time, preferred: Option<u64>, valid: Option<u64>) -> (Time, Time) {
    let end = |seconds: Option<u64>| seconds.map_or(Time(u64::MAX), |seconds| now + Duration::from_secs(seconds));
    (end(preferred), end(valid))
}

fn overlaps(one: Prefix6, other: Prefix6) -> bool {
    one.contains(other.address()) || other.contains(one.address())
}

/// What there is of a kind, and what there was.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// The best first.
    pub current: Vec<Source>,
    /// Clients may still have leases of these, until then.
    withdrawn: Vec<(Prefix6, Time)>,
}

impl Sources {
    /// This alone.
    pub fn of(now: Time, delegable: &Delegable) -> Self {
        Self { current: vec![Source::delegable(now, delegable)], withdrawn: Vec::new() }
    }

    /// These from now on. Whether others are withdrawn than before: a restart has to know.
    pub fn set(&mut self, now: Time, current: Vec<Source>) -> bool {
        let is_same = |one: &Source, other: &Source| one.prefix == other.prefix && one.len == other.len;
        let before = std::mem::replace(&mut self.current, current);
        let is_another =
            before.len() != self.current.len() || !before.iter().zip(&self.current).all(|(a, b)| is_same(a, b));
        if is_another {
            let gone = before.iter().filter(|before| self.current.iter().all(|now| now.prefix != before.prefix));
            let gone: Vec<_> = gone.map(|gone| (gone.prefix, gone.valid.min(now + VALID))).collect();
            self.withdrawn
                .retain(|&(prefix, until)| until > now && self.current.iter().all(|now| now.prefix != prefix));
            gone.into_iter().for_each(|(prefix, until)| self.remember(prefix, until));
        }
        is_another
    }

    /// Clients may have leases of this until then.
    pub fn remember(&mut self, prefix: Prefix6, until: Time) {
        if self.current.iter().any(|current| current.prefix == prefix) {
            return;
        }
        self.withdrawn.retain(|&(known, _)| known != prefix);
        if self.withdrawn.len() >= MOST_WITHDRAWN {
            self.withdrawn.remove(0);
        }
        self.withdrawn.push((prefix, until));
    }

    /// What may be leased with this number, with lifetimes.
    pub fn leases(&self, now: Time, number: u64) -> Vec<Lease> {
        let lease = |source: &Source| {
            let (preferred, valid) = source.lifetimes(now);
            source.lease(number).filter(|_| valid > 0).map(|what| Lease { what, preferred, valid })
        };
        self.current.iter().filter_map(lease).take(MOST_LEASES).collect()
    }

    /// What becomes of a lease that is not of [`Self::leases`]: of a prefix that was ours it is used on, for old connections, for as
    /// long as it was leased (RFC 9096 3.5); others are over (RFC 8415 18.3.4).
    pub fn deprecated(&self, now: Time, what: Prefix6, leased_until: Time) -> Lease {
        let of = self.withdrawn.iter().find(|(prefix, _)| prefix.contains(what.address()));
        let until = of.map_or(now, |&(_, until)| until.min(leased_until));
        Lease { what, preferred: 0, valid: until.since(now).min(VALID).as_secs() as u32 }
    }

    /// Whether an address is of the link, or was (RFC 8415 18.3.2, 18.3.3).
    pub fn is_on_link(&self, what: Prefix6, also_withdrawn: bool) -> bool {
        let withdrawn = self.withdrawn.iter().map(|(prefix, _)| prefix).filter(|_| also_withdrawn);
        self.current.iter().map(|source| &source.prefix).chain(withdrawn).any(|prefix| prefix.contains(what.address()))
    }

    /// How many numbers there are to lease, `most` at most.
    pub fn total(&self, most: usize) -> usize {
        let Some(source) = self.current.first().filter(|source| source.len < 128) else {
            return if self.current.is_empty() { 0 } else { most };
        };
        source.numbers().filter(|&number| source.lease(number).is_some()).take(most).count()
    }

    /// What clients may have leases of, for a restart: with until when, where it is withdrawn.
    pub fn known(&self) -> impl Iterator<Item = (Prefix6, Option<Time>)> {
        let current = self.current.iter().map(|source| (source.prefix, None));
        current.chain(self.withdrawn.iter().map(|&(prefix, until)| (prefix, Some(until))))
    }
}

/// Leases of one association, at most: what the line has at once.
const MOST_LEASES: usize = 4;

/// An address or a prefix, with lifetimes in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// An address has 128 bits.
    pub what: Prefix6,
    pub preferred: u32,
    pub valid: u32,
}
