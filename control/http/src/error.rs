//! What ureq and rustls say when a request fails, in our words. None holds a URL's path or query, or bytes of an answer.

use std::error::Error as _;

use hikyaku_protocols::http::{HttpError, Request, Url};
use hikyaku_protocols::sockets::StreamError;
use rustls::{CertificateError, Error as TlsError};

/// What ureq says, in words that hold no secret.
pub(super) fn error(error: ureq::Error, url: &Url, request: &Request) -> HttpError {
    let host = url.host().to_string();
    match error {
        ureq::Error::Other(inner) => match inner.downcast::<HttpError>() {
            Ok(own) => *own,
            Err(_) => HttpError::Protocol { host },
        },
        ureq::Error::Timeout(_) => HttpError::TimedOut { host, timeout: request.timeout },
        ureq::Error::Rustls(e) => HttpError::Tls { host, why: tls(&e) },
        ureq::Error::Tls(why) => HttpError::Tls { host, why: why.into() },
        ureq::Error::BodyExceedsLimit(limit) => HttpError::TooLong { host, limit: limit as usize },
        ureq::Error::LargeResponseHeader(_, limit) => HttpError::TooLong { host, limit },
        ureq::Error::Io(e) => {
            let inner = e.get_ref();
            if let Some(e) = inner.and_then(|i| i.downcast_ref::<TlsError>()) {
                HttpError::Tls { host, why: tls(e) }
            } else if let Some(e) = inner.and_then(|i| i.downcast_ref::<StreamError>()) {
                HttpError::Connection { host, why: e.to_string() }
            } else if e.source().is_none() && inner.is_none() {
                // The system's or ureq's own words for a kind of error.
                HttpError::Connection { host, why: e.kind().to_string() }
            } else {
                HttpError::Connection { host, why: "the connection ended early".into() }
            }
        }
        _ => HttpError::Protocol { host },
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
