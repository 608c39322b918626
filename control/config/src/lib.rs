//! What the user wants: file and flags, read by the schema and checked as a whole before anything starts.
//!
//! ```text
//! text --hikyaku_schema--> sections, keys, values, each with its place; flags ([`Overlay`]) go over it
//!      --rows of [`SCHEMA`]--> structs
//!      --wan, lan, service, …--> [`Config`], or everything that is wrong with it
//! ```
//!
//! To add a key: its row and its field, both in the file of its section; the place that uses it; a test; CHANGELOG.md;
//! `UPDATE=1 cargo test -p hikyaku --test program config_file` writes it into docs/configuration.md.
//!
//! The crate imports no subcommand. It reads the files that the configuration names, users and groups by their names, and
//! asks whether cores may be used; nothing else.

#![forbid(unsafe_code)]

mod account;
mod behaviour;
mod config;
mod forward;
mod lan;
mod lan_dns;
mod lan_ipv6;
mod lans;
mod map_rules;
mod notification;
mod overlay;
mod provisioning;
mod reload;
mod route;
mod rule;
mod schema;
mod secret;
mod service;
mod summary;
mod system;
mod value;
mod wan;
mod warnings;

pub use account::{Account, AccountError, Group};
pub use behaviour::{Behaviour, LINK_MTU, Mss, TimeoutList, mtu_mode};
pub use config::Config;
pub use forward::StaticMapping;
pub use lan::{Dhcpv4, Lan, Reservation};
pub use lan_dns::{DnsForward, DnsHost, LanDns};
pub use lan_ipv6::{LanDhcpv6, LanIpv6, LanIpv6Mode, Reservation6};
pub use lans::{MAX_LANS, lan_of};
pub use map_rules::RulesFile;
pub use overlay::Overlay;
pub use route::{Network, StaticRoute};
pub use rule::{Rules, address_text, protocol_text};
pub use schema::{SCHEMA, Table, reference_text};
pub use secret::Credentials;
pub use service::Service;
pub use summary::{Summary, grouped};
pub use system::{Control, Level, Log, LogFormat, SOCKET, STATE_DIR, System};
pub use value::{FileMode, InterfaceId, Network4, Pool, mac};
pub use wan::{Dhcpv6, Dhcpv6Mode, Wan};
