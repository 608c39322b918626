//! Echo requests of ours over IPv6 (RFC 4443 4.1), and the replies to them.

use std::net::Ipv6Addr;

use hikyaku_net::packet::{Ipv6, ipv6};
use hikyaku_net::protocol;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr};
use zerocopy::FromBytes;

use super::TTL;

/// An ICMPv6 echo request (RFC 4443 4.1). Its reply repeats everything in it, so that whoever has not seen the request
/// cannot answer it if `identifier` and `data` are drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoRequest {
    /// Who is asked.
    pub to: Ipv6Addr,
    /// The identifier.
    pub identifier: u16,
    /// The sequence number.
    pub sequence: u16,
    /// The data behind the header.
    pub data: [u8; 8],
}

impl EchoRequest {
    /// The IPv6 packet that asks, from this address.
    pub fn packet(&self, from: Ipv6Addr) -> Vec<u8> {
        let request = Icmpv6Repr::EchoRequest { ident: self.identifier, seq_no: self.sequence, data: &self.data };
        let ip = Ipv6Repr {
            src_addr: from,
            dst_addr: self.to,
            next_header: IpProtocol::Icmpv6,
            payload_len: request.buffer_len(),
            hop_limit: TTL,
        };
        let mut packet = vec![0; ip.buffer_len() + ip.payload_len];
        ip.emit(&mut Ipv6Packet::new_unchecked(&mut packet));
        let mut body = Icmpv6Packet::new_unchecked(&mut packet[ip.buffer_len()..]);
        request.emit(&from, &self.to, &mut body, &ChecksumCapabilities::default());
        packet
    }

    /// The request that this IPv6 packet replies to, as far as the packet tells; `None` if it is no echo reply with
    /// data of this length, or its checksum is wrong.
    pub fn answered_by(packet: &[u8]) -> Option<Self> {
        let walked = ipv6::walk(packet).ok()?;
        if walked.protocol != protocol::ICMPV6 || walked.fragment.is_some() {
            return None;
        }
        let (ip, _) = Ipv6::read_from_prefix(packet).ok()?;
        let (from, to) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
        let message = Icmpv6Packet::new_checked(&packet[walked.offset..walked.end]).ok()?;
        if message.msg_type() != Icmpv6Message::EchoReply {
            return None;
        }
        match Icmpv6Repr::parse(&from, &to, &message, &ChecksumCapabilities::default()).ok()? {
            Icmpv6Repr::EchoReply { ident, seq_no, data } => {
                Some(Self { to: from, identifier: ident, sequence: seq_no, data: data.try_into().ok()? })
            }
            _ => None,
        }
    }
}
