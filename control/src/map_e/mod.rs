//! `hikyaku map-e`: MAP-E arithmetic for people, no router running.

mod answer;
mod report;

use std::net::{Ipv6Addr, SocketAddrV4};
use std::path::PathBuf;

use clap::Args;
use hikyaku_net::Prefix6;
use hikyaku_net::map::{InterfaceId, Rule};
use hikyaku_protocols::host::host6;
use hikyaku_schema::number;
use hikyaku_schema::output::print;

pub use answer::{Answer, Line, NoAnswer, PortOwner, Remote, answer};

const EXAMPLES: &str = "\
Examples:
  What a line's prefix gives by a rule:
    hikyaku map-e --prefix 2001:db8:12:3400::/56 --rule 2001:db8::/40,192.0.2.0/24,16,6

  With the rules of a file (docs/map-rules.md says how to fill it), for scripts:
    hikyaku map-e --prefix 2001:db8:12:3400::/56 --map-rules /etc/hikyaku-rules.toml --json

  Whether a port is ours, and whose an address and port are:
    hikyaku map-e --prefix 2001:db8:12:3400::/56 --rule 2001:db8::/40,192.0.2.0/24,16,6 --port 8080
    hikyaku map-e --rule 2001:db8::/40,192.0.2.0/24,16,6 --to 192.0.2.18:1232

  A whole address whose PSID came apart from the rule:
    hikyaku map-e --prefix 2001:db8:12:3400::/56 --rule 2001:db8:12:3400::/56,192.0.2.18/32,0,6 \\
        --psid 52 --psid-len 8

--json has the keys ipv4, psid, psid_len, ce, n_ports, ranges (pairs of first and last port), and more.

Exit code: 0 there is an answer; 1 there is none, and why is on standard error: the prefix is in no rule, too short,
or of an access network without an ISP; 2 a flag, a rule or the file is wrong.";

/// Work out what MAP-E makes of a line's prefix
///
/// From the IPv6 prefix that the provider gave to the line and the mapping rule of its MAP-E service
/// (RFC 7597): the shared IPv4 address, the PSID, our ports, and our end of the tunnel. A line with
/// several rules uses the longest that its prefix is in. A prefix that is longer than rule and EA
/// bits, as the /60 or /64 behind a home gateway, is cut first.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct MapEArgs {
    /// The line's prefix, as router advertisements or DHCPv6 give it.
    #[arg(long, value_name = "PREFIX", required_unless_present_any = ["port", "to"])]
    pub prefix: Option<Prefix6>,

    /// A mapping rule: IPv6 prefix, IPv4 prefix, length of the EA bits, PSID offset. May be repeated.
    #[arg(long, value_name = "IPV6,IPV4,EA_LEN,PSID_OFFSET", conflicts_with = "map_rules")]
    pub rule: Vec<Rule>,

    /// A file with rules (docs/map-rules.md).
    #[arg(long, value_name = "FILE")]
    pub map_rules: Option<PathBuf>,

    /// A PSID that came apart from the rule (DHCPv6). Where EA bits hold one, the two are compared.
    #[arg(long, value_name = "N", value_parser = number(0..=u16::MAX))]
    pub psid: Option<u16>,

    /// The length of the PSID in bits, 0 to 16.
    #[arg(long, value_name = "N", value_parser = number(0u8..=16))]
    pub psid_len: Option<u8>,

    /// How the lower half of our address is made: `draft03` as lines in Japan have it, `rfc7597` elsewhere. IPv4
    /// address and ports are the same in both, so only the far end notices a mistake. Unset: as the file says, or draft03.
    #[arg(long, value_name = "draft03|rfc7597")]
    pub iid: Option<InterfaceId>,

    /// Border router, to be shown with the answer. May be repeated.
    #[arg(long, value_name = "ADDR", value_parser = host6)]
    pub br: Vec<Ipv6Addr>,

    /// Say whose this port is. May be repeated; without --prefix by the only --rule.
    #[arg(long, value_name = "N", value_parser = number(0..=u16::MAX))]
    pub port: Vec<u16>,

    /// Say which customer's tunnel end has this address and port, as a mesh would. May be repeated.
    #[arg(long, value_name = "ADDR:PORT")]
    pub to: Vec<SocketAddrV4>,

    /// The answer as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Works out what is asked and prints it.
pub fn run(args: &MapEArgs) -> anyhow::Result<()> {
    let answer = answer(args)?;
    let text = if args.json { serde_json::to_string_pretty(&answer)? + "\n" } else { answer.to_string() };
    Ok(print(text)?)
}
