//! HTTP requests over our own TCP, one short-lived thread for each.
//!
//! ureq speaks HTTP, rustls TLS; streams and addresses come from the control thread, which owns the sockets
//! ([`hikyaku_protocols::sockets::Stack`]) and asks the line's resolvers ([`Lookup`]). IPv6 only. Proxies that the
//! environment names are ignored: what is asked here is asked of servers of the line, from the line.
//!
//! What a request and a response are is said where the machines that ask are ([`hikyaku_protocols::http`]); this crate
//! runs them, and nothing else does. It opens no socket of the system's and reads no file.

#![forbid(unsafe_code)]

mod error;
mod lookup;
#[cfg(test)]
mod tests;
mod transport;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crossbeam_channel::{Receiver, Sender, bounded};
use hikyaku_protocols::http::{HttpError, MAX_BODY, Redirects, Request, Response, Roots, Secret, Trust, Url};
use hikyaku_protocols::sockets::{Connector, Wake};
use ureq::config::Config;
use ureq::http::header::{AUTHORIZATION, LOCATION};
use ureq::http::{HeaderValue, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::{Connector as _, RustlsConnector};
use ureq::{Agent, Body};

pub use lookup::{Lookup, Question};

use transport::{Dialer, Resolver};

/// Requests that may run at once; one more is [`HttpError::Busy`].
pub const MAX_REQUESTS: usize = 8;

/// Redirects followed, at most.
const MAX_REDIRECTS: usize = 5;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// Runs requests, each on a thread of its own that ends with it.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
    lookup: Lookup,
    wake: Wake,
    /// How many requests run at the moment.
    running: Arc<AtomicUsize>,
}

impl Client {
    /// `wake` is called when a result is there.
    pub fn new(connector: Connector, lookup: Lookup, wake: Wake) -> Self {
        Self { connector, lookup, wake, running: Arc::default() }
    }

    /// Starts a request on a thread of its own. Exactly one result will come, in `timeout` and a moment at
    /// most. Whoever drops the receiver only stops listening.
    pub fn start(&self, request: Request) -> Receiver<Result<Response, HttpError>> {
        let (sender, receiver) = bounded(1);
        let reply = Reply { sender, wake: self.wake.clone(), running: self.running.clone() };
        if self.running.fetch_add(1, Ordering::Relaxed) >= MAX_REQUESTS {
            let _ = reply.sender.try_send(Err(HttpError::Busy(MAX_REQUESTS)));
            return receiver;
        }
        let (connector, lookup) = (self.connector.clone(), self.lookup.clone());
        let run = move || drop(reply.sender.try_send(run(&request, connector, lookup)));
        // A thread that cannot be started drops its reply, which then says so.
        let _ = thread::Builder::new().name("http".into()).spawn(run);
        receiver
    }
}

/// Where the result goes. Dropped without one, as when its thread panics, it says that there is none.
struct Reply {
    sender: Sender<Result<Response, HttpError>>,
    wake: Wake,
    running: Arc<AtomicUsize>,
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
        let _ = self.sender.try_send(Err(HttpError::Broken));
        (self.wake)();
    }
}

fn run(request: &Request, connector: Connector, lookup: Lookup) -> Result<Response, HttpError> {
    let end = Instant::now() + request.timeout;
    let mut url = request.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let left = end.saturating_duration_since(Instant::now());
        let agent = agent(request, left, &connector, &lookup);
        // Credentials are for who was meant to see them, not for where that one points.
        let basic = request.basic_auth.as_ref().filter(|_| url.is_same_origin(&request.url));
        let failed = |e| error::error(e, &url, request);
        let mut response = get(&agent, &url, basic).map_err(failed)?;
        if response.status() == StatusCode::TEMPORARY_REDIRECT && request.redirects == Redirects::Temporary {
            let location = response.headers().get(LOCATION).and_then(|l| l.to_str().ok());
            let location = location.ok_or_else(|| HttpError::NoLocation(url.to_string()))?;
            let next = url.join(location).map_err(HttpError::Location)?;
            if url.is_https() && !next.is_https() && !matches!(request.trust, Trust::Unverified) {
                return Err(HttpError::Downgrade(url.to_string(), next.to_string()));
            }
            url = match &request.redirect_query {
                Some(query) => next.or_query(query.expose()).map_err(HttpError::Location)?,
                None => next,
            };
            continue;
        }
        let limit = request.body_limit.min(MAX_BODY) as u64;
        let body = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        return Ok(Response { status: response.status().as_u16(), body });
    }
    Err(HttpError::Redirects(MAX_REDIRECTS))
}

fn get(agent: &Agent, url: &Url, basic: Option<&(Secret, Secret)>) -> Result<ureq::http::Response<Body>, ureq::Error> {
    let mut get = agent.get(url.uri());
    if let Some((user, password)) = basic {
        let pair = BASE64_STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
        let mut value = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is visible ASCII");
        value.set_sensitive(true);
        get = get.header(AUTHORIZATION, value);
    }
    get.call()
}

fn agent(request: &Request, timeout: Duration, connector: &Connector, lookup: &Lookup) -> Agent {
    let tls = TlsConfig::builder();
    let tls = match &request.trust {
        Trust::Mozilla => tls.root_certs(RootCerts::WebPki),
        Trust::Roots(roots) => tls.root_certs(specific(roots)),
        Trust::Unverified => tls.disable_verification(true),
    };
    let config = Config::builder()
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(MAX_HEAD)
        .max_idle_connections(0)
        .timeout_global(Some(timeout))
        .user_agent(concat!("hikyaku/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls.build())
        .build();
    let dialer = Dialer { connector: connector.clone(), from: request.from };
    Agent::with_parts(config, ().chain(dialer).chain(RustlsConnector::default()), Resolver(lookup.clone()))
}

/// The authorities, as ureq wants them.
fn specific(roots: &Roots) -> RootCerts {
    let certificates = roots.certificates().iter().map(|der| Certificate::from_der(der).to_owned());
    RootCerts::from(certificates.collect::<Vec<_>>())
}
