//! How many ICMP errors of our own there are (RFC 1812 4.3.2.8): so many for each side and each purpose, so that whoever
//! provokes one kind uses up nobody's of another. What a host needs to find a path's MTU (RFC 1191) is no traceroute's.

use hikyaku_net::packet::Icmp;
use hikyaku_net::{Limiter, Time};

use super::Message;
use crate::snapshot::Side;

/// Errors a second and at once, of each budget (RFC 1812 leaves the numbers open).
const RATE: u32 = 1000;
const BURST: u32 = 50;

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
    pub fn take(&mut self, to: Side, message: Message, now: Time) -> bool {
        let purpose = match (message.kind, message.code) {
            (Icmp::UNREACHABLE, 4) => 0,
            (Icmp::TIME_EXCEEDED, _) => 1,
            _ => 2,
        };
        self.0[usize::from(to == Side::Lan)][purpose].take(now)
    }
}
