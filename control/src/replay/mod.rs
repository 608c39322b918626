//! `hikyaku replay`: captures in, through the router, captures out.

mod map_e;
mod player;
mod prepare;
mod report;
mod stations;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use hikyaku_capture::{Precision, Reader, Writer};
use hikyaku_config::{Behaviour, LINK_MTU, mtu_mode};
use hikyaku_net::PortSet;
use hikyaku_protocols::service::Outside;
use hikyaku_ring::Vlan;
use hikyaku_schema::output::{complain, print};
use hikyaku_schema::{Flags, Tuning, Usage, number};

use crate::capture_router::{CaptureRouter, Setup};
use crate::table::grouped;

pub use map_e::MapEArgs;
pub use player::{Ends, Pace, Played, Player};
pub use prepare::Preparation;
pub use report::Report;

const EXAMPLES: &str = "\
Examples:
  Hosts of the LAN talk; see what the line gets:
    hikyaku replay --mode dslite --ce 2001:db8::2 --br 2001:db8:a::1 --lan lan.pcap --wan-out wan.pcap

  What a border router sent; see what the hosts get, without any LAN capture:
    hikyaku replay --mode dslite --ce 2001:db8::2 --br 2001:db8:a::1 --wan br.pcapng.gz --lan-out lan.pcap

  A fixed address: this end translates, so the LAN's side must be there for replies to find a session:
    hikyaku replay --mode ipip --ce 2001:db8::2 --br 2001:db8:a::1 --ipv4 192.0.2.1 --lan lan.pcap --wan wan.pcap

  A shared address (MAP-E): the line's prefix and the rule say which, which ports, and where our end of the tunnel is:
    hikyaku replay --mode map-e --prefix 2001:db8:12:3400::/56 --rule 2001:db8::/40,192.0.2.0/24,16,6 --br 2001:db8:a::1 \
      --lan lan.pcap --wan-out wan.pcap

Exit code: 0 all was played; 1 frames were not: a capture is cut off, damaged or partly of a link layer that is not
read, has frames larger than a ring's buffer or without an Ethernet type (the others were played); 2 a flag or a
file is wrong.";

/// Play captures through the router and write down what leaves it.
///
/// Both sides may be given; their frames are merged by time, so that a reply meets the session
/// that its request opened. The router's clock follows the captures' timestamps: sessions age and
/// fragments time out as they would have. Frames are taken whatever their Ethernet destination, as
/// long as it is unicast; replies go to the Ethernet address that a host was seen with. Frames less
/// than 100 µs apart go in bursts of up to --batch; what leaves bears the time of its burst.
///
/// It ends with a table of what became of every frame.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct ReplayArgs {
    /// What the line is: DS-Lite, IPv4 over IPv6 with a fixed IPv4 address, or MAP-E.
    #[arg(long, value_enum)]
    pub mode: Mode,

    /// The near end of the tunnel: the B4's or CE's IPv6 address. With `--mode map-e` the rule says it.
    #[arg(long, value_name = "ADDR", required_if_eq_any = [("mode", "dslite"), ("mode", "ipip")])]
    pub ce: Option<Ipv6Addr>,

    /// The far end of the tunnel: the AFTR's or border router's IPv6 address.
    #[arg(long, value_name = "ADDR")]
    pub br: Ipv6Addr,

    /// The fixed IPv4 address of `--mode ipip`.
    #[arg(long, value_name = "ADDR")]
    pub ipv4: Option<Ipv4Addr>,

    /// What the line is with `--mode map-e`.
    #[command(flatten)]
    pub map_e: MapEArgs,

    /// What hosts of the LAN sent: pcap or pcapng, plain or in gzip, zstd or lz4; `-` is the standard
    /// input. Frames without an Ethernet header (Linux cooked, raw IP, BSD loopback, PPP) get one.
    #[arg(long, value_name = "IN", required_unless_present = "wan")]
    pub lan: Option<PathBuf>,

    /// What came from the line, in the same formats as --lan.
    #[arg(long, value_name = "IN")]
    pub wan: Option<PathBuf>,

    /// VLAN (802.1Q) of the LAN, 1 to 4094: frames come and leave with its tag. Without it they have none.
    #[arg(long, value_name = "N")]
    pub lan_vlan: Option<Vlan>,

    /// VLAN (802.1Q) of the line, 1 to 4094: frames come and leave with its tag. Without it they have none.
    #[arg(long, value_name = "N")]
    pub wan_vlan: Option<Vlan>,

    /// Where to write what leaves towards the line (pcap, nanoseconds; in gzip if it ends in .gz).
    #[arg(long, value_name = "OUT")]
    pub wan_out: Option<PathBuf>,

    /// Where to write what leaves towards the LAN (pcap, nanoseconds; in gzip if it ends in .gz).
    #[arg(long, value_name = "OUT")]
    pub lan_out: Option<PathBuf>,

    /// The tunnel's MTU as hosts see it. Up to 1460, larger packets with DF are refused and others
    /// leave in outer fragments; above, packets up to N are carried whatever DF says (RFC 6333).
    #[arg(long, value_name = "N", default_value_t = 1460, value_parser = number(576..=LINK_MTU))]
    pub tunnel_mtu: u16,

    /// What is done to frames before they are played.
    #[command(flatten)]
    pub preparation: Preparation,

    /// How fast to play: `fast` does not wait between frames, `original` waits as long as the
    /// capture did. The router's clock shows the same in both.
    #[arg(long, value_name = "PACE", value_enum, default_value_t = Pace::Fast)]
    pub time: Pace,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,

    /// What is done to packets.
    #[command(flatten)]
    pub behaviour: Flags<Behaviour>,

    /// How the worker runs.
    #[command(flatten)]
    pub tuning: Flags<Tuning>,
}

/// What the line is, as `--mode` says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// DS-Lite B4 (RFC 6333): addresses pass as they are, the far end translates.
    Dslite,
    /// IPv4 over IPv6 with a fixed IPv4 address: this end translates to it.
    Ipip,
    /// MAP-E CE (RFC 7597): this end translates to its ports of a shared IPv4 address.
    MapE,
}

impl ReplayArgs {
    /// The router that was asked for.
    pub fn setup(&self) -> Result<Setup, Usage> {
        let usage = |text: String| Err(Usage(text));
        if self.mode != Mode::MapE && self.map_e.is_given() {
            return usage(
                "--prefix, --rule, --iid, --psid and --mesh are of --mode map-e; leave them out, or use it".into(),
            );
        }
        let (ce, outside, mesh) = match (self.mode, self.ce, self.ipv4) {
            (Mode::Ipip, _, None) => {
                return usage("--mode ipip translates to one IPv4 address; give it with --ipv4 ADDR".into());
            }
            (Mode::Dslite, _, Some(addr)) => {
                return usage(format!(
                    "--ipv4 {addr}: --mode dslite has no IPv4 address; leave it out, or use --mode ipip"
                ));
            }
            (Mode::Dslite, ..) if self.behaviour.filtering.is_some() => {
                return usage("--filtering: --mode dslite does not filter; leave it out, or use --mode ipip".into());
            }
            (Mode::MapE, None, None) => {
                let (ce, mesh) = self.map_e.line(self.br)?;
                (ce.address, Some(Outside { ipv4: ce.ipv4, ports: ce.ports }), mesh)
            }
            (Mode::MapE, ..) => {
                return usage(
                    "--mode map-e makes its addresses of --prefix and --rule; leave --ce and --ipv4 out".into(),
                );
            }
            (_, None, _) => return usage("give our end of the tunnel with --ce ADDR".into()),
            (Mode::Dslite, Some(ce), None) => (ce, None, None),
            (Mode::Ipip, Some(ce), Some(ipv4)) => (ce, Some(Outside { ipv4, ports: PortSet::ALL }), None),
        };
        for (flag, addr) in [("--ce", ce), ("--br", self.br)] {
            if addr.is_unspecified() || addr.is_multicast() || addr.is_loopback() {
                return usage(format!("{flag} {addr}: no end of a tunnel; give a unicast address"));
            }
        }
        if ce == self.br {
            return usage(format!("--ce and --br are both {ce}; a tunnel has two ends"));
        }
        if let Some(addr) = self.ipv4
            && (addr.is_unspecified() || addr.is_loopback() || addr.octets()[0] >= 224)
        {
            return usage(format!("--ipv4 {addr}: no address of a host; give the one that the provider assigned"));
        }
        Ok(Setup {
            ce,
            br: self.br,
            outside,
            mesh,
            mtu: mtu_mode(self.tunnel_mtu),
            behaviour: self.behaviour.0.clone(),
            lan: None,
            vlans: [self.lan_vlan, self.wan_vlan],
        })
    }

    /// Outputs are not inputs, and not each other: creating them would destroy what is to be read.
    fn files_differ(&self) -> Result<(), Usage> {
        let identity = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let is_file = |path: &&PathBuf| !path.metadata().is_ok_and(|m| !m.is_file());
        let outputs = [("--wan-out", &self.wan_out), ("--lan-out", &self.lan_out)];
        for (flag, output) in outputs {
            let Some(output) = output.as_ref().filter(is_file) else { continue };
            let others = [("--lan", &self.lan), ("--wan", &self.wan)].into_iter().chain(outputs);
            for (other_flag, other) in others.filter(|(f, _)| *f != flag) {
                if other.as_ref().is_some_and(|other| identity(other) == identity(output)) {
                    let file = output.display();
                    return Err(Usage(format!(
                        "{flag} {file} is {other_flag} too; give another name, it would be overwritten"
                    )));
                }
            }
        }
        let std_in = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
        if std_in(&self.lan) && std_in(&self.wan) {
            return Err(Usage("--lan - and --wan -: there is only one standard input; give one of them a file".into()));
        }
        Ok(())
    }
}

/// Plays what `args` say and prints the report.
pub fn run(args: &ReplayArgs) -> anyhow::Result<()> {
    let setup = args.setup()?;
    args.files_differ()?;
    args.tuning.pin_this_thread()?;
    let open = |path: &Option<PathBuf>| path.as_ref().map(Reader::open).transpose();
    let ends = Ends { lan: open(&args.lan)?, wan: open(&args.wan)? };
    let create = |path: &Option<PathBuf>| path.as_ref().map(|p| Writer::create(p, Precision::Nano)).transpose();
    let outs = Ends { lan: create(&args.lan_out)?, wan: create(&args.wan_out)? };
    let router = CaptureRouter::new(&setup, &args.tuning)?;
    debug_assert!(args.tunnel_mtu <= LINK_MTU);

    let played = Player::new(router, args.time, args.preparation.clone(), &args.tuning).play(ends, outs)?;
    for warning in played.warnings() {
        complain(format_args!("hikyaku: {warning}\n"));
    }
    let report = Report::new(&played);
    print(match args.json {
        true => serde_json::to_string_pretty(&report).context("the report as JSON")? + "\n",
        false => report.to_string(),
    })?;
    for error in played.errors.iter().skip(1) {
        complain(format_args!("hikyaku: {error}\n"));
    }
    report.check()?;
    if let Some(error) = played.errors.into_iter().next() {
        return Err(error.into());
    }
    let not_played: u64 = [played.flows.lan, played.flows.wan].iter().map(|flow| flow.oversize + flow.left_out).sum();
    anyhow::ensure!(not_played == 0, "{} frames were not played", grouped(not_played));
    Ok(())
}
