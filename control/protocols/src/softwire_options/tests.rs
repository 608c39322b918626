//! Containers by hand, and every container there can be.

use hikyaku_net::Prefix4;
use hikyaku_net::map::{Psid, Rule};
use proptest::prelude::*;

use super::*;
use crate::aftr::Endpoint;
use crate::map_domain::BadDomain;

/// An option, or a container as a Reply has it.
fn option(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn read(code: u16, options: &[&[u8]]) -> Result<Softwire, Refused> {
    Softwire::read(&S46Container { code, bytes: options.concat() })
}

fn mape(options: &[&[u8]]) -> Result<Domain, Refused> {
    read(94, options).map(|softwire| match softwire {
        Softwire::MapE(domain) => domain,
        other => panic!("{other:?}"),
    })
}

fn lw(options: &[&[u8]]) -> Result<Lw4o6, Refused> {
    read(96, options).map(|softwire| match softwire {
        Softwire::Lw4o6(lw4o6) => lw4o6,
        other => panic!("{other:?}"),
    })
}

/// OPTION_S46_RULE, 2001:db8::/40 and 192.0.2.0/24 with 16 EA bits, without options. Its length is of those
/// 13 octets, and `more` of options that follow.
const fn rule_head(flags: u8, more: u8) -> [u8; 17] {
    [0, 89, 0, 13 + more, flags, 16, 24, 192, 0, 2, 0, 40, 0x20, 0x01, 0x0d, 0xb8, 0x00]
}

/// OPTION_S46_BR, 2001:db8:ffff::1.
const BR: [u8; 20] = [0, 90, 0, 16, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// OPTION_S46_V4V6BIND, 192.0.2.18 and 2001:db8:12:3400::/56, with `more` octets of options to follow.
const fn bind_head(more: u8) -> [u8; 16] {
    [0, 92, 0, 12 + more, 192, 0, 2, 18, 56, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x12, 0x34]
}

/// OPTION_S46_PORTPARAMS: PSID 0x34 in 8 bits, at the left of its 16.
const PORTS: [u8; 8] = [0, 93, 0, 4, 6, 8, 0x34, 0x00];

fn br() -> Ipv6Addr {
    "2001:db8:ffff::1".parse().unwrap()
}

/// RFC 7598 figures 1 to 3, with the numbers of RFC 7597 appendix A, example 1.
#[test]
fn rfc7598_5_1_mape() {
    let domain = mape(&[&rule_head(0, 0), &BR]).unwrap();
    let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,6".parse().unwrap();
    assert_eq!(domain, Domain { rules: vec![rule], br: vec![br()], iid: None });
    let line = "2001:db8:12:3400::/56".parse().unwrap();
    let ce = domain.rule_of(line).unwrap().ce(line, InterfaceId::Rfc7597).unwrap();
    assert_eq!((ce.ipv4.to_string(), ce.psid), ("192.0.2.18".into(), Psid { len: 8, value: 0x34 }));
    assert_eq!(ce.address.to_string(), "2001:db8:12:3400:0:c000:212:34");

    // Any order, several of both, options of others.
    let second = [&[0, 90, 0, 16][..], &br().octets()[..15], &[2]].concat();
    let domain = mape(&[&BR, &option(7, b"?"), &rule_head(0, 0), &second, &rule_head(1, 0)]).unwrap();
    assert_eq!(domain.rules, [rule, rule.with_forwarding(true)]);
    assert_eq!(domain.br, [br(), "2001:db8:ffff::2".parse().unwrap()]);
    assert!(domain.is_mesh());
}

/// RFC 7598 4.1: flags other than F and bits behind a prefix are not looked at.
#[test]
fn rfc7598_4_1_what_is_reserved() {
    let mut rule = rule_head(0xfe, 0);
    (rule[6], rule[10], rule[11], rule[16]) = (20, 0xff, 36, 0x0f);
    let domain = mape(&[&rule, &BR]).unwrap();
    assert_eq!(domain.rules, ["2001:db8::/36,192.0.0.0/20,16,6".parse().unwrap()]);
}

/// RFC 7598 figure 6; `trap-portparams-length` of the map-e vectors: 4 octets, the PSID left-justified.
#[test]
fn rfc7598_4_5_port_params() {
    let with = |ports: [u8; 8]| mape(&[&rule_head(0, 8), &ports, &BR]).map(|domain| domain.rules[0]);
    let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,4".parse().unwrap();
    // Without a PSID: only the offset.
    assert_eq!(with([0, 93, 0, 4, 4, 0, 0, 0]), Ok(rule));
    assert_eq!(with([0, 93, 0, 4, 4, 0, 0xff, 0xff]), Ok(rule), "RFC 7598 4.5: the PSID is ignored");
    assert_eq!(with([0, 93, 0, 4, 4, 8, 0x34, 0]), Ok(rule.with_psid(Psid { len: 8, value: 0x34 }).unwrap()));

    // 192.0.2.18/32, no EA bits: RFC 7597 appendix A, example 5.
    let a5 = [0, 89, 0, 15 + 8, 0, 0, 32, 192, 0, 2, 18, 56, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x12, 0x34];
    let rule = mape(&[&a5, &PORTS, &BR]).unwrap().rules[0];
    let line = "2001:db8:12:3400::/56".parse().unwrap();
    let ce = rule.ce(line, InterfaceId::Rfc7597).unwrap();
    assert_eq!(ce.address.to_string(), "2001:db8:12:3400:0:c000:212:34");
    assert_eq!((ce.ports.len(), ce.ports.ranges().next()), (252, Some((1232, 1235))));

    // A whole prefix of addresses: the PSID is discarded, not the rule.
    let mut wide = rule_head(0, 8);
    wide[5] = 4;
    assert_eq!(mape(&[&wide, &PORTS, &BR]).unwrap().rules[0].psid_len(), 0);

    let three = [0, 93, 0, 3, 6, 8, 0x34];
    assert_eq!(mape(&[&rule_head(0, 7), &three, &BR]), Err(Refused::Length { code: Code(93), len: 3, must: 4 }));
    let right = [0, 93, 0, 4, 6, 8, 0, 0x34];
    assert_eq!(with(right), Err(Refused::NotLeftJustified { psid: 0x34, psid_len: 8 }));
    let large = |field, value, most| Err(Refused::TooLarge { code: Code(93), field, value, most });
    assert_eq!(with([0, 93, 0, 4, 16, 0, 0, 0]), large("offset", 16, 15));
    assert_eq!(with([0, 93, 0, 4, 0, 17, 0, 0]), large("PSID-len", 17, 16));
    assert_eq!(with([0, 93, 0, 4, 9, 8, 0, 0]), Err(Refused::PortBits { offset: 9, psid_len: 8 }));
    assert_eq!(
        with([0, 93, 0, 4, 0, 16, 0xff, 0xff]).unwrap_err().to_string().split(';').next(),
        Some("S46_RULE (89): PSID length 16: it must equal EA length - (32 - length of 192.0.2.0/24) = 8")
    );
}

/// RFC 7598 4.4 and 5.3.
#[test]
fn rfc7598_5_3_lw4o6() {
    let whole = lw(&[&bind_head(0), &BR]).unwrap();
    let ipv4 = Ipv4Addr::new(192, 0, 2, 18);
    let bind_prefix = "2001:db8:12:3400::/56".parse().unwrap();
    assert_eq!(whole, Lw4o6 { lwaftr: Endpoint::Addresses(vec![br()]), ipv4, ports: PortSet::ALL, bind_prefix });
    let shared = lw(&[&BR, &bind_head(8), &PORTS]).unwrap();
    assert_eq!(shared.ports, PortSet::new(6, 8, 0x34).unwrap());
    let no_psid = lw(&[&BR, &bind_head(8), &[0, 93, 0, 4, 6, 0, 0x34, 0]]).unwrap();
    assert_eq!(no_psid.ports, PortSet::ALL, "without a PSID the address is not shared");

    assert_eq!(lw(&[&BR]), Err(Refused::NoAddress));
    assert_eq!(lw(&[&bind_head(0)]), Err(Refused::Missing(Code(90), Code(96))));
    assert_eq!(lw(&[&BR, &bind_head(0), &bind_head(0)]), Err(Refused::Repeated(Code(92), Code(96))));
    assert_eq!(lw(&[&BR, &rule_head(0, 0)]), Err(Refused::Misplaced(Code(89), Code(96))));
    let twice = lw(&[&BR, &bind_head(16), &PORTS, &PORTS]);
    assert_eq!(twice, Err(Refused::Repeated(Code(93), Code(92))));
    let mut nobody = bind_head(0);
    nobody[4] = 224;
    assert!(lw(&[&BR, &nobody]).unwrap_err().to_string().contains("224.0.2.18"));
}

/// RFC 7596 5.1: the prefix that agrees best; the id of RFC 7597 6.
#[test]
fn rfc7596_5_1_our_end() {
    let of = |bind: &str| Lw4o6 {
        lwaftr: Endpoint::Addresses(vec![br()]),
        ipv4: Ipv4Addr::new(192, 0, 2, 18),
        ports: PortSet::new(0, 8, 0x34).unwrap(),
        bind_prefix: bind.parse().unwrap(),
    };
    let end = |bind: &str, prefixes: &[&str]| {
        let prefixes: Vec<_> = prefixes.iter().map(|p| p.parse().unwrap()).collect();
        of(bind).end(&prefixes)
    };
    let some = |text: &str| Some(text.parse::<Ipv6Addr>().unwrap());
    assert_eq!(end("2001:db8:1::/48", &["2001:db8:1:5::/64"]), some("2001:db8:1:5:0:c000:212:34"));
    assert_eq!(end("2001:db8:1:5::/64", &["2001:db8:1::/56"]), some("2001:db8:1:5:0:c000:212:34"));
    assert_eq!(end("::/0", &["2001:db8:1::/64", "2001:db8:2::/64"]), some("2001:db8:1:0:0:c000:212:34"));
    let both = ["2001:db8::/32", "2001:db8:1:5::/64"];
    assert_eq!(end("2001:db8:1:5::/64", &both), some("2001:db8:1:5:0:c000:212:34"));
    assert_eq!(end("2001:db8:1::7/128", &["2001:db8:1::/56"]), some("2001:db8:1::7"), "the whole address");
    assert_eq!(end("2001:db8:1::/48", &["2001:db8:2::/64"]), None);
    assert_eq!(end("2001:db8:1::/48", &[]), None);
}

/// RFC 7598 8: what is invalid costs its container, with a reason.
#[test]
fn rfc7598_8_refusals() {
    assert_eq!(read(95, &[&rule_head(0, 0)]), Err(Refused::MapT));
    assert!(Refused::MapT.to_string().contains("MAP-T"));
    assert_eq!(read(97, &[]), Err(Refused::NoContainer(Code(97))));
    assert_eq!(mape(&[]), Err(Refused::Missing(Code(90), Code(94))));
    assert_eq!(mape(&[&BR]), Err(Refused::Domain(BadDomain::NoRule)));
    assert_eq!(mape(&[&rule_head(0, 0)]), Err(Refused::Missing(Code(90), Code(94))));
    let cut = |code| Err(Refused::Truncated(Code(code)));
    assert_eq!(mape(&[&BR[..19]]), cut(94));
    assert_eq!(mape(&[&BR, &[0, 89, 0]]), cut(94));
    assert_eq!(mape(&[&BR, &option(89, &[0; 7])]), cut(89));
    assert_eq!(mape(&[&BR, &option(89, &[0, 16, 24, 192, 0, 2, 0, 40, 0x20, 0x01, 0x0d, 0xb8])]), cut(89));
    assert_eq!(mape(&[&BR, &rule_head(0, 3), &[0, 93, 0]]), cut(89));
    assert_eq!(mape(&[&option(90, &[0; 15])]), Err(Refused::Length { code: Code(90), len: 15, must: 16 }));
    assert!(mape(&[&option(90, &[0xff; 16])]).unwrap_err().to_string().contains("ffff:"));
    let misplaced = |code, inside| Err(Refused::Misplaced(Code(code), Code(inside)));
    assert_eq!(mape(&[&BR, &option(91, &[0])]), misplaced(91, 94));
    assert_eq!(mape(&[&BR, &bind_head(0)]), misplaced(92, 94));
    assert_eq!(mape(&[&BR, &PORTS]), misplaced(93, 94));
    assert_eq!(mape(&[&BR, &rule_head(0, 20), &BR]), misplaced(90, 89));
    let twice = mape(&[&BR, &rule_head(0, 16), &PORTS, &PORTS]);
    assert_eq!(twice, Err(Refused::Repeated(Code(93), Code(89))));
    for (at, value, says) in [
        (6, 33, "S46_RULE (89) has prefix4-len 33, over 32; tell the provider"),
        (11, 129, "S46_RULE (89) has prefix6-len 129, over 128; tell the provider"),
        (5, 49, "S46_RULE (89): EA length 49: it is 48 bits at most"),
        (5, 255, "S46_RULE (89): EA length 255: it is 48 bits at most"),
    ] {
        let mut wrong = rule_head(0, 0);
        wrong[at] = value;
        let error = mape(&[&BR, &wrong]).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

/// What kea 2.2.0 sends of `s46-rule "1, 16, 24, 192.0.2.0, 2001:db8::/40"` with `s46-portparams "4, 0/0"`, and of
/// `s46-v4v6bind "192.0.2.18, 2001:db8:12:3400::/56"` with `s46-portparams "6, 52/8"`.
#[test]
fn as_kea_writes_it() {
    let kea = [
        0x00, 0x59, 0x00, 0x15, 0x01, 0x10, 0x18, 0xc0, 0x00, 0x02, 0x00, 0x28, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00,
        0x5d, 0x00, 0x04, 0x04, 0x00, 0x00, 0x00, 0x00, 0x5a, 0x00, 0x10, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
    ];
    let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,4".parse().unwrap();
    assert_eq!(mape(&[&kea]), Ok(Domain { rules: vec![rule.with_forwarding(true)], br: vec![br()], iid: None }));
    let kea = [
        0x00, 0x5a, 0x00, 0x10, 0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x02, 0x00, 0x5c, 0x00, 0x14, 0xc0, 0x00, 0x02, 0x12, 0x38, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x12, 0x34,
        0x00, 0x5d, 0x00, 0x04, 0x06, 0x08, 0x34, 0x00,
    ];
    let lw4o6 = Lw4o6 {
        lwaftr: "2001:db8:ffff::2".parse().unwrap(),
        ipv4: Ipv4Addr::new(192, 0, 2, 18),
        ports: PortSet::new(6, 8, 52).unwrap(),
        bind_prefix: "2001:db8:12:3400::/56".parse().unwrap(),
    };
    assert_eq!(lw(&[&kea]), Ok(lw4o6));
}

#[test]
fn rules_have_an_end() {
    let rule = rule_head(0, 0);
    let of = |n: usize| mape(&[&BR, &rule.repeat(n)]);
    assert_eq!(of(256).unwrap().rules.len(), 256);
    assert_eq!(of(257), Err(Refused::Domain(BadDomain::TooManyRules(257))));
    assert_eq!(
        of(257).unwrap_err().to_string(),
        "S46_CONT_MAPE (94): there are 257 mapping rules; at most 256 are taken; tell the provider"
    );
}

/// RFC 8026 1.3: what the server lists comes first, in its order.
#[test]
fn rfc8026_the_order_is_the_server_s() {
    let container = |code, options: &[&[u8]]| S46Container { code, bytes: options.concat() };
    let information = |s46_priority: &[u16]| Information {
        aftr_name: Some("gw.example.net".into()),
        s46: vec![container(96, &[&BR, &bind_head(0)]), container(95, &[]), container(94, &[&BR, &rule_head(0, 0)])],
        s46_priority: s46_priority.to_vec(),
        ..Information::default()
    };
    let order = |s46_priority: &[u16]| -> Vec<&str> {
        let names = offers(&information(s46_priority)).into_iter().map(|offer| match offer {
            Offer::DsLite(name) => {
                assert_eq!(name, "gw.example.net");
                "ds-lite"
            }
            Offer::Softwire(Softwire::MapE(_)) => "map-e",
            Offer::Softwire(Softwire::Lw4o6(_)) => "lw4o6",
            Offer::Refused(code, why) => {
                assert_eq!((code, why), (Code(95), Refused::MapT));
                "map-t"
            }
        });
        names.collect()
    };
    assert_eq!(order(&[]), ["ds-lite", "map-e", "map-t", "lw4o6"]);
    assert_eq!(order(&[96, 88, 94]), ["lw4o6", "map-e", "ds-lite", "map-t"]);
    assert_eq!(order(&[64, 64, 96]), ["ds-lite", "lw4o6", "map-e", "map-t"]);
    assert_eq!(offers(&Information::default()), []);
}

/// As a server writes it.
fn written(rule: &Rule) -> Vec<u8> {
    let prefix = &rule.ipv6().address().octets()[..usize::from(rule.ipv6().len()).div_ceil(8)];
    let flags = u8::from(rule.is_forwarding());
    let ipv4 = rule.ipv4().address().octets();
    let head = [&[flags, rule.ea_len(), rule.ipv4().len()][..], &ipv4, &[rule.ipv6().len()], prefix].concat();
    option(89, &[head, option(93, &[rule.psid_offset(), 0, 0, 0])].concat())
}

prop_compose! {
    fn any_rule()(ipv6: u128, len6 in 0u8..=128, ipv4: u32, len4 in 0u8..=32, ea in 0u8..=48, offset in 0u8..16, f: bool)
        -> Option<Rule> {
        let ipv6 = Prefix6::new(ipv6.into(), len6)?;
        let rule = Rule::new(ipv6, Prefix4::new(ipv4.into(), len4)?, ea, offset).ok()?;
        Some(rule.with_forwarding(f))
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(rules in prop::collection::vec(any_rule(), 1..20)) {
        let rules: Vec<Rule> = rules.into_iter().flatten().collect();
        prop_assume!(!rules.is_empty());
        let container: Vec<u8> = rules.iter().flat_map(written).chain(BR).collect();
        let domain = Domain { rules, br: vec![br()], iid: None };
        prop_assert_eq!(mape(&[&container]), Ok(domain));
    }

    #[test]
    fn psids_are_read(offset in 0u8..16, len in 1u8..=16, psid: u16) {
        let psid = psid >> (16 - len);
        let field = (psid << (16 - len)).to_be_bytes();
        let read = lw(&[&BR, &bind_head(8), &[0, 93, 0, 4, offset, len, field[0], field[1]]]);
        match PortSet::new(offset, len, psid) {
            Some(ports) => prop_assert_eq!(read.unwrap().ports, ports),
            None => prop_assert_eq!(read, Err(Refused::PortBits { offset, psid_len: len })),
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz(&bytes);
    }

    /// Options that look right, nested, repeated, and cut or changed anywhere.
    #[test]
    fn any_options(
        parts in prop::collection::vec(0usize..7, 0..12),
        change in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let known: [&[u8]; 7] = [
            &rule_head(0, 0), &rule_head(1, 8), &BR, &bind_head(0), &bind_head(8), &PORTS, &[0, 91, 0, 1, 0],
        ];
        let mut bytes: Vec<u8> = parts.iter().flat_map(|&part| known[part].to_vec()).collect();
        for (at, value) in change.iter().filter(|_| !parts.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        bytes.truncate(cut.index(bytes.len() + 1));
        fuzz(&bytes);
    }
}
