//! The control thread's mind as a whole, on a line of bytes.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use etherparse::PacketBuilder;
use hikyaku::config::Config;
use hikyaku::router::{LinkFacts, Parts, Router, StateDir, WAN};
use hikyaku_dataplane::packet::Mac;
use hikyaku_dataplane::snapshot::Snapshot;
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::worker::{Message, Shared};

const WALL: u64 = 1_700_000_000;
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// As it is made of our Ethernet address, for the server to answer to.
const OUR_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 2);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Flags of a router advertisement.
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

const INFORMATION_REQUEST: u8 = 11;
const RELEASE: u8 = 8;

struct Line {
    router: Router,
    now: Time,
    state: std::path::PathBuf,
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

impl Line {
    fn new() -> Self {
        let text = "[wan]\nlink = 'netmap:wan0'\ninterface-id = 'eui64'\n[lan]\nlink = 'netmap:lan0'\nipv4 = '192.168.1.1/24'\n\
                    [service]\nkind = 'dslite'\n";
        let link = |name: &str, last| LinkFacts {
            name: name.into(),
            mac: Mac([2, 0, 0, 0, 0, last]),
            mtu: 1500,
            mode: "bytes".into(),
        };
        let state = std::env::temp_dir().join(format!("hikyaku-router-{}", rand::random::<u64>()));
        let parts = Parts {
            config: Arc::new(Config::parse("test.toml", text).unwrap()),
            lan: link("lan0", 1),
            wan: link("wan0", 2),
            hosts: [false; 2],
            shared: Shared::new(Snapshot::default()),
            state: StateDir::open(&state).unwrap(),
            notify: None,
            wake: Arc::new(|| ()),
        };
        let now = Time(1_000_000_000);
        let mut router = Router::new(parts, now, WALL).unwrap();
        router.set_links(now, true, true);
        Self { router, now, state }
    }

    /// Everything that is due within `time`; gives the DHCPv6 messages that are sent meanwhile.
    fn pass(&mut self, time: Duration) -> Vec<Vec<u8>> {
        let end = self.now + time;
        let mut sent = Vec::new();
        loop {
            self.router.turn(self.now, WALL, Default::default);
            while let Some(message) = self.router.next_frame() {
                let frame = message.frame();
                // UDP in IPv6, to port 547.
                if message.link == WAN && frame[20] == 17 && frame[56..58] == 547u16.to_be_bytes() {
                    sent.push(frame[62..].to_vec());
                }
            }
            let next = self.router.next().max(self.now);
            if next > end {
                self.now = end;
                return sent;
            }
            self.now = next;
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        self.router.hear(self.now, &Message::new(WAN, frame).unwrap());
    }

    /// A router of which is known what these flags say.
    fn advertise(&mut self, flags: u8) {
        let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [0x33, 0x33, 0, 0, 0, 1])
            .ipv6(ROUTER.octets(), ALL_NODES.octets(), 255)
            .icmpv6_raw(134, 0, [64, flags, 0x23, 0x28]);
        let mut frame = Vec::new();
        packet.write(&mut frame, &[0; 8]).unwrap();
        self.hear(&frame);
    }

    /// A DHCPv6 server that gives a prefix answers `message`.
    fn answer(&mut self, message: &[u8]) {
        let option = |code: u8, body: &[u8]| [&[0, code, 0, body.len() as u8], body].concat();
        let kind = if message[0] == 1 { 2 } else { 7 };
        let client = &message[4..4 + 4 + usize::from(message[7])];
        let prefix = [&[0, 0, 0x0e, 0x10, 0, 0, 0x1c, 0x20, 56, 0x20, 1, 0x0d, 0xb8][..], &[0; 12]].concat();
        // The IAID is the end of our Ethernet address.
        let association = [&[0, 0, 0, 2][..], &[0; 8], &option(26, &prefix)].concat();
        let payload = [&[kind][..], &message[1..4], client, &option(2, b"server"), &option(25, &association)].concat();
        let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 2])
            .ipv6(ROUTER.octets(), OUR_LINK_LOCAL.octets(), 64)
            .udp(547, 546);
        let mut frame = Vec::new();
        packet.write(&mut frame, &payload).unwrap();
        self.hear(&frame);
    }

    /// The same, until it does not ask any more.
    fn lease(&mut self) {
        for _ in 0..10 {
            match self.pass(Duration::from_secs(2)).last() {
                Some(message) => self.answer(&message.clone()),
                None => return,
            }
        }
        panic!("it asks and asks");
    }
}

/// A line with the O flag alone has no leases: there is nothing to wait for at the end, and nothing more is asked.
#[test]
fn without_leases_the_end_is_at_once() {
    let mut line = Line::new();
    line.pass(Duration::from_secs(5));
    line.advertise(OTHER);
    let sent = line.pass(Duration::from_secs(5));
    assert!(!sent.is_empty() && sent.iter().all(|message| message[0] == INFORMATION_REQUEST));
    assert!(!line.router.is_released());
    line.router.release(line.now);
    assert_eq!(line.pass(Duration::from_secs(60)), Vec::<Vec<u8>>::new());
    assert!(line.router.is_released());
}

/// The server's answer to the Release is waited for, also if leases were given back before. Then nothing is asked.
#[test]
fn leases_are_given_back_at_the_end() {
    let mut line = Line::new();
    line.pass(Duration::from_secs(5));
    // The line's router sends for leases, calls them off, and sends for them again.
    line.advertise(MANAGED);
    line.lease();
    line.advertise(OTHER);
    let sent = line.pass(Duration::from_millis(1));
    assert_eq!(sent.iter().map(|message| message[0]).collect::<Vec<_>>(), [RELEASE]);
    line.answer(&sent[0]);
    line.pass(Duration::from_secs(5));
    line.advertise(MANAGED);
    line.lease();

    line.router.release(line.now);
    let sent = line.pass(Duration::from_millis(500));
    assert_eq!(sent.iter().map(|message| message[0]).collect::<Vec<_>>(), [RELEASE]);
    assert!(!line.router.is_released());
    line.answer(&sent[0]);
    assert_eq!(line.pass(Duration::from_secs(60)), Vec::<Vec<u8>>::new());
    assert!(line.router.is_released());
}
