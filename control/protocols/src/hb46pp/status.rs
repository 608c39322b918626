//! How provisioning stands and what happened, for people and programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Auth;
use crate::span::span;

/// How provisioning stands, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is no address to ask from, or no resolver to ask.
    Idle,
    /// The server was asked, or is about to be, and has not answered yet.
    Asking,
    /// The server's answer is in use.
    Offered,
    /// The server has nothing for this line, or nothing that this program can do.
    Nothing,
    /// The line has no such service.
    Absent,
    /// The server could not be asked; its last answer is in use.
    Kept,
    /// The server could not be asked, and there is no earlier answer.
    Failing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "waiting for an address and a resolver",
            Self::Asking => "asking",
            Self::Offered => "answered",
            Self::Nothing => "nothing is offered to this line",
            Self::Absent => "not a service of this line",
            Self::Kept => "failing; the last answer stays in use",
            Self::Failing => "failing",
        })
    }
}

/// How provisioning stands at one moment, for `hikyaku show status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The state in one word.
    pub state: State,
    /// The server whose answer is in use.
    pub server: Option<String>,
    /// Whose service, and what there is, in their order.
    pub offer: Option<String>,
    /// Technologies that cannot be used as the server describes them, and why.
    pub refused: Vec<String>,
    /// Seconds since the answer in use was given.
    pub answered: Option<u64>,
    /// What went wrong last, if nothing went right since. Holds no secrets.
    pub last_error: Option<String>,
    /// Seconds until the next question; none while one is open.
    pub next_attempt: Option<u64>,
}

impl fmt::Display for Status {
    /// The state in one line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.state)?;
        if let (Some(server), Some(ago)) = (&self.server, self.answered) {
            write!(f, " ({server}, {} ago)", span(Duration::from_secs(ago)))?;
        }
        if let Some(offer) = &self.offer {
            write!(f, ": {offer}")?;
        }
        for refused in &self.refused {
            write!(f, "; refused: {refused}")?;
        }
        if let Some(error) = &self.last_error {
            write!(f, "; {error}")?;
        }
        if let Some(next) = self.next_attempt {
            write!(f, "; next in {}", span(Duration::from_secs(next)))?;
        }
        Ok(())
    }
}

/// What happened. Shows no secrets, and nothing of a URL behind its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server answered, and its answer is in use.
    Offered {
        /// The answer in one line.
        what: String,
        /// The server that answered.
        host: String,
        /// It offers what it offered before.
        again: bool,
        /// How long until it is asked again.
        next: Duration,
    },
    /// A technology cannot be used as the server describes it.
    Refused {
        /// The technology, and what is wrong with it.
        what: String,
    },
    /// What the server says of user name and password.
    Auth(Auth),
    /// User name and password are for another server, or this one need not prove who it is.
    Withheld {
        /// The server that is not told user name and password.
        host: String,
    },
    /// The line has no such service.
    Absent {
        /// What the resolver said.
        why: String,
        /// How long until it is asked again.
        retry: Duration,
    },
    /// The server could not be found or asked, or its answer cannot be used.
    Failed {
        /// What went wrong, and where.
        why: String,
        /// How long until it is tried again.
        retry: Duration,
        /// An earlier answer stays, or is, in use.
        kept: bool,
    },
}

impl Event {
    /// Whether somebody should look.
    pub fn is_warning(&self) -> bool {
        match self {
            Self::Offered { .. } | Self::Absent { .. } | Self::Auth(Auth::Ok) => false,
            Self::Refused { .. } | Self::Auth(_) | Self::Withheld { .. } | Self::Failed { .. } => true,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("provisioning: ")?;
        match self {
            Self::Offered { what, host, again, next } => {
                let still = if *again { "still offers" } else { "offers" };
                write!(f, "{host} {still} {what}; asked again in {}", span(*next))
            }
            Self::Refused { what } => write!(f, "refused: {what}"),
            Self::Auth(Auth::Ok) => f.write_str("the server accepts user and password"),
            Self::Auth(Auth::Bad) => f.write_str("the server refuses user and password; check them"),
            Self::Auth(Auth::Required) => f.write_str("the server may offer more to those with user and password"),
            Self::Withheld { host } => write!(
                f,
                "user and password are not sent to {host}: they are for another server, or it need not show a \
                 certificate"
            ),
            Self::Absent { why, retry } => {
                write!(f, "this line has no provisioning server: {why}; asked again in {}", span(*retry))
            }
            Self::Failed { why, retry, kept } => {
                let kept = if *kept { "; the last answer stays in use" } else { "" };
                write!(f, "{why}{kept}; tried again in {}", span(*retry))
            }
        }
    }
}
