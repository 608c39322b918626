//! SYNs from outside that nobody let in. Their frames are dropped at once; where the operator wants it, who sent
//! one is told after six seconds that nobody is there, unless by then the connection was opened from inside: both
//! ends may be opening it at the same moment (RFC 5382 4.3, REQ-4).

use std::collections::VecDeque;
use std::time::Duration;

use hikyaku_net::packet::{Ipv4, Tcp};
use hikyaku_net::{Addr6, Time, protocol};
use zerocopy::FromBytes;

use super::emit::Packet;
use super::{Burst, Core, Rings};
use crate::counters::Event;
use crate::icmp;
use crate::napt::{Endpoint, Key};
use crate::snapshot::Softwire;
use crate::verdict::Reason;

/// How long nothing is said.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// How many are remembered; of more nobody hears.
pub const MAX_HELD: usize = 128;

/// What an error can quote of a packet (RFC 1812 4.3.2.3).
const QUOTE: usize = 576 - 28;

/// A SYN that is remembered until it is answered or answered itself.
#[derive(Debug)]
struct Held {
    /// The connection, as seen from outside.
    key: Key,
    since: Time,
    /// Our end of the tunnel that it came by, and the other.
    ends: [Addr6; 2],
    /// As it came, or its beginning.
    packet: Vec<u8>,
}

/// One worker's memory of them: bounded, and empty where they are not answered.
#[derive(Debug, Default)]
pub(super) struct Unsolicited {
    held: VecDeque<Held>,
    /// Buffers of those that were.
    spare: Vec<Vec<u8>>,
}

impl Unsolicited {
    /// Whether the oldest has waited long enough. Once per burst.
    #[inline(always)]
    pub fn is_due(&self, now: Time) -> bool {
        self.held.front().is_some_and(|held| now.since(held.since) >= PATIENCE)
    }

    /// Once for each connection at a time. Says whether it was.
    fn hold(&mut self, key: Key, ends: [Addr6; 2], bytes: &[u8], now: Time) -> bool {
        let known = |held: &Held| (held.key, held.ends) == (key, ends);
        if self.held.len() >= MAX_HELD || self.held.iter().any(known) {
            return false;
        }
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(&bytes[..bytes.len().min(QUOTE)]);
        self.held.push_back(Held { key, since: now, ends, packet });
        true
    }
}

impl Core {
    /// A packet from the tunnel was dropped: if it is a SYN that asks for an answer, it is remembered.
    #[cold]
    pub(super) fn hold_unsolicited(
        &mut self,
        burst: Burst,
        (softwire, from): (&Softwire, Addr6),
        packet: &[u8],
        reason: Reason,
    ) {
        let wanted = softwire.napt.as_deref().is_some_and(|napt| napt.answers_unsolicited());
        if !wanted || !matches!(reason, Reason::NaptNoSession | Reason::NaptFiltered) {
            return;
        }
        let Ok((ip, _)) = Ipv4::read_from_prefix(packet) else { return };
        let packet = &packet[..packet.len().min(ip.len())];
        let tcp = packet.get(ip.header_len()..).map(Tcp::read_from_prefix);
        let Some(Ok((tcp, _))) = tcp.filter(|_| ip.protocol == protocol::TCP && !ip.is_fragment()) else { return };
        if tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) != Tcp::SYN {
            return;
        }
        let (peer, outside) = (Endpoint::new(ip.src, tcp.src), Endpoint::new(ip.dst, tcp.dst));
        let key = Key::inbound(protocol::TCP, peer, outside);
        let held = self.unsolicited.hold(key, [softwire.local, from], packet, burst.now);
        self.counters.note(Event::SynHeld, held.into());
    }

    /// Answers those that have waited long enough.
    #[cold]
    pub(super) fn answer_unsolicited(&mut self, burst: Burst, rings: &mut Rings) {
        while self.unsolicited.is_due(burst.now)
            && let Some(held) = self.unsolicited.held.pop_front()
        {
            // The line may be another by now.
            let [local, from] = held.ends;
            let mut ends = burst.snapshot.softwires.iter().filter(|s| s.local == local);
            let softwire = ends.clone().find(|s| s.remote == from).or_else(|| ends.find(|s| s.mesh.is_some()));
            let answers = |softwire: &&Softwire| {
                let napt = softwire.napt.as_deref().filter(|napt| napt.answers_unsolicited());
                // Whoever translated an outbound SYN, the session is there.
                napt.is_some_and(|napt| napt.find(&held.key, napt.hash(&held.key)).is_none())
            };
            if let Some(softwire) = softwire.filter(answers) {
                let message = icmp::Message::PORT_UNREACHABLE;
                self.tell_tunnel(burst, rings, (softwire, from), Packet::Bytes(&held.packet), message);
            }
            self.unsolicited.spare.push(held.packet);
        }
    }
}
