//! Linux: `AF_PACKET` addresses, sysfs, and the ethtool ioctl for a driver's name.

use std::fs;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::Adapter;

/// How netmap gets into the kernel.
pub const LOAD_HINT: &str = "modprobe netmap";
/// Where netmap's memory is enlarged.
pub const MEMORY_HINT: &str = "/sys/module/netmap/parameters/{ring_num,ring_size,buf_num}";
/// Where netmap's buffers are enlarged.
pub const BUFFER_SIZE_HINT: &str = "/sys/module/netmap/parameters/buf_size";

pub(super) const LINK_FAMILY: i32 = libc::AF_PACKET;

pub(super) fn mac(entry: &libc::ifaddrs) -> Option<[u8; 6]> {
    // SAFETY: the caller found the address to be there and of family AF_PACKET, which is sockaddr_ll.
    let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_ll>() };
    let ethernet = address.sll_hatype == libc::ARPHRD_ETHER && address.sll_halen == 6;
    ethernet.then(|| *address.sll_addr.first_chunk().expect("sll_addr has eight bytes"))
}

pub(super) fn mtu(name: &str, _: &libc::ifaddrs) -> Option<u32> {
    fs::read_to_string(format!("/sys/class/net/{name}/mtu")).ok()?.trim().parse().ok()
}

/// A driver that speaks netmap itself uses the netmap module's symbols, so the kernel lists it
/// among that module's holders. Not so where netmap is built into the kernel.
pub(super) fn adapter(name: &str) -> Adapter {
    const ADMODE_GENERIC: &str = "2";
    if fs::read_to_string("/sys/module/netmap/parameters/admode").is_ok_and(|m| m.trim() == ADMODE_GENERIC) {
        return Adapter::Emulated;
    }
    let (Ok(holders), Some(driver)) = (fs::read_dir("/sys/module/netmap/holders"), driver(name)) else {
        return Adapter::Unknown;
    };
    // netmap's build can append a suffix to the drivers it patches: ixgbe_netmap.
    let is_driver = |module: &str| module.strip_prefix(&*driver).is_some_and(|s| s.is_empty() || s.starts_with('_'));
    let native = holders.flatten().any(|holder| holder.file_name().to_str().is_some_and(is_driver));
    if native { Adapter::Native } else { Adapter::Emulated }
}

/// The name of the driver's module (`ETHTOOL_GDRVINFO`).
fn driver(name: &str) -> Option<String> {
    const ETHTOOL_GDRVINFO: u32 = 3;
    /// `struct ethtool_drvinfo` of linux/ethtool.h.
    #[repr(C)]
    struct DriverInfo {
        cmd: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    const _: () = assert!(size_of::<DriverInfo>() == 196);

    // SAFETY: a plain system call; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a descriptor just made, that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut info = DriverInfo { cmd: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the request names an `ethtool_drvinfo` that lives past the call, as SIOCETHTOOL asks.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request) } != 0 {
        return None;
    }
    let len = info.driver.iter().position(|&b| b == 0)?;
    String::from_utf8(info.driver[..len].to_vec()).ok()
}
