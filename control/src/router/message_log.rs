//! What machines hear, say and decide, for the log: at `debug` a line each, at `trace` with what is in it.
//!
//! Nothing here may tell a secret: frames are put into words by [`Said`], which tells none, URLs are shown without path and query, and of
//! answers no more than what was read of them.

use std::net::IpAddr;

use hikyaku_protocols::dissect::{Protocol, Said};
use hikyaku_protocols::http::{HttpError, Request, Response};
use hikyaku_ring::LinkId;
use tracing::Level;

use super::choose::Choice;
use super::numbers::WAN;

/// A frame that came for the router itself by `link`, of this name.
pub fn heard(link: LinkId, name: &str, frame: &[u8]) {
    let Some(Line { machine, said, content }) = line(link, frame) else { return };
    let (address, kind) = (ip(said.from), said.kind);
    match content {
        None => tracing::debug!(machine, link = %name, address, kind, "{} heard", said.name),
        Some(content) => {
            let station = said.station;
            tracing::trace!(machine, link = %name, address, %station, kind, %content, "{} heard", said.name);
        }
    }
}

/// A frame that the router itself sends by `link`, of this name.
pub fn sent(link: LinkId, name: &str, frame: &[u8]) {
    let Some(Line { machine, said, content }) = line(link, frame) else { return };
    let (address, kind) = (ip(said.to), said.kind);
    match content {
        None => tracing::debug!(machine, link = %name, address, kind, "{} sent", said.name),
        Some(content) => tracing::trace!(machine, link = %name, address, kind, %content, "{} sent", said.name),
    }
}

/// A server is asked, by HTTP.
pub(super) fn asked(machine: &'static str, request: &Request) {
    tracing::debug!(machine, local = %request.from, server = %request.url, "request sent");
}

/// What came of that.
pub(super) fn answered(machine: &'static str, result: &Result<Response, HttpError>) {
    match result {
        Ok(response) => {
            let content = format!("status {}, {} bytes", response.status, response.body.len());
            tracing::debug!(machine, %content, "response heard");
        }
        Err(error) => tracing::debug!(machine, %error, "no response"),
    }
}

/// What is used of the line, where that is other than before.
pub(super) fn chosen(before: &Choice, after: &Choice) {
    if !tracing::enabled!(Level::DEBUG) {
        return;
    }
    let of = |choice: &Choice| (choice.uplink.prefix, choice.uplink.router, choice.uplink.source, choice.end);
    if of(before) != of(after) || before.uplink.resolvers != after.uplink.resolvers {
        let uplink = &after.uplink;
        let words = [
            ("prefix", uplink.prefix.map(|prefix| format!("{prefix}/64"))),
            ("router", uplink.router.map(|router| router.to_string())),
            ("source", uplink.source.map(|source| source.to_string())),
            ("end of the tunnel", after.end.map(|end| end.to_string())),
        ];
        let words = words.into_iter().map(|(what, which)| format!("{what} {}", which.as_deref().unwrap_or("none")));
        let resolvers = uplink.resolvers.iter().map(|resolver| format!("resolver {resolver}"));
        let content = words.chain(resolvers).collect::<Vec<_>>().join(", ");
        tracing::debug!(%content, "what is used of the line");
    }
    if before.plan != after.plan {
        tracing::debug!(content = ?after.plan, "what is to be carried");
    }
}

struct Line<'a> {
    machine: &'static str,
    said: Said<'a>,
    /// At `trace` only.
    content: Option<String>,
}

/// `None`: nobody would read it.
fn line(link: LinkId, frame: &[u8]) -> Option<Line<'_>> {
    if !tracing::enabled!(Level::DEBUG) {
        return None;
    }
    let said = Said::read(frame)?;
    let machine = match (said.protocol, link == WAN) {
        (Protocol::Neighbour, _) => "neighbour",
        (Protocol::Router, true) => "slaac",
        (Protocol::Router, false) => "advertiser",
        (Protocol::Icmp, _) => "echo",
        (Protocol::Dhcpv4, _) => "dhcpv4",
        (Protocol::Dhcpv6, _) => "dhcpv6",
        (Protocol::Dns, true) => "dns",
        (Protocol::Dns, false) => "forwarder",
        (Protocol::Other, _) => "sockets",
    };
    let content = tracing::enabled!(Level::TRACE).then(|| match said.protocol {
        Protocol::Other => format!("{}, {}", ends(&said), said.contents()),
        _ => said.contents(),
    });
    // Segments of our connections, and packets of others that waited for a neighbour: no machine's messages.
    (said.protocol != Protocol::Other || content.is_some()).then_some(Line { machine, said, content })
}

fn ip(end: Option<(IpAddr, u16)>) -> Option<tracing::field::DisplayValue<IpAddr>> {
    end.map(|(address, _)| tracing::field::display(address))
}

/// From where to where.
fn ends(said: &Said) -> String {
    let end = |end: Option<(IpAddr, u16)>| match end {
        None => "nobody".to_string(),
        Some((address, 0)) => address.to_string(),
        Some((address, port)) => format!("{address} port {port}"),
    };
    format!("{} to {}", end(said.from), end(said.to))
}
