//! All workers of a rig at once, each a thread on a core of its own.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;
use hikyaku_dataplane::napt::Direction;
use hikyaku_dataplane::verdict::{Reason, Verdict};
use hikyaku_dataplane::worker::Handle;
use hikyaku_net::packet::Tcp;

use crate::rig::{Rig, send};

/// What laps of several workers came to.
#[derive(Clone, Copy, Debug)]
pub struct Laps {
    /// From when every worker's frames were there until the last of all had left.
    pub clocks: u64,
    /// Packets that went in, of all workers.
    pub packets: u64,
    /// Of their frames those for which the ring to their worker had no room, or which waited for such a one.
    pub lost: u64,
}

impl Laps {
    /// Packets of which every frame was carried, as if each lost frame was of another packet's.
    pub fn carried(&self) -> f64 {
        self.packets.saturating_sub(self.lost) as f64
    }
}

/// Threads that wait for each other without sleeping: to be woken takes longer than a lap.
#[derive(Default)]
struct Meeting {
    waiting: AtomicU32,
    round: AtomicU32,
}

impl Meeting {
    fn wait(&self, all: u32) {
        let round = self.round.load(Ordering::Acquire);
        if self.waiting.fetch_add(1, Ordering::AcqRel) + 1 == all {
            self.waiting.store(0, Ordering::Relaxed);
            self.round.store(round + 1, Ordering::Release);
        }
        let mut idle = 0;
        while self.round.load(Ordering::Acquire) == round {
            idle = pause(idle);
        }
    }
}

/// Waits a little, for the `idle`th time in a row: at first so that nothing is missed, later so that whoever it is
/// waited for may run, where there are fewer cores than threads.
fn pause(idle: u32) -> u32 {
    if idle < 1000 {
        spin_loop()
    } else {
        thread::yield_now()
    }
    idle.saturating_add(1)
}

/// Frames that a worker lost, or holds because another one was lost.
fn lost(handle: &Handle) -> u64 {
    let ends = [Reason::HandoffFull, Reason::NaptFragment];
    ends.into_iter().map(|reason| handle.counters.verdict(reason.into())).sum::<u64>() + handle.counters.held()
}

/// Frames that a worker is done with, and not by handing them on.
fn ended(handle: &Handle) -> u64 {
    let ends = [Verdict::Outbound, Verdict::Inbound];
    ends.into_iter().map(|verdict| handle.counters.verdict(verdict)).sum::<u64>() + lost(handle)
}

impl Rig {
    /// So many laps, worker `k` on the core `cores[k]`: a ring full of packets of randomly chosen flows each.
    pub fn laps_at_once(&mut self, ways: &[Direction], laps: u32, cores: &[usize]) -> Laps {
        let flows: Vec<u32> = self.walk(laps * self.lap_len()).collect();
        let (lap, frames_in) = (self.lap_len() as usize, u64::from(self.shape.packets.frames_in()));
        let Self { workers, wires, shape, outside, clock, now, .. } = self;
        let (n, now) = (workers.len() as u32, *now);
        let handles: Vec<Handle> = workers.iter().map(|worker| worker.handle()).collect();
        let done: Vec<_> = handles.iter().map(|handle| CachePadded::new(AtomicU64::new(ended(handle)))).collect();
        let all_done = || done.iter().map(|n| n.load(Ordering::Relaxed)).sum::<u64>();
        let all_lost = || handles.iter().map(lost).sum::<u64>();
        let (done_before, lost_before) = (all_done(), all_lost());
        let (meeting, over, clocks) = (Meeting::default(), AtomicU32::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for (me, (worker, wires)) in workers.iter_mut().zip(wires.iter_mut()).enumerate() {
                let (meeting, over, clocks, done, all_done) = (&meeting, &over, &clocks, &done[me], &all_done);
                let handle = &handles[me];
                let (shape, outside, clock, flows) = (&*shape, &outside[..], &*clock, &flows);
                scope.spawn(move || {
                    core_affinity::set_for_current(core_affinity::CoreId { id: cores[me] });
                    for (number, flows) in flows.chunks(lap).enumerate() {
                        for (i, (&flow, &way)) in flows.iter().zip(ways.iter().cycle()).enumerate() {
                            if shape.queue(way, flow) == me {
                                let id = (number * lap + i) as u16;
                                send(wires, shape, outside, (way, Tcp::ACK), (flow, id));
                            }
                        }
                        meeting.wait(n);
                        let start = clock.raw();
                        let mut idle = 0;
                        loop {
                            idle = if worker.turn(now) > 0 { 0 } else { pause(idle) };
                            done.store(ended(handle), Ordering::Relaxed);
                            // The first sees that the lap is over, and tells the others.
                            if me == 0 && all_done() - done_before >= ((number + 1) * lap) as u64 * frames_in {
                                clocks.fetch_add(clock.raw() - start, Ordering::Relaxed);
                                over.store(number as u32 + 1, Ordering::Release);
                            }
                            if over.load(Ordering::Acquire) > number as u32 {
                                break;
                            }
                        }
                        meeting.wait(n);
                        wires.iter_mut().for_each(|wire| _ = wire.collect(|_| ()));
                    }
                });
            }
        });
        let packets = flows.len() as u64;
        self.delivered += packets * frames_in;
        let lost = all_lost() - lost_before;
        self.lost += lost;
        Laps { clocks: clocks.into_inner(), packets, lost }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::{Mode, Shape};
    use crate::shape::{CUT, PacketShape};
    use clap::ValueEnum;
    use hikyaku_ring::memory::MemoryConfig;

    #[test]
    fn all_frames_of_all_laps_leave() {
        for mode in [Mode::Ipip, Mode::Dslite] {
            let memory = MemoryConfig { slots: 256, huge_pages: false, ..Default::default() };
            let plain = Shape {
                mode,
                packets: PacketShape::Plain,
                rules: 0,
                frame: 60,
                flows: 500,
                table: 1024,
                memory,
                worker: Default::default(),
                workers: 2,
            };
            let mut rig = Rig::new(plain).unwrap();
            rig.open(|_| ()).unwrap();
            for ways in [&[Direction::Outbound][..], &[Direction::Inbound], &[Direction::Outbound, Direction::Inbound]]
            {
                let laps = rig.laps_at_once(ways, 3, &[0, 0]);
                assert_eq!((laps.packets, laps.lost), (3 * 255, 0));
                assert!(laps.clocks > 0);
                rig.check_counters().unwrap();
            }
            for &packets in PacketShape::value_variants() {
                let Some(way) = packets.way() else { continue };
                let frame = if packets.is_cut() { CUT } else { 60 };
                let mut rig = Rig::new(Shape { packets, frame, ..plain }).unwrap();
                rig.open(|_| ()).unwrap();
                let laps = rig.laps_at_once(&[way], 3, &[0, 0]);
                assert_eq!((laps.packets, laps.lost), (3 * u64::from(rig.lap_len()), 0), "{packets:?}");
                rig.check_counters().unwrap();
            }
        }
    }
}
