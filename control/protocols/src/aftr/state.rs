//! What is said of the border router: which it is, why it changed, and what is to be done.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::Source;
use crate::dns::Failure;
use crate::echo::EchoRequest;

/// What the border router is, for the log and `show status`. Said once per change.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum State {
    /// No source names a border router.
    Unconfigured,
    /// There is a name and nobody to ask.
    AwaitingResolvers { name: String },
    /// The name was asked for, and has not been answered yet.
    Resolving { name: String },
    /// It did not resolve; it is asked for again and again.
    Unresolved { name: String, failure: Failure },
    /// This address is used, as this source says; `name`: what it was resolved from.
    Using { address: Ipv6Addr, source: Source, name: Option<String> },
    /// What is named as border router is an address of our own.
    Ours { address: Ipv6Addr },
    /// It does not answer, nor does any other of so many. `address`: the first of them.
    Failing { address: Ipv6Addr, candidates: usize },
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unconfigured => f.write_str("no border router: neither configured nor given by the line"),
            Self::AwaitingResolvers { name } => write!(f, "border router {name}: waiting for the line's resolvers"),
            Self::Resolving { name } => write!(f, "border router {name}: asked for its address"),
            Self::Unresolved { name, failure } => write!(f, "border router {name}: {failure}"),
            Self::Using { address, source, name: Some(name) } => {
                write!(f, "border router {address} ({name}, {source})")
            }
            Self::Using { address, source, name: None } => write!(f, "border router {address} ({source})"),
            Self::Ours { address } => {
                write!(f, "border router {address}: not used, for it is an address of our own")
            }
            Self::Failing { address, candidates: 1 } => {
                write!(f, "border router {address} does not answer, and there is no other")
            }
            Self::Failing { candidates, .. } => {
                write!(f, "none of the {candidates} border routers answers, and each is tried in turn")
            }
        }
    }
}

/// Why another border router is used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are what their names say
pub enum Why {
    /// None was used before.
    First,
    /// There was none before, and a better source's name does not resolve.
    Unresolved { name: String, failure: Failure },
    /// A source changed, or a better one has addresses now.
    Source,
    /// The name's new answer does not contain the old one.
    Answer,
    /// The old one answered neither packets nor echo requests for so long; the new one answers echo requests, if it is
    /// `answers`.
    Silent { packets: u64, requests: u32, time: Duration, answers: Option<Ipv6Addr> },
    /// None answers, and it is the next one's turn.
    Turn,
    /// ICMPv6 errors say that the old one cannot be reached.
    Unreachable,
    /// No source names one any more.
    Nothing,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => f.write_str("the first one known"),
            Self::Unresolved { name, failure } => write!(f, "{name} cannot be used: {failure}"),
            Self::Source => f.write_str("another source names another one"),
            Self::Answer => f.write_str("its name resolves to others now"),
            Self::Silent { packets, requests, time, answers } => {
                let seconds = time.as_secs();
                write!(f, "{packets} packets and {requests} echo requests without an answer in {seconds} s")?;
                answers.map_or(Ok(()), |other| write!(f, "; {other} answers"))
            }
            Self::Turn => f.write_str("none answers, and it is the next one's turn"),
            Self::Unreachable => f.write_str("ICMPv6: it cannot be reached"),
            Self::Nothing => f.write_str("none is known any more"),
        }
    }
}

/// What the machine wants done, or has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Ask for the AAAA records of a name; answer with [`Selector::handle_answer`](super::Selector::handle_answer).
    Resolve {
        /// The name.
        name: String,
        /// An answer that is kept from before is not good enough: nobody at its addresses answers.
        anew: bool,
    },
    /// Send this from our end of the tunnel. What comes back goes to
    /// [`Selector::handle_input`](super::Selector::handle_input).
    Ask(EchoRequest),
    /// [`Selector::current`](super::Selector::current) is another address now, or none.
    Moved {
        /// The address that was used before.
        from: Option<Ipv6Addr>,
        /// The address to use from now on.
        to: Option<Ipv6Addr>,
        /// Why it changed, for the log.
        why: Why,
    },
    /// [`Selector::state`](super::Selector::state) is another one now.
    State(State),
}
