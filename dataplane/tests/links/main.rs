//! Links of a real kernel: AF_XDP on veth, in network namespaces that the tests make themselves.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

mod xdp_kinds;
mod xdp_life;
mod xdp_links;
mod xdp_net;
