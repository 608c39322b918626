//! The server's JSON (specification 3.4), read and checked.
//!
//! What is not known is ignored, what is not needed may be absent, what is there must be right: a technology
//! with a wrong value is refused by name, and the others stay usable.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hikyaku_net::map::{InterfaceId, Rule};
use hikyaku_net::{PortSet, Prefix4, Prefix6};
use serde::Deserialize;
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::json::{AtMost, Scalar, shown};
use super::offer::{Auth, Ipip, Offer, Refusal, Technology};
use crate::aftr::Endpoint;
use crate::host::{host_name, host4, host6};
use crate::http::Secret;
use crate::map_domain::{Domain, MAX_RULES};
use crate::softwire_options::Lw4o6;

/// The longest `ttl`: seven days.
pub const MAX_TTL: Duration = Duration::from_secs(604_800);

/// Names of technologies in `order`; the specification has six.
const MAX_ORDER: usize = 32;

/// Tunnels that an answer's `ipip` may have; with more it is refused.
const MAX_TUNNELS: usize = 16;

/// The longest name of a service or a provider, in bytes (specification 3.4, less its quotes).
const LONGEST_NAME: usize = 254;

/// The longest token that is kept, in bytes; the specification's have 64.
const LONGEST_TOKEN: usize = 256;

/// Why an answer cannot be used at all. Shows no more of it than one wrong value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAnswer {
    /// The answer is not JSON.
    #[error("the answer is not JSON (line {line}, column {column}): {what}")]
    Syntax {
        /// The line of the answer, from 1.
        line: usize,
        /// The byte in that line, from 1.
        column: usize,
        /// What kind of error it is, in a word.
        what: &'static str,
    },
    /// The answer is JSON, but not one object, or has a key twice.
    #[error("the answer is JSON, but no object with every key once")]
    Shape,
    /// A key has a value that it cannot have.
    #[error("the answer's {key} is {value}; it must be {want}")]
    Value {
        /// The key's name in the specification.
        key: &'static str,
        /// The value that stands there instead.
        value: String,
        /// What may stand there.
        want: &'static str,
    },
    /// The answer has neither `order` nor any technology, so it says nothing.
    #[error("the answer has neither an order nor any technology")]
    Nothing,
    /// None of what was offered makes sense.
    #[error("nothing of what is offered can be used: {0}")]
    Unusable(String),
}

#[derive(Deserialize)]
struct Answer<'a> {
    enabler_name: Option<Scalar>,
    service_name: Option<Scalar>,
    isp_name: Option<Scalar>,
    ttl: Option<Scalar>,
    token: Option<Scalar>,
    auth: Option<Scalar>,
    #[serde(borrow)]
    order: Option<&'a RawValue>,
    #[serde(borrow)]
    map_e: Option<&'a RawValue>,
    #[serde(borrow)]
    dslite: Option<&'a RawValue>,
    #[serde(borrow)]
    lw4o6: Option<&'a RawValue>,
    #[serde(borrow)]
    ipip: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct MapEJson {
    version: Option<Scalar>,
    mesh: Option<Scalar>,
    br: Option<Scalar>,
    rules: Option<AtMost<RuleJson, MAX_RULES>>,
}

#[derive(Deserialize)]
struct RuleJson {
    ipv6: Option<Scalar>,
    ipv4: Option<Scalar>,
    ea_length: Option<Scalar>,
    psid_offset: Option<Scalar>,
}

#[derive(Deserialize)]
struct DsliteJson {
    aftr: Option<Scalar>,
}

#[derive(Deserialize)]
struct Lw4o6Json {
    lwaftr: Option<Scalar>,
    ipv6: Option<Scalar>,
    ipv4: Option<Scalar>,
    psid: Option<Scalar>,
    psid_length: Option<Scalar>,
    psid_offset: Option<Scalar>,
}

#[derive(Deserialize)]
struct IpipJson {
    ipv6_local: Option<Scalar>,
    ipv6_remote: Option<Scalar>,
    ipv4: Option<Scalar>,
}

/// A technology read, or what is wrong with it.
type Checked<T> = Result<T, String>;

impl Offer {
    /// Reads the body of an answer with status 200.
    pub fn parse(body: &[u8]) -> Result<Self, BadAnswer> {
        let text = std::str::from_utf8(body).map_err(|error| not_utf8(body, error.valid_up_to()))?;
        // RFC 8259 8.1: a byte order mark may be ignored.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let answer: Answer = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let (order, refused) = answer.technologies()?;
        let name = |name: &Option<Scalar>| match name {
            Some(Scalar::Text(text)) => label(text),
            _ => None,
        };
        Ok(Self {
            enabler: name(&answer.enabler_name),
            service: name(&answer.service_name),
            isp: name(&answer.isp_name),
            ttl: answer.ttl()?,
            token: match answer.token {
                Some(Scalar::Text(token)) if (1..=LONGEST_TOKEN).contains(&token.len()) => Some(Secret::new(token)),
                _ => None,
            },
            auth: match answer.auth {
                Some(Scalar::Text(auth)) if auth == "req" => Some(Auth::Required),
                Some(Scalar::Text(auth)) if auth == "bad" => Some(Auth::Bad),
                Some(Scalar::Text(auth)) if auth == "ok" => Some(Auth::Ok),
                _ => None,
            },
            order,
            refused,
        })
    }
}

impl Answer<'_> {
    fn ttl(&self) -> Result<Option<Duration>, BadAnswer> {
        match &self.ttl {
            None => Ok(None),
            Some(Scalar::Number(seconds)) => Ok(Some(Duration::from_secs(*seconds).min(MAX_TTL))),
            Some(other) => {
                Err(BadAnswer::Value { key: "ttl", value: other.to_string(), want: "a whole number of seconds" })
            }
        }
    }

    /// Names of technologies, the best first. Where there is no `order`, all that are described, the most
    /// particular first: an address of one's own before a shared one, a rule before a translator far away.
    fn order(&self) -> Result<Vec<String>, BadAnswer> {
        let wrong = |value: String| BadAnswer::Value { key: "order", value, want: "a list of names" };
        let Some(order) = self.order else {
            let described =
                [("ipip", self.ipip), ("map_e", self.map_e), ("lw4o6", self.lw4o6), ("dslite", self.dslite)];
            let names = described.into_iter().filter(|(_, json)| json.is_some());
            let names: Vec<String> = names.map(|(name, _)| name.to_string()).collect();
            return if names.is_empty() { Err(BadAnswer::Nothing) } else { Ok(names) };
        };
        let list: AtMost<Scalar, MAX_ORDER> =
            serde_json::from_str(order.get()).map_err(|_| wrong("something else".into()))?;
        let list = list.all().map_err(|count| wrong(format!("a list of {count}")))?;
        let mut names: Vec<String> = Vec::new();
        for element in list {
            let Scalar::Text(name) = element else { return Err(wrong(format!("a list with {element} in it"))) };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn technologies(&self) -> Result<(Vec<Technology>, Vec<Refusal>), BadAnswer> {
        let (mut order, mut refused) = (Vec::new(), Vec::new());
        for name in self.order()? {
            let (technology, read) = match name.as_str() {
                "map_e" => ("map_e", self.map_e()),
                "dslite" => ("dslite", self.dslite()),
                "lw4o6" => ("lw4o6", self.lw4o6()),
                "ipip" => ("ipip", self.ipip()),
                _ => {
                    order.extend(label(&name).map(Technology::Unsupported));
                    continue;
                }
            };
            match read {
                Ok(read) => order.extend(read),
                Err(why) => refused.push(Refusal { technology, why }),
            }
        }
        let is_usable = order.iter().any(Technology::is_supported);
        match refused.first() {
            Some(refusal) if !is_usable => Err(BadAnswer::Unusable(refusal.to_string())),
            _ => Ok((order, refused)),
        }
    }

    fn map_e(&self) -> Checked<Vec<Technology>> {
        let json: MapEJson = described(self.map_e)?;
        let iid = match json.version {
            None | Some(Scalar::Number(0)) => InterfaceId::Draft03,
            Some(Scalar::Number(1)) => InterfaceId::Rfc7597,
            Some(other) => return Err(format!("version is {other}; 0 (draft-03) and 1 (RFC 7597) are known")),
        };
        let mesh = match json.mesh {
            None | Some(Scalar::Truth(false) | Scalar::Number(0)) => false,
            Some(Scalar::Truth(true) | Scalar::Number(1)) => true,
            Some(other) => return Err(format!("mesh is {other}; it must be true, false, 1 or 0")),
        };
        let br = address6("br", json.br)?;
        let rules = json.rules.ok_or("rules is missing")?.all();
        let rules = rules.map_err(|count| format!("there are {count} rules; at most {MAX_RULES} are taken"))?;
        let rule = |(i, json): (usize, RuleJson)| json.check().map_err(|why| format!("rule {i}: {why}"));
        let rules = rules.into_iter().enumerate().map(rule).collect::<Checked<_>>()?;
        let domain = Domain::new(rules, vec![br], Some(iid)).map_err(|why| why.to_string())?;
        Ok(vec![Technology::MapE(domain.with_mesh(mesh))])
    }

    fn dslite(&self) -> Checked<Vec<Technology>> {
        let json: DsliteJson = described(self.dslite)?;
        Ok(vec![Technology::Dslite(endpoint("aftr", json.aftr)?)])
    }

    fn lw4o6(&self) -> Checked<Vec<Technology>> {
        let json: Lw4o6Json = described(self.lw4o6)?;
        let lwaftr = endpoint("lwaftr", json.lwaftr)?;
        let bind_prefix = prefix6("ipv6", json.ipv6)?;
        let ipv4 = text("ipv4", json.ipv4, host4)?;
        let ports = match (json.psid, json.psid_length, json.psid_offset) {
            // The address is ours alone (RFC 7598 5.3).
            (None, None, None) => PortSet::ALL,
            (psid, len, offset) => {
                let psid = number("psid", psid, u16::MAX)?;
                ports(psid, number("psid_length", len, 16)?, number("psid_offset", offset, 15)?)?
            }
        };
        Ok(vec![Technology::Lw4o6(Lw4o6 { lwaftr, ipv4, ports, bind_prefix })])
    }

    fn ipip(&self) -> Checked<Vec<Technology>> {
        let tunnels: AtMost<IpipJson, MAX_TUNNELS> = described(self.ipip)?;
        let tunnels = tunnels.all();
        let tunnels = tunnels.map_err(|count| format!("there are {count} tunnels; at most {MAX_TUNNELS} are taken"))?;
        if tunnels.is_empty() {
            return Err("the list is empty".into());
        }
        let tunnel = |(i, json): (usize, IpipJson)| match json.check() {
            Ok(ipip) => Ok(Technology::Ipip(ipip)),
            Err(why) => Err(format!("tunnel {i}: {why}")),
        };
        tunnels.into_iter().enumerate().map(tunnel).collect()
    }
}

impl RuleJson {
    fn check(self) -> Checked<Rule> {
        let (ipv6, ipv4) = (prefix6("ipv6", self.ipv6)?, prefix4("ipv4", self.ipv4)?.1);
        let (ea_len, offset) = (number("ea_length", self.ea_length, 48)?, number("psid_offset", self.psid_offset, 15)?);
        Rule::new(ipv6, ipv4, ea_len, offset).map_err(|why| why.to_string())
    }
}

impl IpipJson {
    fn check(self) -> Checked<Ipip> {
        let (local, remote) = (address6("ipv6_local", self.ipv6_local)?, address6("ipv6_remote", self.ipv6_remote)?);
        if local == remote {
            return Err(format!("ipv6_local and ipv6_remote are both {local}; a tunnel has two ends"));
        }
        let (address, prefix) = prefix4("ipv4", self.ipv4)?;
        Ok(Ipip { local, remote, address, prefix })
    }
}

/// A technology's own part of the answer.
fn described<'a, T: Deserialize<'a>>(json: Option<&'a RawValue>) -> Checked<T> {
    let json = json.ok_or("order names it, and the answer does not describe it")?;
    serde_json::from_str(json.get()).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it has not the shape that the specification says (its line {line}, column {column})")
    })
}

fn present(key: &str, value: Option<Scalar>) -> Checked<Scalar> {
    value.ok_or_else(|| format!("{key} is missing"))
}

/// A text that `read` understands.
fn text<T>(key: &str, value: Option<Scalar>, read: impl Fn(&str) -> Checked<T>) -> Checked<T> {
    match present(key, value)? {
        Scalar::Text(text) => read(&text).map_err(|why| format!("{key} is {}: {why}", shown(&text))),
        other => Err(format!("{key} is {other}; it must be a text")),
    }
}

fn number<T: TryFrom<u64> + PartialOrd + fmt::Display>(key: &str, value: Option<Scalar>, largest: T) -> Checked<T> {
    let value = present(key, value)?;
    let number = if let Scalar::Number(number) = value { T::try_from(number).ok() } else { None };
    let number = number.filter(|number| *number <= largest);
    number.ok_or_else(|| format!("{key} is {value}; it must be a number from 0 to {largest}"))
}

fn address6(key: &str, value: Option<Scalar>) -> Checked<Ipv6Addr> {
    text(key, value, host6)
}

/// A name or an address.
fn endpoint(key: &str, value: Option<Scalar>) -> Checked<Endpoint> {
    text(key, value, |text| match text.parse::<Ipv6Addr>() {
        Ok(_) => host6(text).map(|address| Endpoint::Addresses(vec![address])),
        Err(_) => host_name(text).map(Endpoint::Name),
    })
}

/// Bits behind the length do not matter (RFC 7598 4.1).
fn prefix6(key: &str, value: Option<Scalar>) -> Checked<Prefix6> {
    text(key, value, |text| text.parse().map_err(|_| "an IPv6 prefix is written as 2001:db8::/56".to_string()))
}

/// The address as it was written, and the prefix around it.
fn prefix4(key: &str, value: Option<Scalar>) -> Checked<(Ipv4Addr, Prefix4)> {
    text(key, value, |text| {
        const FORM: &str = "an IPv4 prefix is written as 192.0.2.0/24";
        let (address, len) = text.split_once('/').ok_or(FORM)?;
        let address = host4(address)?;
        let prefix = len.parse().ok().and_then(|len| Prefix4::new(address, len)).ok_or(FORM)?;
        Ok((address, prefix))
    })
}

/// A port set (RFC 7597 5.1); without bits of a PSID all ports, whatever the offset (its appendix A, example 4).
fn ports(psid: u16, len: u8, offset: u8) -> Checked<PortSet> {
    if u32::from(psid) >> len != 0 {
        return Err(format!("psid is {psid}, which has more than psid_length, {len}, bits"));
    }
    let long = || format!("psid_offset {offset} + psid_length {len} > 16, the bits of a port");
    if len == 0 { Ok(PortSet::ALL) } else { PortSet::new(offset, len, psid).ok_or_else(long) }
}

/// A name for people: without control characters, not longer than the specification has it.
fn label(text: &str) -> Option<String> {
    let mut name: String = text.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    name.truncate(name.floor_char_boundary(LONGEST_NAME));
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_string())
}

fn not_utf8(body: &[u8], at: usize) -> BadAnswer {
    let line = 1 + body[..at].iter().filter(|&&byte| byte == b'\n').count();
    let column = 1 + body[..at].iter().rev().take_while(|&&byte| byte != b'\n').count();
    BadAnswer::Syntax { line, column, what: "no UTF-8" }
}

/// Without serde's own words, which repeat values.
fn not_json(error: &serde_json::Error) -> BadAnswer {
    let what = match error.classify() {
        Category::Data => return BadAnswer::Shape,
        Category::Eof => "it ends early",
        Category::Syntax | Category::Io => "a syntax error",
    };
    BadAnswer::Syntax { line: error.line(), column: error.column(), what }
}
