//! Links of a real netmap kernel: VALE, pipes, emulated interfaces and host rings, with frames
//! that get an outer header or lose it, on rings that wrap many times.
//!
//! Ignored by default: it needs the netmap module, root, and two veth pairs `w0`-`w1` and
//! `l0`-`l1` that are up. `scripts/netmap-vm` makes a machine that has them and runs this there.
//! Any four interfaces of those names will do, if each pair is wired together.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use hikyaku_ring::kernel::{KernelLink, OpenOptions, open};
use hikyaku_ring::{Adapter, Headroom, Queue, RegionId};

const FRAMES: u32 = 5000;
/// An outer IPv6 header.
const OUTER: usize = 40;
/// The region that interfaces share; VALE ports join it here.
const GLOBAL: RegionId = RegionId(1);

/// The tests share interfaces and netmap's memory, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Frames that may be lost on each way. With netmap's e1000 driver it is always the one at the end
/// of the first lap: two slots are bad there, with offsets and without (docs/netmap.md).
static LOST_AT_START: AtomicU32 = AtomicU32::new(0);

fn link(name: &str, options: &OpenOptions) -> KernelLink {
    let link = open(&name.parse().unwrap(), options).unwrap_or_else(|e| panic!("{e}"));
    println!("{}", link.info);
    link.info.warnings().iter().for_each(|w| println!("  {w}"));
    if link.info.adapter == Some(Adapter::Native) {
        sleep(Duration::from_secs(4)); // entering netmap mode resets the card, and the line with it
        LOST_AT_START.store(1, Ordering::Relaxed);
    }
    link
}

fn one_queue(name: &str, options: &OpenOptions) -> Queue {
    link(name, options).queues.remove(0)
}

/// Frame `n`: broadcast or not as VALE needs, its number, a length and bytes that follow from it.
fn frame(n: u32) -> Vec<u8> {
    let len = 60 + (n as usize * 37) % 1455;
    let mut frame: Vec<u8> = (0..len).map(|i| (i as u32 ^ n) as u8).collect();
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]); // IEEE local experimental
    frame[14..18].copy_from_slice(&n.to_be_bytes());
    frame
}

/// The frame with `OUTER` bytes between its Ethernet header and the rest, as a softwire sends it.
fn encapsulated(inner: &[u8]) -> Vec<u8> {
    [&inner[..14], &[0x60; OUTER], &inner[14..]].concat()
}

#[derive(Clone, Copy, PartialEq)]
enum Change {
    Push,
    Pop,
}

#[derive(Debug, Default)]
struct Moved {
    frames: u64,
    /// To make room for a header, or because the link they leave by knows no offsets.
    shifted: u64,
    copied: u64,
    bad: u64,
}

/// Moves everything that waits in `from` to `to`, as a worker does, one sync of each per burst.
fn forward(from: &mut Queue, to: &mut Queue, change: Change, moved: &mut Moved) {
    from.provider.sync_rx().unwrap();
    let n = from.rx.available().min(to.tx.space()).min(64);
    let mut made_room = 0;
    to.tx.take_traffic();
    for _ in 0..n {
        let Ok(mut frame) = from.rx.take() else {
            moved.bad += 1;
            continue;
        };
        let mut ethernet = [0; 14];
        ethernet.copy_from_slice(&from.rx.bytes(frame)[..14]);
        match change {
            Change::Push => {
                if frame.headroom() < OUTER {
                    frame = from.rx.shift(frame, OUTER).unwrap();
                    made_room += 1;
                }
                frame = frame.push(OUTER);
                from.rx.bytes(frame)[14..14 + OUTER].fill(0x60);
            }
            Change::Pop => frame = frame.pop(OUTER),
        }
        from.rx.bytes(frame)[..14].copy_from_slice(&ethernet);
        to.tx.send(&mut from.rx, frame).unwrap();
    }
    from.rx.release();
    to.tx.publish();
    to.provider.sync_tx().unwrap();
    let traffic = to.tx.take_traffic();
    moved.frames += traffic.frames;
    moved.shifted += traffic.shifted + made_room;
    moved.copied += traffic.copied;
}

/// Where a test's frames come from and go to.
trait End {
    /// Sends one frame, or says that there is no room now.
    fn send(&mut self, frame: &[u8]) -> bool;
    /// Takes the frames that arrived since the last call.
    fn receive(&mut self, each: &mut dyn FnMut(&[u8]));
}

impl End for Queue {
    fn send(&mut self, frame: &[u8]) -> bool {
        let sent = self.tx.originate(frame.len(), |to| to.copy_from_slice(frame)).is_ok();
        self.tx.publish();
        self.provider.sync_tx().unwrap();
        sent
    }

    fn receive(&mut self, each: &mut dyn FnMut(&[u8])) {
        self.provider.sync_rx().unwrap();
        for _ in 0..self.rx.available() {
            let frame = self.rx.take().unwrap();
            each(self.rx.bytes(frame));
        }
        self.rx.release();
    }
}

/// Sends `FRAMES` frames from `from` to `to` while `step` moves them, at most 32 under way, and
/// checks every byte of every one of them. Returns what was lost.
fn carry(
    from: &mut dyn End,
    to: &mut dyn End,
    expect: impl Fn(u32) -> Vec<u8>,
    send: impl Fn(u32) -> Vec<u8>,
    mut step: impl FnMut(),
) -> u32 {
    let mut seen = HashSet::new();
    let (mut sent, mut lost) = (0, 0);
    let mut last = Instant::now();
    while seen.len() as u32 + lost < FRAMES {
        while sent < FRAMES && sent - lost < seen.len() as u32 + 32 && from.send(&send(sent)) {
            sent += 1;
        }
        step();
        let before = seen.len();
        to.receive(&mut |bytes| {
            // The host's own chatter (IPv6 neighbour discovery) is not ours.
            if bytes.len() < 18 || bytes[12..14] != [0x88, 0xb5] {
                return;
            }
            let at = if bytes.get(14) == Some(&0x60) { 14 + OUTER } else { 14 };
            let n = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
            assert!(n < FRAMES, "frame {n} was never sent: {:x?}", &bytes[..64]);
            // A packet socket sees what arrives on an interface before netmap takes it.
            if bytes == send(n) && bytes != expect(n) {
                return;
            }
            let expected = expect(n);
            let at = bytes.iter().zip(&expected).position(|(a, b)| a != b);
            assert!(
                bytes == expected,
                "frame {n}: {} bytes, {} expected, different at {at:?}: {bytes:x?}",
                bytes.len(),
                expected.len()
            );
            assert!(seen.insert(n), "frame {n} came twice");
        });
        if seen.len() > before {
            last = Instant::now();
        } else if last.elapsed() > Duration::from_secs(1) {
            lost = sent - seen.len() as u32;
            println!("  lost: {:?}", (0..sent).filter(|n| !seen.contains(n)).collect::<Vec<_>>());
            last = Instant::now();
        } else {
            sleep(Duration::from_micros(50));
        }
    }
    lost
}

/// Out through a push, back through a pop, over the links `a` - `b` = `c` - `d`.
fn there_and_back(a: &mut dyn End, b: &mut Queue, c: &mut Queue, d: &mut dyn End) -> Moved {
    let mut moved = Moved::default();
    let lost = carry(a, d, |n| encapsulated(&frame(n)), frame, || forward(b, c, Change::Push, &mut moved));
    assert!(lost <= LOST_AT_START.load(Ordering::Relaxed), "{lost} lost on the way out");
    let lost = carry(d, a, frame, |n| encapsulated(&frame(n)), || forward(c, b, Change::Pop, &mut moved));
    assert!(lost <= LOST_AT_START.load(Ordering::Relaxed), "{lost} lost on the way back");
    println!("  {FRAMES} frames each way: {moved:?}");
    assert!(moved.bad <= 4 * u64::from(LOST_AT_START.load(Ordering::Relaxed)));
    moved
}

#[test]
#[ignore = "needs a netmap kernel: scripts/netmap-vm"]
fn vale_with_offsets_swaps_every_frame() {
    let _turn = TURN.lock();
    let options =
        OpenOptions { peers_know_offsets: true, slots: Some(128), region: Some(GLOBAL), ..Default::default() };
    let [mut a, mut b] = ["vale0:a", "vale0:b"].map(|n| one_queue(n, &options));
    let [mut c, mut d] = ["vale1:c", "vale1:d"].map(|n| one_queue(n, &options));
    assert!(b.rx.headroom().base() >= 40);
    let moved = there_and_back(&mut a, &mut b, &mut c, &mut d);
    assert_eq!((moved.shifted, moved.copied), (0, 0));
}

#[test]
#[ignore = "needs a netmap kernel: scripts/netmap-vm"]
fn vale_without_offsets_shifts() {
    let _turn = TURN.lock();
    let options = OpenOptions { slots: Some(128), region: Some(GLOBAL), ..Default::default() };
    let [mut a, mut b] = ["vale0:a", "vale0:b"].map(|n| one_queue(n, &options));
    let [mut c, mut d] = ["vale1:c", "vale1:d"].map(|n| one_queue(n, &options));
    assert_eq!(b.rx.headroom(), Headroom::NONE);
    let moved = there_and_back(&mut a, &mut b, &mut c, &mut d);
    assert_eq!((moved.shifted, moved.copied), (moved.frames, 0));
}

#[test]
#[ignore = "needs a netmap kernel: scripts/netmap-vm"]
fn private_regions_are_noticed_and_copied_between() {
    let _turn = TURN.lock();
    let options = OpenOptions { slots: Some(128), ..Default::default() };
    let mut a = one_queue("vale0:a", &options);
    let (mut b, mut c) = (link("vale0:b", &options), link("vale1:c", &options));
    let mut d = one_queue("vale1:d", &options);
    println!("  {}", b.info.copy_warning(&c.info).expect("two private regions"));
    let moved = there_and_back(&mut a, &mut b.queues[0], &mut c.queues[0], &mut d);
    assert_eq!(moved.copied, moved.frames);
}

#[test]
#[ignore = "needs a netmap kernel: scripts/netmap-vm"]
fn pipes_carry_frames_and_start_them_at_zero() {
    let _turn = TURN.lock();
    let options = OpenOptions { slots: Some(128), ..Default::default() };
    let [mut a, mut b] = ["netmap:x{1", "netmap:x}1"].map(|n| one_queue(n, &options));
    let [mut c, mut d] = ["netmap:x{2", "netmap:x}2"].map(|n| one_queue(n, &options));
    assert_eq!(b.rx.headroom(), Headroom::NONE);
    let moved = there_and_back(&mut a, &mut b, &mut c, &mut d);
    assert_eq!((moved.shifted, moved.copied), (moved.frames, 0));
}

/// What needs interfaces, and a packet socket at their far end.
#[cfg(target_os = "linux")]
mod interfaces {
    use std::io;
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

    use hikyaku_ring::Offsets;
    use hikyaku_ring::kernel::OpenError;

    use super::*;

    /// linux/if_packet.h, Linux 4.20 and later.
    const PACKET_IGNORE_OUTGOING: i32 = 23;

    fn option(fd: i32, level: i32, name: i32, value: i32) {
        // SAFETY: the value and its length belong together.
        let set = unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), size_of_val(&value) as u32) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
    }

    /// A packet socket: the kernel's end of a veth.
    struct Socket(OwnedFd);

    impl Socket {
        fn new(interface: &str) -> Self {
            let protocol = (libc::ETH_P_ALL as u16).to_be();
            // SAFETY: a plain system call; the result is checked before it is owned.
            let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, protocol.into()) };
            assert!(fd >= 0, "{}", io::Error::last_os_error());
            let name = std::ffi::CString::new(interface).unwrap();
            // SAFETY: all bytes zero is a value of this C struct.
            let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            // SAFETY: a NUL-terminated name.
            address.sll_ifindex = unsafe { libc::if_nametoindex(name.as_ptr()) } as i32;
            assert!(address.sll_ifindex > 0, "no interface {interface}: scripts/netmap-vm makes it");
            // SAFETY: the address is a sockaddr_ll of the length given.
            let bound = unsafe { libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as u32) };
            assert_eq!(bound, 0, "{}", io::Error::last_os_error());
            // What netmap's emulated rings send is seen here too, and its bytes are already those of
            // a later frame: the adapter uses its packets again though the socket still holds them.
            option(fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
            // 32 packets of the size of netmap's buffers must fit.
            option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 4 << 20);
            // SAFETY: a descriptor just made, that nobody else owns.
            Self(unsafe { OwnedFd::from_raw_fd(fd) })
        }
    }

    impl End for Socket {
        fn send(&mut self, frame: &[u8]) -> bool {
            // SAFETY: the buffer and its length belong together.
            unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) == frame.len() as isize }
        }

        fn receive(&mut self, each: &mut dyn FnMut(&[u8])) {
            let mut buffer = [0; 4096];
            loop {
                // SAFETY: the buffer and its length belong together.
                let n = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
                let Ok(n) = usize::try_from(n) else { return };
                each(&buffer[..n]);
            }
        }
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn interfaces_swap_every_frame() {
        let _turn = TURN.lock();
        let (mut b, mut c) = (link("netmap:w1", &Default::default()), link("netmap:l1", &Default::default()));
        assert!(matches!(b.info.offsets, Offsets::InUse), "{}", b.info.offsets);
        assert_eq!(b.queues.len(), usize::from(b.info.rx_rings));
        assert_eq!(b.info.copy_warning(&c.info), None);
        let (mut a, mut d) = (Socket::new("w0"), Socket::new("l0"));
        let moved = there_and_back(&mut a, &mut b.queues[0], &mut c.queues[0], &mut d);
        assert_eq!((moved.shifted, moved.copied), (0, 0));
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn interfaces_without_headroom_shift() {
        let _turn = TURN.lock();
        let options = OpenOptions { headroom: Headroom::NONE, ..Default::default() };
        let (mut b, mut c) = (one_queue("netmap:w1", &options), one_queue("netmap:l1", &options));
        let (mut a, mut d) = (Socket::new("w0"), Socket::new("l0"));
        let moved = there_and_back(&mut a, &mut b, &mut c, &mut d);
        assert_eq!((moved.shifted, moved.copied), (moved.frames, 0));
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn one_side_with_headroom_and_one_without_lose_nothing() {
        let _turn = TURN.lock();
        let none = OpenOptions { headroom: Headroom::NONE, ..Default::default() };
        let (mut b, mut c) = (one_queue("netmap:w1", &Default::default()), one_queue("netmap:l1", &none));
        let (mut a, mut d) = (Socket::new("w0"), Socket::new("l0"));
        there_and_back(&mut a, &mut b, &mut c, &mut d);
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn host_rings_carry_frames_to_and_from_the_stack() {
        let _turn = TURN.lock();
        let mut w1 = link("netmap:w1", &OpenOptions { host: true, ..Default::default() });
        let (mut wire, mut stack) = (Socket::new("w0"), Socket::new("w1"));
        let moved = there_and_back(&mut stack, &mut w1.host[0], &mut w1.queues[0], &mut wire);
        assert_eq!((moved.shifted, moved.copied), (0, 0));
        drop(w1);
        let mut host = link("netmap:w1^", &Default::default());
        assert_eq!((host.queues.len(), host.host.len()), (1, 0));
        host.queues[0].provider.sync_rx().unwrap();
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn what_cannot_be_opened_says_why() {
        let _turn = TURN.lock();
        let failure = |name: &str, options: &OpenOptions| match open(&name.parse().unwrap(), options) {
            Ok(link) => panic!("opened: {}", link.info),
            Err(error) => {
                println!("{error}");
                error
            }
        };
        let options = OpenOptions::default();
        let error = failure("netmap:ix7", &options);
        assert!(matches!(&error, OpenError::NoInterface { have, .. } if have.iter().any(|i| i == "w1")));
        assert!(matches!(failure("netmap:w1-9", &options), OpenError::NoQueue { .. }));
        assert!(matches!(failure("vale0:a-9", &options), OpenError::NoQueue { .. }));
        let host = OpenOptions { host: true, ..Default::default() };
        assert!(matches!(failure("vale0:a", &host), OpenError::NoHostRings { .. }));
        let held = link("netmap:w1", &host);
        assert!(matches!(failure("netmap:w1", &options), OpenError::Busy { .. }));
        assert!(matches!(failure("netmap:w1-0", &options), OpenError::Busy { .. }));
        assert!(matches!(failure("netmap:w1^", &options), OpenError::Busy { .. }));
        drop(held);
        link("netmap:w1", &host);
    }

    #[test]
    #[ignore = "needs a netmap kernel: scripts/netmap-vm"]
    fn a_closed_link_is_free_though_its_memory_is_still_used() {
        let _turn = TURN.lock();
        let first = link("netmap:w1", &Default::default());
        let mut second = one_queue("netmap:l1", &Default::default());
        drop(first);
        let mut again = one_queue("netmap:w1", &Default::default());
        let (mut a, mut d) = (Socket::new("w0"), Socket::new("l0"));
        there_and_back(&mut a, &mut again, &mut second, &mut d);
    }
}
