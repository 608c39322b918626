//! What is known of a TCP connection, as bits that are only ever added, until a new SYN starts over; but for
//! resets, which may turn out to be none.

use hikyaku_net::packet::Tcp;
use hikyaku_net::protocol;

use super::Direction;
use super::sync::{AtomicU8, Ordering::Relaxed};

/// A packet went out.
pub const SEEN_OUT: u8 = 1;
/// A packet came in.
pub const SEEN_IN: u8 = 2;
/// The handshake is complete. All but TCP are born with it: nothing to track.
pub const ESTABLISHED: u8 = 4;
/// In a TCP state: the inside host has sent a FIN.
pub const FIN_OUT: u8 = 8;
/// In a TCP state: the peer has sent a FIN.
pub const FIN_IN: u8 = 16;
/// A reset went out.
pub const RESET_OUT: u8 = 32;
/// A reset came in.
pub const RESET_IN: u8 = 64;

/// The state of a session whose first packet goes this way.
#[inline(always)]
pub fn born(protocol: u8, first: Direction) -> u8 {
    match (protocol, first) {
        (protocol::TCP, Direction::Outbound) => SEEN_OUT,
        (protocol::TCP, Direction::Inbound) => SEEN_IN,
        _ => ESTABLISHED,
    }
}

/// Whether a state says that the connection was reset.
pub fn is_reset(state: u8) -> bool {
    state & (RESET_OUT | RESET_IN) != 0
}

/// Nothing more is to come but what is still on its way.
pub fn is_closed(state: u8) -> bool {
    is_reset(state) || state & (FIN_OUT | FIN_IN) == FIN_OUT | FIN_IN
}

/// The state of a TCP connection after a packet (RFC 5382 REQ-2, RFC 7857 2).
///
/// A reset makes it one that is closing; nobody here knows sequence numbers, so it may be forged or out of
/// window, and ends nothing (RFC 7857 2.2). Whoever has really reset a connection sends nothing on it any more
/// but resets: if anything else comes from that side, the connection lives and is open as before.
pub fn after(old: u8, direction: Direction, flags: u8) -> u8 {
    let (seen, fin, reset) = match direction {
        Direction::Outbound => (SEEN_OUT, FIN_OUT, RESET_OUT),
        Direction::Inbound => (SEEN_IN, FIN_IN, RESET_IN),
    };
    if is_closed(old) && flags & (Tcp::SYN | Tcp::ACK | Tcp::RST) == Tcp::SYN {
        // The ports are used again for a new connection (RFC 6191).
        return seen;
    }
    let mut new = old | seen;
    if flags & Tcp::FIN != 0 {
        new |= fin;
    }
    if flags & Tcp::RST != 0 {
        // Not established any more: so that what follows is looked at.
        return (new | reset) & !ESTABLISHED;
    }
    // Packets have gone both ways, and this one is more than a handshake.
    if flags & Tcp::SYN == 0 && old & (SEEN_OUT | SEEN_IN) == SEEN_OUT | SEEN_IN {
        new &= !reset;
        new |= if is_reset(new) { 0 } else { ESTABLISHED };
    }
    new
}

/// Follows a TCP connection. Returns its state before and after; another worker may be adding the other
/// direction's bits at the same moment.
pub fn track(state: &AtomicU8, direction: Direction, flags: u8) -> (u8, u8) {
    let step = |old| {
        let new = after(old, direction, flags);
        (new != old).then_some(new)
    };
    match state.fetch_update(Relaxed, Relaxed, step) {
        Ok(old) => (old, after(old, direction, flags)),
        Err(same) => (same, same),
    }
}
