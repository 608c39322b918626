//! The memory that rings and buffers live in: mapped once, shared by every link in it.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

/// Names one memory region. Buffers may be swapped between two rings only when both are in the
/// same region; netmap calls this number `nr_mem_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegionId(pub u64);

/// A mapping shared between this process and whoever fills the rings (kernel, or [`super::memory::Wire`]).
///
/// Unmapped when the last ring that uses it is dropped.
#[derive(Debug)]
pub struct Region {
    base: NonNull<u8>,
    len: usize,
    id: RegionId,
    huge: bool,
    /// The mapping that this is another handle to; it unmaps.
    whole: Option<Arc<Region>>,
}

// SAFETY: the region is plain memory whose lifetime is that of the `Arc` around it. Who may touch
// which part of it is decided by the ring protocol (head, cur, tail), not by this type.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

/// The smallest page of any system that this runs on.
const PAGE: usize = 4096;

/// Size of a huge page on x86-64.
const HUGE: usize = 2 << 20;

impl Region {
    /// Takes over a mapping made by `mmap`.
    ///
    /// # Safety
    /// `base..base + len` is a live mapping, readable and writable, that nobody else unmaps.
    pub unsafe fn from_mapping(base: NonNull<u8>, len: usize, id: RegionId) -> Arc<Self> {
        Arc::new(Self { base, len, id, huge: false, whole: None })
    }

    /// Anonymous zeroed memory of at least `len` bytes, on huge pages if asked for and possible. All of it is there when this
    /// returns: a packet that is the first to reach a page would wait for the system to find and clear one, 2 to 3 ms for a
    /// huge page.
    ///
    /// Transparent huge pages are asked for by `madvise`; whether the kernel grants them is its
    /// business, the memory works either way.
    pub fn anonymous(len: usize, id: RegionId, huge: bool) -> io::Result<Arc<Self>> {
        let wanted = len;
        let len = len.next_multiple_of(HUGE);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len + HUGE,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANON,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // Huge pages need an aligned start: give the ends that stick out back to the system.
        let start = (base as usize).next_multiple_of(HUGE);
        let (front, back) = (start - base as usize, base as usize + HUGE - start);
        // SAFETY: both ends lie inside the mapping made above and outside `start..start + len`.
        unsafe {
            if front > 0 {
                libc::munmap(base, front);
            }
            if back > 0 {
                libc::munmap((start + len) as *mut _, back);
            }
        }
        #[cfg(target_os = "linux")]
        {
            let advice = if huge { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
            // SAFETY: the range is ours; the call changes page size only. Refusal is harmless.
            unsafe { libc::madvise(start as *mut _, len, advice) };
        }
        let base = NonNull::new(start as *mut u8).expect("mmap returned a non-null mapping");
        for page in (0..wanted).step_by(PAGE) {
            // SAFETY: the byte lies in the mapping, which is writable and nobody else's yet; it is 0 already.
            unsafe { base.add(page).write_volatile(0) };
        }
        Ok(Arc::new(Self { base, len, id, huge, whole: None }))
    }

    /// Another handle to the same memory. Rings made with it keep it, so once nobody else does they
    /// are gone: whoever hands out parts of a region knows then that a part is free again.
    #[cfg(target_os = "linux")]
    pub(super) fn handle(self: &Arc<Self>) -> Arc<Self> {
        let Self { base, len, id, huge, .. } = **self;
        Arc::new(Self { base, len, id, huge, whole: Some(self.clone()) })
    }

    /// First byte of the region.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The length of the mapping, bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Which region it is; buffers can only be swapped within one.
    pub fn id(&self) -> RegionId {
        self.id
    }

    /// Whether huge pages were asked for.
    pub fn huge(&self) -> bool {
        self.huge
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.whole.is_none() {
            // SAFETY: `from_mapping` and `anonymous` both hand over a mapping of exactly this range,
            // and every ring that points into it keeps the `Arc`, its own or that of a handle.
            unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
        }
    }
}

/// A fixed array of zeros on pages of its own, huge ones if wanted: tables that are touched at
/// random are limited by page walks before anything else (docs/performance.md).
#[derive(Debug)]
pub struct Zeroed<T> {
    base: NonNull<T>,
    len: usize,
    /// Keeps the memory mapped.
    _region: Arc<Region>,
}

// SAFETY: a `Zeroed<T>` owns its `T`s as a `Box<[T]>` would.
unsafe impl<T: Send> Send for Zeroed<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Zeroed<T> {}

impl<T: zerocopy::FromZeros> Zeroed<T> {
    /// `len` values whose bytes are all zero.
    pub fn new(len: usize, huge: bool) -> io::Result<Self> {
        const { assert!(!std::mem::needs_drop::<T>() && align_of::<T>() <= 4096) };
        let bytes = len * size_of::<T>();
        let region = Region::anonymous(bytes, RegionId(u64::MAX), huge && bytes >= HUGE)?;
        Ok(Self { base: region.base().cast(), len, _region: region })
    }
}

impl<T> std::ops::Deref for Zeroed<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the region holds `len` values, zeroed by the system, which `FromZeros` says is
        // a valid value; it is page-aligned and lives as long as `self`.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }
}
