//! Why a server's answers do not help.

use std::fmt;

use dhcproto::v6::Status;
use thiserror::Error;

use super::duid::Duid;

/// Why there are no leases, or no news of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Solicit or Information-request without any answer so far.
    #[error("no DHCPv6 server answered {0} messages; still asking: check the line, and that it offers DHCPv6")]
    Silence(u32),
    /// An Advertise or Reply without what we need.
    #[error("DHCPv6 server {server} gives nothing: {status}{}{words}", if words.is_empty() { "" } else { ": " })]
    Refused {
        /// The server that refused.
        server: Duid,
        /// The status code that it gave.
        status: StatusName,
        /// Its words, printable, cut after 100 characters.
        words: String,
    },
    /// The Request was sent as often as it may.
    #[error("DHCPv6 server {0} offered a lease and did not answer the request for it")]
    RequestUnanswered(Duid),
    /// T2 was reached without an answer to the Renew (RFC 8415 18.2.5); the server that was asked.
    #[error("DHCPv6 server {0} does not renew the lease; now any server is asked")]
    RenewUnanswered(Duid),
}

/// A status code, by its name in RFC 8415 21.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusName(pub Status);

impl fmt::Display for StatusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Status::Success => f.write_str("it says nothing about it"),
            Status::Unknown(code) => write!(f, "status {code}"),
            status => write!(f, "{status:?}"),
        }
    }
}
