//! A cable: what comes in on one link leaves by the other, both ways. It is the least that a forwarder does with links:
//! take, send, release, publish, sync.
//!
//! ```text
//! cable memory                            shows it on links in memory; needs no rights, no card, no network
//! cable NAME NAME [NAME NAME]...          joins links in pairs until it is ended
//! cable 'netmap:x}1' netmap:eth1 vale0:b netmap:eth2
//! ```
//!
//! With it a link that is no interface, a pipe's end or a port of a VALE switch, gets a neighbour that is one:
//! `scripts/netmap-vm` tries `hikyaku run` on those against Linux's own stack that way.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use hikyaku_ring::kernel::{OpenOptions, open};
use hikyaku_ring::memory::{MemoryConfig, links};
use hikyaku_ring::{Headroom, LinkName, Queue};

/// Frames that are moved between two syncs.
const BURST: u32 = 256;
/// The longest sleep: a frame that found no room waits for no event of its own.
const SLEEP: Duration = Duration::from_millis(1);

/// Moves what waits in `from` to `to`; says how many frames that were. Those that find no room wait.
fn carry(from: &mut Queue, to: &mut Queue) -> u32 {
    // An interface that is down, or a pipe whose other end is closed, fails and moves nothing.
    if from.provider.sync_rx().is_err() {
        return 0;
    }
    let n = from.rx.available().min(to.tx.space()).min(BURST);
    for _ in 0..n {
        // A bad slot is the kernel's to mend: its frame is lost.
        let Ok(frame) = from.rx.take() else { continue };
        if to.tx.send(&mut from.rx, frame).is_err() {
            from.rx.restore(frame);
        }
    }
    from.rx.release();
    to.tx.publish();
    if to.tx.pending() {
        // Not sent now is sent with the next sync.
        let _ = to.provider.sync_tx();
    }
    n
}

/// Two links in memory, and a wire at the far end of each: what one wire delivers, the other collects. How many frames
/// went there and back of `frames` each way.
pub fn in_memory(frames: u32) -> Result<[usize; 2], Box<dyn Error>> {
    let mut ends = links(2, 1, MemoryConfig::default())?.into_iter().flatten();
    let (Some((mut a, mut wire_a)), Some((mut b, mut wire_b))) = (ends.next(), ends.next()) else { return Ok([0; 2]) };
    let (mut there, mut back) = (0, 0);
    let (small, large) = ([1; 60], [2; 1500]);
    for _ in 0..frames {
        wire_a.deliver(&small);
        wire_b.deliver(&large);
        carry(&mut a, &mut b);
        carry(&mut b, &mut a);
        there += wire_b.collect(|frame| assert_eq!(frame, small));
        back += wire_a.collect(|frame| assert_eq!(frame, large));
    }
    Ok([there, back])
}

/// The first queue of a link, with nothing to be put in front of frames.
fn end(name: &str) -> Result<Queue, Box<dyn Error>> {
    let options = OpenOptions { headroom: Headroom::NONE, ..Default::default() };
    let link = open(&name.parse::<LinkName>()?, &options)?;
    println!("{}", link.info);
    link.queues.into_iter().next().ok_or_else(|| format!("{name}: no queue").into())
}

fn run(names: &[String]) -> Result<(), Box<dyn Error>> {
    if names == ["memory"] {
        let [there, back] = in_memory(100_000)?;
        println!("{there} frames of 60 bytes there, {back} of 1500 bytes back");
        return Ok(());
    }
    if names.is_empty() || !names.len().is_multiple_of(2) {
        return Err("usage: cable memory | NAME NAME [NAME NAME]...".into());
    }
    let mut ends = names.iter().map(|name| end(name)).collect::<Result<Vec<_>, _>>()?;
    loop {
        let pairs = ends.as_chunks_mut::<2>().0;
        if pairs.iter_mut().map(|[a, b]| carry(a, b) + carry(b, a)).sum::<u32>() == 0 {
            hikyaku_ring::wait(ends.iter().filter_map(|end| end.provider.descriptor()), SLEEP);
        }
    }
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    let Err(error) = run(&names) else { return ExitCode::SUCCESS };
    eprintln!("cable: {error}");
    ExitCode::FAILURE
}
