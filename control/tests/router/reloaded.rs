//! The configuration is read again while the line is up: what changes, and what goes on as if nothing had happened.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hikyaku::router::State;
use hikyaku_dataplane::napt::{LanId, Napt};
use hikyaku_dataplane::rules::{Ends, Opening, Zone};
use hikyaku_dataplane::snapshot::Softwire;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::Addr4;

use crate::coming_up::{DSLITE, IPIP};
use crate::services::seconds;
use crate::world::web::Web;
use crate::world::{LINKS, World};

/// The text of a configuration file with this `[service]`.
fn file(service: &str) -> String {
    format!("{LINKS}{service}")
}

fn napt(softwire: &Softwire) -> &Arc<Napt> {
    softwire.napt.as_ref().expect("this end translates")
}

/// A line of [`IPIP`] that carries, with a host on the LAN.
fn up() -> (World, usize) {
    let mut world = World::new(IPIP);
    let host = world.lan.plug(None);
    world.carries_within(seconds(20));
    world.lan.discover(host);
    world.pass(seconds(10));
    world.lan.ask_for_gateway(host);
    world.pass(seconds(10));
    (world, host)
}

/// Nothing else changed: one snapshot says the same as the one before, and nobody is asked for anything.
#[test]
fn the_same_again() {
    let (mut world, _) = up();
    let (before, sent, snapshots) = (world.softwire(), world.sent, world.snapshots.len());
    assert_eq!(world.reload(&file(IPIP)), Vec::<&str>::new());
    // At once: later a neighbour may be due to be asked whether it is still there (RFC 4861 7.3.3), whatever is read.
    world.pass(Duration::ZERO);
    let after = world.softwire();
    assert!(Arc::ptr_eq(napt(&after), napt(&before)) && Arc::ptr_eq(&after.state, &before.state));
    assert_eq!((after.local, after.remote, after.next_hop), (before.local, before.remote, before.next_hop));
    assert_eq!((world.sent, world.snapshots.len()), (sent, snapshots + 1));
}

/// Rules are in every snapshot from then on; those that stay keep what they counted, whatever becomes of the others.
#[test]
fn rules_change_and_keep_their_counts() {
    let (mut world, _) = up();
    assert!(world.snapshot().rules.is_none());
    let rule = |name: &str, action: &str| format!("[[rule]]\nname='{name}'\nfrom='lan'\nto='wan'\naction='{action}'\n");
    let with = |rules: &[String]| file(&format!("{IPIP}{}", rules.concat()));
    let (one, other) = (rule("one", "drop"), rule("other", "accept"));
    assert_eq!(world.reload(&with(&[one.clone(), other.clone()])), Vec::<&str>::new());
    world.pass(seconds(1));
    let rules = world.snapshot().rules.clone().expect("they are told");
    let ends = Ends::V4([Addr4([192, 168, 1, 9]), Addr4([198, 51, 100, 1])]);
    let opening = Opening { from: Zone::Lan(LanId(0)), to: Zone::Wan, protocol: 6, ends, ports: Some([1, 2]) };
    assert_eq!(rules.ask(&opening, world.now, Ok(())), Err(Reason::RuleDrop));
    world.reload(&with(&[other, one]));
    world.pass(seconds(1));
    let rules = world.snapshot().rules.clone().expect("they are told");
    assert_eq!(rules.ask(&opening, world.now, Ok(())), Ok(()));
    let counted: Vec<_> = rules.all().map(|(rule, n)| (rule.name.clone(), n.accepted, n.refused)).collect();
    assert_eq!(counted, [("other".to_string(), 1, 0), ("one".to_string(), 0, 1)]);
    world.reload(&with(&[]));
    world.pass(seconds(1));
    assert!(world.snapshot().rules.is_none());
}

/// What is of the tunnel: in every snapshot from then on, with the sessions and what was learned of the path.
#[test]
fn packets_are_treated_otherwise() {
    let (mut world, _) = up();
    let (before, snapshots) = (world.softwire(), world.snapshots.len());
    let more = "tunnel-mtu = 1500\nmss = 1300\ncopy-dscp = true\nforward = ['tcp/443=192.168.1.100']\n";
    assert_eq!(world.reload(&file(&format!("{IPIP}{more}"))), Vec::<&str>::new());
    world.pass(seconds(10));
    assert_eq!(world.snapshots.len(), snapshots + 1);
    let after = world.softwire();
    assert_eq!((after.mtu, after.mss), (MtuMode::Fragment { mtu: 1500 }, Some(1300)));
    assert_ne!(after.class, before.class);
    assert!(Arc::ptr_eq(napt(&after), napt(&before)) && Arc::ptr_eq(&after.state, &before.state));
    assert_eq!((after.local, after.remote, after.next_hop), (before.local, before.remote, before.next_hop));
    assert_eq!(napt(&after).forwards().len(), 1);
    world.reload(&file(IPIP));
    world.pass(seconds(1));
    assert_eq!(napt(&world.softwire()).forwards(), []);
}

/// Another service: the one before goes on until the new one is known, and workers never have none.
#[test]
fn another_service() {
    let mut world = World::new(DSLITE);
    let [aftr, br]: [Ipv6Addr; 2] = ["2001:db8:aaaa::1", "2001:db8:b::1"].map(|address| address.parse().unwrap());
    world.isp.dhcp.aftr = Some("aftr.example.net".into());
    world.isp.resolver.set_addresses("aftr.example.net", 300, &[aftr]);
    world.carries_within(seconds(20));
    let snapshots = world.snapshots.len();
    assert_eq!(world.reload(&file(IPIP)), Vec::<&str>::new());
    world.pass(seconds(10));
    let softwires: Vec<&Softwire> = world.snapshots[snapshots..]
        .iter()
        .map(|snapshot| snapshot.softwires.first().expect("all the while"))
        .collect();
    assert_eq!(Ipv6Addr::from(softwires[0].remote), aftr, "our new end is not known to be free yet");
    let after = world.softwire();
    assert_eq!((Ipv6Addr::from(after.remote), after.napt.is_some()), (br, true));
    assert!(matches!(world.router.state(), State::Carrying { .. }));
    assert_eq!(world.status().service.name, "ipip");
}

/// The DHCPv4 server goes on with its leases, but for those that it has no place for any more.
#[test]
fn leases() {
    let (mut world, host) = up();
    let leased = world.lan.stations[host].address.expect("leased");
    let mut then = |dhcpv4: &str| {
        world.reload(&file(IPIP).replace("pool = '192.168.1.100-192.168.1.200'", dhcpv4));
        world.pass(seconds(5));
        assert!(world.snapshot().links[0].neighbours.get(leased.into()).is_some(), "the host is where it was");
        world.status().lan.leases
    };
    assert_eq!(then("pool = '192.168.1.50-192.168.1.220'\ndomain = 'home.arpa'"), Some(1));
    assert_eq!(then("enabled = false"), None);
    assert_eq!(then("pool = '192.168.1.100-192.168.1.200'"), Some(1), "as they were saved");
    assert_eq!(then("pool = '192.168.1.10-192.168.1.20'"), Some(0));
}

/// Another network on the LAN: nothing of the one before is known any more, and hosts of the new one are served.
#[test]
fn another_network() {
    let (mut world, host) = up();
    let before = world.softwire();
    world.reload(&file(IPIP).replace("192.168.1.", "192.168.7."));
    world.pass(seconds(1)); // RFC 5227: our new address is checked
    world.lan.discover(host);
    world.pass(seconds(10));
    let snapshot = world.snapshot();
    assert_eq!(snapshot.links[0].addresses4, [Ipv4Addr::new(192, 168, 7, 1)]);
    assert_eq!(world.lan.stations[host].address.map(|address| address.octets()[2]), Some(7));
    assert!(Arc::ptr_eq(napt(&world.softwire()), napt(&before)), "the line is another matter");
}

/// Who is to be told where we are is told at once.
#[test]
fn notification() {
    let (mut world, _) = up();
    let server = "2001:db8:f00::80".parse().unwrap();
    let (web, requests) = Web::new(server, Box::new(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK".into()));
    world.isp.hosts.push(Box::new(web));
    let url = format!("{IPIP}[service.notification]\ndialect = 'url'\nurl = 'http://[{server}]/?at=<ipv6>'\n");
    world.reload(&file(&url));
    assert!(world.pass_with_threads(seconds(60), |_| requests.borrow().len() == 1));
    world.reload(&file(&url.replace("at=", "now=")));
    assert!(world.pass_with_threads(seconds(60), |_| requests.borrow().len() == 2));
    world.reload(&file(&url.replace("at=", "now=")));
    world.reload(&file(IPIP));
    world.pass_with_threads(Duration::from_millis(300), |_| false);
    assert_eq!(requests.borrow().len(), 2, "told already, and nobody to tell");
    assert!(world.status().notification.is_none());
}

/// Resolvers of the user's own are asked instead of the line's, and the service's server no more.
#[test]
fn whom_to_ask() {
    let (mut world, _) = up();
    assert!(world.status().provisioning.is_some());
    let asks = file(IPIP).replace("interface-id", "resolvers = ['2001:db8:1:53::53']\ninterface-id");
    let kept = world.reload(&format!("{asks}[service.provisioning]\nenabled = false\n[wan.dhcpv6]\nmode = 'off'\n"));
    assert_eq!(kept, Vec::<&str>::new());
    world.pass(seconds(1));
    let status = world.status();
    assert_eq!(status.wan.resolvers, ["2001:db8:1:53::53".parse::<Ipv6Addr>().unwrap()]);
    assert!(status.provisioning.is_none());
}

/// What takes new links, threads or tables is named, and stays what it is.
#[test]
fn what_takes_a_restart() {
    let (mut world, _) = up();
    let before = world.softwire();
    let more = "timeouts = { udp = 120 }\nfiltering = 'endpoint-independent'\nsessions-per-host = 10\n";
    let kept = world.reload(&file(&format!("{IPIP}{more}[control]\nmode = '0600'\n")).replace("eui64", "::5"));
    let names = ["[wan] interface-id", "[service] filtering", "[service] timeouts", "[service] sessions-per-host"];
    assert_eq!(kept, [&names[..], &["[control] mode"]].concat());
    world.pass(seconds(5));
    assert_eq!(world.softwire().local, before.local);
    assert!(Arc::ptr_eq(napt(&world.softwire()), napt(&before)));
}
