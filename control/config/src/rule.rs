//! `[[rule]]`: which sessions may begin. The keys of one rule; what all of them together say is in [`checked`].

mod checked;
mod covered;
mod opened;
mod values;

use std::convert::Infallible;
use std::str::FromStr;

use hikyaku_dataplane::rules::{Action, Address};
use hikyaku_schema::{Change::Live, Key, Keys, Syntax::*, Words, boolean, field, key, number, one_of, words};

pub use checked::Rules;
pub(super) use checked::Written;
use values::{IcmpType, Interval, Name, Ports, Protocol, address};
pub use values::{address_text, protocol_text};

/// One side of the router, as a rule names it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Side {
    Wan,
    /// The LAN of that name, if there is one.
    Lan(String),
}

impl FromStr for Side {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(if text == "wan" { Self::Wan } else { Self::Lan(text.into()) })
    }
}

/// A rule: section `[[rule]]` as it is written.
#[derive(Clone, Debug)]
pub(super) struct RuleKeys {
    name: Name,
    from: Side,
    to: Side,
    protocol: Vec<Protocol>,
    ports: Vec<Ports>,
    source_ports: Vec<Ports>,
    icmp_types: Vec<IcmpType>,
    source: Vec<Address>,
    destination: Vec<Address>,
    action: Action,
    rate: Option<Interval>,
    burst: Option<u32>,
    log: bool,
}

const ACTIONS: &Words<Action> = &[("accept", Action::Accept), ("drop", Action::Drop), ("reject", Action::Reject)];

impl Keys for RuleKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("name", One("NAME"), Live, field!(name, Name::from_str),
            "What it is called in `hikyaku show rules` and in the log: letters, digits, `-`, `_` and `.`, 32 at most").required(),
        key("from", One("SIDE"), Live, field!(from, Side::from_str),
            "Who begins: `lan`, hosts of the LAN, or of one of several by its name; or `wan`, anybody on the line's side").required(),
        key("to", One("SIDE"), Live, field!(to, Side::from_str), "The other side, likewise").required(),
        key("protocol", Many("NAME|N"), Live, field!(protocol[], Protocol::from_str),
            "tcp, udp, icmp, icmpv6, esp, ah, gre, sctp, dccp, udp-lite, or a number from 0 to 255; unset: any"),
        key("ports", Many("N,N-N"), Live, field!(ports[], Ports::from_str),
            "Ports that are begun with, of protocols with ports: `443`, `\"22,8000-8010\"`, `[80, 443]`; unset: any"),
        key("source-ports", Many("N,N-N"), Live, field!(source_ports[], Ports::from_str),
            "Ports of who begins, likewise; unset: any"),
        key("icmp-types", Many("NAME|N"), Live, field!(icmp_types[], IcmpType::from_str),
            "Of icmp and icmpv6, the queries that begin: echo-request, timestamp-request, or a number; unset: any. Errors are \
             of the session that they are about, and asked of no rule"),
        key("source", Many("ADDR[/LEN]|::/64+ID"), Live, field!(source[], address),
            "Who begins: addresses and prefixes of both families, and hosts of the LAN by their interface id whatever its prefix \
             is, as `::/64+::10`; unset: anybody. With addresses of one family only, the rule is of that family"),
        key("destination", Many("ADDR[/LEN]|::/64+ID"), Live, field!(destination[], address),
            "Whom it is for, likewise; a host of the LAN by its address there. Where it accepts from wan what is for ports of tcp or \
             udp of one host of IPv4, these are open outside as well, like by `forward`"),
        key("action", OneOf("ACTION", || words(ACTIONS)), Live, field!(action, one_of(ACTIONS)),
            "`accept`; `drop` without a word; `reject`: the sender is told, by a reset of TCP, else by ICMP").required(),
        key("rate", One("N/s|N/min|N/h"), Live, field!(rate, Interval::from_str),
            "Of `accept`: so many sessions in so long; what is over it is dropped (`rule-rate`); unset: no limit"),
        key("burst", One("N"), Live, field!(burst, number(1u32..=1_000_000)),
            "With `rate`: so many at once, 1 to 1000000; unset: the number of `rate`"),
        key("log", Bool, Live, field!(log, boolean),
            "Log how often it let in and refused: when it begins, and then once a minute at most"),
    ];

    fn blank() -> Self {
        Self {
            name: Name::default(),
            from: Side::Wan,
            to: Side::Wan,
            protocol: Vec::new(),
            ports: Vec::new(),
            source_ports: Vec::new(),
            icmp_types: Vec::new(),
            source: Vec::new(),
            destination: Vec::new(),
            action: Action::Drop,
            rate: None,
            burst: None,
            log: false,
        }
    }
}
