//! FreeBSD: `AF_LINK` addresses and sysctls.

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Adapter, Card};

/// How netmap gets into the kernel.
pub const LOAD_HINT: &str = "\"device netmap\" in the kernel's configuration; GENERIC has it";
/// Where netmap's memory is enlarged.
pub const MEMORY_HINT: &str = "sysctl dev.netmap.ring_num, ring_size and buf_num";
/// Where netmap's buffers are enlarged.
pub const BUFFER_SIZE_HINT: &str = "sysctl dev.netmap.buf_size";

/// Whether netmap's OFFSETS option means something for host rings. FreeBSD accepts it there and copies to and from the
/// buffer's start all the same (`m_copydata` in sys/dev/netmap/netmap.c); netmap's own repository mended that in 2023.
pub const HOST_RINGS_KNOW_OFFSETS: bool = false;

/// Sets an interface up.
pub fn up_command(interface: &str) -> String {
    format!("ifconfig {interface} up")
}

/// Has a card pass on every frame.
pub fn promiscuous_command(interface: &str) -> String {
    format!("ifconfig {interface} promisc")
}

/// Has the system's stack finish what it sends, and the card merge nothing.
pub fn no_offload_command(interface: &str) -> String {
    format!("ifconfig {interface} -txcsum -txcsum6 -tso -lro")
}

/// Has the card leave VLAN tags in frames, and pass on those of every VLAN.
pub fn keep_tags_command(interface: &str) -> String {
    format!("ifconfig {interface} -vlanhwtag -vlanhwfilter")
}

/// Has the card neither pause nor ask for it.
pub fn no_pause_command(interface: &str) -> String {
    format!("sysctl {}=0", flow_control(interface))
}

/// The sysctl that iflib drivers of Intel's cards have: 0 none, 1 receive, 2 transmit, 3 both (ix(4)).
fn flow_control(interface: &str) -> String {
    let (driver, unit) = driver_and_unit(interface);
    format!("dev.{driver}.{unit}.fc")
}

fn driver_and_unit(interface: &str) -> (&str, &str) {
    interface.split_at(interface.trim_end_matches(|c: char| c.is_ascii_digit()).len())
}

/// What is switched on at the interface (SIOCGIFCAP, netintro(4)).
pub fn card(interface: &str) -> Card {
    let enabled = capabilities(interface).unwrap_or(0);
    let any = |which: i32| enabled & which != 0;
    let mut pauses = 0i32;
    Card {
        finishes: any(libc::IFCAP_TXCSUM | libc::IFCAP_TXCSUM_IPV6 | libc::IFCAP_TSO),
        merges: any(libc::IFCAP_LRO),
        takes_tags: any(libc::IFCAP_VLAN_HWTAGGING),
        filters_vlans: any(libc::IFCAP_VLAN_HWFILTER),
        pauses: sysctl(&flow_control(interface), Some(&mut pauses)) && pauses != 0,
    }
}

/// The capabilities that are in use, bits of `IFCAP_…`.
fn capabilities(interface: &str) -> Option<i32> {
    /// `_IOWR('i', 31, struct ifreq)` of sys/sockio.h.
    const SIOCGIFCAP: libc::c_ulong = 0xc020_691f;
    const _: () = assert!(size_of::<libc::ifreq>() == 32);
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if interface.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: a plain system call; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_LOCAL, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a descriptor just made, that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: this request is answered in the ifreq, and is shorter than it.
    let answered = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGIFCAP, &raw mut request) } == 0;
    // SAFETY: the kernel answered in this member: what may be in use, what is.
    answered.then(|| unsafe { request.ifr_ifru.ifru_cap[1] })
}

pub(super) const LINK_FAMILY: i32 = libc::AF_LINK;

pub(super) fn mac(entry: &libc::ifaddrs) -> Option<[u8; 6]> {
    // SAFETY: the caller found the address to be there and of family AF_LINK, which is sockaddr_dl.
    let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_dl>() };
    // `LLADDR` of net/if_dl.h: the address follows the name.
    let at = usize::from(address.sdl_nlen);
    let bytes = address.sdl_data.get(at..at + 6).filter(|_| address.sdl_alen == 6)?;
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(bytes) {
        *to = *from as u8;
    }
    Some(mac)
}

pub(super) fn mtu(_: &str, entry: &libc::ifaddrs) -> Option<u32> {
    // SAFETY: getifaddrs(3) makes `ifa_data` of an AF_LINK entry point at an if_data, or null.
    let data = unsafe { entry.ifa_data.cast::<libc::if_data>().as_ref() }?;
    Some(data.ifi_mtu)
}

/// Drivers that cannot tell say "unknown": such a link is taken for up.
pub(super) fn carrier(_: &str, entry: &libc::ifaddrs) -> bool {
    const LINK_STATE_DOWN: u8 = 1;
    let up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
    // SAFETY: getifaddrs(3) makes `ifa_data` of an AF_LINK entry point at an if_data, or null.
    let data = unsafe { entry.ifa_data.cast::<libc::if_data>().as_ref() };
    up && data.is_none_or(|data| data.ifi_link_state != LINK_STATE_DOWN)
}

/// Frames that the driver received.
pub(super) fn arrived(name: &str) -> u64 {
    counted(name, |data| data.ifi_ipackets)
}

/// Received frames that the card had no room for; 0 where nobody counts them.
pub fn missed(name: &str) -> u64 {
    counted(name, |data| data.ifi_iqdrops)
}

fn counted(name: &str, counter: impl Fn(&libc::if_data) -> u64) -> u64 {
    let of = |entry: &libc::ifaddrs| {
        // SAFETY: getifaddrs(3) makes `ifa_data` of an AF_LINK entry point at an if_data, or null.
        unsafe { entry.ifa_data.cast::<libc::if_data>().as_ref() }.map(&counter)
    };
    let found = super::collect(|its, entry| if its == name { of(entry) } else { None });
    found.ok().and_then(|mut found| found.pop()).unwrap_or(0)
}

/// Received frames that the driver dropped: they are among those that were missed.
pub fn dropped(_: &str) -> u64 {
    0
}

/// Netmap says it of a link that is open; nobody else does for every driver.
pub(super) fn queue_pairs(_: &str) -> Option<u16> {
    None
}

/// The next interface gets the lowest number that is free. What tells it from the last one is when it was
/// attached, in seconds since the system started: one that is removed and made anew within a second is not
/// told apart.
pub(super) fn attached(name: &str) -> io::Result<Option<u64>> {
    let epoch = |entry: &libc::ifaddrs| {
        // SAFETY: getifaddrs(3) makes `ifa_data` of an AF_LINK entry point at an if_data, or null.
        let data = unsafe { entry.ifa_data.cast::<libc::if_data>().as_ref() }?;
        // SAFETY: both members of the union have 64 bits, any of which are a number.
        Some(unsafe { data.__ifi_epoch.ph })
    };
    Ok(super::collect(|its, entry| if its == name { epoch(entry) } else { None })?.pop())
}

/// Every iflib driver (ix, ixl, ice, igb, em, …) speaks netmap and has a sysctl subtree of that
/// name; of the few others that do, nothing can be asked.
pub(super) fn adapter(name: &str) -> Adapter {
    const ADMODE_GENERIC: i32 = 2;
    let mut mode = 0i32;
    if sysctl("dev.netmap.admode", Some(&mut mode)) && mode == ADMODE_GENERIC {
        return Adapter::Emulated;
    }
    let (driver, unit) = driver_and_unit(name);
    if sysctl(&format!("dev.{driver}.{unit}.iflib.driver_version"), None) { Adapter::Native } else { Adapter::Unknown }
}

/// Whether the sysctl exists; its value too, where it is an integer that is asked for.
fn sysctl(name: &str, value: Option<&mut i32>) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    let mut len = size_of::<i32>();
    let (to, len) = match value {
        Some(value) => (ptr::from_mut(value).cast(), &raw mut len),
        None => (ptr::null_mut(), &raw mut len),
    };
    // SAFETY: the name is NUL-terminated; `to` is null, which asks for the length alone, or has
    // room for the `len` bytes that may be written.
    unsafe { libc::sysctlbyname(name.as_ptr(), to, len, ptr::null(), 0) == 0 }
}
