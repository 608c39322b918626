//! Lines that are exchanged behind a switch, and lines that only look so.

use super::super::fixtures::*;
use super::*;

const ROUTER: &str = "fe80::1";

/// Facts at this second after the first, with these things said.
fn at(seconds: u64, says: &[Says]) -> Facts {
    let mut facts = facts(says);
    facts.now = facts.now + Duration::from_secs(seconds);
    facts
}

fn another_mac(facts: &mut Facts) {
    facts.next_hop = Some((ip(ROUTER), Some(MAC)));
}

fn refused(facts: &mut Facts) {
    facts.far.refused = 1;
}

#[test]
fn what_is_evidence() {
    let before: &[Says] = &[router, advertised, found];
    let rows: &[(&str, &[Says], &str, Option<Sign>)] = &[
        ("nothing changed", before, ROUTER, None),
        ("another router is used", &[router, second_router, advertised], "fe80::b", Some(Sign::AnotherRouter)),
        ("another router came", &[router, second_router, advertised, found], ROUTER, Some(Sign::RouterCame)),
        ("the same one, elsewhere", &[router, advertised, found, another_mac], ROUTER, Some(Sign::RouterMoved)),
        ("its address is not known for a moment", &[router, advertised], ROUTER, None),
        ("another prefix", &[router, advertised, advertised_too, found], ROUTER, Some(Sign::AnotherPrefix)),
        ("it forgot its prefix", &[router, advertised, first_is_withdrawn, found], ROUTER, Some(Sign::AnotherPrefix)),
        ("it leaves it out for once", &[router, advertised, first_is_missed, found], ROUTER, None),
        ("a stranger's prefix", &[router, advertised, found, advertised_too, of_a_stranger], ROUTER, None),
        ("the far end is silent", &[router, advertised, found, silent], ROUTER, Some(Sign::FarEndSilent)),
        ("its side refuses us", &[router, advertised, found, refused], ROUTER, Some(Sign::Refused)),
    ];
    let first = Evidence::default().after(&at(0, before), Some(ip(ROUTER)));
    assert_eq!(first.verified, None, "what is there at the start is no evidence");
    for (name, says, router, expected) in rows {
        let after = first.after(&at(1, says), Some(ip(router)));
        assert_eq!(after.verified.map(|(_, sign)| sign), *expected, "{name}");
        assert_eq!(after.after(&at(1, says), Some(ip(router))), after, "{name}: twice the same");
    }
}

/// A router that is dead and answers again is evidence; while there is none nothing is.
#[test]
fn gone_and_back() {
    let evidence = Evidence::default().after(&at(0, &[router, advertised, found]), Some(ip(ROUTER)));
    let dead = evidence.after(&at(5, &[router, first_is_dead, advertised, found]), None);
    assert_eq!(dead.verified, None);
    let back = dead.after(&at(9, &[router, advertised, found]), Some(ip(ROUTER)));
    assert_eq!(back.verified.map(|(_, sign)| sign), Some(Sign::RouterCame));
}

/// A far end that is dead for a day costs a handful of verifications an hour; whatever comes after a quiet time is heard at
/// once.
#[test]
fn pauses_grow_while_it_lasts() {
    let mut evidence = Evidence::default().after(&at(0, &[router, advertised, found]), Some(ip(ROUTER)));
    let mut verified = Vec::new();
    for second in 1..86_400 {
        let mut facts = at(second, &[router, advertised, found]);
        facts.far.silent_since = Some(at(1, &[]).now);
        let next = evidence.after(&facts, Some(ip(ROUTER)));
        if next.verified != evidence.verified {
            verified.push(second);
        }
        assert!(next.next(facts.now).is_some(), "{second}: it knows when to come back");
        evidence = next;
    }
    assert_eq!(verified[..5], [11, 21, 51, 141, 411]);
    assert!(verified.iter().filter(|&&second| (3600..7200).contains(&second)).count() <= 5, "{verified:?}");
    // A sign that comes too soon waits for its time.
    let last = *verified.last().unwrap();
    let waiting = evidence.after(&at(86_400, &[router, second_router, advertised, found]), Some(ip(ROUTER)));
    assert_eq!(waiting.next(at(86_400, &[]).now), Some(at(last + 900, &[]).now));
    let later = at(last + 900, &[router, second_router, advertised, found]);
    assert_eq!(waiting.after(&later, Some(ip(ROUTER))).verified, Some((later.now, Sign::RouterCame)));
}
