//! At boot a router may start before its interfaces are there: they are waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hikyaku_config::Config;
use hikyaku_ring::{LinkKind, LinkName, LinkState, states, up_command};

use super::links::{Links, LinksError};

/// Between two looks. A signal waits no longer.
const LOOK: Duration = Duration::from_millis(250);

/// How often it is said that links are still waited for.
const REMINDER: Duration = Duration::from_secs(30);

/// Opens the links. Where an interface is not there or not set up, it is waited for, as long as the configuration says;
/// what else is wrong with a link is an error at once. `None`: `stop` came first.
pub fn open(config: &Config, stop: &AtomicBool) -> Result<Option<Links>, LinksError> {
    let limit = config.system.wait_for_links.map(|seconds| Duration::from_secs(seconds.into()));
    let began = Instant::now();
    loop {
        let error = match Links::open(config) {
            Ok(links) => return Ok(Some(links)),
            Err(error) if !matches!(&error, LinksError::Open(error) if error.may_pass()) => return Err(error),
            Err(error) => error,
        };
        if limit.is_some_and(|limit| began.elapsed() >= limit) {
            return Err(error);
        }
        wait(&config.links(), limit.map(|limit| began + limit), stop);
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
    }
}

/// Returns when it is worth another try, at the end, or told to stop. Links are looked at and not tried again and again:
/// opening the one that is there may take its carrier down each time.
fn wait(names: &[&LinkName], end: Option<Instant>, stop: &AtomicBool) {
    let mut told: Option<Instant> = None;
    loop {
        if told.is_none_or(|told| told.elapsed() >= REMINDER) {
            told = Some(Instant::now());
            let tell =
                |(link, why)| tracing::warn!(%link, "waiting for the link ([system] wait-for-links ends that): {why}");
            lacking(names).into_iter().for_each(tell);
        }
        thread::sleep(end.map_or(LOOK, |end| LOOK.min(end.saturating_duration_since(Instant::now()))));
        let is_over = end.is_some_and(|end| Instant::now() >= end);
        if lacking(names).is_empty() || is_over || stop.load(Ordering::Relaxed) {
            return;
        }
    }
}

/// The links that cannot be opened yet, and why. netmap opens an interface that is down.
fn lacking<'a>(names: &[&'a LinkName]) -> Vec<(&'a LinkName, String)> {
    let Ok(states) = states(names) else { return Vec::new() };
    let why = |link: &LinkName, state| match state {
        LinkState::Gone => Some("there is no such interface".to_string()),
        LinkState::Down if link.kind() == LinkKind::Xdp => {
            Some(format!("the interface is down ({})", up_command(link.port())))
        }
        LinkState::Down | LinkState::NoCarrier | LinkState::Carrier => None,
    };
    names.iter().copied().zip(states).filter_map(|(link, state)| Some((link, why(link, state)?))).collect()
}
