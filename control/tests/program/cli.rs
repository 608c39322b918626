//! The `hikyaku` program from outside: exit codes, one-line errors, JSON, and what replay does with time.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use etherparse::PacketBuilder;
use hikyaku_capture::{Precision, Reader, Writer};
use hikyaku_net::Time;

const ENDS: [&str; 4] = ["--ce", "2001:db8::2", "--br", "2001:db8:a::1"];
const SECOND: u64 = 1_000_000_000;

fn hikyaku<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A directory of this test's own, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hikyaku-cli-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_string()
    }

    fn capture(&self, name: &str, frames: &[(u64, Vec<u8>)]) -> String {
        let mut writer = Writer::create(self.file(name), Precision::Nano).unwrap();
        for (time, frame) in frames {
            writer.write(Time(*time), frame).unwrap();
        }
        writer.finish().unwrap();
        self.file(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn request(host: u8, sport: u16) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 9, host], [0xaa; 6].map(|b| b & 0xfe))
        .ipv4([192, 168, 1, host], [198, 51, 100, 7], 64)
        .udp(sport, 4000);
    let mut frame = Vec::new();
    builder.write(&mut frame, b"question").unwrap();
    frame
}

/// A reply in the tunnel, to the outside address.
fn reply(to: [u8; 4], dport: u16) -> Vec<u8> {
    let mut inner = Vec::new();
    PacketBuilder::ipv4([198, 51, 100, 7], to, 60).udp(4000, dport).write(&mut inner, b"answer").unwrap();
    let mut frame = Vec::new();
    frame.extend([2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 2, 0xfe, 0x86, 0xdd, 0x60, 0, 0, 0, 0, inner.len() as u8, 4, 64]);
    frame.extend("2001:db8:a::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
    frame.extend("2001:db8::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
    frame.extend(inner);
    frame
}

fn replay_json(mode: &[&str], more: &[&str]) -> (serde_json::Value, Output) {
    let run = hikyaku(["replay", "--json", "--table", "1024"].iter().chain(mode).chain(&ENDS).chain(more));
    (serde_json::from_slice(&run.stdout).unwrap_or_default(), run)
}

const IPIP: [&str; 4] = ["--mode", "ipip", "--ipv4", "192.0.2.1"];

#[test]
fn bad_requests_get_one_line_and_exit_2() {
    let dir = Dir::new("bad");
    let good = dir.capture("good.pcap", &[(SECOND, request(10, 1000))]);
    let text_file = dir.file("notes.txt");
    std::fs::write(&text_file, "no capture").unwrap();
    let dslite = ["replay", "--mode", "dslite", ENDS[0], ENDS[1], ENDS[2], ENDS[3]];
    let with = |more: &[&str]| dslite.iter().chain(more).map(ToString::to_string).collect::<Vec<_>>();
    for (args, says) in [
        (vec!["fly".to_string()], "unrecognized subcommand 'fly'"),
        (vec!["status".to_string()], "did you mean `hikyaku show status`?"),
        (with(&["--speed", "9"]), "replay: unexpected argument '--speed'"),
        (with(&[]), "replay: the following required arguments were not provided: --lan <IN>"),
        (with(&["--lan", "/nonexistent/x.pcap"]), "/nonexistent/x.pcap: cannot be opened: No such file"),
        (with(&["--lan", "/tmp"]), "/tmp: cannot be opened: "),
        (with(&["--lan", &text_file]), "is not a capture: it starts with 6e 6f 20 63"),
        (with(&["--lan", &good, "--ipv4", "192.0.2.1"]), "--ipv4 192.0.2.1: --mode dslite has no IPv4 address"),
        (with(&["--lan", &good, "--tunnel-mtu", "9000"]), "replay: invalid value '9000' for '--tunnel-mtu <N>'"),
        (with(&["--lan", &good, "--cores", "1-"]), "replay: invalid value '1-' for '--cores <LIST>'"),
        (with(&["--lan", &good, "--cores", "1000"]), "--cores 1000: there is no such core"),
        (with(&["--lan", &good, "--wan-out", &good]), "is --lan too"),
        (with(&["--lan", &good, "--wan-out", "/nonexistent/out.pcap"]), "/nonexistent/out.pcap: cannot be created"),
        (with(&["--lan", "-", "--wan", "-"]), "only one standard input"),
    ] {
        let run = hikyaku(&args);
        let error = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.starts_with("hikyaku: ") && error.contains(says), "{args:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(run.stdout.is_empty());
    }
    assert_eq!(Reader::open(&good).unwrap().count(), 1, "inputs are not touched");
}

#[test]
fn help_teaches() {
    for args in
        [&["--help"][..], &["replay", "--help"], &["demo", "--help"], &["replay", "-h"], &["completions", "--help"]]
    {
        let run = hikyaku(args);
        assert!(run.status.success());
        assert!(text(&run.stdout).contains("hikyaku"), "{args:?}");
    }
    let help = text(&hikyaku(["replay", "--help"]).stdout);
    for what in
        ["Examples:", "hikyaku replay --mode ipip", "Exit code:", "--cores", "--headroom", "--huge-pages", "--idle"]
    {
        assert!(help.contains(what), "{what}");
    }
}

/// Standard output that is full is an error in words; one that nobody reads any more (`| head`) is none. The same holds
/// of standard error, where there is nobody to be told.
#[test]
fn nothing_panics_where_output_is_closed_or_full() {
    let dir = Dir::new("full");
    let (capture, file) = (dir.capture("lan.pcap", &[(0, request(10, 1000))]), dir.file("hikyaku.toml"));
    let config =
        "[wan]\nlink = 'netmap:ix0'\n[lan]\nlink = 'netmap:ix1'\nipv4 = '192.168.1.1/24'\n[service]\nkind = 'dslite'\n";
    std::fs::write(&file, config).unwrap();
    let replay =
        ["replay", "--table", "1024", IPIP[0], IPIP[1], IPIP[2], IPIP[3], ENDS[0], ENDS[1], ENDS[2], ENDS[3], "--lan"];
    let replay = replay.iter().copied().chain([capture.as_str()]);
    let commands: [Vec<&str>; 6] = [
        vec!["check", &file],
        vec!["completions", "bash"],
        vec!["map-e", "--rule", "2001:db8::/40,192.0.2.0/24,16,6", "--prefix", "2001:db8:12:3400::/56"],
        replay.clone().collect(),
        replay.chain(["--json"]).collect(),
        vec!["demo", "--headroom", "0"],
    ];
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let program = |args: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
        program.args(args);
        program
    };
    for args in &commands {
        let into_full = program(args).stdout(full()).output().unwrap();
        assert_eq!(into_full.status.code(), Some(1), "{args:?}: {into_full:?}");
        let says = "hikyaku: standard output: No space left on device (os error 28)\n";
        assert!(text(&into_full.stderr).ends_with(says), "{args:?}: {into_full:?}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let closed = program(args).stdout(writer).output().unwrap();
        assert_eq!((closed.status.code(), text(&closed.stderr).contains("panicked")), (Some(0), false), "{args:?}");
    }
    for wrong in [&["fly"][..], &["check", "/nonexistent"], &["run"], &["--help"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let code = program(wrong).stdout(full()).stderr(writer).status().unwrap().code();
        assert!(matches!(code, Some(0..=2)), "{wrong:?}: {code:?}");
    }
}

/// Flags and the words that they take come from the rows of the schema.
#[test]
fn shells_complete_flags_and_their_words() {
    for shell in ["bash", "zsh", "fish"] {
        let run = hikyaku(["completions", shell]);
        let script = text(&run.stdout);
        assert!(run.status.success() && script.contains("hikyaku"), "{shell}");
        for word in ["map-rules", "v6plus-fixed", "endpoint-independent", "huge-pages", "tunnel-mtu"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}

#[test]
fn a_request_and_its_reply_find_each_other_by_time() {
    let dir = Dir::new("pair");
    let lan = dir.capture("lan.pcap", &[(5 * SECOND, request(10, 1000)), (5 * SECOND + 20_000_000, request(11, 1001))]);
    let wan = dir.capture(
        "wan.pcap.gz",
        &[
            (5 * SECOND + 10_000_000, reply([192, 0, 2, 1], 1000)),
            (5 * SECOND + 15_000_000, reply([192, 0, 2, 1], 1001)), // before its request
            (5 * SECOND + 30_000_000, reply([192, 0, 2, 1], 1001)),
        ],
    );
    let (lan_out, wan_out) = (dir.file("lan-out.pcap"), dir.file("wan-out.pcap.gz"));
    let files = ["--lan", &lan, "--wan", &wan, "--lan-out", &lan_out, "--wan-out", &wan_out];
    let (report, run) = replay_json(&IPIP, &files);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(report["received"], 5);
    assert_eq!(report["verdicts"]["outbound"], 2);
    assert_eq!(report["verdicts"]["inbound"], 2);
    assert_eq!(report["verdicts"]["napt-no-session"], 1);
    assert_eq!(report["sessions"]["opened"], 2);
    assert_eq!((&report["lan"]["frames_in"], &report["lan"]["frames_out"]), (&2.into(), &2.into()));
    assert_eq!((&report["wan"]["frames_in"], &report["wan"]["frames_out"]), (&3.into(), &2.into()));
    assert_eq!(report["held"], 0);

    let left: Vec<_> = Reader::open(&lan_out).unwrap().map(Result::unwrap).collect();
    assert_eq!(left[0].time, Time(5 * SECOND + 10_000_000), "times are those of the capture");
    // Each host's station was learned from what it sent.
    assert_eq!(left[0].bytes[..6], [2, 0, 0, 0, 9, 10]);
    assert_eq!(left[1].bytes[..6], [2, 0, 0, 0, 9, 11]);
    assert_eq!(left[1].bytes[30..34], [192, 168, 1, 11]);
    assert_eq!(Reader::open(&wan_out).unwrap().count(), 2);
}

#[test]
fn ieee_802_1q_a_capture_of_vlans() {
    let tagged = |vlan: u8, frame: Vec<u8>| [&frame[..12], &[0x81, 0, 0x60, vlan], &frame[12..]].concat();
    let dir = Dir::new("vlan");
    let lan = dir.capture(
        "lan.pcap",
        &[
            (SECOND, tagged(10, request(10, 1000))),
            (2 * SECOND, tagged(11, request(11, 1001))),
            (3 * SECOND, request(12, 1)),
        ],
    );
    let wan = dir.capture("wan.pcap", &[(4 * SECOND, tagged(20, reply([192, 0, 2, 1], 1000)))]);
    let (lan_out, wan_out) = (dir.file("lan-out.pcap"), dir.file("wan-out.pcap"));
    let files = ["--lan", &lan, "--wan", &wan, "--lan-out", &lan_out, "--wan-out", &wan_out];
    let vlans = ["--lan-vlan", "10", "--wan-vlan", "20"];
    let (report, run) = replay_json(&IPIP, &[&files[..], &vlans].concat());
    assert!(run.status.success(), "{}", text(&run.stderr));
    let verdicts = &report["verdicts"];
    assert_eq!((&verdicts["outbound"], &verdicts["inbound"], &verdicts["vlan"]), (&1.into(), &1.into(), &2.into()));
    let left = |name: &str| Reader::open(name).unwrap().map(|packet| packet.unwrap().bytes).collect::<Vec<_>>();
    let (to_lan, to_wan) = (left(&lan_out), left(&wan_out));
    // With the station that was learned from behind a tag.
    assert_eq!(to_lan[0][..6], [2, 0, 0, 0, 9, 10]);
    assert_eq!((&to_lan[0][12..18], to_lan[0].len()), (&[0x81, 0, 0, 10, 8, 0][..], 64));
    assert_eq!(to_wan[0][12..18], [0x81, 0, 0, 20, 0x86, 0xdd]);
    // Both directions in one capture are noticed, tagged or not.
    let both = [request(10, 1), [&request(10, 1)[6..12], &request(10, 1)[..6], &request(10, 1)[12..]].concat()];
    let both = dir.capture("both.pcap", &both.map(|frame| (SECOND, tagged(10, frame))));
    let (_, run) = replay_json(&IPIP, &["--lan", &both, "--lan-vlan", "10"]);
    assert!(text(&run.stderr).contains("both directions are in the capture"), "{}", text(&run.stderr));
    let run = hikyaku(["replay", "--lan-vlan", "4095"]);
    assert!(text(&run.stderr).contains("a VLAN has a number from 1 to 4094"), "{}", text(&run.stderr));
}

#[test]
fn sessions_age_by_the_capture_s_clock() {
    let dir = Dir::new("age");
    let lan = dir.capture("lan.pcap", &[(SECOND, request(10, 1000))]);
    let wan = dir.capture(
        "wan.pcap",
        &[(299 * SECOND, reply([192, 0, 2, 1], 1000)), (1000 * SECOND, reply([192, 0, 2, 1], 1000))],
    );
    let (report, run) = replay_json(&IPIP, &["--lan", &lan, "--wan", &wan]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!((&report["verdicts"]["inbound"], &report["verdicts"]["napt-no-session"]), (&1.into(), &1.into()));
    assert_eq!((&report["sessions"]["expired"], &report["sessions"]["live"]), (&1.into(), &0.into()));
}

/// RFC 4787 REQ-9: a host reaches another one by the outside address, in a replay as in a router, although a replay has no
/// route to the LAN.
#[test]
fn rfc4787_req9_replay_has_the_way_round() {
    let dir = Dir::new("hairpin");
    let mut around = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 9, 11], [0xa8; 6])
        .ipv4([192, 168, 1, 11], [192, 0, 2, 1], 64)
        .udp(7000, 1000)
        .write(&mut around, b"to the other host, by the address outside")
        .unwrap();
    let lan = dir.capture("lan.pcap", &[(0, request(10, 1000)), (SECOND, around)]);
    let out = dir.file("out.pcap");
    let mode = [&IPIP[..], &["--filtering", "endpoint-independent"]].concat();
    let (report, run) = replay_json(&mode, &["--lan", &lan, "--lan-out", &out]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!((&report["verdicts"]["outbound"], &report["verdicts"]["hairpin"]), (&1.into(), &1.into()));
    let left: Vec<_> = Reader::open(&out).unwrap().map(Result::unwrap).collect();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].bytes[..6], [2, 0, 0, 0, 9, 10], "the other host's station");
    // From the outside address, to the host's own address and port.
    assert_eq!(left[0].bytes[26..34], [192, 0, 2, 1, 192, 168, 1, 10]);
    assert_eq!(left[0].bytes[36..38], 1000_u16.to_be_bytes());
}

#[test]
fn dslite_delivers_to_any_inner_destination() {
    let dir = Dir::new("dslite");
    let wan = dir.capture("wan.pcap", &[(0, reply([10, 1, 2, 3], 1)), (1000, reply([178, 79, 150, 233], 2))]);
    let out = dir.file("out.pcap");
    let (report, run) = replay_json(&["--mode", "dslite"], &["--wan", &wan, "--lan-out", &out]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(report["verdicts"]["inbound"], 2);
    assert!(report["sessions"].is_null());
    let left: Vec<_> = Reader::open(&out).unwrap().map(Result::unwrap).collect();
    assert_eq!(left[1].bytes[30..34], [178, 79, 150, 233]);
    assert_eq!(left[1].bytes[0] & 3, 2, "to a locally administered station");
}

#[test]
fn a_cut_capture_is_played_as_far_as_it_goes_and_named() {
    let dir = Dir::new("cut");
    let frames: Vec<_> = (0..20u64).map(|i| (i * 1000, request(i as u8 + 1, 1000))).collect();
    let whole = dir.capture("whole.pcap", &frames);
    let bytes = std::fs::read(&whole).unwrap();
    let cut = dir.file("cut.pcap");
    std::fs::write(&cut, &bytes[..bytes.len() - 5]).unwrap();
    let (report, run) = replay_json(&["--mode", "dslite"], &["--lan", &cut]);
    assert_eq!(run.status.code(), Some(1));
    assert_eq!(report["verdicts"]["outbound"], 19);
    let at = bytes.len() - 16 - frames[0].1.len();
    let line = format!("hikyaku: {cut}: at byte {at}: is cut off inside a frame; the frames before it were read\n");
    assert_eq!(text(&run.stderr), line);
    assert_eq!(report["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn frames_that_were_not_played_make_the_exit_code_1() {
    let dir = Dir::new("oversize");
    let large = [request(10, 1000), vec![0; 9000]].concat();
    let capture = dir.capture("large.pcap", &[(0, request(10, 1000)), (1000, large)]);
    let (report, run) = replay_json(&["--mode", "dslite"], &["--lan", &capture]);
    assert_eq!((report["verdicts"]["outbound"].as_u64(), report["lan"]["oversize"].as_u64()), (Some(1), Some(1)));
    assert_eq!(run.status.code(), Some(1));
    let said = text(&run.stderr);
    assert!(said.contains("--lan: 1 frames are larger than a ring's buffer and were not played"), "{said}");
    assert!(said.ends_with("hikyaku: 1 frames were not played\n"), "{said}");
    assert!(text(&hikyaku(["replay", "--help"]).stdout).contains("1 frames were not"));
}

/// What other tools write: raw IP (link type 101) in zstd, of a host that leaves checksums to its card.
#[test]
fn captures_as_people_have_them() {
    let dir = Dir::new("raw");
    let mut unsummed = request(10, 1000);
    unsummed[24..26].fill(0);
    let raw = |frames: &[Vec<u8>]| {
        let capture =
            dir.capture("ethernet.pcap", &frames.iter().map(|f| (SECOND, f[14..].to_vec())).collect::<Vec<_>>());
        let mut bytes = std::fs::read(capture).unwrap();
        bytes[20] = 101;
        let file = dir.file("raw.pcap");
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let capture = raw(&[request(10, 1001), unsummed.clone(), vec![0x50; 40]]);
    let (report, run) = replay_json(&IPIP, &["--lan", &capture]);
    assert_eq!((&report["verdicts"]["outbound"], &report["verdicts"]["ipv4-checksum"]), (&1.into(), &1.into()));
    assert_eq!((&report["lan"]["headers_made"], &report["lan"]["left_out"]), (&2.into(), &1.into()));
    let said = text(&run.stderr);
    for part in [
        "1 frames were dropped for the checksum of their IPv4 header",
        "--fix-checksums",
        "--lan: 2 frames had no Ethernet header",
        "--lan: 1 frames were left out",
        "hikyaku: 1 frames were not played\n",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(run.status.code(), Some(1));

    let capture = raw(&[request(10, 1001), unsummed]);
    let (report, run) = replay_json(&IPIP, &["--lan", &capture, "--fix-checksums"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!((&report["verdicts"]["outbound"], &report["lan"]["checksums_fixed"]), (&2.into(), &1.into()));
    assert!(!text(&run.stderr).contains("--fix-checksums"), "{}", text(&run.stderr));
}

/// RFC 2516: the line of a router that dials, as a LAN's.
#[test]
fn what_is_in_tags_and_sessions_is_played_where_asked_for() {
    let dir = Dir::new("session");
    let frame = request(10, 1000);
    let len = (frame.len() - 14 + 2) as u8;
    let wrapper = [0x81, 0, 0, 7, 0x88, 0x64, 0x11, 0, 0, 9, 0, len, 0, 0x21];
    let capture = dir.capture("pppoe.pcap", &[(SECOND, [&frame[..12], &wrapper, &frame[14..]].concat())]);
    let (report, _) = replay_json(&IPIP, &["--lan", &capture]);
    assert_eq!((&report["verdicts"]["vlan"], &report["lan"]["unwrapped"]), (&1.into(), &0.into()));
    let (report, run) = replay_json(&IPIP, &["--lan", &capture, "--unwrap"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!((&report["verdicts"]["outbound"], &report["lan"]["unwrapped"]), (&1.into(), &1.into()));
}

#[test]
fn both_directions_in_one_capture_are_noticed_and_can_be_left_out() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures/quic-like.pcap.gz");
    let fixture = fixture.to_str().unwrap();
    let (all, run) = replay_json(&IPIP, &["--lan", fixture]);
    assert_eq!(all["verdicts"]["outbound"], 248);
    assert!(
        text(&run.stderr).contains("--skip-source 02:00:00:00:01:01 or 02:00:00:00:01:0a"),
        "{}",
        text(&run.stderr)
    );
    let (half, run) = replay_json(&IPIP, &["--lan", fixture, "--skip-source", "02:00:00:00:01:01"]);
    assert_eq!((&half["verdicts"]["outbound"], &half["lan"]["skipped"]), (&136.into(), &112.into()));
    assert_eq!(text(&run.stderr), "");
    let run = hikyaku(["replay", "--skip-source", "02:00:00:00:01"]);
    assert!(text(&run.stderr).contains("an Ethernet address is written as"));
}

#[test]
fn original_time_waits_and_gives_the_same() {
    let dir = Dir::new("original");
    let lan = dir.capture("lan.pcap", &[(0, request(10, 1000)), (300_000_000, request(10, 1001))]);
    let (fast, _) = replay_json(&["--mode", "dslite"], &["--lan", &lan]);
    let (original, _) = replay_json(&["--mode", "dslite"], &["--lan", &lan, "--time", "original"]);
    assert_eq!(fast["verdicts"], original["verdicts"]);
    assert!(original["rates"]["wall_seconds"].as_f64().unwrap() >= 0.3);
}

#[test]
fn every_tuning_gives_the_same_verdicts() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pcap-fixtures/imix-1460.pcap.gz");
    let fixture = fixture.to_str().unwrap();
    let (plain, run) = replay_json(&IPIP, &["--lan", fixture]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(plain["verdicts"]["outbound"], 2400);
    for tuning in [
        ["--batch", "1"],
        ["--ring-slots", "64"],
        ["--headroom", "0"],
        ["--headroom", "40"],
        ["--huge-pages", "false"],
        ["--idle", "sleep"],
    ] {
        let (report, run) = replay_json(&IPIP, &["--lan", fixture, tuning[0], tuning[1]]);
        assert!(run.status.success(), "{tuning:?}: {}", text(&run.stderr));
        assert_eq!(report["verdicts"], plain["verdicts"], "{tuning:?}");
    }
}

#[test]
fn the_demo_finds_nothing_wrong() {
    let run = hikyaku(["demo"]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
    let run = hikyaku(["demo", "--json", "--headroom", "0"]);
    assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(report["checked"].as_u64().unwrap() > 7000);
}
