//! Any bytes as a capture, pcap, pcapng, plain or compressed, of any link layer: frames of a bounded length, or one line
//! about what is wrong and where. What was read, written again, is read as the same.
#![no_main]

use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex};

use hikyaku_capture::{Packet, Precision, Reader, Writer};
use libfuzzer_sys::fuzz_target;

/// A few bytes of gzip are a thousand times as many frames.
const MOST: usize = 4096;

/// As documented for the reader: no frame is longer.
const MAX_FRAME: usize = 256 << 10;

#[derive(Clone, Default)]
struct File(Arc<Mutex<Vec<u8>>>);

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics in here").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn read(bytes: &[u8]) -> Vec<Packet> {
    let mut reader = match Reader::new("f", Cursor::new(bytes.to_vec())) {
        Ok(reader) => reader,
        Err(why) => {
            let line = why.to_string();
            assert!(line.starts_with('f') && !line.contains(['\n', '\r']), "{line:?}");
            return Vec::new();
        }
    };
    let mut packets = Vec::new();
    for packet in reader.by_ref().take(MOST) {
        match packet {
            Ok(packet) => {
                assert!(packet.bytes.len() <= MAX_FRAME, "{} bytes", packet.bytes.len());
                packets.push(packet);
            }
            Err(why) => {
                let line = why.to_string();
                assert!(line.starts_with('f') && !line.contains(['\n', '\r']), "{line:?}");
            }
        }
    }
    assert!(packets.len() == MOST || reader.next().is_none(), "it goes on after its end");
    packets
}

fuzz_target!(|bytes: &[u8]| {
    let packets = read(bytes);
    let (file, precision) = (File::default(), Precision::Nano);
    let mut writer = Writer::new("f", file.clone(), precision).expect("memory takes all");
    for packet in &packets {
        writer.write(packet.time, &packet.bytes).expect("memory takes all");
    }
    writer.finish().expect("memory takes all");
    let written = file.0.lock().expect("nobody panics in here").clone();
    let again = read(&written);
    assert_eq!(again.len(), packets.len());
    for (again, packet) in again.iter().zip(&packets) {
        assert_eq!(again.bytes, packet.bytes);
        // Seconds have 32 bits in a file.
        assert_eq!(again.time.0 % 1_000_000_000, packet.time.0 % 1_000_000_000);
    }
});
