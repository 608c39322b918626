//! One open `/dev/netmap`, and the mapping of a region that all of them share.

use std::ffi::CStr;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use netmap_sys::netmap::{NIOCRXSYNC, NIOCTXSYNC};
use zerocopy::{FromBytes, IntoBytes};

use super::abi::{self, Body, mode};
use super::provider::Provider;
use super::region::{Region, RegionId};

const DEVICE: &CStr = c"/dev/netmap";

/// Reads a value out of the region, where it lies inside and is aligned.
pub(super) fn read<T: FromBytes>(region: &Region, at: i64) -> Option<T> {
    let at = usize::try_from(at).ok()?;
    let end = at.checked_add(size_of::<T>())?;
    if end > region.len() || !at.is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: inside the mapping and aligned, as just checked (the mapping is page-aligned), and
    // any bytes are a `T`; volatile, because the kernel shares the memory.
    Some(unsafe { ptr::read_volatile(region.base().as_ptr().add(at).cast::<T>()) })
}

/// Writes a value into the region, where it lies inside and is aligned.
pub(super) fn write<T: IntoBytes>(region: &Region, at: usize, value: T) -> Option<()> {
    let end = at.checked_add(size_of::<T>())?;
    if end > region.len() || !at.is_multiple_of(align_of::<T>()) {
        return None;
    }
    // SAFETY: as in `read`; who may write there is the caller's business.
    unsafe { ptr::write_volatile(region.base().as_ptr().add(at).cast::<T>(), value) };
    Some(())
}

/// A mapping that this process has.
struct Mapped {
    region: Weak<Region>,
    /// Where the descriptor that made it has its list of extra buffers.
    list: usize,
}

static MAPPED: Mutex<Vec<Mapped>> = Mutex::new(Vec::new());

/// The mapping of region `mem_id`, made if there is none yet.
///
/// A mapping keeps the descriptor that made it alive, and with it whatever that descriptor has
/// bound. So it is made by one that is bound to no port (`NR_REG_NULL`), and a link that is closed
/// leaves netmap mode though others still use the memory. The region's number cannot be given to
/// other memory while it is mapped.
pub(super) fn map(mem_id: u16, memsize: u64) -> io::Result<Arc<Region>> {
    let id = RegionId(mem_id.into());
    let len = usize::try_from(memsize).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
    mapped.retain(|mapped| mapped.region.strong_count() > 0);
    let existing = mapped.iter().filter_map(|mapped| mapped.region.upgrade()).find(|r| r.id() == id && r.len() == len);
    if let Some(region) = existing {
        return Ok(region);
    }
    let device = Device::open()?;
    let mut reply = abi::Register { mem_id, mode: mode::NULL, ..Default::default() };
    device.control("hikyaku", &mut reply, None)?;
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, libc::MAP_SHARED, device.0.as_raw_fd(), 0) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    // SAFETY: the mapping was made just now with this length, and is known to nobody else.
    let region = unsafe { Region::from_mapping(base, len, id) };
    let list = reply.offset as usize + offset_of!(abi::Interface, bufs_head);
    mapped.push(Mapped { region: Arc::downgrade(&region), list });
    Ok(region)
}

/// Puts buffers that are in no ring, each with its place in the region, into the list of the descriptor that made the
/// mapping. The kernel frees them when that is closed, which is when the last ring of this process has been dropped.
pub(super) fn give_back(region: &Arc<Region>, buffers: impl Iterator<Item = (u32, usize)>) {
    let mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(list) = mapped.iter().find(|mapped| mapped.region.as_ptr() == Arc::as_ptr(region)).map(|m| m.list) else {
        return;
    };
    for (buf, at) in buffers {
        if let Some(next) = read::<u32>(region, list as i64)
            && write(region, at, next).is_some()
        {
            write(region, list, buf);
        }
    }
}

/// An open `/dev/netmap`. Closing it gives its rings back.
#[derive(Debug)]
pub(super) struct Device(OwnedFd);

impl Device {
    pub fn open() -> io::Result<Self> {
        // SAFETY: a NUL-terminated path; the result is checked before it is owned.
        let fd = unsafe { libc::open(DEVICE.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a descriptor just opened, that nobody else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Asks what `B` stands for of `port`; the kernel answers in the body and the option's status.
    pub fn control<B: Body>(
        &self,
        port: &str,
        body: &mut B,
        option: Option<&mut abi::OffsetsOption>,
    ) -> io::Result<()> {
        let mut header = abi::Header {
            version: abi::API,
            request: B::REQUEST,
            reserved: 0,
            name: [0; abi::NAME_LEN],
            options: option.map_or(0, |o| ptr::from_mut(o).expose_provenance() as u64),
            body: ptr::from_mut(body).expose_provenance() as u64,
        };
        let room = header.name.get_mut(..port.len()).filter(|room| room.len() < abi::NAME_LEN);
        room.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(port.as_bytes());
        // SAFETY: NIOCCTRL takes an nmreq_header; its body is the struct of its request (`Body`),
        // its option says what it is, and all three outlive the call.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), abi::NIOCCTRL as _, &raw mut header) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn sync(&self, request: libc::c_uint) -> io::Result<()> {
        // SAFETY: the two sync requests take no argument; what they touch is the rings' other side.
        match unsafe { libc::ioctl(self.0.as_raw_fd(), request as _, ptr::null_mut::<u8>()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Provider for Device {
    fn sync_tx(&mut self) -> io::Result<()> {
        self.sync(NIOCTXSYNC)
    }

    fn sync_rx(&mut self) -> io::Result<()> {
        self.sync(NIOCRXSYNC)
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{MemoryConfig, links};
    use crate::{Spare, handoff_ring};

    #[test]
    fn buffers_of_handoff_rings_go_back_into_the_kernels_list_once() {
        let region = Region::anonymous(1 << 20, RegionId(7), false).unwrap();
        MAPPED.lock().unwrap().push(Mapped { region: Arc::downgrade(&region), list: 64 });
        let listed = || {
            let next = |at: usize| Some(read::<u32>(&region, at as i64).unwrap()).filter(|&buf| buf != 0);
            std::iter::successors(next(64), |&buf| next(4096 + buf as usize * 2048)).collect::<Vec<_>>()
        };
        let mut spare = Spare::of_netmap((10..21).collect(), &region, 4096, 2048);
        let like = links(1, 1, MemoryConfig::default()).unwrap().remove(0).remove(0).0;
        let (out, to) = handoff_ring(&like.rx, spare.take(5)).unwrap();
        let other = handoff_ring(&like.rx, spare.take(5)).unwrap();
        assert_eq!(spare.len(), 1);
        drop(out);
        assert_eq!(listed(), []);
        drop(to);
        assert_eq!(listed(), [14, 13, 12, 11, 10]);
        drop((other, spare));
        let mut all = listed();
        all.sort_unstable();
        assert_eq!(all, (10..21).collect::<Vec<_>>());
        assert!(handoff_ring(&like.rx, Spare::of_netmap(vec![30], &region, 4096, 2048)).is_err());
        assert_eq!(listed()[0], 30);
    }
}
