//! A server beside a model of what it promised.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    /// A message about one association, that names what the client had last, or not.
    Says {
        client: u8,
        kind: MessageType,
        is_pd: bool,
        has: bool,
    },
    /// The line has this prefix from now on.
    Line(u16),
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    use MessageType::{Decline, Rebind, Release, Renew, Request, Solicit};
    let kind = prop::sample::select(vec![Solicit, Request, Request, Request, Renew, Renew, Rebind, Release, Decline]);
    // More clients than prefixes.
    let says = (1u8..20, kind, any::<bool>(), any::<bool>());
    prop_oneof![
        2 => (0u16..3000).prop_map(Step::Pass),
        12 => says.prop_map(|(client, kind, is_pd, has)| Step::Says { client, kind, is_pd, has }),
        1 => (1u16..4).prop_map(Step::Line),
        1 => Just(Step::Restart),
    ]
}

/// What clients were promised, and until when that holds.
type Promised = HashMap<String, (u8, Time)>;

fn overlap(one: &str, other: &str) -> bool {
    let prefix =
        |text: &str| -> Prefix6 { format!("{text}{}", if text.contains('/') { "" } else { "/128" }).parse().unwrap() };
    let (one, other) = (prefix(one), prefix(other));
    one.contains(other.address()) || other.contains(one.address())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// No two clients have one address or prefix, nor parts of one; what was promised holds, also over a restart; a lease ends with
    /// the line's; every delegated prefix that is promised, and of a prefix that is there, has its route.
    #[test]
    fn promises_hold(steps in prop::collection::vec(steps(), 1..80)) {
        let mut lan = Lan::new();
        let (mut promised, mut last) = (Promised::new(), HashMap::<(u8, bool), String>::new());
        let mut number = 1;
        for step in steps {
            lan.pass(1);
            // The line renews its lease.
            lan.set(line(number, 14_400, 43_200));
            match step {
                Step::Pass(seconds) => lan.pass(seconds.into()),
                Step::Line(new) => {
                    number = new;
                    lan.set(line(number, 14_400, 43_200));
                }
                Step::Restart => {
                    lan.restart(1_700_000_000 + u64::from(lan.now.seconds()));
                    lan.set(line(number, 14_400, 43_200));
                }
                Step::Says { client, kind, is_pd, has } => {
                    let had = last.get(&(client, is_pd)).filter(|_| has).cloned();
                    let named: Vec<&str> = had.iter().map(String::as_str).collect();
                    let answer = lan.says(client, kind, &[ia(is_pd, 1, &named)]);
                    let is_over = matches!(kind, MessageType::Release | MessageType::Decline);
                    // Who gives back an association gives back all of it.
                    if is_over && had.is_some() {
                        promised.retain(|what, (holder, _)| *holder != client || what.contains('/') != is_pd);
                    }
                    let got = answer.as_ref().and_then(|answer| got(answer, is_pd, 1)).unwrap_or_default();
                    prop_assert!(got.leases.iter().all(|lease| lease.1 <= lease.2 && lease.2 <= 5400), "{got:?}");
                    for (what, preferred, valid) in got.leases {
                        let end = lan.now + Duration::from_secs(valid.into());
                        let others = promised.iter().filter(|(_, (holder, end))| *holder != client && *end > lan.now);
                        let mut others = others.filter(|(other, _)| overlap(other, &what));
                        prop_assert!(valid == 0 || others.next().is_none(), "{what} is not {client}'s: {promised:?}");
                        if kind == MessageType::Solicit || is_over {
                            continue;
                        }
                        match promised.get(&what) {
                            // Deprecated: no longer than it was promised.
                            Some(&(_, before)) if preferred == 0 => {
                                prop_assert!(valid == 0 || end <= before + Duration::from_secs(1), "{what} of {client}: {promised:?}")
                            }
                            _ => prop_assert!(preferred > 0 || valid == 0),
                        }
                        if preferred > 0 {
                            last.insert((client, is_pd), what.clone());
                        }
                        promised.insert(what, (client, end));
                    }
                }
            }
            let there = format!("2001:db8:{number}:aa");
            for (what, (client, end)) in promised.iter().filter(|(what, (_, end))| *end > lan.now && what.starts_with(&there)) {
                let leases = lan.server.leases(lan.now);
                let lease = leases.iter().find(|lease| {
                    let is_it = |l: &Prefix6| l.to_string() == *what || l.len() == 128 && l.address().to_string() == *what;
                    lease.leases.iter().any(is_it)
                });
                let holds = lease.is_some_and(|lease| lease.mac == station(*client) && lease.left >= end.since(lan.now).as_secs());
                prop_assert!(holds, "{what} of {client}: {lease:?}");
                let route = |(prefix, mac): &(Prefix6, Mac)| prefix.to_string() == *what && *mac == station(*client);
                prop_assert!(!what.contains('/') || lan.server.routes(lan.now).iter().any(route), "{what}");
            }
        }
    }
}
