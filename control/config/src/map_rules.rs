//! Mapping rules in a file (docs/map-rules.md).

use std::net::Ipv6Addr;
use std::path::Path;
use std::str::FromStr;

use hikyaku_net::map::{BadRule, InterfaceId, Rule};
use hikyaku_net::{Prefix4, Prefix6};
use hikyaku_protocols::host::host6;
use hikyaku_protocols::map_domain::{Domain, MAX_RULES};
use hikyaku_schema::{Change::Live, Key, Keys, Problems, Section, Syntax::*, boolean, field, key, number, read_file};

/// A file with the rules of a MAP-E service: TOML, at most 1 MiB.
#[derive(Clone, Debug, Default)]
pub struct RulesFile {
    br: Vec<Ipv6Addr>,
    iid: Option<InterfaceId>,
    mesh: bool,
}

impl Keys for RulesFile {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("br", Many("ADDR"), Live, field!(br[], host6), "Border routers, an address or several, the first is preferred"),
        key("iid", One("draft03|rfc7597"), Live, field!(iid, InterfaceId::from_str),
            "How the lower half of our address is made. Unset: as the service has it, if that is known; there is no \
             default, for a wrong one is noticed by nobody but the far end"),
        key("mesh", Bool, Live, field!(mesh, boolean),
            "Packets to other customers go straight to them, by every rule (RFC 7597 4)"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// A `[[rule]]` as it is written.
#[derive(Clone, Debug, Default)]
struct RuleKeys {
    ipv6: Option<Prefix6>,
    ipv4: Option<Prefix4>,
    ea_length: u8,
    psid_offset: u8,
    forwarding: bool,
}

impl Keys for RuleKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("ipv6", One("PREFIX"), Live, field!(ipv6, Prefix6::from_str),
            "The IPv6 prefix that all lines of the rule share").required(),
        key("ipv4", One("PREFIX"), Live, field!(ipv4, Prefix4::from_str), "The IPv4 prefix that they share").required(),
        key("ea-length", One("N"), Live, field!(ea_length, number(0u8..=u8::MAX)),
            "How many bits behind the IPv6 prefix are the rest of the IPv4 address, and then the PSID").required(),
        key("psid-offset", One("N"), Live, field!(psid_offset, number(0u8..=u8::MAX)),
            "How many first bits of a port are not all zero (RFC 7597 5.1)").required(),
        key("forwarding", Bool, Live, field!(forwarding, boolean),
            "Packets to customers of this rule go straight to them"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl RulesFile {
    /// Reads a file. An error is everything that is wrong with it, each thing with its line.
    pub fn read(path: &Path) -> Result<Domain, Problems> {
        let mut problems = Problems::default();
        match read_file(path, &mut problems) {
            Some(root) => Self::domain(root, problems),
            None => Err(problems),
        }
    }

    /// Reads the text of a file; `name` is what problems call it.
    pub fn parse(name: &str, text: &str) -> Result<Domain, Problems> {
        let mut problems = Problems::default();
        let root = Section::parse(name, text, &mut problems);
        Self::domain(root, problems)
    }

    fn domain(mut root: Section, mut problems: Problems) -> Result<Domain, Problems> {
        let place = root.place.clone();
        let sections = root.take_all("rule");
        if let Some(section) = sections.get(MAX_RULES) {
            let text = format!("{} mapping rules; at most {MAX_RULES} are taken", sections.len());
            problems.add(section.place.clone(), text);
        }
        let top = root.read::<Self>(&["rule"], &mut problems);
        let rules = sections.into_iter().take(MAX_RULES).filter_map(|section| rule(section, &mut problems));
        let rules: Vec<Rule> = rules.collect();
        let Some(Self { br, iid, mesh }) = top.map(|top| top.keys).filter(|_| problems.0.is_empty()) else {
            return Err(problems.in_order());
        };
        match Domain::new(rules, br, iid) {
            Ok(domain) => Ok(if mesh { domain.with_mesh(true) } else { domain }),
            Err(error) => {
                problems.add(place, format!("{error}; give at least one [[rule]]"));
                Err(problems)
            }
        }
    }
}

fn rule(section: Section, problems: &mut Problems) -> Option<Rule> {
    let read = section.read::<RuleKeys>(&[], problems)?;
    let RuleKeys { ipv6, ipv4, ea_length, psid_offset, forwarding } = read.keys;
    match Rule::new(ipv6?, ipv4?, ea_length, psid_offset) {
        Ok(rule) => Some(rule.with_forwarding(forwarding)),
        Err(error) => {
            let key = if matches!(error, BadRule::Offset(_)) { "psid-offset" } else { "ea-length" };
            problems.add(read.at.place(key), error.to_string());
            None
        }
    }
}
