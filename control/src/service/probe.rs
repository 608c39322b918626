//! Which AFTRs' names the line's resolvers know: how DS-Lite services are told from each other when
//! nobody says anything.

use std::time::Duration;

use hikyaku_dataplane::time::Time;

use super::{Name, Said};
use crate::names::{Failure, Records};

/// All names are asked for again when none was known: a line may get its provider any day.
const AGAIN: Duration = Duration::from_secs(600);

/// And when the resolvers did not answer.
const RETRY: Duration = Duration::from_secs(30);

/// Asks for all names, once, and again when none was known.
#[derive(Debug, Default)]
pub struct Probe {
    active: bool,
    asked: Option<Time>,
    answers: [Answer; Name::RECOGNISED.len()],
}

#[derive(Clone, Debug, Default)]
enum Answer {
    #[default]
    NotAsked,
    Asked,
    Known,
    Unknown(Failure),
}

impl Probe {
    /// Whether it is to ask at all. What it knows it forgets when it need not.
    pub fn set_active(&mut self, active: bool) {
        if active != self.active {
            *self = Self { active, ..Self::default() };
        }
    }

    /// The line or its resolvers are others now.
    pub fn line_changed(&mut self) {
        *self = Self { active: self.active, ..Self::default() };
    }

    /// The next name to ask AAAA records for; ask until there is none.
    pub fn poll(&mut self, now: Time) -> Option<&'static str> {
        if !self.active {
            return None;
        }
        if self.next().is_some_and(|due| due <= now) {
            self.line_changed();
        }
        let at = self.answers.iter().position(|answer| matches!(answer, Answer::NotAsked))?;
        self.answers[at] = Answer::Asked;
        self.asked = Some(now);
        Name::RECOGNISED[at].profile().aftr
    }

    /// An answer.
    pub fn answered(&mut self, name: &str, result: &Result<Records, Failure>) {
        let Some(at) = Name::RECOGNISED.iter().position(|service| service.profile().aftr == Some(name)) else { return };
        if matches!(self.answers[at], Answer::Asked) {
            self.answers[at] = match result {
                Ok(_) => Answer::Known,
                Err(failure) => Answer::Unknown(failure.clone()),
            };
        }
    }

    /// When to ask again.
    pub fn next(&self) -> Option<Time> {
        let failures: Option<Vec<&Failure>> = self
            .answers
            .iter()
            .map(|answer| match answer {
                Answer::Unknown(failure) => Some(failure),
                _ => None,
            })
            .collect();
        let wait = if failures?.iter().all(|failure| failure.is_definite()) { AGAIN } else { RETRY };
        Some(self.asked? + wait)
    }

    /// What is known. A name counts when all before it are known not to be.
    pub fn said(&self) -> Said<Vec<Name>> {
        let mut known = Vec::new();
        for (answer, name) in self.answers.iter().zip(Name::RECOGNISED) {
            match answer {
                Answer::Known => known.push(name),
                Answer::Unknown(_) => {}
                Answer::NotAsked | Answer::Asked if known.is_empty() => {
                    return Said::Waiting("the line's resolvers are asked which AFTR they know".into());
                }
                Answer::NotAsked | Answer::Asked => {}
            }
        }
        let failure = self.answers.iter().find_map(|answer| match answer {
            Answer::Unknown(failure) if !failure.is_definite() => Some(failure),
            _ => None,
        });
        match failure {
            Some(failure) if known.is_empty() => Said::Nothing(format!("the line's resolvers cannot say: {failure}")),
            _ => Said::Said(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Data;

    fn records() -> Result<Records, Failure> {
        Ok(Records { data: Data::Aaaa(vec!["2001:db8::1".parse().unwrap()]), alias_of: None, ttl: RETRY })
    }

    #[test]
    fn the_first_known_name_counts_once_those_before_it_have_answered() {
        let mut probe = Probe::default();
        assert_eq!(probe.poll(Time(0)), None, "nobody asked for it");
        probe.set_active(true);
        let asked: Vec<_> = std::iter::from_fn(|| probe.poll(Time(0))).collect();
        assert_eq!(asked, ["gw.transix.jp", "dgw.xpass.jp", "dslite.v6connect.net"]);
        probe.answered("dgw.xpass.jp", &records());
        assert!(matches!(probe.said(), Said::Waiting(_)));
        probe.answered("gw.transix.jp", &Err(Failure::NoSuchName { ttl: None }));
        assert!(matches!(probe.said(), Said::Said(names) if names == [Name::Xpass]));
        assert_eq!(probe.next(), None, "what is known stays");
        probe.line_changed();
        assert!(matches!(probe.said(), Said::Waiting(_)));
        assert_eq!(std::iter::from_fn(|| probe.poll(Time(5))).count(), 3);
    }

    #[test]
    fn nothing_known_is_asked_again_sooner_if_nobody_answered() {
        for (failure, wait) in [(Failure::NoSuchName { ttl: None }, AGAIN), (Failure::TimedOut, RETRY)] {
            let mut probe = Probe::default();
            probe.set_active(true);
            while let Some(name) = probe.poll(Time(7)) {
                probe.answered(name, &Err(failure.clone()));
            }
            assert_eq!(probe.next(), Some(Time(7) + wait));
            assert_eq!(matches!(probe.said(), Said::Nothing(_)), !failure.is_definite());
            assert_eq!(probe.poll(Time(7) + wait / 2), None);
            assert!(probe.poll(Time(7) + wait).is_some());
        }
    }
}
