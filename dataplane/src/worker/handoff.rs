//! The handoff rings between the workers of a router.

use std::io;
use std::sync::Arc;

use hikyaku_ring::{HandoffRx, HandoffTx, LinkId, MIN_HANDOFF_SLOTS, Queue, handoff_ring};

use super::doorbell::Doorbell;

/// One worker's ends of the handoff rings to and from all others, for the frames of one link.
#[derive(Debug)]
pub struct HandoffRings {
    pub(super) link: LinkId,
    /// Rings to others, by worker; none to itself.
    pub(super) to: Vec<Option<HandoffTx>>,
    /// The rings that others hand off into.
    pub(super) from: Vec<HandoffRx>,
    /// What wakes each worker that sleeps, by its number.
    pub(super) doorbells: Arc<[Arc<Doorbell>]>,
}

impl HandoffRings {
    /// Rings between the workers that have these queues of `link`, in their order, made of the queues' spare
    /// buffers.
    ///
    /// # Errors
    ///
    /// There are too few spare buffers, or the system has no memory or no sockets left.
    pub fn between(link: LinkId, queues: &mut [&mut Queue]) -> io::Result<Vec<Self>> {
        let n = queues.len();
        let doorbells: Arc<[Arc<Doorbell>]> =
            (0..n).map(|_| Doorbell::new().map(Arc::new)).collect::<io::Result<_>>()?;
        let none = || Self { link, to: (0..n).map(|_| None).collect(), from: Vec::new(), doorbells: doorbells.clone() };
        let mut all: Vec<Self> = (0..n).map(|_| none()).collect();
        for (me, queue) in queues.iter_mut().enumerate() {
            let mut spare = std::mem::take(&mut queue.spare);
            let share = spare.len() / (n - 1).max(1);
            if n > 1 && share < MIN_HANDOFF_SLOTS as usize {
                let text =
                    format!("queue {me} has {} spare buffers for handoff rings to {} workers", spare.len(), n - 1);
                return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
            }
            for other in (0..n).filter(|&other| other != me) {
                let (out, to) = handoff_ring(&queue.rx, spare.take(share))?;
                all[me].to[other] = Some(out);
                all[other].from.push(to);
            }
        }
        Ok(all)
    }
}
