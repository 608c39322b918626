//! Each service, with what its line says, and with what it should not listen to.

use std::net::Ipv6Addr;

use super::*;
use crate::service::plan::Outside;

fn wish(name: Name) -> Wish {
    Wish { name, far: None, ipv4: None, ports: None, end: None, rules: None, iid: None }
}

/// A line of v6plus' prefixes that has said nothing yet.
fn silent() -> Known {
    let waiting = |what: &str| Said::Waiting(format!("{what} has not answered"));
    Known {
        prefixes: vec!["240b:10:3f6c:d400::/56".parse().unwrap()],
        option64: Said::Waiting("dhcpv6 has not answered".into()),
        s46: Said::Waiting("dhcpv6 has not answered".into()),
        prefers_s46: false,
        provisioning: waiting("the server"),
        names: Said::Waiting("names are asked for".into()),
        unresolved: Vec::new(),
    }
}

/// And one that has said that there is nothing.
fn nothing() -> Known {
    let nothing = || Said::Nothing("nothing".into());
    Known {
        option64: Said::Nothing("nothing".into()),
        s46: nothing(),
        provisioning: nothing(),
        names: Said::Said(vec![]),
        ..silent()
    }
}

fn v6plus_domain() -> Domain {
    Domain { rules: vec!["240b:10::/31,106.72.0.0/15,25,4".parse().unwrap()], br: Vec::new(), iid: None }
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn name(text: &str) -> Endpoint {
    Endpoint::Name(text.into())
}

fn seen(decision: &Decision) -> Vec<(Origin, Outcome)> {
    decision.steps.iter().map(|step| (step.origin, step.outcome)).collect()
}

#[test]
fn auto_asks_one_after_the_other() {
    let auto = wish(Name::Auto);
    let mut known = silent();
    let decision = choose(&auto, &known);
    assert_eq!(seen(&decision), [(Origin::Option64, Outcome::Waiting)]);
    assert!(!decision.asks_provisioning && !decision.asks_names, "nobody is asked before it is their turn");
    known.option64 = Said::Nothing("none".into());
    known.s46 = Said::Nothing("none".into());
    let decision = choose(&auto, &known);
    assert!(decision.is_waiting() && decision.asks_provisioning && !decision.asks_names);
    known.provisioning = Said::Nothing("there is no such name".into());
    let decision = choose(&auto, &known);
    assert!(decision.is_waiting() && decision.asks_names);
    assert_eq!(decision.why(), "AFTR names: names are asked for");
    known.names = Said::Said(vec![Name::Xpass]);
    let decision = choose(&auto, &known);
    let plan = decision.plan.clone().unwrap();
    assert_eq!(plan.far, [(aftr::Source::ProfileName, name("dgw.xpass.jp"))]);
    use Outcome::{Chosen, Nothing};
    let expected =
        [(Origin::Option64, Nothing), (Origin::S46, Nothing), (Origin::Provisioning, Nothing), (Origin::Names, Chosen)];
    assert_eq!(seen(&decision), expected);
    assert!(decision.steps[3].why.contains("xpass"));

    let decision = choose(&auto, &nothing());
    assert!(decision.plan.is_none() && !decision.is_waiting() && decision.why().contains("; "));
}

#[test]
fn auto_prefers_what_comes_first() {
    let auto = wish(Name::Auto);
    let mut known = nothing();
    known.names = Said::Said(vec![Name::Transix]);
    known.provisioning = Said::Said(vec![Candidate::Dslite(name("aftr.example.net"))]);
    let plan = choose(&auto, &known).plan.unwrap();
    assert_eq!(plan.far, [(aftr::Source::Provisioning, name("aftr.example.net"))]);
    let with_br = Domain { br: vec![address("2404:9200:225:100::64")], ..v6plus_domain() };
    known.s46 = Said::Said(vec![Candidate::MapE(with_br)]);
    let plan = choose(&auto, &known).plan.unwrap();
    assert_eq!(plan.technology, Technology::MapE);
    // The border router is v6plus', so the interface id has draft 03's form: vector go-jpne-212.
    assert_eq!(plan.local, Local::Address(address("240b:10:3f6c:d400:6a:483f:6c00:d400")));
    known.option64 = Said::Said("gw.example.net".into());
    let plan = choose(&auto, &known).plan.unwrap();
    assert_eq!(plan.far[0], (aftr::Source::Dhcp, name("gw.example.net")));
    assert_eq!(plan.far[1], (aftr::Source::Provisioning, name("aftr.example.net")), "kept for when the first fails");
    // RFC 8026 1.3: the server has its own order.
    known.prefers_s46 = true;
    assert_eq!(choose(&auto, &known).plan.unwrap().technology, Technology::MapE);
    known.prefers_s46 = false;
    // What the user gives comes before all; what does not fit is passed over, with its reason.
    let rules = Domain { br: vec![address("2001:db8::1")], ..v6plus_domain() };
    let given = Wish { rules: Some(rules.clone()), ..auto.clone() };
    assert_eq!(seen(&choose(&given, &known)), [(Origin::Rules, Outcome::Chosen)]);
    known.prefixes = vec!["2001:db8:1::/56".parse().unwrap()];
    let decision = choose(&given, &known);
    assert_eq!(seen(&decision), [(Origin::Rules, Outcome::Unusable), (Origin::Option64, Outcome::Chosen)]);
    assert!(decision.steps[0].why.contains("2001:db8:1::/56"), "{}", decision.steps[0].why);
}

/// One migration technology at a time, and never another than the one that was named.
#[test]
fn a_named_service_takes_nothing_else() {
    let mut known = nothing();
    known.option64 = Said::Said("gw.example.net".into());
    known.s46 = Said::Said(vec![Candidate::Lw4o6(Lw4o6 {
        lwaftr: name("lw.example.net"),
        ipv4: "192.0.2.1".parse().unwrap(),
        ports: PortSet::ALL,
        bind_prefix: ANY,
    })]);
    let decision = choose(&wish(Name::V6plus), &known);
    assert_eq!(seen(&decision), [(Origin::S46, Outcome::Nothing), (Origin::Provisioning, Outcome::Nothing)]);
    assert!(decision.plan.is_none());
    let plan = choose(&wish(Name::Lw4o6), &known).plan.unwrap();
    // RFC 7597 6, as RFC 7596 wants it: in the line's prefix.
    assert_eq!(plan.local, Local::Address(address("240b:10:3f6c:d400:0:c000:201:0")));
    let plan = choose(&wish(Name::Dslite), &known).plan.unwrap();
    assert_eq!((plan.technology, plan.outside), (Technology::Dslite, None));
}

#[test]
fn map_e_services_know_their_border_routers_and_forms() {
    let mut known = nothing();
    known.provisioning = Said::Said(vec![Candidate::MapE(v6plus_domain())]);
    let plan = choose(&wish(Name::V6plus), &known).plan.unwrap();
    let outside = plan.outside.unwrap();
    assert_eq!((outside.ipv4, outside.ports.len()), ("106.72.63.108".parse().unwrap(), 240));
    let br = address("2404:9200:225:100::64");
    assert_eq!(plan.far, [(aftr::Source::ProfileAddresses, Endpoint::Addresses(vec![br]))]);
    assert_eq!(plan.local, Local::Address(address("240b:10:3f6c:d400:6a:483f:6c00:d400")));
    // Without a border router there is nothing to send to.
    let decision = choose(&wish(Name::MapE), &known);
    assert!(decision.plan.is_none() && decision.why().contains("no border router"), "{}", decision.why());
    // What the server says of the form counts.
    let rfc = Domain { iid: Some(InterfaceId::Rfc7597), br: vec![br], ..v6plus_domain() };
    known.provisioning = Said::Said(vec![Candidate::MapE(rfc)]);
    let plan = choose(&wish(Name::V6plus), &known).plan.unwrap();
    assert_eq!(plan.local, Local::Address(address("240b:10:3f6c:d400:0:6a48:3f6c:d4")));
    // And what the user says, over all.
    let users = Wish { iid: Some(InterfaceId::Draft03), ..wish(Name::V6plus) };
    let plan = choose(&users, &known).plan.unwrap();
    assert_eq!(plan.local, Local::Address(address("240b:10:3f6c:d400:6a:483f:6c00:d400")));
    // Two prefixes, one of which is a rule's.
    known.prefixes.insert(0, "2001:db8::/64".parse().unwrap());
    assert!(choose(&wish(Name::V6plus), &known).plan.is_some());
    known.prefixes = vec!["240b:10::/48".parse().unwrap()];
    let decision = choose(&wish(Name::V6plus), &known);
    assert!(decision.plan.is_none() && decision.why().contains("/56"), "{}", decision.why());
    assert_eq!(decision.steps.last().unwrap().outcome, Outcome::Unusable);
}

#[test]
fn ds_lite_services_are_carried_at_once_and_hear_of_better_aftrs() {
    let decision = choose(&wish(Name::Transix), &silent());
    let far = decision.plan.unwrap().far;
    assert_eq!(far[0], (aftr::Source::ProfileName, name("gw.transix.jp")));
    assert!(matches!(&far[1], (aftr::Source::ProfileAddresses, Endpoint::Addresses(all)) if all.len() == 4));
    assert!(!decision.asks_provisioning);
    let mut known = silent();
    known.option64 = Said::Said("other.transix.jp".into());
    assert_eq!(choose(&wish(Name::Transix), &known).plan.unwrap().far.len(), 3);
    let decision = choose(&wish(Name::V6connect), &known);
    assert!(decision.asks_provisioning && decision.plan.is_some());
    // The user's word is the only one.
    let own = Wish { far: Some(name("aftr.example.net")), ..wish(Name::V6connect) };
    let decision = choose(&own, &known);
    assert_eq!(decision.plan.unwrap().far, [(aftr::Source::UserName, name("aftr.example.net"))]);
    assert!(!decision.asks_provisioning);
}

#[test]
fn fixed_addresses() {
    let far = Some(Endpoint::Addresses(vec![address("2001:db8::1")]));
    let contract = |name| Wish { far: far.clone(), ipv4: Some("203.0.113.96".parse().unwrap()), ..wish(name) };
    let plan = choose(&contract(Name::OcnFixed), &silent()).plan.unwrap();
    let outside = Outside { ipv4: "203.0.113.96".parse().unwrap(), ports: PortSet::ALL };
    // Vector iid-ocn-fixed.
    assert_eq!((plan.local, plan.outside), (Local::Token("::cb:71:6000:0".parse().unwrap()), Some(outside)));
    assert_eq!(choose(&contract(Name::Ipip), &silent()).plan.unwrap().local, Local::Own);
    // Else the server says it.
    let mut known = nothing();
    let server = |local| {
        let (ipv4, far) = ("203.0.113.96".parse().unwrap(), address("2001:db8::1"));
        Said::Said(vec![
            Candidate::Unsupported { name: "MAP-T".into(), why: "not supported".into() },
            Candidate::Ipip { ipv4, local, far },
        ])
    };
    let end = address("240b:10:3f6c:d400::2");
    known.provisioning = server(Some(end));
    assert_eq!(choose(&wish(Name::Ocx), &known).plan.unwrap().local, Local::Address(end));
    // An end that is in no prefix of ours: nothing would come back to it.
    known.provisioning = server(Some(address("2001:db8::2")));
    let decision = choose(&wish(Name::Ocx), &known);
    assert!(decision.plan.is_none() && decision.why().contains("2001:db8::2"), "{}", decision.why());
    known.provisioning = server(None);
    let decision = choose(&wish(Name::Ocx), &known);
    assert_eq!(decision.steps[0].why, "a fixed address; not MAP-T: not supported");
    assert_eq!(decision.plan.unwrap().local, Local::Token("::cb:71:6000:0".parse().unwrap()));
}

/// No service comes up on a line that says nothing unless the user said everything, and none panics.
#[test]
fn every_service_on_every_line() {
    for service in Name::all() {
        for known in [silent(), nothing()] {
            let decision = choose(&wish(service), &known);
            let immediate = matches!(service, Name::Transix | Name::Xpass | Name::V6connect);
            assert_eq!(decision.plan.is_some(), immediate, "{service}");
            assert!(immediate || !decision.why().is_empty());
        }
    }
}

/// A far end that cannot be found is passed over, with the reason; one of the user's is not.
#[test]
fn a_far_end_that_is_not_found() {
    let far = Endpoint::Addresses(vec![address("2001:db8::1")]);
    let lw4o6 = |lwaftr| {
        let ipv4 = "192.0.2.1".parse().unwrap();
        Candidate::Lw4o6(Lw4o6 { lwaftr, ipv4, ports: PortSet::ALL, bind_prefix: ANY })
    };
    let unresolved = vec![("gw.example.net".to_string(), "no such name".to_string())];
    let mut known = Known { option64: Said::Said("gw.example.net".into()), unresolved, ..nothing() };
    known.provisioning = Said::Said(vec![Candidate::Dslite(name("other.example.net")), lw4o6(far)]);
    let decision = choose(&wish(Name::Auto), &known);
    assert!(decision.plan.is_some_and(|plan| plan.technology == Technology::Dslite), "the server knows another name");
    known.unresolved.push(("other.example.net".into(), "no answer".into()));
    let decision = choose(&wish(Name::Auto), &known);
    let outcomes = [Outcome::Unusable, Outcome::Nothing, Outcome::Chosen];
    assert_eq!(decision.steps.iter().map(|step| step.outcome).collect::<Vec<_>>(), outcomes);
    assert!(decision.steps[0].why.contains("gw.example.net is not found: no such name"), "{}", decision.steps[0]);
    assert!(decision.plan.is_some_and(|plan| plan.technology == Technology::Lw4o6));
    let users = Wish { far: Some(name("gw.example.net")), ..wish(Name::Dslite) };
    assert!(choose(&users, &known).plan.is_some());
}
