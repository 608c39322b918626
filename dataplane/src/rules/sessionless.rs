//! Rules where nobody here keeps sessions: IPv4 of DS-Lite, whose sessions are the AFTR's (RFC 6333). Each packet from a LAN is
//! asked about, so what a rule refuses it refuses at once, in the middle of a connection, too.

use hikyaku_net::packet::{Icmp, Ipv4, Tcp};
use hikyaku_net::{Time, protocol};

use super::Rules;
use super::rule::{Ends, Opening, Zone};
use crate::sessions::LanId;
use crate::verdict::Reason;

/// What a packet is to somebody who knows no sessions.
enum Packet {
    /// It begins one.
    First,
    /// It may be any of one.
    Any,
    /// Its ports are in another one.
    LaterFragment,
    /// An answer or an error of ICMP: rules are about what begins.
    Answer,
}

impl Rules {
    /// What the rules say about a packet of IPv4 from `lan`; `transport`: what is there of its payload. Of what is accepted,
    /// what begins something (a SYN, a query of ICMP) is counted and takes from the rate.
    ///
    /// # Errors
    /// It may not pass, for this reason.
    #[cold]
    pub fn ask_about(&self, lan: LanId, ip: &Ipv4, transport: &[u8], now: Time) -> Result<(), Reason> {
        let packet = Packet::of(ip, transport);
        let ports = match packet {
            Packet::Answer => return Ok(()),
            Packet::LaterFragment => None,
            Packet::First | Packet::Any => Some(Opening::ports(ip.protocol, transport)),
        };
        let ends = Ends::V4([ip.src, ip.dst]);
        let opening = Opening { from: Zone::Lan(lan), to: Zone::Wan, protocol: ip.protocol, ends, ports };
        match packet {
            Packet::First => self.ask(&opening, now, Ok(())),
            _ => self.ask_again(&opening, now),
        }
    }
}

impl Packet {
    fn of(ip: &Ipv4, transport: &[u8]) -> Self {
        const QUERIES: [u8; 2] = [Icmp::ECHO_REQUEST, Icmp::TIMESTAMP];
        match (ip.protocol, transport) {
            _ if ip.fragment_offset() > 0 => Self::LaterFragment,
            (protocol::TCP, [_, _, _, _, _, _, _, _, _, _, _, _, _, flags, ..])
                if flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN =>
            {
                Self::First
            }
            (protocol::ICMP, [kind, ..]) if QUERIES.contains(kind) => Self::First,
            (protocol::ICMP, [kind, ..]) if Icmp::is_error4(*kind) => Self::Answer,
            (protocol::ICMP, &[Icmp::ECHO_REPLY | Icmp::TIMESTAMP_REPLY, ..]) => Self::Answer,
            _ => Self::Any,
        }
    }
}
