//! The flags that say how packets are treated, where a line leaves a choice.

use std::str::FromStr;

use clap::Args;
use hikyaku_dataplane::napt::{self, Timeouts};
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mss;
use hikyaku_dataplane::tunnel::mtu::MtuMode;

use crate::config::{StaticMapping, number};

/// What is done to packets on their way. The defaults suit the lines we know of.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Behaviour")]
pub struct BehaviourArgs {
    /// Copy the DSCP of an inner packet to the outer header (RFC 2983), instead of 0.
    #[arg(long)]
    pub copy_dscp: bool,

    /// Copy the ECN field of an inner packet to the outer header (RFC 6040 normal mode), instead of 0.
    #[arg(long)]
    pub copy_ecn: bool,

    /// Largest TCP MSS that is let through, both ways: `auto` is what the tunnel carries whole,
    /// `off` leaves it alone. It is only ever lowered.
    #[arg(long, value_name = "N|auto|off", default_value = "auto")]
    pub mss: Mss,

    /// How long idle sessions live, in seconds, such as `udp=120,tcp=86400`. Names and defaults:
    /// udp=300 udp-query=15 (to ports 53 and 123) udp-answered=3 (the same, answered) icmp=60 tcp=7440
    /// tcp-transitory=240 (half open, closing) tcp-reset=240 other=300 (protocols without ports).
    #[arg(long, value_name = "NAME=SECONDS,…", default_value = "")]
    pub timeouts: TimeoutList,

    /// Where this end translates: ports that lead to a host, whoever sends to them, such as
    /// `tcp/443=192.168.1.10`, `udp/5000-5010=192.168.1.10:6000`, `icmp/7=192.168.1.10`, `all=192.168.1.10`. May be
    /// given more than once.
    #[arg(long, value_name = "PROTOCOL/PORTS=ADDR[:PORT]")]
    pub forward: Vec<StaticMapping>,

    /// Where this end translates: most sessions of one host, 1 to 8388608; unset: as many as there are. On a line
    /// with few ports a share for each host keeps one from taking all (RFC 6888).
    #[arg(long, value_name = "N", value_parser = number(1u32..=napt::Config::MAX_SESSIONS))]
    pub sessions_per_host: Option<u32>,

    /// Where this end translates: an even UDP port stays even, an odd one odd, as long as there are such ports (RFC
    /// 4787 REQ-4): for old RTP applications.
    #[arg(long)]
    pub port_parity: bool,

    /// Where this end translates: tell who sends a TCP SYN that nobody let in, after six seconds, that the port is
    /// unreachable (RFC 5382 REQ-4), instead of nothing.
    #[arg(long)]
    pub answer_unsolicited: bool,
}

/// See [`BehaviourArgs::mss`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mss {
    /// What the tunnel carries whole.
    #[default]
    Auto,
    /// Left alone.
    Off,
    /// So many bytes.
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

impl BehaviourArgs {
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
