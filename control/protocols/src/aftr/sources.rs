//! Where border routers are known from, and what their names resolve to.

use std::convert::Infallible;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use hikyaku_net::Time;
use serde::Serialize;

use crate::dns::Failure;

/// Addresses kept of one source at most.
pub const MAX_ADDRESSES: usize = 16;

/// A name is asked for again no sooner than this, whatever its TTL.
pub(super) const MIN_REFRESH: Duration = Duration::from_secs(10);
/// After a failure it is asked for again; each further failure doubles the wait.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// While nothing answers at all, a name is asked for anew this often at most.
const FRESH: Duration = Duration::from_secs(30);
/// A question that nobody ended is asked again.
const LOST: Duration = Duration::from_secs(90);
/// So long the next source waits for a name that has neither resolved nor failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a border router is known from, the best first. With one of the user's, no other is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Addresses in the configuration.
    UserAddresses,
    /// A name in the configuration.
    UserName,
    /// DHCPv6 option 64 (RFC 6334).
    Dhcp,
    /// The provisioning server (HB46PP `dslite.aftr`).
    Provisioning,
    /// The name that belongs to the chosen service.
    ProfileName,
    /// The addresses that belong to the chosen service: names are the intended handle.
    ProfileAddresses,
}

impl Source {
    /// Every source, the one that counts most first.
    pub const ALL: [Self; 6] = [
        Self::UserAddresses,
        Self::UserName,
        Self::Dhcp,
        Self::Provisioning,
        Self::ProfileName,
        Self::ProfileAddresses,
    ];

    /// Whether the user says it: then nobody else is listened to.
    pub fn is_the_users(self) -> bool {
        matches!(self, Self::UserAddresses | Self::UserName)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserAddresses | Self::UserName => "from the configuration",
            Self::Dhcp => "from DHCPv6",
            Self::Provisioning => "from the provisioning server",
            Self::ProfileName | Self::ProfileAddresses => "of the service",
        })
    }
}

/// Where a source says that the far end is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// To be resolved at the line's own resolvers.
    Name(String),
    /// At these addresses, of which the first is preferred.
    Addresses(Vec<Ipv6Addr>),
}

/// An IPv6 address, or else a name.
impl FromStr for Endpoint {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.into()), |address| Self::Addresses(vec![address])))
    }
}

/// The addresses that a name resolved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The addresses in the order of the answer.
    pub addresses: Vec<Ipv6Addr>,
    /// For how long they are good.
    pub ttl: Duration,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub endpoint: Endpoint,
    /// Empty: not known (yet).
    addresses: Vec<Ipv6Addr>,
    /// They were learned on the line as it is now.
    confirmed: bool,
    pub failure: Option<Failure>,
    failures: u32,
    since: Time,
    asked: Option<Time>,
    due: Time,
    /// It is to be asked of the resolvers, whatever is kept of an earlier answer.
    anew: bool,
}

impl Slot {
    pub fn new(now: Time, endpoint: Endpoint) -> Self {
        let addresses = match &endpoint {
            Endpoint::Name(_) => Vec::new(),
            Endpoint::Addresses(addresses) => usable(addresses),
        };
        let (confirmed, failure, failures, asked, anew) = (false, None, 0, None, false);
        Self { endpoint, addresses, confirmed, failure, failures, since: now, asked, due: now, anew }
    }

    pub fn name(&self) -> Option<&str> {
        match &self.endpoint {
            Endpoint::Name(name) => Some(name),
            Endpoint::Addresses(_) => None,
        }
    }

    /// Those that are not our own.
    pub fn addresses(&self, own: &[Ipv6Addr]) -> Vec<Ipv6Addr> {
        self.addresses.iter().copied().filter(|address| !own.contains(address)).collect()
    }

    /// An address, if all that are known are our own.
    pub fn ours(&self, own: &[Ipv6Addr]) -> Option<Ipv6Addr> {
        self.addresses.first().copied().filter(|_| self.addresses(own).is_empty())
    }

    /// Nothing came of it but our own addresses, perhaps; the next source is looked at.
    pub fn is_hopeless(&self, now: Time) -> bool {
        self.name().is_none() || self.failure.is_some() || !self.addresses.is_empty() || now >= self.since + PATIENCE
    }

    /// An answer is waited for.
    pub fn is_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// The name, if it is to be asked for now; it is then on its way. Whether it is to be asked of the resolvers,
    /// whatever is kept.
    pub fn ask(&mut self, now: Time) -> Option<(String, bool)> {
        if self.asked.is_some_and(|at| now < at + LOST) || now < self.due {
            return None;
        }
        let name = self.name()?.to_string();
        self.asked = Some(now);
        Some((name, std::mem::take(&mut self.anew)))
    }

    /// When [`Self::ask`] or [`Self::is_hopeless`] says something else, if nothing happens.
    pub fn poll_timeout(&self, now: Time, resolvers: bool) -> Option<Time> {
        self.name()?;
        let ask = self.asked.map_or(self.due, |at| at + LOST);
        let waited_for = self.addresses.is_empty() && self.failure.is_none();
        let patience = Some(self.since + PATIENCE).filter(|&t| t > now && waited_for);
        resolvers.then_some(ask).into_iter().chain(patience).min()
    }

    /// The line is another than before: so may be what the name means.
    pub fn doubt(&mut self, now: Time) {
        self.confirmed = false;
        (self.asked, self.due, self.failures) = (None, now, 0);
        if self.addresses.is_empty() {
            (self.since, self.failure) = (now, None);
        }
    }

    /// What is known is of no use: asked for anew, though not all the time.
    pub fn refresh(&mut self, now: Time, last: Option<Time>) {
        let soon = last.map_or(now, |last| now.max(last + FRESH));
        (self.due, self.anew) = (self.due.min(soon), true);
    }

    /// `is_dead`: none of the addresses answers.
    pub fn resolved(&mut self, now: Time, result: &Result<Resolved, Failure>, is_dead: bool) {
        self.asked = None;
        let failure = match result {
            Ok(resolved) => {
                let addresses = usable(&resolved.addresses);
                if !addresses.is_empty() {
                    (self.addresses, self.confirmed) = (addresses, true);
                    (self.failure, self.failures) = (None, 0);
                    self.due = now + resolved.ttl.max(MIN_REFRESH);
                    return;
                }
                Failure::NoData { ttl: None }
            }
            Err(failure) => failure.clone(),
        };
        // What worked is not given up for a resolver's bad hour, and not for its mistake while it works.
        if failure.is_definite() && (is_dead || !self.confirmed) {
            self.addresses.clear();
        }
        self.failure = Some(failure);
        let wait = FIRST_RETRY * 2u32.pow(self.failures.min(6));
        self.failures += 1;
        self.due = now + wait.min(LONGEST_RETRY);
    }
}

/// Those that can be a border router's: unicast, not of one link, not 0000::/8 (RFC 4291 2.4).
fn usable(addresses: &[Ipv6Addr]) -> Vec<Ipv6Addr> {
    let is_usable = |a: &&Ipv6Addr| !a.is_multicast() && !a.is_unicast_link_local() && a.octets()[0] != 0;
    let mut usable: Vec<Ipv6Addr> = Vec::new();
    for &address in addresses.iter().filter(is_usable).take(MAX_ADDRESSES) {
        if !usable.contains(&address) {
            usable.push(address);
        }
    }
    usable
}
