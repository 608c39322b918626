//! Where machines are told what to do. All that they are told may be told again: what is as it should be stays.

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_net::Time;

use super::desired::Desired;
use super::evidence::Sign;
use super::machines::Machines;

/// Our own packets are small enough for any path (RFC 8200 5): nobody waits for a Packet Too Big.
const OUR_MTU: u16 = 1280;

impl Machines {
    /// Makes everything as it is desired. What follows from that is seen when facts are gathered again.
    pub fn execute(&mut self, now: Time, desired: &Desired) {
        self.execute_link(now, desired);
        for (lan, desired) in self.lans.iter_mut().zip(&desired.lans) {
            lan.set_ipv6(now, desired);
            lan.neighbours.set_proxied(desired.proxied);
            lan.neighbours.keep(now, &desired.kept);
        }
        self.nd_proxy.set_prefix(desired.proxied);
        self.wan.neighbours.set_proxied(desired.proxied);
        if !self.leaving {
            self.execute_service(now, desired);
            self.verify(now, desired.verified);
        }
    }

    /// The WAN link: addresses, routers, DHCPv6, resolvers.
    fn execute_link(&mut self, now: Time, desired: &Desired) {
        let wan = &mut self.wan;
        let all = |addresses: &[Ipv6Addr]| -> Vec<IpAddr> { addresses.iter().map(|&address| address.into()).collect() };
        wan.neighbours.set_optimistic(desired.optimistic.clone());
        wan.neighbours.set_addresses(now, all(&desired.addresses));
        wan.taken.retain(|address, _| desired.addresses.contains(address));
        let (reachable_time, retrans_timer) = desired.timers;
        wan.neighbours.set_timers(reachable_time, retrans_timer);
        wan.sockets.set_addresses(&desired.usable);
        wan.sockets.set_mtu(desired.mtu.min(OUR_MTU));
        wan.usable.clone_from(&desired.usable);
        wan.source = desired.source;
        if desired.link_up {
            wan.slaac.link_up(now, desired.link_local);
        }
        if let Some(mode) = desired.dhcpv6 {
            wan.dhcpv6.set_mode(now, mode);
        }
        wan.neighbours.keep(now, &desired.kept);
        wan.slaac.set_router(now, desired.router);
        wan.reception.set_target(now, desired.source.zip(desired.router));
        wan.resolver.set_servers(now, &desired.resolvers);
    }

    /// The line may be another than the one that was learnt: routers are asked whether they are there (RFC 4861 7.3) and
    /// what they announce (6.3.7), the server whether leases hold (RFC 8415 18.2.12), resolvers what names mean.
    fn verify(&mut self, now: Time, verified: Option<(Time, Sign)>) {
        let Some((_, sign)) = verified.filter(|_| verified != self.verified) else { return };
        self.verified = verified;
        tracing::info!(reason = %sign, "the line may be another: all that was learnt of it is verified");
        let wan = &mut self.wan;
        for router in wan.slaac.routers() {
            wan.neighbours.probe(now, router.into());
        }
        wan.slaac.solicit(now);
        if sign == Sign::FarEndSilent {
            wan.dhcpv6.told_in_vain(now);
        }
        wan.dhcpv6.doubt(now);
        self.far.doubt(now);
    }

    /// What is found out about the service, and its tunnel.
    fn execute_service(&mut self, now: Time, desired: &Desired) {
        if self.line != desired.line {
            self.line.clone_from(&desired.line);
            self.probe.line_changed();
            self.unresolved.line_changed();
        }
        self.probe.set_active(desired.asks_names);
        self.unresolved.keep(|name| desired.given_up.iter().any(|said| said == name));
        self.unresolved.note(now, desired.lacking.clone());
        if let Some(provisioning) = &mut self.provisioning {
            provisioning.set_place(now, desired.provisioning);
        }
        self.tunnel.prepare(now, desired.table);
        self.tunnel.carry(desired.softwire.as_ref());
        self.far.set_own(now, &desired.addresses);
        self.far.set(now, desired.far.as_ref(), &desired.line.resolvers, desired.prefix);
        if let Some(notice) = &mut self.notice {
            notice.set_place(now, desired.place);
        }
    }
}
