//! What anybody outside may open a session to.

use hikyaku_net::{Addr6, Prefix6};

/// The hosts that a [`Pinhole`] is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Those of a prefix; of 128 bits: one.
    In(Prefix6),
    /// The one with this interface id, whatever the prefix of its LAN is now: `::host` of a delegated prefix.
    Id(u64),
}

/// Packets of a protocol, to some ports of a host of ours, that anybody may open a session with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinhole {
    /// Whom they may be for.
    pub host: Host,
    /// Their upper-layer protocol; `None`: any.
    pub protocol: Option<u8>,
    /// First and last destination port, of TCP and UDP and the like; not looked at of others.
    pub ports: (u16, u16),
}

impl Pinhole {
    /// Whether it lets a packet to this address and port in.
    pub fn admits(&self, protocol: u8, host: Addr6, port: u16) -> bool {
        let to_host = match self.host {
            Host::In(prefix) => prefix.contains(host.into()),
            Host::Id(id) => host.0[8..] == id.to_be_bytes(),
        };
        to_host && self.protocol.is_none_or(|p| p == protocol) && (self.ports.0..=self.ports.1).contains(&port)
    }
}
