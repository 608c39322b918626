//! How address notification stands, for people and programs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::Dialect;
use crate::span::span;

/// How the notification stands at one moment, for `hikyaku show status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The service that is told.
    pub service: Dialect,
    /// The state in one word.
    pub state: State,
    /// Seconds since the service last accepted, this place or another.
    pub last_success: Option<u64>,
    /// What went wrong last, if nothing went right since. Holds no credentials.
    pub last_error: Option<String>,
    /// Seconds until the next request; none while one runs.
    pub next_attempt: Option<u64>,
}

/// The state of the notification in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is no address yet to tell of.
    Idle,
    /// The service was asked, or is about to be, and has not answered yet.
    Asking,
    /// The service accepted what it was told last.
    Accepted,
    /// It could not be asked, or is in trouble.
    Failing,
    /// It does not want to know: somebody has to look.
    Refused,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "waiting for an address",
            Self::Asking => "asking",
            Self::Accepted => "accepted",
            Self::Failing => "failing",
            Self::Refused => "refused",
        })
    }
}

impl fmt::Display for Status {
    /// Service, state, when it last went well and when it is said again, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.state)?;
        match self.last_success {
            Some(ago) if self.state == State::Accepted => write!(f, " {} ago", span(Duration::from_secs(ago)))?,
            Some(ago) => write!(f, ", last accepted {} ago", span(Duration::from_secs(ago)))?,
            None => {}
        }
        if let Some(error) = &self.last_error {
            write!(f, ": {error}")?;
        }
        if let Some(next) = self.next_attempt {
            write!(f, "; next in {}", span(Duration::from_secs(next)))?;
        }
        Ok(())
    }
}
