//! The program at an interface that hands frames to the sockets: five instructions, made here, and
//! the map that it looks the sockets up in (bpf(2), linux/bpf.h).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::{Attach, Step};

/// An attached program and its map. Closing the link's descriptor, as the system does for a program
/// that was killed, detaches it.
#[derive(Debug)]
pub(super) struct Program {
    sockets: OwnedFd,
    _link: OwnedFd,
    ifindex: u32,
    attach: Attach,
}

impl Program {
    /// Loads the program and attaches it to an interface with `queues` receive queues. Fails with
    /// `EBUSY` or `EEXIST` where there is one already: it is not replaced.
    pub fn attach(ifindex: u32, queues: u16, attach: Attach) -> Result<Self, Step> {
        let sockets = create_map(queues.into()).map_err(Step::of("create its map of sockets"))?;
        let program = load(&sockets).map_err(Step::of("load its program"))?;
        let _link = create_link(&program, ifindex, attach).map_err(Step::of("attach its program"))?;
        Ok(Self { sockets, _link, ifindex, attach })
    }

    /// Sends the frames of a receive queue to a socket from now on. The kernel forgets a socket
    /// that is closed.
    pub fn redirect(&self, queue: u32, socket: &OwnedFd) -> Result<(), Step> {
        let value = socket.as_raw_fd() as u32;
        let element = UpdateElement {
            map: self.sockets.as_raw_fd() as u32,
            _pad: 0,
            key: address(&queue),
            value: address(&value),
            flags: 0,
        };
        // SAFETY: key and value are words, which is what the map was made for, and outlive the call.
        unsafe { bpf(command::MAP_UPDATE_ELEM, &element) }.map(|_| ()).map_err(Step::of("put a socket into its map"))
    }

    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    pub fn mode(&self) -> Attach {
        self.attach
    }
}

/// The commands of bpf(2) that are used, `enum bpf_cmd`.
mod command {
    pub const MAP_CREATE: libc::c_int = 0;
    pub const MAP_UPDATE_ELEM: libc::c_int = 2;
    pub const PROG_LOAD: libc::c_int = 5;
    pub const LINK_CREATE: libc::c_int = 28;
}

// Of linux/bpf.h and linux/if_link.h.
const MAP_TYPE_XSKMAP: u32 = 17;
const PROG_TYPE_XDP: u32 = 6;
const ATTACH_TYPE_XDP: u32 = 37;
const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// How `bpftool` and `ip link` show the program.
const NAME: [u8; 16] = *b"hikyaku\0\0\0\0\0\0\0\0\0";

/// The members of `union bpf_attr` that are used here, as the kernel of each command wants them.
/// It takes what it is not given for zeros.
#[repr(C)]
struct CreateMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
}

#[repr(C)]
struct UpdateElement {
    map: u32,
    _pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct LoadProgram {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel: u32,
    flags: u32,
    name: [u8; 16],
}

#[repr(C)]
struct CreateLink {
    program: u32,
    target: u32,
    kind: u32,
    flags: u32,
}

fn create_map(entries: u32) -> io::Result<OwnedFd> {
    let map = CreateMap {
        kind: MAP_TYPE_XSKMAP,
        key_size: 4,
        value_size: 4,
        entries,
        flags: 0,
        inner: 0,
        node: 0,
        name: NAME,
    };
    // SAFETY: no addresses among the words; the answer is a new descriptor.
    unsafe { bpf(command::MAP_CREATE, &map).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn load(sockets: &OwnedFd) -> io::Result<OwnedFd> {
    let instructions = to_socket(sockets.as_raw_fd());
    let license: &CStr = c"BSD";
    let program = LoadProgram {
        kind: PROG_TYPE_XDP,
        count: instructions.len() as u32,
        instructions: address(&instructions),
        license: license.as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel: 0,
        flags: 0,
        name: NAME,
    };
    // SAFETY: `instructions` is an array of that many instructions and `license` a string; both
    // outlive the call, and the answer is a new descriptor.
    unsafe { bpf(command::PROG_LOAD, &program).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn create_link(program: &OwnedFd, ifindex: u32, attach: Attach) -> io::Result<OwnedFd> {
    let flags = match attach {
        Attach::Native => XDP_FLAGS_DRV_MODE,
        Attach::Generic => XDP_FLAGS_SKB_MODE,
    };
    let link = CreateLink { program: program.as_raw_fd() as u32, target: ifindex, kind: ATTACH_TYPE_XDP, flags };
    // SAFETY: no addresses among the words; the answer is a new descriptor.
    unsafe { bpf(command::LINK_CREATE, &link).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

fn address<T>(value: &T) -> u64 {
    std::ptr::from_ref(value).expose_provenance() as u64
}

/// # Safety
/// `T` is the member of `union bpf_attr` that belongs to the command, and addresses in it are those
/// of what the kernel will look for there.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_int> {
    // SAFETY: the caller's promise.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as libc::c_int) }
}

/// `struct bpf_insn`. Registers: the destination in the low four bits.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

/// The program:
///
/// ```c
/// return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
/// ```
///
/// The last argument is the verdict where the map has no socket for the queue (Linux 5.3): the
/// frame is the host's then.
fn to_socket(sockets: libc::c_int) -> [Instruction; 6] {
    const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
    const LOAD_IMMEDIATE_64: u8 = 0x18; // BPF_LD | BPF_DW | BPF_IMM, two instructions long
    const MOVE_IMMEDIATE: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
    const CALL: u8 = 0x85; // BPF_JMP | BPF_CALL
    const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT
    const PSEUDO_MAP_FD: u8 = 1; // the immediate is a map's descriptor
    const RX_QUEUE_INDEX: i16 = 16; // offsetof(struct xdp_md, rx_queue_index)
    const XDP_PASS: i32 = 2;
    const REDIRECT_MAP: i32 = 51;
    [
        instruction(LOAD_WORD, 2, 1, RX_QUEUE_INDEX, 0),
        instruction(LOAD_IMMEDIATE_64, 1, PSEUDO_MAP_FD, 0, sockets),
        instruction(0, 0, 0, 0, 0),
        instruction(MOVE_IMMEDIATE, 3, 0, 0, XDP_PASS),
        instruction(CALL, 0, 0, 0, REDIRECT_MAP),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}
