//! The atomics and lock of the session table; loom's under `--cfg loom`, so that the model checker
//! runs the very code that forwards packets.

#[cfg(not(loom))]
pub use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};

/// A fixed array, zeroed.
#[cfg(not(loom))]
pub type Slab<T> = hikyaku_ring::Zeroed<T>;

/// A fixed array, zeroed.
#[cfg(loom)]
pub type Slab<T> = Box<[T]>;

/// `len` zeroes of `T`, on huge pages if wanted.
#[cfg(not(loom))]
pub fn slab<T: zerocopy::FromZeros>(len: usize, huge: bool) -> std::io::Result<Slab<T>> {
    Slab::new(len, huge)
}

/// `len` zeroes of `T`.
#[cfg(loom)]
pub fn slab<T: Default>(len: usize, _huge: bool) -> std::io::Result<Slab<T>> {
    Ok((0..len).map(|_| T::default()).collect())
}
