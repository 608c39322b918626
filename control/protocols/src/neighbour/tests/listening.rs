//! Multicast listener reports, without which snooping switches keep solicitations from us.

use super::*;

const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const HOST_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x10);

/// Record type and group of each record of MLDv2 reports.
fn records(outputs: &[Output]) -> Vec<(u8, Ipv6Addr)> {
    let mut records = Vec::new();
    for said in said(outputs) {
        let Said::Report { to, destination, body, .. } = said else { continue };
        if body[0] != 143 {
            continue;
        }
        assert_eq!((to, destination), (Mac([0x33, 0x33, 0, 0, 0, 0x16]), "ff02::16".parse().unwrap()));
        let count = usize::from(body[6]) << 8 | usize::from(body[7]);
        assert_eq!(body.len(), 8 + count * 20);
        records.extend(body[8..].chunks(20).map(|record| {
            assert_eq!(record[1..4], [0; 3], "no auxiliary data, no sources");
            (record[0], addr6(&record[4..]))
        }));
    }
    records
}

fn query(source: Ipv6Addr, hop_limit: u8, group: Ipv6Addr, code: u16, second_version: bool) -> Vec<u8> {
    let tail: &[u8] = if second_version { &[2, 125, 0, 0] } else { &[] };
    let [high, low] = code.to_be_bytes();
    let body = [&group.octets()[..], tail].concat();
    icmp6(HOST, hop_limit, (source, ALL_NODES), 130, 0, [high, low, 0, 0], &body)
}

#[test]
fn rfc3810_6_1_joins_and_leaves_are_reported_twice() {
    let mut link = Link::bare(Config::new(US, true));
    link.machine.set_addresses(link.now, vec![US6.into(), US4.into()]);
    let outputs = link.run(SECOND * 5);
    let times: Vec<_> =
        outputs.iter().filter(|(_, o)| !records(std::slice::from_ref(o)).is_empty()).map(|(at, _)| *at).collect();
    assert!(times.len() == 2 && times[0].is_zero() && times[1] <= SECOND, "{times:?}");
    let joined = [(4, ALL_ROUTERS), (4, solicited_node(US6))];
    assert_eq!(records(&untimed(outputs)), [joined, joined].concat());
    link.machine.set_addresses(link.now, vec![]);
    // RFC 4291 2.8: without an IPv6 address it is no router of IPv6 either.
    let left = [(3, ALL_ROUTERS), (3, solicited_node(US6))];
    assert_eq!(records(&untimed(link.run(SECOND * 5))), [left, left].concat());
}

#[test]
fn a_router_of_ipv4_alone_is_silent_in_ipv6() {
    let mut link = Link::bare(Config::new(US, true));
    link.machine.set_addresses(link.now, vec![US4.into()]);
    assert!(records(&untimed(link.run(SECOND * 5))).is_empty());
}

#[test]
fn rfc4862_5_4_2_the_group_is_joined_before_the_question_is_asked() {
    let mut link = Link::bare(Config { dad_delay: Duration::ZERO, ..Config::new(US, false) });
    link.machine.set_addresses(link.now, vec![US6.into()]);
    let sent = said(&link.drain());
    assert!(matches!(sent[..], [Said::Report { .. }, Said::Solicit { .. }]), "{sent:?}");
    // RFC 3590 4: from no address while there is none.
    assert!(matches!(sent[0], Said::Report { source: Ipv6Addr::UNSPECIFIED, .. }));
}

#[test]
fn rfc3810_5_1_a_query_is_answered_within_its_time() {
    let mut link = Link::lan();
    let ours = [(2, ALL_ROUTERS), (2, solicited_node(US6)), (2, solicited_node(HOST6))];
    // US6 and the link-local address share a solicited-node group.
    assert_eq!(solicited_node(US6), solicited_node(US_LOCAL));
    for group in [Ipv6Addr::UNSPECIFIED, solicited_node(US6)] {
        let asked = query(HOST_LOCAL, 1, group, 1000, true);
        assert_eq!(link.hear(&asked).iter().filter(|o| !matches!(o, Output::Send(_))).count(), 0);
        link.hear(&asked);
        assert_eq!(records(&untimed(link.run(SECOND * 20))), ours[..2], "one answer for both");
    }
    link.hear(&query(HOST_LOCAL, 1, solicited_node(HOST6), 1000, true));
    assert_eq!(link.run(SECOND), [], "not our group");
    for unsound in [
        query(HOST_LOCAL, 2, Ipv6Addr::UNSPECIFIED, 1000, true),
        query(HOST6, 1, Ipv6Addr::UNSPECIFIED, 1000, true),
        query(HOST_LOCAL, 1, HOST6, 1000, true),
    ] {
        link.hear(&unsound);
        assert_eq!(link.run(SECOND * 2), []);
    }
    assert_eq!(link.machine.counts().malformed_ndp, 3);
}

#[test]
fn rfc3810_8_2_1_a_query_of_mldv1_is_answered_in_mldv1() {
    let mut link = Link::lan();
    link.hear(&query(HOST_LOCAL, 1, Ipv6Addr::UNSPECIFIED, 1000, false));
    let reports: Vec<_> = said(&untimed(link.run(SECOND)))
        .into_iter()
        .map(|said| match said {
            Said::Report { to, source, destination, body } => {
                assert_eq!((body.len(), body[0], source), (24, 131, US_LOCAL));
                assert_eq!(addr6(&body[8..]), destination);
                assert_eq!(to.0[2..], destination.octets()[12..]);
                destination
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reports, [ALL_ROUTERS, solicited_node(US6)]);
}
