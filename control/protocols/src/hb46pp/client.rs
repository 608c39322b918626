//! When what is asked, and what is used meanwhile (specification 3.5 and 3.6).

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use hikyaku_net::Time;

use super::saved::{Answer, Saved, upper_half};
use super::status::{Event, State, Status};
use super::{Credentials, Identity, NAME, Offer, Refusal, Server};
use crate::Machine;
use crate::dns::{Failure, RecordType, Records};
use crate::http::{HttpError, MAX_BODY, Redirects, Request, Response, Secret, Trust, UrlError};

/// After "there is no such name" (c.2). This and the others are drawn anew each time, so that lines that
/// failed together do not come back together.
const ABSENT: RangeInclusive<Duration> = Duration::from_secs(3600)..=Duration::from_secs(3 * 3600);
/// After any other failure of DNS (c.3).
const DNS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(600);
/// After a server's error, or silence (f.2, h.2).
const SERVER: RangeInclusive<Duration> = Duration::from_secs(600)..=Duration::from_secs(1800);
/// After an answer without `ttl` (k.2).
const NO_TTL: RangeInclusive<Duration> = Duration::from_secs(20 * 3600)..=Duration::from_secs(24 * 3600);
/// A `ttl` shorter than this counts as this: no server is asked more often than one that fails.
const SHORTEST_TTL: Duration = *SERVER.start();

/// For all of a request, redirects too. Servers that work have taken half a minute.
const TIMEOUT: Duration = Duration::from_secs(60);
/// A router that was just started waits so long for a server that is silent before it goes by the answer of before. The
/// server's own is taken when it comes.
const PATIENCE: Duration = Duration::from_secs(15);
/// Whoever was to answer a question has forgotten it.
const LOST: Duration = Duration::from_secs(120);

/// Who we are to a provisioning server, and whom it is believed from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// What servers are told of this router.
    pub identity: Identity,
    /// User name and password, if the provider gave some.
    pub credentials: Option<Credentials>,
    /// Who vouches for a server with `t=b`.
    pub trust: Trust,
}

/// Where we are on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line's prefix, of which the upper 64 bits count: an answer is for it and no other.
    pub prefix: Ipv6Addr,
    /// Our address that requests are made from.
    pub from: Ipv6Addr,
}

/// What the client wants done, or has found out.
#[derive(Clone, Debug)]
pub enum Output {
    /// To be asked of the line's own resolvers, and the answer given to [`Client::handle_answer`]. It takes the
    /// place of an earlier one, whose answer nobody waits for any more.
    Query(&'static str, RecordType),
    /// To be run, and its result given to [`Client::handle_response`]. It takes the place of an earlier one.
    Request(Box<Request>),
    /// Something happened that is worth a line in the log.
    Event(Event),
    /// [`Client::offer`] offers something else than before.
    Changed,
    /// [`Client::saved`] is other than before: to be written, or removed where there is nothing.
    Save,
}

#[derive(Clone, Debug)]
enum Phase {
    /// Until it is time to ask.
    Resting,
    /// The TXT record was asked for.
    Resolving { until: Time },
    /// The server is asked, until then at most. After `patience` the answer of before is used, if there is one.
    Requesting { server: Server, patience: Option<Time>, until: Time },
}

/// The last attempt's end.
#[derive(Clone, Debug)]
enum Outcome {
    None,
    Good,
    /// The line has no such service.
    Absent(String),
    Failed(String),
}

/// The client of the line's provisioning server: finds it, asks it, keeps its answer.
#[derive(Debug)]
pub struct Client {
    config: Config,
    place: Option<Place>,
    /// The last place's, upper half.
    prefix: Option<Ipv6Addr>,
    phase: Phase,
    /// When to ask again.
    due: Time,
    outcome: Outcome,
    /// The last one that could be used.
    answer: Option<Answer>,
    /// It is what we go by: it was given here, or the server does not answer.
    in_use: bool,
    outputs: VecDeque<Output>,
    rng: StdRng,
}

impl Client {
    /// A client that knows nothing yet and asks nobody until [`Self::start`].
    pub fn new(config: Config) -> Self {
        Self::with_rng(config, rand::make_rng())
    }

    pub(super) fn with_rng(config: Config, rng: StdRng) -> Self {
        Self {
            config,
            place: None,
            prefix: None,
            phase: Phase::Resting,
            due: Time::default(),
            outcome: Outcome::None,
            answer: None,
            in_use: false,
            outputs: VecDeque::new(),
            rng,
        }
    }

    /// Remembers the answer of before a restart; `wall` is seconds of Unix. It is used if the server cannot
    /// be asked, on the line that it was given on. Whether it can be: not if it is older than a week, the
    /// longest that any answer is good for, or there is a newer one.
    pub fn resume(&mut self, now: Time, wall: u64, saved: &Saved) -> bool {
        if self.answer.is_none() {
            let answer = Answer::load(saved, now, wall);
            self.answer = answer.map(|answer| Answer { offer: self.clean(answer.offer), ..answer });
            return self.answer.is_some();
        }
        false
    }

    /// What a restart must not lose; `None`: nothing. It holds the token and all that the server said: for
    /// nobody else's eyes. `wall` is seconds of Unix.
    pub fn saved(&self, now: Time, wall: u64) -> Option<Saved> {
        self.answer.as_ref().map(|answer| answer.save(now, wall))
    }

    /// We are here now, with resolvers to ask. To be called at the start and at every change; the same place
    /// again changes nothing. With another prefix what was offered is not offered any more: servers answer by
    /// the prefix that asks (3.6), and with another line's rules packets leave and nobody answers them.
    pub fn start(&mut self, now: Time, place: Place) {
        if self.place == Some(place) {
            return;
        }
        let moved = self.place.is_some_and(|old| old.from != place.from);
        self.place = Some(place);
        let prefix = upper_half(place.prefix);
        if self.prefix != Some(prefix) {
            let had = self.offer().is_some();
            self.prefix = Some(prefix);
            (self.in_use, self.outcome) = (false, Outcome::None);
            self.begin(now);
            self.outputs.extend(had.then_some(Output::Changed));
        } else if moved {
            self.give_up(now);
        }
    }

    /// We are nowhere: the line is down, or has no address, or no resolver. What was offered stays, in case
    /// the same prefix comes back.
    pub fn stop(&mut self, now: Time) {
        self.place = None;
        self.give_up(now);
    }

    /// What is under way is begun anew.
    fn give_up(&mut self, now: Time) {
        if !matches!(self.phase, Phase::Resting) {
            self.begin(now);
        }
    }

    fn begin(&mut self, now: Time) {
        self.rest(now);
        self.outputs.retain(|output| !matches!(output, Output::Request(_)));
    }

    /// The answer to [`Output::Query`]. Nothing happens where none is waited for.
    pub fn handle_answer(&mut self, now: Time, result: &Result<Records, Failure>) {
        let (Phase::Resolving { .. }, Some(place)) = (&self.phase, self.place) else { return };
        let server = match result {
            Err(failure) if failure.is_definite() => return self.absent(now, failure),
            Err(failure) => return self.failed(now, DNS, format!("{NAME}: {failure}"), true),
            Ok(records) => Server::choose(records.texts()),
        };
        let server = match server {
            Ok(server) => server,
            Err(why) => return self.failed(now, DNS, why.to_string(), true),
        };
        match self.request(&server, place) {
            Ok(request) => {
                let patience = (self.is_kept() && !self.in_use).then_some(now + PATIENCE);
                self.phase = Phase::Requesting { server, patience, until: now + TIMEOUT + LOST };
                self.outputs.push_back(Output::Request(Box::new(request)));
            }
            Err(why) => self.failed(now, SERVER, format!("{}: {why}", server.url.host()), true),
        }
    }

    /// Specification 3.3. To another server that this one names goes all but the credentials.
    fn request(&mut self, server: &Server, place: Place) -> Result<Request, UrlError> {
        let token = self.token(server.url.host());
        let query = self.config.identity.query(token);
        let mut url = server.url.expose();
        url.push(if url.contains('?') { '&' } else { '?' });
        url += &query;
        if let Some(credentials) = &self.config.credentials {
            if credentials.are_for(server) {
                url += &credentials.query();
            } else {
                let host = server.url.host().to_string();
                self.outputs.push_back(Output::Event(Event::Withheld { host }));
            }
        }
        Ok(Request {
            trust: if server.verify { self.config.trust.clone() } else { Trust::Unverified },
            redirects: Redirects::Temporary,
            redirect_query: Some(Secret::new(query)),
            body_limit: MAX_BODY,
            timeout: TIMEOUT,
            ..Request::new(url.parse()?, place.from)
        })
    }

    /// The token that this server gave us.
    fn token(&self, host: &str) -> Option<&Secret> {
        self.answer.as_ref().filter(|answer| answer.host == host)?.token.as_ref()
    }

    /// How the request went. Nothing happens where none is waited for.
    pub fn handle_response(&mut self, now: Time, result: Result<Response, HttpError>) {
        let Phase::Requesting { server, .. } = &self.phase else { return };
        let host = server.url.host().to_string();
        let response = match result {
            Ok(response) => response,
            Err(error) => return self.failed(now, SERVER, error.to_string(), true),
        };
        match response.status {
            200 => {}
            // Specification 3.3: our address is not one of theirs.
            status @ (403 | 404) => {
                let why = format!("{host}: status {status}: the server does not know this line; ask the provider");
                return self.failed(now, SERVER, why, false);
            }
            status => {
                // RFC 9110 15.5.9 and 15.6, RFC 6585 4: later may be better.
                let trouble = matches!(status, 408 | 429 | 500..);
                let what = if trouble { "the server is in trouble" } else { "not an answer of this protocol" };
                return self.failed(now, SERVER, format!("{host}: status {status}: {what}"), trouble);
            }
        }
        match Offer::parse(&response.body) {
            Ok(offer) => self.accept(now, host, offer, response.body),
            Err(why) => self.failed(now, SERVER, format!("{host}: {why}"), true),
        }
    }

    fn accept(&mut self, now: Time, host: String, offer: Offer, body: Vec<u8>) {
        let offer = self.clean(offer);
        let ttl = offer.ttl.map(|ttl| ttl.max(SHORTEST_TTL));
        let next = ttl.unwrap_or_else(|| self.rng.random_range(NO_TTL));
        let again = self.offer().is_some_and(|old| old.order == offer.order);
        let event = Event::Offered { what: offer.to_string(), host: host.clone(), again, next };
        self.outputs.push_back(Output::Event(event));
        for refusal in &offer.refused {
            self.outputs.push_back(Output::Event(Event::Refused { what: refusal.to_string() }));
        }
        if let Some(auth) = offer.auth {
            self.outputs.push_back(Output::Event(Event::Auth(auth)));
        }
        let token = offer.token.clone().or_else(|| self.token(&host).cloned());
        let prefix = self.prefix.expect("a request is made somewhere");
        let body = Secret::new(String::from_utf8(body).expect("what was parsed is UTF-8"));
        self.answer = Some(Answer { offer, token, host, prefix, body, at: now, age: Duration::ZERO });
        (self.in_use, self.outcome) = (true, Outcome::Good);
        self.rest(now + next);
        self.outputs.extend((!again).then_some(Output::Changed));
        self.outputs.push_back(Output::Save);
    }

    /// There is no such service on this line: what ran is taken down (c.2).
    fn absent(&mut self, now: Time, failure: &Failure) {
        let retry = self.rng.random_range(ABSENT);
        let why = format!("{NAME}: {failure}");
        self.outputs.push_back(Output::Event(Event::Absent { why: why.clone(), retry }));
        let offered = self.offer().is_some();
        let had = self.answer.take().is_some();
        (self.in_use, self.outcome) = (false, Outcome::Absent(why));
        self.rest(now + retry);
        self.outputs.extend(offered.then_some(Output::Changed));
        self.outputs.extend(had.then_some(Output::Save));
    }

    /// It did not work. What runs goes on. `unreachable`: the server did not say what there is, so that what
    /// it said before a restart may be used (3.5).
    fn failed(&mut self, now: Time, wait: RangeInclusive<Duration>, why: String, unreachable: bool) {
        let retry = self.rng.random_range(wait);
        let why = self.hide(why, None);
        let before = self.offer().is_some();
        self.in_use |= unreachable && self.is_kept();
        let kept = self.offer().is_some();
        self.outputs.push_back(Output::Event(Event::Failed { why: why.clone(), retry, kept }));
        self.outcome = Outcome::Failed(why);
        self.rest(now + retry);
        self.outputs.extend((kept && !before).then_some(Output::Changed));
    }

    /// There is an answer of before that was given here.
    fn is_kept(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| Some(answer.prefix) == self.prefix)
    }

    fn rest(&mut self, until: Time) {
        (self.phase, self.due) = (Phase::Resting, until);
    }

    /// An answer whose names and reasons, which are shown, are without what is secret: servers repeat what
    /// they were told.
    fn clean(&self, mut offer: Offer) -> Offer {
        let token = offer.token.clone();
        offer.texts().for_each(|text| *text = self.hide(std::mem::take(text), token.as_ref()));
        offer
    }

    fn hide(&self, text: String, token: Option<&Secret>) -> String {
        let credentials = self.config.credentials.iter().flat_map(|c| [&c.user, &c.pass]);
        let old = self.answer.as_ref().and_then(|answer| answer.token.as_ref());
        let secrets = credentials.chain(old).chain(token).filter(|secret| !secret.is_empty());
        secrets.fold(text, |text, secret| text.replace(secret.expose(), "***"))
    }

    /// What the server offers to this line, as far as we may go by it.
    pub fn offer(&self) -> Option<&Offer> {
        let answer = self.answer.as_ref().filter(|answer| self.in_use && Some(answer.prefix) == self.prefix)?;
        Some(&answer.offer)
    }

    /// How it stands, in one word.
    pub fn state(&self) -> State {
        match (&self.outcome, self.offer()) {
            _ if self.place.is_none() => State::Idle,
            (Outcome::Failed(_) | Outcome::None, Some(_)) => State::Kept,
            (Outcome::Failed(_), None) => State::Failing,
            (Outcome::Absent(_), _) => State::Absent,
            (_, Some(offer)) if offer.first().is_some() => State::Offered,
            (_, Some(_)) => State::Nothing,
            (_, None) => State::Asking,
        }
    }

    /// How it stands at `now`, for `hikyaku show status`.
    pub fn status(&self, now: Time) -> Status {
        let offer = self.offer();
        Status {
            state: self.state(),
            server: self.answer.as_ref().filter(|_| offer.is_some()).map(|answer| answer.host.clone()),
            offer: offer.map(Offer::to_string),
            refused: offer.iter().flat_map(|o| &o.refused).map(Refusal::to_string).collect(),
            answered: self.answer.as_ref().filter(|_| offer.is_some()).map(|answer| answer.age(now).as_secs()),
            last_error: match &self.outcome {
                Outcome::Failed(why) | Outcome::Absent(why) => Some(why.clone()),
                Outcome::None | Outcome::Good => None,
            },
            next_attempt: match self.phase {
                Phase::Resting if self.place.is_some() => Some(self.due.since(now).as_secs()),
                _ => None,
            },
        }
    }
}

impl Machine for Client {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        if self.place.is_none() {
            return;
        }
        match &mut self.phase {
            Phase::Resting if now >= self.due => {
                self.phase = Phase::Resolving { until: now + LOST };
                self.outputs.push_back(Output::Query(NAME, RecordType::Txt));
            }
            Phase::Resolving { until } if now >= *until => {
                self.failed(now, DNS, format!("{NAME}: the question was lost"), true);
            }
            Phase::Requesting { patience, .. } if patience.is_some_and(|patience| now >= patience) => {
                *patience = None;
                self.in_use = true;
                self.outputs.push_back(Output::Changed);
            }
            Phase::Requesting { server, until, .. } if now >= *until => {
                let why = format!("{}: the request was lost", server.url.host());
                self.failed(now, SERVER, why, true);
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if !self.outputs.is_empty() {
            return Some(Time::default());
        }
        self.place?;
        Some(match self.phase {
            Phase::Resting => self.due,
            Phase::Resolving { until } => until,
            Phase::Requesting { patience, until, .. } => patience.unwrap_or(until),
        })
    }
}
