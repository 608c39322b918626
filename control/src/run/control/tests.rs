//! The thread itself, beside a worker on memory rings: what it survives, how it sleeps and how it ends.

mod disk;
mod names;
mod stalls;

use std::net::Ipv4Addr;
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;

use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::{self, Idle, Worker};
use hikyaku_net::Mac;
use hikyaku_protocols::dhcpv6;
use hikyaku_ring::Queue;
use hikyaku_ring::memory::{self, MemoryConfig, Wire};

use super::super::guard::tests::{Interface, MemoryWatch};
use super::*;
use crate::router::{LAN, Save, SessionsBefore, State, StateFile, Unsaved, WAN, host_of, link_of};

const LAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const WAN_MAC: Mac = Mac([2, 0, 0, 0, 0, 2]);
const ROUTER_MAC: Mac = Mac([2, 0, 0, 0, 9, 1]);
const HOST_MAC: Mac = Mac([2, 0, 0, 0, 8, 1]);
const HOST: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 9);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// VALE ports have a carrier always, and are not opened here.
const CONFIG: &str = "[wan]\nlink = 'vale0:wan'\ninterface-id = 'eui64'\nmtu = 1500\n[lan]\nlink = 'vale0:lan'\nipv4 = '192.168.1.1/24'\n\
                      [service]\nkind = 'ipip'\nbr = '2001:db8:b::1'\nipv4 = '198.51.100.1'\n[tuning]\ntable = 1024\nhuge-pages = false\n";

/// RFC 4861 4.2: the M flag.
const MANAGED: u8 = 0x80;
/// Type of a Release message (RFC 8415 7.3).
const RELEASE: u8 = 8;

/// Whatever takes longer is stuck.
const STUCK: Duration = Duration::from_secs(60);

/// A running router between two wires.
struct Lab {
    lan: Wire,
    wan: Wire,
    /// The second LAN's, where there is one.
    guests: Option<Wire>,
    /// What the WAN link is opened on, and another one of the same memory.
    interface: Arc<Interface>,
    spare: Option<(Queue, Wire)>,
    handle: Handle,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    /// The configuration's file, and that it is to be read again.
    file: Arc<Mutex<String>>,
    reload: Arc<AtomicBool>,
    workers_stop: Arc<AtomicBool>,
    control: Option<JoinHandle<Result<(), Standstill>>>,
    worker: Option<JoinHandle<Worker>>,
    state: std::path::PathBuf,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// What a [`Lab`] is made of.
struct Setup {
    config: String,
    /// A state file of before.
    known: Option<(StateFile, String)>,
    before_turn: Hook,
    /// How a state file is written.
    write: fn(&StateDir, &Save) -> Result<(), Unsaved>,
    /// Questions of the control socket.
    queries: Receiver<Query>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            config: CONFIG.into(),
            known: None,
            before_turn: Box::new(|_| ()),
            write: StateDir::save,
            queries: crossbeam_channel::never(),
        }
    }
}

impl Lab {
    fn new(before_turn: impl FnMut(&Router) + Send + 'static) -> Self {
        Self::of(Setup { before_turn: Box::new(before_turn), ..Setup::default() })
    }

    fn of(setup: Setup) -> Self {
        let Setup { config: text, known, before_turn, write, queries } = setup;
        let mut links = memory::links(4, 1, MemoryConfig::default()).unwrap().into_iter().flatten();
        let ((lan_queue, lan), (wan_queue, wan)) = (links.next().unwrap(), links.next().unwrap());
        let spare = links.next();
        let shared = Shared::new(Snapshot::default());
        let config = worker::Config { idle: Idle::Yield, ..Default::default() };
        let lans = Config::parse("test.toml", &text).unwrap().lans.len();
        let mut queues = vec![(LAN, lan_queue), (WAN, wan_queue)];
        let guests = links.next().filter(|_| lans > 1).map(|(queue, wire)| {
            queues.push((link_of(LanId(1)), queue));
            wire
        });
        let worker = Worker::new(0, queues, &shared, config);
        let handles = vec![worker.handle()];
        let handle = handles[0].clone();
        let interface = Arc::new(Interface::default());
        let watch = Box::new(MemoryWatch(interface.clone()));
        let (report, recorder) = BurstReport::new();
        let workers_stop = Arc::new(AtomicBool::new(false));
        let worker = worker.spawn(None, workers_stop.clone(), recorder).unwrap();
        let state = std::env::temp_dir().join(format!("hikyaku-control-{}", rand::random::<u64>()));
        let stop = Arc::new(AtomicBool::new(false));
        let link = |name: &str, mac| LinkFacts { name: name.into(), mac, mtu: 1500, mode: "memory".into(), vlan: None };
        let facts = [link("lan", LAN_MAC), link("wan", WAN_MAC), link("guests", LAN_MAC)];
        let (facts, shared_there) = (facts.into_iter().take(lans + 1).collect(), shared.clone());
        let (file, reload) = (Arc::new(Mutex::new(text.clone())), Arc::new(AtomicBool::new(false)));
        let (file_there, reload_there) = (file.clone(), reload.clone());
        let (stop_there, state_dir) = (stop.clone(), StateDir::new(&state));
        if let Some((file, text)) = known {
            std::fs::create_dir_all(&state).unwrap();
            std::fs::write(state.join(file.stem()).with_extension("json"), text).unwrap();
        }
        let control = thread::spawn(move || {
            let writes = state_dir.clone();
            let names = Names::start(shared_there.clone(), handles[0].clone(), lans).unwrap();
            let thread = ControlThread {
                config: Arc::new(Config::parse("test.toml", &text).unwrap()),
                facts,
                hosts: vec![false; lans + 1],
                guards: [(LAN, "lan", None), (WAN, "wan", Some(watch as _)), (link_of(LanId(1)), "guests", None)]
                    .into_iter()
                    .take(lans + 1)
                    .map(|(id, name, watch)| {
                        let name = format!("vale0:{name}").parse().unwrap();
                        LinkGuard::new(name, [id, host_of(id, lans + 1)], false, watch)
                    })
                    .collect(),
                cards: ["vale0:lan", "vale0:wan", "vale0:guests"]
                    .into_iter()
                    .take(lans + 1)
                    .map(|link| Card::open(&link.parse().unwrap(), None, LAN_MAC))
                    .collect(),
                memory: 0,
                shared: shared_there,
                handles,
                state: state_dir,
                writer: Writer::start(move |save| write(&writes, save), thread::current()).unwrap(),
                names,
                sessions: SessionsBefore::default(),
                reload: Reload {
                    asked: reload_there,
                    read: Box::new(move || Config::parse("test.toml", &file_there.lock().unwrap())),
                    level: Box::new(|_| ()),
                    warnings: Vec::new(),
                },
                queries,
                cores: Vec::new(),
                bursts: vec![report],
                stop: stop_there,
                watchdog: Watchdog::default(),
                turns: Turns::default(),
                before_turn: Some(before_turn),
            };
            thread.run()
        });
        Self {
            lan,
            wan,
            guests,
            interface,
            spare,
            handle,
            shared,
            stop,
            file,
            reload,
            workers_stop,
            control: Some(control),
            worker: Some(worker),
            state,
        }
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.control.take() {
            thread.join().unwrap().unwrap();
        }
        self.workers_stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.worker.take() {
            thread.join().unwrap();
        }
    }

    /// The line's router advertises itself and a prefix; a host asks for ours by ARP.
    fn come_up(&mut self) {
        self.until(|lab| {
            lab.advertise();
            assert!(lab.lan.deliver(&arp_request()));
            let snapshot = lab.shared.snapshot.load();
            let known = snapshot.link(LAN).is_some_and(|lan| lan.neighbours.get(HOST.into()).is_some());
            known && snapshot.softwires.first().is_some_and(|softwire| softwire.next_hop.is_some())
        });
    }

    fn advertise(&mut self) {
        let mut frame = Vec::new();
        let body = [
            &[0; 8][..],
            &[1, 1],
            &ROUTER_MAC.0,
            &[3, 4, 64, 0xc0, 0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
            &"2001:db8:1::".parse::<std::net::Ipv6Addr>().unwrap().octets(),
        ];
        let [source, all_nodes] = ["fe80::1", "ff02::1"].map(|a| a.parse::<std::net::Ipv6Addr>().unwrap().octets());
        etherparse::PacketBuilder::ethernet2(ROUTER_MAC.0, [0x33, 0x33, 0, 0, 0, 1])
            .ipv6(source, all_nodes, 255)
            .icmpv6_raw(134, 0, [64, MANAGED, 7, 8])
            .write(&mut frame, &body.concat())
            .unwrap();
        assert!(self.wan.deliver(&frame));
    }

    /// Looks again and again.
    #[track_caller]
    fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + STUCK;
        while !done(self) {
            assert!(Instant::now() < end, "stuck");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// A host's packet to the Internet.
    fn ask(&mut self) {
        let mut frame = Vec::new();
        etherparse::PacketBuilder::ethernet2(HOST_MAC.0, LAN_MAC.0)
            .ipv4(HOST.octets(), [203, 0, 113, 5], 64)
            .udp(4000, 53)
            .write(&mut frame, b"question")
            .unwrap();
        assert!(self.lan.deliver(&frame));
    }

    /// Whether such a packet comes out of the tunnel's mouth.
    fn forwards(&mut self) -> bool {
        self.ask();
        let end = Instant::now() + STUCK;
        while Instant::now() < end {
            let mut tunnelled = 0;
            self.wan.collect(|frame| tunnelled += u32::from(frame[20] == 4));
            if tunnelled > 0 {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

/// The process ends, and whoever supervises it starts it again.
#[test]
fn a_worker_that_stands_still_ends_it() {
    let mut lab = Lab::new(|_| ());
    lab.come_up();
    lab.workers_stop.store(true, Ordering::Relaxed);
    let control = lab.control.take().unwrap();
    let end = Instant::now() + STUCK;
    while !control.is_finished() {
        assert!(Instant::now() < end, "nobody sees it");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(control.join().unwrap(), Err(Standstill { worker: 0 }));
    let error = anyhow::Error::from(Standstill { worker: 0 });
    assert_eq!(crate::exit::code(&error), std::process::ExitCode::from(3));
}

fn arp_request() -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    let addresses = [&HOST_MAC.0[..], &HOST.octets(), &[0; 6], &GATEWAY.octets()];
    [&[0xff; 6][..], &HOST_MAC.0, &head, &addresses.concat()].concat()
}

/// The control thread panics again and again. Workers forward on the last snapshot, the pauses grow, and the one that
/// lives publishes nothing less than what was known.
#[test]
fn a_panic_is_survived() {
    let (told, lives) = mpsc::channel();
    let panic = Arc::new(AtomicBool::new(false));
    let asked = panic.clone();
    let mut lab = Lab::new(move |router| {
        // Each life's first turn is in a state that no later one is in.
        if *router.state() == State::LinkDown {
            let _ = told.send(Instant::now());
        }
        assert!(!asked.load(Ordering::Relaxed), "injected");
    });
    lab.come_up();
    assert!(lab.forwards());
    let before = lab.shared.snapshot.load_full();
    while lives.try_recv().is_ok() {}
    panic.store(true, Ordering::Relaxed);
    let starts: Vec<Instant> = (0..4).map(|_| lives.recv_timeout(STUCK).expect("it starts over")).collect();
    let pauses: Vec<Duration> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] >= PAUSE[0] * 2 && pauses[1] >= PAUSE[1], "{pauses:?}");
    assert!(lab.forwards(), "without a control thread");
    assert!(Arc::ptr_eq(&before, &lab.shared.snapshot.load_full()));
    panic.store(false, Ordering::Relaxed);
    let _ = lives.recv_timeout(STUCK).expect("it starts over");
    assert!(lab.forwards());
    let held = lab.shared.snapshot.load_full();
    assert_eq!(held.softwires[0].next_hop, before.softwires[0].next_hop, "nothing is known yet: nothing is published");
    lab.until(|lab| {
        lab.advertise();
        !Arc::ptr_eq(&held, &lab.shared.snapshot.load_full())
    });
    let after = lab.shared.snapshot.load_full();
    let napt = |snapshot: &Snapshot| snapshot.softwires[0].napt.clone().unwrap();
    assert!(Arc::ptr_eq(&napt(&before), &napt(&after)));
    assert_eq!(after.softwires[0].next_hop, before.softwires[0].next_hop);
    assert!(lab.forwards());
}

/// The configuration is read again while traffic flows. One that is wrong changes nothing; of one that is right workers
/// are told by a snapshot with the same sessions in it, and every packet comes out.
#[test]
fn the_configuration_is_read_again() {
    let mut lab = Lab::new(|_| ());
    lab.come_up();
    assert!(lab.forwards());
    let before = lab.shared.snapshot.load_full();
    let napt = |snapshot: &Snapshot| snapshot.softwires[0].napt.clone().unwrap();
    let read = |lab: &mut Lab, service: &str| {
        *lab.file.lock().unwrap() = CONFIG.replace("[tuning]", &format!("{service}\n[tuning]"));
        lab.reload.store(true, Ordering::Relaxed);
        lab.until(|lab| {
            assert!(lab.forwards());
            !lab.reload.load(Ordering::Relaxed)
        });
        // Whatever came of it is published by then.
        for _ in 0..20 {
            assert!(lab.forwards());
        }
    };
    read(&mut lab, "tunnel-mtu = 1");
    assert!(Arc::ptr_eq(&before, &lab.shared.snapshot.load_full()));
    read(&mut lab, "tunnel-mtu = 1400\nforward = ['tcp/443=192.168.1.9']");
    lab.until(|lab| !Arc::ptr_eq(&before, &lab.shared.snapshot.load_full()));
    let after = lab.shared.snapshot.load_full();
    assert!(Arc::ptr_eq(&napt(&before), &napt(&after)));
    assert_eq!(napt(&after).forwards().len(), 1);
    assert_ne!(after.softwires[0].mtu, before.softwires[0].mtu);
    assert_eq!(after.softwires[0].next_hop, before.softwires[0].next_hop);
    assert_eq!(after.link(LAN).unwrap().neighbours.get(HOST.into()), Some(HOST_MAC));
    lab.end();
    let totals = lab.handle.counters.totals();
    assert_eq!(totals.verdict(Verdict::Outbound), totals.received() - totals.verdict(Verdict::Punted), "{totals:?}");
}

/// Nothing to do is no work: turns are as rare as the longest sleep and the machines' timers have them.
#[test]
fn an_idle_thread_sleeps() {
    let (told, turns) = mpsc::channel();
    let mut lab = Lab::new(move |_| _ = told.send(()));
    lab.come_up();
    while turns.try_recv().is_ok() {}
    let began = Instant::now();
    thread::sleep(CARRIERS * 4);
    let sleeps = began.elapsed().as_nanos() / CARRIERS.as_nanos();
    let turned = turns.try_iter().count();
    assert!((turned as u128) < sleeps * 2 + 40, "{turned} turns in the time of {sleeps} sleeps");
}

/// RFC 9096 WPD-9: who is told to stop keeps its leases, for the next start. RFC 8415 18.2.7: with `release-at-exit`,
/// also where that was set while it ran, they are given back, and it ends although nobody answers.
#[test]
fn leases_are_given_back_at_the_end_if_wanted() {
    assert!(!releases_at_the_end(|_| ()));
    assert!(releases_at_the_end(|lab| {
        *lab.file.lock().unwrap() = format!("{CONFIG}[wan.dhcpv6]\nrelease-at-exit = true\n");
        lab.reload.store(true, Ordering::Relaxed);
        lab.until(|lab| !lab.reload.load(Ordering::Relaxed));
    }));
}

/// Whether a router with a lease sends a Release when it is told to stop, after this was done to it.
fn releases_at_the_end(before: impl FnOnce(&mut Lab)) -> bool {
    let forever = |what| dhcpv6::SavedLease { what, preferred_until: None, valid_until: None };
    let lease = dhcpv6::Lease {
        saved: wall(),
        client: dhcpv6::Duid::link_layer(WAN_MAC),
        server: dhcpv6::Duid::new(b"server").unwrap(),
        prefixes: vec![forever("2001:db8:1100::/56".parse().unwrap())],
        addresses: vec![],
        t1: None,
        t2: None,
        information: Default::default(),
    };
    let mut lab =
        Lab::of(Setup { known: Some((StateFile::Dhcpv6, serde_json::to_string(&lease).unwrap())), ..Setup::default() });
    lab.come_up();
    before(&mut lab);
    lab.stop.store(true, Ordering::Relaxed);
    let mut released = false;
    lab.until(|lab| {
        // UDP from port 546 to 547.
        let is_release = |frame: &[u8]| frame.get(54..58) == Some(&[2, 34, 2, 35]) && frame.get(62) == Some(&RELEASE);
        lab.wan.collect(|frame| released |= is_release(frame));
        lab.control.as_ref().unwrap().is_finished()
    });
    released
}

/// The interface is removed while traffic flows, and another of its name has another address. What comes meanwhile is
/// dropped and counted; afterwards it goes on by itself. Every buffer is in one ring.
#[test]
fn a_link_goes_away_and_comes_back() {
    const NEW_MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
    let mut lab = Lab::new(|_| ());
    lab.come_up();
    assert!(lab.forwards());
    lab.interface.gone.store(true, Ordering::Relaxed);
    let counted = |lab: &Lab, event| lab.handle.counters.event(event);
    lab.until(|lab| counted(lab, Event::QueueLost) == 1);
    let dropped = Verdict::Dropped(Reason::NoRoute);
    lab.until(|lab| {
        lab.ask();
        lab.handle.counters.verdict(dropped) >= 100
    });
    lab.until(|lab| lab.interface.tries.load(Ordering::Relaxed) >= 2);
    assert_eq!(counted(&lab, Event::QueueAdopted), 0);

    let (queue, wire) = lab.spare.take().unwrap();
    let old = std::mem::replace(&mut lab.wan, wire);
    lab.interface.comes_back(NEW_MAC, vec![queue], Vec::new());
    lab.until(|lab| counted(lab, Event::QueueAdopted) == 1);
    lab.until(|lab| {
        lab.advertise();
        lab.shared.snapshot.load().link(WAN).is_some_and(|link| link.mac == NEW_MAC)
    });
    lab.come_up();
    for _ in 0..3000 {
        assert!(lab.forwards());
    }
    lab.end();
    let totals = lab.handle.counters.totals();
    assert!(totals.add_up(), "{totals:?}");
    let mut buffers: Vec<u32> = [&lab.lan, &lab.wan, &old].into_iter().flat_map(Wire::buffers).collect();
    let all = buffers.len();
    buffers.sort_unstable();
    buffers.dedup();
    assert_eq!(buffers.len(), all);
}

/// Its next interface may have a carrier already while no queue of it is ours.
#[test]
fn a_link_is_not_up_before_it_is_open_again() {
    for (gone, expected) in [
        ([false, false], [LinkState::Carrier, LinkState::NoCarrier]),
        ([true, false], [LinkState::Gone, LinkState::NoCarrier]),
        ([true, true], [LinkState::Gone, LinkState::Gone]),
    ] {
        assert_eq!(while_gone(vec![LinkState::Carrier, LinkState::NoCarrier], gone.into_iter()), expected, "{gone:?}");
    }
}

/// RFC 2464: what is made of an Ethernet address is made anew with it.
#[test]
fn a_link_that_is_another_is_noticed() {
    let was = LinkFacts { name: "lan".into(), mac: LAN_MAC, mtu: 1500, mode: "native".into(), vlan: None };
    let mut facts = was.clone();
    assert!(!relink(&mut facts, LinkFacts { mode: "generic".into(), ..was.clone() }));
    assert_eq!(facts.mode, "generic");
    assert!(relink(&mut facts, LinkFacts { mtu: 1400, ..was.clone() }));
    assert!(relink(&mut facts, LinkFacts { mac: WAN_MAC, mtu: 1400, ..was }));
    assert_eq!((facts.mac, facts.mtu), (WAN_MAC, 1400));
}
