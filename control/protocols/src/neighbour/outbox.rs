//! What a link's machine has to say, until it is taken.

use std::collections::VecDeque;

use hikyaku_net::Mac;
use serde::Serialize;

use super::Output;

/// Frames and events that wait for [`crate::Machine::poll_output`], at most: more than come of any one call.
const OUTBOX: usize = 4096;

/// What was heard, sent and refused on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// ARP packets that were heard.
    pub arp: u64,
    /// Neighbour solicitations that were heard.
    pub solicitations: u64,
    /// Neighbour advertisements that were heard.
    pub advertisements: u64,
    /// Multicast listener queries heard.
    pub queries: u64,
    /// ARP that breaks RFC 826 or RFC 5227.
    pub malformed_arp: u64,
    /// NDP that RFC 4861 7.1 discards, or a query that RFC 3810 6.2 does.
    pub malformed_ndp: u64,
    /// Our own, come back by a loop.
    pub own: u64,
    /// With our Ethernet address, from an address that is not ours: another station has it too.
    pub twin: u64,
    /// ARP from an address that is not of this link.
    pub off_link: u64,
    /// Questions about our addresses that were answered.
    pub answered: u64,
    /// Questions that were not, because of too many.
    pub answers_limited: u64,
    /// Questions of ours that were sent: ARP requests and neighbour solicitations.
    pub solicited: u64,
    /// Questions of ours put off, because of too many.
    pub solicits_limited: u64,
    /// Neighbours whose Ethernet address became known.
    pub resolved: u64,
    /// Neighbours that did not answer.
    pub lost: u64,
    /// Neighbours that gave way to others in a full table.
    pub displaced: u64,
    /// Neighbours that found no place in a full table.
    pub no_room: u64,
    /// Frames that waited for a neighbour and gave way to a newer one, or that nobody came for.
    pub frames_dropped: u64,
    /// Neighbours that changed their Ethernet address.
    pub moved: u64,
    /// Claims to a neighbour's address that were refused.
    pub claims_refused: u64,
    /// Claims that came soon after one that was refused, and were not looked at.
    pub claims_ignored: u64,
    /// Uses of our addresses by other stations.
    pub conflicts: u64,
    /// Addresses of ours that another station had first.
    pub duplicates: u64,
    /// Frames and events that nobody took from us.
    pub overflowed: u64,
}

/// What is to be sent and told.
#[derive(Debug)]
pub(super) struct Outbox {
    /// Our Ethernet address: whom frames are from.
    pub mac: Mac,
    queue: VecDeque<Output>,
    pub counts: Counts,
}

impl Outbox {
    pub fn new(mac: Mac) -> Self {
        Self { mac, queue: VecDeque::new(), counts: Counts::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn pop(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    pub fn send(&mut self, frame: Vec<u8>) {
        self.event(Output::Send(frame));
    }

    /// Whether another step fits, with all that may come of it.
    pub fn has_room(&self) -> bool {
        self.queue.len() < OUTBOX / 2
    }

    pub fn event(&mut self, event: Output) {
        if self.queue.len() < OUTBOX {
            self.queue.push_back(event);
        } else {
            self.counts.overflowed += 1;
        }
    }
}
