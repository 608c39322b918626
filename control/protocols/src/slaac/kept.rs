//! Things that advertisements give with a lifetime: resolvers, search domains, routes.

use std::cmp::Reverse;

use hikyaku_net::Time;

use super::{Lifetime, Standing};

/// At most so many things, in the order in which they were first heard of.
#[derive(Debug)]
pub(super) struct Kept<T> {
    list: Vec<(T, Time)>,
    most: usize,
}

impl<T> Kept<T> {
    pub fn new(most: usize) -> Self {
        Self { list: Vec::new(), most }
    }

    /// `item` was advertised; `same` finds the one it takes the place of. Lifetime zero ends it at once. If all places
    /// are taken, what a station of less standing said makes room, and of that what ends first, unless that is `item`
    /// (RFC 8106 6.2).
    pub fn learn(
        &mut self,
        now: Time,
        item: T,
        lifetime: Lifetime,
        same: impl Fn(&T) -> bool,
        standing: impl Fn(&T) -> Standing,
    ) {
        let end = lifetime.end(now);
        match self.list.iter().position(|(kept, _)| same(kept)) {
            Some(at) if lifetime.is_zero() => drop(self.list.remove(at)),
            Some(at) => self.list[at] = (item, end),
            None if lifetime.is_zero() => {}
            None => {
                if self.list.len() == self.most {
                    let worth = |item: &T, end: Time| (Reverse(standing(item)), end);
                    let least = (0..self.most).min_by_key(|&i| worth(&self.list[i].0, self.list[i].1));
                    match least.filter(|&i| worth(&self.list[i].0, self.list[i].1) < worth(&item, end)) {
                        Some(i) => drop(self.list.remove(i)),
                        None => return,
                    }
                }
                self.list.push((item, end));
            }
        }
    }

    pub fn expire(&mut self, now: Time) {
        self.list.retain(|&(_, end)| end > now);
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.list.iter().map(|&(_, end)| end).min()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&T, Time)> {
        self.list.iter().map(|(item, end)| (item, *end))
    }
}
