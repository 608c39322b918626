//! The command lines of `hikyaku run` and `hikyaku check`: a file, and the few settings that are
//! worth a flag.

use std::path::PathBuf;

use clap::Args;

use super::keys::Given;
use super::tree::{Section, Value};
use crate::behaviour::BehaviourArgs;
use crate::tuning::TuningArgs;

const RUN_EXAMPLES: &str = "\
Examples:
  Whatever the line has, found out and said:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service auto

  DS-Lite, the AFTR as the line names it (DHCPv6) or by name:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service dslite
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 --service dslite --aftr gw.example.net

  A fixed address, with what the contract sheet says:
    hikyaku run --wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 192.168.1.1/24 \\
        --service ipip --ipv4 192.0.2.1 --br 2001:db8:ffff::1 --ce ::feed

  Everything in a file (docs/configuration.md has all keys), looked at first, then run; flags go over the file:
    hikyaku check /etc/hikyaku.toml
    hikyaku run --config /etc/hikyaku.toml --cores 2

  What it is doing:
    hikyaku show status

  The file was changed, have it read again (docs/configuration.md):
    kill -HUP PID

Exit code: 0 it was told to stop (SIGTERM, SIGINT); 1 something failed; 2 a flag or the file is wrong, and nothing
was started. Passwords are given in files only (credentials-file), never as flags.";

/// Bring up the line and route
///
/// The configuration is checked as a whole before anything is opened. Then links are opened, what
/// is not needed any more is given up, and the line comes up by itself: router advertisements,
/// DHCPv6, the tunnel. It runs in the foreground and logs to standard error.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = RUN_EXAMPLES, after_long_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// Configuration file (TOML).
    #[arg(long, short, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The few settings that are worth a flag.
    #[command(flatten)]
    pub line: LineArgs,

    /// Frames that are not ours go to the host's own stack, and its frames to the line or the LAN: services of this machine
    /// stay reachable by the same ports. Of both links, which must be netmap:IF; the file has `host` for each.
    #[arg(long, help_heading = "Line")]
    pub host: bool,

    /// See [`BehaviourArgs`].
    #[command(flatten)]
    pub behaviour: Given<BehaviourArgs>,

    /// See [`TuningArgs`].
    #[command(flatten)]
    pub tuning: Given<TuningArgs>,
}

/// Settings of the file that are flags too. They are text here: the file's rules judge them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Line")]
pub struct LineArgs {
    /// Link towards the line: netmap:IF, netmap:IF-QUEUE, valeN:PORT, netmap:NAME{ID, xdp:IF.
    #[arg(long, value_name = "LINK")]
    pub wan: Option<String>,

    /// Link towards the hosts.
    #[arg(long, value_name = "LINK")]
    pub lan: Option<String>,

    /// VLAN (802.1Q) that the line is of its link's wire, 1 to 4094; without it frames have no tag.
    #[arg(long, value_name = "N")]
    pub wan_vlan: Option<String>,

    /// The same of the LAN.
    #[arg(long, value_name = "N")]
    pub lan_vlan: Option<String>,

    /// Our address on the LAN, and its network.
    #[arg(long, value_name = "ADDR/LEN")]
    pub lan_ipv4: Option<String>,

    /// What the line is: `auto` (it is found out), the service by its name (transix, transix-fixed, xpass,
    /// xpass-fixed, v6connect, v6plus, v6plus-fixed, biglobe, ocn, ocn-fixed, ocx), or a technology (dslite, ipip,
    /// map-e, lw4o6).
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,

    /// The far end of DS-Lite and lw4o6, an address or a name; without it the one that the line names.
    #[arg(long, value_name = "ADDR|NAME")]
    pub aftr: Option<String>,

    /// The far end of fixed addresses and MAP-E: the border router; without it the service's, or the line's.
    #[arg(long, value_name = "ADDR")]
    pub br: Option<String>,

    /// The IPv4 address of a fixed-address service.
    #[arg(long, value_name = "ADDR")]
    pub ipv4: Option<String>,

    /// The near end of the tunnel: an interface id such as ::feed, a whole address, or `from-ipv4`;
    /// without it what the service has, else the WAN's own address.
    #[arg(long, value_name = "ID|ADDR")]
    pub ce: Option<String>,

    /// Rules of a MAP-E service (docs/map-rules.md); without it the line says them.
    #[arg(long, value_name = "FILE")]
    pub map_rules: Option<String>,

    /// The tunnel's MTU as hosts see it, 576 to 1500 [default: 1460].
    #[arg(long, value_name = "N")]
    pub tunnel_mtu: Option<String>,

    /// Where this end translates, whose packets a mapping lets in: `address-and-port-dependent` or
    /// `endpoint-independent` [default: address-and-port-dependent].
    #[arg(long, value_name = "MODE")]
    pub filtering: Option<String>,

    /// The least that is logged: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// Where `hikyaku show` asks.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<String>,
}

/// Each flag, its section and its key.
const FLAGS: [(&str, &str, &str); 15] = [
    ("--wan", "wan", "link"),
    ("--lan", "lan", "link"),
    ("--wan-vlan", "wan", "vlan"),
    ("--lan-vlan", "lan", "vlan"),
    ("--lan-ipv4", "lan", "ipv4"),
    ("--service", "service", "kind"),
    ("--aftr", "service", "aftr"),
    ("--br", "service", "br"),
    ("--ipv4", "service", "ipv4"),
    ("--ce", "service", "ce"),
    ("--map-rules", "service", "map-rules"),
    ("--tunnel-mtu", "service", "tunnel-mtu"),
    ("--filtering", "service", "filtering"),
    ("--log-level", "log", "level"),
    ("--socket", "control", "socket"),
];

/// The flag that sets a key, where there is one.
pub(super) fn flag_of(section: &str, key: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(_, s, k)| (*s, *k) == (section, key)).map(|(flag, ..)| *flag)
}

impl RunArgs {
    /// Puts what was given into the tree, over what is there.
    pub(super) fn overlay(&self, root: &mut Section) {
        let l = &self.line;
        let given = [
            &l.wan,
            &l.lan,
            &l.wan_vlan,
            &l.lan_vlan,
            &l.lan_ipv4,
            &l.service,
            &l.aftr,
            &l.br,
            &l.ipv4,
            &l.ce,
            &l.map_rules,
            &l.tunnel_mtu,
            &l.filtering,
            &l.log_level,
            &l.socket,
        ];
        for ((flag, section, key), value) in FLAGS.into_iter().zip(given) {
            if let Some(value) = value {
                root.set(section, key, flag, Value::One(value.clone()));
            }
        }
        if self.host {
            ["wan", "lan"]
                .into_iter()
                .for_each(|section| root.set(section, "host", "--host", Value::One("true".into())));
        }
        // Their values were judged by the command line already.
        for (section, values) in [("service", &self.behaviour.values), ("tuning", &self.tuning.values)] {
            for (key, value) in values {
                root.set(section, key, "command line", value.clone());
            }
        }
    }
}

const CHECK_EXAMPLES: &str = "\
Example:
  hikyaku check /etc/hikyaku.toml && kill -HUP PID     have a running router read it again

Exit code: 0 it is right; 2 it is not: every line on standard error is one thing that is wrong.
Whether links exist and may be opened, and whether names resolve, only `hikyaku run` finds out.";

/// Check a configuration file and say what it would do
#[derive(Args, Clone, Debug)]
#[command(after_help = CHECK_EXAMPLES, after_long_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Configuration file (TOML).
    #[arg(value_name = "FILE")]
    pub config: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::problem::Place;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        run: RunArgs,
    }

    #[test]
    fn every_flag_reaches_its_key() {
        let flags = FLAGS.map(|(flag, ..)| format!("{flag}=value of {flag}"));
        let program = Program::try_parse_from(["p".to_string()].iter().chain(&flags)).unwrap();
        let mut root = Section::new("", Place::CommandLine);
        program.run.overlay(&mut root);
        for (flag, section, key) in FLAGS {
            let setting = &root.tables[section][0].settings[key];
            assert_eq!((&setting.value, &setting.place), (&Value::One(format!("value of {flag}")), &Place::Flag(flag)));
            assert_eq!(flag_of(section, key), Some(flag));
        }
        let line = LineArgs::augment_args(clap::Command::new("line"));
        assert_eq!(line.get_arguments().count(), FLAGS.len(), "a flag without a key");
        Program::command().debug_assert();
    }
}
