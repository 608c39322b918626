//! Far ends whose names do not resolve: how long they are waited for, and that they are asked for again.

use std::time::Duration;

use hikyaku_net::Time;

use crate::Machine;
use crate::dns::{Failure, Records};

/// A far end has so long to be found before what comes after it is looked at: its name is asked for four times by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Afterwards its name is asked for so often.
const AGAIN: Duration = Duration::from_secs(60);

/// Names that are remembered, at most.
const MOST: usize = 8;

/// Names that were given up, until they resolve.
#[derive(Debug, Default)]
pub struct Unresolved {
    since: Option<Time>,
    given_up: Vec<GivenUp>,
}

#[derive(Debug)]
struct GivenUp {
    name: String,
    why: String,
    /// When to ask for it again.
    due: Time,
    /// It is to be asked for now.
    to_ask: bool,
}

impl Unresolved {
    /// `lacking`: the names of the far end that is to be used, if none of them has resolved, and why.
    pub fn note(&mut self, now: Time, lacking: Option<(Vec<String>, String)>) {
        let Some((names, why)) = lacking else {
            self.since = None;
            return;
        };
        let since = *self.since.get_or_insert(now);
        if now < since + PATIENCE {
            return;
        }
        self.since = None;
        for name in names {
            if self.given_up.len() < MOST && self.why(&name).is_none() {
                self.given_up.push(GivenUp { name, why: why.clone(), due: now + AGAIN, to_ask: false });
            }
        }
    }

    /// Forgets names that nobody says any more.
    pub fn keep(&mut self, is_said: impl Fn(&str) -> bool) {
        self.given_up.retain(|given_up| is_said(&given_up.name));
    }

    /// The line or its resolvers are others now.
    pub fn line_changed(&mut self) {
        *self = Self::default();
    }

    /// The answer to an AAAA question about `name`: one that resolves is no longer given up.
    pub fn handle_answer(&mut self, name: &str, result: &Result<Records, Failure>) {
        if result.is_ok() {
            self.given_up.retain(|given_up| given_up.name != name);
        }
    }

    /// Why a name was given up, if it was.
    fn why(&self, name: &str) -> Option<&str> {
        self.given_up.iter().find(|given_up| given_up.name == name).map(|given_up| given_up.why.as_str())
    }

    /// The names, each with the reason.
    pub fn given_up(&self) -> Vec<(String, String)> {
        self.given_up.iter().map(|given_up| (given_up.name.clone(), given_up.why.clone())).collect()
    }
}

impl Machine for Unresolved {
    /// A name to ask AAAA records for; the answer goes to [`Unresolved::handle_answer`].
    type Output = String;

    fn handle_timeout(&mut self, now: Time) {
        for given_up in self.given_up.iter_mut().filter(|given_up| given_up.due <= now) {
            (given_up.due, given_up.to_ask) = (now + AGAIN, true);
        }
    }

    fn poll_output(&mut self) -> Option<String> {
        let given_up = self.given_up.iter_mut().find(|given_up| given_up.to_ask)?;
        given_up.to_ask = false;
        Some(given_up.name.clone())
    }

    /// Also when to call [`Unresolved::note`] again.
    fn poll_timeout(&self) -> Option<Time> {
        let due = |given_up: &GivenUp| if given_up.to_ask { Time(0) } else { given_up.due };
        let patience = self.since.map(|since| since + PATIENCE);
        self.given_up.iter().map(due).chain(patience).min()
    }
}
