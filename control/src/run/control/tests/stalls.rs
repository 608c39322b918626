//! What comes to the router itself is not kept waiting, whatever else the thread has to do.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use dhcproto::v4::{DhcpOption, MessageType};
use hikyaku_protocols::dhcpv4::{LeaseFile, SavedLease};

use super::disk::{dhcp, station};
use super::*;
use crate::show::{Answer, Claim, Status};

/// The longest turn: for so long an ARP request, a solicitation, an advertisement or a DHCP message waits.
const LONGEST_TURN: Duration = Duration::from_millis(50);

/// What the disk takes for a file.
const WRITE: Duration = Duration::from_secs(1);

/// How many leases there are, and hosts that are known: a tenth of what there may be, for tests build this crate without
/// optimisation, which is ten times as slow.
const HOSTS: u32 = 6_500;

fn host(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 9, 0, 10).to_bits() + n)
}

/// A LAN of many hosts, with leases of a year.
fn leases() -> LeaseFile {
    let lease = |n: u32| SavedLease {
        address: host(n),
        mac: Mac([2, 0, 1, 0, (n >> 8) as u8, n as u8]),
        client_id: (n % 2 == 1).then(|| format!("01020001{n:08x}")),
        shared_id: false,
        hostname: Some(format!("host-{n}.lan.example")),
        known: true,
        circuit: None,
        until: wall() + 30_000_000,
    };
    LeaseFile { saved: wall(), leases: (0..HOSTS).map(lease).collect() }
}

/// Asks the control socket, and throws the answer away; what is `show`n of status is given.
fn ask(socket: &std::path::Path, what: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{{\"show\":\"{what}\"}}").unwrap();
    let is_more = |line: &String| !line.starts_with("{\"done\"") && !line.starts_with("{\"error\"");
    BufReader::new(stream).lines().map(Result::unwrap).take_while(is_more).last().unwrap_or_default()
}

/// For how long this thread was on a core so far, as the system says (Linux, Documentation/scheduler/sched-stats.rst).
fn on_a_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The longest turn of a run.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    /// Its work, without what it waited for a core that somebody else had.
    work: Duration,
    /// As it is shown to the user: all of it.
    shown: Duration,
}

impl Longest {
    /// Looks at the work of every turn.
    fn watch(work: Arc<Mutex<Duration>>) -> Hook {
        let mut before = None;
        Box::new(move |_| {
            let now = on_a_core();
            if let (Some(now), Some(before)) = (now, before) {
                let mut longest = work.lock().unwrap();
                *longest = longest.max(now - before);
            }
            before = now;
        })
    }

    /// What is shown may be longer, for others have the cores too. But a turn that waits for a file is seen in it.
    fn is_short(self) -> bool {
        self.work <= LONGEST_TURN && self.shown < WRITE / 2
    }
}

/// Sessions of the NAPT's table, and of the filter's.
const SESSIONS: &str = "table = 1048576";

/// With a LAN of 6,500 leases, tables for a million sessions, a disk that takes a second for each file, `show` asked without a pause, the configuration read
/// again, leases given and renewed, and a router that advertises itself: no turn is longer than 50 ms.
#[test]
fn nothing_keeps_the_thread_for_long() {
    // A core that is shared may be taken away without the system's knowledge: one run of three counts.
    let longest: Vec<Longest> = (0..3).map(|_| longest_turn()).take_while(|turn| !turn.is_short()).collect();
    assert!(longest.len() < 3, "{longest:?}");
}

fn longest_turn() -> Longest {
    // The socket, and the lock beside it.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let text = CONFIG.replace("192.168.1.1/24", "10.9.0.1/15").replace("table = 1024", SESSIONS)
        + &format!("[lan.dhcpv4]\npool = '10.9.0.2-10.9.255.0'\n[control]\nsocket = '{}'\n", socket.display());
    let control = Config::parse("test.toml", &text).unwrap().control;
    let (server, queries) = Claim::take(&control).unwrap().bind(&control).unwrap().serve(|| {}).unwrap();
    let work = Arc::new(Mutex::new(Duration::ZERO));
    let mut lab = Lab::of(Setup {
        config: text,
        before_turn: Longest::watch(work.clone()),
        known: Some((StateFile::Dhcpv4(LanId(0)), serde_json::to_string(&leases()).unwrap())),
        queries,
        write: |dir, save| {
            thread::sleep(WRITE);
            dir.save(save)
        },
    });
    // Our address is checked first (RFC 5227 2.1).
    lab.until(|lab| {
        lab.lan.deliver(&dhcp(station(0), MessageType::Discover, &[]));
        let mut offers = 0;
        lab.lan.collect(|frame| offers += u32::from(frame.get(34..38) == Some(&[0, 67, 0, 68])));
        offers > 0
    });
    let end = Instant::now() + Duration::from_secs(5);
    let asking = thread::spawn({
        let socket = socket.clone();
        move || {
            let words = ["status", "leases", "neighbours", "counters", "sessions", "ports"];
            words.into_iter().cycle().take_while(|_| Instant::now() < end).for_each(|what| _ = ask(&socket, what));
        }
    });
    let mut number = 0u8;
    while Instant::now() < end {
        number = number.wrapping_add(1);
        lab.advertise();
        lab.lan.deliver(&dhcp(station(number), MessageType::Discover, &[]));
        let holder = number & !1;
        let had = DhcpOption::RequestedIpAddress(host(holder.into()));
        lab.lan.deliver(&dhcp(Mac([2, 0, 1, 0, 0, holder]), MessageType::Request, &[had]));
        if number.is_multiple_of(16) {
            lab.reload.store(true, Ordering::Relaxed);
        }
        lab.lan.collect(|_| ());
        lab.wan.collect(|_| ());
        thread::sleep(Duration::from_millis(10));
    }
    asking.join().unwrap();
    let status: Answer<Status> = serde_json::from_str(&ask(&socket, "status")).unwrap();
    let Answer::Part(status) = status else { panic!("{status:?}") };
    assert!(status.lan.leases >= Some(HOSTS as usize), "{:?}", status.lan);
    let work = *work.lock().unwrap();
    let longest = Longest { work, shown: Duration::from_micros(status.control.longest_turn_us.unwrap()) };
    lab.end();
    drop(server);
    println!("{longest:?}");
    longest
}
