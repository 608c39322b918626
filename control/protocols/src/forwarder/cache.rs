//! Answers that were heard, for as long as they say.

use std::time::Duration;

use hikyaku_net::Time;
use lru::LruCache;

use super::reply::Reply;

/// Answers that are kept at most, however small they are.
pub const MAX_ANSWERS: usize = 32_768;
/// What an answer takes besides its bytes, about: places in two tables, pointers, what the allocator adds.
const OVERHEAD: usize = 200;

/// Answers by their questions ([`super::query::Query::key`]); those that nobody asked for the longest time go first.
#[derive(Debug)]
pub(super) struct Cache {
    answers: LruCache<Box<[u8]>, Kept>,
    /// What they take, about.
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Kept {
    reply: Reply,
    since: Time,
}

impl Cache {
    /// Of `limit` bytes, about.
    pub fn new(limit: usize) -> Self {
        Self { answers: LruCache::unbounded(), bytes: 0, limit }
    }

    /// From now on; what does not fit is forgotten.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        self.shrink();
    }

    pub fn clear(&mut self) {
        self.answers.clear();
        self.bytes = 0;
    }

    pub fn len(&self) -> usize {
        self.answers.len()
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// An answer, and how many seconds it has been kept.
    pub fn get(&mut self, now: Time, key: &[u8]) -> Option<(&Reply, u32)> {
        let is_over = self.answers.peek(key).is_some_and(|kept| {
            // So whoever gets it may keep it for a second at least.
            now.since(kept.since) >= Duration::from_secs(kept.reply.keep.into())
        });
        if is_over {
            self.remove(key);
        }
        let kept = self.answers.get(key)?;
        let age = now.since(kept.since).as_secs().try_into().unwrap_or(u32::MAX);
        Some((&kept.reply, age))
    }

    /// Keeps an answer, as far as it may be kept and there is room.
    pub fn put(&mut self, now: Time, key: Box<[u8]>, reply: Reply) {
        self.remove(&key);
        let size = size(&key, &reply);
        if reply.keep == 0 || size > self.limit {
            return;
        }
        self.bytes += size;
        self.answers.put(key, Kept { reply, since: now });
        self.shrink();
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some((key, kept)) = self.answers.pop_entry(key) {
            self.bytes -= size(&key, &kept.reply);
        }
    }

    fn shrink(&mut self) {
        while self.bytes > self.limit || self.answers.len() > MAX_ANSWERS {
            let Some((key, kept)) = self.answers.pop_lru() else { return };
            self.bytes -= size(&key, &kept.reply);
        }
    }
}

fn size(key: &[u8], reply: &Reply) -> usize {
    OVERHEAD + key.len() + reply.size()
}
