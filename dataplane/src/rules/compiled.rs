//! The list of rules in the form in which packets ask it.

use std::sync::Arc;

use hikyaku_net::Time;

use super::addresses::Addresses;
use super::counts::{Counted, Counts};
use super::field::{Field, Wanted};
use super::rule::{Action, Ends, Opening, Rule, Zone};
use crate::sessions::LanId;
use crate::verdict::Reason;

/// Most rules.
pub const MAX_RULES: usize = 1024;

/// Most addresses of all rules together, of source and of destination each; most ranges of ports likewise. With
/// [`MAX_RULES`] these bound the memory to 9 MiB.
pub const MAX_VALUES: usize = 4096;

/// More than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{count} {what}: there is room for {most}; put some together as prefixes or ranges, or leave some out")]
pub struct TooMany {
    /// Of which there are too many.
    pub what: &'static str,
    /// How many there are.
    pub count: usize,
    /// How many there may be.
    pub most: usize,
}

/// The rules, compiled. Any worker asks, without a lock.
#[derive(Debug)]
pub struct Rules {
    list: Box<[Rule]>,
    counts: Box<[Arc<Counts>]>,
    from: Field<u16>,
    to: Field<u16>,
    protocol: Field<u16>,
    source_port: Field<u16>,
    port: Field<u16>,
    source: Addresses,
    destination: Addresses,
    asks_lan4: bool,
    /// The row of rules that a later fragment may fit, whose ports nobody knows.
    of_later_fragments: Box<[u64]>,
}

impl Rules {
    /// In the order in which they are to be asked. Those that `before` has too keep their counts.
    ///
    /// # Errors
    /// There are more than [`MAX_RULES`], or they have more than [`MAX_VALUES`] of something.
    pub fn new(list: Vec<Rule>, before: Option<&Self>) -> Result<Self, TooMany> {
        Self::check(&list)?;
        fn field<T: Copy + Ord + Default>(list: &[Rule], wanted: impl Fn(&Rule) -> Wanted<T>) -> Field<T> {
            Field::new(&list.iter().map(wanted).collect::<Vec<_>>())
        }
        let zone = |zone| Wanted::Of(vec![(number(zone), Some(number(zone) + 1))]);
        let protocols = |rule: &Rule| {
            Wanted::of(&rule.protocols, |&protocol| Some((u16::from(protocol), Some(u16::from(protocol) + 1))))
        };
        let ports = |list: &[(u16, u16)]| Wanted::of(list, |&(first, last)| Some((first, last.checked_add(1))));
        Ok(Self {
            counts: list
                .iter()
                .map(|rule| before.and_then(|before| before.counts_of(rule)).unwrap_or_default())
                .collect(),
            from: field(&list, |rule| zone(rule.from)),
            to: field(&list, |rule| zone(rule.to)),
            protocol: field(&list, protocols),
            source_port: field(&list, |rule| ports(&rule.source_ports)),
            port: field(&list, |rule| ports(&rule.ports)),
            source: Addresses::new(&list, |rule| &rule.source),
            destination: Addresses::new(&list, |rule| &rule.destination),
            asks_lan4: list.iter().any(Rule::asks_lan4),
            of_later_fragments: row(&list, Rule::may_fit_later_fragment),
            list: list.into(),
        })
    }

    /// Whether there is room for them.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn check(list: &[Rule]) -> Result<(), TooMany> {
        let sum = |of: fn(&Rule) -> usize| list.iter().map(of).sum();
        let counted = [
            ("rules", list.len(), MAX_RULES),
            ("source addresses in all rules", sum(|rule| rule.source.len()), MAX_VALUES),
            ("destination addresses in all rules", sum(|rule| rule.destination.len()), MAX_VALUES),
            ("ranges of source ports in all rules", sum(|rule| rule.source_ports.len()), MAX_VALUES),
            ("ranges of ports and types in all rules", sum(|rule| rule.ports.len()), MAX_VALUES),
        ];
        let too_many = counted.into_iter().find(|&(_, count, most)| count > most);
        too_many.map_or(Ok(()), |(what, count, most)| Err(TooMany { what, count, most }))
    }

    fn counts_of(&self, rule: &Rule) -> Option<Arc<Counts>> {
        let at = self.list.iter().position(|other| other == rule)?;
        Some(self.counts[at].clone())
    }

    /// The rules, each with what it did.
    pub fn all(&self) -> impl Iterator<Item = (&Rule, Counted)> {
        self.list.iter().zip(self.counts.iter().map(|counts| counts.get()))
    }

    /// Whether a rule may fit a packet of IPv4 from a LAN to the Internet: where nobody here keeps sessions of IPv4, they are asked about each.
    pub fn asks_lan4(&self) -> bool {
        self.asks_lan4
    }

    /// The place of the first rule that fits, if one does.
    pub fn first(&self, opening: &Opening) -> Option<usize> {
        let Opening { from, to, protocol, ends, ports } = *opening;
        let [source_port, port] = match ports {
            Some([source_port, port]) => [self.source_port.row(source_port), self.port.row(port)],
            None => [&*self.of_later_fragments; 2],
        };
        let rows = [
            self.from.row(number(from)),
            self.to.row(number(to)),
            self.protocol.row(protocol.into()),
            source_port,
            port,
        ];
        let is_lan = |zone| matches!(zone, Zone::Lan(_));
        let (source, destination) = match ends {
            Ends::V4([src, dst]) => (self.source.rows4(src), self.destination.rows4(dst)),
            Ends::V6([src, dst]) => (self.source.rows6(src, is_lan(from)), self.destination.rows6(dst, is_lan(to))),
        };
        (0..rows[0].len()).find_map(|word| {
            let either = |[a, b]: [&[u64]; 2]| a[word] | b[word];
            let fit = rows.iter().fold(either(source) & either(destination), |fit, row| fit & row[word]);
            (fit != 0).then(|| word * 64 + fit.trailing_zeros() as usize)
        })
    }

    /// What the rules say about a session that is about to be opened; `otherwise` where none of them fits. It is counted.
    ///
    /// # Errors
    /// It may not be opened, for this reason.
    #[cold]
    pub fn ask(&self, opening: &Opening, now: Time, otherwise: Result<(), Reason>) -> Result<(), Reason> {
        match self.first(opening) {
            Some(at) => self.say(at, now),
            None => otherwise,
        }
    }

    /// What they say about a packet that begins nothing, or nobody knows: where no sessions are kept. What is accepted is not
    /// counted, and no rate is taken from.
    ///
    /// # Errors
    /// As [`Self::ask`].
    #[cold]
    pub fn ask_again(&self, opening: &Opening, now: Time) -> Result<(), Reason> {
        match self.first(opening) {
            Some(at) if self.list[at].action != Action::Accept => self.say(at, now),
            _ => Ok(()),
        }
    }

    /// What the rule at this place says, counted.
    fn say(&self, at: usize, now: Time) -> Result<(), Reason> {
        let (rule, counts) = (&self.list[at], &self.counts[at]);
        let (counter, said) = match (rule.action, rule.rate) {
            (Action::Accept, Some(rate)) if !counts.take(rate, now) => (&counts.limited, Err(Reason::RuleRate)),
            (Action::Accept, _) => (&counts.accepted, Ok(())),
            (Action::Drop, _) => (&counts.refused, Err(Reason::RuleDrop)),
            (Action::Reject, _) => (&counts.refused, Err(Reason::RuleReject)),
        };
        Counts::note(counter);
        said
    }

    /// Bytes of memory, but for the list as it was written.
    pub fn bytes(&self) -> usize {
        let fields = [&self.from, &self.to, &self.protocol, &self.source_port, &self.port];
        let fields: usize = fields.iter().map(|field| field.bytes()).sum();
        let counts = self.counts.len() * (size_of::<Counts>() + size_of::<Arc<Counts>>());
        let fragments = size_of_val(&*self.of_later_fragments);
        size_of::<Self>() + fields + counts + fragments + self.source.bytes() + self.destination.bytes()
    }
}

/// A row of those of the rules for which this is true.
fn row(list: &[Rule], is: impl Fn(&Rule) -> bool) -> Box<[u64]> {
    let word = |rules: &[Rule]| rules.iter().rev().fold(0, |word, rule| word << 1 | u64::from(is(rule)));
    list.chunks(64).map(word).collect()
}

/// What stands for a zone in a field.
fn number(zone: Zone) -> u16 {
    match zone {
        Zone::Wan => 0,
        Zone::Lan(LanId(lan)) => u16::from(lan) + 1,
    }
}
