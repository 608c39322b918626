//! Address notification: telling the border router where we are.
//!
//! A line with a fixed IPv4 address has a tunnel whose far end must know our IPv6 address, which changes with
//! the line's prefix. So it is told at the start, at every change, and now and then for safety. The four
//! services' ways are from their documents and from field reports; none was tried on a live line.
//!
//! A machine (docs/control.md) that asks for HTTP requests and is told how they went.
//!
//! ```
//! use hikyaku_net::Time;
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::http::{Secret, Trust};
//! use hikyaku_protocols::notification::{Config, Dialect, Notifier, Output, Place, REPEAT};
//!
//! let mut notifier = Notifier::new(Config {
//!     dialect: Dialect::V6plus,
//!     url: None,
//!     user: Secret::new("someone"),
//!     pass: Secret::new("s3cret"),
//!     name: Secret::default(),
//!     basic_auth: None,
//!     from: None,
//!     trust: Trust::Mozilla,
//!     repeat: REPEAT,
//! })?;
//! let ce = "2001:db8:1::1".parse().unwrap();
//! notifier.start(Time(0), Place { ce, wan: ce, ipv4: None });
//! let Some(Output::Request(request)) = notifier.drive(Time(0)) else { panic!("nothing to ask") };
//! assert_eq!(request.from, ce, "the service takes the address that it sees");
//! // The response goes to `notifier.handle_response(now, result)`.
//! # Ok::<(), hikyaku_protocols::notification::ConfigError>(())
//! ```

mod dialect;
mod status;
mod template;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use hikyaku_net::Time;

use crate::Machine;
use crate::http::{HttpError, Request, Response, Secret, Trust, UrlError};
use crate::span::span;

pub use dialect::{Dialect, Source};
pub use status::{State, Status};

use dialect::Verdict;

/// How often it is said again though nothing changed, unless configured. An hour: a border router that has
/// forgotten us costs that much at most, and a service with a hundred thousand lines gets 28 requests a second.
pub const REPEAT: Duration = Duration::from_secs(3600);

/// The first retries after a failure.
const RETRY: Duration = Duration::from_secs(10);

/// How many of them, before they become rarer.
const RETRIES: u32 = 3;

/// The rarest retries, and those after a refusal in words of the service.
const RETRY_MAX: Duration = Duration::from_secs(3600);

/// Which service is told, with which credentials, from which address.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The service that is told, and so the form of the request.
    pub dialect: Dialect,
    /// Its URL without the query, if not the one known; the template for [`Dialect::Url`]. May hold
    /// credentials, and is not shown.
    pub url: Option<Secret>,
    /// The user name that the provider gave; empty if none.
    pub user: Secret,
    /// The password that the provider gave; empty if none.
    pub pass: Secret,
    /// OCN's token, Xpass's FQDN; others have none.
    pub name: Secret,
    /// User name and password for HTTP Basic where they are not `user` and `pass`. OCN and Xpass
    /// use HTTP Basic always, others if this is given.
    pub basic_auth: Option<(Secret, Secret)>,
    /// Which of our addresses to ask from, if not the one that the service expects.
    pub from: Option<Source>,
    /// Which authorities may vouch for an https server.
    pub trust: Trust,
    /// How often it is said again though nothing changed; [`REPEAT`] unless there is a reason.
    pub repeat: Duration,
}

/// What is wrong with a configuration. Shows no credentials.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The service needs a credential that is empty; which.
    #[error("{0} needs a {1}; put it into the credentials file")]
    Missing(Dialect, &'static str),
    /// A service whose URL is not public.
    #[error("{0} needs a url; it is on the contract sheet")]
    NoUrl(Dialect),
    /// The URL that was given cannot be used.
    #[error("url: {0}")]
    Url(#[from] UrlError),
    /// A template has something in angle brackets that is no placeholder.
    #[error("url: in < and >, behind the host, can stand ipv4, ipv6, user and pass")]
    Placeholder,
    /// A template wants an IPv4 address, and the line has no fixed one.
    #[error("url: <ipv4> is not known on this line; set the fixed IPv4 address")]
    NoIpv4,
}

/// Where we are on the line: what the service is to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Our end of the tunnel.
    pub ce: Ipv6Addr,
    /// The address of the WAN interface.
    pub wan: Ipv6Addr,
    /// The fixed IPv4 address, if known.
    pub ipv4: Option<Ipv4Addr>,
}

/// What the notifier wants done, or has found out.
#[derive(Clone, Debug)]
pub enum Output {
    /// To be run, and its result given to [`Notifier::handle_response`]. There is one at a time.
    Request(Box<Request>),
    /// Something happened that is worth a line in the log.
    Event(Event),
}

/// What came of telling the service, for the log. Shows no credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The service knows this place now; `again` if it did before.
    Accepted {
        /// Our end of the tunnel, which the service knows now.
        ce: Ipv6Addr,
        /// Whether it was told before.
        again: bool,
    },
    /// It did not work; this may pass.
    Failed {
        /// What the server said, or why it could not be asked.
        why: String,
        /// When it is tried again.
        retry: Duration,
    },
    /// The service refuses, or cannot be asked: somebody has to look.
    Refused {
        /// What the service said, what to check.
        why: String,
        /// When it is tried again all the same.
        retry: Duration,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { ce, again: false } => write!(f, "address notification: {ce} is known now"),
            Self::Accepted { ce, again: true } => write!(f, "address notification: {ce} is still known"),
            Self::Failed { why, retry } => write!(f, "address notification failed: {why}; again in {}", span(*retry)),
            Self::Refused { why, retry } => write!(f, "address notification refused: {why}; again in {}", span(*retry)),
        }
    }
}

/// The last result at this place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    None,
    Accepted,
    Failed,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is no place to tell of.
    Idle,
    Waiting {
        until: Time,
    },
    /// A request runs; `stale` if we have moved since.
    Asking {
        stale: bool,
    },
}

/// Tells one service where we are.
#[derive(Debug)]
pub struct Notifier {
    config: Config,
    place: Option<Place>,
    phase: Phase,
    outcome: Outcome,
    /// Attempts that failed, one after the other, since the last that did not.
    failures: u32,
    last_success: Option<Time>,
    last_error: Option<String>,
    outputs: VecDeque<Output>,
    rng: StdRng,
}

impl Notifier {
    /// Checks the configuration as a whole: URL, placeholders, credentials.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_rng(config, rand::make_rng())
    }

    fn with_rng(config: Config, rng: StdRng) -> Result<Self, ConfigError> {
        // RFC 3849, RFC 5737: addresses for such purposes.
        let somewhere = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
        let example = Place { ce: somewhere, wan: somewhere, ipv4: Some(Ipv4Addr::new(192, 0, 2, 1)) };
        config.dialect.request(&config, &example)?;
        Ok(Self {
            config,
            place: None,
            phase: Phase::Idle,
            outcome: Outcome::None,
            failures: 0,
            last_success: None,
            last_error: None,
            outputs: VecDeque::new(),
            rng,
        })
    }

    /// We are here now. To be called at the start and at every change; the same place again changes nothing.
    pub fn start(&mut self, now: Time, place: Place) {
        if self.place != Some(place) {
            self.place = Some(place);
            self.restart(Phase::Waiting { until: now });
        }
    }

    /// We are nowhere: the line is down, or its addresses are not ready.
    pub fn stop(&mut self) {
        self.place = None;
        self.restart(Phase::Idle);
    }

    /// Forgets what is true of the last place only.
    fn restart(&mut self, phase: Phase) {
        self.phase = if matches!(self.phase, Phase::Asking { .. }) { Phase::Asking { stale: true } } else { phase };
        self.outcome = Outcome::None;
        self.failures = 0;
        self.last_error = None;
    }

    /// The answer to [`Output::Request`], or why there is none. Nothing happens where none is waited for.
    pub fn handle_response(&mut self, now: Time, result: Result<Response, HttpError>) {
        let Phase::Asking { stale } = self.phase else { return };
        let Some(place) = self.place else {
            self.phase = Phase::Idle;
            return;
        };
        if stale {
            // It was about where we are no more.
            self.phase = Phase::Waiting { until: now };
            return;
        }
        match result.map(|response| self.config.dialect.judge(&response, &self.config)) {
            Ok(Verdict::Accepted) => {
                let again = self.outcome == Outcome::Accepted;
                self.outcome = Outcome::Accepted;
                self.failures = 0;
                self.last_success = Some(now);
                self.last_error = None;
                self.event(Event::Accepted { ce: place.ce, again });
                let repeat = self.config.repeat.max(RETRY);
                self.wait(now, repeat, 0.9..=1.0);
            }
            Ok(Verdict::Refused(why)) => self.refused(now, why),
            Ok(Verdict::Rejected(why)) => {
                let retry = self.back_off(now, Outcome::Refused, &why);
                self.event(Event::Refused { why, retry });
            }
            Ok(Verdict::Failed(why)) => self.failed(now, why),
            Err(e) => self.failed(now, e.to_string()),
        }
    }

    fn failed(&mut self, now: Time, why: String) {
        let retry = self.back_off(now, Outcome::Failed, &why);
        self.event(Event::Failed { why, retry });
    }

    /// It did not work: it is tried again soon, then less often. Says when.
    fn back_off(&mut self, now: Time, outcome: Outcome, why: &str) -> Duration {
        self.failures += 1;
        self.outcome = outcome;
        self.last_error = Some(why.to_string());
        if self.failures <= RETRIES {
            return self.wait(now, RETRY, 1.0..=1.0);
        }
        // Lines that failed together shall not come back together.
        let doublings = (self.failures - RETRIES).min(16);
        self.wait(now, (RETRY * 2u32.pow(doublings)).min(RETRY_MAX), 0.8..=1.0)
    }

    fn refused(&mut self, now: Time, why: String) {
        self.failures = 0;
        self.outcome = Outcome::Refused;
        self.last_error = Some(why.clone());
        let retry = self.wait(now, RETRY_MAX, 0.9..=1.0);
        self.event(Event::Refused { why, retry });
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Waits for some of `time`, and says how much.
    fn wait(&mut self, now: Time, time: Duration, some: std::ops::RangeInclusive<f64>) -> Duration {
        let time = time.mul_f64(self.rng.random_range(some));
        self.phase = Phase::Waiting { until: now + time };
        time
    }

    /// When to ask next, if nothing happens.
    fn next_attempt(&self) -> Option<Time> {
        match self.phase {
            Phase::Waiting { until } => Some(until),
            Phase::Idle | Phase::Asking { .. } => None,
        }
    }

    /// How it stands at `now`, for `hikyaku show status`.
    pub fn status(&self, now: Time) -> Status {
        let state = match (self.phase, self.outcome) {
            (Phase::Idle, _) => State::Idle,
            (_, Outcome::Accepted) => State::Accepted,
            (_, Outcome::Failed) => State::Failing,
            (_, Outcome::Refused) => State::Refused,
            (_, Outcome::None) => State::Asking,
        };
        Status {
            service: self.config.dialect,
            state,
            last_success: self.last_success.map(|at| now.since(at).as_secs()),
            last_error: self.last_error.clone(),
            next_attempt: self.next_attempt().map(|at| at.since(now).as_secs()),
        }
    }
}

impl Machine for Notifier {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        let (Phase::Waiting { until }, Some(place)) = (self.phase, self.place) else { return };
        if now < until {
            return;
        }
        match self.config.dialect.request(&self.config, &place) {
            Ok(request) => {
                self.phase = Phase::Asking { stale: false };
                self.outputs.push_back(Output::Request(Box::new(request)));
            }
            Err(e) => self.refused(now, e.to_string()),
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        let pending = (!self.outputs.is_empty()).then_some(Time(0));
        pending.or(self.next_attempt())
    }
}
