//! How packets are treated, where a line leaves a choice.

use std::str::FromStr;

use hikyaku_dataplane::napt::{self, Filtering, Timeouts};
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mss;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_schema::{Change::*, Key, Keys, Services, Syntax::*, Words, boolean, field, key, number, one_of, words};

use crate::forward::StaticMapping;

/// Bytes of the largest IP packet on a link: Ethernet's.
pub const LINK_MTU: u16 = 1500;

/// What is done to packets on their way: keys of section `[service]`. The defaults suit the lines we know of.
#[derive(Clone, Debug, Default)]
pub struct Behaviour {
    /// Whose packets a mapping lets in; `None`: only of the address and port that were sent to.
    pub filtering: Option<Filtering>,
    /// Whether the outer header has the inner packet's DSCP, instead of 0.
    pub copy_dscp: bool,
    /// Whether the outer header has the inner packet's ECN field, instead of 0.
    pub copy_ecn: bool,
    /// The largest TCP MSS that is let through.
    pub mss: Mss,
    /// How long idle sessions live.
    pub timeouts: TimeoutList,
    /// Ports that lead to a host, whoever sends to them.
    pub forward: Vec<StaticMapping>,
    /// The most sessions of one host, of each family; `None`: as many as there are.
    pub sessions_per_host: Option<u32>,
    /// Whether an even UDP port stays even, and an odd one odd.
    pub port_parity: bool,
    /// Whether who sends a TCP SYN that nobody let in is told so.
    pub answer_unsolicited: bool,
}

const FILTERING: &Words<Filtering> = &[
    ("address-and-port-dependent", Filtering::AddressAndPortDependent),
    ("endpoint-independent", Filtering::EndpointIndependent),
];

impl Keys for Behaviour {
    const HEADING: &'static str = "Behaviour";

    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("filtering", OneOf("MODE", || words(FILTERING)), Restart, field!(filtering, one_of(FILTERING)),
            "Where this end translates: whose packets a mapping lets in (RFC 4787 5); unset: address-and-port-dependent")
            .flag("--filtering").only(Services::NAPT),
        key("copy-dscp", Bool, Live, field!(copy_dscp, boolean),
            "Copy the DSCP of an inner packet to the outer header (RFC 2983), instead of 0").flag("--copy-dscp"),
        key("copy-ecn", Bool, Live, field!(copy_ecn, boolean),
            "Copy the ECN field of an inner packet to the outer header (RFC 6040 normal mode), instead of 0")
            .flag("--copy-ecn"),
        key("mss", One("N|auto|off"), Live, field!(mss, Mss::from_str),
            "Largest TCP MSS that is let through, both ways: `auto` is what the tunnel carries whole, `off` leaves it \
             alone. It is only ever lowered").flag("--mss").default("auto"),
        key("timeouts", Pairs("NAME=SECONDS,…"), Restart, field!(timeouts, TimeoutList::from_str),
            "How long idle sessions live, in seconds, such as `udp=120,tcp=86400`. Names and defaults: udp=300 \
             udp-query=15 (to ports 53 and 123) udp-answered=3 (the same, answered) icmp=60 tcp=7440 \
             tcp-transitory=240 (half open, closing) tcp-reset=240 other=300 (protocols without ports)")
            .flag("--timeouts"),
        key("forward", Many("PROTOCOL/PORTS=ADDR[:PORT]"), Live, field!(forward[], StaticMapping::from_str),
            "Where this end translates: ports that lead to a host, whoever sends to them, such as \
             `tcp/443=192.168.1.10`, `udp/5000-5010=192.168.1.10:6000`, `icmp/7=192.168.1.10`, `all=192.168.1.10`. \
             May be given more than once").flag("--forward").only(Services::NAPT),
        key("sessions-per-host", One("N"), Restart,
            field!(sessions_per_host, number(1u32..=napt::Config::MAX_SESSIONS)),
            "Most sessions of one host, 1 to 8388608, of IPv4 where this end translates and as many of IPv6; unset: as many \
             as there are. A share for each host keeps one from taking all, above all on a line with few ports (RFC 6888)")
            .flag("--sessions-per-host"),
        key("port-parity", Bool, Restart, field!(port_parity, boolean),
            "Where this end translates: an even UDP port stays even, an odd one odd, as long as there are such ports \
             (RFC 4787 REQ-4): for old RTP applications").flag("--port-parity").only(Services::NAPT),
        key("answer-unsolicited", Bool, Restart, field!(answer_unsolicited, boolean),
            "Where this end translates: tell who sends a TCP SYN that nobody let in, after six seconds, that the port \
             is unreachable (RFC 5382 REQ-4), instead of nothing").flag("--answer-unsolicited").only(Services::NAPT),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// The largest TCP MSS that is let through. It is only ever lowered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mss {
    /// What the tunnel carries whole.
    #[default]
    Auto,
    /// It is left alone.
    Off,
    /// So many bytes, 536 to 1460.
    Bytes(u16),
}

impl FromStr for Mss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            // RFC 9293 3.7.1: every host takes segments of 536 bytes; below, connections only suffer.
            _ => match text.parse() {
                Ok(bytes @ 536..=1460) => Ok(Self::Bytes(bytes)),
                _ => Err("give a number from 536 to 1460, `auto` or `off`".into()),
            },
        }
    }
}

/// The session timers, with those changed that were named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutList(pub Timeouts);

impl FromStr for TimeoutList {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, String> {
        let mut timeouts = Timeouts::default();
        for part in list.split(',').filter(|part| !part.is_empty()) {
            let (name, seconds) = part.split_once('=').ok_or_else(|| format!("'{part}' is not NAME=SECONDS"))?;
            let timer = match name.trim() {
                "udp" => &mut timeouts.udp,
                "udp-query" => &mut timeouts.udp_query,
                "udp-answered" => &mut timeouts.udp_answered,
                "icmp" => &mut timeouts.icmp,
                "tcp" => &mut timeouts.tcp_established,
                "tcp-transitory" => &mut timeouts.tcp_transitory,
                "tcp-reset" => &mut timeouts.tcp_reset,
                "other" => &mut timeouts.other,
                _ => return Err(format!("there is no timer '{name}'; see --help for their names")),
            };
            *timer = match seconds.trim().parse() {
                Ok(seconds @ 1..=604_800) => seconds,
                _ => return Err(format!("'{part}': give 1 to 604800 seconds")),
            };
        }
        Ok(Self(timeouts))
    }
}

/// What fits a tunnel that hosts see as a link of `mtu` bytes: what does not fit the line in one piece leaves in outer
/// fragments.
pub fn mtu_mode(mtu: u16) -> MtuMode {
    if mtu + 40 <= LINK_MTU { MtuMode::Strict { mtu } } else { MtuMode::Fragment { mtu } }
}

impl Behaviour {
    /// Whose packets a mapping lets in.
    pub fn filtering(&self) -> Filtering {
        self.filtering.unwrap_or(Filtering::AddressAndPortDependent)
    }

    /// The largest TCP MSS that is let through a tunnel of this MTU over a link of that one.
    pub fn mss_limit(&self, mtu: MtuMode, link_mtu: u16) -> Option<u16> {
        match self.mss {
            Mss::Auto => Some(mss::limit(mtu.inner_mtu(link_mtu))),
            Mss::Off => None,
            Mss::Bytes(bytes) => Some(bytes),
        }
    }

    /// DSCP and ECN of the outer header.
    pub fn class(&self) -> ClassMode {
        ClassMode {
            dscp: if self.copy_dscp { Dscp::Copy } else { Dscp::Fixed(0) },
            ecn: if self.copy_ecn { EcnMode::Normal } else { EcnMode::Compatibility },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_and_segments() {
        let TimeoutList(t) = "udp=120, tcp-transitory=300,other=60".parse().unwrap();
        assert_eq!(t, Timeouts { udp: 120, tcp_transitory: 300, other: 60, ..Timeouts::default() });
        for bad in ["udp", "udp=", "udp=0", "udp=-1", "tpc=3", "udp=604801", "=", "udp=1=2"] {
            assert!(bad.parse::<TimeoutList>().is_err(), "{bad}");
        }
        assert_eq!("1200".parse(), Ok(Mss::Bytes(1200)));
        assert!(["", "0", "535", "1461", "on"].iter().all(|bad| bad.parse::<Mss>().is_err()));
    }
}
