//! Sockets of the far end, and the loop that serves them.
//!
//! Packets from the line are read beside the kernel (a packet socket), so that their outer headers and
//! fragments are seen as they came; `scripts/lab` keeps the kernel from answering them itself. To the
//! line they go through a raw socket: the kernel finds the route and the neighbour. Inner packets
//! go through a TUN device, so that the kernel routes, translates and fragments them.

pub mod play;

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use hikyaku_platform::tun;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_recv_buffer_size_force;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, recv, sendto, socket};

use crate::aftr::{Aftr, Output};
use crate::ce::Ce;

/// Larger than any packet of either side.
const BUFFER: usize = 65536;

/// Packets taken from one socket before the others are looked at.
const TURN: usize = 64;

/// Bytes kept of what the line sent, with the kernel's own for each packet.
const RECEIVE: usize = 16 << 20;

/// The longest command: some rules of MAP.
const LINE: u64 = 4096;

/// What is at an end of the tunnel.
pub trait End {
    /// An IPv6 packet that arrived here.
    fn hear_line(&mut self, packet: &[u8], out: &mut Output);
    /// An IPv4 packet of the TUN device's.
    fn hear_inside(&mut self, packet: &[u8], out: &mut Output);
    /// A line of the control socket's; returns the answer.
    fn command(&mut self, line: &str, out: &mut Output) -> String;
}

impl End for Aftr {
    fn hear_line(&mut self, packet: &[u8], out: &mut Output) {
        self.from_line(packet, out);
    }

    fn hear_inside(&mut self, packet: &[u8], out: &mut Output) {
        self.from_internet(packet, out);
    }

    fn command(&mut self, line: &str, out: &mut Output) -> String {
        match line.parse() {
            Ok(command) => self.command(command, out),
            Err(e) => format!("error: {e}"),
        }
    }
}

impl End for Ce {
    fn hear_line(&mut self, packet: &[u8], out: &mut Output) {
        self.from_line(packet, out);
    }

    fn hear_inside(&mut self, packet: &[u8], out: &mut Output) {
        self.from_inside(packet, out);
    }

    fn command(&mut self, line: &str, _out: &mut Output) -> String {
        (*self).command(line)
    }
}

/// The sockets of the far end: tunnel, TUN device, commands.
pub struct Sockets {
    from_line: OwnedFd,
    to_line: OwnedFd,
    inner: File,
    control: UnixListener,
}

impl Sockets {
    /// Opens all. The TUN device is made if it is not there; `control` must not exist yet.
    ///
    /// # Errors
    ///
    /// What the kernel says, with what was asked of it. Root is needed.
    pub fn open(device: &str, control: &Path) -> io::Result<Self> {
        let protocol = |number: u32| NonZeroU32::new(number).map(Protocol::from_raw);
        let ethertype = protocol(u32::from(0x86dd_u16.to_be()));
        let from_line = socket(AddressFamily::PACKET, SocketType::DGRAM, ethertype);
        // IPPROTO_RAW: whole packets are written, header included.
        let to_line = socket(AddressFamily::INET6, SocketType::RAW, protocol(255));
        let control_at = UnixListener::bind(control);
        let from_line = from_line.map_err(|e| named("a packet socket", e.into()))?;
        // What comes while a loaded machine does other things is to wait.
        set_socket_recv_buffer_size_force(&from_line, RECEIVE).map_err(|e| named("its buffer", e.into()))?;
        Ok(Self {
            from_line,
            to_line: to_line.map_err(|e| named("a raw IPv6 socket", e.into()))?,
            inner: tun(device).map_err(|e| named(&format!("the TUN device {device}"), e))?,
            control: control_at.map_err(|e| named(&control.display().to_string(), e))?,
        })
    }

    /// Serves until a socket fails.
    ///
    /// # Errors
    ///
    /// What the kernel said to poll or read.
    pub fn serve(&self, end: &mut impl End) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut ready = [
                PollFd::new(&self.from_line, PollFlags::IN),
                PollFd::new(&self.inner, PollFlags::IN),
                PollFd::new(&self.control, PollFlags::IN),
            ];
            poll(&mut ready, None)?;
            let [line, inner, control] = ready.map(|fd| !fd.revents().is_empty());
            let mut out = Output::default();
            for _ in 0..if line { TURN } else { 0 } {
                match recv(&self.from_line, &mut buffer[..], RecvFlags::DONTWAIT) {
                    Ok((length, _)) => end.hear_line(&buffer[..length], &mut out),
                    Err(Errno::AGAIN | Errno::NETDOWN) => break,
                    Err(e) => return Err(e.into()),
                }
            }
            // One packet a turn: reading waits, and poll said one is there.
            if inner {
                let length = (&self.inner).read(&mut buffer)?;
                end.hear_inside(&buffer[..length], &mut out);
            }
            if control {
                let (stream, _) = self.control.accept()?;
                if let Err(e) = converse(stream, end, &mut out) {
                    complain(format_args!("control socket: {e}"));
                }
            }
            self.send(&out);
        }
    }

    /// A packet that the kernel does not take is lost, as on any wire; the log says why.
    fn send(&self, out: &Output) {
        for packet in &out.to_line {
            let destination = <[u8; 16]>::try_from(&packet[24..40]).expect("a whole header");
            let to = SocketAddrV6::new(Ipv6Addr::from(destination), 0, 0, 0);
            if let Err(e) = sendto(&self.to_line, packet, SendFlags::empty(), &to) {
                complain(format_args!("{} bytes to {}: {e}", packet.len(), to.ip()));
            }
        }
        for packet in &out.to_internet {
            if let Err(e) = (&self.inner).write_all(packet) {
                complain(format_args!("{} bytes to the TUN device: {e}", packet.len()));
            }
        }
    }
}

/// Prints a line, at once.
///
/// # Errors
/// Standard output is closed or full.
pub fn say(line: impl Display) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())
}

/// Prints a line to standard error; one that nobody takes is lost.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn named(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

/// One line in, the answer out.
fn converse(stream: UnixStream, end: &mut impl End, out: &mut Output) -> io::Result<()> {
    // Packets wait meanwhile: a client that says nothing may not stop them for long.
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut line = String::new();
    BufReader::new((&stream).take(LINE)).read_line(&mut line)?;
    let answer = end.command(line.trim(), out);
    (&stream).write_all(format!("{answer}\n").as_bytes())
}

/// Sends one line to the far end at `control` and returns its answer.
///
/// # Errors
///
/// Nobody listens there.
pub fn tell(control: &Path, line: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(control)?;
    stream.write_all(format!("{line}\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
