//! What a line is at one moment.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::wire::Mac;

/// Flag M of a router advertisement: addresses by DHCPv6 (RFC 4861 4.2).
pub const MANAGED: u8 = 0x80;
/// Flag O of a router advertisement: other information by DHCPv6 (RFC 4861 4.2).
pub const OTHER: u8 = 0x40;

/// A prefix. Bits behind its length may be set: some servers send such.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The prefix's bits, as an address.
    pub address: Ipv6Addr,
    /// How many of them count.
    pub length: u8,
}

impl Network {
    /// Its address without the bits behind its length.
    pub fn masked(&self) -> Ipv6Addr {
        let bits = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
        Ipv6Addr::from_bits(self.address.to_bits() & bits)
    }

    /// Whether `address` is of it.
    pub fn contains(&self, address: Ipv6Addr) -> bool {
        Self { address, ..*self }.masked() == self.masked()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A station that advertises.
#[derive(Clone, Debug)]
pub struct Router {
    /// Tells it from others: the end of its addresses.
    pub number: u8,
    /// Router lifetime in seconds; 0: it is no default router.
    pub lifetime: u16,
    /// Flags of the advertisement: `MANAGED`, `OTHER`.
    pub flags: u8,
    /// Prefixes with L and A, with preferred and valid lifetime in seconds.
    pub prefixes: Vec<(Network, u32, u32)>,
    /// Where packets must come from for it to carry them (BCP 38), beside what is delegated.
    pub takes: Vec<Network>,
}

impl Router {
    /// A default router without prefixes.
    pub fn new(number: u8) -> Self {
        Self { number, lifetime: 1800, flags: 0, prefixes: Vec::new(), takes: Vec::new() }
    }

    /// The router's Ethernet address.
    pub fn mac(&self) -> Mac {
        [2, 0, 0, 0, 0xf, self.number]
    }

    /// The router's link-local address.
    pub fn address(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, self.number.into())
    }

    /// Its advertisement, behind the checksum (RFC 4861 4.2).
    pub(super) fn advertisement(&self) -> Vec<u8> {
        let mut body = [&[64, self.flags][..], &self.lifetime.to_be_bytes(), &[0; 8], &[1, 1], &self.mac()].concat();
        for (prefix, preferred, valid) in &self.prefixes {
            body.extend([3, 4, prefix.length, 0xc0]);
            body.extend([valid.to_be_bytes(), preferred.to_be_bytes(), [0; 4]].concat());
            body.extend(prefix.address.octets());
        }
        body
    }
}

/// What a server makes of a Renew or Rebind for the prefix that it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// Granted for as long again.
    Granted,
    /// Granted for as long again, and beside it the prefix without the bits behind its length, with lifetimes of zero.
    GrantedAndMaskedTakenBack,
    /// Lifetimes of zero, and NoPrefixAvail in the association. Another is free for who solicits.
    Refused,
    /// Lifetimes of zero, and NoPrefixAvail in the prefix.
    RefusedInPrefix,
    /// Deprecated, and another beside it. Only that one is carried from then on.
    Replaced,
}

/// What it makes of one for a prefix that it does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It says nothing.
    Silence,
    /// Lifetimes of zero (RFC 8415 18.3.5).
    TakenBack,
}

/// A DHCPv6 server. It speaks from the router of its number, and a prefix that it gave is carried by that one, while it
/// is leased.
#[derive(Clone, Debug)]
pub struct Server {
    /// Number of the router that it speaks from; it is in its DUID, too.
    pub number: u8,
    /// Where its answers come from, if not from the router's link-local address.
    pub source: Option<Ipv6Addr>,
    /// What it delegates to who asks now.
    pub prefix: Option<Network>,
    /// What it delegates afterwards.
    pub next: Option<Network>,
    /// T1 of what it delegates, seconds (RFC 8415 21.21).
    pub t1: u32,
    /// T2 of what it delegates, seconds.
    pub t2: u32,
    /// Preferred lifetime of what it delegates, seconds.
    pub preferred: u32,
    /// Valid lifetime of what it delegates, seconds.
    pub valid: u32,
    /// What it makes of a Renew or Rebind for its prefix.
    pub renewal: Renewal,
    /// What it makes of one for a prefix that it does not know.
    pub unknown: Unknown,
    /// A prefix that was given back goes to somebody else.
    pub forgets: bool,
    /// Option 64 (RFC 6334).
    pub far_end_name: Option<&'static str>,
    /// Any other options, as they stand in its answers.
    pub more: Vec<u8>,
    leased_until: Duration,
}

impl Server {
    /// One that delegates this for hours.
    pub fn new(number: u8, prefix: Option<Network>) -> Self {
        Self {
            number,
            source: None,
            prefix,
            next: None,
            t1: 7200,
            t2: 10800,
            preferred: 12600,
            valid: 14400,
            renewal: Renewal::Granted,
            unknown: Unknown::Silence,
            forgets: false,
            far_end_name: None,
            more: Vec::new(),
            leased_until: Duration::ZERO,
        }
    }

    pub(super) fn lease(&mut self, now: Duration) {
        self.leased_until = now + Duration::from_secs(self.valid.into());
    }

    /// The prefix is no longer anybody's; the next one is renewed like any.
    pub(super) fn move_on(&mut self) {
        (self.prefix, self.leased_until, self.renewal) = (self.next, Duration::ZERO, Renewal::Granted);
    }

    fn carries(&self, now: Duration, source: Ipv6Addr) -> bool {
        now <= self.leased_until && self.prefix.is_some_and(|prefix| prefix.contains(source))
    }
}

/// What a line is at one moment.
#[derive(Clone, Debug)]
pub struct Habits {
    /// The cable is in.
    pub plugged: bool,
    /// The stations that advertise.
    pub routers: Vec<Router>,
    /// The line's DHCPv6 server, if it has one.
    pub server: Option<Server>,
    /// The only name that its resolver knows: the far end's.
    pub far_end_name: &'static str,
    /// The first address that is asked for in a delegated prefix is somebody else's, for ever.
    pub first_is_taken: bool,
    /// What comes from elsewhere than it should is refused in the far end's name (ICMPv6 type 1 code 5), not dropped.
    pub refuses: bool,
}

impl Habits {
    /// A line with these routers and this server.
    pub fn new(routers: Vec<Router>, server: Option<Server>) -> Self {
        Self { plugged: true, routers, server, far_end_name: "aftr.isp.example", first_is_taken: false, refuses: false }
    }

    /// Whether `router` carries packets from `source`.
    pub(super) fn takes(&self, now: Duration, router: &Router, source: Ipv6Addr) -> bool {
        let server = self.server.as_ref().filter(|server| server.number == router.number);
        router.takes.iter().any(|network| network.contains(source))
            || server.is_some_and(|server| server.carries(now, source))
    }
}
