//! URLs that may hold credentials.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

/// The longest URL that is asked for, in bytes.
const LONGEST: usize = 4096;

/// An absolute `http` or `https` URL. Shown without its path and query, where the credentials are.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(Uri);

/// What is wrong with a URL. Says nothing of its path and query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The text is no absolute URL.
    #[error("not a URL: use http://host/path or https://host/path, without spaces")]
    Syntax,
    /// The URL has so many bytes, more than are allowed.
    #[error("a URL of {0} bytes; at most {LONGEST} are allowed")]
    Long(usize),
    /// The scheme is neither http nor https.
    #[error("a URL that does not start with http:// or https://")]
    Scheme,
    /// A user name, perhaps with a password, stands in front of the host.
    #[error("a URL with a user name or password before the host; put credentials into the credentials file")]
    UserInfo,
    /// The host is an IPv4 address, and nothing is asked over IPv4.
    #[error("{0} is an IPv4 address; only IPv6 is used here: give a name, or an IPv6 address in brackets")]
    Ipv4(Ipv4Addr),
    /// A relative reference of a kind that is not followed.
    #[error("a redirect to a relative place; only whole URLs and paths that start with / are followed")]
    Relative,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > LONGEST {
            return Err(UrlError::Long(text.len()));
        }
        Self::try_from(text.parse::<Uri>().map_err(|_| UrlError::Syntax)?)
    }
}

impl TryFrom<Uri> for Url {
    type Error = UrlError;

    fn try_from(uri: Uri) -> Result<Self, UrlError> {
        let authority = uri.authority().ok_or(UrlError::Syntax)?;
        if uri.scheme() != Some(&Scheme::HTTP) && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(UrlError::Scheme);
        }
        if authority.as_str().contains('@') {
            return Err(UrlError::UserInfo);
        }
        let port_is_wrong = authority.port_u16().is_none_or(|p| p == 0) && has_port(authority);
        if authority.host().is_empty() || port_is_wrong {
            return Err(UrlError::Syntax);
        }
        if let Ok(address) = authority.host().parse() {
            return Err(UrlError::Ipv4(address));
        }
        Ok(Self(uri))
    }
}

impl Url {
    /// Where a `Location` leads from here (RFC 9110 10.2.2).
    ///
    /// # Errors
    /// If that is no URL, or relative and does not begin with a slash.
    pub fn join(&self, location: &str) -> Result<Self, UrlError> {
        if location.len() > LONGEST {
            return Err(UrlError::Long(location.len()));
        }
        if location.starts_with("//") {
            return format!("{}:{location}", self.0.scheme_str().unwrap_or("https")).parse();
        }
        if location.starts_with('/') {
            let mut parts = self.0.clone().into_parts();
            parts.path_and_query = Some(location.parse::<PathAndQuery>().map_err(|_| UrlError::Syntax)?);
            return Self::try_from(Uri::from_parts(parts).map_err(|_| UrlError::Syntax)?);
        }
        let uri: Uri = location.parse().map_err(|_| UrlError::Relative)?;
        if uri.scheme().is_none() { Err(UrlError::Relative) } else { Self::try_from(uri) }
    }

    /// The same URL with this query, unless it has one.
    ///
    /// # Errors
    /// If the query is none, or too long.
    pub fn or_query(self, query: &str) -> Result<Self, UrlError> {
        if self.0.query().is_some() { Ok(self) } else { format!("{}?{query}", self.0).parse() }
    }

    /// Whether TLS is spoken there.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host's name, or its address without brackets.
    pub fn host(&self) -> &str {
        bare(self.0.host().unwrap_or_default())
    }

    /// The port that the server listens on: the URL's, or the scheme's.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// The host's address, if the URL has that and not a name.
    pub fn address(&self) -> Option<Ipv6Addr> {
        self.host().parse().ok()
    }

    /// Whether both lead to the same server: scheme, host and port are the same (RFC 9110 4.3.1).
    pub fn is_same_origin(&self, other: &Self) -> bool {
        self.0.scheme() == other.0.scheme() && self.host() == other.host() && self.port() == other.port()
    }

    /// The URL for whoever asks for it; as with [`Self::expose`], credentials may be in it.
    pub fn uri(&self) -> &Uri {
        &self.0
    }

    /// All of it, with path and query, where credentials may be.
    pub fn expose(&self) -> String {
        self.0.to_string()
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

fn has_port(authority: &Authority) -> bool {
    authority.as_str().len() > authority.host().len()
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |a| a.as_str());
        write!(f, "{}://{authority}/***", self.0.scheme_str().unwrap_or_default())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_url_here() {
        let wrong = |text: &str| text.parse::<Url>().unwrap_err();
        assert_eq!(wrong("example.jp/x"), UrlError::Syntax);
        assert_eq!(wrong("/x"), UrlError::Syntax);
        assert_eq!(wrong("http://"), UrlError::Syntax);
        assert_eq!(wrong("http://a b/"), UrlError::Syntax);
        assert_eq!(wrong("http://a:0/"), UrlError::Syntax);
        assert_eq!(wrong("http://a:65536/"), UrlError::Syntax);
        assert_eq!(wrong("http://a:/"), UrlError::Syntax);
        assert_eq!(wrong("ftp://a/"), UrlError::Scheme);
        assert_eq!(wrong("http://me:pass@a/"), UrlError::UserInfo);
        assert_eq!(wrong("http://192.0.2.1/"), UrlError::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
        assert_eq!(wrong(&format!("http://a/{}", "x".repeat(5000))), UrlError::Long(5009));
        for right in ["http://a/", "https://a.example:8443/p?q=1", "http://[2001:db8::1]:80/", "http://a?q=1"] {
            right.parse::<Url>().expect(right);
        }
    }

    #[test]
    fn hosts_and_ports() {
        let url: Url = "http://[2001:db8::1]/".parse().unwrap();
        assert_eq!((url.host(), url.port()), ("2001:db8::1", 80));
        assert_eq!(url.address(), Some("2001:db8::1".parse().unwrap()));
        let url: Url = "https://a.example/".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.address()), ("a.example", 443, None));
    }

    #[test]
    fn locations() {
        let base: Url = "https://a.example:8443/x/y?secret".parse().unwrap();
        let joined = |to: &str| base.join(to).map(|u| u.expose());
        assert_eq!(joined("/z?w").unwrap(), "https://a.example:8443/z?w");
        assert_eq!(joined("http://b.example/").unwrap(), "http://b.example/");
        assert_eq!(joined("//b.example/q").unwrap(), "https://b.example/q");
        assert_eq!(joined("z"), Err(UrlError::Relative));
        assert_eq!(joined("../z"), Err(UrlError::Relative));
        assert_eq!(joined("?z"), Err(UrlError::Relative));
        assert_eq!(joined("ftp://a/"), Err(UrlError::Scheme));
        assert_eq!(joined("http://u@b/"), Err(UrlError::UserInfo));
    }

    #[test]
    fn queries_for_those_that_have_none() {
        let with = |url: &str| url.parse::<Url>().unwrap().or_query("a=b&c").unwrap().expose();
        assert_eq!(with("http://a.example"), "http://a.example/?a=b&c");
        assert_eq!(with("http://a.example/x"), "http://a.example/x?a=b&c");
        assert_eq!(with("http://a.example/x?"), "http://a.example/x?");
        assert_eq!(with("http://a.example/x?y"), "http://a.example/x?y");
    }

    #[test]
    fn nothing_behind_the_host_is_shown() {
        let url: Url = "http://a.example:81/secret?user=secret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://a.example:81/*** http://a.example:81/***");
    }
}
