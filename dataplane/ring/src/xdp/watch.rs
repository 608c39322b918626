//! Links whose interface goes away: unplugged, removed, or moved to another namespace.

use std::sync::Arc;

use super::open::{bind, find, queue_numbers};
use super::queue::Seat;
use super::umem::Umem;
use super::{Losses, OpenError, OpenOptions};
use crate::link::LinkInfo;
use crate::name::LinkName;

/// What the control thread keeps of an open link. An interface that is only set down and up again
/// needs none of this; one that is removed does.
///
/// The queues stay where they are, in their workers. Under them the sockets are exchanged.
pub struct Watch {
    name: LinkName,
    options: OpenOptions,
    umem: Umem,
    seats: Vec<(u16, Arc<Seat>)>,
}

impl Watch {
    /// The name that it was opened by.
    pub fn name(&self) -> &LinkName {
        &self.name
    }

    pub(super) fn new(name: LinkName, options: OpenOptions, umem: Umem, seats: Vec<(u16, Arc<Seat>)>) -> Self {
        Self { name, options, umem, seats }
    }

    /// Whether a queue has found that the interface is gone. Workers notice within 256 syncs.
    pub fn gone(&self) -> bool {
        self.seats.iter().any(|(_, seat)| seat.is_gone())
    }

    /// What was lost since the sockets were opened, but for what the card counts.
    pub fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        for (_, seat) in &self.seats {
            losses.strays += seat.strays();
            if let Some(kernel) = seat.statistics() {
                losses.received += kernel.rx_dropped + kernel.rx_ring_full;
                // `rx_dropped` is both: no buffer, which is counted once more, and one that is too small (`xsk_rcv`).
                losses.too_long += kernel.rx_dropped.saturating_sub(kernel.rx_fill_ring_empty_descs);
                losses.no_buffer += kernel.rx_fill_ring_empty_descs;
                losses.refused += kernel.tx_invalid_descs + kernel.rx_invalid_descs;
            }
        }
        losses
    }

    /// Opens the link anew, once there is an interface of its name again that is up: then the
    /// queues go on with it at their next sync. Its address, its MTU and the mode may be others.
    ///
    /// Fails with [`OpenError::StillOpen`] while nothing is gone, or not every queue has noticed.
    /// May take half a second.
    pub fn reopen(&mut self) -> Result<LinkInfo, OpenError> {
        if !self.seats.iter().all(|(_, seat)| seat.is_gone()) {
            return Err(OpenError::StillOpen { link: self.name.clone() });
        }
        let found = find(&self.name)?;
        let have = queue_numbers(&self.name, &found)?;
        let queues: Vec<u16> = self.seats.iter().map(|&(queue, _)| queue).collect();
        if !queues.iter().all(|queue| have.contains(queue)) {
            return Err(OpenError::NoQueue { link: self.name.clone(), have: found.pairs() });
        }
        let (sockets, info) = bind(&self.name, &self.umem, &self.options, &found, &queues)?;
        for ((_, seat), socket) in self.seats.iter().zip(sockets) {
            seat.offer(socket);
        }
        Ok(info)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "watch of {}, {}", self.name, if self.gone() { "gone" } else { "there" })
    }
}
