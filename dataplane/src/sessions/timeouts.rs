//! How long a session may be idle.

use hikyaku_net::{Port, protocol};

use super::tcp;

/// Idle times, in seconds. A session lives at least this long after its last packet, and less than
/// two seconds longer while the table is not swamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// UDP (RFC 4787 REQ-5: at least 2 minutes, 5 recommended).
    pub udp: u32,
    /// UDP towards ports 53 and 123 where ports or places of the table are scarce, as long as it looks like a question (RFC
    /// 4787 REQ-5a). Names are asked from ever new ports: on a line of 240 they must come back soon.
    pub udp_query: u32,
    /// UDP towards ports 53 and 123, likewise, when as many answers came as questions went: more is not expected.
    pub udp_answered: u32,
    /// ICMP echo (RFC 5508 REQ-2, RFC 7857: 60 seconds).
    pub icmp: u32,
    /// An open TCP connection (RFC 5382 REQ-5: at least 2 hours 4 minutes).
    pub tcp_established: u32,
    /// A TCP connection half open or closing (RFC 5382 REQ-5: at least 4 minutes).
    pub tcp_transitory: u32,
    /// After a reset (RFC 7857 2.2: 4 minutes), unless who sent it goes on.
    pub tcp_reset: u32,
    /// What is translated by address: as UDP, because its beginning and end are not known either. A tunnel that is
    /// to be reached from outside sends something more often; a longer time would keep another host from the peer.
    pub other: u32,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            udp: 300,
            udp_query: 15,
            udp_answered: 3,
            icmp: 60,
            tcp_established: 7440,
            tcp_transitory: 240,
            tcp_reset: 240,
            other: 300,
        }
    }
}

impl Timeouts {
    /// The idle time of a session in this [state](tcp). `question`: the packets out and back of what looks like one,
    /// where of ports or places there are few.
    #[inline]
    pub(crate) fn of(&self, protocol: u8, state: u8, question: Option<[u32; 2]>) -> u32 {
        match protocol {
            protocol::TCP if tcp::is_reset(state) => self.tcp_reset,
            protocol::TCP => {
                let open = state & tcp::ESTABLISHED != 0 && !tcp::is_closed(state);
                if open { self.tcp_established } else { self.tcp_transitory }
            }
            protocol::UDP => match question {
                Some([out, back]) if out > 0 && back == out => self.udp_answered.min(self.udp_query),
                Some(_) => self.udp_query,
                None => self.udp,
            },
            protocol::ICMP => self.icmp,
            _ => self.other,
        }
    }
}

/// Whether a packet to `peer` is, as far as its port says, a question to which an answer comes and nothing else: DNS, NTP.
pub(crate) fn is_question(protocol: u8, peer: Port) -> bool {
    protocol == protocol::UDP && matches!(peer.number(), 53 | 123)
}
