//! A line with habits at an interface: frames in and out, and its cable.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use hikyaku_platform::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::line::Line;

/// Longer than any frame.
const BUFFER: usize = 2048;

/// Plays it until a socket fails. What happens is printed, with the seconds since the beginning.
///
/// # Errors
/// What the kernel said to the packet socket.
pub fn play(line: &mut Line, interface: &str) -> io::Result<()> {
    let socket = wire(interface).map_err(|e| super::named(interface, e))?;
    let began = Instant::now();
    let (mut buffer, mut plugged) = ([0; BUFFER], true);
    loop {
        let now = began.elapsed();
        while let Some(frame) = line.poll(now) {
            // What is not taken is lost, as on any wire.
            let _ = send(&socket, &frame, SendFlags::empty());
        }
        while let Some(text) = line.next_log() {
            super::say(format_args!("{:7.2} {text}", now.as_secs_f32()))?;
        }
        if plugged != line.is_plugged() {
            plugged = line.is_plugged();
            pull(interface, plugged)?;
        }
        let wait = line.next().saturating_sub(now).min(Duration::from_secs(1));
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&wait))?;
        loop {
            match recv(&socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => line.hear(began.elapsed(), &buffer[..length]),
                Err(Errno::AGAIN | Errno::NETDOWN) => break,
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Takes the cable out, or puts it in: the other end of a veth sees its carrier.
fn pull(interface: &str, plugged: bool) -> io::Result<()> {
    let state = if plugged { "up" } else { "down" };
    let status = Command::new("ip").args(["link", "set", "dev", interface, state]).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("ip link set dev {interface} {state}: {status}")))
    }
}
