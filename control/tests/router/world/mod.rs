//! A line in virtual time: a scripted ISP and a LAN around one [`Router`]. Nothing here is the project's own code:
//! frames are built and read by etherparse, dhcproto and hickory-proto.
//!
//! Later kinds of lines add a [`Host`] behind the ISP's router, or answers to its resolver.

pub mod carried;
pub mod delegation;
pub mod isp;
pub mod lan;
pub mod resolver;
pub mod s46;
pub mod web;
pub mod wire;

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use hikyaku::router::{LAN, LinkFacts, Parts, Router, SessionsBefore, State, StateDir, Surroundings, WAN};
use hikyaku::show::report;
use hikyaku_config::Config;
use hikyaku_dataplane::counters::Counters;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::{Snapshot, Softwire};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_net::{Mac, Time};
use hikyaku_ring::LinkId;

use carried::Translates;
use isp::Isp;
use lan::Lan;

/// The router's Ethernet address on the LAN.
pub const LAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// The router's Ethernet address on the line.
pub const WAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);

/// Seconds since 1970 at the start.
const WALL: u64 = 1_700_000_000;

/// More turns than this at one moment are a router that runs in a circle.
const MOST_TURNS: u32 = 200;

/// `[wan]` and `[lan]` of every test; `[service]` follows.
pub const LINKS: &str = "[wan]\nlink = 'netmap:wan0'\ninterface-id = 'eui64'\n[lan]\nlink = 'netmap:lan0'\nipv4 = '192.168.1.1/24'\n\
                     [lan.dhcpv4]\npool = '192.168.1.100-192.168.1.200'\ndns = ['192.0.2.53']\n[tuning]\ntable = 1024\nhuge-pages = false\n";

/// Someone behind the ISP's router.
pub trait Host {
    /// Where packets to it go.
    fn address(&self) -> Ipv6Addr;
    /// An IPv6 packet came.
    fn hear(&mut self, now: Time, packet: &[u8]);
    /// The next IPv6 packet to send.
    fn poll(&mut self, now: Time) -> Option<Vec<u8>>;
    /// When to poll if nothing happens.
    fn next(&self) -> Option<Time> {
        None
    }
}

/// The router under test, and everything around it.
pub struct World {
    pub now: Time,
    pub router: Router,
    pub shared: Arc<Shared>,
    pub isp: Isp,
    pub lan: Lan,
    /// Further LANs.
    pub other_lans: Vec<Lan>,
    /// What the workers of this world have counted.
    pub counters: Counters,
    /// The states the line has been in, in order.
    pub states: Vec<State>,
    /// The snapshots that were published, in order.
    pub snapshots: Vec<Arc<Snapshot>>,
    /// What far ends there are: nothing else may be sent to them. Others are not looked at.
    pub far_ends: HashMap<Ipv6Addr, Translates>,
    /// The card of the WAN keeps solicited-node groups from the router.
    pub is_deaf: bool,
    /// Frames that the router sent.
    pub sent: u64,
    /// Turns of the router.
    pub turns: u64,
    /// Woken by a thread of the router's.
    woken: Receiver<()>,
    config: Arc<Config>,
    pub state_dir: PathBuf,
    /// By how many seconds the clock was set.
    pub clock_set: i64,
    disk: StateDir,
    started: Time,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

impl World {
    /// A router that is plugged in at this moment. `service`: its configuration, `[service]` first.
    pub fn new(service: &str) -> Self {
        Self::of(&format!("{LINKS}{service}"))
    }

    /// The same of a whole configuration.
    pub fn of(config: &str) -> Self {
        let config = Arc::new(Config::parse("test.toml", config).unwrap());
        let state_dir = std::env::temp_dir().join(format!("hikyaku-router-{}", rand::random::<u64>()));
        let shared = Shared::new(Snapshot::default());
        let now = Time(1_000_000_000);
        let (router, woken) = start(&config, &state_dir, &shared, WAN_MAC, (now, WALL));
        let mut world = Self {
            now,
            router,
            isp: Isp::new(now),
            lan: Lan::new(config.lans[0].ipv4.address),
            other_lans: config.lans[1..].iter().map(|lan| Lan::new(lan.ipv4.address)).collect(),
            counters: Counters::default(),
            states: Vec::new(),
            snapshots: vec![shared.snapshot.load_full()],
            shared,
            far_ends: HashMap::new(),
            is_deaf: false,
            sent: 0,
            turns: 0,
            woken,
            disk: disk(&config, &state_dir),
            config,
            state_dir,
            clock_set: 0,
            started: now,
        };
        world.plug();
        world
    }

    /// All links have a carrier.
    fn plug(&mut self) {
        self.router.set_links(self.now, &vec![true; self.config.links().len()]);
    }

    /// The WAN link is another station from now on, for the control thread that starts over.
    pub fn relink(&mut self, mac: Mac) {
        self.isp.station = mac;
        self.restart(false);
    }

    /// The program is started again when the clock was set by so many seconds.
    pub fn restart_at(&mut self, clock_set: i64) {
        for save in self.router.rest_to_save(self.now, self.wall()) {
            self.disk.save(&save).unwrap();
        }
        self.clock_set = clock_set;
        self.restart(true);
    }

    /// The program is started again with this configuration.
    pub fn restart_with(&mut self, config: &str) {
        for save in self.router.rest_to_save(self.now, self.wall()) {
            self.disk.save(&save).unwrap();
        }
        self.config = Arc::new(Config::parse("test.toml", config).unwrap());
        self.disk = disk(&self.config, &self.state_dir);
        self.other_lans = self.config.lans[1..].iter().map(|lan| Lan::new(lan.ipv4.address)).collect();
        self.restart(true);
    }

    /// The program, or its control thread only (`shared` lives on), starts over.
    pub fn restart(&mut self, whole_program: bool) {
        if whole_program {
            self.shared = Shared::new(Snapshot::default());
            self.snapshots = vec![self.shared.snapshot.load_full()];
        }
        let wall = self.wall();
        for save in self.router.rest_to_save(self.now, wall) {
            self.disk.save(&save).unwrap();
        }
        let mac = self.isp.station;
        (self.router, self.woken) = start(&self.config, &self.state_dir, &self.shared, mac, (self.now, wall));
        self.plug();
        self.states.clear();
    }

    /// The configuration is read again, and is this. The keys that stay what they are until a restart.
    pub fn reload(&mut self, file: &str) -> Vec<String> {
        let read = Config::parse("test.toml", file).unwrap();
        let (config, kept) = self.config.reloaded(read);
        self.config = Arc::new(config);
        self.router.reload(self.now, self.wall(), self.config.clone());
        kept
    }

    fn wall(&self) -> u64 {
        (WALL + self.now.since(self.started).as_secs()).saturating_add_signed(self.clock_set)
    }

    /// Lets time pass, in which everybody does what is due.
    pub fn pass(&mut self, time: Duration) {
        self.pass_until(time, |_| false);
    }

    /// Lets time pass until `done`, for `most` at most. Whether it came to that.
    pub fn pass_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            self.settle();
            if done(self) {
                return true;
            }
            let next = [Some(self.router.next()), self.isp.next(), self.lan.next()].into_iter().flatten().min();
            match next.map(|next| next.max(self.now)) {
                Some(next) if next <= end => self.now = next,
                _ => {
                    self.now = end;
                    self.settle();
                    return done(self);
                }
            }
        }
    }

    /// As [`Self::pass_until`], for as long as a thread of the router's works: time passes as on the wall.
    pub fn pass_with_threads(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        while self.now < end {
            let moment = Duration::from_millis(5);
            if self.pass_until(moment, &done) {
                return true;
            }
            let _ = self.woken.recv_timeout(moment);
        }
        false
    }

    /// Panics, with the states so far, if the line does not carry within `most`.
    pub fn carries_within(&mut self, most: Duration) {
        let carries = self.pass_until(most, |world| matches!(world.router.state(), State::Carrying { .. }));
        assert!(carries, "{:?}", self.states);
    }

    /// All that happens at this moment.
    fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            let wall = self.wall();
            self.router.turn(self.now, || self.counters.totals());
            self.turns += 1;
            self.note();
            let mut quiet = true;
            while let Some(save) = self.router.next_save(self.now, wall) {
                quiet = false;
                self.router.saved(self.now, save.file(), self.disk.save(&save));
            }
            while let Some(message) = self.router.next_frame() {
                quiet = false;
                self.sent += 1;
                match message.link {
                    WAN => {
                        carried::check_is_heard(&self.snapshot(), message.frame());
                        self.isp.hear(self.now, message.frame());
                    }
                    LAN => self.lan.hear(self.now, message.frame()),
                    LinkId(other) => self.other_lans[usize::from(other) - 2].hear(self.now, message.frame()),
                }
            }
            while let Some(frame) = self.isp.poll(self.now) {
                quiet = false;
                if !self.is_deaf || !frame.starts_with(&[0x33, 0x33, 0xff]) {
                    self.hear(WAN, &frame);
                }
            }
            while let Some(frame) = self.lan.poll(self.now) {
                quiet = false;
                self.hear(LAN, &frame);
            }
            for at in 0..self.other_lans.len() {
                while let Some(frame) = self.other_lans[at].poll(self.now) {
                    quiet = false;
                    self.hear(LinkId(at as u8 + 2), &frame);
                }
            }
            if quiet && self.router.next() > self.now {
                return;
            }
        }
        panic!("the router turns in a circle: {:?}", self.router.state());
    }

    fn note(&mut self) {
        if self.states.last() != Some(self.router.state()) {
            self.states.push(self.router.state().clone());
        }
        let snapshot = self.shared.snapshot.load_full();
        if !Arc::ptr_eq(&snapshot, self.snapshots.last().unwrap()) {
            carried::check(&snapshot, &self.far_ends);
            self.snapshots.push(snapshot);
        }
    }

    /// A frame is punted.
    pub fn hear(&mut self, link: LinkId, frame: &[u8]) {
        self.router.hear(self.now, &Message::new(link, frame).unwrap());
    }

    /// A packet that a worker cannot send, for want of an Ethernet address.
    pub fn hear_unresolved(&mut self, link: LinkId, frame: &[u8]) {
        let mut message = Message::new(link, frame).unwrap();
        message.unresolved = true;
        self.router.hear(self.now, &message);
    }

    /// So many packets leave for the border router, and so many come back, each second.
    pub fn traffic(&mut self, seconds: u64, out: u64, back: u64) {
        for _ in 0..seconds {
            self.counters.end(Verdict::Outbound, out);
            self.counters.end(Verdict::Inbound, back);
            self.pass(Duration::from_secs(1));
        }
    }

    /// The snapshot that workers are told now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// The tunnel in it.
    pub fn softwire(&self) -> Softwire {
        self.snapshot().softwires.first().expect("a softwire").clone()
    }

    /// What `hikyaku show status` is told.
    pub fn status(&self) -> report::Status {
        self.router.status(
            self.now,
            Surroundings {
                handles: &[],
                cores: &[],
                bursts: &mut [],
                control: Default::default(),
                heard: Vec::new(),
                memory: 0,
                names: Default::default(),
                warnings: &[],
            },
        )
    }

    /// Names of the states so far, without their particulars.
    pub fn state_names(&self) -> Vec<String> {
        self.states.iter().map(name_of).collect()
    }
}

/// A state's name in JSON.
pub fn name_of(state: &State) -> String {
    serde_json::to_value(state).unwrap()["state"].as_str().unwrap().to_string()
}

fn disk(config: &Config, path: &std::path::Path) -> StateDir {
    StateDir::new(path).with_lans(config.lans.iter().map(|lan| lan.name.as_str()))
}

/// A router of this configuration, and who is told when a thread of its wakes it.
pub fn start(
    config: &Arc<Config>,
    state_dir: &std::path::Path,
    shared: &Arc<Shared>,
    wan_mac: Mac,
    (now, wall): (Time, u64),
) -> (Router, Receiver<()>) {
    let link = |name: &str, mac| LinkFacts { name: name.into(), mac, mtu: 1500, mode: "bytes".into(), vlan: None };
    let (waker, woken) = bounded(1);
    let parts = Parts {
        config: config.clone(),
        hosts: vec![false; config.links().len()],
        links: ["lan0", "wan0", "lan1", "lan2"]
            .map(|name| link(name, if name == "wan0" { wan_mac } else { LAN_MAC }))
            .into_iter()
            .take(config.links().len())
            .collect(),
        workers: 2,
        shared: shared.clone(),
        state: disk(config, state_dir),
        sessions: SessionsBefore::default(),
        wake: Arc::new(move || _ = waker.try_send(())),
    };
    (Router::new(parts, now, wall).unwrap(), woken)
}
