//! Clients that send what RFC 2131 has them send, and what they get.

mod agents;
mod model;
mod options;
mod refusals;

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Encodable};
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice};
use hikyaku_net::{Mac, Time};

use super::*;
use crate::Machine;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const LEASE: u64 = 3600;

fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 1, number])
}

fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn config() -> Config {
    Config {
        mac: US,
        address: ROUTER,
        prefix_len: 24,
        pool: host(100)..=host(103),
        reservations: vec![Reservation { mac: station(50), address: host(50) }],
        lease_time: Duration::from_secs(LEASE),
        dns: vec![],
        domain: Some("home.arpa".to_owned()),
        mtu: Some(1460),
    }
}

/// What a client sends, and how.
#[derive(Clone)]
struct Sent {
    message: Message,
    to: Ipv4Addr,
}

fn message(mac: Mac, kind: MessageType) -> Sent {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(7, none, none, none, none, &mac.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    Sent { message, to: Ipv4Addr::BROADCAST }
}

impl Sent {
    fn with(mut self, option: DhcpOption) -> Self {
        self.message.opts_mut().insert(option);
        self
    }

    fn having(mut self, address: Ipv4Addr) -> Self {
        self.message.set_ciaddr(address);
        self
    }

    fn unicast(mut self) -> Self {
        self.to = ROUTER;
        self
    }

    fn wants(self, address: Ipv4Addr) -> Self {
        self.with(DhcpOption::RequestedIpAddress(address))
    }

    fn server(self, address: Ipv4Addr) -> Self {
        self.with(DhcpOption::ServerIdentifier(address))
    }

    fn frame(&self) -> Vec<u8> {
        let source = self.message.ciaddr().octets();
        let station = if self.to == ROUTER { US } else { Mac::BROADCAST };
        let builder = PacketBuilder::ethernet2(self.message.chaddr().try_into().unwrap(), station.0)
            .ipv4(source, self.to.octets(), 64)
            .udp(68, 67);
        let mut frame = Vec::new();
        builder.write(&mut frame, &self.message.to_vec().unwrap()).unwrap();
        frame
    }
}

/// A frame of ours, taken apart.
#[derive(Debug)]
struct Got {
    station: Mac,
    to: Ipv4Addr,
    message: Message,
}

impl Got {
    fn read(frame: &[u8]) -> Self {
        let packet = SlicedPacket::from_ethernet(frame).unwrap();
        let (Some(etherparse::LinkSlice::Ethernet2(ethernet)), Some(etherparse::NetSlice::Ipv4(ip))) =
            (&packet.link, &packet.net)
        else {
            panic!("{frame:?}")
        };
        let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("{frame:?}") };
        let header = ip.header();
        assert_eq!(header.to_header().calc_header_checksum(), header.header_checksum());
        let sum = udp.to_header().calc_checksum_ipv4_raw(header.source(), header.destination(), udp.payload());
        assert_eq!(sum, Ok(udp.checksum()));
        assert_eq!((header.source_addr(), udp.source_port(), udp.destination_port()), (ROUTER, 67, 68));
        assert!(udp.payload().len() >= 300, "RFC 1542 2.1");
        let message = Message::from_bytes(udp.payload()).unwrap();
        assert_eq!((message.opcode(), message.xid()), (Opcode::BootReply, 7));
        Self { station: Mac(ethernet.destination()), to: header.destination_addr(), message }
    }

    fn kind(&self) -> MessageType {
        self.message.opts().msg_type().unwrap()
    }

    fn codes(&self) -> Vec<u8> {
        self.message.opts().iter().map(|(&code, _)| code.into()).collect()
    }

    fn get(&self, code: OptionCode) -> Option<&DhcpOption> {
        self.message.opts().get(code)
    }
}

/// A server and its clock.
struct Lan {
    server: Server,
    now: Time,
    probes: Vec<Ipv4Addr>,
    events: Vec<Event>,
    saves: usize,
    disk: Disk,
}

/// What becomes of leases that are to be written.
#[derive(Clone, Copy, PartialEq)]
enum Disk {
    Fast,
    /// Nothing is heard of it.
    Hangs,
    Full,
}

impl Lan {
    fn new(config: Config) -> Self {
        let server = Server::new(config).unwrap();
        Self { server, now: Time(1_000_000_000_000), probes: vec![], events: vec![], saves: 0, disk: Disk::Fast }
    }

    fn poll(&mut self) -> Vec<Got> {
        let mut sent = Vec::new();
        while let Some(output) = self.server.drive(self.now) {
            match output {
                Output::Send(frame) => sent.push(Got::read(&frame)),
                Output::Probe(address) => self.probes.push(address),
                Output::Save => {
                    self.saves += 1;
                    match self.disk {
                        Disk::Fast => self.server.saved(self.server.changes()),
                        Disk::Full => self.server.not_saved(),
                        Disk::Hangs => {}
                    }
                }
                Output::Event(event) => self.events.push(event),
            }
        }
        assert!(self.server.poll_timeout().is_none_or(|next| next > self.now), "everything due was done");
        sent
    }

    fn pass(&mut self, time: Duration) -> Vec<Got> {
        self.now = self.now + time;
        self.poll()
    }

    fn seconds(&mut self, seconds: u64) -> Vec<Got> {
        self.pass(Duration::from_secs(seconds))
    }

    /// What is answered at once.
    fn hear(&mut self, sent: &Sent) -> Option<Got> {
        self.server.handle_input(self.now, &sent.frame());
        let mut got = self.poll();
        assert!(got.len() <= 1);
        got.pop()
    }

    /// What is answered, if need be after the probe.
    fn ask(&mut self, sent: &Sent) -> Option<Got> {
        self.hear(sent).or_else(|| self.pass(Duration::from_millis(500)).pop())
    }

    fn offer(&mut self, mac: Mac) -> Ipv4Addr {
        let offer = self.ask(&message(mac, MessageType::Discover)).unwrap();
        assert_eq!(offer.kind(), MessageType::Offer);
        offer.message.yiaddr()
    }

    /// Has a station lease an address, from DISCOVER to ACK.
    fn lease(&mut self, mac: Mac) -> Ipv4Addr {
        let address = self.offer(mac);
        let ack = self.hear(&message(mac, MessageType::Request).wants(address).server(ROUTER)).unwrap();
        assert_eq!((ack.kind(), ack.message.yiaddr()), (MessageType::Ack, address));
        address
    }

    fn renew(&mut self, mac: Mac, address: Ipv4Addr) -> Option<MessageType> {
        self.hear(&message(mac, MessageType::Request).having(address).unicast()).map(|got| got.kind())
    }

    fn events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}

fn leased(address: Ipv4Addr, mac: Mac) -> Event {
    Event::Leased { address, mac, hostname: None }
}

/// RFC 2131 3.1, 4.3.1, table 3: from DISCOVER to ACK, and what each carries.
#[test]
fn a_lease() {
    let mut lan = Lan::new(config());
    let discover = message(station(1), MessageType::Discover)
        .with(DhcpOption::Hostname("printer".to_owned()))
        .with(DhcpOption::ParameterRequestList([1u8, 3, 6, 15, 26, 119].map(Into::into).to_vec()));
    assert!(lan.hear(&discover).is_none(), "probed first (RFC 2131 2.2)");
    assert_eq!(lan.probes, [host(100)]);
    assert!(lan.pass(Duration::from_millis(499)).is_empty());
    let offer = lan.pass(Duration::from_millis(1)).pop().unwrap();
    assert_eq!((offer.kind(), offer.message.yiaddr()), (MessageType::Offer, host(100)));
    assert_eq!((offer.station, offer.to), (station(1), host(100)), "4.1: to the station and its address to be");
    assert_eq!(offer.codes(), [1, 3, 15, 26, 51, 53, 54, 58, 59], "no resolver (6) is told where there is none");
    assert_eq!(offer.get(OptionCode::SubnetMask), Some(&DhcpOption::SubnetMask([255, 255, 255, 0].into())));
    assert_eq!(offer.get(OptionCode::Router), Some(&DhcpOption::Router(vec![ROUTER])));
    assert_eq!(offer.get(OptionCode::DomainName), Some(&DhcpOption::DomainName("home.arpa".to_owned())));
    assert_eq!(offer.get(OptionCode::InterfaceMtu), Some(&DhcpOption::InterfaceMtu(1460)));
    assert_eq!(offer.get(OptionCode::ServerIdentifier), Some(&DhcpOption::ServerIdentifier(ROUTER)));
    assert_eq!(offer.get(OptionCode::AddressLeaseTime), Some(&DhcpOption::AddressLeaseTime(3600)));
    assert_eq!(offer.get(OptionCode::Renewal), Some(&DhcpOption::Renewal(1800)), "4.4.5");
    assert_eq!(offer.get(OptionCode::Rebinding), Some(&DhcpOption::Rebinding(3150)), "4.4.5");
    assert_eq!(lan.saves, 0, "an offer is not a lease");

    let request = message(station(1), MessageType::Request).wants(host(100)).server(ROUTER);
    let only_router = request.clone().with(DhcpOption::ParameterRequestList(vec![OptionCode::Router]));
    let ack = lan.hear(&only_router).unwrap();
    assert_eq!((ack.kind(), ack.message.yiaddr(), ack.to), (MessageType::Ack, host(100), host(100)));
    assert_eq!(ack.codes(), [1, 3, 26, 51, 53, 54, 58, 59], "what was asked for, what must be there, and the MTU");
    assert_eq!(lan.saves, 1);
    let hostname = Some("printer".to_owned());
    assert_eq!(lan.events(), [Event::Leased { address: host(100), mac: station(1), hostname: hostname.clone() }]);
    let view = LeaseView {
        address: host(100),
        mac: Some(station(1)),
        hostname: hostname.map(Into::into),
        standing: Standing::Leased,
        left: 3600,
    };
    assert_eq!(lan.server.leases(lan.now), [view]);
    // The ACK was lost: the same again, and no news.
    assert_eq!(lan.hear(&request).unwrap().kind(), MessageType::Ack);
    assert!(lan.events().is_empty());
}

/// RFC 2132 3.8: resolvers that were given are told, in that order. Ours is not among them: nothing answers there.
#[test]
fn resolvers() {
    let resolvers = vec![Ipv4Addr::new(198, 51, 100, 53), host(53)];
    let mut lan = Lan::new(Config { dns: resolvers.clone(), ..config() });
    let offer = lan.ask(&message(station(1), MessageType::Discover)).unwrap();
    assert_eq!(offer.get(OptionCode::DomainNameServer), Some(&DhcpOption::DomainNameServer(resolvers)));
}

/// RFC 2131 4.1: to everybody if the client cannot take it otherwise, to its address if it has one; NAKs always to
/// everybody.
#[test]
fn where_replies_go() {
    let mut lan = Lan::new(config());
    let mut discover = message(station(1), MessageType::Discover);
    discover.message.set_flags(Flags::default().set_broadcast());
    let offer = lan.ask(&discover).unwrap();
    assert_eq!((offer.station, offer.to), (Mac::BROADCAST, Ipv4Addr::BROADCAST));
    assert!(offer.message.flags().broadcast());
    let address = lan.lease(station(2));
    let renew = message(station(2), MessageType::Request).having(address).unicast();
    let ack = lan.hear(&renew).unwrap();
    assert_eq!((ack.station, ack.to, ack.message.ciaddr()), (station(2), address, address));
    let nak = lan.hear(&message(station(3), MessageType::Request).wants(host(9)).server(ROUTER)).unwrap();
    assert_eq!((nak.kind(), nak.station, nak.to), (MessageType::Nak, Mac::BROADCAST, Ipv4Addr::BROADCAST));
    assert_eq!(nak.codes(), [53, 54, 56]);
}

/// RFC 6842 3: every reply has the client's identifier, if the client sent one; it is by that that it is known (RFC
/// 2131 4.2).
#[test]
fn client_identifier() {
    let mut lan = Lan::new(config());
    let id = DhcpOption::ClientIdentifier(b"\x00the same".to_vec());
    let discover = message(station(1), MessageType::Discover).with(id.clone());
    let offer = lan.ask(&discover).unwrap();
    assert_eq!(offer.get(OptionCode::ClientIdentifier), Some(&id));
    let request = message(station(1), MessageType::Request).wants(host(100)).server(ROUTER);
    assert_eq!(lan.hear(&request).unwrap().kind(), MessageType::Nak, "without it it is somebody else");
    let ack = lan.hear(&request.clone().with(id.clone())).unwrap();
    assert_eq!((ack.kind(), ack.get(OptionCode::ClientIdentifier)), (MessageType::Ack, Some(&id)));
    let nak = lan.hear(&request.wants(host(101)).with(id.clone())).unwrap();
    assert_eq!((nak.kind(), nak.get(OptionCode::ClientIdentifier)), (MessageType::Nak, Some(&id)));
    // The same client through another card keeps the address; who pins addresses to stations is told.
    lan.events();
    let moved = message(station(2), MessageType::Request).having(host(100)).unicast().with(id);
    assert_eq!(lan.ask(&moved).unwrap().kind(), MessageType::Ack);
    let ended = Event::Ended { address: host(100), mac: station(1) };
    assert_eq!(lan.events(), [ended, leased(host(100), station(2))]);
}

/// RFC 2131 4.3.1: the same address again, the one that is wished for, and a reserved one for nobody else.
#[test]
fn which_address() {
    let mut lan = Lan::new(config());
    assert_eq!(lan.lease(station(50)), host(50), "reserved, outside the pool");
    let wish = message(station(1), MessageType::Discover).wants(host(102));
    assert_eq!(lan.ask(&wish).unwrap().message.yiaddr(), host(102));
    let wish = message(station(2), MessageType::Discover).wants(host(50));
    assert_eq!(lan.ask(&wish).unwrap().message.yiaddr(), host(100));
    assert_eq!(lan.lease(station(3)), host(101));
    lan.seconds(LEASE + 1);
    assert_eq!(lan.lease(station(4)), host(100), "nobody's before");
    assert_eq!(lan.offer(station(3)), host(101), "as before");
    assert_eq!(lan.offer(station(50)), host(50));
}

/// RFC 2131 4.3.1: what was left the longest ago is given last, but it is given.
#[test]
fn old_leases_are_reused_last() {
    let mut lan = Lan::new(config());
    for number in 1..=4 {
        lan.lease(station(number));
        lan.seconds(60);
    }
    assert!(lan.ask(&message(station(9), MessageType::Discover)).is_none());
    assert!(lan.ask(&message(station(9), MessageType::Discover)).is_none());
    assert_eq!(lan.server.counts.full, 2);
    assert_eq!(lan.events().iter().filter(|&event| *event == Event::Full).count(), 1);
    lan.seconds(LEASE);
    let ended: Vec<_> = (1..=4).map(|n| Event::Ended { address: host(99 + n), mac: station(n) }).collect();
    assert_eq!(lan.events(), ended);
    assert_eq!(lan.offer(station(9)), host(100));
    assert_eq!(lan.offer(station(2)), host(101), "not to somebody else while its first is there");
    assert_eq!(lan.offer(station(8)), host(102));
}

/// Whoever makes up stations gets all addresses but a quarter: those of hosts that were here for longer than a moment stay
/// theirs, over a restart too.
#[test]
fn made_up_stations_do_not_take_the_place_of_known_hosts() {
    let mut lan = Lan::new(config());
    let home = lan.lease(station(1));
    lan.seconds(LEASE / 2);
    assert_eq!(lan.renew(station(1), home), Some(MessageType::Ack));
    lan.seconds(2 * LEASE);
    let mut taken = std::collections::BTreeSet::new();
    for number in 60..200 {
        let made_up = lan.ask(&message(station(number), MessageType::Discover));
        taken.extend(made_up.map(|offer| offer.message.yiaddr()));
        lan.seconds(1);
    }
    assert!(!taken.contains(&home) && taken.len() == 3, "{taken:?}");
    let file = lan.server.file(lan.now, 1000);
    assert!(serde_json::to_string(&file).unwrap().contains("\"known\":true"));
    let mut again = Lan::new(config());
    again.server.restore(again.now, 1000, &file);
    again.ask(&message(station(201), MessageType::Discover));
    for mut lan in [lan, again] {
        assert_eq!(lan.lease(station(1)), home);
    }
}

/// RFC 2131 4.3.2, SELECTING: only what was offered; an offer that was not taken is free again.
#[test]
fn selecting() {
    let mut lan = Lan::new(config());
    let address = lan.offer(station(1));
    let request = |server| message(station(1), MessageType::Request).wants(address).server(server);
    assert!(lan.hear(&request(host(7))).is_none(), "another server was chosen");
    assert_eq!(lan.server.counts.foreign, 1);
    assert_eq!(lan.hear(&request(ROUTER)).unwrap().kind(), MessageType::Nak);
    assert_eq!(lan.offer(station(2)), address);
    lan.seconds(60);
    let late = message(station(2), MessageType::Request).wants(address).server(ROUTER);
    assert_eq!(lan.hear(&late).unwrap().kind(), MessageType::Nak, "an offer stands a minute");
    assert!(lan.server.leases(lan.now).is_empty());
}

/// RFC 2131 4.3.2, INIT-REBOOT: yes, no, or silence if nothing is known.
#[test]
fn init_reboot() {
    let mut lan = Lan::new(config());
    let address = lan.lease(station(1));
    let reboot = |number, address| message(station(number), MessageType::Request).wants(address);
    let kind = |got: Option<Got>| got.map(|got| got.kind());
    assert_eq!(kind(lan.hear(&reboot(1, address))), Some(MessageType::Ack));
    assert_eq!(kind(lan.hear(&reboot(1, host(101)))), Some(MessageType::Nak), "another was leased");
    assert_eq!(kind(lan.hear(&reboot(2, address))), Some(MessageType::Nak), "somebody else's");
    assert_eq!(kind(lan.hear(&reboot(2, [198, 51, 100, 7].into()))), Some(MessageType::Nak), "wrong network");
    assert_eq!(kind(lan.hear(&reboot(2, host(101)))), None, "no record");
    assert_eq!(lan.server.counts.unknown, 1);
    lan.seconds(LEASE + 1);
    assert_eq!(kind(lan.hear(&reboot(1, address))), Some(MessageType::Ack), "it had it, and it is free");
}

/// RFC 2131 4.3.2, RENEWING and REBINDING.
#[test]
fn renewing_and_rebinding() {
    let mut lan = Lan::new(config());
    let address = lan.lease(station(1));
    lan.events();
    for _ in 0..5 {
        lan.seconds(LEASE / 2);
        assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
    }
    assert_eq!(lan.server.leases(lan.now)[0].left, LEASE);
    assert!(lan.events().is_empty());
    let rebind = |number, address| message(station(number), MessageType::Request).having(address);
    assert_eq!(lan.hear(&rebind(1, address)).unwrap().kind(), MessageType::Ack);
    assert_eq!(lan.hear(&rebind(2, address)).unwrap().kind(), MessageType::Nak);
    assert_eq!(lan.hear(&rebind(2, [10, 0, 0, 1].into())).unwrap().kind(), MessageType::Nak);
    assert!(lan.hear(&rebind(2, host(101))).is_none(), "another server's perhaps");
    // 4.3.2, RENEWING: it says ours, so it was; after a lease file was lost nobody loses his address.
    assert_eq!(lan.renew(station(2), host(101)), Some(MessageType::Ack));
    assert_eq!(lan.renew(station(3), host(7)), Some(MessageType::Nak), "not of the pool");
    assert_eq!(lan.renew(station(1), host(102)), Some(MessageType::Nak), "another was leased");
    assert_eq!(lan.renew(station(3), host(50)), Some(MessageType::Nak), "reserved for somebody else");
}

/// RFC 2131 4.3.3, 4.3.4: given back, or found in use; only by the client that has it.
#[test]
fn release_and_decline() {
    let mut lan = Lan::new(config());
    let address = lan.lease(station(1));
    lan.events();
    let release = |number| message(station(number), MessageType::Release).having(address).server(ROUTER).unicast();
    let decline = |number| message(station(number), MessageType::Decline).wants(address).server(ROUTER);
    assert!(lan.hear(&release(2)).is_none() && lan.hear(&decline(2)).is_none());
    assert!(lan.hear(&decline(1).server(host(7))).is_none());
    assert!(lan.events().is_empty(), "not its own");
    lan.hear(&release(1));
    let ended = Event::Ended { address, mac: station(1) };
    assert_eq!(lan.events(), std::slice::from_ref(&ended));
    assert_eq!(lan.lease(station(1)), address, "as before");
    lan.events();
    lan.hear(&decline(1));
    assert_eq!(lan.events(), [ended, Event::Conflict { address, by: None }]);
    assert_ne!(lan.offer(station(1)), address);
    lan.seconds(599);
    assert_eq!(lan.server.leases(lan.now)[0].standing, Standing::Conflict);
    lan.seconds(1);
    assert_eq!(lan.offer(station(2)), address, "ten minutes");
}

/// RFC 2131 4.3.5: parameters, no lease.
#[test]
fn inform() {
    let mut lan = Lan::new(config());
    let ack = lan.hear(&message(station(1), MessageType::Inform).having(host(9))).unwrap();
    assert_eq!((ack.kind(), ack.to, ack.station), (MessageType::Ack, host(9), station(1)));
    assert_eq!((ack.message.yiaddr(), ack.message.ciaddr()), (Ipv4Addr::UNSPECIFIED, host(9)));
    assert_eq!(ack.codes(), [1, 3, 15, 26, 53, 54], "no times");
    assert!(lan.hear(&message(station(1), MessageType::Inform)).is_none());
    assert!(lan.server.leases(lan.now).is_empty());
}

/// RFC 2131 2.2: an address that answers is not offered, for ten minutes; the client gets another.
#[test]
fn addresses_in_use() {
    let mut lan = Lan::new(config());
    assert!(lan.hear(&message(station(1), MessageType::Discover)).is_none());
    lan.server.in_use(lan.now, host(100), station(99));
    assert!(lan.poll().is_empty());
    assert_eq!(lan.probes, [host(100), host(101)]);
    assert_eq!(lan.events(), [Event::Conflict { address: host(100), by: Some(station(99)) }]);
    // The client itself has it from before.
    lan.server.in_use(lan.now, host(101), station(1));
    let offer = lan.pass(Duration::from_millis(500)).pop().unwrap();
    assert_eq!(offer.message.yiaddr(), host(101));
    // The answer came late: what was offered is not given.
    lan.server.in_use(lan.now, host(101), station(99));
    let request = message(station(1), MessageType::Request).wants(host(101)).server(ROUTER);
    assert_eq!(lan.hear(&request).unwrap().kind(), MessageType::Nak);
    // A lease is not taken back.
    let address = lan.lease(station(1));
    lan.server.in_use(lan.now, address, station(99));
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
    assert_eq!(lan.server.counts.conflicts, 3);
    // Nobody asked.
    lan.server.in_use(lan.now, host(103), station(99));
    lan.server.in_use(lan.now, host(100), station(99));
    assert_eq!(lan.server.counts.conflicts, 3);
}

/// RFC 2131 4.1: a client asks again before the answer: one probe, one offer, to the later question.
#[test]
fn impatient_client() {
    let mut lan = Lan::new(config());
    assert!(lan.hear(&message(station(1), MessageType::Discover)).is_none());
    lan.pass(Duration::from_millis(300));
    let id = DhcpOption::ParameterRequestList(vec![OptionCode::Router]);
    assert!(lan.hear(&message(station(1), MessageType::Discover).with(id)).is_none());
    let offer = lan.pass(Duration::from_millis(200)).pop().unwrap();
    assert_eq!(offer.codes(), [1, 3, 26, 51, 53, 54, 58, 59]);
    assert_eq!(lan.probes.len(), 1);
    assert_eq!(lan.offer(station(1)), host(100), "an offer that stands is made again at once");
    assert_eq!(lan.probes.len(), 1);
}

/// Leases outlive the program; the clock may be wrong, and the configuration another.
#[test]
fn restored() {
    let mut lan = Lan::new(config());
    lan.lease(station(1));
    lan.seconds(LEASE + 1);
    let id = DhcpOption::ClientIdentifier(b"\x00client".to_vec());
    lan.ask(&message(station(2), MessageType::Discover).with(id.clone()));
    lan.hear(&message(station(2), MessageType::Request).wants(host(101)).server(ROUTER).with(id.clone()));
    lan.lease(station(50));
    let file = serde_json::to_string(&lan.server.file(lan.now, 1_000_000)).unwrap();
    let file: LeaseFile = serde_json::from_str(&file).unwrap();
    assert_eq!(file, lan.server.file(lan.now, 1_000_000));

    let mut after = Lan::new(config());
    after.now = Time(5);
    assert_eq!(after.server.restore(after.now, 1_000_600, &file), 2);
    assert_eq!(after.server.leases(after.now).iter().map(|l| l.left).collect::<Vec<_>>(), [3000, 3000]);
    assert_eq!(after.offer(station(3)), host(102), "nobody's before");
    assert_eq!(after.offer(station(1)), host(100), "as before");
    let renew = message(station(2), MessageType::Request).having(host(101)).unicast().with(id);
    assert_eq!(after.hear(&renew).unwrap().kind(), MessageType::Ack);
    assert_eq!(after.server.restore(after.now, 1_000_600, &file), 0, "nothing is put over what is there");

    let mut clock = Lan::new(config());
    assert_eq!(clock.server.restore(clock.now, 0, &file), 2);
    assert!(clock.server.leases(clock.now).iter().all(|lease| lease.left == LEASE), "not longer");

    let changed = Config { pool: host(110)..=host(120), reservations: vec![], ..config() };
    assert_eq!(Lan::new(changed).server.restore(Time(5), 1_000_600, &file), 0);
}

/// RFC 2131 3.1, step 4: what is promised is on disk before it is said; renewals promise a later end. One write makes good on
/// all that came before it, and what changes meanwhile goes with the next.
#[test]
fn an_ack_waits_for_the_disk() {
    let mut lan = Lan::new(config());
    let request = |number, address| message(station(number), MessageType::Request).wants(address).server(ROUTER);
    let renewed = lan.lease(station(1));
    let (second, third) = (lan.offer(station(2)), lan.offer(station(3)));
    (lan.disk, lan.saves) = (Disk::Hangs, 0);
    assert!(lan.hear(&request(2, second)).is_none());
    assert_eq!(lan.saves, 1);
    let first = lan.server.changes();
    assert!(lan.hear(&request(3, third)).is_none() && lan.renew(station(1), renewed).is_none());
    assert!(lan.hear(&request(2, second)).is_none(), "asked again: one answer, and a later end to be written");
    lan.server.saved(first);
    assert!(lan.poll().is_empty(), "what was written is older than what is promised now");
    lan.server.saved(lan.server.changes());
    let stations: Vec<Mac> = lan.poll().iter().map(|got| got.station).collect();
    assert_eq!(stations, [station(3), station(1), station(2)]);
    let file = lan.server.file(lan.now, 1_000_000);
    assert!(file.leases.iter().all(|lease| lease.until == 1_000_000 + LEASE) && file.leases.len() == 3, "{file:?}");
    // Nothing is answered that was given back meanwhile.
    assert_eq!(lan.renew(station(2), second), None);
    lan.hear(&message(station(2), MessageType::Release).having(second).server(ROUTER).unicast());
    lan.server.saved(lan.server.changes());
    assert!(lan.poll().is_empty());
    // What ends is written, too.
    lan.saves = 0;
    lan.seconds(LEASE);
    assert!(lan.saves > 0);
}

/// A disk that takes nothing, or not in two seconds, leaves nobody without an address. As soon as it takes something, ACKs
/// wait for it again.
#[test]
fn a_disk_that_fails_keeps_no_client_waiting() {
    let mut lan = Lan::new(config());
    let address = lan.lease(station(1));
    lan.disk = Disk::Full;
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
    lan.disk = Disk::Hangs;
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack), "known to fail: nothing waits");
    lan.server.saved(lan.server.changes());
    assert_eq!(lan.renew(station(1), address), None);
    assert!(lan.pass(Duration::from_millis(1999)).is_empty());
    assert_eq!(lan.pass(Duration::from_millis(1)).len(), 1, "before a client asks again (RFC 2131 4.1)");
    assert_eq!(lan.renew(station(1), address), Some(MessageType::Ack));
}

#[test]
fn configurations() {
    let error = |change: &dyn Fn(&mut Config)| {
        let mut config = config();
        change(&mut config);
        Server::new(config).map(drop).unwrap_err().to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut Config);
    let wrong: [(Change<'_>, &str); 12] = [
        (&|c| c.prefix_len = 31, "/31"),
        (&|c| c.pool = host(0)..=host(9), "192.0.2.0 is no host's address in 192.0.2.0/24"),
        (&|c| c.pool = host(9)..=[192, 0, 3, 9].into(), "192.0.3.9 is no host's"),
        (&|c| c.pool = host(9)..=host(8), "empty"),
        (&|c| (c.prefix_len, c.pool) = (8, host(1)..=[192, 9, 0, 0].into()), "more than 65536"),
        (&|c| c.reservations[0].address = ROUTER, "192.0.2.1 is reserved"),
        (&|c| c.reservations.push(Reservation { mac: station(50), address: host(51) }), "more than one"),
        (&|c| c.reservations[0].mac = Mac::BROADCAST, "no station"),
        (&|c| c.lease_time = Duration::from_secs(59), "59 s"),
        (&|c| c.dns = vec![ROUTER; 9], "9 resolvers"),
        (&|c| c.domain = Some("a b".to_owned()), "\"a b\""),
        (&|c| c.mtu = Some(68), "68"),
    ];
    for (change, says) in wrong {
        assert!(error(change).contains(says), "{}", error(change));
    }
    // Ours in the middle of the pool is left out.
    let mut lan = Lan::new(Config { pool: host(1)..=host(2), ..config() });
    assert_eq!(lan.lease(station(1)), host(2));
    assert!(lan.ask(&message(station(2), MessageType::Discover)).is_none());
}
