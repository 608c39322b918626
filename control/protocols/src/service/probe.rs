//! Which AFTRs' names the line's resolvers know: how DS-Lite services are told from each other when
//! nobody says anything.

use std::time::Duration;

use hikyaku_net::Time;

use super::{Name, Said};
use crate::Machine;
use crate::dns::{Failure, Records};

/// All names are asked for again when none was known: a line may get its provider any day.
const AGAIN: Duration = Duration::from_secs(600);

/// And when the resolvers did not answer.
const RETRY: Duration = Duration::from_secs(30);

/// Asks for all names, once, and again when none was known.
#[derive(Debug, Default)]
pub struct Probe {
    active: bool,
    /// When all names were asked for last.
    began: Option<Time>,
    questions: [Question; Name::RECOGNISED.len()],
}

#[derive(Clone, Debug, Default)]
struct Question {
    stage: Stage,
    /// The last one. It holds until the next: what is asked again is not unknown meanwhile.
    answer: Option<Result<(), Failure>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    ToAsk,
    Asked,
    Answered,
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

    /// The answer to an AAAA question about `name`; one that was not asked changes nothing.
    pub fn handle_answer(&mut self, name: &str, result: &Result<Records, Failure>) {
        let Some(at) = Name::RECOGNISED.iter().position(|service| service.profile().aftr == Some(name)) else { return };
        let question = &mut self.questions[at];
        if question.stage == Stage::Asked {
            question.stage = Stage::Answered;
            question.answer = Some(result.as_ref().map(drop).map_err(Clone::clone));
        }
    }

    /// Whether there are names that were not asked for yet.
    fn is_asking(&self) -> bool {
        self.questions.iter().any(|question| question.stage == Stage::ToAsk)
    }

    /// Why each name is not known, if all were asked for and none is.
    fn failures(&self) -> Option<Vec<&Failure>> {
        self.questions
            .iter()
            .map(|question| match (question.stage, &question.answer) {
                (Stage::Answered, Some(Err(failure))) => Some(failure),
                _ => None,
            })
            .collect()
    }

    /// What is known. A name counts when all before it have answered.
    pub fn said(&self) -> Said<Vec<Name>> {
        let mut known = Vec::new();
        let mut silence = None;
        for (question, name) in self.questions.iter().zip(Name::RECOGNISED) {
            match &question.answer {
                Some(Ok(())) => known.push(name),
                Some(Err(failure)) if !failure.is_definite() => silence = silence.or(Some(failure)),
                Some(Err(_)) => {}
                None if known.is_empty() => {
                    return Said::Waiting("the line's resolvers are asked which AFTR they know".into());
                }
                None => {}
            }
        }
        match silence {
            Some(failure) if known.is_empty() => Said::Silent(format!("the line's resolvers do not say: {failure}")),
            _ => Said::Said(known),
        }
    }
}

impl Machine for Probe {
    /// A name to ask AAAA records for; the answer goes to [`Probe::handle_answer`].
    type Output = &'static str;

    fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        self.began = Some(now);
        if !self.is_asking() {
            self.questions.iter_mut().for_each(|question| question.stage = Stage::ToAsk);
        }
    }

    fn poll_output(&mut self) -> Option<&'static str> {
        self.began.filter(|_| self.active)?;
        let at = self.questions.iter().position(|question| question.stage == Stage::ToAsk)?;
        self.questions[at].stage = Stage::Asked;
        Name::RECOGNISED[at].profile().aftr
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.is_asking() {
            return self.active.then_some(Time(0));
        }
        let definite = self.failures()?.iter().all(|failure| failure.is_definite());
        Some(self.began? + if definite { AGAIN } else { RETRY })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Data;

    fn records() -> Result<Records, Failure> {
        Ok(Records { data: Data::Aaaa(vec!["2001:db8::1".parse().unwrap()]), alias_of: None, ttl: RETRY })
    }

    #[test]
    fn the_first_known_name_counts_once_those_before_it_have_answered() {
        let mut probe = Probe::default();
        assert_eq!(probe.drive(Time(0)), None, "nobody asked for it");
        probe.set_active(true);
        let asked: Vec<_> = std::iter::from_fn(|| probe.drive(Time(0))).collect();
        assert_eq!(asked, ["gw.transix.jp", "dgw.xpass.jp", "dslite.v6connect.net"]);
        probe.handle_answer("dgw.xpass.jp", &records());
        assert!(matches!(probe.said(), Said::Waiting(_)));
        probe.handle_answer("gw.transix.jp", &Err(Failure::NoSuchName { ttl: None }));
        assert!(matches!(probe.said(), Said::Said(names) if names == [Name::Xpass]));
        assert_eq!(probe.poll_timeout(), None, "what is known stays");
        probe.line_changed();
        assert!(matches!(probe.said(), Said::Waiting(_)));
        assert_eq!(std::iter::from_fn(|| probe.drive(Time(5))).count(), 3);
    }

    #[test]
    fn nothing_known_is_asked_again_sooner_if_nobody_answered() {
        for (failure, wait) in [(Failure::NoSuchName { ttl: None }, AGAIN), (Failure::TimedOut, RETRY)] {
            let mut probe = Probe::default();
            probe.set_active(true);
            while let Some(name) = probe.drive(Time(7)) {
                probe.handle_answer(name, &Err(failure.clone()));
            }
            assert_eq!(probe.poll_timeout(), Some(Time(7) + wait));
            assert_eq!(matches!(probe.said(), Said::Silent(_)), !failure.is_definite());
            assert_eq!(probe.drive(Time(7) + wait / 2), None);
            assert!(probe.drive(Time(7) + wait).is_some());
            assert!(!matches!(probe.said(), Said::Waiting(_)), "the last answer holds until the next");
        }
    }
}
