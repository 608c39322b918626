//! The configuration as a whole: file and flags in, everything that is wrong or a [`Config`] out.

use std::path::Path;

use hikyaku_ring::LinkName;
use hikyaku_schema::{Place, Problems, Reader, Section, Tuning, read_file};

use crate::lan::Lan;
use crate::lans;
use crate::overlay::Overlay;
use crate::route::{self, StaticRoute};
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
    /// The sides of the hosts: one at least. Numbers of LANs are places in this list.
    pub lans: Vec<Lan>,
    /// What is behind routers of the LANs.
    pub routes: Vec<StaticRoute>,
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

/// The sections there are once, outside of others, and those that there may be any number of.
const SECTIONS: [&str; 6] = ["wan", "service", "tuning", "control", "log", "system"];
const REPEATED: [&str; 3] = ["lan", "route", "rule"];

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

    /// All links, as routers number them: that of the first LAN, the line's, those of further LANs.
    pub fn links(&self) -> Vec<&LinkName> {
        let (first, more) = self.lans.split_at(1);
        let (first, more) = (first.iter().map(|lan| &lan.link), more.iter().map(|lan| &lan.link));
        first.chain([&self.wan.link]).chain(more).collect()
    }

    /// Whether hosts are to send what is not translated and has sessions here: native IPv6, or from one LAN to another.
    pub fn has_untranslated(&self) -> bool {
        self.lans.len() > 1 || self.lans.iter().any(|lan| lan.ipv6.is_on())
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
        let [wan, service, tuning, control, log, system] = SECTIONS.map(|name| {
            let only = if name == "wan" { "hikyaku has one line so far" } else { "it is there once" };
            root.take(name, only, problems)
        });
        let [lans, routes, rules] = REPEATED.map(|name| root.take_all(name));
        // One that is not there lacks what it must have.
        let no_lan = root.take("lan", "", problems);
        // A file has no keys outside of sections.
        let known: Vec<&str> = SECTIONS.into_iter().chain(REPEATED).collect();
        Reader::new(root, problems).end(&known);
        // Each is read whatever is wrong with the others.
        let wan = Wan::read(wan, problems);
        let lans = lans::read(lans, no_lan, problems);
        let service = Service::read(service, problems);
        let routes = route::read(routes, problems);
        let rules = rule::Written::read(rules, problems);
        let tuning = tuning.read::<Tuning>(&[], problems);
        let control = control.read::<Control>(&[], problems);
        let log = log.read::<Log>(&[], problems);
        let system = system.read::<System>(&[], problems);

        let (wan, lans) = (wan?, lans?);
        lans::check(&lans, &wan.keys, problems);
        let lans: Vec<Lan> = lans.into_iter().map(|lan| lan.keys).collect();
        let (mut service, written) = service?;
        service.check(&written, &wan.keys, &lans, problems);
        let routes = route::check(&routes, &lans, problems);
        let rules = rules.check(&lans, &routes, &mut service, problems);
        Some(Self {
            wan: wan.keys,
            lans,
            routes,
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
