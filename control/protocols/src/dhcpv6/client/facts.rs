//! What a client knows, for status and for choices.

use hikyaku_net::Time;

use super::phase::Phase;
use super::{Client, UNANSWERED};
use crate::dhcpv6::lease::Leased;
use crate::dhcpv6::{Fact, Facts, State};

impl Client {
    /// What it is doing at the moment. Looking for leases in vain is not told while something else was found out.
    pub fn state(&self) -> State {
        let told = self.inquiry.state().filter(|_| self.inquiry.told_by().is_some());
        match (&self.phase, told) {
            (Phase::Off, _) => self.inquiry.state().unwrap_or(State::Off),
            (Phase::Soliciting(..), Some(told)) if self.in_vain() => told,
            (phase, _) => phase.state(),
        }
    }

    /// Whether nobody leases anything, as far as it looks.
    fn in_vain(&self) -> bool {
        match &self.phase {
            Phase::Soliciting(exchange, _) => self.refused.is_some() || exchange.sent > UNANSWERED,
            _ => false,
        }
    }

    /// All that is known at `now`, with times left in seconds, for `hikyaku show`.
    pub fn facts(&self, now: Time) -> Facts {
        fn facts<T: Copy>(now: Time, leases: &[Leased<T>]) -> Vec<Fact<T>> {
            let left = |at: Option<Time>| at.map(|at| at.since(now).as_secs());
            let fact =
                |l: &Leased<T>| Fact { what: l.what, preferred: left(l.preferred_until), valid: left(l.valid_until) };
            leases.iter().map(fact).collect()
        }
        let left = |at: Option<Time>| at.map(|at| at.since(now).as_secs());
        let held = self.held.as_ref();
        Facts {
            state: self.state(),
            mode: self.mode,
            client: self.duid.clone(),
            server: held.map(|held| &held.server).or(self.inquiry.told_by()).cloned(),
            router: self.router,
            prefixes: facts(now, self.prefixes()),
            addresses: facts(now, self.addresses()),
            t1: held.and_then(|held| left(held.t1)),
            t2: held.and_then(|held| left(held.t2)),
            expires: held.and_then(|held| left(held.last_end())),
            refresh: left(self.inquiry.refresh()),
            refused: self.refused.clone(),
            in_vain: self.in_vain(),
            flaws: self.flaws.clone(),
            ignored: self.ignored,
            informed: self.inquiry.told_by().is_some(),
            information: self.information.clone(),
            counts: self.counts,
        }
    }
}
