//! What is asked, worked out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use hikyaku_config::RulesFile;
use hikyaku_net::map::{BadRule, Ce, InterfaceId, Psid, Rule, Unfit};
use hikyaku_net::{PortSet, Prefix6};
use hikyaku_protocols::map_domain::Domain;
use hikyaku_protocols::service::closed_network;
use hikyaku_schema::Usage;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::MapEArgs;

/// Everything that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// What the line's prefix gives, if one was given.
    #[serde(flatten)]
    pub line: Option<Line>,
    /// How lower halves of addresses were made.
    #[serde(serialize_with = "as_text")]
    pub iid: InterfaceId,
    /// Border routers, as far as they were given.
    pub br: Vec<Ipv6Addr>,
    /// Whose the ports are that were asked for.
    pub port: Vec<PortOwner>,
    /// Who has the addresses and ports that were asked for.
    pub to: Vec<Remote>,
}

/// What a line is by its rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The prefix, cut to rule and EA bits.
    #[serde(serialize_with = "as_text")]
    pub end_user_prefix: Prefix6,
    /// The rule that counts, as it is written.
    #[serde(serialize_with = "as_text")]
    pub rule: Rule,
    /// The address; of a whole prefix of addresses the first.
    pub ipv4: Ipv4Addr,
    /// 32, or less for a whole prefix.
    pub ipv4_len: u8,
    /// Which share of the ports.
    pub psid: u16,
    /// Bits of the PSID; 0: all ports.
    pub psid_len: u8,
    /// First bits of a port that are not all zero (RFC 7597 5.1).
    pub psid_offset: u8,
    /// Our end of the tunnel.
    pub ce: Ipv6Addr,
    /// How many ports are in the line's port set.
    pub n_ports: u32,
    /// In how many ranges.
    pub n_ranges: usize,
    /// First and last port of each.
    pub ranges: Vec<(u16, u16)>,
    #[serde(skip)]
    ports: PortSet,
}

/// Whose a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PortOwner {
    /// The TCP or UDP port that was asked for.
    pub port: u16,
    /// The PSID that it belongs to; `None`: nobody has it.
    pub psid: Option<u16>,
    /// Whether it is one of the line's; `None`: no line was asked for.
    pub ours: Option<bool>,
}

/// Who has an address and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// The IPv4 address and port that were asked for.
    pub to: SocketAddrV4,
    /// The PSID that the port belongs to; `None`: no rule has the address, or nobody the port.
    pub psid: Option<u16>,
    /// The end of the tunnel there; `None`: no rule leads to one, packets go to the border router.
    pub ce: Option<Ipv6Addr>,
}

fn as_text<S: Serializer>(what: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&what.to_string())
}

/// Why a prefix has no place in the rules.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// NTT's access network has not got a provider's prefix for the line yet.
    #[error(
        "{0} is of a closed access network (NTT NGN): awaiting ISP. No provider has given this line a prefix yet, \
         so there is no MAP-E on it; see that the contract is opened and the line reconnected"
    )]
    AwaitingIsp(Prefix6),
    /// The prefix is in none of the rules; both are given.
    #[error("{}", no_rule(*.0, .1))]
    NoRule(Prefix6, Vec<Rule>),
    /// There is a rule, and it does not do.
    #[error(transparent)]
    Unfit(#[from] Unfit),
}

/// Why there is no rule for this prefix.
fn no_rule(prefix: Prefix6, rules: &[Rule]) -> String {
    // The other way round: a rule is inside of the prefix.
    if let Some(rule) = rules.iter().find(|rule| prefix.contains(rule.ipv6().address())) {
        return format!(
            "{prefix} is shorter than the rule {}: this rule needs a /{}; give the line's own prefix",
            rule.ipv6(),
            rule.end_user_len()
        );
    }
    let of = match rules {
        [rule] => format!("outside the rule {}", rule.ipv6()),
        _ => format!("outside all of the {} rules", rules.len()),
    };
    format!(
        "{prefix} is {of}: this service has no rule for the line, so MAP-E is not to be configured on it; \
         check the prefix, and whose rules these are"
    )
}

/// Works out what is asked. Errors: [`Usage`] and [`hikyaku_schema::Problems`], what was asked is wrong; [`NoAnswer`].
pub fn answer(args: &MapEArgs) -> anyhow::Result<Answer> {
    if let Some(prefix) = args.prefix.filter(|prefix| closed_network(prefix.address())) {
        return Err(NoAnswer::AwaitingIsp(prefix).into());
    }
    let mut domain = domain(args)?;
    // Lines of this kind are in Japan.
    let iid = domain.iid.unwrap_or(InterfaceId::Draft03);
    let rule = basic_rule(&mut domain, args)?;
    let line = match (args.prefix, rule) {
        (Some(prefix), Some(rule)) => Some(line(prefix, rule, iid)?),
        _ => None,
    };
    let port = port_owners(args, rule, line.as_ref())?;
    let to = args.to.iter().map(|&to| remote(to, &domain.rules, iid)).collect();
    Ok(Answer { line, iid, br: domain.br, port, to })
}

/// The rules of file or flags, and what flags say over the file.
fn domain(args: &MapEArgs) -> anyhow::Result<Domain> {
    let mut domain = match &args.map_rules {
        Some(path) => RulesFile::read(path)?,
        None if args.rule.is_empty() => {
            return Err(usage("there is no rule to go by; give --rule or --map-rules".into()).into());
        }
        None => Domain::new(args.rule.clone(), Vec::new(), None).map_err(|error| usage(format!("--rule: {error}")))?,
    };
    domain.iid = args.iid.or(domain.iid);
    if !args.br.is_empty() {
        domain.br.clone_from(&args.br);
    }
    Ok(domain)
}

/// The line's rule, or the only one there is, with the PSID that was given beside it.
fn basic_rule(domain: &mut Domain, args: &MapEArgs) -> anyhow::Result<Option<Rule>> {
    let rule = match (args.prefix, domain.rules.as_slice()) {
        (Some(prefix), rules) => *domain.rule_of(prefix).ok_or_else(|| NoAnswer::NoRule(prefix, rules.to_vec()))?,
        (None, &[rule]) => rule,
        (None, _) => return Ok(None),
    };
    let given = with_given(rule, args)?;
    domain.rules.iter_mut().filter(|other| **other == rule).for_each(|other| *other = given);
    Ok(Some(given))
}

fn line(prefix: Prefix6, rule: Rule, iid: InterfaceId) -> Result<Line, NoAnswer> {
    let Ce { ipv4, ipv4_len, psid, psid_offset, ports, end_user, address } = rule.ce(prefix, iid)?;
    let ranges: Vec<_> = ports.ranges().collect();
    Ok(Line {
        end_user_prefix: end_user,
        rule,
        ipv4,
        ipv4_len,
        psid: psid.value,
        psid_len: psid.len,
        psid_offset,
        ce: address,
        n_ports: ports.len(),
        n_ranges: ranges.len(),
        ranges,
        ports,
    })
}

/// The rule with --psid and --psid-len; where EA bits hold a PSID they must agree.
fn with_given(rule: Rule, args: &MapEArgs) -> Result<Rule, Usage> {
    let usage = |text| Err(usage(text));
    let implied = rule.psid_len();
    if let Some(given) = args.psid_len.filter(|&given| implied > 0 && given != implied) {
        return usage(format!("--psid-len: {}", BadRule::PsidLen { given, implied, ipv4: rule.ipv4() }));
    }
    let psid = match (args.psid, args.psid_len) {
        (None, None | Some(0)) => return Ok(rule),
        (None, Some(_)) if implied > 0 => return Ok(rule),
        (None, Some(len)) => {
            return usage(format!("--psid-len {len}: no EA bits of {rule} are a PSID; give --psid too"));
        }
        (Some(value), None) if implied == 0 => {
            return usage(format!("--psid {value}: no EA bits of {rule} are a PSID; give --psid-len too"));
        }
        (Some(value), len) => Psid { len: len.unwrap_or(implied), value },
    };
    rule.with_psid(psid).or_else(|error| usage(format!("--psid: {error}")))
}

fn usage(text: String) -> Usage {
    Usage(format!("map-e: {text}"))
}

fn port_owners(args: &MapEArgs, rule: Option<Rule>, line: Option<&Line>) -> Result<Vec<PortOwner>, Usage> {
    if args.port.is_empty() {
        return Ok(Vec::new());
    }
    let rule = rule.ok_or_else(|| usage("--port: which of the rules counts? give --prefix too".into()))?;
    let owners = args.port.iter().map(|&port| PortOwner {
        port,
        psid: psid_of(port, &rule),
        ours: line.map(|line| line.ports.contains(port)),
    });
    Ok(owners.collect())
}

/// The PSID that has a port (RFC 7597 5.1); `None`: nobody has it.
fn psid_of(port: u16, rule: &Rule) -> Option<u16> {
    let (offset, len) = (rule.psid_offset(), rule.psid_len());
    if len == 0 {
        return Some(0);
    }
    let psid = u32::from(port) >> (16 - offset - len) & ((1 << len) - 1);
    PortSet::new(offset, len, psid as u16)?.contains(port).then_some(psid as u16)
}

/// By the rule with the longest IPv4 prefix, whether it is for forwarding or not: so it would be in a mesh.
fn remote(to: SocketAddrV4, rules: &[Rule], iid: InterfaceId) -> Remote {
    let has = |rule: &&Rule| rule.ipv4().contains((*to.ip()).into());
    let rule = rules.iter().rev().filter(has).max_by_key(|rule| rule.ipv4().len());
    let ce = rule.and_then(|rule| rule.remote((*to.ip()).into(), to.port(), iid));
    Remote { to, psid: rule.and_then(|rule| psid_of(to.port(), rule)), ce: ce.map(Into::into) }
}
