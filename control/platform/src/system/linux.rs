//! Linux.

use std::fs::File;
use std::io;
use std::mem;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use libc::c_int;
use rustix::ioctl::{Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Forbids core dumps of this process and looking into it from outside (prctl(2), PR_SET_DUMPABLE). Becoming another
/// user allows both again.
///
/// # Errors
/// What the kernel says.
pub fn forbid_inspection() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A packet socket: memberships are its own, and need no more rights than making it did (packet(7)).
#[derive(Debug)]
pub(crate) struct Holder(OwnedFd);

impl Holder {
    pub fn open() -> io::Result<Self> {
        // Of no protocol: it receives nothing.
        Ok(Self(socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?))
    }

    pub fn join(&self, index: u32, group: Ipv6Addr) -> io::Result<()> {
        self.membership(libc::PACKET_ADD_MEMBERSHIP, index, libc::PACKET_MR_MULTICAST, Some(ethernet(group)))
    }

    pub fn leave(&self, index: u32, group: Ipv6Addr) -> io::Result<()> {
        self.membership(libc::PACKET_DROP_MEMBERSHIP, index, libc::PACKET_MR_MULTICAST, Some(ethernet(group)))
    }

    /// A card that has no room for further addresses is made promiscuous by the kernel.
    pub fn add_station(&self, index: u32, mac: [u8; 6]) -> io::Result<()> {
        self.membership(libc::PACKET_ADD_MEMBERSHIP, index, libc::PACKET_MR_UNICAST, Some(mac))
    }

    pub fn hear_all(&mut self, _: &str, index: u32) -> io::Result<()> {
        self.membership(libc::PACKET_ADD_MEMBERSHIP, index, libc::PACKET_MR_PROMISC, None)
    }

    /// The kernel has ended the memberships of an interface that went away; the socket is good for the next.
    pub fn renew(&mut self) {}

    fn membership(&self, what: c_int, index: u32, kind: c_int, address: Option<[u8; 6]>) -> io::Result<()> {
        let mut request = libc::packet_mreq {
            mr_ifindex: index as c_int,
            mr_type: kind as u16,
            mr_alen: address.map_or(0, |address| address.len() as u16),
            mr_address: [0; 8],
        };
        request.mr_address[..6].copy_from_slice(&address.unwrap_or_default());
        set_option(&self.0, what, &request)
    }
}

/// The Ethernet address of an IPv6 group (RFC 2464 7).
fn ethernet(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// A socket for whole Ethernet frames of one interface, those aside that leave by it otherwise. CAP_NET_RAW is needed.
///
/// # Errors
/// There is no such interface; or what the kernel says.
pub fn wire(interface: &str) -> io::Result<OwnedFd> {
    let every = libc::ETH_P_ALL as u16;
    // Nothing is heard before it is bound.
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    set_option(&socket, libc::PACKET_IGNORE_OUTGOING, &1)?;
    // SAFETY: all bytes zero is a value of this C struct.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = every.to_be();
    address.sll_ifindex = crate::interface::index(interface)? as c_int;
    // SAFETY: a sockaddr_ll of that length, which the call only reads.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32) };
    if result == 0 { Ok(socket) } else { Err(io::Error::last_os_error()) }
}

/// An option of packet sockets that reads a `T` (packet(7)).
fn set_option<T: Copy>(socket: &OwnedFd, option: c_int, value: &T) -> io::Result<()> {
    let len = size_of_val(value) as libc::socklen_t;
    // SAFETY: the kernel reads `len` bytes, which are there, and keeps no pointer to them.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_PACKET, option, ptr::from_ref(value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the TUN device `name`, or opens it if it is there and nobody has it: IPv4 and IPv6 packets without any header
/// in front are read and written. CAP_NET_ADMIN is needed.
///
/// # Errors
/// The name has not 1 to 15 bytes; or what the kernel says.
pub fn tun(name: &str) -> io::Result<File> {
    // linux/if_tun.h and linux/if.h.
    const TUNSETIFF: u32 = 0x4004_54ca;
    const IFF_TUN: u16 = 0x0001;
    const IFF_NO_PI: u16 = 0x1000;
    const IFNAMSIZ: usize = 16;
    if name.is_empty() || name.len() >= IFNAMSIZ {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name has 1 to 15 bytes"));
    }
    let mut ifreq = [0_u8; 40];
    ifreq[..name.len()].copy_from_slice(name.as_bytes());
    ifreq[IFNAMSIZ..IFNAMSIZ + 2].copy_from_slice(&(IFF_TUN | IFF_NO_PI).to_ne_bytes());
    let device = File::options().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: TUNSETIFF reads a struct ifreq, which is these 40 bytes on 64-bit Linux, name and
    // flags first; it keeps no pointer to them.
    unsafe { ioctl(&device, Setter::<TUNSETIFF, [u8; 40]>::new(ifreq)) }?;
    Ok(device)
}
