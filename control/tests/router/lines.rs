//! The lines of `hikyaku_lab::line`, each with a router, in virtual time: what `scripts/lab test lines` plays with whole
//! programs, in milliseconds.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hikyaku::router::{Router, StateDir, WAN};
use hikyaku_config::Config;
use hikyaku_dataplane::counters::Counters;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_lab::line::{FAR_END, Line, Row, rows};
use hikyaku_net::Time;

use crate::world::{WAN_MAC, start, wire};

/// As in every other test, but for the interface id, which is one that can be another.
const LINKS: &str = "[wan]\nlink = 'netmap:wan0'\n[lan]\nlink = 'netmap:lan0'\nipv4 = '192.168.1.1/24'\n\
                     [tuning]\ntable = 1024\nhuge-pages = false\n[service]\n";

/// How long the end of the program waits for answers.
const GOODBYE: Duration = Duration::from_secs(3);

#[test]
fn every_line_is_fulfilled() {
    let judge = |row: Row| Some(format!("{}: {}\n  {}", row.name, Played::new(&row).judge(&row).err()?, row.about));
    let wrong: Vec<_> = rows().into_iter().filter_map(judge).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A router on a line, and a host that pings once a second.
struct Played {
    now: Time,
    line: Line,
    router: Router,
    shared: Arc<Shared>,
    config: Arc<Config>,
    state_dir: PathBuf,
    disk: StateDir,
    counters: Counters,
    plugged: bool,
    /// Whether something came back through the tunnel at this moment.
    came_back: bool,
}

impl Drop for Played {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state_dir);
    }
}

impl Played {
    fn new(row: &Row) -> Self {
        let config = Arc::new(Config::parse("test.toml", &format!("{LINKS}{}", row.config)).unwrap());
        let state_dir = std::env::temp_dir().join(format!("hikyaku-line-{}", rand::random::<u64>()));
        let shared = Shared::new(Snapshot::default());
        let now = Time(1_000_000_000);
        let (mut router, _) = start(&config, &state_dir, &shared, WAN_MAC, (now, 0));
        router.set_links(now, &[true, true]);
        Self {
            now,
            line: Line::new(row),
            router,
            shared,
            config,
            disk: StateDir::new(&state_dir),
            state_dir,
            counters: Counters::default(),
            plugged: true,
            came_back: false,
        }
    }

    /// Plays it to its end.
    fn judge(mut self, row: &Row) -> Result<(), String> {
        let mut answered = BTreeSet::new();
        for second in 0..row.seconds() {
            if row.restarted == Some(second) {
                self.restart();
            }
            if self.ping() {
                answered.insert(second);
            }
            self.pass(Duration::from_secs(1), |_| false);
        }
        row.judge(&answered)?;
        let sources = self.line.sources();
        if row.one_address && sources.len() != 1 { Err(format!("inner sources: {sources:?}")) } else { Ok(()) }
    }

    /// The program ends, and starts with what it saved.
    fn restart(&mut self) {
        if self.config.wan.dhcpv6.release_at_exit {
            self.router.release(self.now);
            self.pass(GOODBYE, Router::is_released);
        }
        self.shared = Shared::new(Snapshot::default());
        let clocks = (self.now, self.elapsed().as_secs());
        for save in self.router.rest_to_save(clocks.0, clocks.1) {
            self.disk.save(&save).unwrap();
        }
        self.router = start(&self.config, &self.state_dir, &self.shared, WAN_MAC, clocks).0;
        self.router.set_links(self.now, &[true, self.plugged]);
    }

    fn elapsed(&self) -> Duration {
        self.now.since(Time(1_000_000_000))
    }

    /// A host's ping through the tunnel, as a worker would send it. Whether it comes back.
    fn ping(&mut self) -> bool {
        let snapshot = self.shared.snapshot.load_full();
        let Some(softwire) = snapshot.softwires.first() else { return false };
        let Some(next_hop) = softwire.next_hop else { return false };
        let source = softwire.napt.as_ref().map_or([192, 168, 1, 9].into(), |napt| napt.outside());
        let mut inner = Vec::new();
        let builder = etherparse::PacketBuilder::ipv4(source.octets(), [198, 51, 100, 2], 63);
        builder.icmpv4_echo_request(1, 1).write(&mut inner, &[]).unwrap();
        let (local, remote) = (Ipv6Addr::from(softwire.local), Ipv6Addr::from(softwire.remote));
        assert_eq!(remote, FAR_END);
        let mut packet = vec![0x60, 0, 0, 0, 0, inner.len() as u8, 4, 64];
        packet.extend([local.octets(), remote.octets()].concat());
        packet.extend(inner);
        self.counters.end(Verdict::Outbound, 1);
        self.line.hear(self.elapsed(), &wire::frame6(WAN_MAC, next_hop, &packet));
        self.came_back = false;
        self.settle();
        self.came_back
    }

    /// Lets time pass until `done`.
    fn pass(&mut self, time: Duration, done: impl Fn(&Router) -> bool) {
        let end = self.now + time;
        while self.now < end && !done(&self.router) {
            self.settle();
            let line = Time(1_000_000_000) + self.line.next();
            // A moment passes in any case: a router that is always due is no reason to stand still.
            let next = self.router.next().min(line).max(self.now + Duration::from_millis(1));
            self.now = next.min(end);
        }
    }

    /// All that happens at this moment, both ways, as often as one follows from the other. What workers keep to themselves is counted as they
    /// count it: packets of the tunnel, and errors that refuse our address.
    fn settle(&mut self) {
        for _ in 0..20 {
            let elapsed = self.elapsed();
            let mut quiet = true;
            while let Some(frame) = self.line.poll(elapsed) {
                quiet = false;
                let ours = frame[..6] == WAN_MAC.0 || frame[0] & 1 == 1;
                if ours && frame[12..14] == [0x86, 0xdd] && frame[20] == 4 {
                    self.came_back = true;
                    self.counters.end(Verdict::Inbound, 1);
                } else if ours && frame[12..14] == [0x86, 0xdd] && (frame[20], &frame[54..56]) == (58, &[1, 5]) {
                    self.shared.snapshot.load().softwires.iter().for_each(|softwire| softwire.state.note_refused());
                } else if ours {
                    self.router.hear(self.now, &Message::new(WAN, &frame).unwrap());
                }
            }
            if self.plugged != self.line.is_plugged() {
                self.plugged = self.line.is_plugged();
                self.router.set_links(self.now, &[true, self.plugged]);
            }
            let Self { router, counters, disk, .. } = self;
            router.turn(self.now, || counters.totals());
            while let Some(save) = router.next_save(self.now, elapsed.as_secs()) {
                quiet = false;
                router.saved(self.now, save.file(), disk.save(&save));
            }
            while let Some(message) = self.router.next_frame() {
                quiet = false;
                if message.link == WAN {
                    self.line.hear(elapsed, message.frame());
                }
            }
            if quiet {
                return;
            }
        }
    }
}
