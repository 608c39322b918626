//! The host's own network stack behind an interface that the router has taken (netmap's host rings).
//! What it sends goes out as it is; what comes in and is not the router's goes to it as it is.

use hikyaku_net::Mac;
use hikyaku_net::packet::{Ethernet, Ipv4, ethertype};
use hikyaku_ring::{BadSlot, Frame, LinkId, TxRing};
use zerocopy::FromBytes;

use super::{Burst, Core, Rings};
use crate::counters::Event;
use crate::snapshot::Link;
use crate::verdict::{Reason, Verdict};

impl Core {
    /// Sends what waits in the host's ring, `n` frames, by its interface.
    pub(super) fn host_sends(&mut self, n: usize, mut rings: Rings, host: LinkId, interface: Option<LinkId>) {
        let mut bytes = 0;
        for _ in 0..n {
            let frame = match rings.rx.take() {
                Ok(frame) => frame,
                Err(bad) => {
                    self.counters.end(Verdict::Dropped(bad.into()), 1);
                    continue;
                }
            };
            bytes += frame.len() as u64;
            let sent = interface.ok_or(Reason::NoRoute).and_then(|link| send_as_it_is(&mut rings, link, frame));
            if sent.is_err() {
                rings.rx.restore(frame);
            }
            self.counters.end(sent.map_or_else(Into::into, |()| Verdict::FromHost), 1);
        }
        rings.rx.release();
        self.counters.received(host, n as u64, bytes);
    }

    /// Gives a frame that the router would drop to the host's stack, if there is one behind the link
    /// and the frame may be its. The frame must be as it came.
    pub(super) fn to_host(&self, burst: Burst, rings: &mut Rings, frame: Frame, drop: Reason) -> Option<Verdict> {
        let link = &burst.snapshot.links[burst.link.index()];
        let host = link.peer?;
        if !may_be_hosts(link, rings.rx.bytes(frame), drop) {
            return None;
        }
        let frame = rings.rx.as_it_came(frame);
        Some(send_as_it_is(rings, host, frame).map_or_else(Into::into, |()| Verdict::Host))
    }

    /// Ends what the receive ring refused. A frame of another VLAN may be the host's.
    #[cold]
    #[inline(never)]
    pub(super) fn refuse(&self, burst: Burst, rings: &mut Rings, bad: BadSlot) {
        let mut verdict = Verdict::Dropped(bad.into());
        if bad == BadSlot::Vlan {
            let frame = rings.rx.refused();
            let link = &burst.snapshot.links[burst.link.index()];
            let host = link.peer.filter(|_| may_be_hosts(link, rings.rx.bytes(frame), Reason::Vlan));
            verdict = host
                .map_or(verdict, |host| send_as_it_is(rings, host, frame).map_or_else(Into::into, |()| Verdict::Host));
            rings.rx.restore(frame);
        }
        self.counters.end(verdict, 1);
    }

    /// The host's stack does its own ARP and neighbour discovery and listens to what is sent to all:
    /// of that it gets a copy.
    pub(super) fn copy_to_host(&self, burst: Burst, rings: &mut Rings, frame: Frame) {
        let Some(host) = burst.snapshot.links[burst.link.index()].peer else { return };
        let Rings { rx, tx } = rings;
        let Ok((ethernet, _)) = Ethernet::read_from_prefix(rx.bytes(frame)) else { return };
        if ethernet.ethertype.get() == ethertype::IPV4 && !ethernet.dst.is_group() {
            return;
        }
        let tx = tx.get_mut(host.index()).and_then(Option::as_mut);
        let as_it_came = rx.as_it_came(frame);
        let bytes = rx.bytes(as_it_came);
        if tx.is_some_and(|tx: &mut TxRing| tx.originate(bytes.len(), |to| to.copy_from_slice(bytes)).is_ok()) {
            self.counters.note(Event::HostCopied, 1);
        }
        rx.without_tag_again(as_it_came);
    }
}

/// Sends a frame whose tag, if it has one, is not the path's.
fn send_as_it_is(rings: &mut Rings, link: LinkId, frame: Frame) -> Result<(), Reason> {
    let Some(Some(tx)) = rings.tx.get_mut(link.index()) else { return Err(Reason::NoRoute) };
    Ok(tx.send_as_it_is(rings.rx, frame)?)
}

/// Whether what was to be dropped for `reason` may be for the host: it came to its station or to all,
/// and is neither the tunnel's nor on its way to somewhere else. So nothing that a LAN host sends into
/// the Internet is ever forwarded by the host's stack while the tunnel is down.
fn may_be_hosts(link: &Link, frame: &[u8], reason: Reason) -> bool {
    let Ok((ethernet, packet)) = Ethernet::ref_from_prefix(frame) else { return false };
    let to_station = |dst: Mac| dst == link.mac || dst.is_group();
    to_station(ethernet.dst)
        && match reason {
            Reason::EtherType | Reason::Vlan | Reason::Ipv6NoRoute | Reason::Ipv4OnWan => true,
            Reason::NoListener => ethernet.dst.is_group(),
            Reason::NoRoute | Reason::Ipv4Destination => Ipv4::ref_from_prefix(packet).is_ok_and(|(ip, _)| {
                !ip.dst.is_host() || ip.dst.is_link_local() || link.sources4.iter().any(|p| p.contains(ip.dst))
            }),
            _ => false,
        }
}
