//! The filter of native IPv6 against a model that is as simple as RFC 6092 reads: any history, both paths.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use crate::common::*;
use hikyaku_dataplane::rules::{Action, Address, Rule, Zone};
use hikyaku_dataplane::verdict::{Reason, Verdict};
use proptest::prelude::*;
use proptest::sample::select;

/// What a packet is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Udp,
    Tcp(u8),
    EchoRequest,
    EchoReply,
    Esp,
    UdpLite,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    what: What,
    outbound: bool,
    host: usize,
    peer: usize,
    port: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Packet(Sent),
    Seconds(u64),
}

const HOSTS: [std::net::Ipv6Addr; 2] = [CLIENT6, OTHER6];
const PORTS: [u16; 2] = [443, 40000];

fn peer(n: usize) -> std::net::Ipv6Addr {
    [PEER6, "2a00:1450:0:1::81".parse().unwrap()][n]
}

impl Sent {
    fn packet(&self) -> Packet6 {
        let (host, peer) = ((HOSTS[self.host], PORTS[self.port]), (peer(self.peer), 7));
        let (from, to) = if self.outbound { (host, peer) } else { (peer, host) };
        match self.what {
            What::Udp => udp6(from, to, b"x"),
            What::Tcp(flags) => tcp6(from, to, flags),
            What::EchoRequest => echo6(from.0, to.0, 128, PORTS[self.port]),
            What::EchoReply => echo6(from.0, to.0, 129, PORTS[self.port]),
            What::Esp => Packet6::new(from.0, to.0, 50, bytes(24)),
            What::UdpLite => {
                let ports = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
                Packet6::new(from.0, to.0, 136, [&ports[..], &[0; 8]].concat())
            }
        }
    }
}

/// A session as the model has it: when it was last heard of, and what each end of a TCP connection did.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    last: u64,
    sent: [bool; 2],
    ended: [bool; 2],
    reset: [bool; 2],
    open: bool,
}

impl Known {
    fn idle_time(&self, what: What) -> u64 {
        match what {
            What::EchoRequest | What::EchoReply => 60,
            What::Tcp(_) if self.open && self.reset == [false; 2] && self.ended != [true; 2] => 7440,
            What::Tcp(_) => 240,
            _ => 300,
        }
    }

    fn tcp(&mut self, way: usize, flags: u8) {
        let over = self.reset != [false; 2] || self.ended == [true; 2];
        if over && flags & (SYN | ACK | RST) == SYN {
            let mut sent = [false; 2];
            sent[way] = true;
            *self = Self { last: self.last, sent, ..Self::default() };
            return;
        }
        let both = self.sent == [true; 2];
        self.sent[way] = true;
        self.ended[way] |= flags & FIN != 0;
        if flags & RST != 0 {
            (self.reset[way], self.open) = (true, false);
        } else if both && flags & SYN == 0 {
            self.reset[way] = false;
            self.open |= self.reset == [false; 2];
        }
    }
}

/// Protocol, host, peer, port.
type Flow = (u8, usize, usize, usize);

#[derive(Default)]
struct Model {
    now: u64,
    sessions: BTreeMap<Flow, (What, Known)>,
}

impl Model {
    fn flow(sent: &Sent) -> Flow {
        let (protocol, port) = match sent.what {
            What::Udp => (17, sent.port),
            What::Tcp(_) => (6, sent.port),
            What::EchoRequest | What::EchoReply => (58, sent.port),
            What::Esp => (50, 0),
            What::UdpLite => (136, sent.port),
        };
        (protocol, sent.host, sent.peer, port)
    }

    /// What was idle for too long.
    fn forget(&mut self) {
        let now = self.now;
        self.sessions.retain(|_, (what, known)| now - known.last <= known.idle_time(*what));
    }

    /// What becomes of it.
    fn packet(&mut self, sent: &Sent) -> Verdict {
        self.forget();
        let flow = Self::flow(sent);
        let begins = match sent.what {
            What::EchoReply => false,
            What::Tcp(flags) if sent.outbound => flags & RST == 0,
            What::Tcp(flags) => flags & (SYN | ACK | RST | FIN) == SYN,
            _ => true,
        };
        // The rule: TCP port 443 of the first host.
        let may = sent.outbound || matches!(sent.what, What::Tcp(_)) && (sent.host, PORTS[sent.port]) == (0, 443);
        let known = match self.sessions.entry(flow) {
            Entry::Occupied(there) => &mut there.into_mut().1,
            Entry::Vacant(free) if begins && may => &mut free.insert((sent.what, Known::default())).1,
            Entry::Vacant(_) => return Reason::Ipv6Filtered.into(),
        };
        known.last = self.now;
        if let What::Tcp(flags) = sent.what {
            known.tcp(usize::from(!sent.outbound), flags);
        }
        if sent.outbound { Verdict::Ipv6Outbound } else { Verdict::Ipv6Inbound }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let flags = select(vec![SYN, SYN | ACK, ACK, ACK, FIN | ACK, FIN, RST, RST | ACK, 0]);
    let what = prop_oneof![
        2 => Just(What::Udp),
        6 => flags.prop_map(What::Tcp),
        1 => Just(What::EchoRequest),
        1 => Just(What::EchoReply),
        1 => Just(What::Esp),
        1 => Just(What::UdpLite),
    ];
    let sent = (what, any::<bool>(), 0..2usize, 0..2usize, 0..2usize);
    prop_oneof![
        8 => sent.prop_map(|(what, outbound, host, peer, port)| Step::Packet(Sent { what, outbound, host, peer, port })),
        2 => select(vec![1, 58, 59, 100, 238, 239, 250, 298, 299, 7300]).prop_map(Step::Seconds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]
    #[test]
    fn rfc6092_any_history_ends_as_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let https = Rule {
            protocols: vec![6],
            ports: vec![(443, 443)],
            destination: vec![Address::InterfaceId(0xa)],
            ..rule_from(Zone::Wan, Action::Accept)
        };
        let setup = Setup { rules: vec![https], ..Setup::dslite() };
        for (mut router, filter) in routers6(&setup, &filtering()) {
            let mut model = Model::default();
            for (i, step) in steps.iter().enumerate() {
                match step {
                    Step::Seconds(seconds) => {
                        // What is due is closed by the second turn in a second.
                        router.advance(Duration::from_secs(*seconds));
                        router.wait(2);
                        model.now += seconds + 2;
                    }
                    Step::Packet(sent) => {
                        let packet = sent.packet();
                        let out = if sent.outbound { router.lan(packet.sent_by_host()) } else { router.wan(packet.sent_by_line()) };
                        let expected = model.packet(sent);
                        prop_assert_eq!(out.verdict(), expected, "step {}: {:?}", i, sent);
                        match expected {
                            Verdict::Ipv6Outbound => prop_assert_eq!(out.to_wan(), packet.to_line()),
                            Verdict::Ipv6Inbound => prop_assert_eq!(out.to_lan(), packet.to_lan()),
                            _ => prop_assert!(out.wan.is_empty()),
                        }
                    }
                }
            }
            model.forget();
            prop_assert_eq!(filter.stats().live as usize, model.sessions.len());
        }
    }
}

/// A frame of native IPv6 as it may come: in pieces, with headers, about something, broken.
fn odd_frame() -> impl Strategy<Value = (bool, Vec<u8>)> {
    let sent = step().prop_filter_map("a packet", |step| match step {
        Step::Packet(sent) => Some(sent),
        Step::Seconds(_) => None,
    });
    let flips = prop::collection::vec((0usize..80, any::<u8>()), 0..3);
    (sent, 0u8..8, any::<prop::sample::Index>(), select(vec![1, 2, 64, 64]), flips).prop_map(
        |(sent, shape, piece, hops, flips)| {
            let packet = sent.packet().hops(hops);
            let unknown = [0, 0xc7, 4, 0, 0, 0, 0];
            let packet = match shape {
                0 => packet.header(60, &unknown),
                1 => packet.header(0, &unknown).header(43, &[0, 4, 1, 0, 0, 0, 0]),
                2 | 3 => {
                    let mut pieces =
                        Packet6 { payload: [packet.payload.clone(), bytes(60)].concat(), ..packet }.fragments(24, 5);
                    pieces.swap_remove(piece.index(pieces.len()))
                }
                5 => Packet6::new(packet.src, packet.dst, packet.protocol, [packet.payload, bytes(1250)].concat()),
                4 => icmp6(packet.dst, packet.src, (1 + hops % 4, 0), 1280, &packet.bytes()),
                _ => packet,
            };
            // The error goes where the packet came from.
            let outbound = sent.outbound != (shape == 4);
            let mut frame = if outbound { packet.sent_by_host() } else { packet.sent_by_line() };
            let packet_len = frame.len() - 14;
            flips.iter().for_each(|&(at, to)| frame[14 + at % packet_len] = to);
            (outbound, frame)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]
    #[test]
    fn the_fast_path_of_ipv6_is_the_slow_one(
        napt: bool, narrow: bool, batch in select(vec![1usize, 256]),
        bursts in prop::collection::vec((0u64..400, prop::collection::vec(odd_frame(), 1..30)), 1..6)
    ) {
        let wan_mtu = if narrow { 1280 } else { 1500 };
        let setup = Setup { napt, batch, wan_mtu, native6: Some(filtering()), ..Setup::ipip() };
        let mut twins = Twins::new(&setup);
        for (seconds, frames) in bursts {
            twins.wait(Duration::from_secs(seconds)).map_err(TestCaseError::fail)?;
            for side in [LAN, WAN] {
                let of_side = frames.iter().filter(|(outbound, _)| *outbound == (side == LAN));
                let frames: Vec<_> = of_side.map(|(_, frame)| frame.clone()).collect();
                twins.play(side, &frames).map_err(TestCaseError::fail)?;
            }
        }
        twins.finish().map_err(TestCaseError::fail)?;
    }
}
