//! The control thread's mind as a whole: a router, an ISP and a LAN of bytes, in virtual time.

mod changes;
mod clocks;
mod coming_up;
mod dhcpv6;
mod leases;
mod lines;
mod native;
mod networks;
mod provisioned;
mod reloaded;
mod renumbering;
mod rivals;
mod services;
mod shared;
mod spoken;
mod start;
mod storms;
mod warnings;
mod world;
