//! Protocol machines without I/O: what the router speaks beside the packets that it carries.
//!
//! None reads a clock, a file or the configuration, and none knows the command line (docs/control.md).

#![forbid(unsafe_code)]

pub mod aftr;
mod answer_limits;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod dns;
pub mod echo;
pub mod hb46pp;
pub mod host;
pub mod http;
mod machine;
pub mod map_domain;
pub mod neighbour;
pub mod notification;
pub mod service;
pub mod slaac;
pub mod sockets;
pub mod softwire_options;

pub use machine::Machine;
