//! The DHCPv6 server of a LAN, among its other machines.

use hikyaku_config as config;
use hikyaku_net::{Mac, Time};
use hikyaku_protocols::dhcpv6::{self, server};

use super::lan::Lan;
use super::wire::{self, Frames, Packet6};

impl Lan {
    /// What was leased by DHCPv6 before.
    pub(super) fn restore_dhcpv6(&mut self, now: Time, wall: u64, saved: Option<&server::LeaseFile>) {
        if let Some(file) = saved {
            let restored = self.dhcpv6.restore(now, wall, file);
            tracing::info!(machine = "dhcpv6", link = %self.link.name, leases = restored, "leases of before hold");
        }
    }

    /// Another configuration of DHCPv6: a server with its reservations takes up the leases. Whether it is another.
    pub(super) fn reload_dhcpv6(&mut self, now: Time, wall: u64, config: &config::Lan) -> bool {
        let is_another = self.config.ipv6.reservations != config.ipv6.reservations;
        if is_another {
            let before = std::mem::replace(&mut self.dhcpv6, dhcpv6_server(config, self.link.mac, self.secret));
            self.dhcpv6.counts = before.counts;
            self.dhcpv6.restore(now, wall, &before.snapshot(now, wall).file());
            self.leases6_changed = true;
        }
        is_another
    }

    /// Whether it is for the DHCPv6 server. What that answers comes from our link-local address: not before it is ours.
    pub(super) fn hear_dhcpv6(&mut self, now: Time, station: Mac, packet: &Packet6) -> bool {
        let is_served = self.serves_dhcpv6 && self.source.is_some();
        let payload = wire::udp_to(packet, dhcpv6::SERVER_PORT).filter(|_| is_served);
        let (Some(payload), Some(destination)) = (payload, wire::destination(packet.bytes)) else { return false };
        self.dhcpv6.handle_input(now, server::Datagram { station, source: packet.src, destination, payload });
        true
    }

    pub(super) fn dhcpv6_says(&mut self, output: server::Output, frames: &mut Frames) {
        match output {
            server::Output::Send { station, to, payload } => {
                let Some(source) = self.source else { return };
                let packet = wire::udp6((source, dhcpv6::SERVER_PORT), (to, dhcpv6::CLIENT_PORT), &payload);
                frames.send(self.id, wire::frame6(station, self.link.mac, &packet));
            }
            server::Output::Save => self.leases6_changed = true,
            server::Output::Event(event) => match event {
                server::Event::Leased { .. } | server::Event::Ended { .. } => {
                    tracing::info!(machine = "dhcpv6", link = %self.link.name, "{event}");
                }
                server::Event::Conflict { .. } | server::Event::OtherServer { .. } | server::Event::Full { .. } => {
                    tracing::warn!(machine = "dhcpv6", link = %self.link.name, "{event}");
                }
            },
        }
    }

    /// What is to be said of another DHCPv6 server here.
    pub(super) fn other_dhcpv6_server(&self, now: Time) -> Option<String> {
        let (server, station) = self.dhcpv6.other_server(now)?;
        Some(format!(
            "{}: the station {station} speaks to another DHCPv6 server on the LAN, {server}: hosts may get their addresses there; \
             switch it off, if that is not meant, or ours with [lan.ipv6] dhcpv6",
            self.link.name
        ))
    }
}

/// With the reservations of this configuration, and without any lease.
pub(super) fn dhcpv6_server(lan: &config::Lan, mac: Mac, secret: [u8; 32]) -> server::Server {
    let reservation = |kept: &config::Reservation6| {
        let station = kept.mac.map(server::Client::Station);
        let client = station.or(kept.duid.clone().map(server::Client::Duid))?;
        Some(server::Reservation { client, interface_id: kept.interface_id, subnet: kept.subnet_id })
    };
    let reservations = lan.ipv6.reservations.iter().filter_map(reservation).collect();
    server::Server::new(server::Config { mac, secret, reservations })
}
