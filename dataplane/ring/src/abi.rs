//! What the `netmap_sys` crate lacks of `net/netmap.h`: the control API of version 14.
//!
//! The crate has slots, rings and the sync ioctls right and the rest of this crate uses them from
//! there. It stops at API 11, which a current kernel refuses: no `NIOCCTRL`, no options, no count
//! of host rings. Those are here, once, and every size and offset is asserted at compile time
//! against the numbers that a C compiler gave for the FreeBSD 14 header
//! (`abi/tests.rs` asserts both halves against each other).

#[cfg(test)]
mod tests;

use std::mem::{offset_of, size_of};

/// `NETMAP_API`: the version this module was written for. Kernels accept 14 and 15.
pub const API: u16 = 14;

/// `NIOCCTRL`, `_IOWR('i', 151, struct nmreq_header)`: the same number on Linux and FreeBSD.
pub const NIOCCTRL: u64 = 0xc058_6997;

/// Length of a port's name, with its NUL.
pub const NAME_LEN: usize = 64;

/// The struct of one kind of request.
///
/// # Safety
/// The kernel reads and writes a struct of its own choice for `REQUEST` at the address it is
/// given: the implementing type must have that struct's layout, and every bit pattern must be a
/// value of it.
pub unsafe trait Body {
    /// The request's number, one of netmap's `NETMAP_REQ_*`.
    const REQUEST: u16;
}

// SAFETY: NETMAP_REQ_REGISTER takes an nmreq_register, whose layout is asserted below; integers only.
unsafe impl Body for Register {
    const REQUEST: u16 = 1;
}

// SAFETY: NETMAP_REQ_PORT_INFO_GET takes an nmreq_port_info_get, likewise.
unsafe impl Body for PortInfo {
    const REQUEST: u16 = 2;
}

// SAFETY: NETMAP_REQ_POOLS_INFO_GET takes an nmreq_pools_info, likewise.
unsafe impl Body for PoolsInfo {
    const REQUEST: u16 = 12;
}

/// Which rings a descriptor binds (`NR_REG_*`).
pub mod mode {
    /// One hardware ring pair, number `ring`.
    pub const ONE_NIC: u32 = 4;
    /// No port: only access to the memory region `mem_id`.
    pub const NULL: u32 = 7;
    /// One host ring pair, number `ring`.
    pub const ONE_SW: u32 = 8;
}

/// Flags of [`Register`] (`NR_*`).
pub mod flag {
    /// Fail if somebody has these rings, and let nobody else have them. Without it a second
    /// program opens the same rings and both lose frames.
    pub const EXCLUSIVE: u64 = 0x800;
    /// `poll` does not push transmit rings: the worker syncs them itself.
    pub const NO_TX_POLL: u64 = 0x2_0000;
}

/// Kinds of option (`NETMAP_REQ_OPT_*`).
pub mod option {
    /// Frames may start at an offset in their buffers.
    pub const OFFSETS: u32 = 5;
}

/// `struct nmreq_header`: what every `NIOCCTRL` passes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The version of the control API, always [`API`].
    pub version: u16,
    /// What is asked, the body's [`Body::REQUEST`].
    pub request: u16,
    /// Padding that netmap wants to be zero.
    pub reserved: u32,
    /// The port, NUL-terminated, without scheme and ring suffix: the kernel knows neither.
    pub name: [u8; NAME_LEN],
    /// Address of the first option, or 0.
    pub options: u64,
    /// Address of the request's own struct.
    pub body: u64,
}

/// `struct nmreq_register`: binds a port, or some rings of it, to a descriptor.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Register {
    /// Out: where the [`Interface`] is in the region.
    pub offset: u64,
    /// Out: size of the region.
    pub memsize: u64,
    /// In, for ports that netmap makes up; out: slots of each transmit ring.
    pub tx_slots: u32,
    /// As `tx_slots`, for receive rings.
    pub rx_slots: u32,
    /// Number of transmit rings.
    pub tx_rings: u16,
    /// Number of receive rings.
    pub rx_rings: u16,
    /// Host transmit rings asked for. Not reliable as an answer: see [`Interface::host_tx_rings`].
    pub host_tx_rings: u16,
    /// How many receive rings the host's own stack has; 0 asks for as many as there are.
    pub host_rx_rings: u16,
    /// In: the region to use, 0 for the kernel's choice; out: the region in use.
    pub mem_id: u16,
    /// The ring, for the modes that bind one.
    pub ring: u16,
    /// Which rings are bound, one of [`mode`].
    pub mode: u32,
    /// Buffers wanted beside those of the rings.
    pub extra_bufs: u32,
    /// How the port is opened, bits of [`flag`].
    pub flags: u64,
}

/// `struct nmreq_port_info_get`: the rings of a port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PortInfo {
    /// Size of the region.
    pub memsize: u64,
    /// Slots of each transmit ring.
    pub tx_slots: u32,
    /// Slots of each receive ring.
    pub rx_slots: u32,
    /// Number of transmit rings.
    pub tx_rings: u16,
    /// Number of receive rings.
    pub rx_rings: u16,
    /// Number of host transmit rings.
    pub host_tx_rings: u16,
    /// Number of host receive rings.
    pub host_rx_rings: u16,
    /// The number of the memory region, `nr_mem_id`.
    pub mem_id: u16,
    /// Padding that netmap wants to be zero.
    pub pad: [u16; 3],
}

/// `struct nmreq_pools_info`: the sizes of a memory region.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct PoolsInfo {
    /// Size of the region.
    pub memsize: u64,
    /// In where the request names no port; out: the region.
    pub mem_id: u16,
    /// Padding that netmap wants to be zero.
    pub pad: [u16; 3],
    /// Where in the region the [`Interface`]s are, bytes.
    pub if_pool_offset: u64,
    /// How many interfaces fit.
    pub if_pool_objects: u32,
    /// How large each of them is, bytes.
    pub if_pool_object_size: u32,
    /// Where in the region the rings are, bytes.
    pub ring_pool_offset: u64,
    /// How many rings fit.
    pub ring_pool_objects: u32,
    /// Bytes of each, which limits the slots of a ring.
    pub ring_pool_object_size: u32,
    /// Where in the region the buffers are, bytes.
    pub buf_pool_offset: u64,
    /// How many there are.
    pub buf_pool_objects: u32,
    /// How large each of them is, bytes.
    pub buf_pool_object_size: u32,
}

/// `struct nmreq_option`: head of every option.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OptionHeader {
    /// Address of the next option, or 0.
    pub next: u64,
    /// Which option it is, one of [`option`].
    pub kind: u32,
    /// Out: 0, or the errno that says why the kernel does not do it.
    pub status: u32,
    /// Zero for options of fixed size.
    pub size: u64,
}

/// netmap's `struct nmreq_opt_offsets`: frames may begin anywhere in a buffer, and slots say where.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OffsetsOption {
    /// What all options begin with.
    pub header: OptionHeader,
    /// The largest offset that a slot will have. A larger one is cut to it without a word.
    pub max_offset: u64,
    /// Written into every slot when the ring is bound.
    pub initial_offset: u64,
    /// How many low bits of a slot's `ptr` are the offset.
    pub bits: u32,
    /// Alignment wanted for frames sent; 0 for none.
    pub tx_align: u32,
    /// For several offsets into one buffer; 0 for one frame per buffer.
    pub min_gap: u64,
}

/// `struct netmap_if`: lies in the region, one for each descriptor.
///
/// Followed by `ring_ofs`, a signed word per ring: where the ring is relative to this struct, in
/// the order tx, host tx, rx, host rx; 0 for a ring that the descriptor did not bind.
#[repr(C)]
#[derive(Clone, Copy, Debug, zerocopy::FromBytes)]
pub struct Interface {
    /// Name of the interface.
    pub name: [u8; 16],
    /// A version that nobody fills in.
    pub version: u32,
    /// Bit 0: the region is private to this port.
    pub flags: u32,
    /// Number of transmit rings.
    pub tx_rings: u32,
    /// Number of receive rings.
    pub rx_rings: u32,
    /// First of the extra buffers, 0 for none.
    pub bufs_head: u32,
    /// Number of host transmit rings.
    pub host_tx_rings: u32,
    /// Number of host receive rings.
    pub host_rx_rings: u32,
    /// Words that nobody uses.
    pub spare: [u32; 3],
}

impl Interface {
    /// Index of transmit ring `n` in `ring_ofs`.
    pub fn tx(&self, n: u16) -> usize {
        n as usize
    }

    /// Index of host transmit ring `n` in `ring_ofs`.
    pub fn host_tx(&self, n: u16) -> usize {
        self.tx_rings as usize + n as usize
    }

    /// Index of receive ring `n` in `ring_ofs`.
    pub fn rx(&self, n: u16) -> usize {
        self.tx_rings as usize + self.host_tx_rings as usize + n as usize
    }

    /// Index of host receive ring `n` in `ring_ofs`.
    pub fn host_rx(&self, n: u16) -> usize {
        self.rx(0) + self.rx_rings as usize + n as usize
    }
}

/// Checks a struct against the numbers of the C header.
macro_rules! layout {
    ($type:ty, $size:literal, $($field:ident @ $offset:literal),+) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(offset_of!($type, $field) == $offset);)+
        };
    };
}

layout!(Header, 88, version @ 0, request @ 2, reserved @ 4, name @ 8, options @ 72, body @ 80);
layout!(Register, 56, offset @ 0, memsize @ 8, tx_slots @ 16, rx_slots @ 20, tx_rings @ 24, rx_rings @ 26,
    host_tx_rings @ 28, host_rx_rings @ 30, mem_id @ 32, ring @ 34, mode @ 36, extra_bufs @ 40, flags @ 48);
layout!(PortInfo, 32, memsize @ 0, tx_slots @ 8, rx_slots @ 12, tx_rings @ 16, rx_rings @ 18,
    host_tx_rings @ 20, host_rx_rings @ 22, mem_id @ 24);
layout!(PoolsInfo, 64, memsize @ 0, mem_id @ 8, if_pool_offset @ 16, ring_pool_offset @ 32,
    ring_pool_object_size @ 44, buf_pool_offset @ 48, buf_pool_objects @ 56, buf_pool_object_size @ 60);
layout!(OptionHeader, 24, next @ 0, kind @ 8, status @ 12, size @ 16);
layout!(OffsetsOption, 56, header @ 0, max_offset @ 24, initial_offset @ 32, bits @ 40, tx_align @ 44, min_gap @ 48);
layout!(Interface, 56, name @ 0, version @ 16, flags @ 20, tx_rings @ 24, rx_rings @ 28, bufs_head @ 32,
    host_tx_rings @ 36, host_rx_rings @ 40);
