//! A second server on the line, whoever put it there, that answers faster than the one in use.

use super::*;

const AFTR: &[u8] = b"\x04aftr\x07example\0";
const ROGUE_AFTR: &[u8] = b"\x05rogue\x07example\0";

/// What the rival says.
fn rogue(to: &Message) -> Message {
    answer(to, MessageType::Reply, b"rogue", [dns(66), unknown(OptionCode::AftrName, ROGUE_AFTR)])
}

/// What the line's server says.
fn honest(to: &Message) -> Message {
    answer(to, MessageType::Reply, b"server", [dns(1), unknown(OptionCode::AftrName, AFTR)])
}

/// A line without leases, whose server has told everything else.
fn informed() -> Line {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&honest(&request));
    assert_eq!(line.events(), [Event::Informed]);
    line
}

fn aftr(line: &Line) -> &str {
    line.client.information().aftr_name.as_deref().unwrap_or_default()
}

/// RFC 8415 18.2.6: all servers are asked, and what the one in use says counts, also if it comes later, unless it is silent.
#[test]
fn the_server_in_use_is_believed_before_faster_ones() {
    for delay in [0, 100, 499] {
        let mut line = informed();
        let request = line.expect(MessageType::InformationRequest, 86_401);
        line.hear(&rogue(&request));
        line.pass(line.now + Duration::from_millis(delay));
        line.hear(&honest(&request));
        line.pass(line.after(1000));
        assert_eq!((line.events(), aftr(&line)), (vec![], "aftr.example"));
    }
    // Without a word of its own the other one is believed; of others the first, and no flood of them is kept.
    let mut line = informed();
    let request = line.expect(MessageType::InformationRequest, 86_401);
    line.hear(&rogue(&request));
    for number in 0..100 {
        line.hear(&answer(&request, MessageType::Reply, &[9, number], [dns(number.into())]));
    }
    line.pass(line.now + Duration::from_millis(499));
    assert_eq!((line.events(), aftr(&line)), (vec![], "aftr.example"));
    line.pass(line.after(1));
    assert_eq!((line.events(), aftr(&line)), (vec![Event::Informed], "rogue.example"));
    assert_eq!(line.client.facts(line.now).server, Some(Duid::new(b"rogue").unwrap()));
}

/// A first answer is nobody's rival: it is taken at once.
#[test]
fn the_first_to_answer_waits_for_nobody() {
    let mut line = Line::new(|_| ());
    line.client.set_mode(line.now, Mode::Stateless);
    let request = line.expect(MessageType::InformationRequest, 1);
    line.hear(&rogue(&request));
    assert_eq!(line.events(), [Event::Informed]);
}

/// RFC 8415 18.2.12: leases are verified with all servers. What another says of them, of whatever kind, is not believed while
/// the one that leased them answers.
#[test]
fn leases_are_the_word_of_who_leased_them() {
    let doubt: fn(&mut Line) = |line| line.client.doubt(line.now);
    let link_up: fn(&mut Line) = |line| line.client.link_up(line.now);
    let rivals = [
        vec![status(Status::NotOnLink)],
        vec![lease(&[(PREFIX, 0)], 0, 0)],
        vec![lease(&[(PREFIX, 7200)], 3600, 5760), unknown(OptionCode::AftrName, ROGUE_AFTR)],
        vec![lease(&[(OTHER, 7200)], 3600, 5760)],
        vec![no_lease(Status::NoBinding)],
    ];
    for (rival, verify) in rivals.iter().flat_map(|rival| [(rival, doubt), (rival, link_up)]) {
        let begin = || {
            let mut line = Line::new(|_| ());
            line.bind();
            verify(&mut line);
            let rebind = line.expect(MessageType::Rebind, 1);
            let mut early = answer(&rebind, MessageType::Reply, b"rogue", []);
            rival.iter().for_each(|option| early.opts_mut().insert(option.clone()));
            line.hear(&early);
            (line, rebind)
        };
        let (mut line, rebind) = begin();
        line.hear(&answer(&rebind, MessageType::Reply, b"server", [lease(&[(PREFIX, 7200)], 3600, 5760), dns(1)]));
        assert!(line.pass(line.after(3599)).is_empty(), "nobody else is asked");
        assert_eq!(line.events(), [Event::Renewed], "{rival:?}");
        assert_eq!((line.client.facts(line.now).server, aftr(&line)), (Duid::new(b"server").ok(), ""));

        // From a server that took the place of the other it is as ever.
        let (mut line, _) = begin();
        line.pass(line.now + Duration::from_millis(500));
        let (state, events) = (line.client.state(), line.events());
        assert!(state != State::Verifying || !events.is_empty(), "{rival:?}: {state:?}");
    }
}

/// What does not help is not clung to: three times in one trouble the far end stays silent, and another's word counts before. That
/// the line may be another, which a rival can make us think, is no such reason.
#[test]
fn a_server_that_is_believed_in_vain() {
    let doubts = |pause: u64, in_vain: bool| {
        let mut line = informed();
        let mut believed = Vec::new();
        for _ in 0..4 {
            line.pass(line.after(pause));
            if in_vain {
                line.client.told_in_vain(line.now);
            }
            line.client.doubt(line.now);
            let request = line.expect(MessageType::InformationRequest, 1);
            // In either order.
            let answers = [honest(&request), rogue(&request)];
            let first = believed.len() % 2;
            line.hear(&answers[first]);
            line.hear(&answers[1 - first]);
            line.pass(line.after(1));
            believed.push(aftr(&line).to_owned());
        }
        believed
    };
    let (honest, rogue) = ("aftr.example", "rogue.example");
    assert_eq!(doubts(90, true), [honest, honest, rogue, rogue]);
    assert_eq!(doubts(90, false), [honest; 4]);
    assert_eq!(doubts(1900, true), [honest; 4], "each of a trouble of its own");
    // Where nobody else answers, nothing changes.
    let mut line = informed();
    for _ in 0..5 {
        line.client.told_in_vain(line.now);
        line.client.doubt(line.now);
        let request = line.expect(MessageType::InformationRequest, 1);
        line.hear(&self::honest(&request));
        line.pass(line.after(60));
        assert_eq!((aftr(&line), line.client.state()), (honest, State::Informed));
    }
}
