//! The stateful filter of native IPv6 (RFC 6092, RFC 7084 4.5): what hosts of ours begin passes, and what answers it; nothing
//! from outside does that nobody asked for.
//!
//! A *session* is what was let through: protocol, the inside host's address and port, and its peer's. It is found by one
//! key, whichever way a packet goes, because nothing is translated. So are those between two LANs, of either family, which
//! have no peer outside ([`Flow::between`], [`mapped`]). What strangers may begin the operator's rules say
//! ([`crate::rules`]).

mod config;
mod session;
mod shares;
mod table;

pub use config::Config;
pub use session::{Flow, Session, mapped, unmapped};
pub use table::{Filter6, Saved};

pub use crate::sessions::saved::{NotSaved, Restored, Unreadable};
