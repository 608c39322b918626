//! Linux: `AF_PACKET` addresses, the interface ioctls, ethtool's, and sysfs.
//!
//! sysfs shows the network namespace it was mounted in, ioctls the one that asks, so whatever an
//! ioctl answers is asked there.

use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Adapter, Card};

/// How netmap gets into the kernel.
pub const LOAD_HINT: &str = "modprobe netmap";
/// Where netmap's memory is enlarged.
pub const MEMORY_HINT: &str = "/sys/module/netmap/parameters/{ring_num,ring_size,buf_num}";
/// Where netmap's buffers are enlarged.
pub const BUFFER_SIZE_HINT: &str = "/sys/module/netmap/parameters/buf_size";

/// Whether netmap's OFFSETS option means something for host rings.
pub const HOST_RINGS_KNOW_OFFSETS: bool = true;

/// Sets an interface up.
pub fn up_command(interface: &str) -> String {
    format!("ip link set dev {interface} up")
}

/// Has a card pass on every frame.
pub fn promiscuous_command(interface: &str) -> String {
    format!("ip link set dev {interface} promisc on")
}

pub(super) const LINK_FAMILY: i32 = libc::AF_PACKET;

pub(super) fn mac(entry: &libc::ifaddrs) -> Option<[u8; 6]> {
    // SAFETY: the caller found the address to be there and of family AF_PACKET, which is sockaddr_ll.
    let address = unsafe { &*entry.ifa_addr.cast::<libc::sockaddr_ll>() };
    let ethernet = address.sll_hatype == libc::ARPHRD_ETHER && address.sll_halen == 6;
    ethernet.then(|| *address.sll_addr.first_chunk().expect("sll_addr has eight bytes"))
}

pub(super) fn mtu(name: &str, _: &libc::ifaddrs) -> Option<u32> {
    let request = control(request(name)?, libc::SIOCGIFMTU)?;
    // SAFETY: SIOCGIFMTU answers in this field.
    u32::try_from(unsafe { request.ifr_ifru.ifru_mtu }).ok()
}

/// Whether its owner has set the interface up (`IFF_UP`), with a cable in it or not.
pub fn is_up(name: &str) -> bool {
    let flags = request(name).and_then(|request| control(request, libc::SIOCGIFFLAGS));
    // SAFETY: SIOCGIFFLAGS answers in this field.
    flags.is_some_and(|request| i32::from(unsafe { request.ifr_ifru.ifru_flags }) & libc::IFF_UP != 0)
}

/// A number is not given to a second interface, so nothing else is needed.
pub(super) fn attached(_: &str) -> io::Result<Option<u64>> {
    Ok(Some(0))
}

pub(super) fn carrier(name: &str, _: &libc::ifaddrs) -> bool {
    fs::read_to_string(format!("/sys/class/net/{name}/carrier")).is_ok_and(|carrier| carrier.trim() == "1")
}

/// Frames that the driver received.
pub(super) fn arrived(name: &str) -> u64 {
    counted(name, "rx_packets")
}

/// Received frames that the card had no room for; 0 where nobody counts them.
pub fn missed(name: &str) -> u64 {
    counted(name, "rx_missed_errors")
}

/// Received frames that the driver dropped.
pub fn dropped(name: &str) -> u64 {
    counted(name, "rx_dropped")
}

fn counted(name: &str, counter: &str) -> u64 {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/statistics/{counter}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
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
pub fn driver(name: &str) -> Option<String> {
    const ETHTOOL_GDRVINFO: u32 = 3;
    /// `struct ethtool_drvinfo` of linux/ethtool.h.
    #[repr(C)]
    struct DriverInfo {
        cmd: u32,
        driver: [u8; 32],
        rest: [u8; 160],
    }
    const _: () = assert!(size_of::<DriverInfo>() == 196);

    let mut info = DriverInfo { cmd: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
    // SAFETY: an ethtool_drvinfo, which is what this command is answered in.
    unsafe { ethtool(name, &mut info) }?;
    let len = info.driver.iter().position(|&b| b == 0)?;
    String::from_utf8(info.driver[..len].to_vec()).ok()
}

/// Receive and transmit queues in use (`ETHTOOL_GCHANNELS`). A driver that cannot be asked has
/// one of each, or a number of its own that `/sys` shows.
pub fn queues(name: &str) -> (u16, u16) {
    const ETHTOOL_GCHANNELS: u32 = 0x3c;
    /// `struct ethtool_channels` of linux/ethtool.h.
    #[repr(C)]
    #[derive(Default)]
    struct Channels {
        cmd: u32,
        max: [u32; 4],
        rx: u32,
        tx: u32,
        other: u32,
        combined: u32,
    }
    const _: () = assert!(size_of::<Channels>() == 36);

    let mut channels = Channels { cmd: ETHTOOL_GCHANNELS, ..Default::default() };
    // SAFETY: an ethtool_channels, which is what this command is answered in.
    let (rx, tx) = match unsafe { ethtool(name, &mut channels) } {
        Some(()) => (channels.rx + channels.combined, channels.tx + channels.combined),
        None => {
            let queues = |prefix| {
                let entries = fs::read_dir(format!("/sys/class/net/{name}/queues")).into_iter().flatten().flatten();
                entries.filter(|e| e.file_name().to_str().is_some_and(|e| e.starts_with(prefix))).count() as u32
            };
            (queues("rx-"), queues("tx-"))
        }
    };
    let count = |n: u32| n.clamp(1, u16::MAX.into()) as u16;
    (count(rx), count(tx))
}

/// Queues that both receive and send.
pub(super) fn queue_pairs(name: &str) -> Option<u16> {
    let (rx, tx) = queues(name);
    Some(rx.min(tx))
}

/// The devices right below this one (a bridge's ports, a VLAN's or macvlan's parent, a bond's slaves), as far as they are in
/// this namespace.
pub fn lower_devices(name: &str) -> Vec<String> {
    stacked(name, "lower_")
}

/// The devices right above this one, as far as they are in this namespace.
pub fn upper_devices(name: &str) -> Vec<String> {
    stacked(name, "upper_")
}

fn stacked(name: &str, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(format!("/sys/class/net/{name}")).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(prefix)?.to_string()));
    let mut found: Vec<String> = names.collect();
    found.sort();
    found
}

/// The bridge, bond or the like that the device is a part of and that takes all frames of it.
pub fn master(name: &str) -> Option<String> {
    let link = fs::read_link(format!("/sys/class/net/{name}/master")).ok()?;
    Some(link.file_name()?.to_str()?.to_string())
}

const ETHTOOL_GFLAGS: u32 = 0x25;

/// Whether the device puts segments of TCP together before it hands them on (`ETHTOOL_GGRO`, `ETHTOOL_GFLAGS`), in software and by
/// the card: what ethtool calls `gro` and `lro`.
pub fn merges_segments(name: &str) -> (bool, bool) {
    const ETHTOOL_GGRO: u32 = 0x2b;
    const ETH_FLAG_LRO: u32 = 1 << 15;
    (setting(name, ETHTOOL_GGRO) != 0, setting(name, ETHTOOL_GFLAGS) & ETH_FLAG_LRO != 0)
}

/// The answer to a command of ethtool that asks for one number; 0 where there is none.
fn setting(name: &str, cmd: u32) -> u32 {
    /// `struct ethtool_value` of linux/ethtool.h.
    #[repr(C)]
    struct Value {
        cmd: u32,
        data: u32,
    }
    let mut value = Value { cmd, data: 0 };
    // SAFETY: an ethtool_value, which is what such commands are answered in.
    unsafe { ethtool(name, &mut value) }.map_or(0, |()| value.data)
}

/// What is switched on at the interface.
pub fn card(name: &str) -> Card {
    const ETHTOOL_GPAUSEPARAM: u32 = 0x12;
    const ETHTOOL_GTXCSUM: u32 = 0x16;
    const ETHTOOL_GTSO: u32 = 0x1e;
    const ETHTOOL_GGSO: u32 = 0x23;
    const ETH_FLAG_RXVLAN: u32 = 1 << 8;
    /// `struct ethtool_pauseparam` of linux/ethtool.h.
    #[repr(C)]
    #[derive(Default)]
    struct Pause {
        cmd: u32,
        autoneg: u32,
        rx: u32,
        tx: u32,
    }
    let mut pause = Pause { cmd: ETHTOOL_GPAUSEPARAM, ..Default::default() };
    // SAFETY: an ethtool_pauseparam, which is what this command is answered in.
    let pauses = unsafe { ethtool(name, &mut pause) }.is_some_and(|()| (pause.rx, pause.tx) != (0, 0));
    let merges = merges_segments(name);
    Card {
        finishes: [ETHTOOL_GTXCSUM, ETHTOOL_GTSO, ETHTOOL_GGSO].iter().any(|&cmd| setting(name, cmd) != 0),
        merges: merges.0 || merges.1,
        takes_tags: setting(name, ETHTOOL_GFLAGS) & ETH_FLAG_RXVLAN != 0,
        // None of these requests says it.
        filters_vlans: false,
        pauses,
    }
}

/// Has the system's stack finish what it sends, and nobody merge segments.
pub fn no_offload_command(interface: &str) -> String {
    format!("ethtool -K {interface} tx off tso off gso off gro off lro off")
}

/// Has the card leave VLAN tags in frames.
pub fn keep_tags_command(interface: &str) -> String {
    format!("ethtool -K {interface} rxvlan off txvlan off")
}

/// Has the card neither pause nor ask for it.
pub fn no_pause_command(interface: &str) -> String {
    format!("ethtool -A {interface} autoneg off rx off tx off")
}

/// A request about the interface; `None` for a name that none can have.
fn request(name: &str) -> Option<libc::ifreq> {
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    Some(request)
}

/// Asks the kernel; its answer is in the request.
fn control(request: libc::ifreq, what: libc::c_ulong) -> Option<libc::ifreq> {
    // SAFETY: a plain system call; the result is checked before it is owned.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: a descriptor just made, that nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut request = request;
    // SAFETY: all that is asked here takes an ifreq; what SIOCETHTOOL writes to beside it is
    // `ethtool`'s to see to.
    let answered = unsafe { libc::ioctl(socket.as_raw_fd(), what as _, &raw mut request) } == 0;
    answered.then_some(request)
}

/// Asks the interface's driver. The answer is in `command`.
///
/// # Safety
/// `T` is the struct of linux/ethtool.h that belongs to the command in its first word.
unsafe fn ethtool<T>(name: &str, command: &mut T) -> Option<()> {
    let mut request = request(name)?;
    request.ifr_ifru.ifru_data = std::ptr::from_mut(command).cast();
    control(request, libc::SIOCETHTOOL).map(|_| ())
}
