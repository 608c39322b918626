//! `[control]`, `[log]` and `[system]`: how the program lives on its machine.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use hikyaku_schema::{Change::*, Key, Keys, Syntax::*, Words, field, key, number, one_of, words};

use crate::account::{Account, Group};
use crate::value::FileMode;

/// Where the control socket is, if nobody says otherwise.
pub const SOCKET: &str =
    if cfg!(target_os = "freebsd") { "/var/run/hikyaku/control.sock" } else { "/run/hikyaku/control.sock" };
/// Where leases are kept, if nobody says otherwise.
pub const STATE_DIR: &str = if cfg!(target_os = "freebsd") { "/var/db/hikyaku" } else { "/var/lib/hikyaku" };

/// The control socket: section `[control]`.
#[derive(Clone, Debug)]
pub struct Control {
    /// The socket that `hikyaku show` asks: an absolute path of at most 90 bytes.
    pub socket: PathBuf,
    /// The socket's permission bits.
    pub mode: FileMode,
    /// The socket's group; `None`: the process's.
    pub group: Option<Group>,
}

impl Keys for Control {
    const HEADING: &'static str = "Program";

    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("socket", One("PATH"), Restart, field!(socket, socket), "Unix socket by which `hikyaku show` asks the router")
            .flag("--socket").default(SOCKET),
        key("mode", One("MODE"), Restart, field!(mode, FileMode::from_str), "Permission bits of the socket in octal: who may ask")
            .default("0660"),
        key("group", One("NAME"), Restart, field!(group, Group::named), "The socket's group; unset: the process's"),
    ];

    fn blank() -> Self {
        Self { socket: PathBuf::new(), mode: FileMode(0), group: None }
    }
}

/// The log, on standard error: section `[log]`.
#[derive(Clone, Debug)]
pub struct Log {
    /// The least that is said.
    pub level: Level,
    /// What a line looks like.
    pub format: LogFormat,
}

impl Keys for Log {
    const HEADING: &'static str = "Program";

    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("level", OneOf("LEVEL", || words(LEVELS)), Live, field!(level, one_of(LEVELS)),
            "The least that is logged; `debug` has a line for each message that the router hears or says, \
             `trace` what is in them; neither tells secrets")
            .flag("--log-level").default("info"),
        key("format", OneOf("FORMAT", || words(FORMATS)), Restart, field!(format, one_of(FORMATS)),
            "`text` has the time in each line, `bare` leaves that to whoever collects the lines, `json` is one object a line")
            .flag("--log-format").default("text"),
    ];

    fn blank() -> Self {
        Self { level: Level::Info, format: LogFormat::Text }
    }
}

/// How grave something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something does not work.
    Error,
    /// Something works, but not as well as it should.
    Warn,
    /// Something happens to the line.
    Info,
    /// What machines hear and say.
    Debug,
    /// What only who looks for a fault of the program wants.
    Trace,
}

const LEVELS: &Words<Level> = &[
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
    ("trace", Level::Trace),
];

/// What a line of the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level and text.
    Text,
    /// Level and text, without the time.
    Bare,
    /// Time, level, text and fields as a JSON object.
    Json,
}

const FORMATS: &Words<LogFormat> = &[("text", LogFormat::Text), ("bare", LogFormat::Bare), ("json", LogFormat::Json)];

/// What the program may do, and where it keeps what it must not forget: section `[system]`.
#[derive(Clone, Debug)]
pub struct System {
    /// The directory for what outlives a restart: an absolute path.
    pub state_dir: PathBuf,
    /// The user to become once links, sockets and files are open; `None`: stay who we are.
    pub user: Option<Account>,
    /// How long a start waits for links whose interface is not there, or not set up, seconds; `None`: as long as it takes.
    pub wait_for_links: Option<u32>,
}

impl Keys for System {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("state-dir", One("DIR"), Restart, field!(state_dir, absolute),
            "Directory for what outlives a restart: leases, identifiers, sessions").default(STATE_DIR),
        key("user", One("NAME"), Restart, field!(user, Account::named),
            "User to become once links, sockets and files are open; unset: stay who we are"),
        key("wait-for-links", One("SECONDS"), Restart, field!(wait_for_links, number(0u32..=86_400)),
            "How long a start waits for links whose interface is not there or not set up yet, until it ends with an error; \
             unset: as long as it takes"),
    ];

    fn blank() -> Self {
        Self { state_dir: PathBuf::new(), user: None, wait_for_links: None }
    }
}

fn absolute(path: &str) -> Result<PathBuf, &'static str> {
    let is_plain = !path.contains(char::is_control);
    if Path::new(path).is_absolute() && is_plain { Ok(path.into()) } else { Err("give an absolute path") }
}

fn socket(path: &str) -> Result<PathBuf, &'static str> {
    // sun_path of FreeBSD is 104 bytes, of Linux 108; and a name beside it is needed while it is made.
    absolute(path).ok().filter(|_| path.len() <= 90).ok_or("give an absolute path of at most 90 bytes")
}
