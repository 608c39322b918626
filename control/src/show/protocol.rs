//! What goes over the control socket: lines of JSON.
//!
//! ```text
//! {"show":"sessions","limit":2,"port":443}         a request
//! {"part":[{"protocol":"tcp", …}]}                 its answer, in one part or many,
//! {"done":true}                                    and its end;
//! {"error":"…"}                                    or why there is none
//! ```
//!
//! A connection takes one request after another.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The longest request, bytes.
pub const MAX_REQUEST: usize = 4096;

/// What a client asks for, one line of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "show", rename_all = "lowercase", deny_unknown_fields)]
pub enum Request {
    /// The state of the router. One part: [`super::Status`].
    Status,
    /// One part: a list of [`super::Link`].
    Links,
    /// One part: a list of [`super::Neighbour`].
    Neighbours,
    /// The DHCPv4 server's leases. One part: [`super::Leases`].
    Leases,
    /// Parts of a list of [`super::Session`].
    Sessions(SessionFilter),
    /// Where packets go. One part: a list of [`super::Route`].
    Route,
    /// The operator's rules and what they did. One part: a list of [`super::Rule`].
    Rules,
    /// Everything that is counted. One part: [`super::Counters`].
    Counters,
    /// How far the outside ports go. One part: [`super::Ports`].
    Ports,
}

/// Which sessions are asked for; all conditions must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionFilter {
    /// So many at most; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Those that have this address inside, outside or as their peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<Ipv4Addr>,
    /// Those that have this port inside, outside or at their peer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl SessionFilter {
    /// Whether a session is meant.
    pub fn takes(&self, session: &super::Session) -> bool {
        let ends = [session.inside, session.outside, session.peer];
        self.host.is_none_or(|host| ends.iter().any(|end| *end.ip() == host))
            && self.port.is_none_or(|port| ends.iter().any(|end| end.port() == port))
    }
}

impl Request {
    /// Reads a line. Safe on any bytes; an error says what was wrong in one line.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        if line.len() > MAX_REQUEST {
            return Err(format!("a request has at most {MAX_REQUEST} bytes"));
        }
        serde_json::from_slice(line).map_err(|error| {
            let example =
                r#"write {"show":"status"}, or links, neighbours, leases, sessions, route, rules, counters, ports"#;
            // It quotes the request, in which anything may stand.
            let error = error.to_string().replace(char::is_control, " ");
            format!("not understood: {error}; {example}")
        })
    }
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// Some of it, or all.
    Part(T),
    /// The end of an answer; the value is always true.
    Done(bool),
    /// There is no answer, or no more of it: why, in words.
    Error(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::Session;

    #[test]
    fn requests_are_short_lines() {
        let filter = SessionFilter { limit: Some(2), port: Some(443), host: None };
        for (request, line) in [
            (Request::Status, r#"{"show":"status"}"#),
            (Request::Sessions(SessionFilter::default()), r#"{"show":"sessions"}"#),
            (Request::Sessions(filter), r#"{"show":"sessions","limit":2,"port":443}"#),
        ] {
            assert_eq!(serde_json::to_string(&request).unwrap(), line);
            assert_eq!(Request::parse(line.as_bytes()), Ok(request));
        }
        for bad in [
            "",
            "status",
            "{}",
            r#"{"show":"secrets"}"#,
            r#"{"show":"sessions","prot":1}"#,
            r#"{"show":"a\nb"}"#,
            "[[[[",
        ] {
            let error = Request::parse(bad.as_bytes()).unwrap_err();
            assert!(error.contains(r#"{"show":"status"}"#) && error.lines().count() == 1, "{error}");
        }
        assert!(Request::parse(&[b'['; 5000]).unwrap_err().contains("4096"));
    }

    #[test]
    fn filters_look_at_every_end() {
        let session = Session {
            protocol: "tcp".into(),
            inside: "192.168.1.5:1000".parse().unwrap(),
            outside: "192.0.2.1:2000".parse().unwrap(),
            peer: "198.51.100.7:443".parse().unwrap(),
            ..Session::default()
        };
        let takes = |host: Option<&str>, port| {
            SessionFilter { host: host.map(|h| h.parse().unwrap()), port, limit: None }.takes(&session)
        };
        assert!(takes(None, None) && takes(Some("192.168.1.5"), None) && takes(Some("198.51.100.7"), Some(2000)));
        assert!(!takes(Some("192.168.1.6"), None) && !takes(None, Some(80)) && !takes(Some("192.0.2.1"), Some(80)));
    }
}
