//! The configuration as a whole: file and flags in, everything that is wrong or a [`Config`] out.

use std::path::Path;

use hikyaku_ring::{LinkKind, LinkName};
use hikyaku_schema::{Place, Problems, Reader, Section, Tuning, read_file};

use crate::lan::Lan;
use crate::overlay::Overlay;
use crate::rule::{self, Rules};
use crate::schema::set_keys;
use crate::service::Service;
use crate::system::{Control, Log, System};
use crate::wan::Wan;

/// A configuration that makes sense.
#[derive(Clone, Debug)]
pub struct Config {
    /// The side towards the line.
    pub wan: Wan,
    /// The side of the hosts.
    pub lan: Lan,
    /// What the line is to be.
    pub service: Service,
    /// Which sessions may begin.
    pub rules: Rules,
    /// How workers use the machine.
    pub tuning: Tuning,
    /// The socket that `hikyaku show` asks.
    pub control: Control,
    /// What is logged, and how.
    pub log: Log,
    /// What the program may do, and where it keeps what it must not forget.
    pub system: System,
    /// The keys that are set to another value than their default, as one would write them.
    pub set: Vec<String>,
}

/// The sections there are outside of others.
const SECTIONS: [&str; 7] = ["wan", "lan", "service", "tuning", "control", "log", "system"];

impl Config {
    /// Reads file and flags. An error is [`Problems`]: everything that is wrong, at once.
    pub fn load(file: Option<&Path>, flags: &Overlay) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let root = match file {
            None => Some(Section::new("", Place::CommandLine)),
            Some(path) => read_file(path, &mut problems),
        };
        Self::from_tree(root, flags, problems)
    }

    /// Reads the text of a file; `name` is what problems call it.
    pub fn parse(name: &str, text: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let root = Section::parse(name, text, &mut problems);
        Self::from_tree(Some(root), &Overlay::default(), problems)
    }

    fn from_tree(root: Option<Section>, flags: &Overlay, mut problems: Problems) -> Result<Self, Problems> {
        let config = root.and_then(|mut root| {
            flags.put(&mut root);
            Self::read(root, &mut problems)
        });
        match config {
            Some(config) if problems.0.is_empty() => Ok(config),
            _ => Err(problems.in_order()),
        }
    }

    fn read(mut root: Section, problems: &mut Problems) -> Option<Self> {
        let set = set_keys(&root);
        let [wan, lan, service, tuning, control, log, system] = SECTIONS.map(|name| {
            let only = match name {
                "wan" => "hikyaku has one line so far",
                "lan" => "hikyaku has one LAN so far",
                _ => "it is there once",
            };
            root.take(name, only, problems)
        });
        let rules = root.take_all("rule");
        // A file has no keys outside of sections.
        let known: Vec<&str> = SECTIONS.into_iter().chain(["rule"]).collect();
        Reader::new(root, problems).end(&known);
        // Each is read whatever is wrong with the others.
        let wan = Wan::read(wan, problems);
        let lan = Lan::read(lan, problems);
        let service = Service::read(service, problems);
        let rules = rule::Written::read(rules, problems);
        let tuning = tuning.read::<Tuning>(&[], problems);
        let control = control.read::<Control>(&[], problems);
        let log = log.read::<Log>(&[], problems);
        let system = system.read::<System>(&[], problems);

        let (wan, lan) = (wan?, lan?);
        if same_interface(&wan.keys.link, &lan.keys.link) {
            let (name, both) = (&lan.keys.link, &wan.keys.link);
            problems
                .add(lan.at.place("link"), format!("link = '{name}': [wan] has {both}; the two sides are two links"));
        }
        let (mut service, written) = service?;
        service.check(&written, &wan.keys, &lan.keys, problems);
        let rules = rules.check(&lan.keys, &mut service, problems);
        Some(Self {
            wan: wan.keys,
            lan: lan.keys,
            service,
            rules,
            tuning: tuning?.keys,
            control: control?.keys,
            log: log?.keys,
            system: system?.keys,
            set,
        })
    }
}

/// Two sides of one interface, whatever its queues and however it is reached, would hear each other's frames.
fn same_interface(a: &LinkName, b: &LinkName) -> bool {
    let is_interface = |name: &LinkName| matches!(name.kind(), LinkKind::Interface | LinkKind::Xdp);
    a.port() == b.port() && (a.kind() == b.kind() || is_interface(a) && is_interface(b))
}
