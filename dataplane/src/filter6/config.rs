//! What a filter is made from.

use crate::napt::Timeouts;

/// What a [`super::Filter6`] is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Most sessions at a time: a power of two from 2^10 to 2^23.
    pub sessions: u32,
    /// Most sessions of one station of a LAN, by its Ethernet address: IPv6 addresses are as many as a host likes. `None`: as
    /// many as there are. What strangers open takes no more than three quarters of it.
    pub per_station: Option<u32>,
    /// How long sessions may be idle.
    pub timeouts: Timeouts,
    /// Whether who sends a SYN from outside that nobody let in is told after six seconds that it is prohibited (RFC 6092
    /// REC-34: by default).
    pub answer_unsolicited: bool,
    /// How many workers look sessions up.
    pub readers: usize,
    /// Ask for huge pages.
    pub huge_pages: bool,
    /// A fixed secret, for reproducible runs; never on a line.
    pub seed: Option<[u64; 4]>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sessions: 1 << 18,
            per_station: None,
            timeouts: Timeouts::default(),
            answer_unsolicited: true,
            readers: 1,
            huge_pages: true,
            seed: None,
        }
    }
}
