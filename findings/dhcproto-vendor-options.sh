#!/usr/bin/env bash
# dhcproto 0.15.0 reads what stands in a DHCPv6 Vendor-specific Information option (RFC 8415 21.17) as if it were DHCPv6 options, although its codes are
# the vendor's own. Where a vendor's option has a DHCPv6 code and other contents, it and all vendor options behind it are missing from what is
# returned, and no error says so.
#
# usage: findings/dhcproto-vendor-options.sh     needs cargo; builds in a temporary folder; ends with 1 when this has changed
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
dhcproto = { version = "=0.15.0", default-features = false }
TOML
cat >"$place/src/main.rs" <<'RUST'
use dhcproto::v6::{DhcpOption, Message, OptionCode};
use dhcproto::{Decodable, Decoder};

/// A Reply with two vendor options of the enterprise number for documentation (RFC 5612), the first of this code; two bytes each.
fn reply(code: u8) -> Vec<u8> {
    let mut message = vec![7, 1, 2, 3, 0, 17, 0, 16, 0, 0, 0x7e, 0xd9];
    message.extend([0, code, 0, 2, 0xab, 0xcd]);
    message.extend([0, 201, 0, 2, 0xab, 0xcd]);
    message
}

fn main() {
    let vendor_codes = |code: u8| {
        let message = Message::decode(&mut Decoder::new(&reply(code))).map_err(|error| error.to_string())?;
        let Some(DhcpOption::VendorOpts(vendor)) = message.opts().get(OptionCode::VendorOpts) else {
            return Err("no vendor options".to_string());
        };
        Ok::<Vec<u16>, String>(vendor.opts.iter().map(|option| OptionCode::from(option).into()).collect())
    };
    // Code 200 is nothing in DHCPv6; code 3 is IA_NA, which has twelve bytes at least.
    let (other, taken) = (vendor_codes(200), vendor_codes(3));
    println!("sent the vendor's options 200 and 201: {other:?}");
    println!("sent the vendor's options 3 and 201:   {taken:?}");
    std::process::exit(i32::from(other != Ok(vec![200, 201]) || taken != Ok(vec![])));
}
RUST
echo "dhcproto 0.15.0"
cargo run --quiet --manifest-path "$place/Cargo.toml" || { echo "it has changed, or cannot be built" >&2 && exit 1; }
