//! The far end without its sockets: packets in, packets out, commands.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::defrag::IpDefragPool;
use etherparse::icmpv6::DestUnreachableCode;
use etherparse::{Icmpv6Type, IpNumber, Ipv4HeaderSlice, Ipv6Header, Ipv6HeaderSlice, SlicedPacket};

use crate::command::{Answer, Command, HELP, Spoil};
use crate::outer::{Order, encapsulate, error};
use crate::shift::{Side, shift};
use crate::softwires::{Softwire, Softwires};

/// Outer source of bad copies: an address of nobody.
const STRANGER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 1);

/// What leaves, in order.
#[derive(Default)]
pub struct Output {
    /// IPv6 packets.
    pub to_line: Vec<Vec<u8>>,
    /// IPv4 packets.
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
    /// Refused with unreachable code 5: nobody at that address has this inner source.
    pub refused: u64,
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
    /// Far and near end of the last tunnel packet from the line.
    last: Option<(Ipv6Addr, Ipv6Addr)>,
    fragments: IpDefragPool,
    mtu: usize,
    order: Order,
    answer: Option<Answer>,
    spoil: Option<Spoil>,
    identification: u32,
    /// Counted so far.
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
            last: None,
            fragments: IpDefragPool::new(),
            mtu: 1500,
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
    fn inner(&mut self, b4: Ipv6Addr, far: Ipv6Addr, outer: &[u8], mut inner: Vec<u8>, out: &mut Output) {
        let Some(source) = good_source(&inner) else { return self.counts.bad += 1 };
        if self.br.contains(&far) {
            if self.softwires.ce(source) != Some(b4) {
                self.counts.refused += 1;
                let refusal = DestUnreachableCode::SourceAddressFailedPolicy;
                out.to_line.push(error(far, Icmpv6Type::DestinationUnreachable(refusal), outer));
                return;
            }
            self.active_br = Some(far);
        } else {
            let softwire = Softwire { aftr: far, b4, inside: upper_half(source) };
            let half = self.softwires.open(softwire);
            shift(&mut inner, Side::Source, half);
        }
        self.counts.decapsulated += 1;
        out.to_internet.push(inner);
    }

    /// An IPv4 packet that the kernel routed to the line.
    pub fn from_internet(&mut self, packet: &[u8], out: &mut Output) {
        let Ok(header) = Ipv4HeaderSlice::from_slice(packet) else { return self.counts.bad += 1 };
        let destination = header.destination_addr();
        let mut inner = packet.to_vec();
        let ends = if let Some(softwire) = self.softwires.behind(destination) {
            shift(&mut inner, Side::Destination, softwire.inside);
            Some((softwire.aftr, softwire.b4))
        } else {
            self.active_br.zip(self.softwires.ce(destination))
        };
        let Some((far, near)) = ends else { return self.counts.unclaimed += 1 };
        if let Some(spoil) = self.spoil {
            let (source, bad) = spoiled(spoil, far, &inner);
            out.to_line.extend(encapsulate(source, near, &bad, self.mtu, Order::Forward, self.identification()));
        }
        let pieces = encapsulate(far, near, &inner, self.mtu, self.order, self.identification());
        self.counts.encapsulated += 1;
        self.counts.fragmented += u64::from(pieces.len() > 1);
        out.to_line.extend(pieces);
    }

    fn identification(&mut self) -> u32 {
        self.identification = self.identification.wrapping_add(1);
        self.identification
    }

    /// Does it, and answers with text.
    pub fn command(&mut self, command: Command) -> String {
        match command {
            Command::Bind(address, ce) => self.softwires.bind(address, ce),
            Command::Unbind(address) => self.softwires.unbind(address),
            Command::Fragments(order) => self.order = order,
            Command::Mtu(bytes) => self.mtu = bytes,
            Command::Answer(answer) => self.answer = Some(answer).filter(|answer| answer.left > 0),
            Command::Spoil(spoil) => self.spoil = spoil,
            Command::Status => return self.status(),
            Command::Help => return HELP.to_owned(),
        }
        "ok".to_owned()
    }

    fn status(&self) -> String {
        let Counts { decapsulated, reassembled, encapsulated, fragmented, refused, answered, bad, unclaimed } =
            self.counts;
        let mut text = self.softwires.describe().join("\n");
        if let Some((far, near)) = self.last {
            let _ = write!(text, "\nlast {far} {near}");
        }
        for (name, count) in [
            ("decapsulated", decapsulated),
            ("reassembled", reassembled),
            ("encapsulated", encapsulated),
            ("fragmented", fragmented),
            ("refused", refused),
            ("answered", answered),
            ("bad", bad),
            ("unclaimed", unclaimed),
        ] {
            let _ = write!(text, "\n{name} {count}");
        }
        text.trim_start().to_owned()
    }
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
mod tests {
    use etherparse::{PacketBuilder, TransportSlice};

    use super::*;
    use crate::outer::packet;

    const AFTR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
    const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 4);
    const FIXED: [u8; 4] = [203, 0, 113, 5];
    const SERVER: [u8; 4] = [198, 51, 100, 2];

    fn near(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1)
    }

    fn udp(source: [u8; 4], destination: [u8; 4], length: usize) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(source, destination, 64).udp(4000, 53).write(&mut packet, &vec![7; length]).unwrap();
        packet
    }

    fn aftr() -> Aftr {
        Aftr::new(&[AFTR], &[BR])
    }

    fn tell(aftr: &mut Aftr, line: &str) -> String {
        aftr.command(line.parse().unwrap())
    }

    #[test]
    fn two_customers_with_the_same_address_are_kept_apart() {
        let mut aftr = aftr();
        let inner = udp([192, 168, 7, 2], SERVER, 32);
        let mut out = Output::default();
        for n in 0..2 {
            aftr.from_line(&packet(near(n), AFTR, IpNumber::IPV4, &inner), &mut out);
        }
        assert_eq!(out.to_internet, [udp([100, 64, 7, 2], SERVER, 32), udp([100, 65, 7, 2], SERVER, 32)]);

        let mut out = Output::default();
        aftr.from_internet(&udp(SERVER, [100, 65, 7, 2], 32), &mut out);
        assert_eq!(out.to_line, [packet(AFTR, near(1), IpNumber::IPV4, &udp(SERVER, [192, 168, 7, 2], 32))]);
    }

    #[test]
    fn fragments_of_the_line_become_one_packet() {
        let mut aftr = aftr();
        let inner = udp([192, 168, 7, 2], SERVER, 1472);
        let mut out = Output::default();
        for piece in encapsulate(near(0), AFTR, &inner, 1500, Order::Backward, 9) {
            aftr.from_line(&piece, &mut out);
        }
        assert_eq!(out.to_internet, [udp([100, 64, 7, 2], SERVER, 1472)]);
        assert_eq!(aftr.counts, Counts { decapsulated: 1, reassembled: 1, ..Default::default() });
    }

    #[test]
    fn a_fixed_address_is_carried_for_its_ce_and_refused_from_others() {
        let mut aftr = aftr();
        let inner = udp(FIXED, SERVER, 32);
        let outer = packet(near(1), BR, IpNumber::IPV4, &inner);
        let mut out = Output::default();
        aftr.from_line(&outer, &mut out);
        assert!(out.to_internet.is_empty());
        let sliced = SlicedPacket::from_ip(&out.to_line[0]).unwrap();
        let Some(TransportSlice::Icmpv6(message)) = sliced.transport else { panic!("{sliced:?}") };
        let refusal = DestUnreachableCode::SourceAddressFailedPolicy;
        assert_eq!(message.icmp_type(), Icmpv6Type::DestinationUnreachable(refusal));
        assert_eq!(message.payload(), outer);

        tell(&mut aftr, &format!("bind 203.0.113.5 {}", near(1)));
        let mut out = Output::default();
        aftr.from_line(&outer, &mut out);
        aftr.from_internet(&udp(SERVER, FIXED, 32), &mut out);
        assert_eq!(out.to_internet, [inner]);
        assert_eq!(out.to_line, [packet(BR, near(1), IpNumber::IPV4, &udp(SERVER, FIXED, 32))]);
    }

    #[test]
    fn broken_inner_packets_end_here() {
        let mut aftr = aftr();
        let mut out = Output::default();
        let good = udp([192, 168, 7, 2], SERVER, 32);
        for spoil in [Spoil::Checksum, Spoil::Length, Spoil::Short] {
            let (_, bad) = spoiled(spoil, AFTR, &good);
            aftr.from_line(&packet(near(0), AFTR, IpNumber::IPV4, &bad), &mut out);
        }
        assert_eq!((out.to_internet.len(), out.to_line.len(), aftr.counts.bad), (0, 0, 3));
    }

    #[test]
    fn errors_by_command_are_as_many_as_were_asked_for() {
        let mut aftr = aftr();
        tell(&mut aftr, "answer 2 0 1400 2");
        let outer = packet(near(0), AFTR, IpNumber::IPV4, &udp([192, 168, 7, 2], SERVER, 32));
        let mut out = Output::default();
        for _ in 0..3 {
            aftr.from_line(&outer, &mut out);
        }
        assert_eq!((out.to_line.len(), out.to_internet.len()), (2, 1));
    }

    #[test]
    fn other_traffic_is_not_ours() {
        let mut aftr = aftr();
        let mut out = Output::default();
        let inner = udp([192, 168, 7, 2], SERVER, 32);
        aftr.from_line(&packet(near(0), near(9), IpNumber::IPV4, &inner), &mut out);
        aftr.from_line(&packet(near(0), AFTR, IpNumber::UDP, &inner), &mut out);
        aftr.from_line(&[0x60; 12], &mut out);
        aftr.from_internet(&udp(SERVER, [100, 64, 7, 2], 32), &mut out);
        assert_eq!((out.to_line.len(), out.to_internet.len()), (0, 0));
        assert_eq!(aftr.counts, Counts { unclaimed: 1, ..Default::default() });
    }
}
