//! Lines that renumber, and leases that end with theirs.

use MessageType::{Rebind, Renew, Request};

use super::*;

/// RFC 9096 3.3: no lease goes past the line's own.
#[test]
fn rfc9096_3_3_no_lease_is_longer_than_the_lines() {
    let mut lan = Lan::new();
    let lifetimes = |lan: &mut Lan, preferred, valid| {
        lan.set(line(1, preferred, valid));
        let got = lan.about(1, Request, false, &[]).unwrap();
        (got.times, (got.leases[0].1, got.leases[0].2))
    };
    assert_eq!(lifetimes(&mut lan, 14_400, 43_200), ((1350, 2160), (2700, 5400)), "RFC 9096 3.4");
    assert_eq!(lifetimes(&mut lan, 1000, 2000), ((500, 800), (1000, 2000)));
    assert_eq!(lifetimes(&mut lan, 0, 600), ((0, 0), (0, 600)), "on its way out");
    lan.set(line(1, 0, 0));
    assert_eq!(lan.about(1, Renew, false, &[]).unwrap().leases, []);
}

/// RFC 8415 18.3.4, RFC 9096 3.5: another prefix. In one association the new one and, deprecated for as long as it was leased, the
/// old one; then the new one alone.
#[test]
fn rfc8415_18_3_4_the_line_has_another_prefix() {
    for is_pd in [false, true] {
        let mut lan = Lan::new();
        let old = lan.lease(1, is_pd);
        let new = old.replace("db8:1:", "db8:2:");
        lan.pass(1000);
        lan.set(line(2, 14_400, 43_200));
        let both = [(new.clone(), 2700, 5400), (old.clone(), 0, 4400)];
        assert_eq!(lan.about(1, Renew, is_pd, &[&old]).unwrap().leases, both);
        // What is leased now goes on; the old one is as it was.
        assert!(lan.server.leases(lan.now)[0].leases.iter().all(|lease| lease.to_string().starts_with("2001:db8:2:")));
        lan.pass(4400);
        let renewed = lan.about(1, Rebind, is_pd, &[&new, &old]).unwrap();
        assert_eq!(renewed.leases, [(new, 2700, 5400), (old, 0, 0)]);
        assert!(lan.server.routes(lan.now).iter().all(|(prefix, _)| prefix.to_string().starts_with("2001:db8:2:")));
    }
}

/// Two prefixes at once, the old one on its way out: both are leased, each for as long as it is there.
#[test]
fn two_prefixes_at_once() {
    let mut lan = Lan::new();
    let both = |mut new: Served, old: Served| {
        new.on_link.extend(old.on_link);
        new.delegable.extend(old.delegable);
        new
    };
    lan.set(both(line(2, 14_400, 43_200), line(1, 0, 1000)));
    let got = lan.about(1, Request, true, &[]).unwrap();
    let leases = [("2001:db8:2:aaf0::/60".to_owned(), 2700, 5400), ("2001:db8:1:aaf0::/60".to_owned(), 0, 1000)];
    assert_eq!((got.times, got.leases), ((1350, 2160), leases.to_vec()));
}

/// A line that delegates less than before: a number that is no more gives way to one that is, and one that nobody has left to
/// the end of what was leased.
#[test]
fn a_prefix_that_shrinks() {
    let mut lan = Lan::new();
    let old = lan.lease(1, true);
    assert_eq!(old, "2001:db8:1:aaf0::/60");
    let mut less = line(1, 14_400, 43_200);
    less.delegable[0].prefix = "2001:db8:1:aa00::/58".parse().unwrap();
    lan.set(less.clone());
    let got = lan.about(1, Renew, true, &[&old]).unwrap();
    assert_eq!(got.leases, [("2001:db8:1:aa20::/60".into(), 2700, 5400), (old.clone(), 0, 5400)]);
    less.delegable[0].prefix = "2001:db8:1:aa00::/60".parse().unwrap();
    lan.set(less);
    let got = lan.about(1, Renew, true, &["2001:db8:1:aa20::/60"]).unwrap();
    assert_eq!(got.leases, [("2001:db8:1:aa20::/60".into(), 0, 5400)]);
    assert_eq!(lan.server.routes(lan.now), []);
    assert_eq!(lan.about(2, MessageType::Solicit, true, &[]), Some(Got::refusal(Status::NoPrefixAvail)));
}

/// A restart with another prefix: clients hear that the old one is on its way out.
#[test]
fn rfc9096_3_5_a_restart_with_another_prefix() {
    let mut lan = Lan::new();
    let old = lan.lease(1, false);
    lan.pass(400);
    lan.restart(1_700_000_000);
    assert_eq!(lan.about(1, Renew, false, &[&old]), None, "nobody is told anything before the line is there");
    lan.set(line(2, 14_400, 43_200));
    let both = [(old.replace("db8:1:", "db8:2:"), 2700, 5400), (old, 0, 5000)];
    let got = lan.about(1, Renew, false, &[&both[1].0]).unwrap();
    assert_eq!(got.leases, both);
}
