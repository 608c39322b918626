//! ICMP that the packet path writes or changes itself: errors of our own ([`error`]; [`mod@reset`] where TCP has better), errors from
//! inside the tunnel ([`mod@about_tunnel`]), and errors that pass through the NAPT ([`translate`]) or the filter of native IPv6
//! ([`mod@quoted6`]).

pub mod about_tunnel;
mod budget;
pub mod error;
pub mod error6;
pub mod quoted6;
pub mod reset;
pub mod translate;

pub use about_tunnel::{TunnelError, about_tunnel};
pub use budget::{Budgets, Purpose};
pub use error::{Message, answer, compose};
pub use error6::{Message6, answer6, compose6};
pub use quoted6::{Quoted6, quoted6};
pub use reset::{reset, reset6};
pub use translate::{Quoted, Side, quoted};
