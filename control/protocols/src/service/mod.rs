//! What the line is to be, and what is still missing for it.
//!
//! The state is not kept and moved: it is read off what is known, [`assess`], and so it can neither get
//! stuck nor contradict the facts. Whoever asks remembers the last one, for the log.

mod choice;
mod closed;
mod plan;
mod probe;
mod profile;
mod unresolved;

use std::fmt;
use std::net::Ipv6Addr;

use hikyaku_net::Mac;
use serde::{Serialize, Serializer};

pub use choice::{Decision, Known, Origin, Outcome, Said, Step, Wish, WishedEnd, choose};
pub use closed::closed_network;
pub use plan::{Candidate, Local, Meshed, Outside, Plan, known_form};
pub use probe::Probe;
pub use profile::{Name, Profile, Technology, UnknownName, UsualEnd};
pub use unresolved::Unresolved;

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
        /// The prefix.
        prefix: Ipv6Addr,
    },
    /// Duplicate address detection of our end of the tunnel.
    CheckingAddress {
        /// Our end.
        ce: Ipv6Addr,
    },
    /// Another station has the address that is to be our end of the tunnel.
    AddressTaken {
        /// The address.
        ce: Ipv6Addr,
        /// Who has it.
        #[serde(serialize_with = "as_text")]
        by: Mac,
    },
    /// It is not known yet, or not at all, what the line has; the text says why.
    ChoosingService {
        /// In words.
        why: String,
    },
    /// What is to be done cannot be; the text says why.
    Trouble {
        /// In words.
        why: String,
    },
    /// No border router is known yet; the text says how far that is.
    AwaitingBorderRouter {
        /// In words.
        why: String,
    },
    /// The Ethernet address of the way to the border router is not known.
    AwaitingNextHop {
        /// The router.
        next_hop: Ipv6Addr,
    },
    /// Packets are carried. Whether the border router answers is another question: this kind of tunnel
    /// has no handshake.
    Carrying {
        /// Our end.
        ce: Ipv6Addr,
        /// The far end.
        border_router: Ipv6Addr,
    },
}

/// What the state depends on.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The WAN link has a carrier.
    pub link_up: bool,
    /// Our link-local address may be used.
    pub link_local_ready: bool,
    /// A default router is known.
    pub router: Option<Ipv6Addr>,
    /// Prefix of the line, if there is one.
    pub prefix: Option<Ipv6Addr>,
    /// Why it is not known what to carry.
    pub no_service: Option<String>,
    /// Why that cannot be done.
    pub trouble: Option<String>,
    /// Our end of the tunnel as it is to be, and as it is in use.
    pub wanted: Option<Ipv6Addr>,
    /// See above.
    pub in_use: Option<Ipv6Addr>,
    /// Somebody else has the wanted address.
    pub taken_by: Option<Mac>,
    /// The border router.
    pub border_router: Option<Ipv6Addr>,
    /// Why there is none.
    pub no_border_router: String,
    /// Whom packets to the border router go to next.
    pub next_hop: Option<Ipv6Addr>,
    /// Its Ethernet address is known.
    pub next_hop_known: bool,
}

/// The state that follows from the facts.
pub fn assess(facts: &Facts) -> State {
    if !facts.link_up {
        return State::LinkDown;
    }
    if !facts.link_local_ready {
        return State::Starting;
    }
    if facts.router.is_none() {
        return State::AwaitingRouter;
    }
    if let Some(prefix) = facts.prefix.filter(|&prefix| closed_network(prefix)) {
        return State::AwaitingIsp { prefix };
    }
    // Some lines have an address of DHCPv6's and no prefix.
    if facts.prefix.is_none() && facts.wanted.is_none() {
        return State::AwaitingPrefix;
    }
    if let Some(why) = &facts.no_service {
        return State::ChoosingService { why: why.clone() };
    }
    if let Some(why) = &facts.trouble {
        return State::Trouble { why: why.clone() };
    }
    let Some(wanted) = facts.wanted else { return State::AwaitingPrefix };
    let Some(ce) = facts.in_use else {
        return match facts.taken_by {
            Some(by) => State::AddressTaken { ce: wanted, by },
            None => State::CheckingAddress { ce: wanted },
        };
    };
    let Some(border_router) = facts.border_router else {
        return State::AwaitingBorderRouter { why: facts.no_border_router.clone() };
    };
    match facts.next_hop {
        Some(next_hop) if !facts.next_hop_known => State::AwaitingNextHop { next_hop },
        Some(_) => State::Carrying { ce, border_router },
        None => State::AwaitingRouter,
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
    use super::*;

    #[test]
    fn a_line_comes_up_in_order() {
        let [ce, router, br]: [Ipv6Addr; 3] = ["2001:db8::2", "fe80::1", "2001:db8:f::1"].map(|a| a.parse().unwrap());
        let no_service = Some("asking".to_string());
        let mut facts = Facts { no_border_router: "asking".into(), no_service, ..Facts::default() };
        let mut seen = vec![assess(&facts)];
        let mut then = |change: &mut dyn FnMut(&mut Facts)| {
            change(&mut facts);
            seen.push(assess(&facts));
        };
        then(&mut |f| f.link_up = true);
        then(&mut |f| f.link_local_ready = true);
        then(&mut |f| f.router = Some(router));
        then(&mut |f| f.prefix = Some("2001:db8::".parse().unwrap()));
        then(&mut |f| (f.wanted, f.no_service) = (Some(ce), None));
        then(&mut |f| f.in_use = Some(ce));
        then(&mut |f| (f.border_router, f.next_hop) = (Some(br), Some(router)));
        then(&mut |f| f.next_hop_known = true);
        let expected = [
            State::LinkDown,
            State::Starting,
            State::AwaitingRouter,
            State::AwaitingPrefix,
            State::ChoosingService { why: "asking".into() },
            State::CheckingAddress { ce },
            State::AwaitingBorderRouter { why: "asking".into() },
            State::AwaitingNextHop { next_hop: router },
            State::Carrying { ce, border_router: br },
        ];
        assert_eq!(seen, expected);
        let by = Mac([2; 6]);
        let taken = Facts { in_use: None, taken_by: Some(by), ..facts.clone() };
        assert_eq!(assess(&taken), State::AddressTaken { ce, by });
        let closed: Ipv6Addr = "2408:210::".parse().unwrap();
        assert_eq!(assess(&Facts { prefix: Some(closed), ..facts }), State::AwaitingIsp { prefix: closed });
    }
}
