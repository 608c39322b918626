//! The session table of the process before, read back by a thread of its own while the line comes up.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use hikyaku_config::Config;
use hikyaku_dataplane::napt::{Napt, Restored, Saved};
use hikyaku_net::Clock;
use hikyaku_protocols::service::Outside;

use super::making::Making;
use super::state_dir::StateDir;
use super::tunnel::table;

/// A table that is there, or will be in a moment. Taken once, by the first tunnel; later lives of the control thread have the
/// table that workers use.
#[derive(Clone, Debug, Default)]
pub struct SessionsBefore(Arc<Mutex<Making<Option<Arc<Napt>>>>>);

impl SessionsBefore {
    /// Reads what was saved, which from then on is not there any more: who ends without saving leaves nothing behind that
    /// a later start would believe. `wall`: seconds since 1970.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn read(state: StateDir, config: Arc<Config>, workers: usize, clock: Clock, wall: u64) -> io::Result<Self> {
        let work = move || {
            let (began, bytes) = (Instant::now(), state.take_sessions()?);
            let saved = Saved::read(&bytes)
                .map_err(|error| tracing::warn!(%error, "the saved sessions are not read; going on without them"))
                .ok()?;
            let outside = Outside { ipv4: saved.outside(), ports: saved.ports() };
            let napt = Napt::new(&table(&config.service, &config.tuning, workers, outside))
                .map_err(|error| tracing::warn!(%error, "no room for the saved sessions; going on without them"))
                .ok()?;
            let Restored { restored, expired, refused } = napt.restore(&saved, clock.now(), wall);
            tracing::info!(
                ipv4 = %outside.ipv4, sessions = restored, expired, refused, seconds = began.elapsed().as_secs_f32(),
                "sessions of before go on"
            );
            Some(Arc::new(napt))
        };
        Ok(Self(Arc::new(Mutex::new(Making::by_thread("sessions-before", work)?))))
    }

    /// The table, once; `Ready(None)` when there is none, or none any more.
    pub(super) fn take(&self) -> Poll<Option<Arc<Napt>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(Option::flatten)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use hikyaku_dataplane::napt::{Endpoint, LanId};
    use hikyaku_net::{PortSet, protocol};

    use super::*;

    const CONFIG: &str = "[wan]\nlink = \"vale0:wan\"\n[lan]\nlink = \"vale0:lan\"\nipv4 = \"192.168.1.1/24\"\n[service]\nkind = \"ipip\"\n\
                          ipv4 = \"192.0.2.1\"\nbr = \"2001:db8:ffff::1\"\nce = \"::feed\"\n";
    const WALL: u64 = 1_700_000_000;

    fn before(dir: &Path) -> Option<Arc<Napt>> {
        let (state, config) = (StateDir::new(dir), Config::parse("test.toml", CONFIG).unwrap());
        let before = SessionsBefore::read(state, Arc::new(config), 1, Clock::default(), WALL + 2).unwrap();
        loop {
            if let Poll::Ready(table) = before.take() {
                assert!(before.take().map(|more| more.is_none()).is_ready());
                return table;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn sessions_are_read_back_once_and_garbage_never() {
        let dir = std::env::temp_dir().join(format!("hikyaku-sessions-{}", rand::random::<u64>()));
        assert!(before(&dir).is_none(), "nothing was saved");
        let config = Config::parse("test.toml", CONFIG).unwrap();
        let outside = Outside { ipv4: [192, 0, 2, 1].into(), ports: PortSet::ALL };
        let napt = Napt::new(&table(&config.service, &config.tuning, 1, outside)).unwrap();
        let now = Clock::default().now();
        for port in 1..=1000 {
            let ends = [([192, 168, 1, 10], 40_000), ([203, 0, 113, 80], port)];
            let [inside, peer] = ends.map(|(addr, port)| Endpoint::new(std::net::Ipv4Addr::from(addr), port));
            napt.create_outbound(LanId(0), protocol::UDP, inside, peer, 0, now).unwrap();
        }
        let state = StateDir::new(&dir);
        assert_eq!(state.save_sessions(&napt, now, WALL).unwrap(), 1000);
        let file = dir.join("sessions.bin");
        let bytes = fs::read(&file).unwrap();
        let next = before(&dir).expect("a table");
        assert_eq!((next.stats().live, next.outside()), (1000, napt.outside()));
        // A process that ends without saving, by SIGKILL, leaves nothing.
        assert!(!file.exists() && before(&dir).is_none());
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        assert!(before(&dir).is_none() && !file.exists());
        fs::remove_dir_all(&dir).unwrap();
    }
}
