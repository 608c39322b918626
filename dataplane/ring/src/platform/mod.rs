//! What the two systems say about an interface: its address, its MTU, and whether its driver
//! speaks netmap itself. One file per system; nothing else in this crate asks which one it is.

use std::ffi::{CStr, CString};
use std::io;
use std::net::Ipv6Addr;
use std::ptr;

use super::name::{LinkName, Rings};

#[cfg(target_os = "freebsd")]
#[path = "freebsd.rs"]
mod system;
#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod system;

pub(super) use system::{BUFFER_SIZE_HINT, HOST_RINGS_KNOW_OFFSETS, LOAD_HINT, MEMORY_HINT};
pub(super) use system::{card, keep_tags_command, no_offload_command, no_pause_command};
#[cfg(target_os = "linux")]
pub(super) use system::{driver, is_up, lower_devices, master, merges_segments, queues, upper_devices};
pub(super) use system::{dropped, missed};
pub use system::{promiscuous_command, up_command};

/// What is switched on at an interface. What the system does not say is taken for off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Card {
    /// The system's stack leaves checksums, or the cutting of long segments, to the card: netmap does neither to what it sends
    /// by the host rings.
    pub finishes: bool,
    /// Segments of TCP are put together before a program has them.
    pub merges: bool,
    /// VLAN tags are taken out of frames.
    pub takes_tags: bool,
    /// VLANs that the system has no interface for are dropped.
    pub filters_vlans: bool,
    /// Who is at the other end may have it pause (IEEE 802.3 annex 31B), or is told to.
    pub pauses: bool,
}

/// Who moves frames between the card and netmap's rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// The card's driver: zero copy.
    Native,
    /// netmap's generic adapter, on top of any driver: every frame is copied, at half the speed or
    /// less.
    Emulated,
    /// The system does not say.
    Unknown,
}

/// An interface of this machine.
#[derive(Clone, Debug)]
pub(super) struct Interface {
    pub name: String,
    pub mac: Option<[u8; 6]>,
    pub mtu: Option<u32>,
    pub adapter: Adapter,
    /// Its owner has set it up.
    pub up: bool,
    /// It is up and somebody is at the other end.
    pub carrier: bool,
}

/// What tells an interface from the next one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    index: u32,
    /// When it was attached, on systems that give a number again: see `system::attached`.
    attached: u64,
}

/// The interface that has this name now, if one has.
pub(super) fn identity(name: &str) -> io::Result<Option<Identity>> {
    let Some(index) = index(name)? else { return Ok(None) };
    Ok(system::attached(name)?.map(|attached| Identity { index, attached }))
}

/// The interface's number, if there is one of that name. An error says nothing about the interface.
pub(super) fn index(name: &str) -> io::Result<Option<u32>> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated name.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => {
            let error = io::Error::last_os_error();
            let is_answer = matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENXIO));
            if is_answer { Ok(None) } else { Err(error) }
        }
        index => Ok(Some(index)),
    }
}

/// What a link's interface is ready for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Frames pass, as far as the system knows. Links that are no interfaces, VALE ports and pipes, are always so.
    Carrier,
    /// Nobody is at the other end.
    NoCarrier,
    /// Nobody has set it up.
    Down,
    /// There is none of that name.
    Gone,
}

/// How these links are.
///
/// # Errors
/// The system does not list its interfaces.
pub fn states(links: &[&LinkName]) -> io::Result<Vec<LinkState>> {
    let interfaces = interfaces()?;
    let state = |link: &LinkName| match interfaces.iter().find(|interface| interface.name == link.port()) {
        None => LinkState::Gone,
        Some(interface) if !interface.up => LinkState::Down,
        Some(interface) if !interface.carrier => LinkState::NoCarrier,
        Some(_) => LinkState::Carrier,
    };
    Ok(links.iter().map(|link| if link.is_interface() { state(link) } else { LinkState::Carrier }).collect())
}

/// Frames that came in by the link's interface, as its driver counts them, whoever got them; `None` for links that are no
/// interfaces.
pub fn arrived(link: &LinkName) -> Option<u64> {
    link.is_interface().then(|| system::arrived(link.port()))
}

/// How many queues a link has that both receive and send; `None` where only opening it tells, or there is no such interface.
pub fn queue_pairs(link: &LinkName) -> Option<u16> {
    match link.rings() {
        Rings::One(_) => Some(1),
        _ if !link.is_interface() || !matches!(index(link.port()), Ok(Some(_))) => None,
        _ => system::queue_pairs(link.port()),
    }
}

/// The interfaces that a link could be opened on: all but loopback.
pub(super) fn interfaces() -> io::Result<Vec<Interface>> {
    let mut found = collect(|name, entry| {
        Some(Interface {
            name: name.into(),
            mac: system::mac(entry),
            mtu: system::mtu(name, entry),
            adapter: system::adapter(name),
            up: entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0,
            carrier: system::carrier(name, entry),
        })
    })?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The IPv6 addresses that the host's own stack has on the interfaces of these links, but those of a link alone.
///
/// # Errors
/// The system does not list its interfaces.
pub fn host_addresses(links: &[&LinkName]) -> io::Result<Vec<Ipv6Addr>> {
    let mut found = entries(libc::AF_INET6, |name, entry| {
        let is_of_one = links.iter().any(|link| link.is_interface() && link.port() == name);
        // SAFETY: an entry of this family has a sockaddr_in6, of whatever alignment.
        let address = unsafe { entry.ifa_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
        let address = Ipv6Addr::from(address.sin6_addr.s6_addr);
        (is_of_one && !address.is_unicast_link_local()).then_some(address)
    })?;
    found.sort_unstable();
    Ok(found)
}

/// What `of` makes of every interface's name and link-layer entry, but loopback's.
fn collect<T>(of: impl FnMut(&str, &libc::ifaddrs) -> Option<T>) -> io::Result<Vec<T>> {
    entries(system::LINK_FAMILY, of)
}

/// What `of` makes of every interface's name and each of its entries of this address family, but loopback's.
fn entries<T>(of_family: libc::c_int, mut of: impl FnMut(&str, &libc::ifaddrs) -> Option<T>) -> io::Result<Vec<T>> {
    let mut list = ptr::null_mut();
    // SAFETY: on success the call stores a list that is ours until `freeifaddrs`.
    if unsafe { libc::getifaddrs(&mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: a non-null element of the list just made.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_addr.is_null() || entry.ifa_flags & libc::IFF_LOOPBACK as libc::c_uint != 0 {
            continue;
        }
        // SAFETY: every element has a NUL-terminated name; its address was just seen not to be null.
        let (name, family) = unsafe { (CStr::from_ptr(entry.ifa_name), (*entry.ifa_addr).sa_family) };
        if i32::from(family) == of_family
            && let Ok(name) = name.to_str()
        {
            found.extend(of(name, entry));
        }
    }
    // SAFETY: the list came from `getifaddrs` and nothing borrowed from it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_interface_is_told_from_none() {
        for interface in super::interfaces().unwrap() {
            let found = super::identity(&interface.name).unwrap();
            assert!(found.is_some(), "{}", interface.name);
            assert_eq!(super::identity(&interface.name).unwrap(), found);
        }
        assert_eq!(super::identity("no-such-name").unwrap(), None);
    }

    /// None is asked of what has no interface, whatever the machine has.
    #[test]
    fn only_interfaces_have_addresses_of_the_host() {
        let none = ["netmap:no-such-name", "vale0:a"].map(|name| name.parse().unwrap());
        assert!(super::host_addresses(&none.each_ref()).unwrap().is_empty());
        let all = super::interfaces().unwrap();
        let all: Vec<_> = all.iter().filter_map(|found| format!("netmap:{}", found.name).parse().ok()).collect();
        let found = super::host_addresses(&all.iter().collect::<Vec<_>>()).unwrap();
        assert!(found.is_sorted() && found.iter().all(|address| !address.is_unicast_link_local()), "{found:?}");
    }

    #[test]
    fn interfaces_are_listed_without_loopback() {
        let all = super::interfaces().unwrap();
        assert!(all.iter().all(|i| !i.name.is_empty() && i.name != "lo" && i.name != "lo0"));
        assert!(all.iter().all(|i| i.mtu.is_none_or(|mtu| mtu >= 68)), "{all:?}");
        assert!(all.is_sorted_by(|a, b| a.name < b.name), "{all:?}");
    }
}
