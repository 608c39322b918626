#!/usr/bin/env bash
# lz4_flex 0.14.2 reads a frame that was cut between two of its blocks, or right before its end mark, as a whole one: `read`
# says 0, the end, and no error. By LZ4's frame format each frame ends with an end mark; the lz4 tool calls such a file incomplete.
#
# usage: findings/lz4-flex-cut-frame.sh     cargo; ends with 1 when this has changed
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/src"
cat >"$place/Cargo.toml" <<'T'
[package]
name = "cut-frame"
version = "0.1.0"
edition = "2024"
[dependencies]
lz4_flex = { version = "=0.14.2", default-features = false, features = ["std", "frame", "safe-decode", "safe-encode"] }
[workspace]
T
cat >"$place/src/main.rs" <<'R'
use std::io::{ErrorKind, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

fn unpacked(frame: &[u8]) -> Result<usize, ErrorKind> {
    let mut bytes = Vec::new();
    FrameDecoder::new(frame).read_to_end(&mut bytes).map_err(|error| error.kind())
}

fn main() {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&[7; 200_000]).unwrap();
    let frame = encoder.finish().unwrap();
    // Magic, descriptor and its checksum are seven bytes; each block has its length in front.
    let mut boundaries = vec![7];
    while frame[boundaries[boundaries.len() - 1]..][..4] != [0; 4] {
        let at = boundaries[boundaries.len() - 1];
        boundaries.push(at + 4 + u32::from_le_bytes(frame[at..at + 4].try_into().unwrap()) as usize);
    }
    println!("a frame of 200000 bytes in {} blocks, whole: {:?}", boundaries.len() - 1, unpacked(&frame));
    for at in boundaries {
        println!("cut between blocks, {at} of {} bytes: {:?}", frame.len(), unpacked(&frame[..at]));
    }
    println!("cut within the last block: {:?}", unpacked(&frame[..frame.len() - 5]));
}
R
cargo run --quiet --manifest-path "$place/Cargo.toml" | tee "$place/seen"
grep -q 'whole: Ok(200000)' "$place/seen" || { echo "it has changed" >&2 && exit 1; }
if grep 'cut between' "$place/seen" | grep -qv 'Ok('; then echo "it has changed" >&2 && exit 1; fi
grep -q 'last block: Err(UnexpectedEof)' "$place/seen" || { echo "it has changed" >&2 && exit 1; }
