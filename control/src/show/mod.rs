//! The control socket: what can be asked of a running router, by whom and how; and `hikyaku show`,
//! which asks.

mod client;
mod people;
mod protocol;
pub mod report;
mod server;

pub use client::{NotShown, ShowArgs, What, run};
pub use protocol::{Answer, MAX_REQUEST, Request, SessionFilter};
pub use report::{
    Address, Control, Counters, Lan, Lease, Leases, Link, Neighbour, Notification, Ports, Prefix, ProtocolPorts,
    Provisioning, Route, Router, Rule, Service, Session, SessionTotals, State, Status, Volume, Wan, Worker,
};
pub use server::{Claim, Listener, MAX_CLIENTS, Query, Reply, Server, SocketError};
