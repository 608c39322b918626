//! HTTP requests as the machines ask for them, and what comes of them. Who runs them is another's business
//! (`hikyaku-http`): here is neither a thread nor a clock.

mod error;
mod secret;
mod url;

use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

pub use error::HttpError;
pub use secret::Secret;
pub use url::{Url, UrlError};

/// The longest body that can be asked for, in bytes.
pub const MAX_BODY: usize = 1 << 20;

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
#[derive(Clone, Debug, PartialEq)]
pub struct Roots(Arc<Vec<CertificateDer<'static>>>);

impl Roots {
    /// From a PEM file's contents, which must hold one certificate at least.
    ///
    /// # Errors
    /// [`HttpError::Roots`] if there is none, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, HttpError> {
        let roots = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| HttpError::Roots)?;
        if roots.is_empty() { Err(HttpError::Roots) } else { Ok(Self(Arc::new(roots))) }
    }

    /// The certificates in DER, as they stood in the file.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_files_without_certificates_are_refused() {
        for pem in [
            "",
            "nothing",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "-----BEGIN CERTIFICATE-----\n!",
        ] {
            assert_eq!(Roots::from_pem(pem.as_bytes()).unwrap_err(), HttpError::Roots, "{pem}");
        }
    }

    #[test]
    fn secrets_are_shown_as_stars() {
        let secret = Secret::new("s3cret");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
        assert_eq!(serde_json::from_str::<Secret>("\"s3cret\"").unwrap().expose(), "s3cret");
    }
}
