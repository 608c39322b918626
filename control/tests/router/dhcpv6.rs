//! DHCPv6 for hosts of the LAN.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, Message, MessageType, ORO, OptionCode};
use dhcproto::{Decodable, Encodable};
use hikyaku::router::LAN;
use hikyaku_net::protocol;

use crate::coming_up::DSLITE;
use crate::native::{DELEGATED, HOST, last, link_local, of, told};
use crate::services::seconds;
use crate::world::isp::RESOLVER;
use crate::world::{LINKS, World};

/// Where DHCPv6 servers are asked (RFC 8415 7.1).
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Has a host send this, and gives what comes back within a second.
fn asked(world: &mut World, host: usize, message: &Message) -> Option<Message> {
    world.lan.dhcpv6.clear();
    world.lan.ask_dhcpv6(host, HOST, &message.to_vec().unwrap());
    world.pass(seconds(1));
    let (to, payload) = world.lan.dhcpv6.pop()?;
    assert_eq!(to, world.lan.stations[host].mac);
    Some(Message::from_bytes(&payload).unwrap())
}

fn resolvers(reply: &Message) -> &[Ipv6Addr] {
    let Some(DhcpOption::DomainNameServers(resolvers)) = reply.opts().get(OptionCode::DomainNameServers) else {
        panic!("no resolver: {reply:?}")
    };
    resolvers
}

fn information_request(codes: &[u16]) -> Message {
    let mut message = Message::new(MessageType::InformationRequest);
    let opts = codes.iter().map(|&code| code.into()).collect();
    message.opts_mut().insert(DhcpOption::ORO(ORO { opts }));
    message
}

/// RFC 7084 L-8, L-10, L-12: what the line names is told by DHCPv6, too, and no host has to be found for it.
#[test]
fn rfc7084_l_8_hosts_are_told_of_the_lines_resolvers_and_clocks() {
    let mut world = told(DELEGATED, 56, "[lan.ipv6]\ndomain = 'home.example'\n");
    let ntp: Ipv6Addr = "2001:db8:ffff::7b".parse().unwrap();
    world.isp.dhcp.others.push((31, ntp.octets().to_vec()));
    world.pass(seconds(4000));
    assert!(world.snapshot().links[LAN.index()].listens.contains(protocol::UDP, 547));
    assert!(world.router.groups()[0].contains(&SERVERS), "{:?}", world.router.groups());
    let host = world.lan.plug(None);
    world.lan.neighbours.clear();
    let reply = asked(&mut world, host, &information_request(&[23, 24, 31])).expect("a Reply");
    assert_eq!(reply.msg_type(), MessageType::Reply);
    assert_eq!(resolvers(&reply), [link_local(), of(DELEGATED, 1, 1)], "we are one");
    let Some(DhcpOption::DomainSearchList(names)) = reply.opts().get(OptionCode::DomainSearchList) else { panic!() };
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["home.example."]);
    let Some(DhcpOption::Unknown(sntp)) = reply.opts().get(OptionCode::SntpServers) else { panic!() };
    assert_eq!(sntp.data(), ntp.octets());
    assert_eq!(world.router.groups()[1].iter().filter(|&&group| group == SERVERS).count(), 0, "not of the line");
    world.reload(&format!("{LINKS}{DSLITE}[lan.dns]\nenabled = false\n"));
    world.pass(seconds(1));
    let reply = asked(&mut world, host, &information_request(&[23])).expect("a Reply");
    assert_eq!(resolvers(&reply), [RESOLVER]);
}

/// Nobody is told to ask where nobody answers.
#[test]
fn switched_off() {
    let mut world = told(DELEGATED, 56, "[lan.ipv6]\ndhcpv6 = 'off'\nrouter-preference = 'high'\n");
    world.pass(seconds(10));
    assert_eq!(last(&world).flags, 0x08, "RFC 4191 2.2: high, and neither M nor O");
    assert!(!world.snapshot().links[LAN.index()].listens.contains(protocol::UDP, 547));
    assert!(!world.router.groups()[0].contains(&SERVERS) && last(&world).from == link_local());
    let host = world.lan.plug(None);
    assert_eq!(asked(&mut world, host, &information_request(&[23])), None);
}
