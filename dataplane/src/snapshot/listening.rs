//! Where the control thread listens.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// Protocols and ports at which the control thread listens on a link. What comes for another is not given to it.
///
/// Snapshots share it: a question has a port of its own, and is no news of the world.
#[derive(Clone, Debug, Default)]
pub struct Listening(Arc<ArcSwap<Vec<(u8, u16)>>>);

impl Listening {
    /// At these.
    pub fn at(ports: impl IntoIterator<Item = (u8, u16)>) -> Self {
        let listening = Self::default();
        listening.set(ports);
        listening
    }

    /// At these from now on, and nowhere else. Workers know before whatever is put into [`Handle::inject`] after this
    /// leaves.
    ///
    /// [`Handle::inject`]: crate::worker::Handle::inject
    pub fn set(&self, ports: impl IntoIterator<Item = (u8, u16)>) {
        let mut ports: Vec<_> = ports.into_iter().collect();
        ports.sort_unstable();
        if **self.0.load() != ports {
            self.0.store(Arc::new(ports));
        }
    }

    /// Whether it listens there.
    pub fn contains(&self, protocol: u8, port: u16) -> bool {
        self.0.load().contains(&(protocol, port))
    }
}
