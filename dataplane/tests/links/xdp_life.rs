//! Bad days of AF_XDP links: killed programs, interfaces that go down, are removed and come back,
//! and everything that cannot be opened.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use hikyaku_ring::xdp::{self, Attach, OpenError, OpenOptions, Transfer, Umem, XdpLink};
use hikyaku_ring::{LinkError, LinkOptions, Wanted};

use crate::xdp_net::*;

/// A frame from the socket to the queue and one back, byte for byte.
#[track_caller]
fn works(link: &mut XdpLink, far: &Socket) {
    let queue = &mut link.queues[0];
    until("a frame from the far end", || {
        far.send(&frame(1, 700));
        let mut came = false;
        receive(queue, |bytes| came |= bytes == frame(1, 700)).is_ok() && came
    });
    until("a frame to the far end", || {
        let _ = send(queue, &frame(2, 900));
        let mut came = false;
        far.receive(|bytes| came |= bytes == frame(2, 900));
        came
    });
}

/// The queue's errors, until one is `errno`.
#[track_caller]
fn fails_with(link: &mut XdpLink, errno: i32) {
    let queue = &mut link.queues[0];
    until("an error of sync_rx", || receive(queue, |_| ()).is_err_and(|error| error.raw_os_error() == Some(errno)));
    let error = send(queue, &frame(3, 60)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(errno), "{error}");
}

/// A child that is killed whatever happens.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The interface is the host's again after `kill -9`.
#[test]
fn a_killed_program_leaves_nothing_behind() {
    const CHILD: &str = "HIKYAKU_XDP_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let (_umem, _links) = open(["xdp:lan", "xdp:wan"], &OpenOptions::default());
        println!("both are open");
        loop {
            std::thread::park();
        }
    }
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "xdp_life::a_killed_program_leaves_nothing_behind", "--nocapture"]).env(CHILD, "yes");
        let mut child = Killed(child.stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("both are open")), "the child did not get that far");
        assert!(has_program("lan") && has_program("wan"));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        until("the programs are gone", || !has_program("lan") && !has_program("wan"));
        let (_, [mut lan, mut wan]) = open(["xdp:lan", "xdp:wan"], &OpenOptions::default());
        works(&mut lan, &Socket::new("host"));
        works(&mut wan, &Socket::new("line"));
    });
}

#[test]
fn a_closed_link_is_the_hosts_again_and_can_be_opened_again() {
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let (host, line) = (Socket::new("host"), Socket::new("line"));
        let options = OpenOptions::default();
        let (umem, [lan, mut wan]) = open(["xdp:lan", "xdp:wan"], &options);
        let mut lan = lan;
        for lap in 0..20 {
            works(&mut lan, &host);
            works(&mut wan, &line);
            // Closed with frames in every ring.
            (0..100).for_each(|_| assert!(host.send(&frame(4, 300))));
            let queue = &mut lan.queues[0];
            for _ in 0..50 {
                queue.tx.originate(200, |to| to.fill(1)).unwrap();
            }
            queue.tx.publish();
            if lap % 2 == 0 {
                queue.provider.sync_tx().unwrap();
                queue.provider.sync_rx().unwrap();
            }
            drop(lan);
            until("the program is gone", || !has_program("lan"));
            assert!(umem.buffers().is_none(), "the other link is open");
            lan = xdp::open(&"xdp:lan".parse().unwrap(), &umem, &options).unwrap_or_else(|e| panic!("{e}"));
        }
        drop((lan.queues, wan.queues));
        assert_all_buffers(&umem);
    });
}

#[test]
fn an_interface_that_was_down_goes_on_by_itself() {
    for attach in [Attach::Native, Attach::Generic] {
        in_namespace(|| {
            veth("lan", "host", 1);
            let host = Socket::new("host");
            let options = OpenOptions { attach: Some(attach), ..Default::default() };
            let (umem, [mut lan]) = open(["xdp:lan"], &options);
            works(&mut lan, &host);
            for _ in 0..3 {
                ip("link set lan down");
                fails_with(&mut lan, libc::ENETDOWN);
                // More than the ring holds: what waits is sent later, the rest is refused.
                let mut refused = 0;
                for n in 0..3000 {
                    refused +=
                        u32::from(lan.queues[0].tx.originate(60, |to| to.copy_from_slice(&frame(n, 60))).is_err());
                }
                assert!(refused > 900, "{refused}");
                lan.queues[0].tx.publish();
                ip("link set lan up");
                works(&mut lan, &host);
                // The far end's fault: frames are lost, nothing else.
                ip("link set host down");
                (0..2000).for_each(|n| {
                    let _ = send(&mut lan.queues[0], &frame(n, 60));
                });
                ip("link set host up");
                works(&mut lan, &host);
                assert!(!lan.watch.gone());
            }
            drop(lan.queues);
            assert_all_buffers(&umem);
        });
    }
}

#[test]
fn an_interface_that_was_removed_is_opened_again_under_its_queues() {
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let line = Socket::new("line");
        // The first one open is the one whose memory the second shares.
        let (umem, [mut lan, mut wan]) = open(["xdp:lan", "xdp:wan"], &OpenOptions::default());
        works(&mut wan, &line);
        for lap in 0..5 {
            works(&mut lan, &Socket::new("host"));
            let still = lan.watch.reopen().unwrap_err();
            assert!(matches!(still, OpenError::StillOpen { .. }), "{still}");
            (0..100).for_each(|n| {
                let _ = lan.queues[0].tx.originate(200, |to| to.copy_from_slice(&frame(n, 200)));
            });
            ip("link del lan");
            fails_with(&mut lan, libc::ENXIO);
            assert!(lan.watch.gone() && lan.queues[0].provider.descriptor().is_none());
            // The other link does not care.
            works(&mut wan, &line);
            let none = lan.watch.reopen().unwrap_err();
            assert!(matches!(&none, OpenError::NoInterface { have, .. } if have.contains(&"wan".into())), "{none}");
            veth("lan", "host", if lap % 2 == 0 { 2 } else { 1 });
            let host = Socket::new("host");
            ip("link set lan down");
            let down = lan.watch.reopen().unwrap_err();
            assert!(matches!(&down, OpenError::Down { .. }), "{down}");
            ip("link set lan up");
            let info = lan.watch.reopen().unwrap();
            assert_eq!(info.rx_rings, if lap % 2 == 0 { 2 } else { 1 });
            if lap % 2 == 0 {
                // Frames of the queue that nobody had before go to the host: here again with one.
                assert!(info.warnings().iter().any(|w| w.contains("goes to the host")), "{:?}", info.warnings());
                ip("link del lan");
                fails_with(&mut lan, libc::ENXIO);
                veth("lan", "host", 1);
                lan.watch.reopen().unwrap();
                works(&mut lan, &Socket::new("host"));
            } else {
                works(&mut lan, &host);
            }
            assert!(!lan.watch.gone());
        }
        assert_eq!(lan.watch.losses().strays, 0);
        drop((lan.queues, wan.queues));
        assert_all_buffers(&umem);
    });
}

/// The kernel lets nobody share the memory of a socket whose interface is gone: then it is told of
/// the memory once more.
#[test]
fn memory_outlives_the_interface_it_was_first_used_with() {
    in_namespace(|| {
        veth("lan", "host", 1);
        veth("wan", "line", 1);
        let options = OpenOptions::default();
        let names = ["xdp:lan", "xdp:wan"].map(|name| name.parse().unwrap());
        let umem = Umem::for_links(names.iter().map(|name| (name, 0)), &options).unwrap();
        let mut lan = xdp::open(&names[0], &umem, &options).unwrap_or_else(|e| panic!("{e}"));
        ip("link del lan");
        // Its queue has not noticed yet.
        let mut wan = xdp::open(&names[1], &umem, &options).unwrap_or_else(|e| panic!("{e}"));
        works(&mut wan, &Socket::new("line"));
        fails_with(&mut lan, libc::ENXIO);
        veth("lan", "host", 1);
        lan.watch.reopen().unwrap();
        works(&mut lan, &Socket::new("host"));
        drop((lan.queues, wan.queues));
        assert_all_buffers(&umem);
    });
}

#[track_caller]
fn failure(name: &str, options: &OpenOptions) -> OpenError {
    match hikyaku_ring::open(
        &[Wanted::new(name.parse().unwrap())],
        &LinkOptions { xdp: options.clone(), ..Default::default() },
    ) {
        Ok(links) => panic!("opened: {}", links[0].info),
        Err(LinkError::Netmap(error)) => panic!("{error}"),
        Err(LinkError::Xdp(error)) => {
            let line = error.to_string();
            println!("{line}");
            assert!(!line.contains('\n'));
            error
        }
    }
}

#[test]
fn what_cannot_be_opened_says_why() {
    in_namespace(|| {
        veth("lan", "host", 1);
        let options = OpenOptions::default();
        let error = failure("xdp:ix7", &options);
        assert_eq!(error.to_string(), "link xdp:ix7: no such interface (have: host, lan)");
        let error = failure("xdp:lan-3", &options);
        assert_eq!(error.to_string(), "link xdp:lan-3: no such queue (have: 0 to 0)");
        let error = failure("xdp:lan", &OpenOptions { slots: 1000, ..options.clone() });
        assert!(matches!(error, OpenError::Shape { slots: 1000, .. }), "{error}");
        let error = failure("xdp:lan", &OpenOptions { transfer: Some(Transfer::ZeroCopy), ..options.clone() });
        assert!(error.to_string().contains("the driver does not know this mode"), "{error}");
        assert!(!has_program("lan"), "what failed left nothing behind");

        ip("link set lan down");
        let error = failure("xdp:lan", &options);
        assert!(error.to_string().ends_with("(ip link set dev lan up)"), "{error}");
        ip("link set lan up mtu 9000");
        let error = failure("xdp:lan", &options);
        assert!(error.to_string().ends_with("buffers of 4096 bytes (ip link set dev lan mtu 3506)"), "{error}");
        ip("link set lan mtu 3000");
        let error = failure("xdp:lan", &OpenOptions { buf_size: Some(2048), ..options.clone() });
        assert!(error.to_string().ends_with("(ip link set dev lan mtu 1774)"), "{error}");
        // Left to itself it takes larger buffers.
        let (_, [lan]) = open(["xdp:lan"], &options);
        assert_eq!(lan.info.buf_size, 4096);

        // Another program, for all that this memory knows.
        for attach in [None, Some(Attach::Native), Some(Attach::Generic)] {
            let error = failure("xdp:lan", &OpenOptions { attach, ..options.clone() });
            assert!(matches!(error, OpenError::OtherProgram { .. }), "{error}");
        }
        assert!(has_program("lan"), "it is still there");
        drop(lan);

        // The same queue twice, and more queues than there is memory for.
        let name = "xdp:lan".parse().unwrap();
        let umem = Umem::for_links([(&name, 0), (&name, 0)], &options).unwrap();
        let _lan = xdp::open(&name, &umem, &options).unwrap_or_else(|e| panic!("{e}"));
        let error = xdp::open(&name, &umem, &options).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::Busy { queue: 0, .. }), "{error}");
        let umem = Umem::new(0, 0, 2048, &options).unwrap();
        let error = xdp::open(&name, &umem, &options).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::NoRoom { .. }), "{error}");
        let error = xdp::open(&"netmap:lan".parse().unwrap(), &umem, &options).map(|_| ()).unwrap_err();
        assert!(matches!(error, OpenError::NotXdp { .. }), "{error}");
    });
}

#[test]
fn without_permission_it_says_what_is_needed() {
    in_namespace(|| {
        veth("lan", "host", 1);
        // SAFETY: a plain system call: this thread, which ends with the test, is nobody from now on.
        let dropped = unsafe { libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534) };
        assert_eq!(dropped, 0);
        let error = failure("xdp:lan", &OpenOptions::default());
        assert!(matches!(error, OpenError::Permission { .. }), "{error}");
        assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    });
}
