//! What lets native IPv6 into a LAN, and packets from one LAN to another: answers, and what may begin.

use std::sync::Arc;
use std::task::{Poll, ready};

use hikyaku_config::Config;
use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_net::Time;
use hikyaku_schema::DEFAULT_TABLE;

use super::making::{Making, MakingTable, SOON};
use super::sessions_before::SessionsBefore;

/// What the filter is made from.
pub(super) fn filter_config(config: &Config, workers: usize) -> filter6::Config {
    let behaviour = &config.service.behaviour;
    filter6::Config {
        sessions: config.tuning.table_size(DEFAULT_TABLE),
        per_station: behaviour.sessions_per_host,
        timeouts: behaviour.timeouts.0,
        readers: workers,
        huge_pages: config.tuning.huge_pages,
        ..filter6::Config::default()
    }
}

/// The filter, as long as the program runs: what it let through outlives a change of prefix, and of the control thread.
#[derive(Debug, Default)]
pub(super) struct Filter {
    filter: Option<Arc<Filter6>>,
    /// That of the process before.
    sessions: SessionsBefore,
    /// What one is to be made from, until it is begun.
    wanted: Option<filter6::Config>,
    making: MakingTable<Arc<Filter6>>,
    /// While there is to be one and is none: when it is looked at again.
    look: Option<Time>,
    /// Why there is none.
    pub trouble: Option<String>,
}

impl Filter {
    /// `before`: that of a control thread that had to start over; its sessions live on.
    pub fn new(
        now: Time,
        config: &Config,
        workers: usize,
        before: Option<Arc<Filter6>>,
        sessions: SessionsBefore,
    ) -> Self {
        let mut filter = Self { filter: before, sessions, ..Self::default() };
        filter.reload(now, config, workers);
        filter
    }

    /// Another configuration: there is a filter as soon as hosts are to have IPv6.
    pub fn reload(&mut self, now: Time, config: &Config, workers: usize) {
        self.trouble = None;
        if self.filter.is_some() || self.look.is_some() || !config.has_untranslated() {
            return;
        }
        self.wanted = Some(filter_config(config, workers));
        self.look = Some(now);
        self.poll(now);
    }

    /// Takes it up when it is there.
    pub fn poll(&mut self, now: Time) {
        if self.look.is_none_or(|look| look > now) {
            return;
        }
        let Poll::Ready(made) = self.make() else {
            self.look = Some(now + SOON);
            return;
        };
        self.look = None;
        match made {
            Ok(filter) => self.filter = Some(filter),
            Err(why) => {
                tracing::error!(reason = %why, "hosts have no IPv6, and do not reach other LANs, as nothing could watch it");
                self.trouble = Some(format!(
                    "hosts have no IPv6, and do not reach other LANs: there is no filter for it: {why}; a smaller [tuning] \
                     table, or [lan.ipv6] mode = \"off\""
                ));
            }
        }
    }

    /// The filter of the process before, or a new one.
    fn make(&mut self) -> Poll<Result<Arc<Filter6>, String>> {
        if let Some(before) = ready!(self.sessions.take_filter()) {
            return Poll::Ready(Ok(before));
        }
        if let Some(config) = self.wanted.take() {
            let sessions = config.sessions;
            let make = move || Filter6::new(&config).map(Arc::new).map_err(|why| why.to_string());
            self.making = Making::table(sessions, make);
        }
        let made = ready!(self.making.take());
        Poll::Ready(made.unwrap_or_else(|| Err("its thread panicked".into())))
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.look
    }

    /// The filter itself.
    pub fn get(&self) -> Option<&Arc<Filter6>> {
        self.filter.as_ref()
    }
}
