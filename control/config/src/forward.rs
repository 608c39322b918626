//! Static port mappings as they are written: `tcp/443=192.168.1.10`, `udp/5000-5010=192.168.1.10:6000`,
//! `all=192.168.1.10`.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::str::FromStr;

use hikyaku_dataplane::napt::{Forward, LanId};
use hikyaku_net::{PortSet, protocol};
use hikyaku_protocols::host::host4;

/// What leads to a host, whoever sends to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticMapping {
    /// Ports of one protocol, of ICMP the identifiers of echo requests. Its LAN counts for nothing.
    Ports(Forward),
    /// All that the line has of all protocols.
    All(Ipv4Addr),
}

impl StaticMapping {
    /// The host that it leads to.
    pub fn host(self) -> Ipv4Addr {
        match self {
            Self::Ports(forward) => forward.inside,
            Self::All(host) => host,
        }
    }

    /// The mappings that it is on a line with these ports, to a host of this LAN.
    pub fn on(self, ports: PortSet, lan: LanId) -> Vec<Forward> {
        match self {
            Self::Ports(forward) => vec![Forward { lan, ..forward }],
            Self::All(host) => Forward::one_to_one(ports, lan, host).collect(),
        }
    }
}

const FORM: &str = "write it as tcp/443=192.168.1.10, udp/5000-5010=192.168.1.10:6000, icmp/7=192.168.1.10 or \
                    all=192.168.1.10";

impl FromStr for StaticMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, to) = text.split_once('=').ok_or(FORM)?;
        if what == "all" {
            return host4(to).map(Self::All);
        }
        let (name, ports) = what.split_once('/').ok_or(FORM)?;
        let protocol = match name {
            "tcp" => protocol::TCP,
            "udp" => protocol::UDP,
            "icmp" => protocol::ICMP,
            _ => return Err(format!("'{name}' is none of tcp, udp, icmp; {FORM}")),
        };
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port > 0 => Ok(port),
            _ => Err(format!("'{text}' is no port; {FORM}")),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let outside = (port(first)?, port(last)?);
        let (inside, inside_port) = match to.parse::<SocketAddrV4>() {
            Ok(end) => (host4(&end.ip().to_string())?, end.port()),
            Err(_) => (host4(to)?, outside.0),
        };
        let forward = Forward { protocol, outside, lan: LanId::default(), inside, inside_port };
        // What only the numbers decide; whether the line has these ports is seen when it comes up.
        match Forward::check_all(PortSet::ALL, &[forward]) {
            Ok(()) => Ok(Self::Ports(forward)),
            Err(why) => Err(why.to_string()),
        }
    }
}

impl fmt::Display for StaticMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(host) => write!(f, "all={host}"),
            Self::Ports(Forward { protocol, outside: (first, last), inside, inside_port, .. }) => {
                let name = match *protocol {
                    protocol::TCP => "tcp",
                    protocol::UDP => "udp",
                    _ => "icmp",
                };
                let range = if first == last { first.to_string() } else { format!("{first}-{last}") };
                write!(f, "{name}/{range}={inside}:{inside_port}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_written() {
        for (text, shown) in [
            ("tcp/443=192.168.1.10", "tcp/443=192.168.1.10:443"),
            ("udp/5000-5010=192.168.1.10:6000", "udp/5000-5010=192.168.1.10:6000"),
            ("icmp/7=192.168.1.10", "icmp/7=192.168.1.10:7"),
            ("all=192.168.1.10", "all=192.168.1.10"),
        ] {
            assert_eq!(text.parse::<StaticMapping>().unwrap().to_string(), shown);
            assert_eq!(shown.parse(), text.parse::<StaticMapping>());
        }
        for bad in [
            "",
            "443",
            "tcp/443",
            "sctp/1=192.168.1.1",
            "tcp/0=192.168.1.1",
            "tcp/9-8=192.168.1.1",
            "tcp/65536=192.168.1.1",
            "tcp/80=224.0.0.1",
            "all=",
            "udp/60000-65535=192.168.1.1:65000",
            "tcp/1=x",
        ] {
            assert!(bad.parse::<StaticMapping>().is_err(), "{bad}");
        }
        let set = PortSet::new(4, 8, 5).unwrap();
        let all = "all=192.168.1.10".parse::<StaticMapping>().unwrap().on(set, LanId(3));
        assert_eq!(all.len(), 3 * 15);
    }
}
