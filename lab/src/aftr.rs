//! The far end without its sockets: packets in, packets out, commands.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::defrag::IpDefragPool;
use etherparse::icmpv6::DestUnreachableCode;
use etherparse::{Icmpv6Type, IpNumber, Ipv4HeaderSlice, Ipv6Header, Ipv6HeaderSlice, PacketBuilder, SlicedPacket};

use crate::command::{Answer, Command, HELP, Spoil};
use crate::outer::{Content, Order, encapsulate, error};
use crate::ports::Fragments;
use crate::shared::{Domain, Refusal};
use crate::shift::{Side, shift};
use crate::softwires::{Softwire, Softwires};

/// Outer source of bad copies: an address of nobody.
const STRANGER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 1);
/// Who sends packets by command.
const SOMEBODY: ([u8; 4], u16) = ([198, 51, 100, 2], 53);

/// What leaves, in order.
#[derive(Default)]
pub struct Output {
    /// IPv6 packets to the line.
    pub to_line: Vec<Vec<u8>>,
    /// IPv4 packets to the Internet.
    pub to_internet: Vec<Vec<u8>>,
}

/// What happened to packets so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inner packets from the line that were carried on.
    pub decapsulated: u64,
    /// Of these, came in outer fragments.
    pub reassembled: u64,
    /// Inner packets carried to the line.
    pub encapsulated: u64,
    /// Of these, left in outer fragments.
    pub fragmented: u64,
    /// Refused: nobody at that address has this inner source. Of shared addresses the sum of the next four.
    pub refused: u64,
    /// Refused: the outer source is nobody's who shares an address.
    pub refused_source: u64,
    /// Refused: the inner source is not the address that goes with the outer one.
    pub refused_address: u64,
    /// Refused: the source port is outside the outer address's set.
    pub refused_port: u64,
    /// Refused: neither port nor ICMP identifier.
    pub refused_no_port: u64,
    /// Answered with an error by command.
    pub answered: u64,
    /// Not IPv4 in IPv6 as it should be.
    pub bad: u64,
    /// From the Internet to nobody.
    pub unclaimed: u64,
}

/// The far end: AFTR at some addresses, border router at others.
pub struct Aftr {
    aftr: HashSet<Ipv6Addr>,
    br: HashSet<Ipv6Addr>,
    /// Where fixed addresses are served from: the border router that was last asked for by its CE.
    active_br: Option<Ipv6Addr>,
    softwires: Softwires,
    /// Shared addresses; while there are any, the border router serves no fixed ones.
    shared: Domain,
    ported: [Fragments; 2],
    refuses_by_icmp: bool,
    last_refused: Option<String>,
    /// Far and near end of the last tunnel packet from the line.
    last: Option<(Ipv6Addr, Ipv6Addr)>,
    fragments: IpDefragPool,
    mtu: usize,
    limited: bool,
    order: Order,
    answer: Option<Answer>,
    spoil: Option<Spoil>,
    identification: u32,
    /// What happened to packets so far.
    pub counts: Counts,
}

impl Aftr {
    /// An AFTR at each of `aftr`, a border router at each of `br`.
    pub fn new(aftr: &[Ipv6Addr], br: &[Ipv6Addr]) -> Self {
        Self {
            aftr: aftr.iter().copied().collect(),
            br: br.iter().copied().collect(),
            active_br: br.first().copied(),
            softwires: Softwires::default(),
            shared: Domain::default(),
            ported: Default::default(),
            refuses_by_icmp: true,
            last_refused: None,
            last: None,
            fragments: IpDefragPool::new(),
            mtu: 1500,
            limited: false,
            order: Order::Forward,
            answer: None,
            spoil: None,
            identification: 1,
            counts: Counts::default(),
        }
    }

    /// An IPv6 packet that arrived here, whoever it is for.
    pub fn from_line(&mut self, packet: &[u8], out: &mut Output) {
        let Ok(header) = Ipv6HeaderSlice::from_slice(packet) else { return };
        let (source, destination) = (header.source_addr(), header.destination_addr());
        let tunnel = matches!(header.next_header(), IpNumber::IPV4 | IpNumber::IPV6_FRAGMENTATION_HEADER);
        if !tunnel || !(self.aftr.contains(&destination) || self.br.contains(&destination)) {
            return;
        }
        let whole = Ipv6Header::LEN + usize::from(header.payload_length());
        let Some(packet) = packet.get(..whole) else { return self.counts.bad += 1 };
        self.last = Some((destination, source));
        if self.answered(destination, packet, out) {
            return;
        }
        if header.next_header() == IpNumber::IPV4 {
            return self.inner(source, destination, packet, packet[Ipv6Header::LEN..].to_vec(), out);
        }
        let whole = SlicedPacket::from_ip(packet).map(|sliced| self.fragments.process_sliced_packet(&sliced, (), ()));
        match whole {
            Ok(Ok(Some(whole))) if whole.ip_number == IpNumber::IPV4 => {
                self.counts.reassembled += 1;
                self.inner(source, destination, packet, whole.payload, out);
            }
            Ok(Ok(None)) => {}
            _ => self.counts.bad += 1,
        }
    }

    fn answered(&mut self, destination: Ipv6Addr, packet: &[u8], out: &mut Output) -> bool {
        let Some(answer) = self.answer.as_mut() else { return false };
        out.to_line.push(error(destination, answer.icmp(), packet));
        answer.left -= 1;
        if answer.left == 0 {
            self.answer = None;
        }
        self.counts.answered += 1;
        true
    }

    /// `outer` is the packet, or the last fragment of it, that an error would quote.
    fn inner(&mut self, near: Ipv6Addr, far: Ipv6Addr, outer: &[u8], mut inner: Vec<u8>, out: &mut Output) {
        let Some(source) = good_source(&inner) else { return self.counts.bad += 1 };
        if self.br.contains(&far) {
            return self.hear_ce(near, far, source, outer, inner, out);
        }
        let softwire = Softwire { aftr: far, b4: near, inside: upper_half(source) };
        let half = self.softwires.open(softwire);
        shift(&mut inner, Side::Source, half);
        self.counts.decapsulated += 1;
        out.to_internet.push(inner);
    }

    fn hear_ce(
        &mut self,
        ce: Ipv6Addr,
        br: Ipv6Addr,
        source: Ipv4Addr,
        outer: &[u8],
        inner: Vec<u8>,
        out: &mut Output,
    ) {
        let packets =
            if self.shared.is_empty() { vec![(inner, None)] } else { self.ported[0].hear(inner, Side::Source) };
        for (inner, port) in packets {
            let judgement = if self.shared.is_empty() {
                (self.softwires.ce(source) == Some(ce)).then_some(()).ok_or(None)
            } else {
                self.shared.judge(ce, source, port).map_err(Some)
            };
            match judgement {
                Ok(()) => {
                    self.active_br = Some(br);
                    self.counts.decapsulated += 1;
                    out.to_internet.push(inner);
                }
                Err(refusal) => {
                    self.count(refusal);
                    let port = port.map_or("no port".into(), |port| port.to_string());
                    self.last_refused = Some(format!("{ce} {source} {port} {}", describe(&inner)));
                    if self.refuses_by_icmp {
                        let refusal = DestUnreachableCode::SourceAddressFailedPolicy;
                        out.to_line.push(error(br, Icmpv6Type::DestinationUnreachable(refusal), outer));
                    }
                }
            }
        }
    }

    fn count(&mut self, refusal: Option<Refusal>) {
        self.counts.refused += 1;
        match refusal {
            Some(Refusal::Source) => self.counts.refused_source += 1,
            Some(Refusal::Address) => self.counts.refused_address += 1,
            Some(Refusal::Port) => self.counts.refused_port += 1,
            Some(Refusal::NoPort) => self.counts.refused_no_port += 1,
            None => {}
        }
    }

    /// An IPv4 packet that the kernel routed to the line.
    pub fn from_internet(&mut self, packet: &[u8], out: &mut Output) {
        let Ok(header) = Ipv4HeaderSlice::from_slice(packet) else { return self.counts.bad += 1 };
        let destination = header.destination_addr();
        let mut inner = packet.to_vec();
        if let Some(softwire) = self.softwires.behind(destination) {
            shift(&mut inner, Side::Destination, softwire.inside);
            return self.carry(Some((softwire.aftr, softwire.b4)), &inner, out);
        }
        if self.shared.is_empty() {
            return self.carry(self.active_br.zip(self.softwires.ce(destination)), &inner, out);
        }
        for (inner, port) in self.ported[1].hear(inner, Side::Destination) {
            let ce = port.and_then(|port| self.shared.owner(destination, port));
            self.carry(self.active_br.zip(ce), &inner, out);
        }
    }

    fn carry(&mut self, ends: Option<(Ipv6Addr, Ipv6Addr)>, inner: &[u8], out: &mut Output) {
        let Some((far, near)) = ends else { return self.counts.unclaimed += 1 };
        if let Some(spoil) = self.spoil {
            let (source, bad) = spoiled(spoil, far, inner);
            let bad = Content::new(&bad, self.limited);
            out.to_line.extend(encapsulate(source, near, &bad, self.mtu, Order::Forward, self.identification()));
        }
        let content = Content::new(inner, self.limited);
        let pieces = encapsulate(far, near, &content, self.mtu, self.order, self.identification());
        self.counts.encapsulated += 1;
        self.counts.fragmented += u64::from(pieces.len() > 1);
        out.to_line.extend(pieces);
    }

    fn identification(&mut self) -> u32 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }

    /// Does it, and answers with text.
    pub fn command(&mut self, command: Command, out: &mut Output) -> String {
        match command {
            Command::Bind(address, ce) => self.softwires.bind(address, ce),
            Command::Unbind(address) => self.softwires.unbind(address),
            Command::Map(interface_id, rules) => {
                self.shared.interface_id = interface_id;
                self.shared.rules = rules;
            }
            Command::Lend(Some(binding)) => self.shared.bindings.push(binding),
            Command::Lend(None) => self.shared.bindings.clear(),
            Command::Refuse(by_icmp) => self.refuses_by_icmp = by_icmp,
            Command::Stray(far, near, address, port) => {
                let stray = Content::new(&stray(address, port), self.limited);
                out.to_line.extend(encapsulate(far, near, &stray, self.mtu, Order::Forward, 0));
            }
            Command::Fragments(order) => self.order = order,
            Command::Limit(limited) => self.limited = limited,
            Command::Mtu(bytes) => self.mtu = bytes,
            Command::Answer(answer) => self.answer = Some(answer).filter(|answer| answer.left > 0),
            Command::Spoil(spoil) => self.spoil = spoil,
            Command::Forget => (self.counts, self.last_refused) = (Counts::default(), None),
            Command::Status => return self.status(),
            Command::Help => return HELP.to_owned(),
        }
        "ok".to_owned()
    }

    fn status(&self) -> String {
        let c = self.counts;
        let mut text = [self.softwires.describe(), self.shared.describe()].concat().join("\n");
        if let Some((far, near)) = self.last {
            let _ = write!(text, "\nlast {far} {near}");
        }
        if let Some(refused) = &self.last_refused {
            let _ = write!(text, "\nlast-refused {refused}");
        }
        for (name, count) in [
            ("decapsulated", c.decapsulated),
            ("reassembled", c.reassembled),
            ("encapsulated", c.encapsulated),
            ("fragmented", c.fragmented),
            ("refused", c.refused),
            ("refused-source", c.refused_source),
            ("refused-address", c.refused_address),
            ("refused-port", c.refused_port),
            ("refused-no-port", c.refused_no_port),
            ("answered", c.answered),
            ("bad", c.bad),
            ("unclaimed", c.unclaimed),
        ] {
            let _ = write!(text, "\n{name} {count}");
        }
        text.trim_start().to_owned()
    }
}

/// Protocol and destination, for whoever wonders what was refused.
fn describe(packet: &[u8]) -> String {
    Ipv4HeaderSlice::from_slice(packet)
        .map(|header| format!("{:?} to {}", header.protocol(), header.destination_addr()))
        .unwrap_or_default()
}

fn stray(address: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut packet = Vec::new();
    PacketBuilder::ipv4(SOMEBODY.0, address.octets(), 60)
        .udp(SOMEBODY.1, port)
        .write(&mut packet, b"stray")
        .expect("a vector takes all");
    packet
}

/// The source of an IPv4 packet whose header is whole, says its length truly and has a good checksum.
fn good_source(packet: &[u8]) -> Option<Ipv4Addr> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let good = usize::from(header.total_len()) == packet.len()
        && header.to_header().calc_header_checksum() == header.header_checksum();
    good.then(|| header.source_addr())
}

fn upper_half(address: Ipv4Addr) -> u16 {
    let [high, low, ..] = address.octets();
    u16::from_be_bytes([high, low])
}

fn spoiled(spoil: Spoil, far: Ipv6Addr, inner: &[u8]) -> (Ipv6Addr, Vec<u8>) {
    let mut bad = inner.to_vec();
    match spoil {
        Spoil::Source => return (STRANGER, bad),
        Spoil::Checksum => bad[10] ^= 0xff,
        Spoil::Length => {
            let length = u16::from_be_bytes([bad[2], bad[3]]).saturating_add(8);
            bad[2..4].copy_from_slice(&length.to_be_bytes());
            let sum = Ipv4HeaderSlice::from_slice(inner).map(|header| {
                let mut header = header.to_header();
                header.total_len = length;
                header.calc_header_checksum()
            });
            bad[10..12].copy_from_slice(&sum.unwrap_or(0).to_be_bytes());
        }
        Spoil::Short => bad.truncate(10),
    }
    (far, bad)
}

#[cfg(test)]
mod tests;
