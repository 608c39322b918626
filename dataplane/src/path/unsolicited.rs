//! SYNs from outside that nobody let in. Their frames are dropped at once; where the operator wants it, who sent
//! one is told after six seconds that nobody is there, unless by then the connection was opened from inside: both
//! ends may be opening it at the same moment (RFC 5382 4.3, REQ-4; RFC 6092 REC-34).

use std::collections::VecDeque;
use std::time::Duration;

use hikyaku_net::packet::{Ipv4, Ipv6, Tcp, ipv6};
use hikyaku_net::{Addr6, Mac, Time, protocol};
use hikyaku_ring::LinkId;
use zerocopy::FromBytes;

use super::emit::Packet;
use super::{Burst, Core, Rings};
use crate::counters::Event;
use crate::filter6::Flow;
use crate::icmp::{self, Message6};
use crate::napt::{Direction, Endpoint, Key};
use crate::snapshot::Softwire;
use crate::verdict::Reason;

/// How long nothing is said.
pub const PATIENCE: Duration = Duration::from_secs(6);

/// How many are remembered; of more nobody hears.
pub const MAX_HELD: usize = 128;

/// What an error can quote of a packet (RFC 1812 4.3.2.3, RFC 4443 2.4 c).
const QUOTE: usize = 576 - 28;
const QUOTE6: usize = 1280 - 48;

/// A SYN that is remembered until it is answered or answered itself.
#[derive(Debug)]
struct Held<W> {
    /// Which connection it would begin, and by which way it came.
    what: W,
    since: Time,
    /// As it came, or its beginning.
    packet: Vec<u8>,
}

/// A connection, as seen from outside; our end of the tunnel that its SYN came by, and the other.
type Tunnelled = (Key, [Addr6; 2]);

/// A connection; the link and the station that its SYN came from.
type Native = (Flow, LinkId, Mac);

/// One worker's memory of them: bounded, and empty where they are not answered.
#[derive(Debug)]
pub(super) struct Memory<W> {
    held: VecDeque<Held<W>>,
    /// Buffers of those that were.
    spare: Vec<Vec<u8>>,
}

impl<W> Default for Memory<W> {
    fn default() -> Self {
        Self { held: VecDeque::new(), spare: Vec::new() }
    }
}

/// Those of both families.
#[derive(Debug, Default)]
pub(super) struct Unsolicited {
    tunnelled: Memory<Tunnelled>,
    native: Memory<Native>,
}

impl Unsolicited {
    /// Whether the oldest of either family has waited long enough. Once per burst.
    #[inline(always)]
    pub fn is_due(&self, now: Time) -> bool {
        self.tunnelled.is_due(now) || self.native.is_due(now)
    }
}

impl<W: PartialEq> Memory<W> {
    #[inline(always)]
    fn is_due(&self, now: Time) -> bool {
        self.held.front().is_some_and(|held| now.since(held.since) >= PATIENCE)
    }

    /// Once for each connection at a time. Says whether it was.
    fn hold(&mut self, what: W, bytes: &[u8], now: Time) -> bool {
        if self.held.len() >= MAX_HELD || self.held.iter().any(|held| held.what == what) {
            return false;
        }
        let mut packet = self.spare.pop().unwrap_or_default();
        packet.clear();
        packet.extend_from_slice(bytes);
        self.held.push_back(Held { what, since: now, packet });
        true
    }

    /// The oldest, if it has waited long enough.
    fn due(&mut self, now: Time) -> Option<Held<W>> {
        if self.is_due(now) { self.held.pop_front() } else { None }
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
        let what = (key, [softwire.local, from]);
        let held = self.unsolicited.tunnelled.hold(what, &packet[..packet.len().min(QUOTE)], burst.now);
        self.counters.note(Event::SynHeld, held.into());
    }

    /// A packet of native IPv6 was filtered: if it is a SYN that asks for an answer, it is remembered. `packet` ends with it.
    #[cold]
    pub(super) fn hold_unsolicited6(&mut self, burst: Burst, station: Mac, packet: &[u8]) {
        if !burst.snapshot.filter6.as_ref().is_some_and(|filter| filter.answers_unsolicited()) {
            return;
        }
        let Ok((ip, _)) = Ipv6::read_from_prefix(packet) else { return };
        let Ok(walked) = ipv6::walk_past(packet) else { return };
        let Ok((tcp, _)) = Tcp::read_from_prefix(&packet[walked.offset..walked.end]) else { return };
        let is_syn = tcp.flags & (Tcp::SYN | Tcp::ACK | Tcp::RST | Tcp::FIN) == Tcp::SYN;
        if walked.protocol != protocol::TCP || walked.fragment.is_some() || !is_syn {
            return;
        }
        let flow = Flow::new(Direction::Inbound, protocol::TCP, [ip.src, ip.dst], [tcp.src, tcp.dst]);
        let quote = &packet[..walked.end.min(QUOTE6)];
        let held = self.unsolicited.native.hold((flow, burst.link, station), quote, burst.now);
        self.counters.note(Event::SynHeld, held.into());
    }

    /// Answers those that have waited long enough.
    #[cold]
    pub(super) fn answer_unsolicited(&mut self, burst: Burst, rings: &mut Rings) {
        while let Some(held) = self.unsolicited.tunnelled.due(burst.now) {
            // The line may be another by now.
            let (key, [local, from]) = held.what;
            let mut ends = burst.snapshot.softwires.iter().filter(|s| s.local == local);
            let softwire = ends.clone().find(|s| s.remote == from).or_else(|| ends.find(|s| s.mesh.is_some()));
            let answers = |softwire: &&Softwire| {
                let napt = softwire.napt.as_deref().filter(|napt| napt.answers_unsolicited());
                // Whoever translated an outbound SYN, the session is there.
                napt.is_some_and(|napt| napt.find(&key, napt.hash(&key)).is_none())
            };
            if let Some(softwire) = softwire.filter(answers) {
                let message = icmp::Message::PORT_UNREACHABLE;
                self.tell_tunnel(burst, rings, (softwire, from), Packet::Bytes(&held.packet), message);
            }
            self.unsolicited.tunnelled.spare.push(held.packet);
        }
        while let Some(held) = self.unsolicited.native.due(burst.now) {
            let (flow, link, station) = held.what;
            let filter = burst.snapshot.filter6.as_ref().filter(|filter| filter.answers_unsolicited());
            if filter.is_some_and(|filter| filter.find(&flow).is_none()) {
                self.tell6(burst, rings.tx, (link, station), &held.packet, Message6::PROHIBITED);
            }
            self.unsolicited.native.spare.push(held.packet);
        }
    }
}
