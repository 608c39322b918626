//! The sessions of the process before, read back by threads of their own while the line comes up.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Instant;

use hikyaku_config::Config;
use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_dataplane::napt::{self, Napt, Restored};
use hikyaku_net::Clock;
use hikyaku_protocols::service::Outside;

use super::filter::filter_config;
use super::making::Making;
use super::state_dir::{SessionFile, StateDir};
use super::tunnel::table;

/// Tables that are there, or will be in a moment. Each is taken once, when it is first needed; later lives of the control
/// thread have those that workers use.
#[derive(Clone, Debug, Default)]
pub struct SessionsBefore {
    napt: Before<Napt>,
    filter6: Before<Filter6>,
}

type Before<T> = Arc<Mutex<Making<Option<Arc<T>>>>>;

impl SessionsBefore {
    /// Reads what was saved, which from then on is not there any more: who ends without saving leaves nothing behind that
    /// a later start would believe. `wall`: seconds since 1970.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn read(state: StateDir, config: Arc<Config>, workers: usize, clock: Clock, wall: u64) -> io::Result<Self> {
        let (state6, config6, clock6) = (state.clone(), config.clone(), clock.clone());
        let napt = move || read_napt(&state, &config, workers, &clock, wall);
        let filter6 = move || read_filter(&state6, &config6, workers, &clock6, wall);
        Ok(Self {
            napt: Arc::new(Mutex::new(Making::by_thread("sessions-before", napt)?)),
            filter6: Arc::new(Mutex::new(Making::by_thread("ipv6-before", filter6)?)),
        })
    }

    /// The session table, once; `Ready(None)` when there is none, or none any more.
    pub(super) fn take_napt(&self) -> Poll<Option<Arc<Napt>>> {
        take(&self.napt)
    }

    /// The filter of native IPv6, likewise.
    pub(super) fn take_filter(&self) -> Poll<Option<Arc<Filter6>>> {
        take(&self.filter6)
    }
}

fn take<T: Send + Sync + 'static>(before: &Before<T>) -> Poll<Option<Arc<T>>> {
    before.lock().unwrap_or_else(PoisonError::into_inner).take().map(Option::flatten)
}

fn read_napt(state: &StateDir, config: &Config, workers: usize, clock: &Clock, wall: u64) -> Option<Arc<Napt>> {
    let (began, bytes) = (Instant::now(), state.take_sessions(SessionFile::Napt)?);
    let saved = napt::Saved::read(&bytes).map_err(unreadable).ok()?;
    let outside = Outside { ipv4: saved.outside(), ports: saved.ports() };
    let napt = Napt::new(&table(&config.service, &config.tuning, workers, outside)).map_err(no_room).ok()?;
    report("IPv4", napt.restore(&saved, clock.now(), wall), began);
    Some(Arc::new(napt))
}

fn read_filter(state: &StateDir, config: &Config, workers: usize, clock: &Clock, wall: u64) -> Option<Arc<Filter6>> {
    let (began, bytes) = (Instant::now(), state.take_sessions(SessionFile::Filter6)?);
    if !config.has_untranslated() {
        return None;
    }
    let saved = filter6::Saved::read(&bytes).map_err(unreadable).ok()?;
    let filter = Filter6::new(&filter_config(config, workers)).map_err(no_room).ok()?;
    report("IPv6", filter.restore(&saved, clock.now(), wall), began);
    Some(Arc::new(filter))
}

fn unreadable(error: napt::Unreadable) {
    tracing::warn!(%error, "the saved sessions are not read; going on without them");
}

fn no_room(error: napt::Refused) {
    tracing::warn!(%error, "no room for the saved sessions; going on without them");
}

fn report(of: &str, Restored { restored, expired, refused }: Restored, began: Instant) {
    let seconds = began.elapsed().as_secs_f32();
    tracing::info!(sessions = restored, expired, refused, seconds, "{of} sessions of before go on");
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use hikyaku_dataplane::filter6::Flow;
    use hikyaku_dataplane::napt::{Direction, Endpoint, LanId};
    use hikyaku_net::{Addr6, Mac, PortSet, protocol};

    use super::*;

    const CONFIG: &str = "[wan]\nlink = \"vale0:wan\"\n[lan]\nlink = \"vale0:lan\"\nipv4 = \"192.168.1.1/24\"\n[service]\nkind = \"ipip\"\n\
                          ipv4 = \"192.0.2.1\"\nbr = \"2001:db8:ffff::1\"\nce = \"::feed\"\n";
    const WALL: u64 = 1_700_000_000;

    fn before(dir: &Path) -> Option<Arc<Napt>> {
        let (state, config) = (StateDir::new(dir), Config::parse("test.toml", CONFIG).unwrap());
        let before = SessionsBefore::read(state, Arc::new(config), 1, Clock::default(), WALL + 2).unwrap();
        loop {
            if let Poll::Ready(table) = before.take_napt() {
                assert!(before.take_napt().map(|more| more.is_none()).is_ready());
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
        assert_eq!(state.save_sessions(SessionFile::Napt, |to| napt.save(now, WALL, to)).unwrap(), 1000);
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

    #[test]
    fn native_ipv6_goes_on_where_hosts_still_have_it() {
        let dir = tempfile::tempdir().unwrap();
        let (state, now) = (StateDir::new(dir.path()), Clock::default().now());
        let on = Config::parse("test.toml", CONFIG).unwrap();
        let off = Config::parse("test.toml", &format!("{CONFIG}[lan.ipv6]\nmode = \"off\"\n")).unwrap();
        let filter = Filter6::new(&filter_config(&on, 1)).unwrap();
        let flow =
            Flow::new(Direction::Outbound, protocol::UDP, [[0x20; 16], [0x21; 16]].map(Addr6), Default::default());
        filter.open_outbound(&flow, Mac([2; 6]), now).unwrap();
        for (config, goes_on) in [(on, true), (off, false)] {
            state.save_sessions(SessionFile::Filter6, |to| filter.save(now, WALL, to)).unwrap();
            let before = SessionsBefore::read(state.clone(), Arc::new(config), 1, Clock::default(), WALL + 2).unwrap();
            let taken = std::iter::repeat_with(|| before.take_filter()).find(Poll::is_ready).unwrap();
            assert_eq!(
                taken.map(|filter| filter.is_some_and(|filter| filter.find(&flow).is_some())),
                Poll::Ready(goes_on)
            );
            assert!(!dir.path().join("sessions6.bin").exists());
        }
    }
}
