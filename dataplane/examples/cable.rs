//! A cable: what comes in on one link leaves by the other, both ways, until the program is ended.
//!
//! ```text
//! cable NAME NAME [NAME NAME]...
//! cable 'netmap:x}1' netmap:eth1 vale0:b netmap:eth2
//! ```
//!
//! With it a link that is no interface, a pipe's end or a port of a VALE switch, gets a neighbour
//! that is one: `scripts/netmap-vm` tries `hikyaku run` on those against Linux's own stack that way. It is also
//! the least that a program does with links: take, send, release, publish, sync.

use std::process::ExitCode;
use std::time::Duration;

use hikyaku_ring::kernel::{OpenOptions, open};
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

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() || !names.len().is_multiple_of(2) {
        eprintln!("usage: cable NAME NAME [NAME NAME]...");
        return ExitCode::from(2);
    }
    // Nothing is put in front of frames here.
    let options = OpenOptions { headroom: Headroom::NONE, ..Default::default() };
    let mut ends = Vec::new();
    for name in &names {
        let opened = name.parse::<LinkName>().map_err(|e| e.to_string()).and_then(|name| {
            let link = open(&name, &options).map_err(|e| e.to_string())?;
            println!("{}", link.info);
            link.queues.into_iter().next().ok_or_else(|| format!("{name}: no queue"))
        });
        match opened {
            Ok(queue) => ends.push(queue),
            Err(error) => {
                eprintln!("cable: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    loop {
        let mut moved = 0;
        for pair in ends.chunks_exact_mut(2) {
            let [a, b] = pair else { unreachable!("chunks of two") };
            moved += carry(a, b) + carry(b, a);
        }
        if moved == 0 {
            hikyaku_ring::wait(ends.iter().filter_map(|end| end.provider.descriptor()), SLEEP);
        }
    }
}
