//! Configuration files from outside: what `hikyaku check` and `run` say about them, and that
//! docs/configuration.md says the same.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use hikyaku::run::RunArgs;
use hikyaku_config::{Config, InterfaceId, reference_text};
use hikyaku_dataplane::napt::Filtering;
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_protocols::aftr::Endpoint;
use hikyaku_protocols::notification::Dialect;
use hikyaku_protocols::service::{Local, Name, WishedEnd};
use hikyaku_schema::Problems;
use proptest::prelude::*;

/// Line 8 is the first one behind it.
pub(super) const DSLITE: &str = "\
[wan]
link = 'netmap:ix0'
[lan]
link = 'netmap:ix1'
ipv4 = '192.168.1.1/24'
[service]
kind = 'dslite'
";

const IPIP: &str = "\
[wan]
link = 'netmap:ix0'
[lan]
link = 'netmap:ix1'
ipv4 = '192.168.1.1/24'
[service]
kind = 'ipip'
ipv4 = '192.0.2.1'
br = '2001:db8:ffff::1'
";

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    run: RunArgs,
}

fn load(args: &str) -> Result<Config, Problems> {
    let args = Program::try_parse_from(["run"].into_iter().chain(args.split_whitespace())).unwrap().run;
    Config::load(args.config.as_deref(), &args.keys)
}

/// What is wrong with a file that cannot be used.
pub(super) fn problems(text: &str) -> Vec<String> {
    match Config::parse("f", text) {
        Ok(config) => panic!("no problem: {}", config.summary()),
        Err(Problems(problems)) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn hikyaku(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file of this test's own, gone at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hikyaku-config-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_short_file_and_its_defaults() {
    let config = Config::parse("f", DSLITE).unwrap();
    assert_eq!((config.service.wish.name, config.service.wish.far), (Name::Dslite, None));
    assert_eq!((config.service.mtu, config.service.wish.end), (MtuMode::Strict { mtu: 1460 }, None));
    assert!(config.service.provisioning.is_some(), "the line's server is asked");
    assert_eq!((config.wan.interface_id, config.wan.mtu, config.lans[0].mtu), (InterfaceId::Stable, None, 1500));
    assert!(config.wan.dhcpv6.reconfigure && !config.wan.dhcpv6.rapid_commit);
    let dhcpv4 = config.lans[0].dhcpv4.clone().unwrap();
    assert_eq!(dhcpv4.pool.to_string(), "192.168.1.128-192.168.1.254");
    assert_eq!((config.control.mode.0, config.system.user), (0o660, None));
    assert_eq!((config.tuning.batch, config.tuning.table, config.tuning.huge_pages), (256, None, true));
    let config = Config::parse("f", IPIP).unwrap();
    let br = Endpoint::Addresses(vec!["2001:db8:ffff::1".parse().unwrap()]);
    let wish = config.service.wish;
    assert_eq!((wish.name, wish.ipv4, wish.far), (Name::Ipip, Some([192, 0, 2, 1].into()), Some(br)));
    assert_eq!(config.service.behaviour.filtering(), Filtering::AddressAndPortDependent);
}

#[test]
fn ieee_802_1q_a_vlan_on_either_side() {
    let config = Config::parse("f", &DSLITE.replace("[lan]\n", "vlan = 10\n[lan]\nvlan = 4094\n")).unwrap();
    assert_eq!((config.wan.vlan.unwrap().id(), config.lans[0].vlan.unwrap().id()), (10, 4094));
    let summary = config.summary().to_string();
    assert!(summary.contains("\n  [wan] vlan = 10\n") && summary.contains("\n  [lan] vlan = 4094\n"), "{summary}");
    for bad in ["0", "4095", "65536", "-1", "'x'"] {
        let text = DSLITE.replace("[lan]\n", &format!("vlan = {bad}\n[lan]\nvlan = {bad}\n"));
        let bad = bad.trim_matches('\'');
        let line = |n| format!("f:{n}: vlan = '{bad}': a VLAN has a number from 1 to 4094");
        assert_eq!(problems(&text), [line(3), line(5)]);
    }
    let flags = "--wan netmap:a --lan netmap:b --lan-ipv4 10.0.0.1/8 --service dslite --wan-vlan 10 --lan-vlan 20";
    let config = load(flags).unwrap();
    assert_eq!((config.wan.vlan.unwrap().id(), config.lans[0].vlan.unwrap().id()), (10, 20));
    let file = File::new("vlan.toml", &DSLITE.replace("[lan]\n", "vlan = 0\n[lan]\n"));
    let out = hikyaku(&["check", file.name()]);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(2), 0));
    assert!(text(&out.stderr).contains(":3: vlan = '0': a VLAN has a number from 1 to 4094"), "{}", text(&out.stderr));
}

#[test]
fn flags_alone_and_flags_over_a_file() {
    let config = load(
        "--wan vale0:a --lan netmap:x{1 --lan-ipv4 10.0.0.1/8 --service ipip --ipv4 192.0.2.1 --br 2001:db8::1 \
         --ce from-ipv4 --tunnel-mtu 1500 --filtering endpoint-independent --copy-dscp --timeouts udp=60 --cores 0 \
         --port-parity --answer-unsolicited",
    )
    .unwrap();
    assert_eq!(config.service.wish.end, Some(WishedEnd::FromIpv4));
    assert_eq!(config.service.mtu, MtuMode::Fragment { mtu: 1500 });
    assert_eq!(config.service.behaviour.filtering(), Filtering::EndpointIndependent);
    assert!(config.service.behaviour.copy_dscp && config.service.behaviour.timeouts.0.udp == 60);
    assert!(config.service.behaviour.port_parity && config.service.behaviour.answer_unsolicited);
    assert_eq!(config.tuning.cores.unwrap().0, [0]);

    let file = File::new("over.toml", &format!("{DSLITE}mss = 1200\n[tuning]\nbatch = 8\nring-slots = 64\n"));
    let over = format!("--config {} --lan-ipv4 10.1.0.1/16 --aftr gw.example.net --batch 16 --mss off", file.name());
    let config = load(&over).unwrap();
    assert_eq!(config.lans[0].ipv4.to_string(), "10.1.0.1/16");
    assert_eq!(config.service.wish.far, Some(Endpoint::Name("gw.example.net".into())));
    assert_eq!((config.tuning.batch, config.tuning.ring_slots), (16, 64), "the file's, where no flag is");
    assert_eq!(config.service.behaviour.mss, hikyaku_config::Mss::Off);

    let wrong = load("--wan ix0 --lan netmap:ix1 --lan-ipv4 10.0.0.0/8 --service map").unwrap_err();
    let wrong: Vec<String> = wrong.0.iter().map(ToString::to_string).collect();
    assert!(wrong[0].starts_with("--wan: link = 'ix0': link name \"ix0\" does not say how to reach it"), "{wrong:?}");
    assert!(wrong[1].starts_with("--lan-ipv4: ipv4 = '10.0.0.0/8': ") && wrong[1].ends_with("give 10.0.0.1/8"));
    assert!(wrong[2].starts_with("--service: kind = 'map' is none of: auto, transix, "), "{wrong:?}");

    let host = "--wan netmap:ix0 --lan netmap:ix1 --lan-ipv4 10.0.0.1/8 --service dslite --host";
    let config = load(host).unwrap();
    assert!(config.wan.host && config.lans[0].host);
    let Problems(wrong) = load(&host.replace("netmap:ix1", "xdp:eth1")).unwrap_err();
    assert_eq!(wrong[0].to_string(), "--host: host: xdp:eth1 has no host rings; leave it out");
    let wrong = load("").unwrap_err().to_string();
    assert_eq!(
        wrong.lines().collect::<Vec<_>>(),
        [
            "[wan] lacks link = LINK, or --wan",
            "[lan] lacks link = LINK, or --lan",
            "[lan] lacks ipv4 = ADDR/LEN, or --lan-ipv4",
            "[service] lacks kind = KIND, or --service",
        ]
    );
}

#[test]
fn names_that_do_not_exist_are_told_with_those_that_do() {
    let text = format!("{DSLITE}tunel-mtu = 1460\n[lan.dhcp4]\n[servise]\n[wan.dhcpv6]\nmod = 'off'\n[x]\ny = 1\n");
    assert_eq!(
        problems(&text),
        [
            "f:8: unknown key 'tunel-mtu' in [service], did you mean 'tunnel-mtu'?",
            "f:9: unknown section 'dhcp4' in [lan], did you mean 'dhcpv4'?",
            "f:10: unknown section 'servise' in the file, did you mean 'service'?",
            "f:12: unknown key 'mod' in [wan.dhcpv6], did you mean 'mode'?",
            "f:13: unknown section 'x' in the file",
        ]
    );
    let text = format!("link = 'a'\n{DSLITE}");
    assert_eq!(problems(&text), ["f:1: unknown key 'link' in the file"]);
}

#[test]
fn values_that_cannot_be() {
    for (line, says) in [
        ("tunnel-mtu = 9000", "tunnel-mtu = '9000': give a number from 576 to 1500"),
        ("tunnel-mtu = 'big'", "tunnel-mtu = 'big': give a number from 576 to 1500"),
        ("aftr = '192.0.2.1'", "aftr = '192.0.2.1': give an IPv6 address or a name"),
        ("aftr = 'fe80::1'", "aftr = 'fe80::1': it is no global unicast address"),
        ("ce = '::'", "ce = '::': it is no global unicast address; give an interface id such as ::feed"),
        ("copy-ecn = 1", "copy-ecn = '1': it is true or false"),
        ("mss = 20", "mss = '20': give a number from 536 to 1460"),
        ("[tuning]\nidle = 'doze'", "idle = 'doze' is none of: adaptive, spin, yield, sleep"),
        ("[tuning]\ncores = [2, 2]", "cores = '2,2': core 2 is given twice"),
        ("[control]\nsocket = 'here'", "socket = 'here': give an absolute path of at most 90 bytes"),
        ("[control]\nmode = 660", ""),
        ("[control]\ngroup = 'no such group'", "there is no such group"),
        ("[system]\nuser = 'root'", "that is the superuser"),
        ("[log]\nlevel = 'loud'", "level = 'loud' is none of: error, warn, info, debug, trace"),
        ("[wan.dhcpv6]\npd-hint = 8", "pd-hint = '8': give a number from 48 to 64"),
        ("[lan.dhcpv4]\nlease-time = 1", "lease-time = '1': give a number from 120 to 31536000"),
        ("[lan.dhcpv4]\ndns = ['8.8.8.8', 'x']", "dns = 'x': an IPv4 address is written as 192.0.2.1"),
        (
            "[lan.dhcpv4]\ndns = ['192.0.2.53', '192.168.1.1']\n[lan.dns]\nenabled = false",
            "dns = '192.168.1.1': that is our own address, and [lan.dns] is off",
        ),
        ("[lan.dns]\ncache = 300000", "cache = '300000': give a number from 0 to 262144"),
        ("[[lan.dns.host]]\nip = 'fe80::1'\nname = 'nas'", "ip = 'fe80::1': it is no global unicast address"),
        ("[[lan.dns.host]]\nip = '192.0.2.1'", "lacks name = NAME"),
        (
            "[[lan.dns.forward]]\nservers = '192.0.2.1'\nname = 'x.jp'",
            "servers = '192.0.2.1': an IPv6 address is written",
        ),
        ("[[lan.dhcpv4.reservation]]\nmac = '01:00:5e:00:00:01'\nip = '192.168.1.9'", "it is no single station's"),
        ("[[lan.dhcpv4.reservation]]\nmac = '02:00:00:00:00:01'", "lacks ip = ADDR"),
    ] {
        let text = format!("{DSLITE}{line}\n");
        if says.is_empty() {
            Config::parse("f", &text).unwrap();
            continue;
        }
        let problems = problems(&text);
        assert!(problems.len() == 1 && problems[0].contains(says), "{line}: {problems:?}");
        assert!(problems[0].starts_with("f:8: ") || problems[0].starts_with("f:9: "), "{problems:?}");
    }
}

#[test]
fn a_name_is_written_once() {
    for section in ["host", "forward"] {
        let one = |name: &str| format!("[[lan.dns.{section}]]\nname = '{name}'\n");
        let text = format!("{DSLITE}{}{}{}", one("x.jp"), one("y.jp"), one("X.jp"));
        assert_eq!(problems(&text), ["f:13: name = 'x.jp': another has it already; write it once"]);
    }
}

/// What is no TOML hides nothing else: only what is missing is not told, it may stand in such a line.
#[test]
fn beside_lines_that_are_no_toml() {
    let broken = "[wan]\nlink = netmap:ix0\nmtu = 9\n[lan]\nipv4 = \"2001:db8::1/64\"\nmtu = 1400\nmtu = 1500\n[service]\nknid 'ipip'\nmss = 1";
    assert_eq!(
        problems(broken),
        [
            "f:2: link = netmap:ix0: text is written in quotes, link = \"netmap:ix0\"",
            "f:3: mtu = '9': give a number from 1280 to 1500",
            "f:5: ipv4 = '2001:db8::1/64': that is IPv6; give our IPv4 address and its network, such as 192.168.1.1/24",
            "f:7: duplicate key 'mtu'",
            "f:9: key with no value, expected `=`",
            "f:10: mss = '1': give a number from 536 to 1460, `auto` or `off`",
        ]
    );
    let file = File::new("bytes.toml", "");
    std::fs::write(&file.0, b"[wan]\nlink = '\xff'\n").unwrap();
    let run = hikyaku(&["check", file.name()]);
    assert_eq!(run.status.code(), Some(2));
    let name = file.name();
    let says = format!("hikyaku: {name}: cannot be read: line 2 is no UTF-8 text: it has the byte 0xff\n");
    assert_eq!(text(&run.stderr), says);
}

/// A file of which nothing is right costs no time and no screen, and steers no terminal.
#[test]
fn problems_are_bounded_and_plain() {
    let keys: String = (0..60_000).map(|i| format!("a{i} = 1\n")).collect();
    let told = problems(&format!("{DSLITE}{keys}"));
    assert_eq!(told.len(), 101);
    assert_eq!(told[100], "these are 100 problems, and there may be more; mend them and look again");
    let told = problems(&format!("{DSLITE}\"\\u001b[31m\\nfake\" = 1\nmss = \"\\u0007\"\n"));
    assert_eq!(told[0], "f:8: unknown key '\\u001b[31m\\nfake' in [service]");
    assert_eq!(told[1], "f:9: mss = '\\u0007': give a number from 536 to 1460, `auto` or `off`");
}

#[test]
fn files_are_looked_for_beside_the_one_that_names_them() {
    let rules =
        "iid = 'draft03'\n[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 4\n";
    let rules = File::new("beside.rules", rules);
    let beside = rules.0.file_name().unwrap().to_str().unwrap();
    let file = DSLITE.replace("dslite", "v6plus") + &format!("map-rules = '{beside}'\n");
    let file = File::new("beside.toml", &file);
    let run = hikyaku(&["check", "--config", file.name()]);
    assert_eq!((text(&run.stderr).as_str(), run.status.code()), ("", Some(0)));
    assert!(text(&run.stdout).contains("1 rules"), "{}", text(&run.stdout));
}

#[test]
fn settings_that_contradict_each_other() {
    for (base, change, says) in [
        (DSLITE, "ipv4 = '192.0.2.1'", "f:8: ipv4: dslite has none; leave it out"),
        (DSLITE, "br = '2001:db8::1'", "f:8: br: the far end of dslite is aftr"),
        (DSLITE, "port-parity = true", "f:8: port-parity: dslite has none; leave it out"),
        (DSLITE, "answer-unsolicited = true", "f:8: answer-unsolicited: dslite has none; leave it out"),
        (DSLITE, "filtering = 'endpoint-independent'", "f:8: filtering: dslite has none; leave it out"),
        (DSLITE, "ce = 'from-ipv4'", "f:8: ce = 'from-ipv4': there is no ipv4"),
        (DSLITE, "aftr = '2001:db8::1'\nce = '2001:db8::1'", "f:9: ce and aftr are both 2001:db8::1"),
        (DSLITE, "[service.notification]\ndialect = 'url'\nurl = 'http://x/'", "dslite is told nothing; leave it out"),
        (
            DSLITE,
            "[lan.dhcpv4]\npool = '192.168.2.1-192.168.2.9'",
            "f:9: pool = '192.168.2.1-192.168.2.9': not of the LAN",
        ),
        (DSLITE, "[lan.dhcpv4]\npool = '192.168.1.0-192.168.1.9'", "hosts have 192.168.1.1-192.168.1.254"),
        (DSLITE, "[lan.dhcpv4]\npool = '192.168.1.1-192.168.1.9'", "it has our own address 192.168.1.1 in it"),
        (DSLITE, "[wan.dhcpv6]\nmode = 'off'\npd-hint = 56", "f:10: pd-hint: nothing is leased with this mode"),
        (DSLITE, "[[lan]]\nlink = 'netmap:ix2'", "duplicate key"),
        (IPIP, "aftr = 'gw.example.net'", "f:10: aftr: the far end of ipip is br"),
    ] {
        let problems = problems(&format!("{base}{change}\n"));
        assert!(problems.iter().any(|p| p.contains(says)), "{change}: {problems:?}");
    }
    let without = |line: &str| problems(&IPIP.replace(line, ""));
    assert_eq!(
        without("ipv4 = '192.0.2.1'\n"),
        ["f:6: ipip lacks ipv4; give the address that the provider assigned (or --ipv4 ADDR)"]
    );
    assert!(without("br = '2001:db8:ffff::1'\n")[0].starts_with("f:6: ipip lacks br; "));
    let same = problems(&IPIP.replace("netmap:ix1", "netmap:ix0-1"));
    assert_eq!(same, ["f:4: link = 'netmap:ix0-1': [wan] has netmap:ix0; the two sides are two links"]);
    assert!(problems(&IPIP.replace("netmap:ix1", "xdp:ix0"))[0].contains("the two sides are two links"));
    assert!(problems(&IPIP.replace("192.0.2.1", "192.168.1.77"))[0].contains("it is of the LAN 192.168.1.1/24"));
    assert!(problems(&IPIP.replace("192.168.1.1", "192.0.0.1"))[0].contains("DS-Lite's own"));
    assert!(problems(&IPIP.replace("netmap:ix1", "netmap:ix1^"))[0].contains("host = true"));
    assert!(
        problems(&IPIP.replace("'netmap:ix1'", "'vale0:a'\nhost = true"))[0].starts_with("f:5: host: vale0:a has no")
    );
    Config::parse("f", &DSLITE.replace("[lan]", "[[lan]]")).unwrap();
}

/// Services by their names, each with what it has and nothing else.
#[test]
fn services_of_the_market() {
    let service = |text: &str| {
        let base = DSLITE.replace("kind = 'dslite'\n", "");
        Config::parse("f", &format!("{base}{text}\n"))
            .map(|config| config.service)
            .map_err(|problems| problems.to_string())
    };
    let plain = [
        "auto",
        "transix",
        "xpass",
        "v6connect",
        "v6plus",
        "v6plus-fixed",
        "biglobe",
        "ocn",
        "ocn-fixed",
        "ocx",
        "dslite",
        "map-e",
        "lw4o6",
    ];
    for name in plain {
        let service = service(&format!("kind = '{name}'")).unwrap();
        assert_eq!(service.wish.name.text(), name);
    }
    let fixed = "ipv4 = '192.0.2.1'\nbr = '2001:db8:f::1'";
    let contract = service(&format!("kind = 'transix-fixed'\n{fixed}\nce = '::feed'")).unwrap();
    assert_eq!(contract.wish.end, Some(WishedEnd::Local(Local::Token("::feed".parse().unwrap()))));
    service(&format!("kind = 'xpass-fixed'\n{fixed}")).unwrap();
    let lw = service(
        "kind = 'lw4o6'\nipv4 = '192.0.2.1'\naftr = 'lw.example.net'\npsid = 5\npsid-length = 6\npsid-offset = 4",
    );
    assert_eq!(lw.unwrap().wish.ports.unwrap().len(), 960);
    for (text, says) in [
        (
            format!("kind = 'transix-fixed'\n{fixed}"),
            "transix-fixed lacks ce; give the interface id of the contract sheet",
        ),
        ("kind = 'xpass-fixed'\nbr = '2001:db8::1'".into(), "xpass-fixed lacks ipv4"),
        ("kind = 'ocn-fixed'\nipv4 = '192.0.2.1'".into(), "ocn-fixed lacks br"),
        ("kind = 'auto'\naftr = 'gw.example.net'".into(), "aftr: with kind = \"auto\" the line says it"),
        ("kind = 'v6plus'\nipv4 = '192.0.2.1'".into(), "ipv4: v6plus has none; leave it out (ipip, lw4o6 has)"),
        ("kind = 'v6plus'\nmap-rules = '/nonexistent'".into(), "/nonexistent"),
        ("kind = 'lw4o6'\nipv4 = '192.0.2.1'".into(), "lw4o6 lacks aftr"),
        (
            "kind = 'lw4o6'\nipv4 = '192.0.2.1'\naftr = '2001:db8::1'\npsid = 64\npsid-length = 6".into(),
            "more bits than its length",
        ),
        (
            "kind = 'dslite'\n[service.provisioning]\nserver = 'prov.example.net'".into(),
            "there are no credentials to keep",
        ),
        ("kind = 'dslite'\n[service.provisioning]\nvendor-id = 'x'".into(), "a vendor id is six hex digits"),
    ] {
        let problem = service(&text).unwrap_err();
        assert!(problem.contains(says), "{text}: {problem}");
    }
    assert!(service("kind = 'auto'\n[service.provisioning]\nenabled = false").unwrap().provisioning.is_none());
    // A service that has one way to be told need not be asked which.
    let credentials = File::new("told", "user = 'u'\npassword = 'p'");
    let told =
        format!("kind = 'v6plus-fixed'\n{fixed}\n[service.notification]\ncredentials-file = '{}'", credentials.name());
    assert_eq!(service(&told).unwrap().notification.unwrap().dialect, Dialect::V6plus);
}

#[test]
fn reservations_are_different_hosts() {
    let reservation = |mac: u8, ip: u8, name: &str| {
        format!(
            "[[lan.dhcpv4.reservation]]\nmac = '02:00:00:00:00:{mac:02x}'\nip = '192.168.1.{ip}'\nname = '{name}'\n"
        )
    };
    let file = |list: &[String]| format!("{DSLITE}{}", list.concat());
    let config = Config::parse("f", &file(&[reservation(1, 9, "a"), reservation(2, 10, "b")])).unwrap();
    assert_eq!(config.lans[0].dhcpv4.clone().unwrap().reservations.len(), 2);
    let problems = problems(&file(&[
        reservation(1, 9, "a"),
        reservation(1, 10, "b"),
        reservation(2, 9, "c"),
        reservation(3, 11, "A"),
        reservation(4, 1, "d"),
        reservation(5, 255, "e"),
    ]));
    assert_eq!(
        problems,
        [
            "f:13: mac = '02:00:00:00:00:01': another reservation has it already",
            "f:18: ip = '192.168.1.9': another reservation has it already",
            "f:23: name = 'a': another reservation has it already",
            "f:26: ip = '192.168.1.1': that is our own address",
            "f:30: ip = '192.168.1.255': no host's address of the LAN 192.168.1.1/24",
        ]
    );
}

/// What DHCPv6 keeps for whom, and what it cannot.
#[test]
fn reservations_of_dhcpv6() {
    let with = |ipv6: &str, list: &[&str]| {
        let list: String = list.iter().map(|keys| format!("[[lan.ipv6.reservation]]\n{keys}\n")).collect();
        format!("{DSLITE}[lan.ipv6]\n{ipv6}\n{list}")
    };
    let stateful = "dhcpv6 = 'stateful'\ndelegate = 60";
    let good = with(
        stateful,
        &[
            "mac = '02:00:00:00:00:01'\ninterface-id = '::10'\nsubnet-id = 16",
            "duid = '00:03:00:01:02:00:00:00:00:02'\ninterface-id = '::11'",
        ],
    );
    let kept = Config::parse("f", &good).unwrap().lans[0].ipv6.reservations.clone();
    assert_eq!(
        (kept[0].subnet_id, kept[1].duid.as_ref().unwrap().to_string()),
        (Some(16), "00030001020000000002".into())
    );
    let (mac, id) = ("mac = '02:00:00:00:00:01'", "interface-id = '::10'");
    let one = |keys: &str| problems(&with(stateful, &[keys])).join("\n");
    assert!(one(id).contains("a reservation is for a mac or for a duid"));
    assert!(one(&format!("{mac}\nduid = '0003000102000000000a'\n{id}")).contains("give one of them"));
    assert!(one(mac).contains("nothing is reserved: give interface-id, subnet-id or both"));
    assert!(one(&format!("{mac}\nsubnet-id = 17")).contains("give a multiple of 16"));
    assert!(one(&format!("duid = 'zz'\n{id}")).contains("duid = 'zz'"));
    assert!(problems(&with(&format!("{stateful}\n{id}"), &[&format!("{mac}\n{id}")]))[0].contains("that is our own"));
    let twice = problems(&with(stateful, &[&format!("{mac}\n{id}"), &format!("{mac}\nsubnet-id = 16\n{id}")]));
    assert_eq!(
        twice,
        [
            "f:15: mac = '02:00:00:00:00:01': another reservation has it already",
            "f:17: interface-id = '::10': another reservation has it already",
        ]
    );
    assert!(problems(&with("slaac = false", &[]))[0].contains("hosts would have no address at all"));
    assert!(problems(&with("dhcpv6 = 'off'\ndelegate = 60", &[]))[0].contains("prefixes are given by DHCPv6"));
    let many: Vec<String> =
        (1..=33).map(|n| format!("mac = '02:00:00:00:00:{n:02x}'\nsubnet-id = {}", n * 16)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(problems(&with(stateful, &many))[0].contains("at most 32 reservations of prefixes"));
    // What is kept and not given is no mistake, and yet is to be known.
    let warned =
        |ipv6: &str| Config::parse("f", &with(ipv6, &[&format!("{mac}\n{id}\nsubnet-id = 16")])).unwrap().warnings();
    assert!(warned("").iter().any(|line| line.contains("1 IPv6 addresses are reserved")));
    assert!(warned("dhcpv6 = 'stateful'").iter().any(|line| line.contains("1 prefixes are reserved")));
    assert!(!warned(stateful).iter().any(|line| line.contains("reserved")));
    let summary = Config::parse("f", &good).unwrap().summary().to_string();
    assert!(
        summary.contains("DHCPv6 gives addresses, 2 reserved; prefixes of 60 bits for routers behind"),
        "{summary}"
    );
}

/// The form of the interface id is the rules', the user's or the service's; where nobody says it there is none.
#[test]
fn rules_without_a_form_of_interface_id() {
    let rules = "[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 4\n";
    let file = File::new("rules.toml", rules);
    let with = |kind: &str, more: &str| {
        DSLITE.replace("dslite", kind) + &format!("br = '2001:db8:ffff::1'\nmap-rules = '{}'\n{more}", file.name())
    };
    for (kind, more) in [("v6plus", ""), ("ocn", ""), ("map-e", "iid = 'rfc7597'")] {
        let config = Config::parse("f", &with(kind, more)).unwrap();
        assert_eq!(config.service.wish.rules.unwrap().iid, None, "{kind}");
    }
    let lacks = problems(&with("map-e", ""));
    assert_eq!(
        lacks,
        [format!(
            "f:9: map-rules = '{}': it does not say iid, and map-e has no form of its own; give it there, or as iid here",
            file.name()
        )]
    );
    std::fs::write(&file.0, format!("iid = 'rfc7597'\n{rules}")).unwrap();
    Config::parse("f", &with("map-e", "")).unwrap();
    // A border router of a service that is known says it too.
    std::fs::write(&file.0, format!("br = '2404:9200:225:100::64'\n{rules}")).unwrap();
    Config::parse("f", &with("map-e", "").replace("br = '2001:db8:ffff::1'\n", "")).unwrap();
}

#[test]
fn credentials_come_from_a_file_of_their_own() {
    let good = File::new("credentials", "user = 'u'\npassword = 'hunter2'\n");
    let with = |more: &str| format!("{IPIP}[service.notification]\ndialect = 'transix-fixed'\n{more}");
    let config = Config::parse("f", &with(&format!("credentials-file = '{}'", good.name()))).unwrap();
    let notification = config.service.notification.as_ref().unwrap();
    assert_eq!((notification.dialect, notification.repeat.as_secs()), (Dialect::Transix, 3600));
    assert_eq!((notification.user.expose(), notification.pass.expose()), ("u", "hunter2"));
    assert!(!format!("{config:?}{}", config.summary()).contains("hunter2"));

    assert_eq!(problems(&with("")), ["f:11: transix-fixed needs a user; put it into the credentials file"]);
    assert!(problems(&with("password = 'x'"))[0].contains("unknown key 'password' in [service.notification]"));
    let file = |name: &str| format!("credentials-file = '{name}'");
    assert!(
        problems(&with(&file("/nonexistent/file")))[0].contains("/nonexistent/file: cannot be opened: No such file")
    );
    std::fs::set_permissions(&good.0, std::fs::Permissions::from_mode(0o604)).unwrap();
    let open = problems(&with(&file(good.name())));
    assert!(open[0].starts_with("f:12: ") && open[0].contains("mode 0604 lets others read"), "{open:?}");

    let half = File::new("half", "password = 'p'\n");
    assert!(problems(&with(&file(half.name())))[0].starts_with("f:12: transix-fixed needs a user"));
    Config::parse("f", &with(&format!("{}\nuser = 'u'", file(half.name())))).unwrap();
    let xpass = with(&file(half.name())).replace("transix-fixed", "xpass-fixed") + "\nuser = 'u'\nurl = 'http://x/'\n";
    assert_eq!(problems(&xpass), ["f:14: url: xpass-fixed is told over https only"]);
    assert!(problems(&xpass.replace("http:", "https:"))[0].contains("needs a name (the FQDN)"));
    let fqdn = with(&format!("{}\nuser = 'u'\nfqdn = 'a.example'", file(half.name())));
    assert_eq!(problems(&fqdn), ["f:14: fqdn: only xpass-fixed is told a name; leave it out"]);
    let template = with("url = 'http://x/?<ip>'").replace("transix-fixed", "url");
    assert_eq!(problems(&template), ["f:12: url: in < and >, behind the host, can stand ipv4, ipv6, user and pass"]);
    let roots = with(&format!("ca-file = '{}'\n{}", half.name(), file(half.name())));
    assert!(problems(&roots)[0].starts_with(&format!("f:12: ca-file {}: ", half.name())));
}

#[test]
fn check_says_what_it_would_do() {
    let file = File::new("check.toml", DSLITE);
    let run = hikyaku(&["check", file.name()]);
    assert_eq!((run.status.code(), text(&run.stderr).as_str()), (Some(0), ""));
    let said = text(&run.stdout);
    for what in [
        format!("ok: {}\n", file.name()).as_str(),
        "  service  dslite: DS-Lite\n",
        "  tunnel   from the WAN's own address; MTU 1460, larger packets with DF are refused\n",
        "  hosts    DHCPv4 192.168.1.128-192.168.1.254 (127 addresses), 0 reserved\n",
        "  names    DNS for hosts, under home.arpa\n",
        "  workers  as many as both links have queues\nset, other than by default:\n  [wan] link = netmap:ix0\n",
        "  [service] kind = dslite\n",
    ] {
        assert!(said.contains(what), "{what}\nis not in\n{said}");
    }
    assert!(!said.contains("warning"), "{said}");
    let silent = File::new("silent.toml", &DSLITE.replace("[service]", "[lan.dns]\nenabled = false\n[service]"));
    let said = text(&hikyaku(&["check", silent.name()]).stdout);
    let warning = "warning: DHCPv4 tells hosts no resolver: switch on ours, as [lan.dns] enabled = true, or name some";
    assert!(said.lines().last().unwrap().starts_with(warning), "{said}");
    assert!(said.contains("0 reserved, without resolvers\n  names    no DNS for hosts\n"), "{said}");
    let wrong = File::new("wrong.toml", &DSLITE.replace("kind", "knid").replace("/24", "/99"));
    for args in [["check", wrong.name(), ""], ["run", "--config", wrong.name()]] {
        let run = hikyaku(&args[..if args[2].is_empty() { 2 } else { 3 }]);
        assert_eq!((run.status.code(), run.stdout.len()), (Some(2), 0));
        let name = wrong.name();
        assert_eq!(
            text(&run.stderr).lines().collect::<Vec<_>>(),
            [
                format!("hikyaku: {name}:5: ipv4 = '192.168.1.1/99': the length is a number from 8 to 30"),
                format!("hikyaku: {name}:6: [service] lacks kind = KIND, or --service"),
                format!("hikyaku: {name}:7: unknown key 'knid' in [service], did you mean 'kind'?"),
            ]
        );
    }
    let run = hikyaku(&["check", "/nonexistent/hikyaku.toml"]);
    assert_eq!(run.status.code(), Some(2));
    assert_eq!(
        text(&run.stderr),
        "hikyaku: /nonexistent/hikyaku.toml: cannot be read: No such file or directory (os error 2)\n"
    );
    let run = hikyaku(&["run", "--wan", "netmap:ix0", "--batch", "0", "--idle", "doze"]);
    assert_eq!(
        (run.status.code(), text(&run.stderr).lines().collect::<Vec<_>>()),
        (
            Some(2),
            vec![
                "hikyaku: [lan] lacks link = LINK, or --lan",
                "hikyaku: [lan] lacks ipv4 = ADDR/LEN, or --lan-ipv4",
                "hikyaku: [service] lacks kind = KIND, or --service",
                "hikyaku: --batch: batch = '0': give a number from 1 to 256",
                "hikyaku: --idle: idle = 'doze' is none of: adaptive, spin, yield, sleep",
            ]
        )
    );
    let run = hikyaku(&["run", "--batches", "0"]);
    assert_eq!((run.status.code(), text(&run.stderr).lines().count()), (Some(2), 1));
    let help = text(&hikyaku(&["run", "--help"]).stdout);
    for what in ["Examples:", "--service dslite", "credentials-file", "--cores", "--copy-dscp", "Exit code:"] {
        assert!(help.contains(what), "{what}");
    }
}

/// What is no mistake, and yet is to be known.
#[test]
fn warnings() {
    let resolver = DSLITE.replace("[service]", "[lan.dhcpv4]\ndns = ['192.0.2.53']\n[service]");
    let of = |text: &str| Config::parse("f", text).unwrap().warnings();
    assert_eq!(of(&resolver), Vec::<String>::new());
    assert_eq!(of(&DSLITE.replace("[service]", "[lan.dhcpv4]\nenabled = false\n[service]")), Vec::<String>::new());
    assert_eq!(of(DSLITE), Vec::<String>::new());
    let without = DSLITE.replace("[service]", "[lan.dns]\nenabled = false\n[service]");
    assert!(of(&without)[0].contains("[lan.dhcpv4] dns = "));
    let of = |more: &str| of(&resolver.replace("kind = 'dslite'\n", more)).join("\n");
    // A service is told where its customer is, if that is known of it.
    let fixed = "ipv4 = '192.0.2.1'\nbr = '2001:db8:f::1'\n";
    assert!(of(&format!("kind = 'v6plus-fixed'\n{fixed}")).contains("[service.notification] is not there"));
    assert_eq!(of(&format!("kind = 'ipip'\n{fixed}")), "");
    assert!(of("kind = 'dslite'\n[tuning]\ncores = [1000]\n").contains("there is no core 1000, or it is not ours"));
    // What does not fit the line, RFC 2473 6.7: 40 bytes are the outer header's.
    let narrow = |more: &str| {
        let text = resolver.replace("[lan]\n", "mtu = 1400\n[lan]\n");
        Config::parse("f", &format!("{text}{more}")).unwrap().warnings().join("\n")
    };
    assert!(
        narrow("").contains("leaves packets of 1360 bytes to the tunnel") && narrow("").ends_with("the other 1500")
    );
    assert_eq!(narrow("tunnel-mtu = 1360"), "");
    assert_eq!(narrow("tunnel-mtu = 1500"), "", "fragments are wanted");
}

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");

/// The TOML of the documentation, as the test machine can take it.
fn documented(credentials: &Path, roots: &Path) -> Vec<String> {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let blocks = docs.split("```toml\n").skip(1).map(|block| block.split("```").next().unwrap());
    let here = |block: &str| {
        let block = block.replace("/etc/hikyaku.credentials", credentials.to_str().unwrap());
        let block = block.replace("/etc/hikyaku.pem", roots.to_str().unwrap());
        block.replace("user = \"hikyaku\"", "user = \"nobody\"").replace("group = \"hikyaku\"", "group = \"daemon\"")
    };
    blocks.map(here).collect()
}

#[test]
fn the_documented_files_are_right() {
    let credentials = File::new("docs", "");
    let certificate = rcgen::generate_simple_self_signed(["x.example".to_string()]).unwrap().cert.pem();
    let roots = File::new("roots", &certificate);
    let rules = File::new(
        "rules",
        "iid = 'draft03'\n[[rule]]\nipv6 = '2001:db8::/40'\nipv4 = '192.0.2.0/24'\nea-length = 16\npsid-offset = 4",
    );
    let blocks = documented(&credentials.0, &roots.0);
    let Some((secrets, files)) = blocks.split_last() else { panic!("nothing is documented") };
    std::fs::write(&credentials.0, secrets).unwrap();
    assert_eq!(files.len(), 8);
    for file in files {
        let file = &file.replace("/etc/hikyaku.rules", rules.name());
        if let Err(problems) = Config::parse("docs", file) {
            panic!("{problems}");
        }
    }
}

/// Every key as `[head] key`.
type Keys = BTreeSet<(String, String)>;

fn keys_of(head: &str, table: &toml::Table, keys: &mut Keys) {
    for (key, value) in table {
        let inner = if head.is_empty() { key.clone() } else { format!("{head}.{key}") };
        match value {
            toml::Value::Table(table) if key != "timeouts" => keys_of(&inner, table, keys),
            toml::Value::Array(list) if list[0].is_table() => {
                list.iter().for_each(|item| keys_of(&inner, item.as_table().unwrap(), keys))
            }
            _ => _ = keys.insert((head.into(), key.clone())),
        }
    }
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let mut known = Keys::new();
    let mut head = String::new();
    for line in reference_text().lines() {
        if let Some(name) = line.strip_prefix("### ") {
            head = name.trim_matches(['`', '[', ']']).replace("credentials file", "");
        } else if let Some((key, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            known.insert((head.clone(), key.into()));
        }
    }
    assert!(known.len() > 60, "{known:?}");
    // `user` may stand in either file; the example has it in the other.
    known.remove(&("service.notification".into(), "user".into()));
    let mut shown = Keys::new();
    for block in documented(Path::new("/x"), Path::new("/y")) {
        keys_of("", &block.parse().unwrap(), &mut shown);
    }
    assert_eq!(shown, known);
}

#[test]
#[cfg(target_os = "linux")] // defaults are paths of this system
fn the_reference_is_what_the_program_reads() {
    const MARK: &str = "<!-- reference -->\n";
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let (before, written) = docs.split_once(MARK).expect("a place for the reference");
    let wanted = format!("\n{}\n", reference_text().trim_end());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(DOCS, format!("{before}{MARK}{wanted}")).unwrap();
    } else {
        assert_eq!(written, wanted, "UPDATE=1 cargo test -p hikyaku --test program config_file writes it anew");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,200}") {
        let _ = Config::parse("f", &text);
    }

    #[test]
    fn any_damage_to_a_file_is_read_or_refused(at in 0usize..180, len in 0usize..8, put in "[\\[\\]{}='\"a-z0-9.#\n]{0,6}") {
        let mut text = IPIP.to_string();
        let from = at.min(text.len());
        text.replace_range(from..(from + len).min(text.len()), &put);
        if let Err(problems) = Config::parse("f", &text) {
            prop_assert!(!problems.0.is_empty());
            prop_assert!(problems.0.iter().all(|p| p.to_string().lines().count() == 1), "{problems}");
        }
    }
}
