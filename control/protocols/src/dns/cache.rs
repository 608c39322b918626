//! Answers, for as long as they are true.

use std::collections::HashMap;
use std::time::Duration;

use hickory_proto::rr::Name;
use hikyaku_net::Time;

use super::answer::{Failure, RecordType, Records};

/// More than one router asks for.
pub(super) const MAX_ENTRIES: usize = 64;

/// What is shorter-lived than this is asked for again after so long; TTL 0 would be a question for each user.
pub(super) const MIN_TTL: Duration = Duration::from_secs(10);
/// RFC 8767 4 would allow a week; an AFTR that moved should be found within a day.
pub(super) const MAX_TTL: Duration = Duration::from_secs(86_400);

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<(Name, RecordType), (Result<Records, Failure>, Time)>,
}

impl Cache {
    /// Keeps what has a lifetime. Names are in small letters.
    pub fn put(&mut self, now: Time, name: &Name, record_type: RecordType, result: &Result<Records, Failure>) {
        let ttl = match result {
            Ok(records) => records.ttl,
            Err(Failure::NoSuchName { ttl: Some(ttl) } | Failure::NoData { ttl: Some(ttl) }) => *ttl,
            Err(_) => return,
        };
        self.entries.retain(|_, (_, end)| *end > now);
        if self.entries.len() >= MAX_ENTRIES
            && let Some(first) = self.entries.iter().min_by_key(|(_, (_, end))| *end).map(|(key, _)| key.clone())
        {
            self.entries.remove(&first);
        }
        self.entries.insert((name.clone(), record_type), (result.clone(), now + ttl));
    }

    /// With the time that is left as its TTL.
    pub fn get(&self, now: Time, name: &Name, record_type: RecordType) -> Option<Result<Records, Failure>> {
        let (result, end) = self.entries.get(&(name.clone(), record_type)).filter(|(_, end)| *end > now)?;
        let left = end.since(now);
        Some(match result.clone() {
            Ok(records) => Ok(Records { ttl: left, ..records }),
            Err(Failure::NoSuchName { .. }) => Err(Failure::NoSuchName { ttl: Some(left) }),
            Err(Failure::NoData { .. }) => Err(Failure::NoData { ttl: Some(left) }),
            Err(other) => Err(other),
        })
    }

    pub fn remove(&mut self, name: &Name, record_type: RecordType) {
        self.entries.remove(&(name.clone(), record_type));
    }

    pub fn clear(&mut self) {
        self.entries.clear();
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}
