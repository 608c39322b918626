//! How many ICMP errors of our own there are (RFC 1812 4.3.2.8, RFC 4443 2.4 f): so many for each side and each purpose, so
//! that whoever provokes one kind uses up nobody's of another. What a host needs to find a path's MTU (RFC 1191, RFC 8201)
//! is no traceroute's.

use hikyaku_net::{Limiter, Time};

use crate::snapshot::Side;

/// Errors a second and at once, of each budget (the RFCs leave the numbers open).
const RATE: u32 = 1000;
const BURST: u32 = 50;

/// What an error is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A host finds out how large packets may be.
    PathMtu,
    /// A host finds out which routers are on the way.
    Hops,
    /// A host is told that it cannot be.
    Refusal,
}

/// What one worker may still send.
#[derive(Debug)]
pub struct Budgets([[Limiter; 3]; 2]);

impl Default for Budgets {
    fn default() -> Self {
        Self([[Limiter::new(RATE, BURST); 3]; 2])
    }
}

impl Budgets {
    /// Whether one more error may be sent to somebody on this side.
    pub fn take(&mut self, to: Side, purpose: Purpose, now: Time) -> bool {
        self.0[usize::from(to == Side::Lan)][purpose as usize].take(now)
    }
}
