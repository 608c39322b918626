//! Worked examples of MAP-E, asked of the `hikyaku` program. They lie beside the checkout
//! (`../shared/vectors/map-e.json`); without them the tests say so and pass.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::{Command, Output};

use hikyaku_net::Prefix6;
use hikyaku_protocols::dhcpv6::S46Container;
use hikyaku_protocols::softwire_options::{Refused, Softwire};
use serde_json::Value;

fn vectors(kind: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/map-e.json");
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("\n*** SKIPPED: no vectors at {}; nothing was tested ***\n", path.display());
        return Vec::new();
    };
    let all: Value = serde_json::from_slice(&bytes).unwrap();
    let these = all[kind].as_array().unwrap().clone();
    assert!(!these.is_empty());
    these
}

fn run(args: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).arg("map-e").args(args).output().unwrap()
}

fn json(args: &[String]) -> Value {
    let run = run(&[args, &["--json".into()]].concat());
    assert!(run.status.success(), "{args:?}: {}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}

/// What is said of a request that has no answer, and the exit code.
fn refused(args: &[String]) -> (Option<i32>, String) {
    let run = run(args);
    assert!(run.stdout.is_empty(), "{args:?}: {}", String::from_utf8_lossy(&run.stdout));
    (run.status.code(), String::from_utf8(run.stderr).unwrap())
}

/// Text or number, as it stands on a command line.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToString::to_string)
}

fn rule(of: &Value, keys: [&str; 4]) -> [String; 2] {
    ["--rule".into(), keys.map(|key| word(&of[key])).join(",")]
}

/// Flags for those keys of `input` that are there.
fn flags(input: &Value, keys: &[(&str, &str)]) -> Vec<String> {
    let given = keys.iter().filter(|(key, _)| !input[*key].is_null());
    given.flat_map(|(key, flag)| [flag.to_string(), word(&input[*key])]).collect()
}

fn address(value: &Value) -> Ipv6Addr {
    word(value).parse().unwrap()
}

#[test]
fn what_a_prefix_gives() {
    for vector in vectors("vectors") {
        let (input, expect, name) = (&vector["input"], &vector["expect"], word(&vector["id"]));
        if vector["kind"] == "ipip-static-iid" {
            static_address(input, expect, &name);
            continue;
        }
        let mut args = rule(input, ["rule_ipv6", "rule_ipv4", "ea_len", "psid_offset"]).to_vec();
        args.extend(flags(
            input,
            &[
                ("end_user_prefix", "--prefix"),
                ("iid_format", "--iid"),
                ("br", "--br"),
                ("psid", "--psid"),
                ("psid_len", "--psid-len"),
            ],
        ));
        let answer = json(&args);
        for (key, expected) in expect.as_object().unwrap() {
            match key.as_str() {
                "ce" => assert_eq!(address(&answer["ce"]), address(expected), "{name}"),
                _ => assert_eq!(&answer[key], expected, "{name}: {key}"),
            }
        }
        // A line's own address and ports lead back to it.
        let port = expect["ranges"][0][1].to_string();
        args.extend(["--to".into(), format!("{}:{port}", word(&expect["ipv4"])), "--port".into(), port]);
        let back = json(&args);
        assert_eq!(address(&back["to"][0]["ce"]), address(&expect["ce"]), "{name}");
        assert_eq!(back["port"][0]["ours"], true, "{name}");
    }
}

/// One whole address: the rule is the line, and no bits are embedded.
fn static_address(input: &Value, expect: &Value, name: &str) {
    let Some(ipv4) = input.get("ipv4") else {
        // An id that was issued has no address in it: `ce = "::feed"` of the configuration, not MAP-E.
        let token: hikyaku_protocols::slaac::Token = word(&input["iid"]).parse().unwrap();
        let slash64: Prefix6 = word(&input["slash64"]).parse().unwrap();
        assert_eq!(slash64.with_interface_id(token.bits()), address(&expect["ce"]), "{name}");
        return;
    };
    let slash64 = word(&input["slash64"]);
    let rule = format!("{slash64},{}/32,0,0", word(ipv4));
    let answer = json(&["--prefix".into(), slash64, "--rule".into(), rule]);
    assert_eq!(address(&answer["ce"]), address(&expect["ce"]), "{name}");
    assert_eq!(answer["ipv4"], *ipv4);
    assert_eq!(answer["n_ports"], 65536);
}

#[test]
fn back_from_address_and_port() {
    for vector in vectors("reverse") {
        let (input, expect) = (&vector["input"], &vector["expect"]);
        match vector["kind"].as_str().unwrap() {
            "port-to-ce" => {
                let mut args = rule(&input["fmr"], ["ipv6", "ipv4", "ea_len", "psid_offset"]).to_vec();
                args.extend(["--to".into(), format!("{}:{}", word(&input["dst_ipv4"]), input["dst_port"])]);
                args.extend(flags(input, &[("iid_format", "--iid")]));
                let to = &json(&args)["to"][0];
                assert_eq!(to["psid"], expect["psid"]);
                assert_eq!(address(&to["ce"]), address(&expect["ce"]));
            }
            "encap" => {
                // The line of RFC 7597 appendix A, example 1, which this continues.
                let a1 = &vectors("vectors")[0]["input"];
                let mut args = rule(a1, ["rule_ipv6", "rule_ipv4", "ea_len", "psid_offset"]).to_vec();
                args.extend(flags(a1, &[("end_user_prefix", "--prefix"), ("iid_format", "--iid")]));
                args.extend(flags(input, &[("src_port", "--port"), ("br", "--br")]));
                args.extend(["--to".into(), format!("{}:{}", word(&input["dst_ipv4"]), input["dst_port"])]);
                let answer = json(&args);
                assert_eq!((&answer["ipv4"], &answer["port"][0]["ours"]), (&input["src_ipv4"], &true.into()));
                assert_eq!(address(&answer["ce"]), address(&expect["outer_src"]));
                assert!(answer["to"][0]["ce"].is_null(), "no rule has it, so it goes to the border router");
                assert_eq!(address(&answer["br"][0]), address(&expect["outer_dst"]));
            }
            "port-to-psid" => {
                // Any rule with such a PSID: 24 bits of IPv4 prefix, 8 of suffix.
                let ea_len = 8 + input["psid_len"].as_u64().unwrap();
                let rule = format!("2001:db8::/32,192.0.2.0/24,{ea_len},{}", input["psid_offset"]);
                let psid = |port: &str| json(&["--rule".into(), rule.clone(), "--port".into(), port.into()]);
                for (port, expected) in expect["psid_of"].as_object().unwrap() {
                    assert_eq!(&psid(port)["port"][0]["psid"], expected, "{port}");
                }
                for (port, reserved) in expect["reserved"].as_object().unwrap() {
                    assert_eq!(psid(port)["port"][0]["psid"].is_null(), *reserved, "{port}");
                }
            }
            other => panic!("no test for {other}"),
        }
    }
}

/// A rule as negatives write it: `240b:10::/31 106.72.0.0/15 ea 25 psid_len 7`.
fn spoken_rule(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let after = |key| words.iter().position(|&word| word == key).map(|at| words[at + 1]);
    let mut args = vec!["--rule".into(), format!("{},{},{},4", words[0], words[1], after("ea").unwrap())];
    args.extend(after("psid_len").into_iter().flat_map(|len| ["--psid-len".into(), len.to_string()]));
    args
}

#[test]
fn what_does_not_fit() {
    let args = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    for vector in vectors("negative") {
        let (input, expect) = (&vector["input"], word(&vector["expect"]));
        match vector["id"].as_str().unwrap() {
            "neg-prefix-too-short" => {
                let prefix = flags(input, &[("end_user_prefix", "--prefix")]);
                let (code, error) = refused(&[prefix, spoken_rule(&word(&input["rule"]))].concat());
                assert!(code == Some(1) && error.contains("needs a /56") && expect.contains("/56"), "{error}");
            }
            "neg-inconsistent-k" => {
                let prefix = args(&["--prefix", "240b:10:3f6c:d400::/56"]);
                let (code, error) = refused(&[prefix, spoken_rule(&word(&input["rule"]))].concat());
                assert!(code == Some(2) && error.contains("= 8") && expect.contains("=8"), "{error}");
            }
            "neg-offset+k>16" => {
                let rule = format!(
                    "2001:db8::/32,192.0.2.0/24,{},{}",
                    8 + input["psid_len"].as_u64().unwrap(),
                    input["psid_offset"]
                );
                let (code, error) = refused(&args(&["--prefix", "2001:db8::/48", "--rule", &rule]));
                assert!(code == Some(2) && error.contains("> 16"), "{error}");
            }
            "neg-outside-rule" => {
                // Outside of every rule that another vector has.
                let mut all = flags(input, &[("end_user_prefix", "--prefix")]);
                for vector in vectors("vectors").iter().filter(|v| v["kind"] == "mape") {
                    all.extend(rule(&vector["input"], ["rule_ipv6", "rule_ipv4", "ea_len", "psid_offset"]));
                }
                let (code, error) = refused(&all);
                assert!(code == Some(1) && error.contains("has no rule for the line"), "{error}");
            }
            "neg-pending-east" => {
                let named = expect.split([' ', ',', ';']).filter(|word| word.parse::<Prefix6>().is_ok());
                let mut prefixes = flags(input, &[("wan", "--prefix")])[1..].to_vec();
                prefixes.extend(named.map(ToString::to_string));
                assert_eq!(prefixes.len(), 6, "{expect}");
                for prefix in prefixes {
                    // A rule that would have it changes nothing.
                    let rule = format!("{},192.0.2.0/24,16,4", prefix.replace("/64", "/48"));
                    let (code, error) = refused(&args(&["--prefix", &prefix, "--rule", &rule]));
                    assert!(code == Some(1) && error.contains("awaiting ISP"), "{prefix}: {error}");
                }
            }
            other => panic!("no test for {other}"),
        }
    }
}

#[test]
fn mistakes_that_others_made() {
    for trap in vectors("traps") {
        match trap["id"].as_str().unwrap() {
            "trap-psid-justification" => {
                let (right, wrong) = (address(&trap["right"]), address(&trap["wrong"]));
                // What the right one says of itself: draft-ietf-softwire-map-03 6.
                let id = right.octets();
                let ipv4 = Ipv4Addr::new(id[9], id[10], id[11], id[12]);
                let slash48 = format!("{}/48", Prefix6::new(right, 48).unwrap().address());
                let rule = format!("2001:db8::/32,{}.{}.{}.0/24,16,4", id[9], id[10], id[11]);
                let answer = json(&["--prefix".into(), slash48, "--rule".into(), rule]);
                assert_eq!(answer["ipv4"], ipv4.to_string());
                assert_eq!((address(&answer["ce"]), right == wrong), (right, false));
            }
            "trap-portparams-length" => {
                let rule = [0, 89, 0, 21, 0, 16, 24, 192, 0, 2, 0, 40, 0x20, 0x01, 0x0d, 0xb8, 0];
                let br = [0, 90, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
                let read = |rule: &[u8], ports: &[u8]| {
                    Softwire::read(&S46Container { code: 94, bytes: [rule, ports, &br].concat() })
                };
                let Ok(Softwire::MapE(domain)) = read(&rule, &[0, 93, 0, 4, 4, 8, 0x34, 0]) else { panic!() };
                assert_eq!((domain.rules[0].psid_offset(), domain.rules[0].psid_len()), (4, 8));
                let mut short = rule;
                short[3] -= 1;
                let three = read(&short, &[0, 93, 0, 3, 4, 8, 0x34]);
                assert!(matches!(three, Err(Refused::Length { len: 3, must: 4, .. })), "{three:?}");
                let right = read(&rule, &[0, 93, 0, 4, 4, 8, 0, 0x34]);
                assert!(matches!(right, Err(Refused::NotLeftJustified { .. })), "{right:?}");
            }
            "trap-a0" => {
                for (offset, first) in [(1, 32768), (4, 4096), (6, 1024), (8, 256)] {
                    let rule = format!("2001:db8::/40,192.0.2.0/24,16,{offset}");
                    let answer = json(&["--prefix".into(), "2001:db8::/56".into(), "--rule".into(), rule]);
                    assert_eq!(answer["ranges"][0][0], first, "192.0.2.0 is a host's, PSID 0");
                }
            }
            other => panic!("no test for {other}"),
        }
    }
}
