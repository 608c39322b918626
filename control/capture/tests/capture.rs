//! Captures: every format that is read, what is written, and what happens when a file is cut or damaged.

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use hikyaku_capture::{CaptureError, Changes, Packet, Precision, Problem, Reader, Writer};
use hikyaku_net::Time;
use lz4_flex::frame::FrameEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

const SECOND: u64 = 1_000_000_000;

fn read(bytes: Vec<u8>) -> (Vec<Packet>, Option<CaptureError>) {
    let mut packets = Vec::new();
    match Reader::new("test", Cursor::new(bytes)) {
        Ok(reader) => {
            for packet in reader {
                match packet {
                    Ok(p) => packets.push(p),
                    Err(e) => return (packets, Some(e)),
                }
            }
            (packets, None)
        }
        Err(e) => (packets, Some(e)),
    }
}

fn frames() -> Vec<Packet> {
    [(5 * SECOND + 123_456_789, 60), (5 * SECOND + 123_456_789, 61), (6 * SECOND, 1514)]
        .map(|(t, len)| Packet { time: Time(t), bytes: (0..len).map(|i| i as u8).collect(), missing: 0 })
        .into()
}

/// A file of numbers in either byte order.
struct Bytes {
    big: bool,
    out: Vec<u8>,
}

impl Bytes {
    fn u16(&mut self, n: u16) -> &mut Self {
        self.out.extend(if self.big { n.to_be_bytes() } else { n.to_le_bytes() });
        self
    }

    fn u32(&mut self, n: u32) -> &mut Self {
        self.out.extend(if self.big { n.to_be_bytes() } else { n.to_le_bytes() });
        self
    }

    fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend(bytes);
        self
    }

    fn padded(&mut self, bytes: &[u8]) -> &mut Self {
        self.raw(bytes).raw(&[0; 3][..bytes.len().next_multiple_of(4) - bytes.len()])
    }

    /// A pcapng block around `body`.
    fn block(&mut self, kind: u32, body: impl FnOnce(&mut Bytes)) -> &mut Self {
        let mut inner = Bytes { big: self.big, out: Vec::new() };
        body(&mut inner);
        let len = inner.out.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&inner.out).u32(len)
    }

    fn section(&mut self) -> &mut Self {
        self.block(0x0a0d0d0a, |b| {
            b.u32(0x1a2b3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        })
    }

    fn interface(&mut self, link_type: u16, snap_len: u32, resolution: u8, offset: i64) -> &mut Self {
        self.block(1, |b| {
            b.u16(link_type).u16(0).u32(snap_len);
            b.u16(9).u16(1).raw(&[resolution, 0, 0, 0]);
            let offset = if b.big { offset.to_be_bytes() } else { offset.to_le_bytes() };
            b.u16(14).u16(8).raw(&offset);
            b.u16(0).u16(0);
        })
    }

    fn packet(&mut self, interface: u32, ticks: u64, original: u32, bytes: &[u8]) -> &mut Self {
        self.block(6, |b| {
            b.u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32).u32(bytes.len() as u32).u32(original);
            b.padded(bytes);
        })
    }
}

fn pcap(big: bool, nanos: bool) -> Vec<u8> {
    let mut file = Bytes { big, out: Vec::new() };
    file.u32(if nanos { 0xa1b23c4d } else { 0xa1b2c3d4 }).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(1);
    for p in frames() {
        let fraction = (p.time.0 % SECOND) as u32 / if nanos { 1 } else { 1000 };
        file.u32((p.time.0 / SECOND) as u32).u32(fraction).u32(p.bytes.len() as u32).u32(p.bytes.len() as u32);
        file.raw(&p.bytes);
    }
    file.out
}

fn pcapng(big: bool) -> Vec<u8> {
    let mut file = Bytes { big, out: Vec::new() };
    file.section().interface(1, 0, 9, 0).interface(1, 0, 9, 0);
    for (i, p) in frames().iter().enumerate() {
        file.packet(i as u32 % 2, p.time.0, p.bytes.len() as u32, &p.bytes);
    }
    file.out
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// The same in each packing that is read, with its name.
fn packed(bytes: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let mut lz4 = FrameEncoder::new(Vec::new());
    lz4.write_all(bytes).unwrap();
    let zstd = compress_to_vec(bytes, CompressionLevel::Fastest);
    [("gzip", zipped(bytes)), ("zstd", zstd), ("lz4", lz4.finish().unwrap())]
}

#[test]
fn every_format_gives_the_same_frames() {
    for big in [false, true] {
        for file in [pcap(big, true), pcapng(big)] {
            for file in packed(&file).map(|(_, file)| file).into_iter().chain([file]) {
                let (packets, error) = read(file);
                assert_eq!(packets, frames());
                assert!(error.is_none());
            }
        }
        let (packets, error) = read(pcap(big, false));
        assert!(error.is_none());
        assert_eq!(packets[0].time, Time(5 * SECOND + 123_456_000));
    }
}

#[test]
fn what_is_written_reads_back() {
    let dir = std::env::temp_dir().join(format!("hikyaku-capture-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for name in ["a.pcap", "a.pcap.gz"] {
        let path = dir.join(name);
        let mut writer = Writer::create(&path, Precision::Nano).unwrap();
        for p in frames() {
            writer.write(p.time, &p.bytes).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]), name.ends_with("gz"));
        let packets: Result<Vec<_>, _> = Reader::open(&path).unwrap().collect();
        assert_eq!(packets.unwrap(), frames());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_file_cut_anywhere_gives_all_frames_before_the_cut_and_says_where() {
    for (file, first_record, overhead) in
        [(pcap(false, true), 24, 16), (pcap(true, false), 24, 16), (pcapng(false), 28 + 2 * 44, 32)]
    {
        // Where each record starts, and the end of the file.
        let mut starts = vec![first_record];
        for p in frames() {
            let padded = if overhead == 32 { p.bytes.len().next_multiple_of(4) } else { p.bytes.len() };
            starts.push(starts.last().unwrap() + overhead + padded);
        }
        assert_eq!(*starts.last().unwrap(), file.len());
        for cut in 0..file.len() {
            let (packets, error) = read(file[..cut].to_vec());
            let whole = starts.iter().filter(|&&s| s <= cut).count().saturating_sub(1);
            assert_eq!(packets.len(), whole, "cut at {cut}");
            if starts.contains(&cut) || (overhead == 32 && [28, 28 + 44].contains(&cut)) {
                assert!(error.is_none(), "cut at {cut}: {error:?}");
            } else {
                let error = error.unwrap_or_else(|| panic!("cut at {cut}: no error"));
                let start = starts.iter().copied().filter(|&s| s <= cut).max();
                if let Some(start) = start {
                    assert!(matches!(error.problem, Problem::Truncated(_)), "cut at {cut}: {error}");
                    assert_eq!(error.offset, start as u64, "cut at {cut}: {error}");
                    assert!(!error.is_wrong_file());
                }
            }
        }
    }
}

/// `three.pcap.zst`: zstd 1.5.4, the first 1000 bytes with -19 and the rest with -1 --check, between them a frame to skip
/// (RFC 8878 3.1.2). `three.pcap.lz4`: lz4 1.9.4, the same parts with -9 -BD --content-size and with nothing.
#[test]
fn files_of_the_tools_themselves() {
    let [zstd, lz4] = [&include_bytes!("files/three.pcap.zst")[..], include_bytes!("files/three.pcap.lz4")];
    for file in [zstd, lz4] {
        let (packets, error) = read(file.to_vec());
        assert_eq!(packets, frames());
        assert!(error.is_none(), "{error:?}");
    }
    // A checksum that is wrong: its last byte.
    for (file, says) in [(zstd, "the checksum of a zstd frame"), (lz4, "cannot be read on")] {
        let mut file = file.to_vec();
        *file.last_mut().unwrap() ^= 1;
        let (packets, error) = read(file);
        let error = error.expect("it is damaged");
        assert!(error.to_string().contains(says) && !error.is_wrong_file(), "{error}");
        assert_eq!(packets, frames(), "what came before it is given");
    }
}

/// RFC 8878 3.1.1.1.2: a few bytes ask for a window of terabytes.
#[test]
fn a_window_of_terabytes_is_refused() {
    let file = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff, 1, 0, 0];
    let error = read(file.to_vec()).1.unwrap();
    assert!(error.to_string().contains("cannot be read on"), "{error}");
}

#[test]
fn what_is_packed_and_cut_gives_what_unpacks_and_says_so() {
    for (packing, file) in packed(&pcap(false, true)) {
        let mut most = 0;
        for cut in 0..file.len() {
            let (packets, error) = read(file[..cut].to_vec());
            let error = error.unwrap_or_else(|| panic!("{packing} cut at {cut}: no error"));
            assert!(!error.to_string().is_empty());
            assert_eq!(packets, frames()[..packets.len()]);
            most = most.max(packets.len());
            if !packets.is_empty() {
                assert!(error.to_string().contains(&format!("of the unpacked {packing}")), "{error}");
            }
        }
        // Of gzip and lz4 the trailer is missing, of zstd the only block.
        assert_eq!(most, if packing == "zstd" { 0 } else { 3 }, "{packing}");
    }
}

#[test]
fn each_interface_has_its_own_clock_and_snap_length() {
    let mut file = Bytes { big: true, out: Vec::new() };
    file.section()
        .interface(1, 0, 6, 0)
        .interface(1, 0, 0x80 | 20, 100)
        .interface(1, 0, 3, -2)
        .packet(0, 7_000_001, 60, &[1; 60])
        .packet(1, 3 << 19, 1514, &[2; 61])
        .packet(2, 2_500, 60, &[3; 60])
        .packet(2, 1_500, 60, &[4; 60]);
    let (packets, error) = read(file.out);
    assert!(error.is_none(), "{error:?}");
    let times: Vec<u64> = packets.iter().map(|p| p.time.0).collect();
    assert_eq!(times, [7 * SECOND + 1000, 101 * SECOND + SECOND / 2, SECOND / 2, 0]);
    assert_eq!((packets[1].bytes.len(), packets[1].missing), (61, 1453));
}

#[test]
fn a_simple_packet_and_a_second_section_of_other_byte_order() {
    let mut file = Bytes { big: false, out: Vec::new() };
    file.section().interface(1, 64, 6, 0).block(3, |b| {
        b.u32(1514).padded(&[9; 64]);
    });
    let mut second = Bytes { big: true, out: Vec::new() };
    second.section().interface(1, 0, 6, 0).packet(0, 1, 14, &[8; 14]);
    file.raw(&second.out);
    let (packets, error) = read(file.out);
    assert!(error.is_none(), "{error:?}");
    assert_eq!((packets[0].bytes.len(), packets[0].missing), (64, 1450));
    assert_eq!(packets[1], Packet { time: Time(1000), bytes: vec![8; 14], missing: 0 });
}

#[test]
fn wrong_files_are_named_with_what_to_do() {
    let mut wireless = pcap(false, true);
    wireless[20] = 105;
    let mut bad_length = pcap(false, true);
    bad_length[24 + 8..][..4].copy_from_slice(&[0xff; 4]);
    for (file, wrong_file, says) in [
        (vec![], true, "test: is empty"),
        (b"GIF89a".to_vec(), true, "test: is not a capture: it starts with 47 49 46 38"),
        (wireless, true, "test: has link type 105, which is not read; Ethernet (1), "),
        (zipped(b"hello"), true, "test: is not a capture"),
        (bad_length, false, "test: at byte 24: is damaged: a frame of 4294967295 bytes"),
    ] {
        let error = read(file).1.unwrap();
        assert_eq!(error.is_wrong_file(), wrong_file, "{error}");
        assert!(error.to_string().starts_with(says), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
    let error = Reader::open("/nonexistent.pcap").err().unwrap();
    assert!(error.to_string().starts_with("/nonexistent.pcap: cannot be opened: No such file"), "{error}");
}

#[test]
fn frames_of_an_undescribed_or_foreign_interface_stop_the_reading() {
    let mut file = Bytes { big: false, out: Vec::new() };
    file.section().interface(1, 0, 6, 0).packet(0, 0, 60, &[0; 60]).packet(3, 0, 60, &[0; 60]);
    let (packets, error) = read(file.out);
    assert_eq!(packets.len(), 1);
    assert!(error.unwrap().to_string().contains("a frame of interface 3, but 1 were described"));

    let mut file = Bytes { big: false, out: Vec::new() };
    file.section().interface(1, 0, 6, 0).interface(105, 0, 6, 0).packet(0, 0, 60, &[0; 60]).packet(1, 0, 60, &[0; 60]);
    let (packets, error) = read(file.out);
    assert_eq!(packets.len(), 1);
    // Part of it was read: not the wrong file.
    let error = error.unwrap();
    assert!(!error.is_wrong_file());
    let text = error.to_string();
    let (place, says) = text.split_once(": frame 2 has link type 105, which is not read").expect(&text);
    assert!(place.starts_with("test: at byte ") && says.contains("tshark -r FILE -Y eth"), "{text}");

    let mut file = Bytes { big: false, out: Vec::new() };
    file.section().interface(105, 0, 6, 0).packet(0, 0, 60, &[0; 60]);
    assert!(read(file.out).1.unwrap().is_wrong_file(), "nothing of it was read");
}

/// Interfaces of different link layers in one file, and what no frame of Ethernet can be made of.
#[test]
fn other_link_layers_become_ethernet() {
    let ipv4 = [0x45, 1, 2, 3];
    let mut file = Bytes { big: false, out: Vec::new() };
    file.section().interface(1, 0, 6, 0).interface(101, 0, 6, 0).interface(9, 0, 6, 0);
    file.packet(1, 1, 100, &ipv4).packet(0, 2, 60, &[7; 60]).packet(2, 3, 6, &[0xc0, 0x21, 1, 1, 0, 4]).packet(
        2,
        4,
        6,
        &[&[0, 0x21], &ipv4[..]].concat(),
    );
    let mut reader = Reader::new("test", Cursor::new(file.out)).unwrap();
    let packets: Vec<Packet> = reader.by_ref().map(Result::unwrap).collect();
    let made = [&[2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, 0xfe, 8, 0], &ipv4[..]].concat();
    assert_eq!(packets.iter().map(|packet| &packet.bytes[..]).collect::<Vec<_>>(), [&made[..], &[7; 60], &made]);
    assert_eq!(
        packets.iter().map(|packet| (packet.time.0, packet.missing)).collect::<Vec<_>>(),
        [(1000, 96), (2000, 0), (4000, 0)]
    );
    assert_eq!(reader.changes(), Changes { made: 2, left_out: 1 });

    let mut file = pcap(true, false);
    file[20..24].copy_from_slice(&101u32.to_be_bytes());
    let mut reader = Reader::new("test", Cursor::new(file)).unwrap();
    assert_eq!(reader.by_ref().count(), 0, "0x00 is no version of IP");
    assert_eq!(reader.changes(), Changes { made: 0, left_out: 3 });
}

#[test]
fn editcap_is_not_advised_where_it_would_spoil_the_times() {
    for (resolution, advised) in [(6, true), (9, true), (12, false), (0x80 | 20, true), (0x80 | 32, false)] {
        let mut file = Bytes { big: false, out: Vec::new() };
        file.section().interface(1, 0, resolution, 0).block(2, |b| {
            b.padded(&[0; 20]);
        });
        let error = read(file.out).1.unwrap().to_string();
        assert!(error.contains("is damaged: an obsolete packet block"), "{error}");
        assert_eq!(error.contains("convert the file with editcap"), advised, "{resolution}: {error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        format in 0..4usize, packing in 0..4usize, at in 0..200usize, damage in proptest::collection::vec(any::<u8>(), 1..16)
    ) {
        let mut file = match format {
            0 => pcap(false, true),
            1 => pcap(true, false),
            2 => pcapng(false),
            _ => pcapng(true),
        };
        if packing < 3 {
            file = packed(&file)[packing].1.clone();
        }
        let at = at.min(file.len());
        let end = (at + damage.len()).min(file.len());
        file[at..end].copy_from_slice(&damage[..end - at]);
        let _ = read(file);
    }
}
