//! HTTP over our own TCP, one short-lived thread for each request.
//!
//! ureq speaks HTTP, rustls TLS; streams and names come from the control thread. IPv6 only. Proxies that the
//! environment names are ignored: what is asked here is asked of servers of the line, from the line.

mod error;
mod names;
mod secret;
#[cfg(test)]
pub(crate) mod tests;
mod transport;
mod url;

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use crossbeam_channel::{Receiver, Sender, bounded};
use ureq::config::Config;
use ureq::http::header::{AUTHORIZATION, LOCATION};
use ureq::http::{HeaderValue, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{Connector as _, RustlsConnector};
use ureq::{Agent, Body};

use crate::sockets::{Connector, Wake};

pub use error::HttpError;
pub use names::{Names, Question};
pub use secret::Secret;
pub use url::{Url, UrlError};

use transport::{Dialer, Lookup};

/// The longest body that can be asked for, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// Requests that may run at once; one more is [`HttpError::Busy`].
pub const MAX_REQUESTS: usize = 8;

/// Redirects followed, at most.
const MAX_REDIRECTS: usize = 5;

/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// A GET request (RFC 9110 9.3.1), with everything that its run depends on.
#[derive(Clone, Debug)]
pub struct Request {
    /// The URL to get.
    pub url: Url,
    /// User name and password for HTTP Basic (RFC 7617).
    pub basic_auth: Option<(Secret, Secret)>,
    /// Our address that the connection is made from.
    pub from: Ipv6Addr,
    /// Whom to believe that a server is who it says.
    pub trust: Trust,
    /// What becomes of a redirect.
    pub redirects: Redirects,
    /// The query for a redirect's place that has none of its own. What is only for the first server, such as
    /// a password, is not to be in it.
    pub redirect_query: Option<Secret>,
    /// The longest body to take, in bytes; [`MAX_BODY`] is the limit.
    pub body_limit: usize,
    /// For all of it: names, connection, TLS, answer, redirects.
    pub timeout: Duration,
}

impl Request {
    /// With what suits a short answer: 64 KiB, 20 seconds, Mozilla's roots, no redirects.
    pub fn new(url: Url, from: Ipv6Addr) -> Self {
        Self {
            url,
            basic_auth: None,
            from,
            trust: Trust::default(),
            redirects: Redirects::default(),
            redirect_query: None,
            body_limit: 64 << 10,
            timeout: Duration::from_secs(20),
        }
    }
}

/// Who may vouch for a TLS server.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Trust {
    /// The authorities that Mozilla trusts.
    #[default]
    Mozilla,
    /// These authorities and no others.
    Roots(Roots),
    /// Nobody has to. Only where a specification says so.
    Unverified,
}

/// Certificates of authorities, of which one has to vouch for a server.
#[derive(Clone, Debug)]
pub struct Roots(Arc<Vec<Certificate<'static>>>);

impl PartialEq for Roots {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(Certificate::der).eq(other.0.iter().map(Certificate::der))
    }
}

impl Roots {
    /// From a PEM file's contents, which must hold one certificate at least.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HttpError> {
        let mut roots: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
                Ok(_) => {}
                Err(_) => return Err(HttpError::Roots),
            }
        }
        if roots.is_empty() { Err(HttpError::Roots) } else { Ok(Self(Arc::new(roots))) }
    }
}

/// What becomes of a redirect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redirects {
    /// It is the response.
    #[default]
    Deliver,
    /// Follow status 307, five times at most, and not from https to http, unless with [`Trust::Unverified`]:
    /// there nothing is protected that could be lost. Others are delivered.
    Temporary,
}

/// A response, whatever its status.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 200 to 599.
    pub status: u16,
    /// The whole body, as it came.
    pub body: Vec<u8>,
}

impl fmt::Debug for Response {
    /// Without the body: servers repeat what they were told, passwords too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response {{ status: {}, body: {} bytes }}", self.status, self.body.len())
    }
}

/// Runs requests, each on a thread of its own that ends with it.
#[derive(Clone)]
pub struct Client {
    connector: Connector,
    names: Names,
    wake: Wake,
    /// How many requests run at the moment.
    running: Arc<AtomicUsize>,
}

impl Client {
    /// `wake` is called when a result is there.
    pub fn new(connector: Connector, names: Names, wake: Wake) -> Self {
        Self { connector, names, wake, running: Arc::default() }
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
        let (connector, names) = (self.connector.clone(), self.names.clone());
        let run = move || drop(reply.sender.try_send(run(&request, connector, names)));
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

fn run(request: &Request, connector: Connector, names: Names) -> Result<Response, HttpError> {
    let end = Instant::now() + request.timeout;
    let mut url = request.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let left = end.saturating_duration_since(Instant::now());
        let agent = agent(request, left, &connector, &names);
        // Credentials are for who was meant to see them, not for where that one points.
        let basic = request.basic_auth.as_ref().filter(|_| url.is_same_origin(&request.url));
        let failed = |e| HttpError::new(e, &url, request);
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

fn agent(request: &Request, timeout: Duration, connector: &Connector, names: &Names) -> Agent {
    let tls = TlsConfig::builder();
    let tls = match &request.trust {
        Trust::Mozilla => tls.root_certs(RootCerts::WebPki),
        Trust::Roots(roots) => tls.root_certs(RootCerts::Specific(roots.0.clone())),
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
    Agent::with_parts(config, ().chain(dialer).chain(RustlsConnector::default()), Lookup(names.clone()))
}
