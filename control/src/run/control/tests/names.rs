//! Hosts ask for names, from the frame of the question to that of the answer: through a worker, the forwarder's thread, the
//! control thread and the line.

use std::net::Ipv6Addr;

use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use hickory_proto::op::{Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::*;

const RESOLVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xd, 0, 0, 0, 0, 0x53);
/// The port that hosts ask from.
const PORT: u16 = 4242;

fn lab() -> Lab {
    let names = format!("[lan.dns]\n[[lan.dns.host]]\nname = 'nas.home.arpa'\nip = '{HOST}'\n");
    let config = CONFIG.replace("[lan]", &format!("resolvers = '{RESOLVER}'\n[lan]")) + &names;
    let mut lab = Lab::of(Setup { config, ..Setup::default() });
    lab.come_up();
    lab
}

fn question(id: u16, name: &str) -> Message {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Asked::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

/// A datagram of a host to our port 53.
fn from_host(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(HOST_MAC.0, LAN_MAC.0)
        .ipv4(HOST.octets(), GATEWAY.octets(), 64)
        .udp(PORT, 53)
        .write(&mut frame, &message.to_vec().unwrap())
        .unwrap();
    frame
}

/// Ports and payload of a UDP datagram whose checksums are right.
fn datagram(frame: &[u8]) -> Option<(u16, u16, Message)> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { return None };
    let message = Message::from_vec(udp.payload()).ok()?;
    Some((udp.source_port(), udp.destination_port(), message))
}

impl Lab {
    /// What hosts are answered, until there is something.
    fn answered(&mut self) -> Message {
        self.answered_on(|lab| &mut lab.lan)
    }

    /// The same on any link.
    fn answered_on(&mut self, wire: fn(&mut Self) -> &mut Wire) -> Message {
        let mut answer = None;
        self.until(|lab| {
            wire(lab).collect(|frame| {
                let to_host =
                    datagram(frame).filter(|&(from, to, _)| (from, to) == (53, PORT) && frame[..6] == HOST_MAC.0);
                answer = to_host.map(|(.., message)| message).or(answer.take());
            });
            answer.is_some()
        });
        answer.unwrap()
    }

    /// The next question on the line, with the frame that it is in.
    fn asked(&mut self) -> (Message, Vec<u8>) {
        let mut question = None;
        self.until(|lab| {
            lab.wan.collect(|frame| {
                let to_resolver = datagram(frame).filter(|&(_, to, _)| to == 53 && frame[38..54] == RESOLVER.octets());
                question = to_resolver.map(|(.., message)| (message, frame.to_vec())).or(question.take());
            });
            question.is_some()
        });
        question.unwrap()
    }

    /// The resolver's answer to the question in `frame`.
    fn resolve(&mut self, asked: &Message, frame: &[u8], address: [u8; 4]) {
        let mut reply = Message::new(asked.id, MessageType::Response, OpCode::Query);
        reply.add_query(asked.queries[0].clone());
        reply.add_answer(Record::from_rdata(asked.queries[0].name().clone(), 600, RData::A(A(address.into()))));
        let (port, ..) = datagram(frame).unwrap();
        let mut answer = Vec::new();
        PacketBuilder::ethernet2(ROUTER_MAC.0, WAN_MAC.0)
            .ipv6(RESOLVER.octets(), frame[22..38].try_into().unwrap(), 60)
            .udp(53, port)
            .write(&mut answer, &reply.to_vec().unwrap())
            .unwrap();
        assert!(self.wan.deliver(&answer));
    }
}

#[test]
fn a_question_goes_through_and_the_next_one_need_not() {
    let mut lab = lab();
    lab.lan.deliver(&from_host(&question(7, "nas.home.arpa.")));
    let local = lab.answered();
    assert_eq!((local.id, &local.answers[0].data), (7, &RData::A(A(HOST))));

    lab.lan.deliver(&from_host(&question(8, "www.Example.jp.")));
    let (asked, frame) = lab.asked();
    lab.resolve(&asked, &frame, [192, 0, 2, 80]);
    let answer = lab.answered();
    assert_eq!((answer.id, answer.queries[0].name().to_ascii()), (8, "www.Example.jp.".into()));
    assert_eq!(answer.answers[0].data, RData::A(A::new(192, 0, 2, 80)));

    lab.lan.deliver(&from_host(&question(9, "www.example.jp.")));
    assert_eq!(lab.answered().answers.len(), 1);
    let mut again = 0;
    lab.wan.collect(|frame| again += u32::from(datagram(frame).is_some()));
    assert_eq!(again, 0, "it is kept");

    // DNS rebinding.
    lab.lan.deliver(&from_host(&question(10, "evil.example.")));
    let (asked, frame) = lab.asked();
    lab.resolve(&asked, &frame, GATEWAY.octets());
    let nothing = lab.answered();
    assert_eq!((nothing.metadata.response_code, nothing.answers.len()), (ResponseCode::NoError, 0));
}

/// Each LAN has a forwarder of its own: what one's hosts are called, others are not told.
#[test]
fn hosts_of_each_lan_are_answered_there_and_by_its_names() {
    let names = |ip: &str| format!("[lan.dns]\n[[lan.dns.host]]\nname = 'nas.home.arpa'\nip = '{ip}'\n");
    let guests =
        format!("[[lan]]\nname = 'guests'\nlink = 'vale0:guests'\nipv4 = '192.168.2.1/24'\n{}", names("192.168.2.7"));
    let config = CONFIG.replace("[lan]", &format!("resolvers = '{RESOLVER}'\n[[lan]]"));
    let (before, service) = config.split_at(config.find("[service]").unwrap());
    let config = format!("{before}{}{guests}{service}", names("192.168.1.7"));
    let mut lab = Lab::of(Setup { config, ..Setup::default() });
    lab.come_up();
    let guest = Ipv4Addr::new(192, 168, 2, 9);
    let ask = |message: &Message| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(HOST_MAC.0, LAN_MAC.0)
            .ipv4(guest.octets(), [192, 168, 2, 1], 64)
            .udp(PORT, 53)
            .write(&mut frame, &message.to_vec().unwrap())
            .unwrap();
        frame
    };
    let wire: fn(&mut Lab) -> &mut Wire = |lab| lab.guests.as_mut().unwrap();
    // Until its address there is ours nobody is answered.
    let mut answer = None;
    lab.until(|lab| {
        wire(lab).deliver(&ask(&question(1, "nas.home.arpa.")));
        wire(lab).collect(|frame| answer = datagram(frame).map(|(.., message)| message).or(answer.take()));
        answer.is_some()
    });
    assert_eq!(answer.unwrap().answers[0].data, RData::A(A::new(192, 168, 2, 7)));
    lab.lan.deliver(&from_host(&question(2, "nas.home.arpa.")));
    assert_eq!(lab.answered().answers[0].data, RData::A(A::new(192, 168, 1, 7)));

    // What the line says comes back to who asked.
    wire(&mut lab).deliver(&ask(&question(3, "www.example.jp.")));
    let (asked, frame) = lab.asked();
    lab.resolve(&asked, &frame, [192, 0, 2, 80]);
    let mut answer = lab.answered_on(wire);
    while answer.id != 3 {
        answer = lab.answered_on(wire);
    }
    assert_eq!(answer.answers[0].data, RData::A(A::new(192, 0, 2, 80)));
}

/// Never an open resolver (RFC 5358 4): what comes from the line to port 53 has no listener there.
#[test]
fn nobody_outside_is_answered() {
    let mut lab = lab();
    let own = lab.shared.snapshot.load().link(WAN).unwrap().addresses6.clone();
    assert!(!own.is_empty());
    for address in own {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(ROUTER_MAC.0, WAN_MAC.0)
            .ipv6(RESOLVER.octets(), Ipv6Addr::from(address).octets(), 60)
            .udp(PORT, 53)
            .write(&mut frame, &question(1, "nas.home.arpa.").to_vec().unwrap())
            .unwrap();
        lab.wan.deliver(&frame);
    }
    // A host's question behind them is answered, so they had their turn.
    lab.lan.deliver(&from_host(&question(2, "nas.home.arpa.")));
    assert_eq!(lab.answered().id, 2);
    let mut answers = 0;
    lab.wan.collect(|frame| answers += u32::from(datagram(frame).is_some()));
    assert_eq!(answers, 0);
}

/// What came of a flood.
#[derive(Clone, Copy, Debug, Default)]
struct Flood {
    answers: u32,
    /// To ARP requests, one at a time.
    replies: u32,
    /// For how long the slowest of these was waited for.
    longest: Duration,
    elapsed: Duration,
}

/// Questions that the cache answers, one after the other as fast as they are taken, and ARP requests beside them.
fn flood(is_over: impl Fn(&Flood) -> bool) -> Flood {
    let mut lab = lab();
    lab.lan.deliver(&from_host(&question(1, "www.example.jp.")));
    let (asked, frame) = lab.asked();
    lab.resolve(&asked, &frame, [192, 0, 2, 80]);
    lab.answered();
    let (question, began) = (from_host(&question(2, "www.example.jp.")), Instant::now());
    let (mut flood, mut sent) = (Flood::default(), None::<Instant>);
    while !is_over(&flood) {
        // The ring may be full of questions: then ARP has its place in the next round.
        if sent.is_none_or(|sent| sent.elapsed() > Duration::from_secs(1)) {
            sent = lab.lan.deliver(&arp_request()).then(Instant::now);
        }
        (0..64).for_each(|_| _ = lab.lan.deliver(&question));
        let mut is_answered = false;
        lab.lan.collect(|frame| {
            is_answered |= frame[12..14] == [8, 6] && frame[21] == 2;
            flood.answers += u32::from(frame.get(34..36) == Some(&[0, 53]));
        });
        if let Some(sent) = sent.take_if(|_| is_answered) {
            flood.replies += 1;
            flood.longest = flood.longest.max(sent.elapsed());
        }
        flood.elapsed = began.elapsed();
        thread::yield_now();
    }
    flood
}

/// ARP is answered all the while, and what the control thread does it does not notice. However slow the machine is, both go on
/// side by side; a thread that waits behind the other would never come to ten.
#[test]
fn a_flood_of_questions_keeps_nobody_waiting() {
    flood(|flood| {
        assert!(flood.elapsed < Duration::from_secs(60), "{flood:?}");
        flood.answers > 1000 && flood.replies > 10
    });
}

/// CPU time of the forwarder's thread so far (Linux, Documentation/scheduler/sched-stats.rst).
fn of_forwarder() -> Option<Duration> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?.flatten().map(|task| task.path());
    let is_it =
        |path: &std::path::PathBuf| std::fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm == "names\n");
    let text = std::fs::read_to_string(tasks.into_iter().find(is_it)?.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// For docs/performance.md.
#[test]
#[ignore = "ten seconds: --release --nocapture shows how many answers a second the cache gives, and for how much CPU time"]
fn answers_a_second() {
    let busy = std::cell::Cell::new(None);
    let flood = flood(|flood| {
        let is_over = flood.elapsed > Duration::from_secs(10);
        if is_over {
            busy.set(of_forwarder());
        }
        is_over
    });
    let each = busy.get().map(|busy: Duration| busy / flood.answers.max(1));
    let rate = f64::from(flood.answers) / flood.elapsed.as_secs_f64();
    println!("{rate:.0} answers a second, {each:?} of the forwarder's thread for each; {flood:?}");
}
