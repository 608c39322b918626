//! A link whose interface goes away and comes back.

#[cfg(test)]
pub mod tests;

use hikyaku_dataplane::worker::Handle;
use hikyaku_ring::{LinkId, LinkInfo, LinkName, Losses, Queue, Reopened, Watch};

use super::links::LinksError;

/// Takes a link's queues from the workers when its interface is gone, and gives them others when there is an interface
/// of its name again.
pub struct LinkGuard {
    name: LinkName,
    /// The link's place, and that of its host rings.
    ids: [LinkId; 2],
    /// Whether worker 0 has its host rings.
    host: bool,
    /// None for what is never gone.
    watch: Option<Box<dyn Watch>>,
    gone: bool,
    /// What was lost, and what the system said at the last look.
    losses: Losses,
    counted: Losses,
    /// Why it is not open again, as it was logged.
    obstacle: String,
}

impl LinkGuard {
    /// Of a link as it was opened.
    pub fn new(name: LinkName, ids: [LinkId; 2], host: bool, watch: Option<Box<dyn Watch>>) -> Self {
        // A card counts from its own beginning.
        let counted = watch.as_ref().map(|watch| watch.losses()).unwrap_or_default();
        Self { name, ids, host, watch, gone: false, losses: Losses::default(), counted, obstacle: String::new() }
    }

    /// Whether its interface is gone, and not back yet.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// What came to the link since it was first opened and was lost before a worker saw it.
    pub fn losses(&mut self) -> Losses {
        if let Some(watch) = self.watch.as_ref().filter(|_| !self.gone) {
            let now = watch.losses();
            self.losses.add(std::mem::replace(&mut self.counted, now), now);
        }
        self.losses
    }

    /// To be called now and then. What the link is now, if it was opened anew.
    pub fn look(&mut self, workers: &[Handle]) -> Option<LinkInfo> {
        let watch = self.watch.as_deref_mut()?;
        if !self.gone {
            if !watch.gone() {
                return None;
            }
            tracing::warn!(link = %self.name, "the interface is gone; waiting for one of that name");
            self.gone = true;
            self.obstacle.clear();
            if watch.replaces_queues() {
                take_away(workers, self.ids, self.host);
            }
        }
        // The system lets go of the old interface, and of its memory, once the last worker has.
        if !workers.iter().all(|worker| worker.adopt.is_empty()) {
            return None;
        }
        match self.reopen(workers) {
            Ok(info) => {
                tracing::info!(link = %self.name, opened = %info, "the interface is back");
                self.gone = false;
                Some(info)
            }
            Err(error) => {
                let obstacle = error.to_string();
                if self.obstacle != obstacle {
                    tracing::info!(link = %self.name, error = %obstacle, "not open again yet");
                    self.obstacle = obstacle;
                }
                None
            }
        }
    }

    /// Opens it and gives every worker its queue, or none any.
    fn reopen(&mut self, workers: &[Handle]) -> Result<LinkInfo, LinksError> {
        let Some(watch) = &mut self.watch else { unreachable!("only a link with a watch is gone") };
        let Reopened { info, queues, host } = watch.reopen()?;
        if !watch.replaces_queues() {
            return Ok(info);
        }
        if queues.len() != workers.len() {
            return Err(LinksError::Queues { link: self.name.clone(), has: queues.len(), workers: workers.len() });
        }
        for (worker, queue) in workers.iter().zip(queues) {
            give(worker, self.ids[0], Some(queue));
        }
        // As at the start: one worker carries all of the host's.
        if let (Some(worker), Some(queue), true) = (workers.first(), host.into_iter().next(), self.host) {
            give(worker, self.ids[1], Some(queue));
        }
        Ok(info)
    }
}

fn take_away(workers: &[Handle], [link, host_link]: [LinkId; 2], host: bool) {
    for worker in workers {
        give(worker, link, None);
    }
    if let (Some(worker), true) = (workers.first(), host) {
        give(worker, host_link, None);
    }
}

/// There is room: a link is given only where nothing waits, and taken away once before that.
fn give(worker: &Handle, link: LinkId, queue: Option<Queue>) {
    let given = worker.adopt.push((link, queue));
    debug_assert!(given.is_ok());
    worker.wake();
}
