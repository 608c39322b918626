//! The options on the wire (RFC 7598 4 and 5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_net::map::{Psid, Rule};
use hikyaku_net::{Addr4, PortSet, Prefix4, Prefix6};

use super::{Code, Lw4o6, Refused};
use crate::aftr::Endpoint;
use crate::host::is_host6;
use crate::map_domain::{BadDomain, Domain, MAX_RULES};

pub(super) const RULE: u16 = 89;
pub(super) const BR: u16 = 90;
pub(super) const DMR: u16 = 91;
pub(super) const V4V6BIND: u16 = 92;
pub(super) const PORTPARAMS: u16 = 93;
pub(super) const CONT_MAPE: u16 = 94;
pub(super) const CONT_MAPT: u16 = 95;
pub(super) const CONT_LW: u16 = 96;

/// Where a MAP-E server says no PSID offset: RFC 7597 5.1, which keeps ports 0 to 1023 out.
const MAPE_OFFSET: u8 = 6;

/// The flag of a rule that is for forwarding too.
const FORWARDING: u8 = 1;

/// The S46 options in `bytes`, the body of `inside`. Options of other numbers are passed over (RFC 8415 16).
fn options(inside: u16, mut bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), Refused>> {
    std::iter::from_fn(move || {
        while !bytes.is_empty() {
            let next = bytes.split_first_chunk().and_then(|(&[c0, c1, l0, l1], rest)| {
                let (body, rest) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
                Some((u16::from_be_bytes([c0, c1]), body, rest))
            });
            let Some((code, body, rest)) = next else {
                bytes = &[];
                return Some(Err(Refused::Truncated(Code(inside))));
            };
            bytes = rest;
            if (RULE..=CONT_LW).contains(&code) {
                return Some(Ok((code, body)));
            }
        }
        None
    })
}

/// OPTION_S46_CONT_MAPE (RFC 7598 5.1): rules and border routers, one of each or more.
pub(super) fn map_e(bytes: &[u8]) -> Result<Domain, Refused> {
    let (mut rules, mut br) = (Vec::new(), Vec::new());
    for option in options(CONT_MAPE, bytes) {
        match option? {
            (RULE, _) if rules.len() == MAX_RULES => return Err(BadDomain::TooManyRules(MAX_RULES + 1).into()),
            (RULE, body) => rules.push(rule(body)?),
            (BR, body) => br.push(border_router(body)?),
            (other, _) => return Err(Refused::Misplaced(Code(other), Code(CONT_MAPE))),
        }
    }
    if br.is_empty() {
        return Err(Refused::Missing(Code(BR), Code(CONT_MAPE)));
    }
    Ok(Domain::new(rules, br, None)?)
}

/// OPTION_S46_CONT_LW (RFC 7598 5.3): border routers, and a binding.
pub(super) fn lw4o6(bytes: &[u8]) -> Result<Lw4o6, Refused> {
    let (mut lwaftr, mut binding) = (Vec::new(), None);
    for option in options(CONT_LW, bytes) {
        match option? {
            (BR, body) => lwaftr.push(border_router(body)?),
            (V4V6BIND, _) if binding.is_some() => return Err(Refused::Repeated(Code(V4V6BIND), Code(CONT_LW))),
            (V4V6BIND, body) => binding = Some(v4v6bind(body)?),
            (other, _) => return Err(Refused::Misplaced(Code(other), Code(CONT_LW))),
        }
    }
    if lwaftr.is_empty() {
        return Err(Refused::Missing(Code(BR), Code(CONT_LW)));
    }
    let (ipv4, bind_prefix, ports) = binding.ok_or(Refused::NoAddress)?;
    Ok(Lw4o6 { lwaftr: Endpoint::Addresses(lwaftr), ipv4, ports, bind_prefix })
}

/// OPTION_S46_RULE (RFC 7598 4.1).
fn rule(body: &[u8]) -> Result<Rule, Refused> {
    let (&[flags, ea_len, prefix4_len, a, b, c, d, prefix6_len], rest) =
        body.split_first_chunk().ok_or(Refused::Truncated(Code(RULE)))?;
    let ipv4 = Prefix4::new(Ipv4Addr::new(a, b, c, d), prefix4_len);
    let ipv4 =
        ipv4.ok_or(Refused::TooLarge { code: Code(RULE), field: "prefix4-len", value: prefix4_len, most: 32 })?;
    let (ipv6, rest) = prefix6(RULE, "prefix6-len", prefix6_len, rest)?;
    let ports = port_params(RULE, rest)?;
    let offset = ports.map_or(MAPE_OFFSET, |ports| ports.offset);
    let rule = Rule::new(ipv6, ipv4, ea_len, offset)?.with_forwarding(flags & FORWARDING != 0);
    match ports {
        // A PSID is of one address (RFC 7598 4.5).
        Some(ports) if prefix4_len + ea_len >= 32 => Ok(rule.with_psid(ports.psid)?),
        _ => Ok(rule),
    }
}

/// OPTION_S46_BR (RFC 7598 4.2).
fn border_router(body: &[u8]) -> Result<Ipv6Addr, Refused> {
    let octets: [u8; 16] =
        body.try_into().map_err(|_| Refused::Length { code: Code(BR), len: body.len(), must: 16 })?;
    let address = Ipv6Addr::from(octets);
    is_host6(address).then_some(address).ok_or(Refused::NoHost { code: Code(BR), address: address.into() })
}

/// OPTION_S46_V4V6BIND (RFC 7598 4.4). Without port parameters all ports are ours.
fn v4v6bind(body: &[u8]) -> Result<(Ipv4Addr, Prefix6, PortSet), Refused> {
    let (&[a, b, c, d, prefix6_len], rest) = body.split_first_chunk().ok_or(Refused::Truncated(Code(V4V6BIND)))?;
    let ipv4 = Ipv4Addr::new(a, b, c, d);
    if !Addr4::from(ipv4).is_host() {
        return Err(Refused::NoHost { code: Code(V4V6BIND), address: IpAddr::V4(ipv4) });
    }
    let (bind, rest) = prefix6(V4V6BIND, "bindprefix6-len", prefix6_len, rest)?;
    let ports = port_params(V4V6BIND, rest)?;
    Ok((ipv4, bind, ports.map_or(PortSet::ALL, PortParams::set)))
}

/// A prefix that takes as many octets as it has bits for; what its last octet has beyond is padding.
fn prefix6<'a>(code: u16, field: &'static str, len: u8, bytes: &'a [u8]) -> Result<(Prefix6, &'a [u8]), Refused> {
    let too_large = Refused::TooLarge { code: Code(code), field, value: len, most: 128 };
    if len > 128 {
        return Err(too_large);
    }
    let (prefix, rest) = bytes.split_at_checked(usize::from(len).div_ceil(8)).ok_or(Refused::Truncated(Code(code)))?;
    let mut octets = [0; 16];
    octets[..prefix.len()].copy_from_slice(prefix);
    Ok((Prefix6::new(octets.into(), len).ok_or(too_large)?, rest))
}

/// OPTION_S46_PORTPARAMS (RFC 7598 4.5).
#[derive(Clone, Copy)]
struct PortParams {
    offset: u8,
    psid: Psid,
}

impl PortParams {
    /// The field is 4 octets: the PSID has two of them and stands at the left, whatever its length.
    fn read(body: &[u8]) -> Result<Self, Refused> {
        let code = Code(PORTPARAMS);
        let &[offset, psid_len, p0, p1] = body else {
            return Err(Refused::Length { code, len: body.len(), must: 4 });
        };
        if offset > 15 {
            return Err(Refused::TooLarge { code, field: "offset", value: offset, most: 15 });
        }
        if psid_len > 16 {
            return Err(Refused::TooLarge { code, field: "PSID-len", value: psid_len, most: 16 });
        }
        if offset + psid_len > 16 {
            return Err(Refused::PortBits { offset, psid_len });
        }
        if psid_len == 0 {
            // The PSID is not looked at.
            return Ok(Self { offset, psid: Psid::default() });
        }
        let field = u16::from_be_bytes([p0, p1]);
        let value = field >> (16 - psid_len);
        if value << (16 - psid_len) != field {
            return Err(Refused::NotLeftJustified { psid: field, psid_len });
        }
        Ok(Self { offset, psid: Psid { len: psid_len, value } })
    }

    fn set(self) -> PortSet {
        match self.psid.len {
            0 => PortSet::ALL,
            len => PortSet::new(self.offset, len, self.psid.value).expect("was checked when it was read"),
        }
    }
}

/// The port parameters in `bytes`, the options of `inside`.
fn port_params(inside: u16, bytes: &[u8]) -> Result<Option<PortParams>, Refused> {
    let mut found = None;
    for option in options(inside, bytes) {
        match option? {
            (PORTPARAMS, _) if found.is_some() => return Err(Refused::Repeated(Code(PORTPARAMS), Code(inside))),
            (PORTPARAMS, body) => found = Some(PortParams::read(body)?),
            (other, _) => return Err(Refused::Misplaced(Code(other), Code(inside))),
        }
    }
    Ok(found)
}
