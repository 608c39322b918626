//! A /64 of the line that hosts of the LAN share with it: each side is answered for who is on the other (RFC 4389, RFC 4861
//! 7.2.8).
//!
//! Nobody is answered for before it was found: what one side asks for is looked for on the other, each time anew, so that a
//! router that was started again knows hosts as well as one that saw them come. (A proxy that learns from duplicate address
//! detection alone would have lost them.) Duplicate address detection is a question as any other: an address is one station's
//! on both sides.
//!
//! The caller's [`neighbour`](crate::neighbour) machines find stations and send the answers; this one knows who waits for
//! which.
//!
//! ```
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::nd_proxy::{NdProxy, Output, Question, Side};
//!
//! let mut proxy = NdProxy::default();
//! proxy.set_prefix(Some("2001:db8::/64".parse()?));
//! let (target, asker) = ("2001:db8::9".parse()?, Some("fe80::1".parse()?));
//! let question = Question { side: Side::Wan, target, asker, station: Mac([2, 0, 0, 0, 0, 1]) };
//! proxy.handle_input(Time(0), question, [false, false]);
//! assert_eq!(proxy.drive(Time(0)), Some(Output::Look(Side::Lan, target)));
//! proxy.found(Time(1), Side::Lan, target);
//! assert_eq!(proxy.drive(Time(1)), Some(Output::Answer(question)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Prefix6, Time};
use serde::Serialize;

use crate::Machine;

/// Questions that wait for an answer of the other side, at most.
const WAITING: usize = 256;

/// Of these, of one station: who asks for everything keeps nobody else waiting.
const OF_STATION: usize = 64;

/// How long one waits: as long as an address is asked for (RFC 4861 10: MAX_MULTICAST_SOLICIT, RETRANS_TIMER).
const PATIENCE: Duration = Duration::from_secs(3);

/// A link that the prefix is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// That of the hosts.
    Lan,
    /// That of the line.
    Wan,
}

impl Side {
    /// The one across the router.
    pub fn other(self) -> Self {
        match self {
            Self::Lan => Self::Wan,
            Self::Wan => Self::Lan,
        }
    }
}

/// A neighbour solicitation for an address that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Where it came from.
    pub side: Side,
    /// The address that is asked for.
    pub target: Ipv6Addr,
    /// Who asks; `None`: whoever wants to have the address (RFC 4862 5.4).
    pub asker: Option<Ipv6Addr>,
    /// The asker's Ethernet address.
    pub station: Mac,
}

/// What the machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Look for this address on this side.
    Look(Side, Ipv6Addr),
    /// Answer this question, on the side that it came from, with our Ethernet address.
    Answer(Question),
}

/// Questions and answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Questions about addresses of the prefix.
    pub asked: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Of these, about somebody on the asker's own side.
    pub near: u64,
    /// Of these, about nobody who was found in time.
    pub nobody: u64,
    /// Of these, not looked at because too many waited.
    pub limited: u64,
}

/// Who waits for whom, across the router.
#[derive(Debug, Default)]
pub struct NdProxy {
    prefix: Option<Prefix6>,
    waiting: VecDeque<(Question, Time)>,
    outputs: VecDeque<Output>,
    /// Questions and answers.
    pub counts: Counts,
}

impl NdProxy {
    /// The prefix that both sides share; `None`: there is none, and nobody is answered for.
    pub fn set_prefix(&mut self, prefix: Option<Prefix6>) {
        if self.prefix != prefix {
            self.prefix = prefix;
            self.waiting.clear();
        }
    }

    /// The prefix that both sides share.
    pub fn prefix(&self) -> Option<Prefix6> {
        self.prefix
    }

    /// A solicitation came in. `known`: whether the address is known on the asker's side, and on the other.
    pub fn handle_input(&mut self, now: Time, question: Question, known: [bool; 2]) {
        let Question { side, target, asker, .. } = question;
        if self.prefix.is_none_or(|prefix| !prefix.contains(target)) {
            return;
        }
        self.counts.asked += 1;
        match known {
            // It answers itself; and who wants an address of its own again has it.
            [true, _] => self.counts.near += 1,
            [false, true] => self.answer(question),
            [false, false] => {
                let is_same = |(waiting, _): &(Question, Time)| {
                    (waiting.side, waiting.target, waiting.asker) == (side, target, asker)
                };
                if let Some((waiting, until)) = self.waiting.iter_mut().find(|waiting| is_same(waiting)) {
                    (*waiting, *until) = (question, now + PATIENCE);
                } else if self.waiting.len() < WAITING && self.waiting_of(question.station) < OF_STATION {
                    self.waiting.push_back((question, now + PATIENCE));
                } else {
                    self.counts.limited += 1;
                    return;
                }
                self.outputs.push_back(Output::Look(side.other(), target));
            }
        }
    }

    fn waiting_of(&self, station: Mac) -> usize {
        self.waiting.iter().filter(|(question, _)| question.station == station).count()
    }

    /// The address was found on this side: who asked for it on the other is answered.
    pub fn found(&mut self, _now: Time, side: Side, address: Ipv6Addr) {
        let is_for = |question: &Question| (question.side.other(), question.target) == (side, address);
        while let Some(at) = self.waiting.iter().position(|(question, _)| is_for(question)) {
            if let Some((question, _)) = self.waiting.remove(at) {
                self.answer(question);
            }
        }
    }

    fn answer(&mut self, question: Question) {
        self.counts.answered += 1;
        self.outputs.push_back(Output::Answer(question));
    }
}

impl Machine for NdProxy {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        let before = self.waiting.len();
        self.waiting.retain(|&(_, until)| until > now);
        self.counts.nobody += (before - self.waiting.len()) as u64;
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let at_once = (!self.outputs.is_empty()).then_some(Time(0));
        self.waiting.iter().map(|&(_, until)| until).chain(at_once).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    fn question(side: Side, target: &str, asker: Option<&str>) -> Question {
        Question { side, target: ip(target), asker: asker.map(ip), station: STATION }
    }

    fn proxy() -> NdProxy {
        let mut proxy = NdProxy::default();
        proxy.set_prefix(Some("2001:db8::/64".parse().unwrap()));
        proxy
    }

    fn outputs(proxy: &mut NdProxy, now: Time) -> Vec<Output> {
        std::iter::from_fn(|| proxy.drive(now)).collect()
    }

    /// RFC 4389 4.1.3: what one side asks is looked for on the other, and answered once it is found.
    #[test]
    fn rfc4389_4_1_3_each_side_is_answered_for_the_other() {
        for side in [Side::Lan, Side::Wan] {
            let mut proxy = proxy();
            let asked = question(side, "2001:db8::9", Some("fe80::1"));
            proxy.handle_input(at(0), asked, [false, false]);
            assert_eq!(outputs(&mut proxy, at(0)), [Output::Look(side.other(), asked.target)]);
            proxy.found(at(1), side, asked.target);
            assert_eq!(outputs(&mut proxy, at(1)), [], "found on its own side, it answers itself");
            proxy.found(at(1), side.other(), asked.target);
            assert_eq!(outputs(&mut proxy, at(1)), [Output::Answer(asked)]);
            // Known by now.
            proxy.handle_input(at(2), asked, [false, true]);
            assert_eq!(outputs(&mut proxy, at(2)), [Output::Answer(asked)]);
            proxy.handle_input(at(2), asked, [true, false]);
            assert_eq!((outputs(&mut proxy, at(2)), proxy.counts.near), (vec![], 1));
        }
    }

    /// RFC 4862 5.4.3: an address that a station of the other side has is nobody else's.
    #[test]
    fn rfc4862_5_4_3_duplicates_across_the_two_sides_are_told() {
        let mut proxy = proxy();
        let wants = question(Side::Lan, "2001:db8::9", None);
        proxy.handle_input(at(0), wants, [false, false]);
        // And somebody asks for the same one, of whom it must not be told in its stead.
        let asks = question(Side::Lan, "2001:db8::9", Some("fe80::5"));
        proxy.handle_input(at(0), asks, [false, false]);
        assert_eq!(outputs(&mut proxy, at(0)).len(), 2);
        proxy.found(at(0), Side::Wan, wants.target);
        assert_eq!(outputs(&mut proxy, at(0)), [Output::Answer(wants), Output::Answer(asks)]);
    }

    #[test]
    fn what_nobody_has_is_not_answered_and_forgotten() {
        let mut proxy = proxy();
        let asked = question(Side::Wan, "2001:db8::9", Some("fe80::1"));
        proxy.handle_input(at(0), asked, [false, false]);
        outputs(&mut proxy, at(0));
        assert_eq!(proxy.poll_timeout(), Some(at(3)));
        assert_eq!((outputs(&mut proxy, at(3)), proxy.poll_timeout(), proxy.counts.nobody), (vec![], None, 1));
        proxy.found(at(4), Side::Lan, asked.target);
        assert_eq!(outputs(&mut proxy, at(4)), []);
    }

    #[test]
    fn other_prefixes_are_nobodys_business() {
        let mut proxy = proxy();
        for target in ["2001:db8:0:1::9", "fe80::9"] {
            proxy.handle_input(at(0), question(Side::Wan, target, Some("fe80::1")), [false, true]);
        }
        proxy.set_prefix(None);
        proxy.handle_input(at(0), question(Side::Wan, "2001:db8::9", Some("fe80::1")), [false, true]);
        assert_eq!((outputs(&mut proxy, at(0)), proxy.counts.asked), (vec![], 0));
    }

    #[test]
    fn a_stranger_that_asks_for_everything_fills_a_bounded_list() {
        let mut proxy = proxy();
        let asked = |number: u16, station| {
            let asked = question(Side::Wan, &format!("2001:db8::{number:x}"), Some("fe80::1"));
            Question { station: Mac([2, 0, 0, 0, 0, station]), ..asked }
        };
        for number in 0..1000u16 {
            proxy.handle_input(at(0), asked(number, 7), [false, false]);
        }
        assert_eq!((outputs(&mut proxy, at(0)).len(), proxy.counts.limited), (OF_STATION, 1000 - OF_STATION as u64));
        proxy.handle_input(at(0), asked(2000, 1), [false, false]);
        assert_eq!(outputs(&mut proxy, at(0)).len(), 1, "another station's turn");
        for station in 10..200 {
            (0..9).for_each(|number| proxy.handle_input(at(0), asked(3000 + number, station), [false, false]));
        }
        assert!(proxy.waiting.len() <= WAITING);
    }
}
