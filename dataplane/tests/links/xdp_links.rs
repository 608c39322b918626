//! Traffic over AF_XDP links between packet sockets, the kernel's stack and a router, on veth pairs
//! in namespaces of their own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::common::{CLIENT, End, SERVER, Setup, from_lan, from_wan, inner, plain, tunnelled, udp};
use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::shared::Shared;
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_dataplane::worker::{BurstReport, Config, Idle, Worker};
use hikyaku_ring::xdp::{Attach, OpenOptions};
use hikyaku_ring::{BadSlot, LinkOptions, Queue, Traffic, Vlan, Wanted};

use crate::xdp_net::*;

/// An outer IPv6 header.
const OUTER: usize = 40;

#[derive(Clone, Copy, PartialEq)]
enum Change {
    None,
    Push,
    Pop,
}

/// Moves everything that waits in `from` to `to`, as a worker does, one sync of each per burst.
fn forward(from: &mut Queue, to: &mut Queue, change: Change, traffic: &mut Traffic) {
    from.provider.sync_rx().unwrap();
    let n = from.rx.available().min(256);
    for _ in 0..n {
        let mut frame = match from.rx.take() {
            Ok(frame) => frame,
            Err(BadSlot::Vlan) => {
                let frame = from.rx.refused();
                from.rx.restore(frame);
                continue;
            }
            Err(bad) => panic!("{bad:?}"),
        };
        let ethernet: [u8; 14] = from.rx.bytes(frame)[..14].try_into().unwrap();
        match change {
            Change::None => {}
            Change::Push => {
                frame = frame.push(OUTER);
                from.rx.bytes(frame)[14..14 + OUTER].fill(0x60);
            }
            Change::Pop => frame = frame.pop(OUTER),
        }
        from.rx.bytes(frame)[..14].copy_from_slice(&ethernet);
        if to.tx.send(&mut from.rx, frame).is_err() {
            from.rx.restore(frame);
        }
    }
    from.rx.release();
    to.tx.publish();
    if to.tx.pending() {
        to.provider.sync_tx().unwrap();
    }
    let Traffic { frames, bytes, shifted, copied } = to.tx.take_traffic();
    traffic.frames += frames;
    traffic.bytes += bytes;
    traffic.shifted += shifted;
    traffic.copied += copied;
}

/// The frame with `OUTER` bytes between its Ethernet header and the rest, as a softwire sends it.
fn encapsulated(inner: &[u8]) -> Vec<u8> {
    [&inner[..14], &[0x60; OUTER], &inner[14..]].concat()
}

fn some_frame(n: u32) -> Vec<u8> {
    frame(n, 60 + (n as usize * 37) % 1401)
}

/// Sends `n` frames from `from` to `to` while `step` moves them, at most 128 under way, and
/// compares every byte. None is lost.
fn carry(
    n: u32,
    from: &Socket,
    to: &Socket,
    send: fn(u32) -> Vec<u8>,
    expect: fn(u32) -> Vec<u8>,
    mut step: impl FnMut(),
) {
    let (mut sent, mut seen, mut last) = (0, 0, Instant::now());
    while seen < n {
        while sent < n && sent < seen + 128 && from.send(&send(sent)) {
            sent += 1;
        }
        step();
        let before = seen;
        to.receive(|bytes| {
            assert!(bytes == expect(seen), "frame {seen}: {:x?}", &bytes[..bytes.len().min(64)]);
            seen += 1;
        });
        if seen > before {
            last = Instant::now();
        }
        assert!(last.elapsed() < Duration::from_secs(5), "frame {seen} of {sent} sent does not come");
    }
}

/// Frames get an outer header from LAN to WAN and lose it on the way back: buffers are swapped and
/// the header is pushed into the headroom, so nothing is copied and nothing moved.
fn there_and_back(attach: Attach, slots: u32, buf_size: u32) {
    veth("lan", "host", 1);
    veth("wan", "line", 1);
    let (host, line) = (Socket::new("host"), Socket::new("line"));
    let options = OpenOptions { attach: Some(attach), slots, buf_size: Some(buf_size), ..Default::default() };
    let (umem, [mut lan, mut wan]) = open(["xdp:lan", "xdp:wan"], &options);
    assert_eq!(lan.info.xdp.unwrap().attach, attach);
    assert_eq!(lan.info.copy_warning(&wan.info), None);
    let mut traffic = Traffic::default();
    const N: u32 = 20_000;
    carry(
        N,
        &host,
        &line,
        some_frame,
        |n| encapsulated(&some_frame(n)),
        || forward(&mut lan.queues[0], &mut wan.queues[0], Change::Push, &mut traffic),
    );
    carry(
        N,
        &line,
        &host,
        |n| encapsulated(&some_frame(n)),
        some_frame,
        || forward(&mut wan.queues[0], &mut lan.queues[0], Change::Pop, &mut traffic),
    );
    println!("{traffic:?}, {:?}", lan.watch.losses());
    assert_eq!((traffic.frames, traffic.shifted, traffic.copied), (2 * N as u64, 0, 0));
    assert_eq!((lan.watch.losses(), wan.watch.losses()), Default::default());
    drop((lan.queues, wan.queues));
    assert_all_buffers(&umem);
}

#[test]
fn native_frames_cross_by_swapping() {
    in_namespace(|| there_and_back(Attach::Native, 2048, 2048));
}

#[test]
fn generic_frames_cross_by_swapping() {
    in_namespace(|| there_and_back(Attach::Generic, 2048, 4096));
}

#[test]
fn small_rings_wrap_often_and_lose_nothing() {
    in_namespace(|| there_and_back(Attach::Native, 256, 2048));
}

/// Tags come and go at both links. A Linux stack takes a tag for what it is; another AF_XDP link shows it.
#[test]
fn a_vlan_on_each_side() {
    fn tagged(vlan: u8, frame: &[u8]) -> Vec<u8> {
        [&frame[..12], &[0x81, 0, 0, vlan], &frame[12..]].concat()
    }
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let wanted = [("xdp:lan", 10), ("xdp:wan", 20)]
            .map(|(name, id)| Wanted { vlan: Vlan::new(id), ..Wanted::new(name.parse().unwrap()) });
        let mut links = hikyaku_ring::open(&wanted, &LinkOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        let [lan, wan] = &mut links[..] else { panic!("two links") };
        assert!(lan.info.to_string().contains("VLAN 10"), "{}", lan.info);
        let (_umem, [mut line]) = open(["xdp:line"], &OpenOptions::default());
        let host = Socket::new("host");
        let mut traffic = Traffic::default();
        let mut seen = 0;
        for n in 0..500 {
            let frame = some_frame(n);
            // What is of no VLAN, or of another, goes no further.
            assert!(host.send(&tagged(11, &frame)) && host.send(&frame) && host.send(&tagged(10, &frame)));
            until("a frame from the LAN", || {
                forward(&mut lan.queues[0], &mut wan.queues[0], Change::None, &mut traffic);
                receive(&mut line.queues[0], |bytes| {
                    assert_eq!(bytes, tagged(20, &frame));
                    seen += 1;
                })
                .unwrap();
                seen == n + 1
            });
        }
        for n in 0..500 {
            let frame = some_frame(n);
            assert!(send(&mut line.queues[0], &tagged(21, &frame)).unwrap());
            assert!(send(&mut line.queues[0], &tagged(20, &frame)).unwrap());
            let mut came = false;
            until("a frame from the line", || {
                forward(&mut wan.queues[0], &mut lan.queues[0], Change::None, &mut traffic);
                host.receive(|bytes| {
                    assert_eq!(bytes, frame, "the stack has put the tag aside");
                    came = true;
                });
                came
            });
        }
        assert_eq!((traffic.frames, traffic.shifted, traffic.copied), (1000, 0, 0));
    });
}

/// Links opened by one call have their memory in common.
#[test]
fn links_opened_together_swap() {
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 2);
        let names = ["xdp:lan", "xdp:wan-1"].map(|name| Wanted::new(name.parse().unwrap()));
        let mut links = hikyaku_ring::open(&names, &LinkOptions::default()).unwrap_or_else(|e| panic!("{e}"));
        let [lan, wan] = &mut links[..] else { panic!("two links") };
        assert_eq!((lan.queues.len(), wan.queues.len(), lan.host.len()), (1, 1, 0));
        assert_eq!(lan.info.copy_warning(&wan.info), None);
        assert!(lan.info.warnings().iter().any(|w| w.contains("ethtool -K IF tx off")));
        assert!(lan.watch.as_ref().is_some_and(|watch| !watch.gone()));
        let (host, line) = (Socket::new("host"), Socket::new("line"));
        let mut traffic = Traffic::default();
        carry(1000, &host, &line, some_frame, some_frame, || {
            forward(&mut lan.queues[0], &mut wan.queues[0], Change::None, &mut traffic)
        });
        assert_eq!((traffic.frames, traffic.copied), (1000, 0));
        drop(links);
        assert!(!has_program("lan") && !has_program("wan"));
    });
}

/// A router's worker between a LAN and a line, asleep while nothing comes: what goes out is in the
/// tunnel, what comes back is not, and no frame was copied or shifted for it.
#[test]
fn a_worker_tunnels_without_copying() {
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let (host, line) = (Socket::new("host"), Socket::new("line"));
        let (umem, [lan, wan]) = open(["xdp:lan", "xdp:wan"], &OpenOptions::default());
        let shared = Shared::new(Setup::dslite().snapshot(None));
        let queues = [lan, wan].map(|link| link.queues.into_iter().next().unwrap());
        let config = Config { idle: Idle::Sleep, ..Default::default() };
        let worker = Worker::new(0, [crate::common::LAN, crate::common::WAN].into_iter().zip(queues), &shared, config);
        let handle = worker.handle();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = worker.spawn(None, stop.clone(), BurstReport::new().1).unwrap();

        const N: u64 = 5000;
        let (client, server): (End, End) = ((CLIENT, 40000), (SERVER, 443));
        let payload = |n: u64| -> Vec<u8> { (0..20 + n % 1300).map(|i| (i ^ n) as u8).collect() };
        let (mut sent, mut outside, mut back) = (0, 0, 0);
        until("every datagram there and back", || {
            while sent < N && sent < back + 64 && host.send(&from_lan(&udp(client, server, &payload(sent)))) {
                sent += 1;
            }
            line.receive(|frame| {
                tunnelled(frame);
                let packet = inner(frame);
                assert_eq!(packet.check_transport().payload[8..], payload(outside), "datagram {outside}");
                assert!(line.send(&from_wan(&udp(server, client, &payload(outside)))));
                outside += 1;
            });
            host.receive(|frame| {
                let packet = plain(frame);
                assert_eq!(packet.check_transport().payload[8..], payload(back), "datagram {back}");
                back += 1;
            });
            back == N
        });
        stop.store(true, Ordering::Relaxed);
        drop(thread.join().unwrap());
        let totals = handle.counters.totals();
        assert!(totals.add_up());
        assert_eq!([Verdict::Outbound, Verdict::Inbound].map(|v| totals.verdict(v)), [N, N]);
        assert_eq!([Event::Sent, Event::Copied, Event::Shifted].map(|e| totals.event(e)), [2 * N, 0, 0]);
        assert_all_buffers(&umem);
    });
}

/// Frames of both queues come, and go out by both; a link of one queue leaves the other's to the
/// host.
#[test]
fn every_queue_has_its_frames() {
    in_namespace(|| {
        veth("lan", "host", 2);
        let host = Socket::new("host");
        // Ports decide on the queue.
        let some = |n: u16| from_lan(&udp((CLIENT, 40000 + n), (SERVER, 443), &n.to_be_bytes()));
        const N: u16 = 400;
        let (umem, [mut lan]) = open(["xdp:lan"], &OpenOptions::default());
        assert_eq!((lan.queues.len(), lan.info.rx_rings, lan.info.tx_rings), (2, 2, 2));
        let mut of_queue = [0, 0];
        for n in 0..N {
            assert!(host.send(&some(n)));
            until("a frame", || {
                let before = of_queue[0] + of_queue[1];
                for (queue, count) in lan.queues.iter_mut().zip(&mut of_queue) {
                    receive(queue, |frame| {
                        assert!(frame == some(n));
                        *count += 1;
                    })
                    .unwrap();
                }
                of_queue[0] + of_queue[1] > before
            });
        }
        assert!(of_queue[0] > 50 && of_queue[1] > 50 && of_queue[0] + of_queue[1] == N, "{of_queue:?}");
        for queue in &mut lan.queues {
            assert!(send(queue, &some(7)).unwrap());
            let mut came = 0;
            until("a frame from each queue", || {
                host.receive(|frame| came += u32::from(frame == some(7)));
                came == 1
            });
        }
        drop(lan.queues);
        assert_all_buffers(&umem);

        let (_umem, [mut one]) = open(["xdp:lan-1"], &OpenOptions::default());
        assert!(one.info.warnings().iter().any(|w| w.contains("1 of 2 queues")), "{:?}", one.info.warnings());
        let stack = Socket::new("lan");
        let (mut ours, mut hosts) = (0, 0);
        (0..N).for_each(|n| assert!(host.send(&some(n))));
        until("every frame, here or there", || {
            receive(&mut one.queues[0], |_| ours += 1).unwrap();
            stack.receive(|_| hosts += 1);
            ours + hosts == N
        });
        assert_eq!([hosts, ours], of_queue);
    });
}

/// More than the rings hold, in bursts, with nobody reading for a while: what is lost is counted,
/// nothing else is, and then it goes on.
#[test]
fn a_flood_is_lost_in_the_kernel_and_counted_there() {
    in_namespace(|| {
        veth("lan", "host", 1);
        let host = Socket::new("host");
        let options = OpenOptions { slots: 256, ..Default::default() };
        let (umem, [mut lan]) = open(["xdp:lan"], &options);
        let (mut sent, mut came, mut last) = (0, 0, None);
        for burst in 0..40 {
            for _ in 0..burst * 25 {
                sent += u32::from(host.send(&some_frame(sent)));
            }
            receive(&mut lan.queues[0], |frame| {
                let n = u32::from_be_bytes(frame[14..18].try_into().unwrap());
                assert!(frame == some_frame(n) && last.is_none_or(|last| n > last), "in order, each once");
                last = Some(n);
                came += 1;
            })
            .unwrap();
        }
        until("the last ones", || {
            let before = came;
            receive(&mut lan.queues[0], |_| came += 1).unwrap();
            before == came
        });
        let losses = lan.watch.losses();
        println!("{came} of {sent}, {losses:?}");
        // The veth may lose some before.
        assert!(came > 2000 && losses.received > 2000 && losses.no_buffer > 0, "{came} of {sent}, {losses:?}");
        assert!(came + losses.received <= sent.into(), "{came} of {sent}, {losses:?}");
        assert_eq!((losses.strays, losses.refused, losses.too_long), (0, 0, 0));
        drop(lan.queues);
        assert_all_buffers(&umem);
    });
}

/// What no buffer takes, as merged segments are, is counted apart from what nobody was fast enough for.
#[test]
fn a_frame_longer_than_a_buffer_is_counted_as_that() {
    in_namespace(|| {
        veth("lan", "host", 1);
        ip("link set host mtu 3000");
        let host = Socket::new("host");
        let options = OpenOptions { buf_size: Some(2048), ..Default::default() };
        let (_umem, [mut lan]) = open(["xdp:lan"], &options);
        // Else the veth itself drops them.
        ip("link set lan mtu 3000");
        let (mut came, before) = (0, hikyaku_ring::arrived(lan.watch.name()).unwrap());
        assert!((0..3).all(|n| host.send(&frame(n, 3000)) && host.send(&frame(n, 200))));
        until("the short ones", || {
            receive(&mut lan.queues[0], |_| came += 1).unwrap();
            came == 3
        });
        let losses = lan.watch.losses();
        assert_eq!((losses.received, losses.too_long, losses.no_buffer), (3, 3, 0), "{losses:?}");
        assert_eq!(hikyaku_ring::arrived(lan.watch.name()).unwrap() - before, 6, "the driver has counted all");
    });
}

/// A thread in a namespace with one end of a veth that is made here, as a host of its own. It stays until what is
/// returned is dropped: with it goes the veth, and whoever still forwards finds the link down.
#[must_use]
fn host<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    interface: &'static str,
    address: &'static str,
    run: impl FnOnce() + Send + 'scope,
) -> mpsc::Sender<()> {
    let (stay, leave) = mpsc::channel();
    let (tell, hear) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    scope.spawn(move || {
        // SAFETY: plain system calls; the new namespace is this thread's alone.
        let thread = unsafe {
            assert_eq!(libc::unshare(libc::CLONE_NEWNET), 0);
            libc::gettid()
        };
        tell.send(thread).unwrap();
        wait.recv().unwrap();
        ip(&format!("addr add {address} dev {interface}"));
        ip(&format!("link set {interface} up"));
        run();
        let _ = leave.recv();
    });
    ip(&format!("link set {interface} netns {}", hear.recv().unwrap()));
    go.send(()).unwrap();
    stay
}

/// TCP between two hosts, through two links that swap everything across.
#[test]
fn tcp_crosses_at_speed() {
    in_namespace(|| {
        const BYTES: usize = 256 << 20;
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let (umem, [mut lan, mut wan]) = open(["xdp:lan", "xdp:wan"], &OpenOptions::default());
        let done = AtomicBool::new(false);
        let (listens, listening) = mpsc::channel();
        let mut traffic = Traffic::default();
        thread::scope(|scope| {
            let _line = host(scope, "line", "10.0.0.2/24", move || {
                let listener = TcpListener::bind("10.0.0.2:5001").unwrap();
                listens.send(()).unwrap();
                let (mut stream, _) = listener.accept().unwrap();
                let (mut buffer, mut got) = (vec![0; 1 << 16], 0);
                while got < BYTES {
                    let n = stream.read(&mut buffer).unwrap();
                    assert!(n > 0 && buffer[..n].iter().enumerate().all(|(i, &b)| b == (got + i) as u8));
                    got += n;
                }
                stream.write_all(b"all").unwrap();
            });
            let done = &done;
            let _host = host(scope, "host", "10.0.0.1/24", move || {
                listening.recv().unwrap();
                let mut stream = TcpStream::connect("10.0.0.2:5001").unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                let start = Instant::now();
                let bytes: Vec<u8> = (0..1 << 16).map(|i| i as u8).collect();
                (0..BYTES >> 16).for_each(|_| stream.write_all(&bytes).unwrap());
                let mut answer = [0; 3];
                stream.read_exact(&mut answer).unwrap();
                let seconds = start.elapsed().as_secs_f64();
                println!("{:.2} Gbit/s", BYTES as f64 * 8.0 / seconds / 1e9);
                done.store(true, Ordering::Relaxed);
            });
            let start = Instant::now();
            while !done.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(60) {
                let before = traffic.frames;
                forward(&mut lan.queues[0], &mut wan.queues[0], Change::None, &mut traffic);
                forward(&mut wan.queues[0], &mut lan.queues[0], Change::None, &mut traffic);
                if traffic.frames == before {
                    thread::yield_now();
                }
            }
        });
        println!("{traffic:?}, {:?} {:?}", lan.watch.losses(), wan.watch.losses());
        assert!(done.load(Ordering::Relaxed), "not within a minute");
        assert_eq!((traffic.shifted, traffic.copied), (0, 0));
        drop((lan.queues, wan.queues));
        assert_all_buffers(&umem);
    });
}
