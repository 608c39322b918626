//! Protocol machines without I/O: what the router itself speaks on the line and on the LAN.
//!
//! | on the line and the LAN | towards the line's servers | without packets of their own |
//! | --- | --- | --- |
//! | [`neighbour`]: ARP, NDP, MLD | [`dns`]: a stub resolver | [`aftr`]: which far end, and whether it answers |
//! | [`slaac`]: routers and prefixes | [`http`]: requests, as nouns | [`service`]: what the line has, what to carry |
//! | [`advertiser`]: a router for hosts | | |
//! | [`nd_proxy`]: a prefix on two links | | |
//! | [`dhcpv6`]: a client, a server | [`hb46pp`]: provisioning | [`softwire_options`]: RFC 7598, read |
//! | [`dhcpv4`]: a server | [`notification`]: where we are | [`map_domain`]: rules of MAP-E |
//! | [`echo`]: answers to ping | [`sockets`]: UDP and TCP by smoltcp | [`host`]: addresses and names, as text |
//! | [`forwarder`]: names for hosts | | [`dissect`]: frames in words, for the log |
//!
//! # The contract
//!
//! - **No I/O, no clock, no thread.** A machine is a value. The caller hands it bytes and the time, carries out what it
//!   gives back, and tells it what it cannot see: that a link came up, that an address is ready. So a test plays any
//!   history to it. ([`sockets`] has handles for threads of others, which may block.)
//! - **One set of verbs.** `handle_input(now, …)` for what comes in, [`Machine::handle_timeout`],
//!   [`Machine::poll_output`] and [`Machine::poll_timeout`]; [`Machine::drive`] is the loop that most callers want.
//! - **Order of calls.** `now` never goes back. After any call that takes `&mut self`, outputs are taken until there are
//!   none, and carried out in that order; then `poll_timeout` says when to call `handle_timeout`. Being early does
//!   nothing; being late is as if the line had been slow.
//! - **Bounded.** Whatever strangers send, tables, queues, messages and answers a second have an upper limit, which is a
//!   constant or in the `Config`. What finds no room is counted.
//! - **Silent on garbage.** Bytes that a protocol does not allow change nothing, are answered by nothing and are counted
//!   in `counts`. No input makes a machine panic; whatever reads bytes has a fuzz target (`control/fuzz`).
//! - **Unpredictable where it matters.** Transaction ids, ports, nonces and jitter come from `rand`'s cryptographic
//!   generator, or from one with a seed in tests.
//! - **Restarts.** What must survive one (leases, tokens) is a value that the caller stores, with times in seconds of
//!   Unix, which are the only ones that a restart leaves as they are.
//!
//! This crate knows no configuration file, no command line and no other machine's state: its caller carries facts from
//! one to another (docs/control.md).

#![forbid(unsafe_code)]

pub mod advertiser;
pub mod aftr;
mod answer_limits;
pub mod dhcpv4;
pub mod dhcpv6;
pub mod dissect;
pub mod dns;
pub mod echo;
pub mod forwarder;
pub mod hb46pp;
pub mod host;
pub mod http;
mod machine;
pub mod map_domain;
mod names;
pub mod nd_proxy;
pub mod neighbour;
pub mod notification;
mod promises;
pub mod reception;
mod router_discovery;
pub mod service;
pub mod slaac;
pub mod sockets;
pub mod softwire_options;
mod span;
mod text;

pub use machine::Machine;
