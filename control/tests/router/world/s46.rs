//! Softwire options of DHCPv6, built byte by byte from RFC 7598 4.

use std::net::{Ipv4Addr, Ipv6Addr};

pub const MAP_E: u16 = 94;
pub const LW4O6: u16 = 96;
/// OPTION_S46_PRIORITY (RFC 8026 1.4).
pub const PRIORITY: u16 = 111;

fn option(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn prefix6(prefix: Ipv6Addr, len: u8) -> Vec<u8> {
    [&[len][..], &prefix.octets()[..usize::from(len).div_ceil(8)]].concat()
}

/// OPTION_S46_PORTPARAMS; the PSID is aligned to the left.
fn ports(offset: u8, len: u8, psid: u16) -> Vec<u8> {
    let aligned = if len == 0 { 0 } else { psid << (16 - len) };
    option(93, &[&[offset, len][..], &aligned.to_be_bytes()].concat())
}

/// The body of OPTION_S46_CONT_MAPE with one rule; `mesh`: it is for forwarding too.
pub fn map_e(ipv6: (Ipv6Addr, u8), ipv4: (Ipv4Addr, u8), ea_len: u8, offset: u8, mesh: bool, br: Ipv6Addr) -> Vec<u8> {
    let head = [u8::from(mesh), ea_len, ipv4.1];
    let rule = [&head[..], &ipv4.0.octets(), &prefix6(ipv6.0, ipv6.1), &ports(offset, 0, 0)].concat();
    [option(89, &rule), option(90, &br.octets())].concat()
}

/// The body of OPTION_S46_CONT_LW, bound to whatever prefix the line has.
pub fn lw4o6(ipv4: Ipv4Addr, (offset, len, psid): (u8, u8, u16), lwaftr: Ipv6Addr) -> Vec<u8> {
    let bind = [&ipv4.octets()[..], &prefix6(Ipv6Addr::UNSPECIFIED, 0), &ports(offset, len, psid)].concat();
    [option(92, &bind), option(90, &lwaftr.octets())].concat()
}

/// The body of OPTION_S46_PRIORITY.
pub fn priority(codes: &[u16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_be_bytes()).collect()
}
