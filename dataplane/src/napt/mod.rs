//! NAPT: one outside IPv4 address for many inside hosts (RFC 4787, 5382, 5508, 7857).
//!
//! A *mapping* ties an inside address and port to an outside port; a *session* is a mapping plus
//! its peer. Mappings are endpoint-independent and exist while they have sessions: the sessions of
//! a mapping form a ring, and one of them stands for the mapping in the index.

mod fragments;
mod index;
mod key;
mod ports;
mod readers;
mod session;
mod sync;
mod table;
mod timeouts;

pub use fragments::{Fragments, Learned, Origin, Waiting};
pub use key::{Endpoint, Hash, Hasher, Key, Kind, pair_addrs, pair_ports, split_addrs, split_ports};
pub use ports::PortSet;
pub use readers::ReaderId;
pub use session::{Direction, Rewrite, Session, SessionId};
pub use table::{Config, Filtering, Napt, Refused, Stats};
pub use timeouts::Timeouts;
