//! Answers of servers: the specification's, published ones, and wrong ones.

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::PortSet;
use hikyaku_net::map::{InterfaceId, Rule};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use crate::aftr::Endpoint;
use crate::map_domain::Domain;

fn parse(json: &Value) -> Result<Offer, BadAnswer> {
    Offer::parse(json.to_string().as_bytes())
}

/// The one refusal of an answer that offers a DS-Lite line too.
fn refusal(technology: &str, part: Value) -> String {
    let json = json!({ "order": [technology, "dslite"], technology: part, "dslite": { "aftr": "aftr.example.net" } });
    let offer = parse(&json).expect("DS-Lite is left");
    assert_eq!(offer.order, [Technology::Dslite(Endpoint::Name("aftr.example.net".into()))]);
    let [refusal] = &offer.refused[..] else { panic!("{offer:?}") };
    assert_eq!(refusal.technology, technology);
    refusal.why.clone()
}

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Specification 3.4: the example there, all technologies in their order.
const SPECIFICATION: &str = r#"{
  "enabler_name": "A VNE", "service_name": "Highspeed 4over6", "isp_name": "ISP-A", "ttl": 86400,
  "token": "640756965820d3b9025b6941f9590af6802830ba58663fe8f043dc92b576f17a", "auth": "ok",
  "order": [ "464xlat", "map_e", "dslite", "lw4o6", "map_t", "ipip" ],
  "map_e": {
    "version": 0, "mesh": true, "br": "2001:db8:1::1",
    "rules": [ { "ipv6": "2001:db8:1:2000::/52", "ipv4": "203.0.113.0/24", "ea_length": 12, "psid_offset": 4 } ]
  },
  "dslite": { "aftr": "aftr.example.net" },
  "lw4o6": {
    "lwaftr": "lwaftr.example.net", "ipv6": "2001:db8:3:100::/56", "ipv4": "203.0.113.16",
    "psid": 3, "psid_length": 8, "psid_offset": 6
  },
  "map_t": {
    "dmr": "2001:db8:5::/64",
    "rules": [ { "ipv6": "2001:db8:5:100::/56", "ipv4": "203.0.113.32/28", "ea_length": 8, "psid_offset": 4 } ]
  },
  "464xlat": { "nat64prefix": "2001:db8:6::/96" },
  "ipip": [
    { "ipv6_local": "2001:db8:7:100::7", "ipv6_remote": "2001:db8:7::1", "ipv4": "203.0.113.0/29" }
  ]
}"#;

#[test]
fn the_example_of_the_specification() {
    let offer = Offer::parse(SPECIFICATION.as_bytes()).unwrap();
    assert_eq!((offer.enabler.as_deref(), offer.service.as_deref()), (Some("A VNE"), Some("Highspeed 4over6")));
    assert_eq!((offer.isp.as_deref(), offer.auth), (Some("ISP-A"), Some(Auth::Ok)));
    assert_eq!(offer.ttl, Some(Duration::from_secs(86_400)));
    assert!(offer.token.as_ref().unwrap().expose().starts_with("640756"));
    assert_eq!(offer.refused, []);
    let [xlat, Technology::MapE(domain), dslite, Technology::Lw4o6(lw4o6), map_t, Technology::Ipip(ipip)] =
        &offer.order[..]
    else {
        panic!("{offer:?}")
    };
    assert_eq!(*xlat, Technology::Unsupported("464xlat".into()));
    assert_eq!(*map_t, Technology::Unsupported("map_t".into()));
    assert_eq!(domain.rules, [rule("2001:db8:1:2000::/52,203.0.113.0/24,12,4").with_forwarding(true)]);
    assert_eq!(domain.br, [address("2001:db8:1::1")]);
    assert_eq!((domain.iid, domain.is_mesh()), (Some(InterfaceId::Draft03), true));
    assert_eq!(*dslite, Technology::Dslite(Endpoint::Name("aftr.example.net".into())));
    assert_eq!(lw4o6.lwaftr, Endpoint::Name("lwaftr.example.net".into()));
    // RFC 7598 4.5 and 7597 5.1: port set 3 of 256 behind 6 bits.
    assert_eq!((lw4o6.ipv4.to_string(), lw4o6.ports.psid()), ("203.0.113.16".into(), 3));
    assert!(lw4o6.ports.contains(0x0400 | 3 << 2) && !lw4o6.ports.contains(0x0400 | 4 << 2));
    // RFC 7597 6: our end.
    let end = lw4o6.end(&["2001:db8:3:100::/56".parse().unwrap()]).unwrap();
    assert_eq!(end, address("2001:db8:3:100:0:cb00:7110:3"));
    assert_eq!((ipip.local, ipip.remote), (address("2001:db8:7:100::7"), address("2001:db8:7::1")));
    assert_eq!((ipip.address.to_string(), ipip.prefix.len()), ("203.0.113.0".into(), 29));
    assert_eq!(offer.first(), Some(&offer.order[1]));
    assert!(!format!("{offer} {offer:?}").contains("640756"));
}

/// Answers of two lines that were published.
#[test]
fn answers_of_real_servers() {
    let transix = r#"{
  "enabler_name": "Internet Multifeed Co.",
  "service_name": "transix IPv4接続（DS-Lite）",
  "isp_name": "transix",
  "ttl": 86400,
  "order": [
    "dslite"
  ],
  "dslite": {
    "aftr": "2404:8e00::feed:101"
  }
}
"#;
    let offer = Offer::parse(transix.as_bytes()).unwrap();
    assert_eq!(offer.order, [Technology::Dslite(Endpoint::Addresses(vec![address("2404:8e00::feed:101")]))]);
    assert_eq!(
        offer.to_string(),
        "Internet Multifeed Co., transix IPv4接続（DS-Lite）, transix: dslite (aftr 2404:8e00::feed:101)"
    );
    let v6connect = r#"{"ttl":86400,"token":"x","service_name":"v6 コネクト","enabler_name":"v6 コネクト","dslite":{"aftr":"dslite.v6connect.net"},"order":["dslite"]}"#;
    let offer = Offer::parse(v6connect.as_bytes()).unwrap();
    assert_eq!(offer.order, [Technology::Dslite(Endpoint::Name("dslite.v6connect.net".into()))]);
}

#[test]
fn nothing_for_this_line() {
    let offer = parse(&json!({ "order": [], "ttl": 3600, "auth": "bad" })).unwrap();
    assert_eq!((offer.order.len(), offer.first(), offer.auth), (0, None, Some(Auth::Bad)));
    assert_eq!(offer.to_string(), "an unnamed service: nothing for this line");
    // What is not in the order is not offered.
    let offer = parse(&json!({ "order": [], "dslite": { "aftr": "a.example" } })).unwrap();
    assert_eq!(offer.order, []);
    let offer = parse(&json!({ "order": ["map_t", "new\u{7}"], "dslite": { "aftr": "a.example" } })).unwrap();
    assert_eq!(offer.order, ["map_t", "new"].map(|name| Technology::Unsupported(name.into())));
    assert_eq!(offer.first(), None);
}

#[test]
fn keys_may_be_absent_null_or_new() {
    let dslite = json!({ "aftr": "a.example", "new": [1] });
    let offer = parse(&json!({ "order": ["dslite"], "dslite": dslite })).unwrap();
    let bare = Offer {
        enabler: None,
        service: None,
        isp: None,
        ttl: None,
        token: None,
        auth: None,
        order: vec![Technology::Dslite(Endpoint::Name("a.example".into()))],
        refused: vec![],
    };
    assert_eq!(offer, bare);
    let nulls = json!({
        "enabler_name": null, "service_name": 5, "isp_name": "\u{1b}\n", "ttl": null, "token": "", "auth": "new",
        "order": ["dslite", "dslite"], "dslite": dslite, "map_e": null, "new": { "x": [{}] },
    });
    assert_eq!(parse(&nulls).unwrap(), bare);
    // Without an order: what there is.
    let none = json!({ "dslite": dslite, "ipip": [
        { "ipv6_local": "2001:db8::1", "ipv6_remote": "2001:db8::2", "ipv4": "203.0.113.1/32" }
    ] });
    let names: Vec<String> = parse(&none).unwrap().order.iter().map(|t| t.name().to_string()).collect();
    assert_eq!(names, ["ipip", "dslite"]);
    for nothing in [json!({}), json!({ "error": "internal" }), json!({ "map_t": {} })] {
        assert_eq!(parse(&nothing), Err(BadAnswer::Nothing));
    }
}

#[test]
fn names_are_short_and_plain() {
    let names = json!({
        "order": [], "enabler_name": format!("\u{1b}[2J {}", "é".repeat(300)), "service_name": "a\nb", "token": "x".repeat(300)
    });
    let offer = parse(&names).unwrap();
    assert_eq!(offer.enabler.as_ref().unwrap().len(), 254);
    assert!(offer.enabler.as_ref().unwrap().starts_with("[2J é"));
    assert_eq!((offer.service.as_deref(), offer.token), (Some("ab"), None));
}

/// Specification 3.4, `ttl`: 604800 at most.
#[test]
fn lifetimes() {
    let ttl = |ttl: Value| parse(&json!({ "order": [], "ttl": ttl })).map(|offer| offer.ttl);
    let seconds = |s| Ok(Some(Duration::from_secs(s)));
    assert_eq!(ttl(json!(0)), seconds(0));
    assert_eq!(ttl(json!(604_800)), seconds(604_800));
    assert_eq!(ttl(json!(604_801)), seconds(604_800));
    assert_eq!(ttl(json!(u64::MAX)), seconds(604_800));
    for (wrong, shown) in [(json!("86400"), "\"86400\""), (json!(-1), "-1"), (json!(1.5), "1.5"), (json!(true), "true")]
    {
        let error = ttl(wrong).unwrap_err().to_string();
        assert_eq!(error, format!("the answer's ttl is {shown}; it must be a whole number of seconds"));
    }
}

#[test]
fn what_is_no_answer() {
    let error = |body: &[u8]| Offer::parse(body).unwrap_err();
    let at = |line, column, what| BadAnswer::Syntax { line, column, what };
    assert_eq!(error(b""), at(1, 0, "it ends early"));
    assert_eq!(error(b"{\"order\": []"), at(1, 12, "it ends early"));
    assert_eq!(error(b"<html>\n<body>"), at(1, 1, "a syntax error"));
    assert_eq!(error(b"{\n\"order\": [],}"), at(2, 13, "a syntax error"));
    assert_eq!(error(b"{\"order\": []} {}"), at(1, 15, "a syntax error"));
    assert_eq!(error(b"{\n  \"isp_name\": \"\xff\"}"), at(2, 16, "no UTF-8"));
    for shape in
        ["[]", "5", "null", "\"s3cret\"", r#"{"order":[],"order":[]}"#, r#"{"token":"s3cret","token":"s3cret"}"#]
    {
        assert_eq!(error(shape.as_bytes()), BadAnswer::Shape, "{shape}");
    }
    for (order, shown) in [
        (json!("dslite"), "something else"),
        (json!({}), "something else"),
        (json!(["dslite", 5]), "a list with 5 in it"),
        (json!([["dslite"]]), "a list with a list or an object in it"),
        (json!(vec!["x"; 33]), "a list of 33"),
    ] {
        let error = parse(&json!({ "order": order })).unwrap_err().to_string();
        assert_eq!(error, format!("the answer's order is {shown}; it must be a list of names"));
    }
    // Deeper than anybody writes: read without recursion where nobody wants to know it, refused elsewhere.
    let deep = |order: &str, key: &str| {
        let (open, close) = ("[".repeat(400_000), "]".repeat(400_000));
        Offer::parse(format!("{{\"order\":[{order}],\"{key}\":{open}{close}}}").as_bytes())
    };
    assert!(deep("", "new").is_ok() && deep("", "map_e").is_ok());
    assert!(matches!(deep("", "ttl"), Err(BadAnswer::Value { key: "ttl", .. })));
    assert!(matches!(deep("\"map_e\"", "map_e"), Err(BadAnswer::Unusable(_))));
    let with_mark = "\u{feff}{\"order\":[]}";
    assert!(Offer::parse(with_mark.as_bytes()).is_ok());
}

fn map_e(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Value {
    let mut json = json!({
        "br": "2001:db8:1::1",
        "rules": [ { "ipv6": "2001:db8:1:2000::/52", "ipv4": "203.0.113.0/24", "ea_length": 12, "psid_offset": 4 } ]
    });
    change(json.as_object_mut().unwrap());
    json
}

fn domain(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Domain {
    let json = json!({ "order": ["map_e"], "map_e": map_e(change) });
    match &parse(&json).unwrap().order[..] {
        [Technology::MapE(domain)] => domain.clone(),
        other => panic!("{other:?}"),
    }
}

/// Specification 3.4, `version` and `mesh`.
#[test]
fn map_e_variants() {
    let plain = domain(|_| {});
    assert_eq!((plain.iid, plain.is_mesh()), (Some(InterfaceId::Draft03), false));
    assert_eq!(plain.rules, [rule("2001:db8:1:2000::/52,203.0.113.0/24,12,4")]);
    for (version, iid) in
        [(Value::Null, InterfaceId::Draft03), (json!(0), InterfaceId::Draft03), (json!(1), InterfaceId::Rfc7597)]
    {
        assert_eq!(domain(|json| drop(json.insert("version".into(), version))).iid, Some(iid));
    }
    for (mesh, is) in
        [(json!(0), false), (json!(1), true), (json!(false), false), (json!(true), true), (Value::Null, false)]
    {
        let domain = domain(|json| drop(json.insert("mesh".into(), mesh)));
        assert_eq!((domain.is_mesh(), domain.rules[0].is_forwarding()), (is, is));
    }
}

#[test]
fn map_e_that_is_refused() {
    let changed = |key: &str, value: Value| refusal("map_e", map_e(|json| drop(json.insert(key.into(), value))));
    let missing = |key: &str| refusal("map_e", map_e(|json| drop(json.remove(key))));
    assert_eq!(changed("version", json!(2)), "version is 2; 0 (draft-03) and 1 (RFC 7597) are known");
    assert_eq!(changed("version", json!("1")), "version is \"1\"; 0 (draft-03) and 1 (RFC 7597) are known");
    assert_eq!(changed("mesh", json!(2)), "mesh is 2; it must be true, false, 1 or 0");
    assert_eq!(changed("mesh", json!("true")), "mesh is \"true\"; it must be true, false, 1 or 0");
    assert_eq!(changed("br", json!("ff02::1")), "br is \"ff02::1\": it is no global unicast address");
    assert_eq!(changed("br", json!("br.example")), "br is \"br.example\": an IPv6 address is written as 2001:db8::1");
    assert_eq!(changed("br", json!(["2001:db8::1"])), "br is a list or an object; it must be a text");
    assert_eq!(missing("br"), "br is missing");
    assert_eq!(missing("rules"), "rules is missing");
    assert_eq!(changed("rules", json!([])), "there is no mapping rule");
    assert!(changed("rules", json!({})).starts_with("it has not the shape"));
    assert!(changed("rules", json!(["2001:db8::/40"])).starts_with("it has not the shape"));
    for other in [json!([]), json!(true), json!("x")] {
        assert!(refusal("map_e", other).starts_with("it has not the shape"));
    }
    let json = json!({ "order": ["map_e", "dslite"], "dslite": { "aftr": "a.example" } });
    assert_eq!(
        parse(&json).unwrap().refused[0].to_string(),
        "map_e: order names it, and the answer does not describe it"
    );
}

#[test]
fn map_e_rules_that_are_refused() {
    let good = json!({ "ipv6": "2001:db8::/40", "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 6 });
    let with = |key: &str, value: Option<Value>| {
        let mut bad = good.clone();
        match value {
            Some(value) => drop(bad.as_object_mut().unwrap().insert(key.into(), value)),
            None => drop(bad.as_object_mut().unwrap().remove(key)),
        }
        refusal("map_e", map_e(|json| drop(json.insert("rules".into(), json!([good, bad])))))
    };
    for key in ["ipv6", "ipv4", "ea_length", "psid_offset"] {
        assert_eq!(with(key, None), format!("rule 1: {key} is missing"));
    }
    let ipv6 = "an IPv6 prefix is written as 2001:db8::/56";
    for wrong in ["2001:db8::", "2001:db8::/129", "192.0.2.0/24", "/40", "2001:db8::/x"] {
        assert_eq!(with("ipv6", Some(json!(wrong))), format!("rule 1: ipv6 is \"{wrong}\": {ipv6}"));
    }
    for wrong in
        ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2/24", "2001:db8::/40", "224.0.0.0/4", "0.0.0.0/0"]
    {
        assert!(with("ipv4", Some(json!(wrong))).starts_with(&format!("rule 1: ipv4 is \"{wrong}\": ")), "{wrong}");
    }
    assert_eq!(with("ea_length", Some(json!(49))), "rule 1: ea_length is 49; it must be a number from 0 to 48");
    assert_eq!(with("ea_length", Some(json!("16"))), "rule 1: ea_length is \"16\"; it must be a number from 0 to 48");
    assert_eq!(with("psid_offset", Some(json!(16))), "rule 1: psid_offset is 16; it must be a number from 0 to 15");
    assert_eq!(with("psid_offset", Some(json!(-1))), "rule 1: psid_offset is -1; it must be a number from 0 to 15");
    // RFC 7597 5.1: 10 + 8 bits are more than a port has.
    assert!(with("psid_offset", Some(json!(10))).contains("> 16"));
}

/// Specification 3.4, `rules`: 256 must be accepted.
#[test]
fn how_many_rules() {
    let rules = |count: u32| -> Vec<Value> {
        let rule = |i| json!({ "ipv6": format!("2001:db8:{i:x}::/48"), "ipv4": "192.0.2.0/24", "ea_length": 16, "psid_offset": 6 });
        (0..count).map(rule).collect()
    };
    assert_eq!(domain(|json| drop(json.insert("rules".into(), json!(rules(256))))).rules.len(), 256);
    let why = refusal("map_e", map_e(|json| drop(json.insert("rules".into(), json!(rules(257))))));
    assert_eq!(why, "there are 257 rules; at most 256 are taken");
    // As many as a megabyte holds.
    let many = format!(
        "{{\"order\":[\"map_e\"],\"map_e\":{{\"br\":\"2001:db8::1\",\"rules\":[{}{{}}]}}}}",
        "{},".repeat(349_000)
    );
    assert!(many.len() < 1 << 20);
    let error = Offer::parse(many.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "nothing of what is offered can be used: map_e: there are 349001 rules; at most 256 are taken");
}

#[test]
fn dslite_variants() {
    let aftr = |aftr: &str| parse(&json!({ "order": ["dslite"], "dslite": { "aftr": aftr } })).unwrap().order.remove(0);
    assert_eq!(aftr("GW.example.jp."), Technology::Dslite(Endpoint::Name("gw.example.jp".into())));
    assert_eq!(aftr("2001:DB8::1"), Technology::Dslite(Endpoint::Addresses(vec![address("2001:db8::1")])));
    for wrong in [json!("fe80::1"), json!("192.0.2.1"), json!("a b"), json!(""), json!("::1"), json!(5)] {
        let json = json!({ "order": ["dslite"], "dslite": { "aftr": wrong } });
        let error = parse(&json).unwrap_err().to_string();
        assert!(error.starts_with("nothing of what is offered can be used: dslite: aftr is "), "{error}");
    }
    assert!(parse(&json!({ "order": ["dslite"], "dslite": {} })).unwrap_err().to_string().ends_with("aftr is missing"));
    // Something else that this program cannot do either does not make it usable.
    assert!(parse(&json!({ "order": ["map_t", "dslite"], "dslite": {} })).is_err());
}

#[test]
fn lw4o6_variants() {
    let whole = json!({ "lwaftr": "2001:db8::2", "ipv6": "2001:db8:3:100::/56", "ipv4": "203.0.113.16" });
    let json = json!({ "order": ["lw4o6"], "lw4o6": whole });
    let Technology::Lw4o6(lw4o6) = parse(&json).unwrap().order.remove(0) else { panic!() };
    assert_eq!((lw4o6.ipv4.to_string(), lw4o6.ports), ("203.0.113.16".into(), PortSet::ALL));
    let mut none = whole.clone();
    none.as_object_mut()
        .unwrap()
        .extend([("psid", 0), ("psid_length", 0), ("psid_offset", 6)].map(|(k, n)| (k.to_string(), json!(n))));
    let offer = parse(&json!({ "order": ["lw4o6"], "lw4o6": none })).unwrap();
    assert_eq!(offer.order, [Technology::Lw4o6(lw4o6)]);
    let with = |more: Value| {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        refusal("lw4o6", part)
    };
    assert_eq!(with(json!({ "psid": 3 })), "psid_length is missing");
    assert_eq!(with(json!({ "psid": 3, "psid_length": 8 })), "psid_offset is missing");
    assert!(
        with(json!({ "psid": 256, "psid_length": 8, "psid_offset": 6 }))
            .starts_with("psid is 256, which has more than ")
    );
    assert!(with(json!({ "psid": 0, "psid_length": 12, "psid_offset": 6 })).contains("> 16"));
    assert_eq!(
        with(json!({ "psid": 70_000, "psid_length": 8, "psid_offset": 6 })),
        "psid is 70000; it must be a number from 0 to 65535"
    );
    assert!(with(json!({ "ipv4": "203.0.113.0/24" })).starts_with("ipv4 is "));
    assert!(with(json!({ "ipv6": "2001:db8::1" })).starts_with("ipv6 is "));
    assert!(with(json!({ "lwaftr": "-" })).starts_with("lwaftr is "));
}

#[test]
fn ipip_variants() {
    let tunnel = |local: &str, ipv4: &str| json!({ "ipv6_local": local, "ipv6_remote": "2001:db8::1", "ipv4": ipv4 });
    let json = json!({ "order": ["ipip"], "ipip": [tunnel("2001:db8:1::7", "203.0.113.9/29"), tunnel("2001:db8:2::7", "203.0.113.1/32")] });
    let offer = parse(&json).unwrap();
    let [Technology::Ipip(first), Technology::Ipip(second)] = offer.order[..] else { panic!("{offer:?}") };
    assert_eq!((first.address.to_string(), first.prefix.to_string()), ("203.0.113.9".into(), "203.0.113.8/29".into()));
    assert_eq!((second.local, second.prefix.len()), (address("2001:db8:2::7"), 32));
    for (wrong, why) in [
        (json!([]), "the list is empty"),
        (
            json!([tunnel("2001:db8::1", "203.0.113.1/32")]),
            "tunnel 0: ipv6_local and ipv6_remote are both 2001:db8::1; a tunnel has two ends",
        ),
        (
            json!([tunnel("2001:db8::2", "203.0.113.1")]),
            "tunnel 0: ipv4 is \"203.0.113.1\": an IPv4 prefix is written as 192.0.2.0/24",
        ),
        (json!([tunnel("2001:db8::2", "203.0.113.1/32"), {}]), "tunnel 1: ipv6_local is missing"),
        (json!(vec![tunnel("2001:db8::2", "203.0.113.1/32"); 17]), "there are 17 tunnels; at most 16 are taken"),
    ] {
        assert_eq!(refusal("ipip", wrong), why);
    }
    // An object where the specification has a list.
    assert!(refusal("ipip", tunnel("2001:db8::2", "203.0.113.1/32")).starts_with("it has not the shape"));
}

/// JSON with the specification's keys and any values.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u64..70).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "2001:db8::/40",
            "192.0.2.0/24",
            "2001:db8::1",
            "a.example",
            "map_e",
            "ipip",
            "lw4o6"
        ])
        .prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec![
        "order",
        "map_e",
        "dslite",
        "lw4o6",
        "ipip",
        "rules",
        "br",
        "aftr",
        "ipv6",
        "ipv4",
        "ea_length",
        "psid_offset",
        "psid",
        "psid_length",
        "lwaftr",
        "ipv6_local",
        "ipv6_remote",
        "version",
        "mesh",
        "ttl",
        "token",
        "auth",
        "enabler_name",
        "new",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(keys.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_string(), value)).collect::<Value>()),
        ]
    })
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzz(&bytes);
    }

    /// Bytes of the specification's example, some of them changed.
    #[test]
    fn nearly_right_bytes(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = SPECIFICATION.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fuzz(&bytes);
    }

    #[test]
    fn any_json(value in any_value()) {
        fuzz(value.to_string().as_bytes());
    }

    #[test]
    fn any_record(record in "(v=v6mig-1|t=a|t=b|url=https?://\\PC{0,9}| |\\PC){0,9}") {
        fuzz(record.as_bytes());
    }

    /// What fits a rule by RFC 7597 is read as that rule, what does not is refused.
    #[test]
    fn rules_are_as_they_are_written(v6: u128, v6_len in 0u8..=128, v4: u32, v4_len in 0u8..=32, ea in 0u8..=60, offset in 0u8..=17) {
        let v4 = std::net::Ipv4Addr::from(v4 & 0x1fff_ffff | 0x4000_0000);
        let text = format!("{}/{v6_len},{v4}/{v4_len},{ea},{offset}", Ipv6Addr::from(v6));
        let json = json!({ "order": ["map_e"], "map_e": map_e(|json| drop(json.insert("rules".into(), json!([
            { "ipv6": format!("{}/{v6_len}", Ipv6Addr::from(v6)), "ipv4": format!("{v4}/{v4_len}"), "ea_length": ea, "psid_offset": offset }
        ])))) });
        match (parse(&json), text.parse::<Rule>()) {
            (Ok(offer), Ok(rule)) => {
                let [Technology::MapE(domain)] = &offer.order[..] else { panic!("{offer:?}") };
                prop_assert_eq!(&domain.rules[..], &[rule][..]);
            }
            (Err(BadAnswer::Unusable(_)), Err(_)) => {}
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
