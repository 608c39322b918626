//! MAP-E's arithmetic, over rules at random and at its edges.

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_net::map::{self, BadRule, InterfaceId, Psid, Rule, Unfit};
use hikyaku_net::{Prefix4, Prefix6};
use proptest::prelude::*;

/// Rules of all shapes: whole prefixes, whole addresses, shared addresses, with PSID beside or without.
fn rules() -> impl Strategy<Value = Rule> {
    let beside = (any::<u128>(), 0u8..=128, any::<u8>(), any::<u16>(), 0u8..=15, 1u8..=16).prop_filter_map(
        "a + k > 16",
        |(v6, n, host, value, a, k)| {
            let ipv4 = Prefix4::new(Ipv4Addr::new(192, 0, 2, host), 32)?;
            let rule = Rule::new(Prefix6::new(v6.into(), n)?, ipv4, 0, a).ok()?;
            rule.with_psid(Psid { len: k, value: value & (((1u32 << k) - 1) as u16) }).ok()
        },
    );
    let shaped = (any::<u128>(), 0u8..=64, any::<u32>(), 1u8..=32, 0u8..=48, 0u8..=15).prop_filter_map(
        "no rule",
        |(v6, n, v4, r, ea, a)| {
            // The first octet is a host's.
            let v4 = Prefix4::new(Ipv4Addr::from(v4 & 0x1fff_ffff | 0x4000_0000), r.max(8))?;
            Rule::new(Prefix6::new(v6.into(), n)?, v4, ea, a).ok()
        },
    );
    prop_oneof![1 => beside, 4 => shaped]
}

fn iids() -> impl Strategy<Value = InterfaceId> {
    prop_oneof![Just(InterfaceId::Draft03), Just(InterfaceId::Rfc7597)]
}

/// A line of this rule: its prefix with any bits behind.
fn line(rule: &Rule, bits: u128, longer: u8) -> Prefix6 {
    let n = u32::from(rule.ipv6().len());
    let host = bits & u128::MAX.checked_shr(n).unwrap_or(0);
    let len = (rule.end_user_len() + longer).min(128);
    Prefix6::new((rule.ipv6().address().to_bits() | host).into(), len).unwrap()
}

proptest! {
    #[test]
    fn rfc7597_5_3_there_and_back(rule in rules(), bits: u128, longer in 0u8..=8, host: u32, iid in iids()) {
        let end_user = line(&rule, bits, longer);
        let ce = rule.ce(end_user, iid).unwrap();
        prop_assert_eq!(ce.end_user, end_user.shortened(rule.end_user_len()).unwrap());
        prop_assert!(ce.end_user.contains(ce.address) && rule.ipv4().contains(ce.ipv4.into()));
        // Whatever bits an IPv4 prefix leaves are the CE's own.
        let any_of_ours = u32::from(ce.ipv4) | host & u32::MAX.checked_shr(ce.ipv4_len.into()).unwrap_or(0);
        for port in 0..=u16::MAX {
            let found = rule.remote(Ipv4Addr::from(any_of_ours).into(), port, iid).map(Ipv6Addr::from);
            prop_assert_eq!(found == Some(ce.address), ce.ports.contains(port), "port {}: {:?}", port, found);
        }
    }

    #[test]
    fn rfc7597_5_1_whoever_has_a_port_has_its_psid(rule in rules(), bits: u128, port: u16, iid in iids()) {
        let ce = rule.ce(line(&rule, bits, 0), iid).unwrap();
        let remote = rule.remote(ce.ipv4.into(), port, iid).map(Ipv6Addr::from);
        let reserved = ce.psid.len > 0 && ce.psid_offset > 0 && port >> (16 - ce.psid_offset) == 0;
        let below = 16 - if ce.psid.len > 0 { u32::from(ce.psid_offset + ce.psid.len) } else { 16 };
        let psid = (u32::from(port) >> below & ((1 << ce.psid.len) - 1)) as u16;
        prop_assert_eq!(ce.ports.contains(port), !reserved && psid == ce.psid.value);
        match remote {
            // Another's end, made by the same rule from its own prefix.
            Some(remote) => {
                let other = rule.ce(Prefix6::new(remote, rule.end_user_len()).unwrap(), iid).unwrap();
                prop_assert!((other.ipv4, other.psid.value, other.address) == (ce.ipv4, psid, remote));
                prop_assert!(other.ports.contains(port));
            }
            None => prop_assert!(reserved || psid != ce.psid.value),
        }
    }

    #[test]
    fn rfc7597_5_the_longest_rule_counts(rules in prop::collection::vec(rules(), 0..=256), line: u128, len in 0u8..=128) {
        let end_user = Prefix6::new(line.into(), len).unwrap();
        let mut found: Option<&Rule> = None;
        for rule in &rules {
            let covers = end_user.shortened(rule.ipv6().len()) == Some(rule.ipv6());
            if covers && found.is_none_or(|found| found.ipv6().len() < rule.ipv6().len()) {
                found = Some(rule);
            }
        }
        prop_assert_eq!(map::longest(&rules, end_user), found);
    }

    #[test]
    fn no_numbers_are_too_strange(v6: u128, n in 0u8..=128, v4: u32, r in 0u8..=32, ea: u8, a: u8, len: u8, value: u16, end: u128, m in 0u8..=128, port: u16) {
        let (ipv6, ipv4) = (Prefix6::new(v6.into(), n).unwrap(), Prefix4::new(v4.into(), r).unwrap());
        for ea in [ea, ea % 49] {
            let Ok(rule) = Rule::new(ipv6, ipv4, ea, a % 17) else { continue };
            let text = rule.to_string();
            prop_assert_eq!(text.parse(), Ok(rule));
            for rule in [Some(rule), rule.with_psid(Psid { len, value }).ok()].into_iter().flatten() {
                let _ = rule.ce(Prefix6::new(end.into(), m).unwrap(), InterfaceId::Draft03);
                let _ = rule.remote(Ipv4Addr::from(v4).into(), port, InterfaceId::Rfc7597);
            }
        }
    }

    #[test]
    fn text_is_read_or_refused(text in "[0-9a-f:./, ]{0,40}|.{0,20}") {
        let _ = text.parse::<Rule>();
        let _ = text.parse::<Prefix6>();
    }
}

#[test]
fn draft03_6_and_rfc7597_6_the_lower_half() {
    let ipv4 = Ipv4Addr::new(192, 0, 2, 18);
    assert_eq!(InterfaceId::Draft03.of(ipv4, 0x1234), 0x00c0_0002_1212_3400);
    assert_eq!(InterfaceId::Rfc7597.of(ipv4, 0x1234), 0x0000_c000_0212_1234);
    assert_eq!("draft03".parse(), Ok(InterfaceId::Draft03));
    assert_eq!("rfc7597".parse(), Ok(InterfaceId::Rfc7597));
    assert!("draft-03".parse::<InterfaceId>().is_err());
}

#[test]
fn errors_say_what_to_do() {
    let refused = |text: &str| text.parse::<Rule>().unwrap_err().to_string();
    assert!(refused("2001:db8::/40,192.0.2.0/24,16").contains("there are 3 fields, not 4"));
    assert!(refused("2001:db8::,192.0.2.0/24,16,6").contains("'2001:db8::' is not an IPv6 prefix"));
    assert!(refused("2001:db8::/40,192.0.2.0/24,x,6").contains("EA_LENGTH is a number"));
    assert!(refused("2001:db8::/40,192.0.2.0/24,16,9").starts_with("PSID offset 9 + PSID length 8 > 16"));
    assert_eq!(refused("2001:db8::/40,192.0.2.0/24,16,16"), "PSID offset 16: it is 0 to 15; check the rule");
    assert!(refused("2001:db8::/120,192.0.2.0/24,16,0").contains("longer than an IPv6 address"));
    assert!(refused("::/0,0.0.0.0/0,49,0").starts_with("EA length 49"));

    let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,6".parse().unwrap();
    let of = |line: &str| rule.ce(line.parse().unwrap(), InterfaceId::Draft03).unwrap_err().to_string();
    assert_eq!(
        of("2001:db8:12:3400::/52"),
        "2001:db8:12:3000::/52 is shorter than rule and EA bits: this rule needs a /56, the line has a /52"
    );
    assert!(of("2001:db9::/56").starts_with("2001:db9::/56 is outside the rule 2001:db8::/40"));
    assert_eq!(
        rule.with_psid(Psid { len: 9, value: 0 }),
        Err(BadRule::PsidLen { given: 9, implied: 8, ipv4: rule.ipv4() })
    );
    assert_eq!(rule.with_psid(Psid { len: 8, value: 256 }), Err(BadRule::PsidValue(256, 8)));
    assert_eq!(rule.with_psid(Psid { len: 0, value: 7 }), Ok(rule));
    let with = rule.with_psid(Psid { len: 8, value: 0x35 }).unwrap();
    let line = "2001:db8:12:3400::/56".parse().unwrap();
    assert_eq!(with.ce(line, InterfaceId::Draft03), Err(Unfit::OtherPsid { given: 0x35, found: 0x34 }));
    let whole: Rule = "2001:db8::/40,192.0.2.0/24,8,6".parse().unwrap();
    assert!(matches!(whole.with_psid(Psid { len: 4, value: 1 }), Err(BadRule::PsidOfMany { .. })));
    let one: Rule = "2001:db8::/56,192.0.2.1/32,0,6".parse().unwrap();
    assert!(matches!(one.with_psid(Psid { len: 255, value: 1 }), Err(BadRule::PortBits { .. })));
    let nobodys: Rule = "2001:db8::/40,224.0.0.0/24,16,6".parse().unwrap();
    assert_eq!(nobodys.ce(line, InterfaceId::Draft03), Err(Unfit::NoHost([224, 0, 0, 18].into())));
}

/// Behind a home gateway a line has a /60, or the /64 in front of it: the border router knows the /56.
#[test]
fn a_longer_prefix_is_cut_and_the_end_is_in_its_first_subnet() {
    let rule: Rule = "240b:10::/31,106.72.0.0/15,25,4".parse().unwrap();
    let expected = rule.ce("240b:10:3f6c:d400::/56".parse().unwrap(), InterfaceId::Draft03).unwrap();
    for line in ["240b:10:3f6c:d4f0::/60", "240b:10:3f6c:d400::/64", "240b:10:3f6c:d4f1::/64"] {
        assert_eq!(rule.ce(line.parse().unwrap(), InterfaceId::Draft03), Ok(expected), "{line}");
    }
    assert_eq!(expected.end_user.to_string(), "240b:10:3f6c:d400::/56");
}

/// RFC 7597 5.2, r + o < 32.
#[test]
fn a_ce_may_have_a_whole_ipv4_prefix() {
    let rule: Rule = "2001:db8::/40,198.51.0.0/16,12,6".parse().unwrap();
    let ce = rule.ce("2001:db8:12:3000::/52".parse().unwrap(), InterfaceId::Rfc7597).unwrap();
    assert_eq!((ce.ipv4, ce.ipv4_len), ([198, 51, 0x12, 0x30].into(), 28));
    assert_eq!(ce.address, "2001:db8:12:3000:0:c633:1230:0".parse::<Ipv6Addr>().unwrap());
    assert_eq!(
        rule.remote(Ipv4Addr::new(198, 51, 0x12, 0x3f).into(), 80, InterfaceId::Rfc7597),
        Some(ce.address.into())
    );
}
