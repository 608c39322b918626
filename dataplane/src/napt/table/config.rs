//! What a table is made from, and what it tells of itself.

use std::io;
use std::net::Ipv4Addr;

use hikyaku_net::PortSet;

use crate::napt::forwards::{Forward, ForwardRefused};
use crate::sessions::UplinkId;
use crate::sessions::timeouts::Timeouts;

/// Whose packets a mapping lets in (RFC 4787 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Only those of the address and port that were sent to.
    #[default]
    AddressAndPortDependent,
    /// Packets of any peer are let in to a mapping (RFC 4787 5, REQ-8).
    EndpointIndependent,
}

/// What a NAPT is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that the Internet sees.
    pub outside: Ipv4Addr,
    /// Its ports that are ours.
    pub ports: PortSet,
    /// The way to the Internet that this address is of.
    pub uplink: UplinkId,
    /// Most sessions at a time: a power of two from 2^10 to 2^23.
    pub sessions: u32,
    /// Who may send to a mapping.
    pub filtering: Filtering,
    /// How long sessions may be idle.
    pub timeouts: Timeouts,
    /// Outside ports that always lead to the same inside host.
    pub forwards: Vec<Forward>,
    /// Most sessions of one inside address (RFC 6888 REQ-4, REQ-5); `None`: as many as there are. They are
    /// counted, and not ports, because a session is what takes a place in the table, a port, and on a
    /// port that is shared a destination: whoever has so many sessions has no more of any of them.
    /// What strangers open takes no more than three quarters of it.
    pub per_host: Option<u32>,
    /// Whether an even UDP port stays even outside and an odd one odd, as long as there are such ports (RFC 4787
    /// 4.2.2 REQ-4): for RTP applications that count on it. It comes before the range (REQ-3a).
    pub port_parity: bool,
    /// Whether who sends a SYN from outside that nobody let in is told after six seconds that there is nobody
    /// (RFC 5382 REQ-4). Not by default (REQ-4a): what is not let in from outside need not know that there is a
    /// router.
    pub answer_unsolicited: bool,
    /// Whether inbound packets keep a session alive (RFC 4787 REQ-6b: optional; outbound ones always do).
    pub inbound_refresh: bool,
    /// How many workers look sessions up.
    pub readers: usize,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// A fixed secret and port choice, for reproducible runs; never on a line.
    pub seed: Option<[u64; 4]>,
}

impl Config {
    /// How many sessions the smallest table has room for.
    pub const MIN_SESSIONS: u32 = 1 << 10;
    /// How many sessions the largest table has room for.
    pub const MAX_SESSIONS: u32 = 1 << 23;

    /// Defaults for one worker behind `outside`.
    pub fn new(outside: Ipv4Addr) -> Self {
        Self {
            outside,
            ports: PortSet::ALL,
            uplink: UplinkId::default(),
            sessions: 1 << 18,
            filtering: Filtering::default(),
            timeouts: Timeouts::default(),
            forwards: Vec::new(),
            per_host: None,
            port_parity: false,
            answer_unsolicited: false,
            inbound_refresh: true,
            readers: 1,
            huge_pages: true,
            seed: None,
        }
    }
}

/// Why a table could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The number of sessions.
    #[error("session table of {0}: must be a power of two from 1024 to 8388608")]
    Size(u32),
    /// The static mappings cannot be.
    #[error("static mappings: {0}")]
    Forwards(#[from] ForwardRefused),
    /// The system gave no memory.
    #[error("session table: no memory: {0}")]
    Memory(#[from] io::Error),
}

/// How full the table is and what it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many sessions there are now.
    pub live: u32,
    /// The most there can be.
    pub capacity: u32,
    /// How many sessions were opened since the table was made.
    pub created: u64,
    /// How many sessions ended because nothing was heard of them for too long.
    pub expired: u64,
}

/// The outside ports of one protocol, and how far they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// TCP, UDP or ICMP, whose ports are echo identifiers.
    pub protocol: u8,
    /// Ports that can be used.
    pub size: u32,
    /// Those that are kept for static mappings.
    pub forwarded: u32,
    /// Others that have sessions.
    pub used: u32,
    /// Sessions without an endpoint-independent mapping: on ports that they share with others.
    pub shared: u32,
    /// Packets that opened no session because there was no port for it, ever.
    pub refused: u64,
    /// Packets that opened no session because the host had its share, ever.
    pub limited: u64,
}
