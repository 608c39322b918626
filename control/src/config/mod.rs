//! What the user wants: file and flags, checked as a whole before anything starts.
//!
//! ```text
//! text --tree--> sections, keys, values, each with its place; flags go over it
//!      --keys--> structs: names, ranges and defaults, said once as flags are
//!      --wan, lan, service, …--> `Config`, or everything that is wrong with it
//! ```

mod args;
mod forward;
mod keys;
mod lan;
mod notification;
mod problem;
mod provisioning;
mod reference;
mod reload;
mod secret;
mod service;
mod summary;
mod system;
mod tree;
mod value;
mod wan;

use std::path::Path;
use std::sync::Arc;

use hikyaku_ring::{LinkKind, LinkName};

use crate::tuning::TuningArgs;

pub use args::{CheckArgs, LineArgs, RunArgs};
pub use forward::StaticMapping;
pub use lan::{Dhcpv4, Lan, Reservation};
pub use problem::{Place, Problem, Problems};
pub use reference::reference;
pub use secret::Credentials;
pub use service::Service;
pub use system::{Control, Level, LevelDial, Log, LogFormat, SOCKET, STATE_DIR, System};
pub(crate) use value::number;
pub use value::{FileMode, InterfaceId, Network4, Pool};
pub use wan::{Dhcpv6, Dhcpv6Mode, Wan};

pub(crate) use keys::read as read_keys;
pub(crate) use tree::Section;

/// A configuration that makes sense.
#[derive(Clone, Debug)]
pub struct Config {
    /// The side towards the line.
    pub wan: Wan,
    /// The side of the hosts.
    pub lan: Lan,
    /// What the line is to be.
    pub service: Service,
    /// How workers use the machine.
    pub tuning: TuningArgs,
    /// The control socket.
    pub control: Control,
    /// The log.
    pub log: Log,
    /// What the program may do, and where it keeps what it must not forget.
    pub system: System,
}

/// The sections there are.
const SECTIONS: [&str; 7] = ["wan", "lan", "service", "tuning", "control", "log", "system"];

impl Config {
    /// Reads file and flags. An error is [`Problems`]: everything that is wrong, at once.
    pub fn load(args: &RunArgs) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let root = match &args.config {
            None => Some(Section::new("", Place::CommandLine)),
            Some(path) => read_file(path, &mut problems),
        };
        Self::from_tree(root, args, problems)
    }

    /// Reads the text of a file; `name` is what problems call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let root = Section::parse(name, text, &mut problems);
        Self::from_tree(Some(root), &RunArgs::default(), problems)
    }

    fn from_tree(root: Option<Section>, args: &RunArgs, mut problems: Problems) -> Result<Self, Problems> {
        let config = root.and_then(|mut root| {
            args.overlay(&mut root);
            Self::read(root, &mut problems)
        });
        match config {
            Some(config) if problems.0.is_empty() => Ok(config),
            _ => Err(problems.in_order()),
        }
    }

    fn read(mut root: Section, problems: &mut Problems) -> Option<Self> {
        /// A file has no keys outside of sections.
        #[derive(clap::Args)]
        struct NoKeys {}
        let [wan, lan, service, tuning, control, log, system] = SECTIONS.map(|name| {
            let only = match name {
                "wan" => "hikyaku has one line so far",
                "lan" => "hikyaku has one LAN so far",
                _ => "it is there once",
            };
            root.take(name, only, problems)
        });
        keys::read::<NoKeys>(root, &SECTIONS, problems);
        // Each is read whatever is wrong with the others.
        let wan = Wan::read(wan, problems);
        let lan = Lan::read(lan, problems);
        let service = Service::read(service, problems);
        let tuning = keys::read::<TuningArgs>(tuning, &[], problems);
        let control = Control::read(control, problems);
        let log = keys::read::<Log>(log, &[], problems);
        let system = System::read(system, problems);

        let (wan, lan) = (wan?, lan?);
        if same_interface(&wan.keys.link, &lan.keys.link) {
            let (name, both) = (&lan.keys.link, &wan.keys.link);
            problems.add(lan.place("link"), format!("link = '{name}': [wan] has {both}; the two sides are two links"));
        }
        let (service, service_keys) = service?;
        Service::check(&service_keys, &wan.keys, &lan.keys, problems);
        Some(Self {
            wan: wan.keys,
            lan: lan.keys,
            service,
            tuning: tuning?.keys,
            control: control?,
            log: log?.keys,
            system: system?,
        })
    }
}

/// Two sides of one interface, whatever its queues and however it is reached, would hear each other's frames.
fn same_interface(a: &LinkName, b: &LinkName) -> bool {
    let is_interface = |name: &LinkName| matches!(name.kind(), LinkKind::Interface | LinkKind::Xdp);
    a.port() == b.port() && (a.kind() == b.kind() || is_interface(a) && is_interface(b))
}

/// Reads a file of sections and keys, of 1 MiB at most.
pub(crate) fn read_file(path: &Path, problems: &mut Problems) -> Option<Section> {
    let name = path.display().to_string();
    match secret::read_text(path) {
        Ok(text) => Some(Section::parse(&name, &text, problems)),
        Err(error) => {
            problems.add(Place::File(Arc::from(name)), format!("cannot be read: {error}"));
            None
        }
    }
}

/// `hikyaku check`: says what a configuration would do.
pub fn check(args: &CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(&RunArgs { config: Some(args.config.clone()), ..RunArgs::default() })?;
    println!("ok: {}\n{}", args.config.display(), config.summary());
    Ok(())
}
