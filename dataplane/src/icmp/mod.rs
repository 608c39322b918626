//! ICMP that the packet path writes or changes itself: errors of our own ([`error`]), errors from
//! inside the tunnel ([`mod@about_tunnel`]), and errors that pass through the NAPT ([`translate`]).

pub mod about_tunnel;
mod budget;
pub mod error;
pub mod translate;

pub use about_tunnel::{TunnelError, about_tunnel};
pub use budget::Budgets;
pub use error::{Message, answer, compose};
pub use translate::{Quoted, Side, quoted};
