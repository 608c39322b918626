//! ICMPv6 errors about the tunnel become ICMPv4 errors to the inner source (RFC 2473 8).

use hikyaku_net::Addr6;
use hikyaku_net::packet::{Icmp, Ipv4, Ipv6, ipv4};
use zerocopy::FromBytes;

use super::emit::Packet;
use super::translate::far_port;
use super::{Burst, Core, Rings};
use crate::counters::Event;
use crate::icmp::about_tunnel::Kind;
use crate::icmp::{self, Message};
use crate::napt::{Direction, Origin};
use crate::snapshot::{B4_ADDRESS, FarEnd, Side, Softwire};
use crate::tunnel::{IPV6_MIN_MTU, OUTER_LEN};
use crate::verdict::{Reason, Verdict};

impl Core {
    /// Works on an ICMPv6 error that came from `src` to our end of the tunnel: learns a smaller
    /// path MTU, remembers a refused source, tells the inner source. The frame itself is dropped
    /// either way; the reason says whether it was believed.
    pub(super) fn tunnel_error(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        softwire: &Softwire,
        src: Addr6,
        message: &[u8],
    ) -> Reason {
        match self.try_tunnel_error(burst, rings, softwire, src, message) {
            Ok(()) => Reason::TunnelIcmp,
            Err(reason) => reason,
        }
    }

    fn try_tunnel_error(
        &mut self,
        burst: Burst,
        rings: &mut Rings,
        softwire: &Softwire,
        src: Addr6,
        message: &[u8],
    ) -> Result<(), Reason> {
        let Burst { snapshot, link, now, .. } = burst;
        let of_mesh = quoted_remote(message).filter(|_| softwire.mesh.is_some());
        let remote = of_mesh.unwrap_or(softwire.remote);
        let far = softwire.far_end(remote);
        let error = icmp::about_tunnel((src, softwire.local), message, (softwire.local, remote))?;
        if far == FarEnd::Peer {
            is_for_peer(softwire, remote, error.inner)?;
        }
        // RFC 4443 2.2: no group and no unspecified address sends.
        if src.0[0] == 0xff || src == Addr6::default() {
            return Err(Reason::TunnelIcmpForged);
        }
        // RFC 8201 4: less than any IPv6 link carries is to be discarded. Nor was a packet too big
        // for what is as large as itself, nor is one ours that does not fit our own link.
        let link_mtu = snapshot.links[link.index()].mtu;
        let quoted_len = OUTER_LEN as u32 + u32::from(u16::from_be_bytes([message[12], message[13]]));
        let (least, most) = (u32::from(IPV6_MIN_MTU), u32::from(link_mtu.max(IPV6_MIN_MTU)));
        let may_be = |told| (least..quoted_len).contains(&told) && quoted_len <= most;
        if matches!(error.kind, Kind::PacketTooBig(told) if !may_be(told)) {
            return Err(Reason::TunnelIcmpForged);
        }
        let mut path_mtu = softwire.state.path_mtu_to(far, now, link_mtu);
        if let Kind::PacketTooBig(told) = error.kind {
            path_mtu = path_mtu.min(told.clamp(1280, 0xffff) as u16);
        }
        // RFC 8201 4: to be believed, an error must be about a packet that was sent. The way back
        // to the inner source is the proof: with NAPT there must be a session, without the source
        // must be a host of ours. So the answer is made first, even if it is not to be told.
        let relay = error.relay(softwire.mtu.inner_mtu(path_mtu));
        let from = snapshot.links.iter().find(|l| l.side == Side::Lan).map_or(B4_ADDRESS, |l| l.icmp_source());
        let id = self.ids.next_id() as u16;
        let mut bytes = [0; 576];
        let answer = icmp::compose(relay.unwrap_or(Message::HOST_UNREACHABLE), from, id, error.inner);
        let answer = answer.ok_or(Reason::TunnelIcmp)?;
        let packet = &mut bytes[..answer.len()];
        answer.write(packet);
        let checked = ipv4::check(packet).map_err(|_| Reason::TunnelIcmpForged)?;
        let mut lan = None;
        if let Some(napt) = softwire.napt.as_deref() {
            let translated = self.translator(napt, burst).translate(Origin::Tunnel(remote), packet, checked);
            lan = translated.map_err(|_| Reason::TunnelIcmpForged)?.lan;
        }
        let (ip, _) = Ipv4::read_from_prefix(packet).map_err(|_| Reason::TunnelIcmp)?;
        let Some(link) = softwire.host_link(snapshot, lan, ip.dst) else { return Err(Reason::TunnelIcmpForged) };
        match error.kind {
            Kind::PacketTooBig(told) if softwire.state.learn_mtu(far, now, link_mtu, told) => {
                self.counters.note(Event::PathMtuLearned, 1);
            }
            // What a peer, or a router on the way to it, thinks of us says nothing about the line.
            _ if far == FarEnd::Peer => {}
            Kind::SOURCE_POLICY => softwire.state.note_refused(),
            Kind::Unreachable(_) => softwire.state.note_unreachable(),
            _ => {}
        }
        if let Some(message) = relay
            && self.may_tell(Side::Lan, message.purpose(), burst)
            && self.send_lan(burst, rings, link, Packet::Bytes(packet), Verdict::Inbound) == Verdict::Inbound
        {
            self.counters.note(Event::IcmpSent, 1);
        }
        Ok(())
    }
}

/// Where the quoted tunnel packet went, if that is quoted.
fn quoted_remote(message: &[u8]) -> Option<Addr6> {
    let quote = message.get(size_of::<Icmp>()..)?;
    Ipv6::ref_from_prefix(quote).ok().map(|(outer, _)| outer.dst)
}

/// Whether the quoted inner packet, as it was in the tunnel, is one that goes to this end of the mesh.
fn is_for_peer(softwire: &Softwire, remote: Addr6, inner: &[u8]) -> Result<(), Reason> {
    let mesh = softwire.mesh.as_deref().ok_or(Reason::TunnelIcmpForged)?;
    let (ip, _) = Ipv4::read_from_prefix(inner).map_err(|_| Reason::TunnelIcmp)?;
    let transport = inner.get(ip.header_len()..).unwrap_or_default();
    let port = far_port(&ip, Direction::Outbound, transport).map_err(|_| Reason::TunnelIcmp)?;
    if mesh.may_send(remote, ip.dst, port) { Ok(()) } else { Err(Reason::TunnelIcmpForged) }
}
