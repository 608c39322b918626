//! What is said of one kind of thing, prefixes, resolvers or domains: what holds, and what hosts may still have of before.

use std::time::Duration;

use hikyaku_net::Time;

use super::saved::SavedOption;

/// The end of what has none.
pub(super) const NEVER: Time = Time(u64::MAX);

/// Hosts are told again at once if what they have ends later than it may by more than this.
const SLACK: Duration = Duration::from_secs(2);

/// The longest preferred and valid lifetime that is told.
type Limits = (Duration, Duration);

/// Until when something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Current {
    pub preferred: Time,
    pub valid: Time,
}

/// What hosts are told, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetimes {
    pub preferred: u32,
    pub valid: u32,
    /// It does not hold any more: `valid` is how long hosts may have it.
    pub is_withdrawn: bool,
}

/// What came of [`Options::set`].
#[derive(Debug)]
pub(super) struct Change<T> {
    /// Hosts are to be told soon.
    pub is_news: bool,
    /// What a restart has to know is another.
    pub is_another: bool,
    pub begun: Vec<T>,
    pub ended: Vec<T>,
    pub displaced: u64,
}

#[derive(Debug)]
struct Entry<T> {
    what: T,
    /// `None`: it does not hold any more.
    current: Option<Current>,
    /// Until when it was said to hold the last time.
    told: Current,
    /// Until when hosts may have it: who slept the last time has what was said before.
    known_until: Time,
}

/// All of a kind, current ones first, in their order.
#[derive(Debug)]
pub(super) struct Options<T> {
    entries: Vec<Entry<T>>,
    most: usize,
}

impl<T: Clone + PartialEq> Options<T> {
    /// None yet; never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { entries: Vec::new(), most }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Hosts may have it until then, from before a restart.
    pub fn remember(&mut self, now: Time, what: T, until: Time) {
        if until > now && self.entries.len() < self.most && self.entries.iter().all(|entry| entry.what != what) {
            let told = Current { preferred: until, valid: until };
            self.entries.push(Entry { what, current: None, told, known_until: until });
        }
    }

    /// These hold from now on; others do not any more.
    pub fn set(&mut self, now: Time, mut current: Vec<(T, Current)>) -> Change<T> {
        current.truncate(self.most);
        let mut change =
            Change { is_news: false, is_another: false, begun: Vec::new(), ended: Vec::new(), displaced: 0 };
        let before: Vec<T> = self.current().cloned().collect();
        let mut entries = Vec::with_capacity(current.len());
        for (what, current) in current {
            let at = self.entries.iter().position(|entry| entry.what == what);
            let mut entry = match at {
                Some(at) => self.entries.remove(at),
                None => Entry {
                    what: what.clone(),
                    current: None,
                    told: Current { preferred: now, valid: now },
                    known_until: now,
                },
            };
            let told = entry.told;
            let is_cut = told.valid > current.valid + SLACK || told.preferred > current.preferred + SLACK;
            let was_deprecated = entry.current.is_none_or(|before| before.preferred <= now);
            change.is_news |= is_cut || was_deprecated != (current.preferred <= now);
            if entry.current.replace(current).is_none() {
                change.is_news = true;
                change.begun.push(what);
            }
            entries.push(entry);
        }
        for mut entry in std::mem::take(&mut self.entries) {
            if entry.current.take().is_some() {
                change.is_news = true;
                change.ended.push(entry.what.clone());
            }
            entries.push(entry);
        }
        self.entries = entries;
        // Of what is gone those go first that hosts have for the shortest time.
        while self.entries.len() > self.most {
            let gone = self.entries.iter().enumerate().filter(|(_, entry)| entry.current.is_none());
            let Some((at, _)) = gone.min_by_key(|(_, entry)| entry.known_until) else { break };
            self.entries.remove(at);
            change.displaced += 1;
        }
        change.is_news |= before.iter().ne(self.current());
        change.is_another = !change.begun.is_empty() || !change.ended.is_empty();
        change
    }

    fn current(&self) -> impl Iterator<Item = &T> {
        self.entries.iter().filter(|entry| entry.current.is_some()).map(|entry| &entry.what)
    }

    /// Forgets what hosts do not have any more. Whether that was anything.
    pub fn expire(&mut self, now: Time) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.current.is_some() || entry.known_until > now);
        self.entries.len() < before
    }

    /// When something is to be forgotten.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.entries.iter().filter(|entry| entry.current.is_none()).map(|entry| entry.known_until).min()
    }

    /// What hosts are told of each.
    pub fn entries(&self, now: Time, limits: Limits) -> impl Iterator<Item = (&T, Lifetimes)> {
        self.entries.iter().map(move |entry| (&entry.what, entry.lifetimes(now, limits)))
    }

    /// The same, and from now on hosts have it.
    pub fn tell(&mut self, now: Time, limits: Limits, mut tell: impl FnMut(&T, Lifetimes)) {
        for entry in &mut self.entries {
            let told = entry.lifetimes(now, limits);
            if !told.is_withdrawn {
                let until = |seconds: u32| now + Duration::from_secs(seconds.into());
                entry.told = Current { preferred: until(told.preferred), valid: until(told.valid) };
                entry.known_until = entry.known_until.max(entry.told.valid);
            }
            // Never valid for 0 seconds; what ends within this second ends by itself.
            if told.valid > 0 {
                tell(&entry.what, told);
            }
        }
    }

    /// For a restart: what holds is said to be known without an end.
    pub fn saved(&self, now: Time, wall: u64) -> Vec<SavedOption<T>> {
        let one = |entry: &Entry<T>| SavedOption {
            what: entry.what.clone(),
            until: entry.current.is_none().then(|| wall + entry.known_until.since(now).as_secs()),
        };
        self.entries.iter().map(one).collect()
    }
}

impl<T> Entry<T> {
    fn lifetimes(&self, now: Time, (preferred, valid): Limits) -> Lifetimes {
        let left = |until: Time, most: Duration| until.since(now).min(most).as_secs() as u32;
        match self.current {
            Some(current) => {
                let valid = left(current.valid, valid);
                Lifetimes { preferred: left(current.preferred, preferred).min(valid), valid, is_withdrawn: false }
            }
            None => Lifetimes { preferred: 0, valid: left(self.known_until, valid), is_withdrawn: true },
        }
    }
}
