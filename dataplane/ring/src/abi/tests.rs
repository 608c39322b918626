//! The layouts and numbers that the kernel and this crate must agree on.
//!
//! The literals are what a C compiler says of `net/netmap.h` (API 14, FreeBSD 14 and the netmap
//! repository). Where `netmap_sys` is used it is held against them; where it is wrong the test
//! says so, so that a corrected release of that crate is noticed.

use std::mem::align_of;

use netmap_sys::netmap::*;

use super::*;

/// `_IOWR(group, number, size)` and `_IO(group, number)` of `sys/ioccom.h` and `asm/ioctl.h`.
const fn iowr(group: u8, number: u8, size: usize) -> u64 {
    0xc000_0000 | (size as u64) << 16 | (group as u64) << 8 | number as u64
}
const IOC_VOID: u64 = if cfg!(target_os = "freebsd") { 0x2000_0000 } else { 0 };

#[test]
fn slot() {
    assert_eq!(size_of::<netmap_slot>(), 16);
    assert_eq!(offset_of!(netmap_slot, buf_idx), 0);
    assert_eq!(offset_of!(netmap_slot, len), 4);
    assert_eq!(offset_of!(netmap_slot, flags), 6);
    assert_eq!(offset_of!(netmap_slot, ptr), 8);
    assert_eq!((NS_BUF_CHANGED, NS_MOREFRAG), (0x01, 0x20));
}

#[test]
fn ring() {
    assert_eq!(size_of::<netmap_ring>(), 256);
    assert_eq!(offset_of!(netmap_ring, buf_ofs), 0);
    assert_eq!(offset_of!(netmap_ring, num_slots), 8);
    assert_eq!(offset_of!(netmap_ring, nr_buf_size), 12);
    assert_eq!(offset_of!(netmap_ring, ringid), 16);
    assert_eq!(offset_of!(netmap_ring, dir), 18);
    assert_eq!(offset_of!(netmap_ring, head), 20);
    assert_eq!(offset_of!(netmap_ring, cur), 24);
    assert_eq!(offset_of!(netmap_ring, tail), 28);
    assert_eq!(offset_of!(netmap_ring, flags), 32);
    assert_eq!(offset_of!(netmap_ring, ts), 40);
    assert_eq!(offset_of!(netmap_ring, sem), 128);
    assert_eq!(offset_of!(netmap_ring, slot), 256);
}

/// C says 128. The kernel puts rings at multiples of 64, so nothing here may assume more anyway.
#[test]
fn ring_alignment_is_wrong_in_the_crate() {
    assert_eq!(align_of::<netmap_ring>(), 8);
}

#[test]
fn interface_is_that_of_the_crate_with_the_host_rings_named() {
    assert_eq!(size_of::<netmap_if>(), size_of::<Interface>());
    assert_eq!(offset_of!(netmap_if, ni_name), offset_of!(Interface, name));
    assert_eq!(offset_of!(netmap_if, ni_version), offset_of!(Interface, version));
    assert_eq!(offset_of!(netmap_if, ni_flags), offset_of!(Interface, flags));
    assert_eq!(offset_of!(netmap_if, ni_tx_rings), offset_of!(Interface, tx_rings));
    assert_eq!(offset_of!(netmap_if, ni_rx_rings), offset_of!(Interface, rx_rings));
    assert_eq!(offset_of!(netmap_if, ni_bufs_head), offset_of!(Interface, bufs_head));
    assert_eq!(offset_of!(netmap_if, ni_spare1), offset_of!(Interface, host_tx_rings));
    assert_eq!(offset_of!(netmap_if, ring_ofs), 56);
}

#[test]
fn ring_offsets_are_ordered_tx_host_tx_rx_host_rx() {
    let interface = Interface {
        name: [0; 16],
        version: 0,
        flags: 0,
        tx_rings: 4,
        rx_rings: 3,
        bufs_head: 0,
        host_tx_rings: 2,
        host_rx_rings: 1,
        spare: [0; 3],
    };
    assert_eq!([interface.tx(0), interface.tx(3)], [0, 3]);
    assert_eq!([interface.host_tx(0), interface.host_tx(1)], [4, 5]);
    assert_eq!([interface.rx(0), interface.rx(2)], [6, 8]);
    assert_eq!(interface.host_rx(0), 9);
}

#[test]
fn ioctl_numbers() {
    assert_eq!(NIOCTXSYNC as u64, IOC_VOID | 0x6994);
    assert_eq!(NIOCRXSYNC as u64, IOC_VOID | 0x6995);
    assert_eq!(NIOCCTRL, iowr(b'i', 151, size_of::<Header>()));
}

#[test]
fn flags_that_both_have() {
    assert_eq!(NR_REG_ONE_NIC, mode::ONE_NIC);
    assert_eq!(NR_EXCLUSIVE as u64, flag::EXCLUSIVE);
}

/// The reason for `abi.rs`: a current kernel answers EINVAL to anything below 14.
#[test]
fn the_crate_speaks_an_api_that_kernels_refuse() {
    assert_eq!(NETMAP_API, 11);
    assert_eq!(API, 14);
    assert!(i64::from(API) <= i64::from(NETMAP_MAX_API));
}
