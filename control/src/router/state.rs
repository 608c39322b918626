//! How far the line has come.
//!
//! The state is not kept and moved: it is read off what is known, and so it can neither get stuck nor contradict the
//! facts. Whoever asks remembers the last one, for the log.

use std::fmt;
use std::net::Ipv6Addr;

use hikyaku_net::Mac;
use hikyaku_protocols::service::closed_network;
use serde::{Serialize, Serializer};

use super::choose::Choice;
use super::facts::Facts;

/// How far the line has come. In the order in which it gets there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum State {
    /// The WAN link has no carrier, or is gone.
    LinkDown,
    /// Our own link-local address is still being checked.
    Starting,
    /// Nobody has advertised a default route.
    AwaitingRouter,
    /// A router is there, but no prefix to make an address from.
    AwaitingPrefix,
    /// The prefix is one of the access network's own: nobody has been assigned to carry us yet.
    AwaitingIsp {
        /// The prefix of the access network.
        prefix: Ipv6Addr,
    },
    /// Duplicate address detection of our end of the tunnel.
    CheckingAddress {
        /// Our end of the tunnel.
        ce: Ipv6Addr,
    },
    /// Another station has the address that is to be our end of the tunnel.
    AddressTaken {
        /// The address that was to be our end of the tunnel.
        ce: Ipv6Addr,
        /// The Ethernet address of the station that has it.
        #[serde(serialize_with = "as_text")]
        by: Mac,
    },
    /// It is not known yet, or not at all, what the line has; the text says why.
    ChoosingService {
        /// What is waited for, or why there is none.
        why: String,
    },
    /// What is to be done cannot be; the text says why.
    Trouble {
        /// What cannot be, and why.
        why: String,
    },
    /// No border router is known yet; the text says how far that is.
    AwaitingBorderRouter {
        /// How far the search for it is.
        why: String,
    },
    /// The Ethernet address of the way to the border router is not known.
    AwaitingNextHop {
        /// The router that is the way to the border router, by its link-local address.
        next_hop: Ipv6Addr,
    },
    /// Packets are carried. Whether the border router answers is another question: this kind of tunnel
    /// has no handshake.
    Carrying {
        /// Our end of the tunnel.
        ce: Ipv6Addr,
        /// The far end: AFTR or border router.
        border_router: Ipv6Addr,
    },
}

impl State {
    /// The state that follows from the facts and from what was chosen.
    pub(super) fn of(facts: &Facts, choice: &Choice) -> Self {
        if !facts.link_up {
            return Self::LinkDown;
        }
        if !facts.link_local.is_some_and(|address| facts.may_use(address)) {
            return Self::Starting;
        }
        if facts.slaac.default_router().is_none() {
            return Self::AwaitingRouter;
        }
        if let Some(prefix) = choice.uplink.prefix.filter(|&prefix| closed_network(prefix)) {
            return Self::AwaitingIsp { prefix };
        }
        // Some lines have an address of DHCPv6's and no prefix.
        if choice.uplink.prefix.is_none() && choice.end.is_none() {
            return Self::AwaitingPrefix;
        }
        if choice.plan.is_none() {
            return Self::ChoosingService { why: choice.decision.why() };
        }
        if let Some(why) = &facts.trouble {
            return Self::Trouble { why: why.clone() };
        }
        let Some(end) = choice.end else { return Self::AwaitingPrefix };
        let Some(carried) = &facts.carried else {
            return match facts.taken.get(&end) {
                Some(&by) => Self::AddressTaken { ce: end, by },
                None => Self::CheckingAddress { ce: end },
            };
        };
        match (facts.far.address, facts.next_hop) {
            (None, _) => Self::AwaitingBorderRouter { why: facts.far.state.to_string() },
            (Some(_), None) => Self::AwaitingRouter,
            (Some(_), Some((next_hop, None))) => Self::AwaitingNextHop { next_hop },
            (Some(border_router), Some(_)) => Self::Carrying { ce: carried.local, border_router },
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkDown => f.write_str("the WAN link is down"),
            Self::Starting => f.write_str("starting: our link-local address is being checked"),
            Self::AwaitingRouter => f.write_str("awaiting a router advertisement"),
            Self::AwaitingPrefix => f.write_str("awaiting a prefix, from a router advertisement or DHCPv6"),
            Self::AwaitingIsp { prefix } => {
                write!(f, "awaiting ISP: {prefix} is a prefix of the closed access network, no ISP carries it yet")
            }
            Self::CheckingAddress { ce } => write!(f, "checking that {ce} is free"),
            Self::AddressTaken { ce, by } => {
                write!(f, "{ce} cannot be used: station {by} has it; remove it there, or give another interface id")
            }
            Self::ChoosingService { why } => write!(f, "finding out which service the line has: {why}"),
            Self::Trouble { why } => f.write_str(why),
            Self::AwaitingBorderRouter { why } => write!(f, "awaiting the border router: {why}"),
            Self::AwaitingNextHop { next_hop } => write!(f, "awaiting an answer of router {next_hop}"),
            Self::Carrying { ce, border_router } => write!(f, "carrying: {ce} to {border_router}"),
        }
    }
}

fn as_text<S: Serializer>(mac: &Mac, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mac)
}

#[cfg(test)]
mod tests {
    use hikyaku_protocols::neighbour::Progress;

    use super::super::choose::choose;
    use super::super::fixtures::*;
    use super::*;

    #[test]
    fn a_line_comes_up_in_order() {
        fn no_link_local(facts: &mut Facts) {
            facts.addresses.clear();
        }
        fn no_carrier(facts: &mut Facts) {
            no_link_local(facts);
            facts.link_up = false;
        }
        fn taken(facts: &mut Facts) {
            facts.taken.insert(ip("2001:db8:1::2"), ROUTER_MAC);
            facts.addresses.insert(ip("2001:db8:1::2"), Progress::Duplicate);
        }
        fn trouble(facts: &mut Facts) {
            facts.trouble = Some("no memory".into());
        }
        fn no_way(facts: &mut Facts) {
            found(facts);
            facts.next_hop = None;
        }
        fn unheard(facts: &mut Facts) {
            found(facts);
            facts.next_hop = Some((ip("fe80::1"), None));
        }
        let (ce, router_address) = (ip("2001:db8:1::2"), ip("fe80::1"));
        let asking = "DHCPv6 option 64: the server has not answered yet".to_string();
        let unknown = "no border router: neither configured nor given by the line".to_string();
        let rows: &[(&[Says], State)] = &[
            (&[no_carrier], State::LinkDown),
            (&[no_link_local], State::Starting),
            (&[], State::AwaitingRouter),
            (&[router], State::AwaitingPrefix),
            (&[router, closed], State::AwaitingIsp { prefix: ip("2408:210::") }),
            (&[router, managed, soliciting, advertised], State::ChoosingService { why: asking }),
            (&[router, advertised, option64], State::CheckingAddress { ce }),
            (&[router, advertised, option64, taken], State::AddressTaken { ce, by: ROUTER_MAC }),
            (&[router, advertised, option64, trouble], State::Trouble { why: "no memory".into() }),
            (&[router, advertised, option64, carried], State::AwaitingBorderRouter { why: unknown }),
            (&[router, advertised, option64, carried, no_way], State::AwaitingRouter),
            (&[router, advertised, option64, carried, unheard], State::AwaitingNextHop { next_hop: router_address }),
            (
                &[router, advertised, option64, carried, found],
                State::Carrying { ce, border_router: ip("2001:db8:f::1") },
            ),
        ];
        let config = config("[service]\nkind = 'dslite'\n");
        for (says, expected) in rows {
            let facts = facts(says);
            assert_eq!(State::of(&facts, &choose(&config, &facts, &Choice::default())), *expected);
        }
    }
}
