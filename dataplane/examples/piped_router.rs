//! A router on memory rings, frames by standard input and output: for judges that answer what it sends
//! (`scripts/judge`).
//!
//!     piped_router ipip|dslite
//!
//! In: `side: u8, len: u32, frame`, with side 0 for the LAN, 1 for the WAN; or side 2, and `len` milliseconds go by.
//! Out, for each of them: as many `side, len, frame` as left, then side 255 and the verdicts as text. Little-endian.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use common::{LAN, Out, Router, Setup, WAN};

fn main() -> io::Result<()> {
    let setup = match std::env::args().nth(1).as_deref() {
        Some("ipip") => Setup { sessions: 16384, ..Setup::ipip() },
        Some("dslite") => Setup::dslite(),
        other => panic!("ipip or dslite, not {other:?}"),
    };
    let mut router = Router::new(&setup);
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut head = [0; 5];
    loop {
        match input.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let [side, len @ ..] = head;
        let len = u32::from_le_bytes(len);
        let out = if side == 2 {
            router.advance(Duration::from_millis(len.into()));
            router.idle()
        } else {
            let mut frame = vec![0; len as usize];
            input.read_exact(&mut frame)?;
            router.play(if side == 0 { LAN } else { WAN }, [frame])
        };
        while router.punted().is_some() {}
        output.write_all(&answer(&out))?;
        output.flush()?;
    }
}

fn answer(out: &Out) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |side: u8, content: &[u8]| {
        bytes.push(side);
        bytes.extend((content.len() as u32).to_le_bytes());
        bytes.extend(content);
    };
    out.lan.iter().for_each(|frame| put(0, frame));
    out.wan.iter().for_each(|frame| put(1, frame));
    let verdicts: Vec<_> = out.verdicts.iter().map(|(verdict, n)| format!("{verdict} x{n}")).collect();
    put(255, verdicts.join(", ").as_bytes());
    bytes
}
