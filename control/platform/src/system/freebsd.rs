//! FreeBSD.

use std::fs::File;
use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use libc::{c_int, c_ulong, id_t};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, sockopt};

/// Forbids core dumps of this process, and debuggers and ktrace at it (procctl(2), PROC_TRACE_CTL).
///
/// # Errors
/// What the kernel says: it refuses while a debugger is there.
pub fn forbid_inspection() -> io::Result<()> {
    let mut value: c_int = libc::PROC_TRACE_CTL_DISABLE;
    // rustix 1.1 passes the value where the kernel reads through a pointer, and gets EFAULT.
    // SAFETY: this command reads an int at that address, and keeps no pointer to it.
    let result = unsafe {
        libc::procctl(libc::P_PID, std::process::id() as id_t, libc::PROC_TRACE_CTL, (&raw mut value).cast())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A socket that groups are joined by, and a packet filter device for promiscuous mode. Both end with their
/// descriptor: the ioctls that change an interface's filter for good (SIOCADDMULTI, SIOCSIFFLAGS) are not used.
#[derive(Debug)]
pub(crate) struct Holder {
    socket: io::Result<OwnedFd>,
    filter: io::Result<File>,
}

impl Holder {
    /// Which of both is needed, and whether at all, is not known yet; so an error is kept until it is.
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: socket(), filter: File::open("/dev/bpf") })
    }

    pub fn join(&self, index: u32, group: Ipv6Addr) -> io::Result<()> {
        Ok(sockopt::set_ipv6_add_membership(held(&self.socket)?, &group, index)?)
    }

    pub fn leave(&self, index: u32, group: Ipv6Addr) -> io::Result<()> {
        Ok(sockopt::set_ipv6_drop_membership(held(&self.socket)?, &group, index)?)
    }

    /// There is no such thing.
    pub fn add_station(&self, _: u32, _: [u8; 6]) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "a card has one address"))
    }

    pub fn hear_all(&mut self, interface: &str, _: u32) -> io::Result<()> {
        let filter = held(&self.filter)?.as_raw_fd();
        // SAFETY: all bytes zero is a value of this C struct.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        if interface.len() >= request.ifr_name.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no interface has a name that long"));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
            *to = from as libc::c_char;
        }
        // SAFETY: BIOCSETIF reads the name in an ifreq; BIOCPROMISC takes no argument.
        let ok = unsafe {
            libc::ioctl(filter, libc::BIOCSETIF, &raw mut request) == 0
                && libc::ioctl(filter, libc::BIOCPROMISC as c_ulong) == 0
        };
        if ok { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The socket's memberships are of an interface that is no more, and leaving them takes a new socket. The packet
    /// filter was let go of by the interface and takes another.
    pub fn renew(&mut self) {
        self.socket = socket();
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}

fn held<T>(descriptor: &io::Result<T>) -> io::Result<&T> {
    descriptor.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
}
