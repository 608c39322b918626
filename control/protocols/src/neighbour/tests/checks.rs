//! What must be ignored is ignored.

use super::*;
use crate::neighbour::State;

/// Nothing is said, nothing is learned, one thing is counted.
fn ignored(frame: &[u8], why: &str) {
    let mut link = Link::lan();
    let before = *link.machine.counts();
    let generation = link.machine.generation();
    assert_eq!(link.hear(frame), [], "{why}");
    assert_eq!(link.machine.generation(), generation, "{why}");
    let counts = link.machine.counts();
    let malformed = counts.malformed_arp + counts.malformed_ndp - before.malformed_arp - before.malformed_ndp;
    assert_eq!(malformed, 1, "{why}");
}

#[test]
fn rfc4861_7_1_1_solicitations_that_are_discarded() {
    let ends = (HOST6, solicited_node(US6));
    let good = |hop_limit, ends, code, options: &[u8]| {
        icmp6(HOST, hop_limit, ends, 135, code, [0; 4], &[&US6.octets()[..], options].concat())
    };
    let slla = lladdr(1, HOST);
    assert_eq!(said(&Link::lan().hear(&good(255, ends, 0, &slla))).len(), 1, "the good one is answered");
    ignored(&good(254, ends, 0, &slla), "hop limit");
    ignored(&good(255, ends, 1, &slla), "code");
    let mut broken = good(255, ends, 0, &slla);
    broken[60] ^= 1;
    ignored(&broken, "checksum");
    let target = &US6.octets()[..];
    ignored(&icmp6(HOST, 255, ends, 135, 0, [0; 4], &target[..12]), "shorter than 24 bytes");
    ignored(&icmp6(HOST, 255, ends, 135, 0, [0; 4], &solicited_node(US6).octets()), "target is a group");
    ignored(&good(255, ends, 0, &[1, 0, 0, 0, 0, 0, 0, 0]), "an option of length 0");
    ignored(&good(255, ends, 0, &[1, 2, 0, 0, 0, 0, 0, 0]), "an option that goes on behind the end");
    ignored(&good(255, ends, 0, &[1]), "half an option");
    ignored(&good(255, (Ipv6Addr::UNSPECIFIED, US6), 0, &[]), "unspecified source, not to the solicited-node group");
    ignored(&good(255, (Ipv6Addr::UNSPECIFIED, ALL_NODES), 0, &[]), "unspecified source, to another group");
    ignored(&good(255, (Ipv6Addr::UNSPECIFIED, ends.1), 0, &slla), "unspecified source with a link-layer address");
    // RFC 2464 6: the option is one unit long with Ethernet, and a station is no group.
    ignored(&good(255, ends, 0, &[1, 2, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0]), "a longer link-layer address");
    ignored(&good(255, ends, 0, &lladdr(1, Mac::BROADCAST)), "a group's link-layer address");
    ignored(&good(255, ends, 0, &lladdr(1, Mac::default())), "a link-layer address of zero");
    ignored(&good(255, (ALL_NODES, ends.1), 0, &slla), "a group as source");
}

#[test]
fn rfc4861_7_1_1_options_that_are_not_known_are_passed_over() {
    // A prefix option too short to be one, and an unknown one, before the one that matters.
    let options = [&[3, 1, 0, 0, 0, 0, 0, 0, 99, 1, 1, 2, 3, 4, 5, 6][..], &lladdr(1, HOST)].concat();
    let frame = icmp6(HOST, 255, (HOST6, solicited_node(US6)), 135, 0, [0; 4], &[&US6.octets()[..], &options].concat());
    let mut link = Link::lan();
    assert_eq!(said(&link.hear(&frame)).len(), 1);
    assert_eq!(link.machine.get(HOST6.into()), Some(HOST));
}

#[test]
fn rfc4861_7_1_2_advertisements_that_are_discarded() {
    let body = [&HOST6.octets()[..], &lladdr(2, HOST)].concat();
    let na =
        |hop_limit, ends, code, flags, body: &[u8]| icmp6(HOST, hop_limit, ends, 136, code, [flags, 0, 0, 0], body);
    let ends = (HOST6, US6);
    ignored(&na(64, ends, 0, SOLICITED, &body), "hop limit");
    ignored(&na(255, ends, 3, SOLICITED, &body), "code");
    ignored(&na(255, ends, 0, SOLICITED, &body[..15]), "length");
    ignored(&na(255, ends, 0, SOLICITED, &[&ALL_NODES.octets()[..], &lladdr(2, HOST)].concat()), "target is a group");
    ignored(&na(255, (HOST6, ALL_NODES), 0, SOLICITED, &body), "solicited, to a group");
    ignored(&na(255, (Ipv6Addr::UNSPECIFIED, ALL_NODES), 0, 0, &body), "from no address");
    ignored(
        &na(255, ends, 0, SOLICITED, &[&HOST6.octets()[..], &[2, 0, 0, 0, 0, 0, 0, 0]].concat()),
        "option length 0",
    );
    let mut group = na(255, ends, 0, SOLICITED, &body);
    group[6] |= 1;
    ignored(&group, "an Ethernet group as sender");
}

#[test]
fn rfc6980_5_fragments_are_ignored() {
    let whole = ns(HOST, HOST6, US6);
    // An atomic fragment: everything else is right.
    let mut frame = whole[..54].to_vec();
    frame[20] = 44;
    let len = (whole.len() - 54 + 8) as u16;
    frame[18..20].copy_from_slice(&len.to_be_bytes());
    frame.extend([58, 0, 0, 0, 0, 0, 0, 1]);
    frame.extend(&whole[54..]);
    ignored(&frame, "a fragment header");
}

#[test]
fn rfc826_what_is_no_arp_of_ethernet_and_ipv4_is_ignored() {
    let good = arp(HOST, false, HOST4, US4);
    assert_eq!(said(&Link::lan().hear(&good)).len(), 1);
    for (at, value, why) in [
        (15, 6, "hardware type"),
        (16, 0x86, "protocol type"),
        (18, 8, "hardware length"),
        (19, 16, "protocol length"),
        (21, 3, "operation"),
        (21, 0, "operation"),
        (22, 0xff, "a group as sender"),
        (6, 0x03, "a group as Ethernet source"),
        (28, 0, "a sender in 0/8 that is not zero"),
        (28, 127, "a loopback sender"),
        (28, 224, "a multicast sender"),
    ] {
        let mut frame = good.clone();
        frame[at] = value;
        ignored(&frame, why);
    }
    ignored(&good[..41], "cut short");
    ignored(&arp(HOST, true, Ipv4Addr::UNSPECIFIED, US4), "a reply from nowhere (RFC 5227 1.1 knows only requests)");
    // Padding is no harm.
    assert_eq!(said(&Link::lan().hear(&[&good[..], &[0; 18]].concat())).len(), 1);
}

#[test]
fn others_frames_are_left_to_others() {
    let mut link = Link::lan();
    let echo = icmp6(HOST, 64, (HOST6, US6), 128, 0, [0; 4], &[1, 2, 3]);
    let advertisement = icmp6(HOST, 255, (HOST6, ALL_NODES), 134, 0, [64, 0, 0, 0], &[0; 8]);
    for frame in [&echo[..], &advertisement, &[], &[0; 13], &[0; 14], &echo[..30]] {
        assert!(!link.machine.handle_input(link.now, frame));
    }
    assert_eq!(link.drain(), []);
}

#[test]
fn arp_of_other_networks_is_neither_answered_nor_believed() {
    let on_link4 = vec![hikyaku_net::Prefix4::new(US4, 24).unwrap()];
    let mut link = Link::with(Config { on_link4, ..Config::new(US, true) });
    for sender in [[10, 0, 0, 1], [192, 168, 1, 255], [192, 168, 1, 0]] {
        assert_eq!(link.hear(&arp(HOST, false, sender.into(), US4)), []);
    }
    assert_eq!(link.machine.counts().off_link, 3);
    assert_eq!(link.machine.usable().count(), 0);
    assert_eq!(said(&link.hear(&arp(HOST, false, HOST4, US4))).len(), 1);
    assert_eq!(link.state(HOST4), Some(State::Delay));
}

#[test]
fn our_own_frames_that_come_back_do_nothing() {
    let mut link = Link::lan();
    for frame in [arp(US, false, US4, HOST4), arp(US, true, US4, HOST4), na(US, US6, OVERRIDE), ns(US, US6, HOST6)] {
        assert_eq!(link.hear(&frame), []);
    }
    assert_eq!(link.machine.counts().own, 4);
    // From addresses that are not ours it is another station with our Ethernet address. That is said once.
    let twins = [arp(US, false, HOST4, US4), na(US, HOST6, OVERRIDE), ns(US, HOST6, US6), arp(US, true, HOST4, US4)];
    let told: Vec<_> = twins.iter().flat_map(|frame| link.hear(frame)).collect();
    assert_eq!((told, link.machine.counts().twin), (vec![Output::Twin(HOST4.into())], 4));
    assert_eq!((link.machine.counts().own, link.machine.usable().count()), (4, 0));
}
