//! The lab's own arithmetic of MAP against worked examples of others. They lie beside the checkout
//! (`../shared/vectors/map-e.json`); without them the test says so and passes.

use std::path::Path;

use hikyaku_lab::shared::{Domain, InterfaceId};
use serde_json::Value;

fn vectors() -> Option<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors/map-e.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("\n*** SKIPPED: no vectors at {}; nothing was tested ***\n", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("vectors are JSON"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn domain(interface_id: &str, rule: &Value) -> Domain {
    let part = |long, short| rule.get(long).or(rule.get(short)).and_then(Value::as_str).expect("a prefix");
    let rule = format!(
        "{},{},{},{}",
        part("rule_ipv6", "ipv6"),
        part("rule_ipv4", "ipv4"),
        rule["ea_len"],
        rule["psid_offset"]
    );
    Domain {
        interface_id: if interface_id == "draft03" { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 },
        rules: vec![rule.parse().unwrap_or_else(|e| panic!("{e}"))],
        bindings: Vec::new(),
    }
}

/// Ports as ranges, the way the vectors write them.
fn ranges(has: impl Fn(u16) -> bool) -> Vec<[u16; 2]> {
    let mut ranges: Vec<[u16; 2]> = Vec::new();
    for port in (0..=u16::MAX).filter(|&port| has(port)) {
        match ranges.last_mut() {
            Some([_, last]) if *last + 1 == port => *last = port,
            _ => ranges.push([port, port]),
        }
    }
    ranges
}

#[test]
fn a_ce_has_the_address_and_the_ports_of_the_vectors() {
    let Some(vectors) = vectors() else { return };
    let mut tried = 0;
    for vector in vectors["vectors"].as_array().expect("vectors") {
        // A PSID that is given beside the rule: the border router knows such a customer by its table.
        if !matches!(text(vector, "kind"), "mape" | "mape-1to1") {
            continue;
        }
        let (id, input, expect) = (text(vector, "id"), &vector["input"], &vector["expect"]);
        let domain = domain(text(input, "iid_format"), input);
        let ce = text(expect, "ce").parse().unwrap();
        let (address, ports) = domain.share(ce).unwrap_or_else(|| panic!("{id}: {ce} is nobody's"));
        assert_eq!(
            (address.to_string(), u64::from(ports.psid)),
            (text(expect, "ipv4").into(), expect["psid"].as_u64().unwrap()),
            "{id}"
        );
        let expected: Vec<[u16; 2]> = serde_json::from_value(expect["ranges"].clone()).unwrap();
        assert_eq!(ranges(|port| ports.contains(port)), expected, "{id}");
        assert_eq!(ranges(|port| domain.owner(address, port) == Some(ce)), expected, "{id}");
        tried += 1;
    }
    assert!(tried >= 15, "only {tried} vectors were tried");
}

#[test]
fn a_port_leads_to_the_ce_of_the_vectors() {
    let Some(vectors) = vectors() else { return };
    for vector in vectors["reverse"].as_array().expect("reverse vectors") {
        if text(vector, "kind") == "port-to-ce" {
            let input = &vector["input"];
            let domain = domain(text(input, "iid_format"), &input["fmr"]);
            let owner =
                domain.owner(text(input, "dst_ipv4").parse().unwrap(), input["dst_port"].as_u64().unwrap() as u16);
            assert_eq!(owner, text(&vector["expect"], "ce").parse().ok(), "{}", vector["id"]);
        }
    }
}
