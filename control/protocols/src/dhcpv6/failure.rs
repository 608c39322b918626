//! Why a server's answers do not help, or not as much as they might.

use std::fmt;

use dhcproto::v6::Status;
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::duid::Duid;
use super::wire::Malformed;

/// Why there are no leases, or no news of them.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// Solicit or Information-request without any answer so far.
    #[error("no DHCPv6 server answered {0} messages; still asking: check the line, and that it offers DHCPv6")]
    Silence(u32),
    /// Nor was any answer good that came.
    #[error("DHCPv6 answers came and were ignored, the last one because {0}; still asking")]
    Ignored(Ignored),
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
    /// A Reply to Renew or Rebind that has the association, and no lease in it: dibbler answers a Rebind so.
    #[error("DHCPv6 server {0} answered and extended nothing: the lease goes on to its end, and is asked about again")]
    Unconfirmed(Duid),
    /// A lease that a client has to throw away, by this rule.
    #[error("DHCPv6 server {server} gave a lease that cannot be used: {rule}")]
    ThrownAway {
        /// The server that gave it.
        server: Duid,
        /// What is wrong with it.
        rule: Broken,
    },
    /// Option 64 is not one name in the wire form of DNS (RFC 6334 3): dnsmasq sends text unless it is given octets.
    #[error(
        "DHCPv6 server {server} names the AFTR (option 64) in a form that cannot be read, {octets}: RFC 6334 wants one \
         name in the wire form of DNS; set the AFTR by hand, or have the server mended"
    )]
    AftrName {
        /// The server that sent it.
        server: Duid,
        /// What it sent, escaped, cut after 100 octets.
        octets: String,
    },
}

impl Serialize for Failure {
    /// Its text, as people are told it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A rule by which a client throws leases away.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Broken {
    /// RFC 8415 21.4, 21.21: the whole association.
    #[error("T1 of {t1} s is beyond T2 of {t2} s (RFC 8415 21.21)")]
    Times {
        /// T1 of the association, seconds.
        t1: u32,
        /// T2 of the association, seconds.
        t2: u32,
    },
    /// RFC 8415 21.6, 21.22: this lease alone.
    #[error("{lease} has a preferred lifetime of {preferred} s, beyond the valid one of {valid} s (RFC 8415 21.22)")]
    Lifetimes {
        /// The prefix or address.
        lease: String,
        /// Its preferred lifetime, seconds.
        preferred: u32,
        /// Its valid lifetime, seconds.
        valid: u32,
    },
}

/// Why an answer was ignored (RFC 8415 16.3, 16.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Ignored {
    /// It came from an address that no single station has.
    #[error("it came from a multicast or unspecified address")]
    NotUnicast,
    /// It cannot be read.
    #[error("it is malformed: {0}")]
    Malformed(#[from] Malformed),
    /// It answers another message, or one that was answered before.
    #[error("it is of another transaction")]
    OtherTransaction,
    /// It names another client, or none.
    #[error("it is for another client")]
    OtherClient,
    /// It does not say which server sent it.
    #[error("it names no server")]
    NoServer,
    /// It is from a server that was not asked.
    #[error("it is from another server than the one that was asked")]
    OtherServer,
    /// It is a message that a server does not send, or not now.
    #[error("it is no message that answers ours")]
    Unexpected,
}

impl Serialize for Ignored {
    /// Its text, as people are told it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
