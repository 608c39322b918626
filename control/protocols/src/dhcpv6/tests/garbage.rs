//! What is not for us, or was never asked for.

use proptest::prelude::*;

use super::*;

/// RFC 8415 16.3, 16.10: each reason to discard an answer, one at a time.
#[test]
fn foreign_answers_are_ignored() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    line.hear(&answer(&solicit, MessageType::Advertise, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]));
    let request = line.expect(MessageType::Request, 2);
    let good = answer(&request, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 0, 0)]);
    let foreign = |line: &mut Line, ignored: Ignored, change: &dyn Fn(&mut Message)| {
        let mut message = good.clone();
        change(&mut message);
        line.hear(&message);
        assert_eq!(line.client.state(), State::Requesting, "{message:?}");
        assert_eq!(line.client.facts(line.now).ignored, Some(ignored), "status says why");
    };
    foreign(&mut line, Ignored::OtherTransaction, &|m| _ = m.set_xid([0; 3]));
    foreign(&mut line, Ignored::OtherClient, &|m| drop(m.opts_mut().remove(OptionCode::ClientId)));
    foreign(&mut line, Ignored::NoServer, &|m| drop(m.opts_mut().remove(OptionCode::ServerId)));
    foreign(&mut line, Ignored::OtherClient, &|m| {
        m.opts_mut().remove(OptionCode::ClientId);
        m.opts_mut().insert(DhcpOption::ClientId(b"somebody".to_vec()));
    });
    foreign(&mut line, Ignored::OtherServer, &|m| {
        m.opts_mut().remove(OptionCode::ServerId);
        m.opts_mut().insert(DhcpOption::ServerId(b"other".to_vec()));
    });
    assert_eq!(line.client.counts.foreign, 5);
    foreign(&mut line, Ignored::Unexpected, &|m| _ = m.set_msg_type(MessageType::Advertise));
    foreign(&mut line, Ignored::Unexpected, &|m| _ = m.set_msg_type(MessageType::Request));
    assert_eq!(line.client.counts.unexpected, 2);
    foreign(&mut line, Ignored::Malformed(Malformed::Repeated(1)), &|m| {
        m.opts_mut().insert(DhcpOption::ClientId(b"second".to_vec()))
    });
    assert_eq!(line.client.counts.malformed, 1);
    line.client.handle_input(line.now, SERVERS, &good.to_vec().unwrap());
    assert_eq!(line.client.counts.not_unicast, 1);
    assert_eq!(line.client.facts(line.now).ignored, Some(Ignored::NotUnicast));
    assert!(line.events().is_empty());
    line.hear(&good);
    assert_eq!((line.client.state(), line.client.facts(line.now).ignored), (State::Bound, None));
}

/// RFC 8415 18.2.10.1: an association with another id is not ours, one with T1 beyond T2 is none.
#[test]
fn foreign_associations() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateful);
    let solicit = line.expect(MessageType::Solicit, 1);
    let DhcpOption::IAPD(mut ia) = lease(&[(PREFIX, 7200)], 0, 0) else { unreachable!() };
    ia.id += 1;
    let preference = DhcpOption::Preference(255);
    line.hear(&answer(&solicit, MessageType::Advertise, b"aaa", [DhcpOption::IAPD(ia), preference.clone()]));
    line.hear(&answer(&solicit, MessageType::Advertise, b"bbb", [lease(&[(PREFIX, 7200)], 2, 1), preference.clone()]));
    line.hear(&answer(&solicit, MessageType::Advertise, b"ccc", [lease(&[], 0, 0), preference]));
    assert_eq!((line.client.state(), line.client.counts.refused), (State::Soliciting, 3));
}

/// What may happen to a client, in any order.
#[derive(Clone, Debug)]
enum Step {
    Pass(u32),
    Answer { kind: u8, server: u8, foreign: u8, pd: Option<(u32, u16)>, status: u16, extra: Vec<(u16, Vec<u8>)> },
    Bytes(Vec<u8>),
    Cut(u8),
    Mode(u8),
    LinkUp,
    Doubt,
    Release,
    Decline,
    Restart(u32),
}

const MODES: [Mode; 4] = [Mode::Off, Mode::Stateless, Mode::Other, Mode::Stateful];

fn steps() -> impl Strategy<Value = Step> {
    let extra = prop::collection::vec((0u16..100, prop::collection::vec(any::<u8>(), 0..40)), 0..3);
    let pd = prop::option::of((prop_oneof![Just(0u32), 1u32..10_000, Just(u32::MAX)], 0u16..3));
    let answer = (1u8..13, 0u8..3, 0u8..12, pd, prop_oneof![4 => Just(0u16), 1 => 0u16..8], extra);
    prop_oneof![
        4 => (0u32..20_000).prop_map(Step::Pass),
        8 => answer.prop_map(|(kind, server, foreign, pd, status, extra)| {
            Step::Answer { kind, server, foreign, pd, status, extra }
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Step::Bytes),
        1 => any::<u8>().prop_map(Step::Cut),
        1 => (0u8..4).prop_map(Step::Mode),
        1 => Just(Step::LinkUp),
        1 => Just(Step::Doubt),
        1 => Just(Step::Release),
        1 => Just(Step::Decline),
        1 => (0u32..10_000).prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Reordered, repeated, foreign and broken messages: no panic, nothing without bound, no lease that no server
    /// gave in answer to a message of ours, none past its end.
    #[test]
    fn never_bound_from_foreign_messages(steps in prop::collection::vec(steps(), 1..60), always_foreign: bool, seed: u64) {
        let mut config = Config::new(MAC);
        (config.want, config.rapid_commit, config.reconfigure) = (Want::PrefixAndAddress, true, true);
        let mut client = Client::with_rng(config, StdRng::seed_from_u64(seed));
        let mut now = Time(0);
        client.set_mode(now, Mode::Stateful);
        // The last few messages of ours: answers may come late.
        let mut ours: Vec<Message> = Vec::new();
        let mut last_bytes = Vec::new();
        for step in steps {
            let mut outputs = 0;
            while let Some(output) = client.drive(now) {
                outputs += 1;
                prop_assert!(outputs < 20, "poll ends");
                if let Output::Send { payload, .. } = output {
                    ours.insert(0, Message::from_bytes(&payload).unwrap());
                    ours.truncate(4);
                }
            }
            match step {
                // To the next thing to do, or a while.
                Step::Pass(seconds) => {
                    let next = client.poll_timeout().unwrap_or(now);
                    now = if seconds % 2 == 0 { now.max(next) } else { now + Duration::from_millis(seconds.into()) };
                }
                Step::Answer { kind, server, foreign, pd, status: code, extra } => {
                    let Some(to) = ours.get(usize::from(foreign) % 4) else { continue };
                    let mut message = answer(to, kind.into(), &[server; 5], []);
                    if always_foreign {
                        message.set_xid_num(to.xid_num() ^ 1 << (foreign % 24));
                    }
                    let options = message.opts_mut();
                    if let Some((valid, which)) = pd {
                        options.insert(lease(&[([PREFIX, OTHER, "2001:db8:f000::/60"][usize::from(which)], valid)], 0, 0));
                        options.insert(address("2001:db8::9", valid));
                    }
                    if code != 0 {
                        options.insert(status(code.into()));
                    }
                    for (code, data) in extra {
                        options.insert(DhcpOption::Unknown(dhcproto::v6::UnknownOption::new(code.into(), data)));
                    }
                    last_bytes = message.to_vec().unwrap();
                    client.handle_input(now, SOURCE, &last_bytes);
                }
                Step::Bytes(bytes) => client.handle_input(now, SOURCE, &bytes),
                Step::Cut(at) => client.handle_input(now, SOURCE, &last_bytes[..usize::from(at).min(last_bytes.len())]),
                Step::Mode(mode) => client.set_mode(now, MODES[usize::from(mode)]),
                Step::LinkUp => client.link_up(now),
                Step::Doubt => client.doubt(now),
                Step::Release => client.release(now),
                Step::Decline => client.decline(now, "2001:db8::9".parse().unwrap()),
                Step::Restart(seconds) => {
                    if let Some(lease) = client.lease(now, 1000) {
                        client = Client::with_rng(config, StdRng::seed_from_u64(seed));
                        now = Time(0);
                        client.resume(now, 1000 + u64::from(seconds), &lease);
                        client.set_mode(now, Mode::Stateful);
                    }
                }
            }
            let due = client.poll_timeout().is_none_or(|next| next <= now);
            prop_assert!(due || client.prefixes().iter().all(|l| l.valid_until.is_none_or(|end| end > now)));
            prop_assert!(client.prefixes().len() <= 8 && client.addresses().len() <= 8);
            if always_foreign {
                prop_assert_eq!((client.prefixes().len(), client.addresses().len()), (0, 0));
                prop_assert_eq!(client.information(), &Information::default());
                prop_assert_eq!(client.counts.taken, 0);
            }
        }
    }
}
