//! Why there is no answer. No text here holds a URL's path or query, or bytes of an answer.

use std::error::Error as _;
use std::time::Duration;

use rustls::{CertificateError, Error as TlsError};

use super::{Request, Url, UrlError};
use crate::sockets::StreamError;

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

impl HttpError {
    /// What ureq says, in words that hold no secret.
    pub(super) fn new(error: ureq::Error, url: &Url, request: &Request) -> Self {
        let host = url.host().to_string();
        match error {
            ureq::Error::Other(inner) => match inner.downcast::<Self>() {
                Ok(own) => *own,
                Err(_) => Self::Protocol { host },
            },
            ureq::Error::Timeout(_) => Self::TimedOut { host, timeout: request.timeout },
            ureq::Error::Rustls(e) => Self::Tls { host, why: tls(&e) },
            ureq::Error::Tls(why) => Self::Tls { host, why: why.into() },
            ureq::Error::BodyExceedsLimit(limit) => Self::TooLong { host, limit: limit as usize },
            ureq::Error::LargeResponseHeader(_, limit) => Self::TooLong { host, limit },
            ureq::Error::Io(e) => {
                let inner = e.get_ref();
                if let Some(e) = inner.and_then(|i| i.downcast_ref::<TlsError>()) {
                    Self::Tls { host, why: tls(e) }
                } else if let Some(e) = inner.and_then(|i| i.downcast_ref::<StreamError>()) {
                    Self::Connection { host, why: e.to_string() }
                } else if e.source().is_none() && inner.is_none() {
                    // The system's or ureq's own words for a kind of error.
                    Self::Connection { host, why: e.kind().to_string() }
                } else {
                    Self::Connection { host, why: "the connection ended early".into() }
                }
            }
            _ => Self::Protocol { host },
        }
    }
}

/// What is wrong with a server's certificate, and what to do about it where somebody can.
fn tls(error: &TlsError) -> String {
    let hint = match error {
        TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => "; check this machine's clock",
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "; its authority is not among those that are trusted"
        }
        _ => "",
    };
    format!("{error}{hint}")
}
