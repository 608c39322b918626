//! One AF_XDP socket: the four rings of a queue (Documentation/networking/af_xdp.rst).

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::thread::sleep;
use std::time::Duration;

use super::bpf::Program;
use super::exchange::Descriptor;
use super::rings::{Consumer, Producer};
use super::umem::Umem;
use super::{Step, Transfer};
use crate::region::{Region, RegionId};

/// How long a queue or an interface may stay taken by a program that is already gone: the kernel lets go of it
/// later, in a thread of its own.
pub(super) const LETTING_GO: [Duration; 20] = [Duration::from_millis(25); 20];

/// A bound socket with its rings.
pub(super) struct Socket {
    pub fill: Producer<u64>,
    pub completion: Consumer<u64>,
    pub rx: Consumer<Descriptor>,
    pub tx: Producer<Descriptor>,
    fd: Arc<OwnedFd>,
    /// Stays attached as long as a socket wants its frames.
    _program: Arc<Program>,
}

impl Socket {
    /// Binds a new socket to a queue of the program's interface and sends it the queue's frames.
    pub fn open(umem: &Umem, program: &Arc<Program>, queue: u32, transfer: Transfer) -> Result<Self, Step> {
        if umem.has_socket(program.ifindex(), queue) {
            return Err(Step { doing: BIND, source: io::Error::from_raw_os_error(libc::EBUSY) });
        }
        // The kernel's idea of this memory is one that all sockets of the same kind share, and that
        // the first of them gives it. A socket whose interface was removed meanwhile is no good.
        for sharer in umem.sharers(transfer) {
            match Self::bind(umem, program, queue, transfer, Some(&sharer)) {
                Err(step) if step.source.raw_os_error() == Some(libc::EBADF) => {}
                result => return result,
            }
        }
        Self::bind(umem, program, queue, transfer, None)
    }

    fn bind(
        umem: &Umem,
        program: &Arc<Program>,
        queue: u32,
        transfer: Transfer,
        sharer: Option<&Arc<OwnedFd>>,
    ) -> Result<Self, Step> {
        // SAFETY: a plain system call; the result is checked before it is owned.
        let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(Step { doing: "make an AF_XDP socket", source: io::Error::last_os_error() });
        }
        // SAFETY: a descriptor just made, that nobody else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if sharer.is_none() {
            // SAFETY: all bytes zero is a value of this C struct.
            let mut memory: libc::xdp_umem_reg = unsafe { mem::zeroed() };
            (memory.addr, memory.len) = umem.chunks();
            memory.chunk_size = umem.buf_size();
            set(&fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &memory).map_err(Step::of("use its memory for frames"))?;
        }
        let entries = umem.slots();
        for ring in [libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_COMPLETION_RING, libc::XDP_RX_RING, libc::XDP_TX_RING] {
            set(&fd, libc::SOL_XDP, ring, &entries).map_err(Step::of("make the socket's rings"))?;
        }
        // A frame that the kernel copied counts against the socket until the card has sent it; the
        // default is less than a ring. A refusal costs speed only.
        let room = (entries * 4096).min(i32::MAX as u32) as libc::c_int;
        let _ = set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &room);

        let offsets = offsets(&fd).map_err(Step::of("say where the socket's rings are"))?;
        let mapped = |at: &libc::xdp_ring_offset, entry: usize, offset: libc::off_t| {
            map(&fd, at.desc as usize + entries as usize * entry, offset).map_err(Step::of("map the socket's rings"))
        };
        const ADDRESS: usize = size_of::<u64>();
        const DESCRIPTOR: usize = size_of::<Descriptor>();
        let fill = mapped(&offsets.fr, ADDRESS, libc::XDP_UMEM_PGOFF_FILL_RING as _)?;
        let completion = mapped(&offsets.cr, ADDRESS, libc::XDP_UMEM_PGOFF_COMPLETION_RING as _)?;
        let rx = mapped(&offsets.rx, DESCRIPTOR, libc::XDP_PGOFF_RX_RING)?;
        let tx = mapped(&offsets.tx, DESCRIPTOR, libc::XDP_PGOFF_TX_RING)?;
        // SAFETY: each mapping is that ring, with that many entries of that type, and is only this
        // socket's; the kernel is the other side.
        let (fill, completion, rx, tx) = unsafe {
            (
                Producer::new(fill, &offsets.fr, entries),
                Consumer::new(completion, &offsets.cr, entries),
                Consumer::new(rx, &offsets.rx, entries),
                Producer::new(tx, &offsets.tx, entries),
            )
        };

        let flags = match (sharer, transfer) {
            (Some(_), _) => libc::XDP_SHARED_UMEM, // the rest is as the sharer's
            (None, Transfer::ZeroCopy) => libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
            (None, Transfer::Copy) => libc::XDP_COPY | libc::XDP_USE_NEED_WAKEUP,
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: program.ifindex(),
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: sharer.map_or(0, |fd| fd.as_raw_fd() as u32),
        };
        let mut patience = LETTING_GO.iter();
        loop {
            match (bind(&fd, &address), patience.next()) {
                (Ok(()), _) => break,
                (Err(error), Some(&pause)) if error.raw_os_error() == Some(libc::EBUSY) => sleep(pause),
                (Err(source), _) => return Err(Step { doing: BIND, source }),
            }
        }
        program.redirect(queue, &fd)?;
        let fd = Arc::new(fd);
        umem.add_sharer(program.ifindex(), queue, transfer, &fd);
        Ok(Self { fill, completion, rx, tx, fd, _program: program.clone() })
    }

    /// The socket as long as somebody has it.
    pub fn weak(&self) -> Weak<OwnedFd> {
        Arc::downgrade(&self.fd)
    }

    /// The socket's descriptor, for `poll(2)`.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Has the kernel send from the transmit ring: in copy mode here and now, at most 32 frames a
    /// call. Fails with `ENETDOWN` while the interface is down and with `ENXIO` once it is gone.
    pub fn kick_tx(&self) -> io::Result<()> {
        // SAFETY: no data and no address are passed.
        called(unsafe { libc::sendto(self.fd.as_raw_fd(), ptr::null(), 0, libc::MSG_DONTWAIT, ptr::null(), 0) })
    }

    /// Has the driver look at the fill ring, where it sleeps. Fails as [`Self::kick_tx`].
    pub fn kick_rx(&self) -> io::Result<()> {
        let (fd, null) = (self.fd.as_raw_fd(), ptr::null_mut());
        // SAFETY: no room for data or an address is passed.
        called(unsafe { libc::recvfrom(fd, null, 0, libc::MSG_DONTWAIT, ptr::null_mut(), ptr::null_mut()) })
    }
}

/// What a call led to. It worked, too, if it is only to be made again: more than 32 frames wait, the
/// card's own ring is full, or memory is short.
fn called(result: libc::ssize_t) -> io::Result<()> {
    if result >= 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EBUSY | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => Ok(()),
        _ => Err(error),
    }
}

/// The step whose failure says what a driver cannot do.
pub(super) const BIND: &str = "bind a socket to the queue";

fn set<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let (value, len) = (ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: value and length belong together; the kernel only reads.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, value, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn offsets(fd: &OwnedFd) -> io::Result<libc::xdp_mmap_offsets> {
    // SAFETY: all bytes zero is a value of this C struct, and any bytes are.
    unsafe { get(fd, libc::XDP_MMAP_OFFSETS, mem::zeroed()) }
}

/// What the kernel counted at a socket.
pub(super) fn statistics(fd: &OwnedFd) -> io::Result<libc::xdp_statistics> {
    // SAFETY: all bytes zero is a value of this C struct, and any bytes are.
    unsafe { get(fd, libc::XDP_STATISTICS, mem::zeroed()) }
}

/// # Safety
/// Any bytes are a `T`.
unsafe fn get<T>(fd: &OwnedFd, name: libc::c_int, mut value: T) -> io::Result<T> {
    let mut len = size_of::<T>() as libc::socklen_t;
    let to = (&raw mut value).cast();
    // SAFETY: there is room for the `len` bytes that the kernel may write.
    match unsafe { libc::getsockopt(fd.as_raw_fd(), libc::SOL_XDP, name, to, &raw mut len) } {
        0 if len as usize == size_of::<T>() => Ok(value),
        // Kernels that are too old have shorter structs.
        0 => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        _ => Err(io::Error::last_os_error()),
    }
}

fn map(fd: &OwnedFd, len: usize, offset: libc::off_t) -> io::Result<Arc<Region>> {
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let base = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, fd.as_raw_fd(), offset) };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let base = NonNull::new(base.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?;
    // SAFETY: the mapping was made just now with this length, and is known to nobody else.
    Ok(unsafe { Region::from_mapping(base, len, RegionId(u64::MAX)) })
}

fn bind(fd: &OwnedFd, address: &libc::sockaddr_xdp) -> io::Result<()> {
    let (address, len) = (ptr::from_ref(address).cast(), size_of_val(address) as libc::socklen_t);
    // SAFETY: the address is a sockaddr_xdp of the length given.
    match unsafe { libc::bind(fd.as_raw_fd(), address, len) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
