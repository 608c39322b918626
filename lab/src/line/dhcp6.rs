//! DHCPv6 as a server reads and writes it (RFC 8415), by hand: what lines say is not always what a library would let us say.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::habits::{Network, Renewal, Server, Unknown};
use super::{RESOLVER, wire};

pub const SOLICIT: u8 = 1;
pub const ADVERTISE: u8 = 2;
const REQUEST: u8 = 3;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
pub const REPLY: u8 = 7;
const RELEASE: u8 = 8;
const INFORMATION_REQUEST: u8 = 11;

const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const STATUS: u16 = 13;
const RESOLVERS: u16 = 23;
const IA_PD: u16 = 25;
const IA_PREFIX: u16 = 26;
const AFTR_NAME: u16 = 64;

const NO_PREFIX_AVAIL: u16 = 6;

/// The old prefix of a line that has a new one lives on for so long.
const OLD_VALID: u32 = 60;

/// What a client sent.
pub struct Query<'a> {
    pub kind: u8,
    pub id: [u8; 3],
    client: &'a [u8],
    server: Option<&'a [u8]>,
    /// The IA_PD's number, and the prefixes in it.
    association: Option<(u32, Vec<Network>)>,
}

impl<'a> Query<'a> {
    /// `None` for what is no message of a client's.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let (head, options) = message.split_at_checked(4)?;
        let find = |code| Options(options).find(|&(have, _)| have == code).map(|(_, body)| body);
        let association = find(IA_PD).and_then(|body| {
            let (head, inner) = body.split_at_checked(12)?;
            let prefixes =
                Options(inner).filter(|&(code, _)| code == IA_PREFIX).filter_map(|(_, body)| read_prefix(body));
            Some((u32::from_be_bytes(*head.first_chunk()?), prefixes.collect()))
        });
        let [kind, id @ ..] = *head.first_chunk::<4>()?;
        Some(Self { kind, id, client: find(CLIENT_ID)?, server: find(SERVER_ID), association })
    }
}

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SOLICIT => "solicit",
            REQUEST => "request",
            RENEW => "renew",
            REBIND => "rebind",
            RELEASE => "release",
            INFORMATION_REQUEST => "information-request",
            _ => "another message",
        })?;
        match &self.association {
            Some((_, prefixes)) if prefixes.is_empty() => f.write_str(" for any prefix"),
            Some((_, prefixes)) => prefixes.iter().try_for_each(|prefix| write!(f, " {prefix}")),
            None => Ok(()),
        }
    }
}

fn read_prefix(body: &[u8]) -> Option<Network> {
    let address = <[u8; 16]>::try_from(body.get(9..25)?).ok()?;
    Some(Network { address: address.into(), length: body[8] })
}

/// Options one after the other; ends where one is cut off.
struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[a, b, c, d], rest) = self.0.split_first_chunk::<4>()?;
        let (body, rest) = rest.split_at_checked(u16::from_be_bytes([c, d]).into())?;
        self.0 = rest;
        Some((u16::from_be_bytes([a, b]), body))
    }
}

/// A DHCPv6 option: code, length, body (RFC 8415 21.1).
pub fn option(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn prefix_option(prefix: Network, preferred: u32, valid: u32, inner: &[u8]) -> Vec<u8> {
    let times = [preferred.to_be_bytes(), valid.to_be_bytes()].concat();
    option(IA_PREFIX, &[&times[..], &[prefix.length], &prefix.address.octets(), inner].concat())
}

fn status(code: u16) -> Vec<u8> {
    option(STATUS, &code.to_be_bytes())
}

impl Server {
    /// The options of its answer; `None` if it has none for this.
    pub fn answer(&mut self, now: Duration, query: &Query) -> Option<Vec<u8>> {
        let duid = [0, 3, 0, 1, 2, 0, 0, 0, 0xd, self.number];
        // RFC 8415 16: not meant for this server.
        if query.server.is_some_and(|server| server != duid) {
            return None;
        }
        let mut options = [option(CLIENT_ID, query.client), option(SERVER_ID, &duid)].concat();
        if let Some((number, held)) = &query.association {
            options.extend(self.association(now, query.kind, *number, held)?);
        }
        options.extend(option(RESOLVERS, &RESOLVER.octets()));
        options.extend(self.far_end_name.map(|name| option(AFTR_NAME, &wire::labels(name))).unwrap_or_default());
        options.extend(&self.more);
        Some(options)
    }

    fn association(&mut self, now: Duration, kind: u8, number: u32, held: &[Network]) -> Option<Vec<u8>> {
        let prefix = self.prefix;
        let ours = held.iter().find(|held| prefix.is_some_and(|prefix| held.masked() == prefix.masked()));
        let (times, inner) = match kind {
            RELEASE => {
                if self.forgets && ours.is_some() {
                    self.move_on();
                }
                ([0; 2], status(0))
            }
            RENEW | REBIND => match (ours, self.unknown) {
                (Some(&ours), _) => self.renewal(now, ours),
                (None, Unknown::Silence) => return None,
                (None, Unknown::TakenBack) => {
                    ([0; 2], held.iter().flat_map(|&held| prefix_option(held, 0, 0, &[])).collect())
                }
            },
            _ => match self.prefix {
                Some(prefix) => {
                    if kind == REQUEST {
                        self.lease(now);
                    }
                    ([self.t1, self.t2], prefix_option(prefix, self.preferred, self.valid, &[]))
                }
                None => ([0; 2], status(NO_PREFIX_AVAIL)),
            },
        };
        let times = times.map(u32::to_be_bytes).concat();
        Some(option(IA_PD, &[&number.to_be_bytes()[..], &times, &inner].concat()))
    }

    /// T1 and T2, and what stands in the association, for a prefix that is ours.
    fn renewal(&mut self, now: Duration, held: Network) -> ([u32; 2], Vec<u8>) {
        let times = [self.t1, self.t2];
        let (preferred, valid) = (self.preferred, self.valid);
        let whole = |prefix| prefix_option(prefix, preferred, valid, &[]);
        match self.renewal {
            Renewal::Granted => {
                self.lease(now);
                (times, whole(held))
            }
            Renewal::GrantedAndMaskedTakenBack => {
                self.lease(now);
                let masked = Network { address: held.masked(), ..held };
                let own = self.prefix.map(whole).unwrap_or_default();
                (times, [own, prefix_option(masked, 0, 0, &[])].concat())
            }
            Renewal::Refused => {
                self.move_on();
                ([0; 2], [prefix_option(held, 0, 0, &[]), status(NO_PREFIX_AVAIL)].concat())
            }
            Renewal::RefusedInPrefix => {
                self.move_on();
                ([0; 2], prefix_option(held, 0, 0, &status(NO_PREFIX_AVAIL)))
            }
            Renewal::Replaced => {
                self.move_on();
                self.lease(now);
                let new = self.prefix.map(whole).unwrap_or_default();
                (times, [prefix_option(held, 0, OLD_VALID, &[]), new].concat())
            }
        }
    }
}

/// OPTION_S46_CONT_MAPE (RFC 7598): rules of an address block for a prefix block each, 16 bits of embedded address, ports
/// from 4096 on, and the border router.
pub fn map_e(rules: &[(Network, [u8; 4])], border_router: Ipv6Addr) -> Vec<u8> {
    let ports = option(93, &[4, 0, 0, 0]);
    let rule = |(ipv6, ipv4): &(Network, [u8; 4])| {
        let prefix = &ipv6.address.octets()[..usize::from(ipv6.length.div_ceil(8))];
        option(89, &[&[0, 16, 24][..], ipv4, &[ipv6.length], prefix, &ports].concat())
    };
    let rules: Vec<u8> = rules.iter().flat_map(rule).collect();
    option(94, &[rules, option(90, &border_router.octets())].concat())
}
