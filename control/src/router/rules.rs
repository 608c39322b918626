//! The operator's rules as packets ask them: made when they are read, told by the next snapshot, their counts watched for the
//! log.

use std::sync::Arc;
use std::time::Duration;

use hikyaku_config::{Config, address_text, protocol_text};
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::rules::{self, Action, Counted, Rule, Zone};
use hikyaku_net::Time;

use crate::show::report;

/// How often a rule is logged that goes on.
const EVERY: Duration = Duration::from_secs(60);

/// The rules, and what was logged of them.
#[derive(Debug, Default)]
pub(super) struct Rules {
    rules: Option<Arc<rules::Rules>>,
    /// Of each rule that is logged: its counts when that was done last, and when.
    logged: Vec<(Counted, Option<Time>)>,
}

impl Rules {
    /// `before`: those of a control thread that had to start over; what they counted goes on.
    pub fn new(config: &Config, before: Option<Arc<rules::Rules>>) -> Self {
        let mut rules = Self { rules: before, logged: Vec::new() };
        rules.reload(config);
        rules
    }

    /// Another configuration: rules that are as they were keep their counts.
    pub fn reload(&mut self, config: &Config) {
        let list = &config.rules.list;
        let made = rules::Rules::new(list.clone(), self.rules.as_deref());
        // They were checked as a whole before.
        match made {
            Ok(made) => {
                self.logged = made.all().map(|(_, counted)| (counted, None)).collect();
                self.rules = (!list.is_empty()).then(|| Arc::new(made));
            }
            Err(reason) => tracing::error!(%reason, "the rules stay what they were"),
        }
    }

    /// What workers are to be told.
    pub fn get(&self) -> Option<&Arc<rules::Rules>> {
        self.rules.as_ref()
    }

    /// Logs what those rules did that are to be logged.
    pub fn tell(&mut self, now: Time) {
        let Some(rules) = &self.rules else { return };
        for ((rule, is), (was, at)) in rules.all().zip(&mut self.logged).filter(|((rule, _), _)| rule.log) {
            if is == *was || at.is_some_and(|at| now.since(at) < EVERY) {
                continue;
            }
            let (sessions, refused) = (is.accepted - was.accepted, is.refused + is.limited - was.refused - was.limited);
            tracing::info!(rule = %rule.name, sessions, refused, "a rule was used");
            (*was, *at) = (is, Some(now));
        }
    }

    /// What `hikyaku show rules` is told.
    pub fn report(&self, config: &Config) -> Vec<report::Rule> {
        let rules = self.rules.iter().flat_map(|rules| rules.all());
        rules.zip(1..).map(|((rule, counted), number)| reported(config, number, rule, counted)).collect()
    }
}

fn reported(config: &Config, number: usize, rule: &Rule, counted: Counted) -> report::Rule {
    let side = |zone| match zone {
        Zone::Wan => "wan",
        Zone::Lan(LanId(number)) => config.lans.get(usize::from(number)).map_or("", |lan| &lan.name),
    };
    let action = match rule.action {
        Action::Accept => "accept",
        Action::Drop => "drop",
        Action::Reject => "reject",
    };
    report::Rule {
        number,
        name: rule.name.clone(),
        from: side(rule.from).into(),
        to: side(rule.to).into(),
        fits: fits(rule),
        action: action.into(),
        accepted: counted.accepted,
        refused: counted.refused,
        over_rate: counted.limited,
    }
}

/// What of a packet a rule looks at, in few words.
fn fits(rule: &Rule) -> String {
    let protocols: Vec<String> = rule.protocols.iter().map(|&number| protocol_text(number)).collect();
    let parts = [
        ("", listed(&protocols)),
        ("", ranges(&rule.ports)),
        ("from ", listed(&rule.source.iter().map(address_text).collect::<Vec<_>>())),
        ("from port ", ranges(&rule.source_ports)),
        ("to ", listed(&rule.destination.iter().map(address_text).collect::<Vec<_>>())),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(head, text)| format!("{head}{text}")).collect();
    if parts.is_empty() { "anything".into() } else { parts.join(" ") }
}

fn ranges(list: &[(u16, u16)]) -> String {
    let one = |&(first, last): &(u16, u16)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    listed(&list.iter().map(one).collect::<Vec<_>>())
}

/// Most members of a list that are shown.
const SHOWN: usize = 8;

fn listed(list: &[String]) -> String {
    let more = list.len().saturating_sub(SHOWN);
    let shown = list[..list.len() - more].join(",");
    if more > 0 { format!("{shown},… {more} more") } else { shown }
}
