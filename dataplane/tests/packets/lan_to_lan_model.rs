//! What goes between LANs against a model that is as simple as the rule: any history, both families, both paths. Whoever is
//! not isolated begins; what answers passes; a source is of its LAN or goes nowhere.

use std::collections::BTreeMap;

use crate::common::lans::*;
use crate::common::*;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use proptest::prelude::*;
use proptest::sample::select;

/// A host by its LAN's place and its own.
type Host = (usize, usize);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Udp,
    Syn,
    Ack,
    Reset,
    EchoRequest,
    EchoReply,
    Esp,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    ipv6: bool,
    what: What,
    src: Host,
    dst: Host,
    ports: [u16; 2],
    /// The LAN that it really comes from.
    from: usize,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Packet(Sent),
    Seconds(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use What::*;
    let host = || (0..3usize, 0..2usize);
    let what = select(vec![Udp, Udp, Syn, Syn, Ack, Ack, Ack, Reset, EchoRequest, EchoReply, Esp]);
    let port = || select(vec![7u16, 443]);
    let sent = (any::<bool>(), what, host(), host(), port(), port(), 0..8usize);
    let packet = sent.prop_filter_map("to another LAN", |(ipv6, what, src, dst, from_port, to_port, spoofs)| {
        let from = if spoofs == 0 { (src.0 + 1) % 3 } else { src.0 };
        let sent = Sent { ipv6, what, src, dst, ports: [from_port, to_port], from };
        (src.0 != dst.0 && from != dst.0).then_some(Step::Packet(sent))
    });
    prop_oneof![9 => packet, 1 => select(vec![1, 58, 200, 298]).prop_map(Step::Seconds)]
}

fn host((net, host): Host) -> (Net, u8) {
    (NETS[net], 10 + host as u8)
}

impl Sent {
    fn play(&self, router: &mut Lans) -> Left {
        let ([src, dst], [from, to]) = ([self.src, self.dst].map(host), self.ports);
        let by = (NETS[self.from], src.1);
        if self.ipv6 {
            let (src, dst) = (src.0.address6(src.1), dst.0.address6(dst.1));
            let packet = match self.what {
                What::Udp => udp6((src, from), (dst, to), b"x"),
                What::Syn => tcp6((src, from), (dst, to), SYN),
                What::Ack => tcp6((src, from), (dst, to), ACK),
                What::Reset => tcp6((src, from), (dst, to), RST),
                What::EchoRequest => echo6(src, dst, 128, from),
                What::EchoReply => echo6(src, dst, 129, from),
                What::Esp => Packet6::new(src, dst, 50, bytes(20)),
            };
            return router.send6(by, &packet);
        }
        let (src, dst) = (src.0.host(src.1), dst.0.host(dst.1));
        let packet = match self.what {
            What::Udp => udp((src, from), (dst, to), b"x"),
            What::Syn => tcp((src, from), (dst, to), SYN, b""),
            What::Ack => tcp((src, from), (dst, to), ACK, b""),
            What::Reset => tcp((src, from), (dst, to), RST, b""),
            What::EchoRequest => echo_request(src, dst, from, b"x"),
            What::EchoReply => echo_reply(src, dst, from, b"x"),
            What::Esp => raw(src, dst, 50, bytes(20)),
        };
        router.send(by, &packet)
    }
}

/// A session as the model has it.
#[derive(Default)]
struct Known {
    last: u64,
    idle_time: u64,
}

/// Family, protocol, and both ends with their ports, the lesser first.
type Flow = (bool, u8, [(Host, u16); 2]);

#[derive(Default)]
struct Model {
    now: u64,
    sessions: BTreeMap<Flow, Known>,
}

impl Model {
    fn flow(sent: &Sent) -> Flow {
        let (protocol, ports) = match sent.what {
            What::Udp => (17, sent.ports),
            What::Syn | What::Ack | What::Reset => (6, sent.ports),
            What::EchoRequest | What::EchoReply => (1, [sent.ports[0]; 2]),
            What::Esp => (50, [0; 2]),
        };
        let mut ends = [(sent.src, ports[0]), (sent.dst, ports[1])];
        ends.sort_unstable();
        (sent.ipv6, protocol, ends)
    }

    fn forget(&mut self) {
        let now = self.now;
        self.sessions.retain(|_, known| now - known.last <= known.idle_time);
    }

    fn packet(&mut self, sent: &Sent) -> Verdict {
        self.forget();
        if sent.from != sent.src.0 {
            return if sent.ipv6 { Reason::Ipv6Source } else { Reason::Ipv4Source }.into();
        }
        let begins = !matches!(sent.what, What::Reset | What::EchoReply);
        let flow = Self::flow(sent);
        if !self.sessions.contains_key(&flow) {
            if !begins {
                return if sent.ipv6 { Reason::Ipv6Filtered } else { Reason::LanFiltered }.into();
            }
            if NETS[sent.src.0].isolated {
                return Reason::LanIsolated.into();
            }
        }
        let known = self.sessions.entry(flow).or_default();
        known.last = self.now;
        known.idle_time = match sent.what {
            What::EchoRequest | What::EchoReply => 60,
            What::Udp | What::Esp => 300,
            // No history here is long enough for what is open.
            _ => u64::MAX / 2,
        };
        Verdict::LanToLan
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]
    #[test]
    fn any_history_ends_as_the_model_says(napt: bool, steps in prop::collection::vec(step(), 1..80)) {
        for fast in [true, false] {
            let mut router = Lans::new(&Setup { napt, fast, ..Setup::ipip() });
            let mut model = Model::default();
            for (i, step) in steps.iter().enumerate() {
                match step {
                    // TCP has its own model elsewhere: here none of it is old enough to end.
                    Step::Seconds(seconds) if model.now + seconds + 2 < 240 => {
                        router.wait(seconds + 2);
                        model.now += seconds + 2;
                    }
                    Step::Seconds(_) => {}
                    Step::Packet(sent) => {
                        let left = sent.play(&mut router);
                        let expected = model.packet(sent);
                        prop_assert_eq!(left.verdict(), expected, "step {}: {:?}", i, sent);
                        if expected == Verdict::LanToLan {
                            let (net, number) = host(sent.dst);
                            let to_him = [net.station(number), net.station(1)].concat();
                            prop_assert_eq!(&left.only(net.link)[..12], &to_him[..]);
                        }
                    }
                }
            }
            model.forget();
            prop_assert_eq!(router.filter6.stats().live as usize, model.sessions.len());
        }
    }
}
