//! What every machine promises (`hikyaku_protocols`, "The contract"), asked of each by the same driver.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_net::{Mac, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::advertiser::{Advertised, Advertiser, Preference, Prefix};
use hikyaku_protocols::aftr::{Patience, Selector, Source};
use hikyaku_protocols::dns::{self, RecordType, StubResolver};
use hikyaku_protocols::forwarder::{self, Client, Forwarder, Settings};
use hikyaku_protocols::hb46pp;
use hikyaku_protocols::http::{Secret, Trust};
use hikyaku_protocols::nd_proxy::{NdProxy, Question, Side};
use hikyaku_protocols::neighbour::{self, Neighbours};
use hikyaku_protocols::notification::{self, Dialect, Notifier};
use hikyaku_protocols::service::Probe;
use hikyaku_protocols::slaac::{self, InterfaceId, Slaac};
use hikyaku_protocols::sockets::Stack;
use hikyaku_protocols::{dhcpv4, dhcpv6};
use proptest::prelude::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
const HOUR: Duration = Duration::from_secs(3600);

/// Takes outputs until there are none, and has done what is due, as the contract says: with no verb but the three.
fn settle<M: Machine>(machine: &mut M, now: Time) -> Vec<M::Output> {
    let mut outputs = Vec::new();
    for _ in 0..1000 {
        while let Some(output) = machine.poll_output() {
            outputs.push(output);
            assert!(outputs.len() < 10_000, "outputs without end");
        }
        match machine.poll_timeout() {
            Some(due) if due <= now => machine.handle_timeout(now),
            _ => return outputs,
        }
    }
    panic!("it does not come to rest");
}

/// Lets an hour pass in which nobody answers; how many outputs came.
fn an_hour_alone<M: Machine>(mut machine: M) -> usize {
    let mut now = Time(0);
    let mut outputs = settle(&mut machine, now).len();
    while let Some(due) = machine.poll_timeout().filter(|&due| due <= Time(0) + HOUR) {
        let early = Time(now.0 + (due.0 - now.0) / 2);
        if early < due {
            machine.handle_timeout(early);
            assert!(machine.poll_output().is_none(), "before its time");
        }
        now = machine.poll_timeout().expect("it is still to come");
        outputs += settle(&mut machine, now).len();
        assert!(outputs < 100_000, "a flood");
    }
    outputs
}

fn neighbours() -> Neighbours {
    let mut machine = Neighbours::new(neighbour::Config::new(MAC, true));
    machine.set_addresses(Time(0), vec![OURS.into(), IpAddr::from([192, 168, 1, 1])]);
    machine.keep(Time(0), &[SERVER.into()]);
    machine
}

fn slaac() -> Slaac {
    let mut machine = Slaac::new(slaac::Config { mac: MAC, mtu: 1500, interface_id: InterfaceId::Eui64(MAC) });
    machine.link_up(Time(0), None);
    machine
}

fn advertiser() -> Advertiser {
    let mut machine = Advertiser::new(MAC);
    let prefix = "2001:db8:0:1::/64".parse().unwrap();
    machine.set(
        Time(0),
        Some(Advertised {
            is_default_router: true,
            preference: Preference::Medium,
            is_managed: false,
            has_information: true,
            mtu: 1500,
            is_autonomous: true,
            routes: Vec::new(),
            prefixes: vec![Prefix { prefix, preferred: None, valid: None }],
            resolvers: vec![SERVER],
            domains: Vec::new(),
        }),
    );
    machine.set_source(Time(0), Some("fe80::1".parse().unwrap()));
    machine
}

fn nd_proxy() -> NdProxy {
    let mut machine = NdProxy::default();
    machine.set_prefix("2001:db8::/64".parse().ok());
    machine.handle_input(Time(0), Question { side: Side::Wan, target: SERVER, asker: None, station: MAC }, [false; 2]);
    machine
}

fn dhcpv6() -> dhcpv6::Client {
    let mut machine = dhcpv6::Client::new(dhcpv6::Config::new(MAC));
    machine.set_mode(Time(0), dhcpv6::Mode::Stateful);
    machine
}

fn dhcpv6_server() -> dhcpv6::server::Server {
    use dhcpv6::server::{Config, Datagram, Served, Server};
    let mut machine = Server::new(Config { mac: MAC, secret: [7; 32], reservations: Vec::new() });
    machine.set(Time(0), Some(Served::default()));
    let (source, payload) = ("fe80::9".parse().unwrap(), [11, 1, 2, 3]);
    let datagram = Datagram { station: MAC, source, destination: dhcpv6::SERVERS, payload: &payload };
    machine.handle_input(Time(0), datagram);
    machine
}

fn dhcpv4() -> dhcpv4::Server {
    dhcpv4::Server::new(dhcpv4::Config {
        mac: MAC,
        address: [192, 168, 1, 1].into(),
        prefix_len: 24,
        pool: [192, 168, 1, 100].into()..=[192, 168, 1, 199].into(),
        reservations: Vec::new(),
        lease_time: HOUR,
        dns: Vec::new(),
        domain: None,
        mtu: None,
    })
    .unwrap()
}

fn resolver() -> StubResolver {
    let mut machine = StubResolver::new();
    machine.set_servers(Time(0), &[SERVER.into()]);
    machine.ask(Time(0), "gw.example.net", RecordType::Aaaa);
    machine
}

fn forwarder() -> Forwarder {
    let mut machine = Forwarder::new();
    machine.set(Settings { servers: vec![SERVER], ..Settings::default() });
    let [address, to] = [[192, 168, 1, 9], [192, 168, 1, 1]].map(IpAddr::from);
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x02jp\0\0\x06\0\x01";
    machine.handle_input(Time(0), Client { station: MAC, address, port: 4242, to, connection: None }, question);
    machine
}

fn stack() -> Stack {
    let mut machine = Stack::new(Arc::new(|| ()));
    machine.set_addresses(&[OURS]);
    let socket = machine.udp_open(OURS, 4242).unwrap();
    machine.udp_send(socket, "[2001:db8::53]:53".parse().unwrap(), b"?").unwrap();
    machine
}

fn provisioning() -> hb46pp::Client {
    let mut machine = hb46pp::Client::new(hb46pp::Config::default());
    machine.start(Time(0), hb46pp::Place { prefix: "2001:db8::".parse().unwrap(), from: OURS });
    machine
}

fn notifier() -> Notifier {
    let mut machine = Notifier::new(notification::Config {
        dialect: Dialect::Transix,
        url: None,
        user: Secret::new("someone"),
        pass: Secret::new("s3cret"),
        name: Secret::default(),
        basic_auth: None,
        from: None,
        trust: Trust::Mozilla,
        repeat: notification::REPEAT,
    })
    .unwrap();
    machine.start(Time(0), notification::Place { ce: OURS, wan: OURS, ipv4: None });
    machine
}

fn selector() -> Selector {
    let mut machine = Selector::new(Patience::default());
    machine.resolvers_changed(Time(0), true);
    machine.set(Time(0), Source::UserName, Some("gw.example.net".parse().unwrap()));
    machine
}

fn probe() -> Probe {
    let mut machine = Probe::default();
    machine.set_active(true);
    machine
}

#[test]
fn each_comes_to_rest_does_nothing_early_and_floods_nobody() {
    assert!(an_hour_alone(neighbours()) > 5, "addresses are announced, the kept neighbour is asked");
    assert!(an_hour_alone(slaac()) > 2, "routers are asked for");
    assert!(an_hour_alone(advertiser()) > 8, "hosts are told three times, and every ten minutes");
    assert_eq!(an_hour_alone(nd_proxy()), 1, "who is asked for is looked for, once");
    assert!(an_hour_alone(dhcpv6()) > 2, "servers are asked for");
    assert_eq!(an_hour_alone(dhcpv6_server()), 1, "the answer to who asked");
    assert_eq!(an_hour_alone(dhcpv4()), 0, "a server is silent until it is asked");
    assert!(an_hour_alone(resolver()) > 2, "the question is asked again, and ends");
    assert_eq!(an_hour_alone(forwarder()), 9, "four tries, whose ports are closed, and the host is told");
    assert_eq!(an_hour_alone(stack()), 1, "the datagram");
    assert!(an_hour_alone(provisioning()) > 2, "a question that was lost is asked again");
    assert_eq!(an_hour_alone(notifier()), 1, "one request, that nobody answers");
    assert!(an_hour_alone(selector()) > 2, "a name that was lost is asked for again");
    assert_eq!(an_hour_alone(probe()), 3, "three names, that nobody answers");
}

/// Plays `bytes` to a machine that is at rest, and then nothing may come.
fn is_silent<M: Machine<Output: std::fmt::Debug>>(mut machine: M, bytes: &[u8], hear: impl Fn(&mut M, Time, &[u8])) {
    let now = Time(1);
    settle(&mut machine, now);
    hear(&mut machine, now, bytes);
    let outputs = settle(&mut machine, now);
    assert!(outputs.is_empty(), "{bytes:02x?}: {outputs:?}");
}

proptest! {
    /// What is as good as never sound: no checksum, id or address is right.
    #[test]
    fn garbage_is_answered_by_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        is_silent(neighbours(), &bytes, |machine, now, bytes| _ = machine.handle_input(now, bytes));
        is_silent(slaac(), &bytes, Slaac::handle_input);
        is_silent(advertiser(), &bytes, |machine, now, bytes| machine.handle_input(now, Mac([2, 0, 0, 0, 0, 9]), bytes));
        is_silent(dhcpv6(), &bytes, |client, now, bytes| client.handle_input(now, "fe80::2".parse().unwrap(), bytes));
        is_silent(dhcpv4(), &bytes, dhcpv4::Server::handle_input);
        is_silent(stack(), &bytes, Stack::handle_input);
        is_silent(resolver(), &bytes, |resolver, now, bytes| {
            let ports: Vec<u16> = resolver.open_ports().collect();
            ports.iter().for_each(|&port| resolver.handle_input(now, (SERVER.into(), dns::PORT), port, bytes));
        });
        is_silent(forwarder(), &bytes, |forwarder, now, bytes| {
            (1024..=u16::MAX).for_each(|port| forwarder.handle_reply(now, (SERVER, forwarder::PORT), port, bytes));
        });
    }
}
