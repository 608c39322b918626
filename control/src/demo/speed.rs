//! The same packets again and again without judges: a rough figure of what the path alone costs.

use std::time::Duration;

use hikyaku_capture::Reader;
use hikyaku_config::mtu_mode;
use hikyaku_net::{PortSet, Time};
use hikyaku_protocols::service::Outside;
use hikyaku_schema::Tuning;
use serde::Serialize;

use super::play::{BR, CE, OUTSIDE};
use crate::capture_router::{CaptureRouter, Setup};

/// IMIX of 256 flows, all of which fits the tunnel.
const LOAD: &[u8] = include_bytes!("../../../pcap-fixtures/imix-1460.pcap.gz");

/// How often: a fraction of a second.
const LAPS: usize = 200;

/// How fast the router carried the load on one core.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Frames that went through.
    pub frames: u64,
    /// Per second, on one core.
    pub frames_per_second: f64,
    /// Clocks of the time-stamp counter per frame.
    pub clocks_per_frame: f64,
}

/// Sends IMIX from the LAN through NAPT into the tunnel, in full bursts.
pub fn measure(tuning: &Tuning) -> anyhow::Result<Speed> {
    let setup = Setup {
        ce: CE,
        br: BR,
        outside: Some(Outside { ipv4: OUTSIDE, ports: PortSet::ALL }),
        mesh: None,
        mtu: mtu_mode(1460),
        behaviour: Default::default(),
        lan: None,
        vlans: [None, None],
    };
    let mut router = CaptureRouter::new(&setup, tuning)?;
    let frames = Reader::new("imix 1460", LOAD)?.map(|p| p.map(|p| p.bytes)).collect::<Result<Vec<_>, _>>()?;
    let burst = usize::from(tuning.batch).min(tuning.ring_slots as usize / 2);
    let clock = quanta::Clock::new();
    let (mut clocks, mut nanos, mut sent) = (0, 0, 0);
    for lap in 0..LAPS {
        for (number, chunk) in frames.chunks(burst).enumerate() {
            for frame in chunk {
                router.lan.deliver(frame);
            }
            let before = clock.raw();
            router.run(Time::default() + Duration::from_millis((lap * 10 + number) as u64));
            let after = clock.raw();
            clocks += after - before;
            nanos += clock.delta_as_nanos(before, after);
            sent += router.wan.collect(|_| ()) as u64;
        }
        if lap == 0 {
            // The first lap opens the sessions and warms the caches.
            (clocks, nanos, sent) = (0, 0, 0);
        }
    }
    let expected = (LAPS - 1) * frames.len();
    anyhow::ensure!(sent == expected as u64, "demo: {sent} of {expected} frames of IMIX left for the tunnel");
    let seconds = Duration::from_nanos(nanos).as_secs_f64();
    Ok(Speed { frames: sent, frames_per_second: sent as f64 / seconds, clocks_per_frame: clocks as f64 / sent as f64 })
}
