//! The control thread's side of the streams: opens sockets that were asked for, and carries bytes between
//! sockets and channels.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};
use rand::RngExt;
use rand::rngs::StdRng;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{RecvError, Socket, SocketBuffer, State};
use smoltcp::wire::{Ipv6Packet, TcpPacket, TcpSeqNumber};

use hikyaku_net::Time;

use super::gate::{self, Trouble, What};
use super::stream::{Ask, Bridge, CHUNK, Stream, StreamError, Wake};

/// Connections at once, those that are closing included.
pub const MAX_STREAMS: usize = 16;

/// Bytes of a connection that were received and not read yet: the window.
const RECEIVE: usize = 32 << 10;

/// Bytes of a connection that were written and not acknowledged yet. Less than the initial window of
/// RFC 6928, so that congestion control would have nothing to say.
const SEND: usize = 8 << 10;

/// A peer that acknowledges nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);

/// How long a connection that nobody here holds any more may take to close.
const LINGER: Duration = Duration::from_secs(10);

/// Bytes that a peer may still send to a connection that nobody reads any more: TLS says goodbye. With more it is reset (RFC
/// 1122 4.2.2.13), so that an answer without an end is not taken to its end.
const UNREAD: usize = 16 << 10;

/// Ports for our side: RFC 6335 6, dynamic.
const PORTS: std::ops::RangeInclusive<u16> = 49152..=65535;

/// All TCP connections of the stack, those that are closing included.
pub(super) struct Streams {
    asks: Receiver<Ask>,
    wake: Wake,
    entries: Vec<Entry>,
}

struct Entry {
    socket: SocketHandle,
    ours: SocketAddrV6,
    theirs: SocketAddrV6,
    phase: Phase,
}

enum Phase {
    /// SYN sent, at the sequence number `syn` once it was.
    Connecting {
        reply: Sender<Result<Stream, StreamError>>,
        timeout: Duration,
        deadline: Time,
        syn: Option<TcpSeqNumber>,
    },
    /// A thread holds the other end, or did, and has until `gone` for an orderly end. `unread`: bytes that came for nobody.
    Open { bridge: Bridge, pending: Vec<u8>, reset: bool, gone: Option<Time>, unread: usize },
}

/// What [`Streams`] works with, all of it the stack's.
pub(super) struct Around<'a> {
    pub(super) interface: &'a mut Interface,
    pub(super) sockets: &'a mut SocketSet<'static>,
    pub(super) addresses: &'a [Ipv6Addr],
    pub(super) rng: &'a mut StdRng,
}

impl Streams {
    pub(super) fn new(asks: Receiver<Ask>, wake: Wake) -> Self {
        Self { asks, wake, entries: Vec::with_capacity(MAX_STREAMS) }
    }

    /// Whether a segment between these belongs to a connection of ours.
    pub(super) fn has(&self, ours: SocketAddrV6, theirs: SocketAddrV6) -> bool {
        self.entries.iter().any(|e| e.ours == ours && e.theirs == theirs)
    }

    /// Our ports.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.entries.iter().map(|entry| entry.ours.port())
    }

    /// Connections, those that are closing included.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a connection was asked for and waits to be opened.
    pub(super) fn is_asked(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Opens what was asked for.
    pub(super) fn open(&mut self, now: Time, around: &mut Around) {
        while let Ok(ask) = self.asks.try_recv() {
            if let Err(e) = self.connect(now, &ask, around) {
                let _ = ask.reply.send(Err(e));
            }
        }
    }

    fn connect(&mut self, now: Time, ask: &Ask, around: &mut Around) -> Result<(), StreamError> {
        if !around.addresses.contains(&ask.ours) {
            return Err(StreamError::NoAddress(ask.ours));
        }
        let theirs = SocketAddrV6::new(*ask.theirs.ip(), ask.theirs.port(), 0, 0);
        if !gate::is_unicast(*theirs.ip()) || theirs.port() == 0 {
            return Err(StreamError::NoSuchPeer(theirs));
        }
        if self.entries.len() == MAX_STREAMS && !self.evict(around.sockets) {
            return Err(StreamError::Busy(MAX_STREAMS));
        }
        let ours = loop {
            let ours = SocketAddrV6::new(ask.ours, around.rng.random_range(PORTS), 0, 0);
            if !self.has(ours, theirs) {
                break ours;
            }
        };
        let mut socket = Socket::new(SocketBuffer::new(vec![0; RECEIVE]), SocketBuffer::new(vec![0; SEND]));
        socket.set_timeout(Some(SILENCE.into()));
        // Requests are written whole: Nagle's algorithm would only delay their last segment.
        socket.set_nagle_enabled(false);
        socket
            .connect(around.interface.context(), (*theirs.ip(), theirs.port()), (*ours.ip(), ours.port()))
            .map_err(|_| StreamError::NoSuchPeer(theirs))?;
        let socket = around.sockets.add(socket);
        let deadline = now + ask.timeout;
        let phase = Phase::Connecting { reply: ask.reply.clone(), timeout: ask.timeout, deadline, syn: None };
        self.entries.push(Entry { socket, ours, theirs, phase });
        Ok(())
    }

    /// Makes room by forgetting the connection that has been closing for longest.
    fn evict(&mut self, sockets: &mut SocketSet<'static>) -> bool {
        let oldest = self.entries.iter().enumerate().filter_map(|(i, e)| Some((e.gone()?, i))).min();
        if let Some((_, i)) = oldest {
            sockets.remove(self.entries.swap_remove(i).socket);
        }
        oldest.is_some()
    }

    /// Carries bytes both ways, ends what has ended.
    pub(super) fn carry(&mut self, now: Time, sockets: &mut SocketSet<'static>) {
        let wake = &self.wake;
        self.entries.retain_mut(|entry| {
            let keep = entry.carry(now, sockets.get_mut::<Socket>(entry.socket), wake);
            if !keep {
                sockets.remove(entry.socket);
            }
            keep
        });
    }

    /// A reset between these was heard; whether it was one to believe, the socket says.
    pub(super) fn reset(&mut self, ours: SocketAddrV6, theirs: SocketAddrV6, sockets: &SocketSet<'static>) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.ours == ours && e.theirs == theirs)
            && let Phase::Open { reset, .. } = &mut entry.phase
        {
            *reset |= sockets.get::<Socket>(entry.socket).state() == State::Closed;
        }
    }

    /// Remembers the sequence number of a SYN that goes out.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        let ip = Ipv6Packet::new_unchecked(packet);
        if ip.next_header() != smoltcp::wire::IpProtocol::Tcp {
            return;
        }
        let segment = TcpPacket::new_unchecked(ip.payload());
        let ours = SocketAddrV6::new(ip.src_addr(), segment.src_port(), 0, 0);
        let theirs = SocketAddrV6::new(ip.dst_addr(), segment.dst_port(), 0, 0);
        if let Some(entry) = self.entries.iter_mut().find(|e| e.ours == ours && e.theirs == theirs)
            && let Phase::Connecting { syn, .. } = &mut entry.phase
        {
            *syn = Some(segment.seq_number());
        }
    }

    /// An ICMPv6 error; says whether it is about a segment that we sent. Only a connection that is being
    /// opened gives up at once (RFC 5461 4.1); one that works outlives a router's bad moment (RFC 1122
    /// 4.2.3.9).
    pub(super) fn trouble(&mut self, trouble: &Trouble, sockets: &mut SocketSet<'static>) -> bool {
        let place = self.entries.iter().position(|e| e.ours == trouble.ours && e.theirs == trouble.theirs);
        let Some(i) = place else { return false };
        match (&self.entries[i].phase, &trouble.what) {
            (Phase::Connecting { reply, syn: Some(syn), .. }, What::Unreachable(why)) if *syn == trouble.seq => {
                let _ = reply.send(Err(StreamError::Unreachable(why.clone())));
                sockets.remove(self.entries.swap_remove(i).socket);
                true
            }
            (Phase::Connecting { .. }, What::Unreachable(_)) => false,
            _ => true,
        }
    }

    /// Ends connections from addresses that are not ours any more, without a word on the line.
    pub(super) fn readdress(&mut self, addresses: &[Ipv6Addr], sockets: &mut SocketSet<'static>) {
        self.entries.retain(|entry| {
            let keep = addresses.contains(entry.ours.ip());
            if !keep {
                entry.end(StreamError::NoAddress(*entry.ours.ip()));
                sockets.remove(entry.socket);
            }
            keep
        });
    }

    /// The next deadline that is ours and not smoltcp's.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let deadline = |entry: &Entry| match entry.phase {
            Phase::Connecting { deadline, .. } => Some(deadline),
            Phase::Open { gone, .. } => gone,
        };
        self.entries.iter().filter_map(deadline).min()
    }
}

impl Entry {
    /// Tells the thread why there is no connection any more.
    fn end(&self, why: StreamError) {
        match &self.phase {
            Phase::Connecting { reply, .. } => drop(reply.send(Err(why))),
            Phase::Open { bridge, .. } => drop(bridge.shared.end.set(why)),
        }
    }

    /// Until when a connection that nobody holds any more may take to close.
    fn gone(&self) -> Option<Time> {
        match self.phase {
            Phase::Connecting { .. } => None,
            Phase::Open { gone, .. } => gone,
        }
    }

    /// One round for one connection; says whether it is still needed.
    fn carry(&mut self, now: Time, socket: &mut Socket, wake: &Wake) -> bool {
        if let Phase::Connecting { reply, timeout, deadline, .. } = &self.phase {
            match socket.state() {
                State::SynSent if now < *deadline => return true,
                State::SynSent => {
                    self.end(StreamError::TimedOut(*timeout));
                    return false;
                }
                State::Closed => {
                    self.end(StreamError::Refused);
                    return false;
                }
                _ => {}
            }
            let (stream, bridge) = Stream::new(wake.clone());
            // A thread that has stopped waiting drops its end, which is seen below.
            let _ = reply.send(Ok(stream));
            self.phase = Phase::Open { bridge, pending: Vec::new(), reset: false, gone: None, unread: 0 };
        }
        let Phase::Open { bridge, pending, reset, gone, unread } = &mut self.phase else { return true };
        if gone.is_none() && bridge.shared.gone.load(Ordering::Acquire) {
            *gone = Some(now + LINGER);
            bridge.to_user = None;
            if !bridge.shared.finished.load(Ordering::Acquire) {
                socket.abort();
            }
        }
        *unread += receive(bridge, *reset, socket);
        if *unread > UNREAD {
            socket.abort();
        }
        transmit(bridge, pending, socket);
        // After a reset that was sent, after TIME-WAIT, smoltcp has forgotten the peer.
        let over = socket.state() == State::Closed && socket.remote_endpoint().is_none();
        gone.is_none_or(|deadline| !over && now < deadline)
    }
}

/// From the socket to the thread, until the thread has enough. How many bytes came that nobody reads.
fn receive(bridge: &mut Bridge, reset: bool, socket: &mut Socket) -> usize {
    let Some(to_user) = &bridge.to_user else {
        // What nobody will read is taken all the same: a window that stays shut would keep the FIN away.
        let mut unread = 0;
        while socket.can_recv()
            && let Ok(taken) = socket.recv(|bytes| (bytes.len(), bytes.len()))
        {
            unread += taken;
        }
        return unread;
    };
    while socket.can_recv() && !to_user.is_full() {
        let piece = socket.recv(|bytes| {
            let piece = bytes[..bytes.len().min(CHUNK)].to_vec();
            (piece.len(), piece)
        });
        // The channel has room. A thread that has just gone wants nothing.
        let Ok(piece) = piece else { break };
        let _ = to_user.try_send(piece);
    }
    if socket.may_recv() {
        return 0;
    }
    // All was passed on, and no more will come.
    if socket.recv(|_| (0, ())) != Err(RecvError::Finished) {
        let why = if reset { StreamError::Reset } else { StreamError::TimedOut(SILENCE) };
        let _ = bridge.shared.end.set(why);
    }
    bridge.to_user = None;
    0
}

/// From the thread to the socket, until the socket has enough.
fn transmit(bridge: &mut Bridge, pending: &mut Vec<u8>, socket: &mut Socket) {
    if socket.state() == State::Closed {
        bridge.from_user = None;
    }
    while let Some(from_user) = &bridge.from_user
        && socket.can_send()
    {
        if pending.is_empty() {
            match from_user.try_recv() {
                Ok(piece) => *pending = piece,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    // An end that was dropped without `finish` is an abort, seen elsewhere.
                    if bridge.shared.finished.load(Ordering::Acquire) {
                        socket.close();
                    }
                    bridge.from_user = None;
                    return;
                }
            }
        }
        let Ok(taken) = socket.send_slice(pending) else { return };
        pending.drain(..taken);
    }
}
