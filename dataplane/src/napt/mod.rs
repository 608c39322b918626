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
mod key;
mod ports;
mod session;
mod table;

pub use forwards::{Forward, ForwardRefused};
pub use fragments::{Fragments, Learned, Origin, PacketId, Waiting};
pub use key::{Endpoint, Key, Scope, pair_addrs, pair_ports, split_addrs, split_ports};
pub use session::{Claim, Rewrite, Session};
pub use table::{Config, Filtering, Napt, PortStats, Refused, Saved, Stats};

pub use crate::sessions::hash::{Hash, Hasher, Kind};
pub use crate::sessions::readers::ReaderId;
pub use crate::sessions::saved::{NotSaved, Restored, Unreadable};
pub use crate::sessions::timeouts::Timeouts;
pub use crate::sessions::{Direction, LanId, SessionId, UplinkId};
