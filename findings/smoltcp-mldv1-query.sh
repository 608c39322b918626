#!/usr/bin/env bash
# smoltcp 0.14.0 takes MLDv2 queries only: an MLDv1 query (RFC 2710 3, 24 bytes), which RFC 3810 8.2.1 has every MLDv2 listener answer, is an
# error to its ICMPv6 parser. A listener built on it falls silent where the querier is an MLDv1 router, and a snooping switch forgets it.
#
# usage: findings/smoltcp-mldv1-query.sh     needs cargo; builds in a temporary folder; ends with 1 when this has changed
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir "$place/src"
cat >"$place/Cargo.toml" <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
smoltcp = { version = "=0.14.0", default-features = false, features = ["std", "medium-ip", "proto-ipv6", "socket-udp"] }
TOML
cat >"$place/src/main.rs" <<'RUST'
use std::net::Ipv6Addr;

use smoltcp::wire::Icmpv6Packet;

/// Type 130: code, checksum (not looked at here), maximum response delay 10 s, reserved, all groups asked for.
const MLDV1: [u8; 24] = [130, 0, 0, 0, 0x27, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn main() {
    // MLDv2 (RFC 3810 5.1): the same, and four bytes more: robustness 2, interval 125 s, no sources.
    let mldv2 = [&MLDV1[..], &[2, 125, 0, 0]].concat();
    let read = |bytes: &[u8]| Icmpv6Packet::new_checked(bytes.to_vec()).map(|query| Ipv6Addr::from(query.mcast_addr()));
    println!("MLDv1 query, 24 bytes: {:?}", read(&MLDV1));
    println!("MLDv2 query, 28 bytes: {:?}", read(&mldv2));
    std::process::exit(i32::from(read(&MLDV1).is_ok() || read(&mldv2).is_err()));
}
RUST
echo "smoltcp 0.14.0"
cargo run --quiet --manifest-path "$place/Cargo.toml" || { echo "it has changed, or cannot be built" >&2 && exit 1; }
