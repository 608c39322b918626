//! Where the provisioning server is: TXT records of `4over6.info` (specification 3.1).

use crate::dns::Text;
use crate::http::{Url, UrlError};

/// What is asked at the line's own resolvers, which alone give the answer that is for this line.
pub const NAME: &str = "4over6.info";

/// The version of the protocol that this is.
const VERSION: &str = "v6mig-1";

/// A provisioning server, as the line's TXT record names it (specification 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens. May have a query of its own.
    pub url: Url,
    /// `t=b`: it must show a certificate that is its own. `t=a`: anybody is believed.
    pub verify: bool,
}

/// Why records name no server. Shows nothing of a URL behind its host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    /// Other things are said about the name, and this is not.
    #[error("no TXT record of {NAME} starts with v={VERSION}")]
    Version,
    /// The record has bytes that are not text.
    #[error("the TXT record of {NAME} is not text")]
    NotText,
    /// Neither `t=a` nor `t=b`, or not once.
    #[error("the TXT record of {NAME} must say once t=a (any certificate) or t=b (a valid one)")]
    Verification,
    /// The record has no `url=`, or several.
    #[error("the TXT record of {NAME} must say url= once")]
    NoUrl,
    /// What stands there is no URL that can be asked.
    #[error("the TXT record of {NAME}: url: {0}")]
    Url(#[from] UrlError),
    /// Behind a `#` nothing could be asked.
    #[error("the TXT record of {NAME}: url: it has a '#' in it")]
    Fragment,
    /// The record wants a certificate checked (`t=b`), and the URL is http.
    #[error("the TXT record of {NAME} says t=b, a valid certificate, for a URL that is not https")]
    NothingToVerify,
}

impl Server {
    /// The server that the records name. There should be one record; records about other things, such as
    /// mail, do not count. Of several servers one that is verified is taken, else the first in the alphabet:
    /// resolvers turn the order of records around, and the answer shall not change with that.
    pub fn choose(texts: &[Text]) -> Result<Self, BadRecord> {
        let records: Vec<Vec<u8>> = texts.iter().map(Text::joined).collect();
        let ours = records.iter().filter(|record| is_ours(record)).map(|record| Self::parse(record));
        let (servers, bad): (Vec<_>, Vec<_>) = ours.partition(Result::is_ok);
        let best = servers.into_iter().flatten().min_by_key(|server| (!server.verify, server.url.expose()));
        let why = || bad.into_iter().find_map(Result::err).unwrap_or(BadRecord::Version);
        best.ok_or_else(why)
    }

    /// Reads one record: `v=v6mig-1 url=https://vne.example.jp/rule.cgi t=b`, in any order, with any white
    /// space. Keys that are not known are ignored.
    pub fn parse(record: &[u8]) -> Result<Self, BadRecord> {
        let text = std::str::from_utf8(record).map_err(|_| BadRecord::NotText)?;
        let once = |key| {
            let mut values = pairs(text).filter(move |pair| pair.0 == key).map(|pair| pair.1);
            values.next().filter(|_| values.next().is_none())
        };
        if once("v") != Some(VERSION) {
            return Err(BadRecord::Version);
        }
        let verify = match once("t") {
            Some("a") => false,
            Some("b") => true,
            _ => return Err(BadRecord::Verification),
        };
        let url = once("url").ok_or(BadRecord::NoUrl)?;
        if url.contains('#') {
            return Err(BadRecord::Fragment);
        }
        let url: Url = url.parse()?;
        if verify && !url.is_https() {
            return Err(BadRecord::NothingToVerify);
        }
        Ok(Self { url, verify })
    }
}

/// Whether a record is about this protocol, well or badly.
fn is_ours(record: &[u8]) -> bool {
    pairs(&String::from_utf8_lossy(record)).any(|pair| pair == ("v", VERSION))
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_ascii_whitespace().filter_map(|pair| pair.split_once('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[&str]) -> Text {
        Text(parts.iter().map(|part| part.as_bytes().to_vec()).collect())
    }

    fn choose(records: &[&str]) -> Result<(String, bool), BadRecord> {
        let texts: Vec<Text> = records.iter().map(|record| text(&[record])).collect();
        Server::choose(&texts).map(|server| (server.url.expose(), server.verify))
    }

    fn found(url: &str, verify: bool) -> Result<(String, bool), BadRecord> {
        Ok((url.into(), verify))
    }

    /// Specification 3.1: the example there, and records of lines that were published.
    #[test]
    fn records_as_they_are() {
        for (record, url) in [
            ("v=v6mig-1 url=https://vne.example.jp/rule.cgi t=b", "https://vne.example.jp/rule.cgi"),
            ("v=v6mig-1 url=https://setup46.transix.jp/config t=b", "https://setup46.transix.jp/config"),
            (
                "v=v6mig-1 url=https://prod.v6mig.v6connect.net/cpe/v1/config t=b",
                "https://prod.v6mig.v6connect.net/cpe/v1/config",
            ),
        ] {
            assert_eq!(choose(&[record]), found(url, true));
        }
    }

    #[test]
    fn order_spaces_and_unknown_keys_do_not_matter() {
        for record in [
            "t=a url=http://a.example/?x=y=z v=v6mig-1",
            "  v=v6mig-1\turl=http://a.example/?x=y=z   t=a  ",
            "v=v6mig-1 new=1 url=http://a.example/?x=y=z word t=a new=2",
        ] {
            assert_eq!(choose(&[record]), found("http://a.example/?x=y=z", false), "{record}");
        }
        // RFC 1035 3.3.14: one record of several strings.
        let parts = text(&["v=v6mig-1 url=https://a.ex", "ample/ t=", "b"]);
        assert_eq!(Server::choose(&[parts]).unwrap().url.host(), "a.example");
    }

    #[test]
    fn what_is_refused() {
        use BadRecord::*;
        for (record, why) in [
            ("", Version),
            ("v=spf1 -all", Version),
            ("v=v6mig-2 url=https://a.example/ t=b", Version),
            ("V=v6mig-1 url=https://a.example/ t=b", Version),
            ("v=v6mig-1 v=v6mig-2 url=https://a.example/ t=b", Version),
            ("v=v6mig-1 url=https://a.example/", Verification),
            ("v=v6mig-1 url=https://a.example/ t=c", Verification),
            ("v=v6mig-1 url=https://a.example/ t=b t=a", Verification),
            ("v=v6mig-1 t=b", NoUrl),
            ("v=v6mig-1 t=b url=https://a.example/ url=https://b.example/", NoUrl),
            ("v=v6mig-1 t=b url=", Url(UrlError::Syntax)),
            ("v=v6mig-1 t=b url=ftp://a.example/", Url(UrlError::Scheme)),
            ("v=v6mig-1 t=a url=http://192.0.2.1/", Url(UrlError::Ipv4([192, 0, 2, 1].into()))),
            ("v=v6mig-1 t=b url=https://a.example/#x", Fragment),
            // Specification 3.1: http must be t=a.
            ("v=v6mig-1 t=b url=http://a.example/", NothingToVerify),
        ] {
            assert_eq!(choose(&[record]), Err(why), "{record}");
        }
        assert_eq!(choose(&[]), Err(Version));
        let bytes = Text(vec![b"v=v6mig-1 t=b url=https://a.example/\xff".to_vec()]);
        assert_eq!(Server::choose(&[bytes]), Err(NotText));
        assert!(
            Server::parse(format!("v=v6mig-1 t=b url=https://a.example/{}", "x".repeat(60_000)).as_bytes()).is_err()
        );
    }

    #[test]
    fn of_several_records_the_same_one_counts_in_any_order() {
        let (a, b) = ("v=v6mig-1 url=https://a.example/ t=b", "v=v6mig-1 url=https://b.example/ t=b");
        let (http, bad) = ("v=v6mig-1 url=http://0.example/ t=a", "v=v6mig-1 url=https://0.example/");
        let other = "v=spf1 -all";
        for records in [[a, b, http, bad, other], [other, bad, http, b, a], [http, b, other, a, bad]] {
            assert_eq!(choose(&records), found("https://a.example/", true));
        }
        assert_eq!(choose(&[other, http, bad]), found("http://0.example/", false));
        assert_eq!(choose(&[other, bad]), Err(BadRecord::Verification));
    }
}
