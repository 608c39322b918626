//! NAPT: one outside IPv4 address for many inside hosts (RFC 4787, 5382, 5508, 7857).
//!
//! A *mapping* ties an inside address and port to an outside port; a *session* is a mapping plus
//! its peer. Mappings are endpoint-independent and exist while they have sessions: the sessions of
//! a mapping form a ring, and one of them stands for the mapping in the index. On a small set of
//! ports (RFC 7597, RFC 7596) sessions share them when none is left, see `table/open.rs`.
//! Protocols without ports have sessions by address, and no mappings.

mod forwards;
mod fragments;
mod hosts;
mod index;
mod key;
mod ports;
mod readers;
mod session;
mod sync;
mod table;
mod timeouts;

pub use forwards::{Forward, ForwardRefused};
pub use fragments::{Fragments, Learned, Origin, Waiting};
pub use key::{Endpoint, Hash, Hasher, Key, Kind, pair_addrs, pair_ports, split_addrs, split_ports};
pub use readers::ReaderId;
pub use session::{Claim, Direction, Rewrite, Session, SessionId};
pub use table::{Config, Filtering, Napt, PortStats, Refused, Stats};
pub use timeouts::Timeouts;
