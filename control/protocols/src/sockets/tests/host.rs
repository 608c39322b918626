//! Another host: smoltcp with nothing in front of it.

use std::net::{Ipv6Addr, SocketAddrV6};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use hikyaku_net::Time;

use crate::sockets::device::Device;
use crate::sockets::{instant, time};

pub(crate) struct Host {
    interface: Interface,
    device: Device,
    pub(crate) sockets: SocketSet<'static>,
    /// Every connection that was listened for, oldest first.
    pub(crate) tcp: Vec<SocketHandle>,
    pub(crate) udp: Option<SocketHandle>,
}

impl Host {
    pub(crate) fn new(address: Ipv6Addr) -> Self {
        let mut device = Device::new(1500);
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut device, Instant::ZERO);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv6(address), 64)).unwrap());
        Self { interface, device, sockets: SocketSet::new(Vec::new()), tcp: Vec::new(), udp: None }
    }

    /// Takes one connection at `port`; `tcp.last()` is its socket.
    pub(crate) fn listen(&mut self, port: u16) {
        let buffer = || tcp::SocketBuffer::new(vec![0; 60_000]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        socket.listen(port).unwrap();
        self.tcp.push(self.sockets.add(socket));
    }

    /// The newest connection.
    pub(crate) fn connection(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(*self.tcp.last().expect("a connection"))
    }

    pub(crate) fn bind(&mut self, port: u16) {
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 64], vec![0; 60_000]);
        let mut socket = udp::Socket::new(buffer(), buffer());
        socket.bind(port).unwrap();
        self.udp = Some(self.sockets.add(socket));
    }

    pub(crate) fn datagrams(&mut self) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(self.udp.expect("a socket"))
    }

    pub(crate) fn send_datagram(&mut self, to: SocketAddrV6, payload: &[u8]) {
        self.datagrams().send_slice(payload, (*to.ip(), to.port())).unwrap();
    }

    pub(crate) fn hear(&mut self, now: Time, packet: Vec<u8>) {
        self.device.heard = Some(packet);
        self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
    }

    pub(crate) fn poll(&mut self, now: Time) -> Vec<Vec<u8>> {
        self.interface.poll_egress(instant(now), &mut self.device, &mut self.sockets);
        self.device.out.drain(..).collect()
    }

    pub(crate) fn next(&mut self, now: Time) -> Option<Time> {
        self.interface.poll_at(instant(now), &self.sockets).map(time)
    }
}
