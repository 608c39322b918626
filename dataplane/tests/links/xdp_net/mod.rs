//! Networks for the tests of AF_XDP links: namespaces, veth pairs, and packet sockets at their
//! far ends. A namespace ends with the thread and the processes in it, however they end.

// Every test program uses another part of it.
#![allow(dead_code, missing_docs)]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use hikyaku_ring::Queue;
use hikyaku_ring::xdp::{self, OpenOptions, Umem, XdpLink};

/// Runs `test` in a network namespace of its own, or says why it cannot be run here.
pub fn in_namespace(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        scope.spawn(|| {
            if let Err(reason) = enter_new_namespace() {
                eprintln!("SKIP: {reason}");
                return;
            }
            test();
        });
    });
}

fn enter_new_namespace() -> Result<(), String> {
    // SAFETY: plain system calls; the new namespace is this thread's alone.
    unsafe {
        if libc::geteuid() != 0 {
            return Err("AF_XDP needs root".into());
        }
        if libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) != 0 {
            return Err(format!("no new network namespace: {}", io::Error::last_os_error()));
        }
        // sysfs shows the network namespace that it was mounted in.
        let (sysfs, nothing) = (c"sysfs".as_ptr(), std::ptr::null());
        libc::mount(nothing, c"/".as_ptr(), nothing, libc::MS_REC | libc::MS_PRIVATE, nothing.cast());
        if libc::mount(sysfs, c"/sys".as_ptr(), sysfs, 0, nothing.cast()) != 0 {
            return Err(format!("no sysfs of the namespace: {}", io::Error::last_os_error()));
        }
        let fd = libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(format!("no AF_XDP sockets: {}", io::Error::last_os_error()));
        }
        drop(OwnedFd::from_raw_fd(fd));
    }
    match Command::new("ip").args(["link", "add", "t0", "type", "veth", "peer", "name", "t1"]).output() {
        Ok(made) if made.status.success() => ip("link del t0"),
        Ok(made) => return Err(format!("no veth: {}", String::from_utf8_lossy(&made.stderr))),
        Err(error) => return Err(format!("no ip program: {error}")),
    };
    // The host's own chatter would be counted with the tests' frames.
    for scope in ["all", "default"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    ip("link set lo up");
    Ok(())
}

/// Runs `ip` with these words in the thread's namespace. Returns what it wrote.
#[track_caller]
pub fn ip(words: &str) -> String {
    let done = Command::new("ip").args(words.split_whitespace()).output().expect("the ip program");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// A veth pair that is up, with its offloads off.
pub fn veth(a: &str, b: &str, queues: u16) {
    let size = format!("numrxqueues {queues} numtxqueues {queues}");
    ip(&format!("link add {a} {size} type veth peer name {b} {size}"));
    for end in [a, b] {
        offloads_off(end);
        ip(&format!("link set {end} up"));
    }
}

/// `ethtool -K IF tx off rx off tso off gso off gro off`.
pub fn offloads_off(interface: &str) {
    [0x15, 0x17, 0x1f, 0x24, 0x2c].into_iter().for_each(|command| set_offload(interface, command, false));
}

/// `ethtool -K IF gro on`, or `off`.
pub fn set_gro(interface: &str, on: bool) {
    set_offload(interface, 0x2c, on);
}

fn set_offload(interface: &str, command: u32, on: bool) {
    #[repr(C)]
    struct Value {
        cmd: u32,
        data: u32,
    }
    let mut value = Value { cmd: command, data: on.into() };
    // SAFETY: all bytes zero is a value of this C struct.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: a plain system call; then an ethtool_value for a command that takes one.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let fd = OwnedFd::from_raw_fd(fd);
        let done = libc::ioctl(fd.as_raw_fd(), libc::SIOCETHTOOL as _, &raw mut request);
        assert_eq!(done, 0, "{interface} {command:#x}: {}", io::Error::last_os_error());
    }
}

/// Whether a program is attached to the interface.
pub fn has_program(interface: &str) -> bool {
    ip(&format!("-d link show dev {interface}")).contains("prog/xdp")
}

/// Opens links in one memory.
#[track_caller]
pub fn open<const N: usize>(names: [&str; N], options: &OpenOptions) -> (Umem, [XdpLink; N]) {
    let names = names.map(|name| name.parse().unwrap());
    let umem = Umem::for_links(names.iter().map(|name| (name, 0)), options).unwrap_or_else(|e| panic!("{e}"));
    let links = names.map(|name| {
        let link = xdp::open(&name, &umem, options).unwrap_or_else(|e| panic!("{e}"));
        println!("{}", link.info);
        link.info.warnings().iter().for_each(|w| println!("  {w}"));
        link
    });
    (umem, links)
}

/// Every buffer is there once.
#[track_caller]
pub fn assert_all_buffers(umem: &Umem) {
    let mut buffers = umem.buffers().expect("no queue is open");
    buffers.sort_unstable();
    let wanted: Vec<u32> = (2..2 + buffers.len() as u32).collect();
    assert!(buffers == wanted, "a buffer is missing or there twice");
}

/// Waits until `done` says so, ten seconds at most.
#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        thread::sleep(Duration::from_micros(100));
    }
}

/// What waits in a queue, by value.
pub fn receive(queue: &mut Queue, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    let synced = queue.provider.sync_rx();
    for _ in 0..queue.rx.available() {
        let frame = queue.rx.take().expect("AF_XDP gives whole frames");
        each(queue.rx.bytes(frame));
        queue.rx.restore(frame);
    }
    queue.rx.release();
    synced
}

/// Sends a frame; whether there was room for it.
pub fn send(queue: &mut Queue, frame: &[u8]) -> io::Result<bool> {
    let sent = queue.tx.originate(frame.len(), |to| to.copy_from_slice(frame)).is_ok();
    queue.tx.publish();
    queue.provider.sync_tx()?;
    Ok(sent)
}

/// A frame of `len` bytes (at least 60), with number `n` and bytes that follow from both.
pub fn frame(n: u32, len: usize) -> Vec<u8> {
    let mut frame: Vec<u8> = (0..len as u32).map(|i| (i ^ n) as u8).collect();
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // IEEE local experimental
    frame[14..18].copy_from_slice(&n.to_be_bytes());
    frame
}

/// A packet socket: the far end of a veth.
pub struct Socket(OwnedFd);

impl Socket {
    pub fn new(interface: &str) -> Self {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: a plain system call; the result is checked before it is owned.
        let fd = unsafe {
            let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
            libc::socket(libc::AF_PACKET, kind, protocol.into())
        };
        assert!(fd >= 0, "{}", io::Error::last_os_error());
        let name = std::ffi::CString::new(interface).unwrap();
        // SAFETY: all bytes zero is a value of this C struct.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        // SAFETY: a NUL-terminated name.
        address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
        assert!(address.sll_ifindex > 0, "no interface {interface}");
        // SAFETY: the address is a sockaddr_ll of the length given; then a descriptor just made,
        // that nobody else owns, and a value of the length given.
        unsafe {
            let bound = libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32);
            assert_eq!(bound, 0, "{}", io::Error::last_os_error());
            let room: libc::c_int = 16 << 20;
            libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, (&raw const room).cast(), 4);
            Self(OwnedFd::from_raw_fd(fd))
        }
    }

    pub fn send(&self, frame: &[u8]) -> bool {
        // SAFETY: the buffer and its length belong together.
        unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) == frame.len() as isize }
    }

    /// Frames that came in, not those that went out.
    pub fn receive(&self, mut each: impl FnMut(&[u8])) {
        let mut buffer = [0; 4096];
        loop {
            // SAFETY: all bytes zero is a value of this C struct; the buffers have those lengths.
            let (n, kind) = unsafe {
                let mut from: libc::sockaddr_ll = std::mem::zeroed();
                let mut len = size_of_val(&from) as u32;
                let to = buffer.as_mut_ptr().cast();
                let fd = self.0.as_raw_fd();
                let n = libc::recvfrom(fd, to, buffer.len(), 0, (&raw mut from).cast(), &raw mut len);
                (n, from.sll_pkttype)
            };
            let Ok(n) = usize::try_from(n) else { return };
            if kind != libc::PACKET_OUTGOING {
                each(&buffer[..n]);
            }
        }
    }
}
