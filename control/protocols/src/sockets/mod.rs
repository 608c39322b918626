//! UDP and TCP from our own addresses on the line, by smoltcp.
//!
//! A machine (docs/control.md): IPv6 packets in, IPv6 packets out, no I/O. Neighbours are resolved elsewhere.
//! Nothing listens: what comes in is an answer to something we sent, or is counted and dropped without a
//! word ([`Counts`]). IPv6 fragments are neither sent nor reassembled.
//!
//! TCP is for other threads, which may block ([`Connector`], [`Stream`]); UDP is for the control thread.
//!
//! ```
//! use std::net::Ipv6Addr;
//! use std::sync::Arc;
//!
//! use hikyaku_net::Time;
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::sockets::Stack;
//!
//! let ours: Ipv6Addr = "2001:db8::1".parse().unwrap();
//! let mut stack = Stack::new(Arc::new(|| ())); // to be called when another thread has work for it
//! stack.set_addresses(&[ours]);
//! let socket = stack.udp_open(ours, 4242)?;
//! stack.udp_send(socket, "[2001:db8::53]:53".parse().unwrap(), b"?")?;
//! let packet = stack.drive(Time(0)).expect("a packet to send");
//! assert_eq!((packet[6], packet.len()), (17, 49), "UDP, with 48 bytes of headers");
//! // What comes in goes to `stack.handle_input(now, &packet)`; what it is for is read by `stack.udp_recv(socket)`.
//! assert_eq!(stack.udp_recv(socket)?, None);
//! # Ok::<(), hikyaku_protocols::sockets::UdpError>(())
//! ```

pub(crate) mod device;
mod fuzz;
mod gate;
mod stream;
mod tcp;
mod udp;

#[cfg(test)]
mod tests;

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use smoltcp::iface::{Config, Interface, PollIngressSingleResult, SocketSet};
use smoltcp::time::Instant;
use smoltcp::wire::HardwareAddress;

use hikyaku_net::{Time, protocol};

pub use fuzz::fuzz;
pub use gate::Counts;
pub use stream::{Connector, Stream, StreamError, Wake};
pub use tcp::MAX_STREAMS;
pub use udp::{MAX_UDP, UdpError, UdpHandle};

use crate::Machine;
use device::Device;
use gate::{Heard, What};
use tcp::{Around, Streams};
use udp::Datagrams;

/// What every IPv6 link carries (RFC 8200 5), and so our packets' length unless told otherwise: an
/// exchange of a few kilobytes gains nothing from longer ones, and never meets a path MTU.
pub const DEFAULT_MTU: u16 = 1280;

/// smoltcp may say "now" for a socket that has nothing to send; nobody shall spin over that.
const BREATH: Duration = Duration::from_millis(1);

/// The router's own host on the line: its UDP sockets and TCP connections.
pub struct Stack {
    /// What became of the packets.
    pub counts: Counts,
    interface: Interface,
    device: Device,
    sockets: SocketSet<'static>,
    addresses: Vec<Ipv6Addr>,
    streams: Streams,
    datagrams: Datagrams,
    connector: Connector,
    rng: StdRng,
    due: Option<Time>,
}

impl Stack {
    /// Without addresses yet. `wake` is called by threads that use a [`Connector`].
    pub fn new(wake: Wake) -> Self {
        Self::with_rng(wake, rand::make_rng())
    }

    fn with_rng(wake: Wake, mut rng: StdRng) -> Self {
        let (connector, asks) = Connector::new(wake.clone());
        let mut device = Device::new(DEFAULT_MTU.into());
        Self {
            counts: Counts::default(),
            interface: interface(&mut device, &mut rng),
            device,
            sockets: SocketSet::new(Vec::new()),
            addresses: Vec::new(),
            streams: Streams::new(asks, wake),
            datagrams: Datagrams::default(),
            connector,
            rng,
            due: None,
        }
    }

    /// A handle by which another thread opens TCP connections; cheap to clone.
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// TCP connections, those that are closing included.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Protocol and port of all that may be answered: UDP sockets and TCP connections, those that are closing included.
    /// Nothing else that comes is for this stack, but ICMPv6 errors.
    pub fn ports(&self) -> impl Iterator<Item = (u8, u16)> {
        let udp = self.datagrams.ports().map(|port| (protocol::UDP, port));
        udp.chain(self.streams.ports().map(|port| (protocol::TCP, port)))
    }

    /// Our addresses from now on. Connections and sockets at others end at once: with an error for their
    /// users, without a word on the line.
    pub fn set_addresses(&mut self, addresses: &[Ipv6Addr]) {
        self.addresses = addresses.iter().copied().filter(|a| gate::is_unicast(*a)).collect();
        self.streams.readdress(&self.addresses, &mut self.sockets);
        self.datagrams.readdress(&self.addresses, &mut self.sockets);
    }

    /// The longest packet to send, and by our MSS to receive: 1280 to 1500 bytes. [`DEFAULT_MTU`] is
    /// right unless somebody knows better. A Packet Too Big for one of our connections lowers it again.
    pub fn set_mtu(&mut self, mtu: u16) {
        self.device.mtu = mtu.clamp(DEFAULT_MTU, 1500).into();
        self.interface = interface(&mut self.device, &mut self.rng);
    }

    /// An IPv6 packet from the line, with whatever padding is behind it.
    pub fn handle_input(&mut self, now: Time, packet: &[u8]) {
        self.counts.heard += 1;
        match gate::sort(packet, |address| self.addresses.contains(&address)) {
            Err(why) => self.counts.drop(why),
            Ok(Heard::Error(trouble)) => {
                if !self.streams.trouble(&trouble, &mut self.sockets) {
                    return self.counts.drop(gate::Drop::Unsolicited);
                }
                self.counts.errors += 1;
                if let What::TooBig(mtu) = trouble.what
                    && (mtu as usize) < self.device.mtu
                {
                    self.set_mtu(mtu.min(1500) as u16);
                }
            }
            Ok(Heard::Segment { ours, theirs, .. }) if !self.streams.has(ours, theirs) => {
                self.counts.drop(gate::Drop::Unsolicited);
            }
            Ok(Heard::Datagram { ours, theirs }) if !self.datagrams.has(ours, theirs) => {
                self.counts.drop(gate::Drop::Unsolicited);
            }
            Ok(_) if !self.device.has_room() => self.counts.overrun += 1,
            Ok(heard) => {
                self.device.heard = Some(packet.to_vec());
                let polled = self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
                debug_assert_ne!(polled, PollIngressSingleResult::None);
                if let Heard::Segment { ours, theirs, reset: true } = heard {
                    self.streams.reset(ours, theirs, &self.sockets);
                }
            }
        }
        self.due = Some(now);
    }

    fn work(&mut self, now: Time) {
        if self.streams.is_asked() {
            // A new generator for each round of connections: smoltcp's is not one whose next initial
            // sequence number stays secret from whoever saw the last (RFC 6528).
            self.interface = interface(&mut self.device, &mut self.rng);
            let mut around = Around {
                interface: &mut self.interface,
                sockets: &mut self.sockets,
                addresses: &self.addresses,
                rng: &mut self.rng,
            };
            self.streams.open(now, &mut around);
        }
        self.streams.carry(now, &mut self.sockets);
        self.interface.poll_egress(instant(now), &mut self.device, &mut self.sockets);
        self.device.out.iter().for_each(|packet| self.streams.sent(packet));
        // Sending may have ended a connection (a timeout), or made room for more bytes.
        self.streams.carry(now, &mut self.sockets);
        let soon = self.interface.poll_at(instant(now), &self.sockets).map(time).map(|at| at.max(now + BREATH));
        self.due = match self.device.has_room() {
            true => soon.into_iter().chain(self.streams.poll_timeout()).min(),
            // There may be more where that came from.
            false => Some(now),
        };
    }

    /// Opens a UDP socket at one of our addresses. `port` is the caller's choice, and for DNS shall be one
    /// that nobody can predict (RFC 5452 9.2).
    pub fn udp_open(&mut self, ours: Ipv6Addr, port: u16) -> Result<UdpHandle, UdpError> {
        if !self.addresses.contains(&ours) {
            return Err(UdpError::NoAddress(ours));
        }
        self.datagrams.open(SocketAddrV6::new(ours, port, 0, 0), &mut self.sockets)
    }

    /// Sends a datagram at the next [`Machine::handle_timeout`]. From now on `to` may answer; nobody else may.
    pub fn udp_send(&mut self, handle: UdpHandle, to: SocketAddrV6, payload: &[u8]) -> Result<(), UdpError> {
        if !gate::is_unicast(*to.ip()) || to.port() == 0 {
            return Err(UdpError::NoSuchPeer(to));
        }
        // 40 bytes of IPv6 header and 8 of UDP; longer would have to be fragmented.
        if payload.len() + 48 > self.device.mtu {
            return Err(UdpError::Full(payload.len()));
        }
        self.due = Some(Time(0));
        self.datagrams.send(handle, to, payload, &mut self.sockets)
    }

    /// The next datagram that came, and from whom.
    pub fn udp_recv(&mut self, handle: UdpHandle) -> Result<Option<(SocketAddrV6, Vec<u8>)>, UdpError> {
        self.datagrams.recv(handle, &mut self.sockets)
    }

    /// Closes a socket; what comes for it is unsolicited from now on.
    pub fn udp_close(&mut self, handle: UdpHandle) {
        self.datagrams.close(handle, &mut self.sockets);
    }
}

impl Machine for Stack {
    /// An IPv6 packet to send.
    type Output = Vec<u8>;

    /// To be called after a wake and after a datagram was sent, too.
    fn handle_timeout(&mut self, now: Time) {
        self.work(now);
    }

    fn poll_output(&mut self) -> Option<Vec<u8>> {
        let packet = self.device.out.pop_front();
        self.counts.sent += u64::from(packet.is_some());
        packet
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.device.out.is_empty() { self.due } else { Some(Time(0)) }
    }
}

/// smoltcp's half: lengths, timers and numbers. Which addresses are ours is the gate's business.
pub(crate) fn interface(device: &mut Device, rng: &mut StdRng) -> Interface {
    let mut config = Config::new(HardwareAddress::Ip);
    config.random_seed = rng.random();
    let mut interface = Interface::new(config, device, Instant::ZERO);
    interface.set_any_ip(true);
    interface
}

pub(crate) fn instant(time: Time) -> Instant {
    Instant::from_micros((time.0 / 1000) as i64)
}

pub(crate) fn time(instant: Instant) -> Time {
    Time(instant.total_micros().max(0) as u64 * 1000)
}
