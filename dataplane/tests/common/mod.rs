//! What the tests of the packet path share: a router on memory rings ([`router`]), packets made and
//! judged by etherparse ([`packets`]), several LANs ([`lans`]), a CE of a mesh ([`mesh`]), captures ([`capture`]), two routers
//! that must not differ ([`twins`]), packets through a router, one and of every kind ([`ways`]), transfers that nothing
//! may harm ([`transfers`]).

// Every test program uses another part of it.
#![allow(dead_code, unused_imports, missing_docs)]

pub mod capture;
pub mod ipv6;
pub mod lans;
pub mod mesh;
pub mod packets;
pub mod router;
pub mod transfers;
pub mod twins;
pub mod ways;

pub use ipv6::*;
pub use packets::*;
pub use router::*;
pub use twins::*;
pub use ways::*;
