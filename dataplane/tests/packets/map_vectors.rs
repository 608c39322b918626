//! Worked examples of MAP-E's arithmetic. They lie beside the checkout (`../shared/vectors/map-e.json`);
//! without them the test says so and passes.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use hikyaku_net::map::{self, BadRule, InterfaceId, Psid, Rule, Unfit};
use hikyaku_net::{PortSet, Prefix6};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/map-e.json");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("\n*** SKIPPED: no vectors at {}; nothing was tested ***\n", path.display());
        return Vec::new();
    };
    let all: Value = serde_json::from_slice(&bytes).unwrap();
    all[kind].as_array().unwrap().clone()
}

fn of<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).parse().unwrap()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(value: &Value) -> T {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number")).try_into().unwrap()
}

fn rule(input: &Value, [ipv6, ipv4]: [&str; 2]) -> Rule {
    let made = Rule::new(of(&input[ipv6]), of(&input[ipv4]), number(&input["ea_len"]), number(&input["psid_offset"]));
    let rule = made.unwrap();
    match &input["psid_len"] {
        Value::Null => rule,
        len => rule.with_psid(Psid { len: number(len), value: number(&input["psid"]) }).unwrap(),
    }
}

/// First and last port of every run.
fn ranges(ports: PortSet) -> Vec<(u16, u16)> {
    let mut runs: Vec<(u16, u16)> = Vec::new();
    for port in (0..=u16::MAX).filter(|&port| ports.contains(port)) {
        match runs.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(port) => *last = port,
            _ => runs.push((port, port)),
        }
    }
    runs
}

#[test]
fn what_a_prefix_gives() {
    for vector in vectors("vectors") {
        let (input, expect, name) = (&vector["input"], &vector["expect"], &vector["id"]);
        let address: Ipv6Addr = of(&expect["ce"]);
        if vector["kind"] == "ipip-static-iid" {
            let slash64: Prefix6 = of(&input["slash64"]);
            let id = match input.get("ipv4") {
                Some(ipv4) => InterfaceId::Draft03.of(of(ipv4), 0),
                None => of::<Ipv6Addr>(&input["iid"]).to_bits() as u64,
            };
            assert_eq!(slash64.with_interface_id(id), address, "{name}");
            continue;
        }
        let rule = rule(input, ["rule_ipv6", "rule_ipv4"]);
        let ce = rule.ce(of(&input["end_user_prefix"]), of(&input["iid_format"])).unwrap();
        assert_eq!(ce.ipv4, of::<Ipv4Addr>(&expect["ipv4"]), "{name}");
        assert_eq!(ce.psid, Psid { len: number(&expect["psid_len"]), value: number(&expect["psid"]) }, "{name}");
        assert_eq!(ce.address, address, "{name}");
        let expected: Vec<(u16, u16)> = serde_json::from_value(expect["ranges"].clone()).unwrap();
        assert_eq!(ranges(ce.ports), expected, "{name}");
        assert_eq!(expected.len(), number::<usize>(&expect["n_ranges"]), "{name}");
        let n: u32 = expected.iter().map(|&(first, last)| u32::from(last) - u32::from(first) + 1).sum();
        assert_eq!(n, number::<u32>(&expect["n_ports"]), "{name}");
    }
}

#[test]
fn where_an_address_and_port_are() {
    for vector in vectors("reverse") {
        let (input, expect, name) = (&vector["input"], &vector["expect"], &vector["id"]);
        match vector["kind"].as_str().unwrap() {
            "port-to-ce" => {
                let rule = rule(&input["fmr"], ["ipv6", "ipv4"]);
                let ipv4: Ipv4Addr = of(&input["dst_ipv4"]);
                let found = rule.remote(ipv4.into(), number(&input["dst_port"]), of(&input["iid_format"]));
                assert_eq!(found.map(Ipv6Addr::from), Some(of(&expect["ce"])), "{name}");
            }
            // RFC 7597 appendix A, example 3: the rule is that of example 1.
            "encap" => {
                let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,6".parse().unwrap();
                let [src, dst]: [Ipv4Addr; 2] = [of(&input["src_ipv4"]), of(&input["dst_ipv4"])];
                let near = rule.remote(src.into(), number(&input["src_port"]), InterfaceId::Rfc7597);
                assert_eq!(near.map(Ipv6Addr::from), Some(of(&expect["outer_src"])), "{name}");
                let far = rule.remote(dst.into(), number(&input["dst_port"]), InterfaceId::Rfc7597);
                assert_eq!(far, None, "{name}: to the border router");
            }
            "port-to-psid" => {
                let (offset, len) = (number(&input["psid_offset"]), number(&input["psid_len"]));
                for (port, psid) in expect["psid_of"].as_object().unwrap() {
                    let ports = PortSet::new(offset, len, number(psid)).unwrap();
                    assert!(ports.contains(port.parse().unwrap()), "{name} {port}");
                }
                for (port, reserved) in expect["reserved"].as_object().unwrap() {
                    let port = port.parse().unwrap();
                    let is_someones = (0..1 << len).any(|psid| PortSet::new(offset, len, psid).unwrap().contains(port));
                    assert_eq!(!is_someones, reserved.as_bool().unwrap(), "{name} {port}");
                }
            }
            other => panic!("{name}: kind {other} is not known here"),
        }
    }
}

#[test]
fn what_is_refused() {
    const V6PLUS: &str = "240b:10::/31,106.72.0.0/15,25,4";
    let v6plus: Rule = V6PLUS.parse().unwrap();
    for vector in vectors("negative") {
        let (input, expect) = (&vector["input"], vector["expect"].as_str().unwrap());
        match vector["id"].as_str().unwrap() {
            id @ "neg-prefix-too-short" => {
                let error = v6plus.ce(of(&input["end_user_prefix"]), InterfaceId::Draft03).unwrap_err();
                assert!(matches!(error, Unfit::TooShort { needed: 56, .. }), "{id}: {error}");
            }
            id @ "neg-inconsistent-k" => {
                let error = v6plus.with_psid(Psid { len: 7, value: 0 }).unwrap_err();
                assert!(matches!(error, BadRule::PsidLen { implied: 8, .. }), "{id}: {error}");
            }
            id @ "neg-offset+k>16" => {
                let error = "240b:10::/31,106.72.0.0/15,25,9".parse::<Rule>().unwrap_err();
                assert!(matches!(error, BadRule::PortBits { offset: 9, psid_len: 8 }), "{id}: {error}");
            }
            id @ "neg-outside-rule" => {
                let end_user: Prefix6 = of(&input["end_user_prefix"]);
                assert_eq!(map::longest(&[v6plus], end_user), None, "{id}");
                assert!(matches!(v6plus.ce(end_user, InterfaceId::Draft03), Err(Unfit::Outside { .. })), "{id}");
            }
            // What a line without ISP is called is for the control thread; here no rule is for it.
            id @ "neg-pending-east" => {
                assert!(v6plus.ce(of(&input["wan"]), InterfaceId::Draft03).is_err(), "{id}");
            }
            other => panic!("{other} ({expect}) is not known here"),
        }
    }
}

#[test]
fn what_is_easily_got_wrong() {
    for vector in vectors("traps") {
        match vector["id"].as_str().unwrap() {
            id @ "trap-psid-justification" => {
                let (wrong, right): (Ipv6Addr, Ipv6Addr) = (of(&vector["wrong"]), of(&vector["right"]));
                let prefix = Prefix6::new(right, 64).unwrap();
                let made = prefix.with_interface_id(InterfaceId::Draft03.of(Ipv4Addr::new(203, 0, 113, 1), 0xab));
                assert!(made == right && made != wrong, "{id}: {made}");
            }
            "trap-a0" => {
                let ports = PortSet::new(4, 8, 0).unwrap();
                assert!((0..4096).all(|port| !ports.contains(port)) && ports.contains(4096));
            }
            // How DHCPv6 writes a PSID is for whoever reads DHCPv6.
            "trap-portparams-length" => {}
            other => panic!("{other} is not known here"),
        }
    }
}
