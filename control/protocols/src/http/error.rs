//! Why there is no answer. No text here holds a URL's path or query, or bytes of an answer.

use std::time::Duration;

use super::UrlError;

/// Why a request has no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The name has no address that we know.
    #[error("{host}: no address: {why}")]
    Name {
        /// The name that was looked up.
        host: String,
        /// Why it has no address.
        why: String,
    },
    /// The connection was not made, or broke.
    #[error("{host}: {why}")]
    Connection {
        /// The server that was to be reached.
        host: String,
        /// What happened to the connection.
        why: String,
    },
    /// The request was not done when its time was up.
    #[error("{host}: no complete answer within {timeout:?}")]
    TimedOut {
        /// The server that was asked.
        host: String,
        /// The request's whole time.
        timeout: Duration,
    },
    /// The server is not who it should be, or TLS failed.
    #[error("{host}: TLS: {why}")]
    Tls {
        /// The server that was asked.
        host: String,
        /// What is wrong with its certificate, or with what it speaks.
        why: String,
    },
    /// The response's body is longer than the request takes.
    #[error("{host}: the answer is longer than {limit} bytes")]
    TooLong {
        /// The server that was asked.
        host: String,
        /// The most bytes that the request takes.
        limit: usize,
    },
    /// What the server sent is not HTTP.
    #[error("{host}: not a proper HTTP answer")]
    Protocol {
        /// The server that was asked.
        host: String,
    },
    /// A redirect without a Location; the server that sent it.
    #[error("{0}: a redirect that does not say where to")]
    NoLocation(String),
    /// A redirect to a URL that cannot be asked for.
    #[error("redirected to {0}")]
    Location(UrlError),
    /// A redirect from https to http; from which server to which.
    #[error("{0} redirects to {1}, which is not encrypted; refused")]
    Downgrade(String, String),
    /// Redirected more often than this, which is the limit.
    #[error("more than {0} redirects")]
    Redirects(usize),
    /// The text has no PEM certificate in it.
    #[error("no certificate was found; give a PEM file with -----BEGIN CERTIFICATE-----")]
    Roots,
    /// As many requests as there may be.
    #[error("{0} requests are under way, which is the limit")]
    Busy(usize),
    /// The request's thread ended without a result.
    #[error("the request could not be run")]
    Broken,
}
