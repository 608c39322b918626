//! What our own addresses answer by themselves: echo (RFC 792, RFC 4443 4.2), and, over IPv4, that nobody listens
//! where nobody does (RFC 1122 4.1.3.1, RFC 9293 3.10.7.1). And the [`EchoRequest`]s that we send.
//!
//! No [`Machine`](crate::Machine): it has no timers, and a frame has at most one answer, at once.
//!
//! ```
//! use etherparse::PacketBuilder;
//! use hikyaku_net::{Mac, Time};
//! use hikyaku_protocols::echo::Echo;
//!
//! let (host, us) = ([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 1]);
//! let mut ping = Vec::new();
//! let ip = PacketBuilder::ethernet2(host, us).ipv4([192, 168, 1, 9], [192, 168, 1, 1], 64);
//! ip.icmpv4_echo_request(1, 1).write(&mut ping, b"hello")?;
//!
//! let mut echo = Echo::new(Mac(us));
//! let answer = echo.echo(Time(0), &ping, &[[192, 168, 1, 1].into()]).expect("an answer");
//! assert_eq!(answer[..6], host);
//! # Ok::<(), etherparse::err::packet::BuildWriteError>(())
//! ```

mod request;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_dataplane::icmp::{self, Message};
use hikyaku_net::packet::{Ethernet, Ipv4, Ipv6, ethertype, ipv4, ipv6};
use hikyaku_net::{Addr4, Mac, Time, protocol};
use serde::Serialize;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr,
    IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};
use zerocopy::FromBytes;

use crate::answer_limits::AnswerLimits;
pub use request::EchoRequest;

const ETHERNET: usize = size_of::<Ethernet>();

/// RFC 894: a frame carries 46 bytes at least, and not every link pads.
const SHORTEST: usize = ETHERNET + 46;

/// Of what we send (RFC 1700).
const TTL: u8 = 64;

/// All nodes of the link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What was answered and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Echo requests that were answered.
    pub echoed: u64,
    /// Datagrams and segments that were told that nobody listens.
    pub refused: u64,
    /// Answers not sent, because of too many.
    pub limited: u64,
    /// What was for us and is not answered: broken, a fragment, with IPv4 options, or to more than one host.
    pub ignored: u64,
}

/// Answers for our addresses on one link, so many a second.
#[derive(Debug)]
pub struct Echo {
    mac: Mac,
    limits: AnswerLimits,
    /// What was answered and what was not.
    pub counts: Counts,
}

impl Echo {
    /// On a link where our Ethernet address is `mac`.
    pub fn new(mac: Mac) -> Self {
        Self { mac, limits: AnswerLimits::default(), counts: Counts::default() }
    }

    /// The Ethernet frame that answers `frame`, if that is an ICMP or ICMPv6 echo request to one of `ours`, or to all
    /// nodes from a neighbour. The answer goes to the station that `frame` came from.
    pub fn echo(&mut self, now: Time, frame: &[u8], ours: &[IpAddr]) -> Option<Vec<u8>> {
        let (ethernet, packet) = Ethernet::read_from_prefix(frame).ok()?;
        let answer = match ethernet.ethertype.get() {
            ethertype::IPV4 => To4::read(&ethernet, packet, ours).map(|to| to.and_then(|to| to.echo())),
            ethertype::IPV6 => echo6(packet, ours),
            _ => return None,
        };
        self.finish(now, &ethernet, answer?, |counts| &mut counts.echoed)
    }

    /// The Ethernet frame that tells the sender of `frame`, a UDP datagram or TCP segment to one of `ours`, that
    /// nobody listens there: so a traceroute ends, and a connection attempt fails at once. IPv4 only.
    ///
    /// Whether somebody does listen is the caller's to know.
    pub fn refuse(&mut self, now: Time, frame: &[u8], ours: &[IpAddr]) -> Option<Vec<u8>> {
        let (ethernet, packet) = Ethernet::read_from_prefix(frame).ok()?;
        if ethernet.ethertype.get() != ethertype::IPV4 {
            return None;
        }
        let answer = To4::read(&ethernet, packet, ours)?.and_then(|to| to.refuse());
        self.finish(now, &ethernet, answer, |counts| &mut counts.refused)
    }

    /// Counts, limits, and puts the Ethernet header on `answer`.
    fn finish(
        &mut self,
        now: Time,
        ethernet: &Ethernet,
        answer: Result<Answer, NotAnswered>,
        count: impl FnOnce(&mut Counts) -> &mut u64,
    ) -> Option<Vec<u8>> {
        let (protocol, packet) = match answer {
            Ok(answer) if !ethernet.src.is_group() && ethernet.src != self.mac => answer,
            Err(NotAnswered::Other) => return None,
            _ => {
                self.counts.ignored += 1;
                return None;
            }
        };
        if !self.limits.take(now, ethernet.src) {
            self.counts.limited += 1;
            return None;
        }
        *count(&mut self.counts) += 1;
        let mut frame = vec![0; (ETHERNET + packet.len()).max(SHORTEST)];
        let (src_addr, dst_addr) = (EthernetAddress(self.mac.0), EthernetAddress(ethernet.src.0));
        EthernetRepr { src_addr, dst_addr, ethertype: protocol }.emit(&mut EthernetFrame::new_unchecked(&mut frame));
        frame[ETHERNET..][..packet.len()].copy_from_slice(&packet);
        Some(frame)
    }
}

/// An IP packet of ours.
type Answer = (EthernetProtocol, Vec<u8>);

/// Why there is none.
enum NotAnswered {
    /// It asks nothing of this kind.
    Other,
    /// It is broken, or must not be answered.
    Bad,
}

/// An IPv4 packet to an address of ours that may be answered.
struct To4<'a> {
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    /// From the header's first byte to the packet's end.
    packet: &'a [u8],
    payload: &'a [u8],
}

impl<'a> To4<'a> {
    /// `None` if it is not to an address of ours.
    fn read(ethernet: &Ethernet, packet: &'a [u8], ours: &[IpAddr]) -> Option<Result<Self, NotAnswered>> {
        let (ip, _) = Ipv4::read_from_prefix(packet).ok()?;
        let (src, dst) = (Ipv4Addr::from(ip.src), Ipv4Addr::from(ip.dst));
        if !ours.contains(&dst.into()) {
            return None;
        }
        let Ok(checked) = ipv4::check(packet) else { return Some(Err(NotAnswered::Bad)) };
        // RFC 1122 3.2.2, 3.3.6: nothing that came to all, or from no single host, is answered. RFC 7126 4: nobody
        // sends IPv4 options for good reasons. A fragment would have to be put together first.
        let may = !ethernet.dst.is_group()
            && ip.src.is_host()
            && !ours.contains(&src.into())
            && !ip.is_fragment()
            && checked.header_len == size_of::<Ipv4>();
        let packet = &packet[..checked.len];
        let to = Self { src, dst, protocol: ip.protocol, packet, payload: &packet[checked.header_len..] };
        Some(if may && ipv4::transport_checksum_is_right(packet) { Ok(to) } else { Err(NotAnswered::Bad) })
    }

    /// RFC 792, RFC 1122 3.2.2.6.
    fn echo(&self) -> Result<Answer, NotAnswered> {
        if self.protocol != protocol::ICMP {
            return Err(NotAnswered::Other);
        }
        let packet = Icmpv4Packet::new_checked(self.payload).map_err(|_| NotAnswered::Bad)?;
        match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::default()) {
            Ok(Icmpv4Repr::EchoRequest { ident, seq_no, data }) => {
                let reply = Icmpv4Repr::EchoReply { ident, seq_no, data };
                Ok(self.answer(IpProtocol::Icmp, reply.buffer_len(), |body| {
                    reply.emit(&mut Icmpv4Packet::new_unchecked(body), &ChecksumCapabilities::default());
                }))
            }
            _ => Err(NotAnswered::Other),
        }
    }

    fn refuse(&self) -> Result<Answer, NotAnswered> {
        match self.protocol {
            protocol::UDP => self.port_unreachable(),
            protocol::TCP => self.reset(),
            _ => Err(NotAnswered::Other),
        }
    }

    /// Tells who sends to a port of ours that nobody has it (RFC 1122 4.1.3.1).
    fn port_unreachable(&self) -> Result<Answer, NotAnswered> {
        let from = Addr4::from(self.dst);
        let error = icmp::compose(Message::PORT_UNREACHABLE, from, rand::random(), self.packet);
        let error = error.filter(|_| self.payload.len() >= 8).ok_or(NotAnswered::Bad)?;
        let mut packet = vec![0; error.len()];
        error.write(&mut packet);
        Ok((EthernetProtocol::Ipv4, packet))
    }

    /// RFC 9293 3.10.7.1: what comes to no connection.
    fn reset(&self) -> Result<Answer, NotAnswered> {
        let segment = TcpPacket::new_checked(self.payload).map_err(|_| NotAnswered::Bad)?;
        if segment.rst() {
            return Err(NotAnswered::Other);
        }
        let (seq_number, ack_number) = match segment.ack() {
            true => (segment.ack_number(), None),
            false => (TcpSeqNumber(0), Some(segment.seq_number() + segment.segment_len())),
        };
        let reset = TcpRepr {
            src_port: segment.dst_port(),
            dst_port: segment.src_port(),
            control: TcpControl::Rst,
            seq_number,
            ack_number,
            window_len: 0,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let (from, to) = (self.dst.into(), self.src.into());
        Ok(self.answer(IpProtocol::Tcp, reset.buffer_len(), |body| {
            reset.emit(&mut TcpPacket::new_unchecked(body), &from, &to, &ChecksumCapabilities::default());
        }))
    }

    fn answer(&self, next_header: IpProtocol, payload_len: usize, write: impl FnOnce(&mut [u8])) -> Answer {
        let ip = Ipv4Repr { src_addr: self.dst, dst_addr: self.src, next_header, payload_len, hop_limit: TTL };
        let mut packet = vec![0; ip.buffer_len() + payload_len];
        ip.emit(&mut Ipv4Packet::new_unchecked(&mut packet), &ChecksumCapabilities::default());
        write(&mut packet[ip.buffer_len()..]);
        (EthernetProtocol::Ipv4, packet)
    }
}

/// RFC 4443 4.2. `None` if it is not to an address of ours.
fn echo6(packet: &[u8], ours: &[IpAddr]) -> Option<Result<Answer, NotAnswered>> {
    let (ip, _) = Ipv6::read_from_prefix(packet).ok()?;
    let (src, dst) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
    let local = ours.iter().find_map(|addr| match addr {
        IpAddr::V6(addr) if addr.is_unicast_link_local() => Some(*addr),
        _ => None,
    });
    // "Who is on this link?" is answered to neighbours; the answer's source is no group.
    let from = match dst {
        ALL_NODES if src.is_unicast_link_local() => local?,
        _ => Some(dst).filter(|&dst| ours.contains(&dst.into()))?,
    };
    Some(reply6(packet, src, dst, from, ours))
}

fn reply6(packet: &[u8], src: Ipv6Addr, dst: Ipv6Addr, from: Ipv6Addr, ours: &[IpAddr]) -> Result<Answer, NotAnswered> {
    let walked = ipv6::walk(packet).map_err(|_| NotAnswered::Bad)?;
    if walked.protocol != protocol::ICMPV6 {
        return Err(NotAnswered::Other);
    }
    let single = !src.is_multicast() && !src.is_unspecified() && !src.is_loopback() && !ours.contains(&src.into());
    let checksums = ChecksumCapabilities::default();
    let message = packet.get(walked.offset..walked.end).filter(|_| walked.fragment.is_none() && single);
    let message = Icmpv6Packet::new_checked(message.ok_or(NotAnswered::Bad)?).map_err(|_| NotAnswered::Bad)?;
    if !message.verify_checksum(&src, &dst) {
        return Err(NotAnswered::Bad);
    }
    let Ok(Icmpv6Repr::EchoRequest { ident, seq_no, data }) = Icmpv6Repr::parse(&src, &dst, &message, &checksums)
    else {
        return Err(NotAnswered::Other);
    };
    let reply = Icmpv6Repr::EchoReply { ident, seq_no, data };
    let ip = Ipv6Repr {
        src_addr: from,
        dst_addr: src,
        next_header: IpProtocol::Icmpv6,
        payload_len: reply.buffer_len(),
        hop_limit: TTL,
    };
    let mut answer = vec![0; ip.buffer_len() + ip.payload_len];
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut answer));
    let mut body = Icmpv6Packet::new_unchecked(&mut answer[ip.buffer_len()..]);
    reply.emit(&from, &src, &mut body, &checksums);
    Ok((EthernetProtocol::Ipv6, answer))
}
