//! Datagrams from our own addresses: DNS queries, each from a port of its own.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6};

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{PacketBuffer, PacketMetadata, Socket};
use smoltcp::wire::{IpAddress, IpEndpoint};

/// UDP sockets that may be open at once.
pub const MAX_UDP: usize = 32;

/// Datagrams that wait in a socket, each way.
const DATAGRAMS: usize = 4;

/// Their bytes. DNS over UDP is asked to stay at 1232 (RFC 9715 3.1).
const BYTES: usize = DATAGRAMS * 1500;

/// Peers that a socket may have written to.
const PEERS: usize = 8;

/// An open UDP socket. Never given twice: one that was closed stays closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UdpHandle(u64);

/// Why a datagram cannot be sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UdpError {
    /// The address to open the socket at is not one of ours.
    #[error("{0} is not an address of this router on the line")]
    NoAddress(Ipv6Addr),
    /// Port zero, or one that is in use.
    #[error("port {0} is in use or cannot be used; choose another one")]
    Port(u16),
    /// As many sockets as there may be, or peers of one.
    #[error("{0} are open, which is the limit")]
    Busy(usize),
    /// The socket was closed, or its address is not ours any more.
    #[error("the socket is closed: its address is not ours any more")]
    Closed,
    /// The peer is no unicast address, or its port is 0.
    #[error("{0} is not an address and port that one can send to")]
    NoSuchPeer(SocketAddrV6),
    /// What was written before has not been sent yet, or it is longer than the MTU allows.
    #[error("a datagram of {0} bytes does not fit")]
    Full(usize),
}

/// All UDP sockets of the stack.
#[derive(Default)]
pub(super) struct Datagrams {
    next: u64,
    entries: BTreeMap<UdpHandle, Entry>,
}

struct Entry {
    socket: SocketHandle,
    ours: SocketAddrV6,
    /// Who was written to, and so may answer.
    peers: Vec<SocketAddrV6>,
}

impl Datagrams {
    pub(super) fn open(&mut self, ours: SocketAddrV6, sockets: &mut SocketSet<'static>) -> Result<UdpHandle, UdpError> {
        if self.entries.len() == MAX_UDP {
            return Err(UdpError::Busy(MAX_UDP));
        }
        if self.entries.values().any(|e| e.ours == ours) {
            return Err(UdpError::Port(ours.port()));
        }
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; DATAGRAMS], vec![0; BYTES]);
        let mut socket = Socket::new(buffer(), buffer());
        socket.bind((*ours.ip(), ours.port())).map_err(|_| UdpError::Port(ours.port()))?;
        let handle = UdpHandle(self.next);
        self.next += 1;
        self.entries.insert(handle, Entry { socket: sockets.add(socket), ours, peers: Vec::new() });
        Ok(handle)
    }

    pub(super) fn close(&mut self, handle: UdpHandle, sockets: &mut SocketSet<'static>) {
        if let Some(entry) = self.entries.remove(&handle) {
            sockets.remove(entry.socket);
        }
    }

    /// Our ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.entries.values().map(|entry| entry.ours.port())
    }

    /// Whether a datagram between these is an answer to one of ours.
    pub(super) fn has(&self, ours: SocketAddrV6, theirs: SocketAddrV6) -> bool {
        self.entries.values().any(|e| e.ours == ours && e.peers.contains(&theirs))
    }

    pub(super) fn send(
        &mut self,
        handle: UdpHandle,
        to: SocketAddrV6,
        payload: &[u8],
        sockets: &mut SocketSet<'static>,
    ) -> Result<(), UdpError> {
        let entry = self.entries.get_mut(&handle).ok_or(UdpError::Closed)?;
        let to = SocketAddrV6::new(*to.ip(), to.port(), 0, 0);
        if !entry.peers.contains(&to) {
            if entry.peers.len() == PEERS {
                return Err(UdpError::Busy(PEERS));
            }
            entry.peers.push(to);
        }
        let full = |_| UdpError::Full(payload.len());
        let to = IpEndpoint::new(IpAddress::Ipv6(*to.ip()), to.port());
        sockets.get_mut::<Socket>(entry.socket).send_slice(payload, to).map_err(full)
    }

    pub(super) fn recv(
        &mut self,
        handle: UdpHandle,
        sockets: &mut SocketSet<'static>,
    ) -> Result<Option<(SocketAddrV6, Vec<u8>)>, UdpError> {
        let entry = self.entries.get(&handle).ok_or(UdpError::Closed)?;
        let Ok((payload, from)) = sockets.get_mut::<Socket>(entry.socket).recv() else { return Ok(None) };
        match from.endpoint.addr {
            IpAddress::Ipv6(address) => {
                Ok(Some((SocketAddrV6::new(address, from.endpoint.port, 0, 0), payload.to_vec())))
            }
            IpAddress::Ipv4(_) => Ok(None),
        }
    }

    /// Closes sockets at addresses that are not ours any more.
    pub(super) fn readdress(&mut self, addresses: &[Ipv6Addr], sockets: &mut SocketSet<'static>) {
        self.entries.retain(|_, entry| {
            let keep = addresses.contains(entry.ours.ip());
            if !keep {
                sockets.remove(entry.socket);
            }
            keep
        });
    }
}
