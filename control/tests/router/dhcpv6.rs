//! DHCPv6 for hosts of the LAN.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, IANA, IAPD, Message, MessageType, ORO, OptionCode, UnknownOption};
use dhcproto::{Decodable, Encodable};
use hikyaku::router::{LAN, ToForwarder};
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::snapshot::Route6;
use hikyaku_net::protocol;

use crate::coming_up::DSLITE;
use crate::native::{ANOTHER, DELEGATED, HOST, last, link_local, of, route, told};
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

const STATEFUL: &str = "[lan.ipv6]\ndhcpv6 = 'stateful'\ndelegate = 60\n";

/// What is in an association of an answer, as text: addresses or prefixes, each with its preferred and valid lifetime.
fn leases(message: &Message) -> Vec<(String, u32, u32)> {
    let of = |option: &DhcpOption| match option {
        DhcpOption::IAAddr(a) => Some((a.addr.to_string(), a.preferred_life, a.valid_life)),
        DhcpOption::IAPrefix(p) => {
            Some((format!("{}/{}", p.prefix_ip, p.prefix_len), p.preferred_lifetime, p.valid_lifetime))
        }
        _ => None,
    };
    let associations = message.opts().iter().filter_map(|option| match option {
        DhcpOption::IANA(ia) => Some(&ia.opts),
        DhcpOption::IAPD(ia) => Some(&ia.opts),
        _ => None,
    });
    associations.flat_map(|opts| opts.iter().filter_map(of)).collect()
}

/// A client's message about an address and a prefix, or what it has of them.
fn about(kind: MessageType, server: Option<&Message>, had: Option<&Message>) -> Message {
    let mut message = Message::new(kind);
    let opts = message.opts_mut();
    opts.insert(DhcpOption::ClientId(b"\0\x02\0\0\0\x01host".to_vec()));
    server
        .and_then(|server| server.opts().get(OptionCode::ServerId))
        .into_iter()
        .for_each(|id| opts.insert(id.clone()));
    let is_association = |option: &&DhcpOption| matches!(option, DhcpOption::IANA(_) | DhcpOption::IAPD(_));
    match had {
        Some(had) => had.opts().iter().filter(is_association).for_each(|option| opts.insert(option.clone())),
        None => {
            let (id, t1, t2) = (1, 0, 0);
            opts.insert(DhcpOption::IANA(IANA { id, t1, t2, opts: Default::default() }));
            opts.insert(DhcpOption::IAPD(IAPD { id, t1, t2, opts: Default::default() }));
        }
    }
    message
}

/// An address and a prefix for a host that is plugged in. Its number, and the Reply.
fn leased(world: &mut World) -> (usize, Message) {
    let host = world.lan.plug(None);
    let advertise = asked(world, host, &about(MessageType::Solicit, None, None)).expect("an Advertise");
    let request = about(MessageType::Request, Some(&advertise), Some(&advertise));
    let reply = asked(world, host, &request).expect("a Reply");
    assert_eq!(leases(&reply), leases(&advertise));
    (host, reply)
}

const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x1100, 0xaaf0, 0, 0, 0, 0);

fn behind(world: &World, host: usize) -> Route6 {
    Route6::Gateway { link: LAN, mac: world.lan.stations[host].mac }
}

fn sources(world: &World) -> Vec<String> {
    world.snapshot().links[LAN.index()].sources6.iter().map(ToString::to_string).collect()
}

/// RFC 8415 6.3, RFC 7084 WPD-5: a route to who asked, for as long as the lease; the rest leads nowhere.
#[test]
fn rfc8415_6_3_a_router_behind_gets_a_prefix_and_a_route() {
    let mut world = told(DELEGATED, 56, STATEFUL);
    world.pass(seconds(5));
    assert_eq!(last(&world).flags, 0xc0, "M, as addresses are given, and O");
    let (host, reply) = leased(&mut world);
    let [address, prefix] = &leases(&reply)[..] else { panic!("{reply:?}") };
    assert_eq!((&*prefix.0, prefix.1, prefix.2), ("2001:db8:1100:aaf0::/60", 2700, 5400));
    assert!(address.0.starts_with("2001:db8:1100:aa01:"), "{address:?}");
    let inside = Ipv6Addr::from_bits(PREFIX.to_bits() | 0xf << 64 | 7);
    assert_eq!(route(&world, inside), behind(&world, host));
    assert_eq!(route(&world, Ipv6Addr::from_bits(PREFIX.to_bits() - 1)), Route6::Unreachable);
    assert_eq!(sources(&world), ["2001:db8:1100:aa01::/64", "2001:db8:1100:aaf0::/60"]);
    world.pass(seconds(5400));
    assert_eq!(route(&world, inside), Route6::Unreachable);
    assert_eq!(sources(&world), ["2001:db8:1100:aa01::/64"]);
}

/// A restart knows the lease, and the way to the router behind before that asks again.
#[test]
fn what_dhcpv6_leases_outlives_a_restart() {
    let mut world = told(DELEGATED, 56, STATEFUL);
    world.pass(seconds(5));
    let (host, reply) = leased(&mut world);
    world.restart(true);
    world.pass(seconds(20));
    assert_eq!(route(&world, PREFIX), behind(&world, host));
    let renew = about(MessageType::Renew, Some(&reply), Some(&reply));
    assert_eq!(leases(&asked(&mut world, host, &renew).expect("a Reply")), leases(&reply));
}

/// RFC 8415 18.3.4, RFC 9096 3.5: the line delegates another prefix. Renewed, a client has the new address and prefix beside the old
/// ones, deprecated; the route is that of the new one.
#[test]
fn rfc9096_3_5_what_is_leased_when_the_line_has_another_prefix() {
    let mut world = told(DELEGATED, 56, STATEFUL);
    world.pass(seconds(5));
    let (host, reply) = leased(&mut world);
    world.isp.dhcp.taken_back = world.isp.dhcp.prefix.replace((ANOTHER, 56));
    world.pass(seconds(3700));
    let renew = about(MessageType::Renew, Some(&reply), Some(&reply));
    let now = leases(&asked(&mut world, host, &renew).expect("a Reply"));
    let [new_address, old_address, new_prefix, old_prefix] = &now[..] else { panic!("{now:?}") };
    assert_eq!((new_address.1, old_address.1, new_prefix.1, old_prefix.1), (2700, 0, 2700, 0));
    assert!(old_address.2 > 1000 && old_prefix.2 > 1000, "for as long as it was leased: {now:?}");
    assert_eq!(new_prefix.0, "2001:db8:1200:bbf0::/60");
    assert_eq!(old_address.0.replace("1100:aa", "1200:bb"), new_address.0, "the same lower half");
    assert_eq!(route(&world, "2001:db8:1200:bbf0::7".parse().unwrap()), behind(&world, host));
    assert_ne!(route(&world, PREFIX), behind(&world, host));
}

/// A reservation that is added takes nobody's lease; what was leased is known.
#[test]
fn a_reservation_that_comes_later() {
    let mut world = told(DELEGATED, 56, STATEFUL);
    world.pass(seconds(5));
    let (host, reply) = leased(&mut world);
    let mac = world.lan.stations[host].mac;
    let reserved = "[[lan.ipv6.reservation]]\nmac = '02:00:00:01:00:01'\ninterface-id = '::50'\nsubnet-id = 48\n";
    world.reload(&format!("{LINKS}{DSLITE}{STATEFUL}{reserved}"));
    let renew = about(MessageType::Renew, Some(&reply), Some(&reply));
    assert_eq!(leases(&asked(&mut world, host, &renew).expect("a Reply")), leases(&reply));
    let (other, theirs) = leased(&mut world);
    assert_eq!(world.lan.stations[other].mac.to_string(), "02:00:00:01:00:01");
    assert_ne!(mac, world.lan.stations[other].mac);
    let theirs: Vec<String> = leases(&theirs).into_iter().map(|lease| lease.0).collect();
    assert_eq!(theirs, ["2001:db8:1100:aa01::50", "2001:db8:1100:aa30::/60"]);
}

/// What the forwarder was told last: addresses by the first name of each host.
fn names(world: &mut World) -> Vec<(String, Vec<String>)> {
    let told = std::iter::from_fn(|| world.router.next_for_forwarder()).filter_map(|message| match message {
        (LanId(0), ToForwarder::Told(told)) => told.settings,
        _ => None,
    });
    let hosts = told.last().expect("the forwarder is told").hosts;
    hosts
        .into_iter()
        .map(|host| (host.names[0].clone(), host.addresses.iter().map(ToString::to_string).collect()))
        .collect()
}

/// Names of DHCPv6, as option 39 says them (RFC 4704 4) and as they are reserved, lead to addresses of the prefixes that
/// are for new connections.
#[test]
fn hosts_with_leases_and_reservations_have_names() {
    let reserved = "[[lan.ipv6.reservation]]\nduid = '000300010200000000aa'\ninterface-id = '::50'\nname = 'nas'\n";
    let mut world = told(DELEGATED, 56, &format!("{STATEFUL}{reserved}"));
    world.pass(seconds(5));
    let host = world.lan.plug(None);
    let mut solicit = about(MessageType::Solicit, None, None);
    solicit.opts_mut().insert(DhcpOption::Unknown(UnknownOption::new(39.into(), b"\0\x07printer".to_vec())));
    let advertise = asked(&mut world, host, &solicit).expect("an Advertise");
    let mut request = about(MessageType::Request, Some(&advertise), Some(&advertise));
    request.opts_mut().insert(DhcpOption::Unknown(UnknownOption::new(39.into(), b"\0\x07printer".to_vec())));
    let reply = asked(&mut world, host, &request).expect("a Reply");
    world.pass(seconds(2));
    let address = leases(&reply)[0].0.clone();
    let row = |name: &str, address: &str| (format!("{name}.home.arpa"), vec![address.to_string()]);
    assert_eq!(names(&mut world), [row("nas", "2001:db8:1100:aa01::50"), row("printer", &address)]);

    world.isp.dhcp.taken_back = world.isp.dhcp.prefix.replace((ANOTHER, 56));
    world.pass(seconds(3700));
    let moved = address.replace("1100:aa", "1200:bb");
    assert_eq!(names(&mut world), [row("nas", "2001:db8:1200:bb01::50"), row("printer", &moved)]);
}
