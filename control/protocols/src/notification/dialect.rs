//! What each service is asked, and what its answers mean.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::template::{encoded, expand};
use super::{Config, ConfigError, Place};
use crate::http::{Redirects, Request, Response, Secret, Url};

/// How a service wants to be told. `url` is any other: a URL in which placeholders are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dialect {
    /// transix with a fixed address (Internet Multifeed): a GET with user and password.
    #[serde(rename = "transix-fixed")]
    Transix,
    /// v6plus with a fixed address (JPIX): a GET with user and password.
    #[serde(rename = "v6plus-fixed")]
    V6plus,
    /// OCN virtual connect with a fixed address (NTT Communications): a dyndns2 update with HTTP Basic.
    #[serde(rename = "ocn-fixed")]
    Ocn,
    /// Xpass with a fixed address (ARTERIA): a dyndns2 update with HTTP Basic.
    #[serde(rename = "xpass-fixed")]
    Xpass,
    /// A URL with `<ipv4>`, `<ipv6>`, `<user>` and `<pass>` in it.
    #[serde(rename = "url")]
    Url,
}

/// Which of our addresses a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The tunnel's end: the service takes the address that it sees.
    Ce,
    /// The address of the WAN interface.
    Wan,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Asking again will not help; somebody has to look.
    Refused(String),
    /// The request was wrong, by its HTTP status (RFC 9110 15.5). Somebody has to look, or the service does not know the line
    /// yet: so it is tried again.
    Rejected(String),
    /// The server is in trouble.
    Failed(String),
}

impl Source {
    /// Either source, as it is written in configuration.
    pub const NAMES: [(&str, Self); 2] = [("ce", Self::Ce), ("wan", Self::Wan)];
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMES.iter().find(|(_, dialect)| dialect == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

impl Dialect {
    /// Every dialect, as it is written in configuration.
    pub const NAMES: [(&str, Self); 5] = [
        ("transix-fixed", Self::Transix),
        ("v6plus-fixed", Self::V6plus),
        ("ocn-fixed", Self::Ocn),
        ("xpass-fixed", Self::Xpass),
        ("url", Self::Url),
    ];

    /// Where the service listens, if that is public.
    fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Transix => Some("http://update.transix.jp/request"),
            Self::V6plus => Some("http://fcs.enabler.ne.jp/update"),
            Self::Ocn => Some("http://ipoe-static.ocn.ad.jp/nic/update"),
            Self::Xpass | Self::Url => None,
        }
    }

    fn source(self) -> Source {
        if self == Self::Ocn { Source::Wan } else { Source::Ce }
    }

    /// Words with which a status of 2xx begins when it is a success; none if the status is enough.
    fn good(self) -> &'static [&'static str] {
        match self {
            Self::Transix | Self::Url => &[],
            Self::V6plus => &["OK"],
            Self::Ocn => &["good", "nochg"],
            Self::Xpass => &["good", "nochg", "OK"],
        }
    }

    /// What a user can look at when the service refuses.
    fn advice(self) -> &'static str {
        match self {
            Self::Transix | Self::V6plus => "check user, password and interface identifier against the contract sheet",
            Self::Ocn => "check the token, user and password against the contract sheet",
            Self::Xpass => "check the URL, name, user and password against the contract sheet",
            Self::Url => "check the URL and the credentials",
        }
    }

    /// Which of the user's values a status is about.
    fn concerned(self, status: u16) -> &'static str {
        match status {
            401 | 407 => "check user and password against the contract sheet",
            403 => {
                "check user and password against the contract sheet, and from: the server may not know the address that asks"
            }
            404 | 405 | 410 | 414 => "check the url: there is nothing of the kind at it",
            _ => self.advice(),
        }
    }

    /// The request that tells where we are.
    pub(super) fn request(self, config: &Config, place: &Place) -> Result<Request, ConfigError> {
        let endpoint = config.url.as_ref().map(Secret::expose).or(self.endpoint()).ok_or(ConfigError::NoUrl(self))?;
        let field = |what, secret: &Secret| {
            if secret.is_empty() { Err(ConfigError::Missing(self, what)) } else { Ok(encoded(secret.expose())) }
        };
        let user = || field("user", &config.user);
        let pass = || field("password", &config.pass);
        let query = match self {
            Self::Transix => Some(format!("username={}&password={}", user()?, pass()?)),
            Self::V6plus => Some(format!("user={}&pass={}", user()?, pass()?)),
            Self::Ocn => Some(format!("hostname={}", field("name (the token)", &config.name)?)),
            Self::Xpass => {
                let name = field("name (the FQDN)", &config.name)?;
                Some(format!("d={name}&p={}&a={}&u={}", pass()?, place.ce, user()?))
            }
            Self::Url => None,
        };
        let text = match query {
            Some(query) => format!("{endpoint}{}{query}", if endpoint.contains('?') { '&' } else { '?' }),
            None => expand(endpoint, |name| match name {
                "ipv4" => place.ipv4.map(|a| a.to_string()).ok_or(ConfigError::NoIpv4),
                "ipv6" => Ok(place.ce.to_string()),
                "user" => user(),
                "pass" => pass(),
                _ => Err(ConfigError::Placeholder),
            })?,
        };
        let url: Url = text.parse()?;
        let from = match config.from.unwrap_or(self.source()) {
            Source::Ce => place.ce,
            Source::Wan => place.wan,
        };
        let by_header = matches!(self, Self::Ocn | Self::Xpass);
        let basic_auth = match &config.basic_auth {
            Some(pair) => Some(pair.clone()),
            None if by_header => {
                user()?;
                pass()?;
                Some((config.user.clone(), config.pass.clone()))
            }
            None => None,
        };
        let trust = config.trust.clone();
        Ok(Request { basic_auth, trust, redirects: Redirects::Deliver, body_limit: 4096, ..Request::new(url, from) })
    }

    /// What an answer means.
    pub(super) fn judge(self, response: &Response, config: &Config) -> Verdict {
        let body = String::from_utf8_lossy(&response.body);
        let first = body.split_ascii_whitespace().next().unwrap_or_default();
        let status = response.status;
        let says = match harmless(first, config) {
            Some(word) => format!("status {status}, {word:?}"),
            None => format!("status {status}"),
        };
        let is_good = match self {
            Self::Transix => status == 200 && first != "NG",
            Self::Url => (200..300).contains(&status),
            // The whole of what follows "OK" is the service's own business.
            Self::V6plus => (200..300).contains(&status) && first.starts_with("OK"),
            Self::Ocn | Self::Xpass => (200..300).contains(&status) && self.good().contains(&first),
        };
        match status {
            _ if is_good => Verdict::Accepted,
            // RFC 9110 15.5.9, RFC 6585 4, RFC 9110 15.6: later may be better.
            408 | 429 | 500.. => Verdict::Failed(format!("the server is in trouble ({says})")),
            // The update protocol that OCN and Xpass speak says so in words, with status 200.
            _ if first == "911" || first == "dnserr" => Verdict::Failed(format!("the server is in trouble ({says})")),
            300..400 => {
                Verdict::Refused(format!("the server redirects ({says}), which is not followed; check the URL"))
            }
            400.. => Verdict::Rejected(format!("the server refuses ({says}); {}", self.concerned(status))),
            _ => Verdict::Refused(format!("the server refuses ({says}); {}", self.advice())),
        }
    }
}

/// A word of an answer that may be shown: short, plain, and no part of a secret, which servers repeat.
fn harmless<'a>(word: &'a str, config: &Config) -> Option<&'a str> {
    let plain = !word.is_empty() && word.len() <= 16 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    let basic = config.basic_auth.iter().flat_map(|(user, pass)| [user, pass]);
    let secrets = [&config.user, &config.pass, &config.name].into_iter().chain(basic).chain(&config.url);
    let lower = word.to_ascii_lowercase();
    let is_secret = |secret: &Secret| {
        let secret = secret.expose().to_ascii_lowercase();
        !secret.is_empty() && (secret.contains(&lower) || lower.contains(&secret))
    };
    (plain && !secrets.into_iter().any(is_secret)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is saved and shown is what is written in configuration.
    #[test]
    fn names_in_json_are_those_of_the_configuration() {
        for (name, dialect) in Dialect::NAMES {
            assert_eq!(serde_json::to_value(dialect).unwrap(), name);
            assert_eq!(dialect.to_string(), name);
        }
        for (name, source) in Source::NAMES {
            assert_eq!(serde_json::to_value(source).unwrap(), name);
        }
    }
}
