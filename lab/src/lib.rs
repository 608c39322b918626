//! The far end of the tunnel, for the lab in network namespaces (`scripts/lab`): an AFTR of RFC 6333
//! and a border router in one small program, which can also have a bad day. The border router serves
//! fixed addresses, or addresses shared by rules (RFC 7597) or by a table (RFC 7596). Beside it, a
//! customer like us for meshes: [`ce`]. Apart from all that, whole lines that have habits of their own: [`mod@line`].
//!
//! It is test code: written from the RFCs with `etherparse`, without the dataplane, so that a mistake
//! there is not repeated here. The kernel does what it does well: it routes the inner packets, tracks
//! and masquerades them, answers pings to the tunnel's address and resolves neighbours. Being dead or
//! unreachable is a route of the ISP's (`ip route replace blackhole …`), not a feature of this.

#![forbid(unsafe_code)]

pub mod aftr;
pub mod ce;
pub mod command;
pub mod line;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod outer;
pub mod ports;
pub mod shared;
pub mod shift;
pub mod softwires;
