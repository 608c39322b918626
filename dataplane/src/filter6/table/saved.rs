//! Sessions outlive the process, as those of the NAPT do: saved when nobody uses the table any more, put into an empty one as
//! if they were opened. What cannot be is left out and counted.

use std::io;
use std::net::Ipv4Addr;

use hikyaku_net::{Addr6, PortSet, Time, protocol};

use super::{Filter6, Opening, Writer, is_connection};
use crate::filter6::session::{Flow, Session, unmapped};
use crate::sessions::saved::{self, NotSaved, Record6, Restored};
use crate::sessions::{Direction, tcp};

/// Sessions of native IPv6 that were saved.
pub type Saved<'a> = saved::Saved<'a, Record6>;

/// While a record is read back, the one so many places behind it is on its way.
const AHEAD: usize = 16;

impl Filter6 {
    /// Writes all sessions. `wall`: seconds since 1970. Workers do not open or close sessions meanwhile. Answers how many
    /// they are.
    ///
    /// # Errors
    /// See [`NotSaved`].
    pub fn save(&self, now: Time, wall: u64, to: impl io::Write) -> Result<u32, NotSaved> {
        let _writer = self.changing.lock_if_sound().ok_or(NotSaved::Changing)?;
        let count = self.changing.live();
        let live = self.sessions.iter().filter(|session| session.is_live());
        let records = live.map(|session| record(session, now.seconds()));
        saved::write(to, (Ipv4Addr::UNSPECIFIED, PortSet::ALL), (count, wall), records)?;
        Ok(count)
    }

    /// Puts saved sessions into this table, which nobody uses yet. The time since then counts as idle; by a clock that was
    /// set back, none has passed. What a station had is a share of its own beside what it opens from now on.
    pub fn restore(&self, saved: &Saved, now: Time, wall: u64) -> Restored {
        let down = wall.saturating_sub(saved.at());
        let mut done = Restored::default();
        let mut writer = self.lock();
        writer.wheel.begin(now.seconds());
        for (at, record) in saved.records.iter().enumerate() {
            if let Some(flow) = saved.records.get(at + AHEAD).and_then(flow) {
                self.prefetch(self.hash(&flow));
            }
            done.count(self.restore_one(&mut writer, record, now.seconds(), down));
        }
        done
    }

    /// Whether it goes on, or its time is over; `None`: it cannot be.
    fn restore_one(&self, w: &mut Writer, record: &Record6, now: u32, down: u64) -> Option<bool> {
        let flow = flow(record)?;
        let idle = u64::from(record.idle.get()) + down;
        if idle > u64::from(self.idle_time(flow.protocol, record.state)) {
            return Some(false);
        }
        if self.find(&flow).is_some() {
            return None;
        }
        let share = w.shares.place_before(record.share.get());
        let opening = Opening { state: record.state, share, last: now.saturating_sub(idle as u32) };
        self.open(w, &flow, opening).ok()?.resume(record.packets.map(|count| count.get()));
        Some(true)
    }
}

/// The flow of a saved session, if it can be.
fn flow(record: &Record6) -> Option<Flow> {
    let &Record6 { protocol, state, inside, peer, ports, .. } = record;
    let flow = Flow::of_word(Direction::Outbound, protocol, [inside, peer].map(Addr6), u32::from_ne_bytes(ports));
    let zero = match protocol {
        with_ports if protocol::has_ports(with_ports) => true,
        protocol::ICMPV6 | protocol::ICMP => flow.peer_port().number() == 0,
        _ => ports == [0; 4],
    };
    let known = state < 0x80 && (is_connection(protocol) || state == tcp::ESTABLISHED);
    let between_hosts = match [flow.inside, flow.peer].map(unmapped) {
        [None, None] => flow.inside.is_forwardable() && flow.peer.is_forwardable() && flow.inside != flow.peer,
        // Between two LANs.
        [Some((a, inside)), Some((b, peer))] => inside.is_host() && peer.is_host() && a < b,
        _ => false,
    };
    (protocol != 0 && zero && known && between_hosts).then_some(flow)
}

fn record(session: &Session, now: u32) -> Record6 {
    let flow = session.flow();
    let ([a, b], [c, d]) = (flow.inside_port().0, flow.peer_port().0);
    Record6 {
        protocol: flow.protocol,
        state: session.state(),
        _zero: [0; 2],
        share: session.share().into(),
        inside: flow.inside.0,
        peer: flow.peer.0,
        ports: [a, b, c, d],
        idle: now.saturating_sub(session.last()).into(),
        packets: session.packets().map(Into::into),
    }
}
