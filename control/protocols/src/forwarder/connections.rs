//! TCP connections of hosts of the LAN (RFC 7766), by smoltcp: questions in, answers out, each with its length in front.
//!
//! One question of a connection is answered at a time; those behind it wait in the window (RFC 7766 6.2.1.1 would have them answered
//! side by side, which takes more memory than a LAN's questions are worth). Connections, their buffers and their time are bounded,
//! and so are those of one station.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use hikyaku_net::packet::{Ethernet, ethertype};
use hikyaku_net::{Mac, Time, protocol};
use rand::rngs::StdRng;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{Ipv4Packet, Ipv6Packet, TcpPacket};
use zerocopy::FromBytes;

use super::datagram::{Packet, Place};
use super::{Client, MAX_STREAM_MESSAGE, PORT};
use crate::Machine;
use crate::sockets::device::Device;
use crate::sockets::{instant, interface, time};

/// Connections at once.
pub const MAX_CONNECTIONS: usize = 32;
/// Of these, of one station: a host, or a router that hosts are behind.
const MAX_OF_HOST: usize = 8;
/// Bytes of a question, its length in front included: far more than any has.
const QUESTION: usize = 2048;
/// Bytes of an answer that were not acknowledged yet.
const ANSWER: usize = MAX_STREAM_MESSAGE + 2;
/// A connection without a question, or whose host takes no answer, ends after so long (RFC 7766 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// What every link carries, of either family (RFC 8200 5).
const MTU: usize = 1280;

/// Which connection, of all that there ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    pub(super) place: usize,
    pub(super) generation: u64,
}

/// What comes of packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// An Ethernet frame to send.
    Send(Vec<u8>),
    /// A question.
    Question(Client, Vec<u8>),
}

struct Connection {
    socket: SocketHandle,
    generation: u64,
    /// Who has it, once somebody has.
    host: Option<(Mac, IpAddr, u16, IpAddr)>,
    /// A question of its is not answered yet.
    is_asked: bool,
    /// When it is over.
    until: Time,
}

/// All connections of hosts.
pub struct Connections {
    interface: Interface,
    device: Device,
    sockets: SocketSet<'static>,
    connections: Vec<Connection>,
    rng: StdRng,
    outputs: VecDeque<Output>,
    mac: Mac,
    due: Option<Time>,
}

impl Default for Connections {
    fn default() -> Self {
        let (mut device, mut rng): (_, StdRng) = (Device::new(MTU), rand::make_rng());
        let mut sockets = SocketSet::new(Vec::new());
        let connection = |_| {
            let mut socket = Socket::new(SocketBuffer::new(vec![0; QUESTION]), SocketBuffer::new(vec![0; ANSWER]));
            socket.set_timeout(Some(IDLE.into()));
            socket.set_nagle_enabled(false);
            Connection { socket: sockets.add(socket), generation: 0, host: None, is_asked: false, until: Time(0) }
        };
        let connections = (0..MAX_CONNECTIONS).map(connection).collect();
        let mut all = Self {
            interface: interface(&mut device, &mut rng),
            device,
            sockets,
            connections,
            rng,
            outputs: VecDeque::new(),
            mac: Mac::default(),
            due: None,
        };
        all.listen();
        all
    }
}

impl Connections {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// A frame came. Nothing is done about one that is no TCP segment from a host of the LAN to port 53 of ours.
    pub fn handle_input(&mut self, now: Time, place: &Place, frame: &[u8]) {
        let Some(packet) = place.packet(frame, protocol::TCP) else { return };
        let Packet { station, from, to, bytes: packet, .. } = packet;
        let Some(segment) = tcp_of(packet) else { return };
        if segment.dst_port() != PORT || !self.device.has_room() {
            return;
        }
        self.mac = place.mac;
        let host = (station, from, segment.src_port(), to);
        let known = self.connections.iter().position(|connection| {
            connection.host.is_some_and(|(_, address, port, ours)| (address, port, ours) == (from, host.2, to))
        });
        let begins = segment.syn() && !segment.ack();
        if known.is_none() && begins {
            let of_host = |connection: &&Connection| connection.host.is_some_and(|(mac, ..)| mac == station);
            if self.connections.iter().filter(of_host).count() >= MAX_OF_HOST {
                return;
            }
            // smoltcp's initial sequence numbers are as good as its seed: a new one each time (RFC 6528).
            self.interface = interface(&mut self.device, &mut self.rng);
        }
        self.device.heard = Some(packet.to_vec());
        self.interface.poll_ingress_single(instant(now), &mut self.device, &mut self.sockets);
        self.device.heard = None;
        if known.is_none() && begins {
            self.accepted(now, host);
        } else if let Some(known) = known {
            self.connections[known].host = Some(host);
        } else {
            // What belongs to no connection is told so by smoltcp (RFC 9293 3.10.7.1).
            self.flush_to(station);
        }
        self.work(now);
    }

    /// Notes whose the connection is that began with this segment.
    fn accepted(&mut self, now: Time, host: (Mac, IpAddr, u16, IpAddr)) {
        let sockets = &self.sockets;
        let is_it = |connection: &&mut Connection| {
            let peer = sockets.get::<Socket>(connection.socket).remote_endpoint();
            connection.host.is_none()
                && peer.is_some_and(|peer| (IpAddr::from(peer.addr), peer.port) == (host.1, host.2))
        };
        match self.connections.iter_mut().find(is_it) {
            Some(connection) => {
                connection.generation += 1;
                (connection.host, connection.is_asked, connection.until) = (Some(host), false, now + IDLE);
            }
            None => self.flush_to(host.0),
        }
    }

    /// The answer to a question of this connection; nothing if that is over.
    pub fn answer(&mut self, now: Time, id: ConnectionId, message: &[u8]) {
        let Some(connection) = self.connections.get_mut(id.place).filter(|c| c.generation == id.generation) else {
            return;
        };
        let socket = self.sockets.get_mut::<Socket>(connection.socket);
        let framed = [&(message.len() as u16).to_be_bytes(), message].concat();
        // One that does not take all of it has not read what was before: it is of no use any more.
        if message.len() > MAX_STREAM_MESSAGE || socket.send_slice(&framed) != Ok(framed.len()) {
            socket.abort();
        }
        (connection.is_asked, connection.until) = (false, now + IDLE);
        self.work(now);
    }

    /// Carries on with all: questions are read, packets written, and what is over makes room.
    fn work(&mut self, now: Time) {
        for at in 0..self.connections.len() {
            self.read(now, at);
        }
        self.interface.poll_egress(instant(now), &mut self.device, &mut self.sockets);
        self.flush();
        self.listen();
        let soon = self.interface.poll_at(instant(now), &self.sockets).map(time);
        let ends = self.connections.iter().filter(|c| c.host.is_some()).map(|c| c.until);
        // smoltcp may say "now" for a socket that has nothing to send; nobody shall spin over that.
        self.due = soon.map(|at| at.max(now + Duration::from_millis(1))).into_iter().chain(ends).min();
    }

    fn read(&mut self, now: Time, at: usize) {
        let connection = &mut self.connections[at];
        let Some((station, address, port, to)) = connection.host else { return };
        let socket = self.sockets.get_mut::<Socket>(connection.socket);
        if now >= connection.until {
            return socket.abort();
        }
        if !connection.is_asked
            && let Some(message) = whole_message(socket)
        {
            (connection.is_asked, connection.until) = (true, now + IDLE);
            let id = ConnectionId { place: at, generation: connection.generation };
            let client = Client { station, address, port, to, connection: Some(id) };
            self.outputs.push_back(Output::Question(client, message));
        } else if socket.state() == State::CloseWait && !connection.is_asked {
            socket.close();
        }
    }

    /// Sockets that have nobody any more wait for the next.
    fn listen(&mut self) {
        for connection in &mut self.connections {
            let socket = self.sockets.get_mut::<Socket>(connection.socket);
            // In TIME-WAIT a place is too dear to keep (RFC 9293 3.6.1 is for ports that are chosen anew).
            let is_over = match socket.state() {
                State::Closed => socket.remote_endpoint().is_none(),
                State::TimeWait => true,
                _ => false,
            };
            if is_over {
                socket.abort();
                // It cannot fail: the socket is closed, and the port is none of 0.
                let _ = socket.listen(PORT);
                (connection.host, connection.is_asked) = (None, false);
            }
        }
    }

    /// Frames for the packets that smoltcp wants sent, to the station of their connection.
    fn flush(&mut self) {
        while let Some(packet) = self.device.out.pop_front() {
            let Some(segment) = tcp_of(&packet) else { continue };
            let to = destination(&packet);
            let is_of = |connection: &&Connection| {
                connection.host.is_some_and(|(_, address, port, _)| to == Some(address) && port == segment.dst_port())
            };
            let station = self.connections.iter().find(is_of).and_then(|c| c.host).map(|(station, ..)| station);
            if let Some(station) = station {
                self.outputs.push_back(Output::Send(self.frame(station, &packet)));
            }
        }
    }

    /// The same of packets that are of no connection.
    fn flush_to(&mut self, station: Mac) {
        while let Some(packet) = self.device.out.pop_front() {
            self.outputs.push_back(Output::Send(self.frame(station, &packet)));
        }
    }

    fn frame(&self, to: Mac, packet: &[u8]) -> Vec<u8> {
        let kind = if packet[0] >> 4 == 4 { ethertype::IPV4 } else { ethertype::IPV6 };
        let mut frame = [&to.0[..], &self.mac.0, &kind.to_be_bytes(), packet].concat();
        // RFC 894: a frame carries 46 bytes at least.
        frame.resize(frame.len().max(size_of::<Ethernet>() + 46), 0);
        frame
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.connections.iter().filter(|connection| connection.host.is_some()).count()
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("open", &self.open()).finish_non_exhaustive()
    }
}

impl Machine for Connections {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        if self.due.is_some_and(|due| due <= now) {
            self.work(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.outputs.is_empty() { self.due } else { Some(Time(0)) }
    }
}

/// A whole message, taken out of what came. One that no window has room for ends the connection.
fn whole_message(socket: &mut Socket) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    if socket.peek_slice(&mut length) != Ok(2) {
        return None;
    }
    let length = usize::from(u16::from_be_bytes(length));
    if length + 2 > QUESTION {
        socket.abort();
        return None;
    }
    if socket.recv_queue() < length + 2 {
        return None;
    }
    let mut bytes = vec![0; length + 2];
    socket.recv_slice(&mut bytes).ok().filter(|&taken| taken == bytes.len())?;
    Some(bytes.split_off(2))
}

/// The TCP segment of an IP packet without anything between the two.
fn tcp_of(packet: &[u8]) -> Option<TcpPacket<&[u8]>> {
    let payload = match packet.first()? >> 4 {
        4 => Ipv4Packet::new_checked(packet).ok().filter(|ip| u8::from(ip.next_header()) == protocol::TCP)?.payload(),
        _ => Ipv6Packet::new_checked(packet).ok().filter(|ip| u8::from(ip.next_header()) == protocol::TCP)?.payload(),
    };
    TcpPacket::new_checked(payload).ok()
}

fn destination(packet: &[u8]) -> Option<IpAddr> {
    Some(match packet.first()? >> 4 {
        4 => IpAddr::V4(Ipv4Packet::new_checked(packet).ok()?.dst_addr()),
        _ => IpAddr::V6(Ipv6Packet::new_checked(packet).ok()?.dst_addr()),
    })
}

/// Whether a frame carries TCP, however whole: who reads it looks closer.
pub fn is_tcp(frame: &[u8]) -> bool {
    let Ok((ethernet, packet)) = Ethernet::ref_from_prefix(frame) else { return false };
    let protocol = if ethernet.ethertype.get() == ethertype::IPV4 { packet.get(9) } else { packet.get(6) };
    protocol == Some(&protocol::TCP)
}
