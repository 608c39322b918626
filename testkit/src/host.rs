//! Another host: smoltcp with nothing in front of it.

use std::net::{Ipv6Addr, SocketAddrV6};

use hikyaku_net::Time;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use crate::device::Device;

/// A host with one IPv6 address, that talks in IPv6 packets of up to 1500 bytes.
pub struct Host {
    interface: Interface,
    device: Device,
    /// All sockets of the host.
    pub sockets: SocketSet<'static>,
    /// Every connection that was opened or listened for, oldest first.
    pub tcp: Vec<SocketHandle>,
    udp: Option<SocketHandle>,
}

impl Host {
    /// A host at `address`, without sockets.
    pub fn new(address: Ipv6Addr) -> Self {
        let mut device = Device::default();
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv6(address), 64)).unwrap());
        Self { interface, device, sockets: SocketSet::new(Vec::new()), tcp: Vec::new(), udp: None }
    }

    /// Takes one connection at `port`; `tcp.last()` is its socket.
    pub fn listen(&mut self, port: u16) {
        let buffer = || tcp::SocketBuffer::new(vec![0; 60_000]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(port).unwrap();
        self.tcp.push(self.sockets.add(socket));
    }

    /// Opens a connection from port `from`; `tcp.last()` is its socket.
    pub fn connect(&mut self, from: u16, to: SocketAddrV6) {
        let buffer = || tcp::SocketBuffer::new(vec![0; 60_000]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.connect(self.interface.context(), (*to.ip(), to.port()), from).unwrap();
        self.tcp.push(self.sockets.add(socket));
    }

    /// The newest TCP connection.
    pub fn connection(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(*self.tcp.last().expect("a connection"))
    }

    /// Opens a UDP socket at `port`.
    pub fn bind(&mut self, port: u16) {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 60_000]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.udp = Some(self.sockets.add(socket));
    }

    /// The UDP socket that was opened last.
    pub fn datagrams(&mut self) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(self.udp.expect("a socket"))
    }

    /// Sends a datagram by that socket.
    pub fn send_datagram(&mut self, to: SocketAddrV6, payload: &[u8]) {
        self.datagrams().send_slice(payload, (*to.ip(), to.port())).unwrap();
    }

    /// An IPv6 packet came.
    pub fn hear(&mut self, now: Time, packet: Vec<u8>) {
        self.device.heard = Some(packet);
        self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
    }

    /// All IPv6 packets that it sends at `now`.
    pub fn poll(&mut self, now: Time) -> Vec<Vec<u8>> {
        self.interface.poll_egress(instant(now), &mut self.device, &mut self.sockets);
        self.device.out.drain(..).collect()
    }

    /// When to poll again if nothing comes.
    pub fn next(&mut self, now: Time) -> Option<Time> {
        let at = self.interface.poll_at(instant(now), &self.sockets)?;
        Some(Time(at.total_micros().max(0) as u64 * 1000))
    }
}

fn instant(time: Time) -> Instant {
    Instant::from_micros((time.0 / 1000) as i64)
}
