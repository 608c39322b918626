//! `[control]`, `[log]` and `[system]`: how the program lives on its machine.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use super::keys;
use super::problem::Problems;
use super::tree::Section;
use super::value::FileMode;
use crate::privileges::{Account, group};

/// Where the control socket is, if nobody says otherwise.
pub const SOCKET: &str =
    if cfg!(target_os = "freebsd") { "/var/run/hikyaku/control.sock" } else { "/run/hikyaku/control.sock" };
/// Where leases are kept, if nobody says otherwise.
pub const STATE_DIR: &str = if cfg!(target_os = "freebsd") { "/var/db/hikyaku" } else { "/var/lib/hikyaku" };

/// The control socket.
#[derive(Args, Clone, Debug)]
pub struct Control {
    /// Where `hikyaku show` asks
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// Who may ask: the socket's mode, in octal
    #[arg(long, value_name = "MODE", default_value = "0660")]
    pub mode: FileMode,

    /// The socket's group; unset: the process's
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,

    /// [`Self::group`] as the system knows it.
    #[arg(skip)]
    pub gid: Option<u32>,
}

/// The log, on standard error.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// The least that is said
    #[arg(long, value_enum, default_value = "info")]
    pub level: Level,

    /// `text` has the time in each line, `bare` leaves that to whoever collects the lines
    #[arg(long, value_enum, default_value = "text")]
    pub format: LogFormat,
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something works, but not as well as it should.
    Warn,
    /// What happens to the line.
    Info,
    /// What machines hear and say.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// See [`Log::format`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, text.
    Text,
    /// Level, text.
    Bare,
}

impl Log {
    /// From here on, what is logged goes to standard error; in colours if that is a terminal. To be
    /// called once; a second call changes nothing.
    pub fn start(&self) -> LevelDial {
        let (level, dial) = reload::Layer::new(self.level.filter());
        let lines =
            fmt::layer().with_target(false).with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
        let lines = match self.format {
            LogFormat::Text => lines.boxed(),
            LogFormat::Bare => lines.without_time().boxed(),
        };
        if let Err(error) = tracing_subscriber::registry().with(level).with(lines).try_init() {
            tracing::debug!("the log is already set up: {error}");
        }
        LevelDial(dial)
    }
}

/// Sets the level of a log that was started.
#[derive(Clone, Debug)]
pub struct LevelDial(reload::Handle<LevelFilter, Registry>);

impl LevelDial {
    /// The least that is said from now on.
    pub fn set(&self, level: Level) {
        if let Err(error) = self.0.reload(level.filter()) {
            tracing::warn!("the log's level stays as it is: {error}");
        }
    }
}

/// What it may do, and where it keeps what it must not forget.
#[derive(Args, Clone, Debug)]
pub struct System {
    /// Directory for what outlives a restart: leases, identifiers
    #[arg(long, value_name = "DIR", default_value = STATE_DIR)]
    pub state_dir: PathBuf,

    /// User to become once links, sockets and files are open; unset: stay who we are
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,

    /// [`Self::user`] as the system knows it.
    #[arg(skip)]
    pub account: Option<Account>,
}

impl Control {
    pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Self> {
        let mut read = keys::read::<Self>(section, &[], problems)?;
        // sun_path of FreeBSD is 104 bytes, of Linux 108; and a name beside it is needed while it is made.
        if read.keys.socket.as_os_str().len() > 90 || !read.keys.socket.is_absolute() {
            problems.add(read.place("socket"), "socket: give an absolute path of at most 90 bytes");
        }
        if let Some(name) = &read.keys.group {
            match group(name) {
                Ok(gid) => read.keys.gid = Some(gid),
                Err(error) => problems.add(read.place("group"), format!("group = '{name}': {error}")),
            }
        }
        Some(read.keys)
    }
}

impl System {
    pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Self> {
        let mut read = keys::read::<Self>(section, &[], problems)?;
        if !read.keys.state_dir.is_absolute() {
            problems.add(read.place("state-dir"), "state-dir: give an absolute path");
        }
        if let Some(name) = &read.keys.user {
            match Account::named(name) {
                Ok(account) => read.keys.account = Some(account),
                Err(error) => problems.add(read.place("user"), format!("user = '{name}': {error}")),
            }
        }
        Some(read.keys)
    }
}
