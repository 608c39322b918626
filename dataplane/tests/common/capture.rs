//! Reads the captures of `pcap-fixtures`, as little as that takes: pcap of either byte order and
//! grain, pcapng with enhanced packet blocks, gzip.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

/// A frame of a capture, and when it went by.
pub struct Captured {
    /// Since the first one.
    pub time: Duration,
    pub bytes: Vec<u8>,
}

/// The path of a file of pcap-fixtures.
pub fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../pcap-fixtures", name].iter().collect()
}

pub fn read(name: &str) -> Vec<Captured> {
    let mut bytes = std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    if name.ends_with(".gz") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut plain).unwrap();
        bytes = plain;
    }
    let mut frames = if bytes.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) { pcapng(&bytes) } else { pcap(&bytes) };
    let start = frames.first().map_or(Duration::ZERO, |f| f.time);
    frames.iter_mut().for_each(|f| f.time = f.time.saturating_sub(start));
    frames
}

fn pcap(bytes: &[u8]) -> Vec<Captured> {
    let (big, nanos) = match bytes[..4] {
        [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
        [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
        [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
        _ => panic!("not a pcap file"),
    };
    let word = |at: usize| {
        let word = bytes[at..at + 4].try_into().unwrap();
        if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
    };
    let (mut at, mut frames) = (24, Vec::new());
    while at < bytes.len() {
        let [seconds, fraction, len] = [word(at), word(at + 4), word(at + 8)];
        let nanos = if nanos { fraction } else { fraction * 1000 };
        let bytes = bytes[at + 16..][..len as usize].to_vec();
        frames.push(Captured { time: Duration::new(seconds.into(), nanos), bytes });
        at += 16 + len as usize;
    }
    frames
}

/// Little-endian, microseconds: what dumpcap writes here.
fn pcapng(bytes: &[u8]) -> Vec<Captured> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (mut at, mut frames) = (0, Vec::new());
    while at < bytes.len() {
        let (kind, len) = (word(at), word(at + 4) as usize);
        if kind == 6 {
            let micros = u64::from(word(at + 12)) << 32 | u64::from(word(at + 16));
            let bytes = bytes[at + 28..][..word(at + 20) as usize].to_vec();
            frames.push(Captured { time: Duration::from_micros(micros), bytes });
        }
        at += len;
    }
    frames
}

/// What pcap-fixtures/index.json says.
pub fn index() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path("index.json")).unwrap()).unwrap()
}

/// All files of the index: name and entry.
pub fn files() -> Vec<(String, serde_json::Value)> {
    let index = index();
    let files = index["files"].as_array().unwrap().iter();
    files.map(|f| (f["file"].as_str().unwrap().to_owned(), f.clone())).collect()
}
