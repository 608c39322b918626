//! What lets native IPv6 into the LAN: answers, and nothing else.

use std::sync::Arc;

use hikyaku_config::Config;
use hikyaku_dataplane::filter6::{self, Filter6};
use hikyaku_schema::DEFAULT_TABLE;

/// The filter, as long as the program runs: what it let through outlives a change of prefix, and of the control thread.
#[derive(Debug, Default)]
pub(super) struct Filter {
    filter: Option<Arc<Filter6>>,
    /// Why there is none.
    pub trouble: Option<String>,
}

impl Filter {
    /// `before`: that of a control thread that had to start over; its sessions live on.
    pub fn new(config: &Config, workers: usize, before: Option<Arc<Filter6>>) -> Self {
        let mut filter = Self { filter: before, trouble: None };
        filter.reload(config, workers);
        filter
    }

    /// Another configuration: there is a filter as soon as hosts are to have IPv6.
    pub fn reload(&mut self, config: &Config, workers: usize) {
        self.trouble = None;
        if self.filter.is_some() || !config.lan.ipv6.is_on() {
            return;
        }
        let behaviour = &config.service.behaviour;
        let made = Filter6::new(&filter6::Config {
            sessions: config.tuning.table_size(DEFAULT_TABLE),
            per_station: behaviour.sessions_per_host,
            timeouts: behaviour.timeouts.0,
            readers: workers,
            huge_pages: config.tuning.huge_pages,
            ..filter6::Config::default()
        });
        match made {
            Ok(filter) => self.filter = Some(Arc::new(filter)),
            Err(why) => {
                tracing::error!(reason = %why, "hosts have no IPv6, as nothing could watch it");
                self.trouble = Some(format!(
                    "hosts have no IPv6: there is no filter for it: {why}; a smaller [tuning] table, or [lan.ipv6] mode = \
                     \"off\""
                ));
            }
        }
    }

    /// The filter itself.
    pub fn get(&self) -> Option<&Arc<Filter6>> {
        self.filter.as_ref()
    }
}
