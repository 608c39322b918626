//! What all machines know at one moment: a plain value, from which everything that is chosen and wanted follows.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_net::{Mac, Prefix6, Time};
use hikyaku_protocols::aftr;
use hikyaku_protocols::dhcpv6;
use hikyaku_protocols::neighbour::Progress;
use hikyaku_protocols::service::{Candidate, Name, Outside, Plan, Said};
use hikyaku_protocols::slaac;

/// Why the provisioning server has said nothing yet.
pub(super) const PROVISIONING_ASKED: &str = "the line's provisioning server is asked";

/// All that is known. Two that are equal lead to the same choice and the same commands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    /// When the facts were gathered.
    pub now: Time,
    /// The program is about to end: leases are given back, and nothing new is begun.
    pub leaving: bool,
    /// The WAN link has a carrier.
    pub link_up: bool,
    /// Our link-local address there; `None` when all that could be tried are somebody else's.
    pub link_local: Option<Ipv6Addr>,
    /// Our addresses there, each with how far duplicate address detection has come.
    pub addresses: HashMap<Ipv6Addr, Progress>,
    /// Who has an address that was to be ours.
    pub taken: HashMap<Ipv6Addr, Mac>,
    /// What router advertisements say.
    pub slaac: slaac::Facts,
    /// What the DHCPv6 server says.
    pub dhcpv6: dhcpv6::Facts,
    /// The address that is ours in each of the delegated prefixes, in their order.
    pub delegated_addresses: Vec<Option<Ipv6Addr>>,
    /// What the line's resolvers say about AFTRs.
    pub names: AftrNames,
    /// What the provisioning server says; `None`: switched off.
    pub provisioning: Option<Provisioned>,
    /// The tunnel that is in use.
    pub carried: Option<Carried>,
    /// Why a tunnel that is wanted cannot be.
    pub trouble: Option<String>,
    /// What the session tables translate to that are there.
    pub tables: Vec<Outside>,
    /// The far end of the tunnel.
    pub far: FarEndFacts,
    /// Whom packets to the far end go to, and its Ethernet address if that is known.
    pub next_hop: Option<(Ipv6Addr, Option<Mac>)>,
    /// Something lets nothing in by IPv6 but answers.
    pub is_filtered: bool,
    /// The LANs' side of IPv6, by their numbers.
    pub lans: Vec<LanFacts>,
}

/// Our IPv6 on a LAN.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LanFacts {
    /// The link has a carrier.
    pub link_up: bool,
    /// Our link-local address there; `None` when all that could be tried are somebody else's.
    pub link_local: Option<Ipv6Addr>,
    /// Our IPv6 addresses there, each with how far duplicate address detection has come.
    pub addresses: HashMap<Ipv6Addr, Progress>,
}

/// What names of AFTRs resolve to, and where that was asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AftrNames {
    /// On this line: on another it says nothing.
    pub line: LineId,
    /// Services whose AFTR's name is known.
    pub known: Said<Vec<Name>>,
    /// Names of far ends that were given up, and why.
    pub unresolved: Vec<(String, String)>,
}

/// What one line is told from another by: if either changes, it may be another provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LineId {
    /// Prefixes that the line advertises or delegates.
    pub prefixes: Vec<Prefix6>,
    /// The resolvers that can be asked: none as long as there is no address to ask from.
    pub resolvers: Vec<IpAddr>,
}

/// What the line's provisioning server (HB46PP) said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Provisioned {
    /// The prefix that was asked from: for another the answer says nothing.
    pub prefix: Option<Ipv6Addr>,
    /// The services that it names, or why there are none.
    pub said: Said<Vec<Candidate>>,
}

/// A plan with the end that it has on this line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Carried {
    /// What is carried, and how.
    pub plan: Plan,
    /// Our end of the tunnel.
    pub local: Ipv6Addr,
}

/// The far end of the tunnel.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FarEndFacts {
    /// The plan that it is of.
    pub plan: Option<Plan>,
    /// The address in use.
    pub address: Option<Ipv6Addr>,
    /// How that came to be, or why there is none.
    pub state: aftr::State,
    /// Since when packets go to far ends and nothing comes back, not even replies to echo requests.
    pub silent_since: Option<Time>,
    /// How often its side said that it does not know our address (ICMPv6 type 1 code 5).
    pub refused: u64,
}

impl Facts {
    /// Whether an address of ours has passed duplicate address detection.
    pub fn is_ready(&self, address: Ipv6Addr) -> bool {
        self.addresses.get(&address) == Some(&Progress::Ready)
    }

    /// Whether packets may come from an address of ours: it has passed duplicate address detection, or hardly anybody has
    /// it (RFC 4429).
    pub fn may_use(&self, address: Ipv6Addr) -> bool {
        self.addresses.get(&address).is_some_and(|progress| progress.may_be_used())
    }

    /// Whether an end of the tunnel is in what the line still lets us have, be it for old connections only. A home
    /// gateway delegates a part of its /56 and leaves us the tunnel's end in another.
    pub fn may_have(&self, end: Ipv6Addr) -> bool {
        let advertised = self.slaac.prefixes.iter().map(|prefix| prefix.prefix);
        let delegated = self.dhcpv6.prefixes.iter().map(|leased| leased.what.address());
        let leased = self.dhcpv6.addresses.iter().map(|leased| leased.what);
        advertised.chain(delegated).chain(leased).any(|ours| (ours.to_bits() ^ end.to_bits()) >> 72 == 0)
    }
}

impl FarEndFacts {
    /// The names of the far end as the line says it, if none of them resolves, and why.
    pub fn lacking(&self) -> Option<(Vec<String>, String)> {
        let aftr::State::Unresolved { failure, .. } = &self.state else { return None };
        let name = |(_, far): &(aftr::Source, aftr::Endpoint)| match far {
            aftr::Endpoint::Name(name) => Some(name.clone()),
            aftr::Endpoint::Addresses(_) => None,
        };
        Some((self.plan.as_ref()?.far.iter().map(name).collect::<Option<_>>()?, failure.to_string()))
    }
}
