//! The log, on standard error.

use std::io::IsTerminal;

use hikyaku_config::{Level, Log, LogFormat};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// From here on, what is logged goes to standard error; in colours if that is a terminal. To be called once; a second
/// call changes nothing.
pub fn start(log: &Log) -> LevelDial {
    let (level, dial) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_target(false).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Bare => lines.without_time().boxed(),
    };
    if let Err(error) = tracing_subscriber::registry().with(level).with(lines).try_init() {
        tracing::debug!("the log is already set up: {error}");
    }
    LevelDial(dial)
}

/// Sets the level of a log that was started.
#[derive(Clone, Debug)]
pub struct LevelDial(reload::Handle<LevelFilter, Registry>);

impl LevelDial {
    /// The least that is said from now on.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(filter(level)) {
            tracing::warn!("the log's level stays as it is: {error}");
        }
    }
}
