//! The worker on memory rings, and on one whose interface is down.

use std::os::fd::AsRawFd;

use hikyaku_ring::memory::{MemoryConfig, links};

use super::*;

/// An interface that is down, or up: netmap's sync fails with EIO, and poll(2) has an event at once.
struct Interface {
    up: Arc<AtomicBool>,
    file: std::fs::File,
}

impl Provider for Interface {
    fn sync_tx(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync_rx(&mut self) -> io::Result<()> {
        if self.up.load(Ordering::Relaxed) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
    }

    fn descriptor(&self) -> Option<RawFd> {
        Some(self.file.as_raw_fd())
    }
}

#[test]
fn a_link_that_is_down_does_not_keep_the_worker_awake() {
    let (mut queue, _wire) = links(1, 1, MemoryConfig::default()).unwrap().remove(0).remove(0);
    let up = Arc::new(AtomicBool::new(false));
    queue.provider = Box::new(Interface { up: up.clone(), file: std::fs::File::open("/dev/null").unwrap() });
    let shared = Shared::new(Snapshot::default());
    let mut worker = Worker::new(0, [(LinkId(0), queue)], &shared, Config::default());
    for is_up in [true, false, true] {
        up.store(is_up, Ordering::Relaxed);
        worker.turn(shared.clock.now());
        assert_eq!(worker.handle.failing.load(Ordering::Relaxed), u64::from(!is_up));
        assert_eq!(worker.wakers().count(), usize::from(is_up));
    }
}

/// What the control thread wants sent is lost meanwhile, and counted; the other link goes on.
#[test]
fn a_queue_is_taken_away_and_another_one_given() {
    let mut made = links(3, 1, MemoryConfig::default()).unwrap().into_iter().flatten();
    let mut next = || made.next().unwrap();
    let ((lan, mut lan_wire), (wan, mut wan_wire), (new, mut new_wire)) = (next(), next(), next());
    let (a, b) = (LinkId(0), LinkId(1));
    let shared = Shared::new(Snapshot::default());
    let mut worker = Worker::new(0, [(a, lan), (b, wan)], &shared, Config::default());
    let handle = worker.handle();
    let mut send = |turned: &mut Worker| {
        for link in [a, b] {
            handle.inject.push(Message::new(link, &[7; 60]).unwrap()).unwrap();
        }
        turned.turn(shared.clock.now());
        [&mut lan_wire, &mut wan_wire, &mut new_wire].map(|wire| wire.collect(|_| ()))
    };
    let counted = |event| handle.counters.event(event);
    assert_eq!(send(&mut worker), [1, 1, 0]);
    // A link that is gone already, or was never there, can be taken away.
    for none in [b, b, LinkId(9)] {
        assert!(handle.adopt.push((none, None)).is_ok());
        assert_eq!(send(&mut worker), [1, 0, 0]);
    }
    assert_eq!([Event::InjectLost, Event::QueueLost].map(counted), [3, 1]);
    assert_eq!(handle.failing.load(Ordering::Relaxed), 1 << b.0);
    assert!(handle.adopt.push((b, Some(new))).is_ok());
    assert_eq!(send(&mut worker), [1, 0, 1]);
    assert_eq!([Event::InjectLost, Event::QueueAdopted].map(counted), [3, 1]);
    assert_eq!(handle.failing.load(Ordering::Relaxed), 0);
}
