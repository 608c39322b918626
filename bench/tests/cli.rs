//! `hikyaku-bench` from outside: JSON keys, one-line errors, exit codes. No test asserts a speed.

use std::process::{Command, Output};

fn bench(args: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku-bench")).args(args.split_whitespace()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a short measurement with these flags; its JSON.
fn measure(args: &str) -> serde_json::Value {
    let run = bench(&format!("path --runs 1 --seconds 0 --json --huge-pages false {args}"));
    assert_eq!(text(&run.stderr), "", "{args}");
    assert_eq!(run.status.code(), Some(0), "{args}");
    assert_eq!(text(&run.stdout).lines().count(), 1, "{args}");
    serde_json::from_slice(&run.stdout).unwrap()
}

#[test]
fn every_mode_and_direction_is_measured_and_right() {
    for mode in ["ipip", "dslite"] {
        for direction in ["outbound", "inbound", "both"] {
            let report = measure(&format!("--mode {mode} --direction {direction} --frame 60 --flows 1000 --batch 32"));
            assert_eq!((&report["mode"], &report["direction"]), (&mode.into(), &direction.into()));
            assert_eq!((&report["frame"], &report["flows"], &report["batch"]), (&60.into(), &1000.into(), &32.into()));
            let number = |key: &str| report.pointer(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
            for key in ["/clocks_per_packet/best", "/clocks_per_packet/median", "/mpps", "/tsc_hz"] {
                assert!(number(key) > 0.0, "{key}: {report}");
            }
            assert!(number("/clocks_per_packet/best") <= number("/clocks_per_packet/median"));
            assert_eq!(number("/checked"), 2047.0);
            assert_eq!(report["table"].as_u64(), (mode == "ipip").then_some(1024));
            assert!(report.get("sessions_per_second").is_none());
        }
    }
    let report = measure("--direction open --flows 1000");
    assert!(report["sessions_per_second"].as_f64().unwrap() > 0.0);
}

/// Each shape beside plain packets: of a cut packet 2047 frames are half a ring of packets.
#[test]
fn every_shape_is_measured_beside_plain_ones_and_right() {
    for (shape, direction, frame, plain, checked) in [
        ("encap-limit", "inbound", 60, 60, 2047),
        ("fragment-out", "outbound", 1494, 1474, 1023),
        ("fragment-in", "inbound", 1494, 1474, 1023),
    ] {
        for mode in ["ipip", "dslite"] {
            let report = measure(&format!("--mode {mode} --shape {shape} --flows 1000"));
            assert_eq!((&report["shape"], &report["direction"]), (&shape.into(), &direction.into()));
            assert_eq!((&report["frame"], &report["plain"]["frame"]), (&frame.into(), &plain.into()));
            assert_eq!(report["checked"], checked);
            let times = &report["plain"]["times"];
            let number = |key: &str| times.pointer(key).and_then(serde_json::Value::as_f64).unwrap_or(0.0);
            let [low, median, high] = ["/quartiles/0", "/median", "/quartiles/1"].map(number);
            assert!(0.0 < low && low <= median && median <= high && number("/best") > 0.0, "{report}");
        }
    }
    let table = text(&bench("path --shape encap-limit --flows 10 --runs 1 --seconds 0 --huge-pages false").stdout);
    assert!(table.contains("times plain ") && table.contains("encap-limit, 60-byte frames"), "{table}");
    assert!(measure("--flows 10").get("plain").is_none());
}

#[test]
fn unusual_shapes_are_measured_and_right() {
    for shape in [
        "--flows 100 --frame 1474",
        "--flows 100 --ring-slots 64",
        "--flows 100 --ring-slots 65536",
        "--flows 100 --headroom 0",
        "--flows 100 --headroom 24",
        "--flows 100 --headroom 1024 --frame 1474",
        "--flows 100 --batch 1",
        "--flows 100 --table 3000",
        "--flows 100 --sessions 4096",
        "--flows 100 --idle sleep",
        "--flows 1",
    ] {
        for mode in ["ipip", "dslite"] {
            measure(&format!("--mode {mode} --direction both {shape}"));
        }
    }
}

#[test]
fn what_cannot_be_asked_gets_one_line_and_exit_2() {
    let table = "--table 1024 has no room for 1025 flows; leave it out, or give --flows 1024";
    for (args, says) in [
        ("fly", "unrecognized subcommand 'fly'; see `hikyaku-bench --help`"),
        ("path --speed 9", "path: unexpected argument '--speed' found"),
        ("path --mode map-e", "invalid value 'map-e' for '--mode <MODE>' [possible values: dslite, ipip, ipv6]"),
        ("path --direction up", "[possible values: outbound, inbound, both, open]"),
        ("path --shape fragment-in --mode ipv6", "--mode ipv6 has no tunnel; use --mode ipip or dslite"),
        ("path --shape round", "[possible values: plain, encap-limit, fragment-out, fragment-in]"),
        ("path --shape fragment-in --direction both", "--shape fragment-in goes inbound only; leave --direction out"),
        ("path --shape fragment-out --frame 60", "--shape fragment-out has one of 1494; leave it out"),
        ("path --flows 0", "invalid value '0' for '--flows <N>': 0 is not in 1..=8388608"),
        ("path --flows 8388609", "8388609 is not in 1..=8388608"),
        ("path --frame 59", "59 is not in 60..=1474"),
        ("path --frame 1475", "1475 is not in 60..=1474"),
        ("path --frame many", "invalid value 'many' for '--frame <N>'"),
        ("path --batch 0", "invalid value '0' for '--batch <N>': give a number from 1 to 256"),
        ("path --batch 257", "give a number from 1 to 256"),
        ("path --ring-slots 63", "give a number from 64 to 65536"),
        ("path --headroom 1025", "give a number from 0 to 1024"),
        ("path --huge-pages perhaps", "'--huge-pages <BOOL>': it is true or false"),
        ("path --seconds -1", "give seconds from 0 to 86400"),
        ("path --seconds nan", "give seconds from 0 to 86400"),
        ("path --seconds inf", "give seconds from 0 to 86400"),
        ("path --runs 0", "0 is not in 1..=1000000"),
        ("path --table 0", "give a number from 1 to 8388608"),
        ("path --table 1000 --flows 1025", table),
        ("path --cpu 1,0", "--cpu 1,0: one worker is measured on one core; give --cpu 1"),
        ("path --cpu one", "'one' is no core"),
        ("path --cpu 999", "--cores 999: there is no such core"),
        ("path --cpu 99999", "'99999' is no core"),
        ("path --mode dslite --direction open", "--mode dslite has no sessions to open; use --mode ipip"),
    ] {
        for json in ["", " --json"] {
            let args = format!("{args}{json}");
            let run = bench(&args);
            let error = text(&run.stderr);
            assert_eq!(run.status.code(), Some(2), "{args}: {error}");
            assert!(error.starts_with("hikyaku-bench: ") && error.contains(says), "{args}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(run.stdout.is_empty());
        }
    }
}

#[test]
fn help_teaches() {
    assert!(text(&bench("--help").stdout).contains("hikyaku-bench path --help"));
    let help = text(&bench("path --help").stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    for what in ["Examples:", "Exit code:", "--cores", "--cpu]", "--table", "the smallest that holds the flows"] {
        assert!(help.contains(what), "{what}: {help}");
    }
    for args in ["path -h", "--version"] {
        assert!(bench(args).status.success(), "{args}");
    }
}

/// Each attack, shortly: no transfer loses anything, and what leaves is right.
#[test]
fn every_attack_is_survived() {
    let list = text(&bench("attack --list").stdout);
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 20 && names.contains(&"expiry"), "{names:?}");
    let run = bench("attack --rounds 2 --sessions 4096 --json");
    assert_eq!((text(&run.stderr), run.status.code()), (String::new(), Some(0)));
    let reports: Vec<serde_json::Value> =
        text(&run.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(reports.iter().map(|report| report["attack"].as_str().unwrap()).eq(names));
    for report in &reports {
        assert!(report["transfers"]["sent"].as_u64() >= Some(2000), "{report}");
        assert_eq!(report["transfers"]["lost"], 0, "{report}");
        assert!(report["sent"].as_u64() >= Some(3000) && report["held"].as_u64() <= Some(256), "{report}");
    }
    for (args, says) in [
        ("attack wishing", "there is none called 'wishing'; see `hikyaku-bench attack --list`"),
        ("attack --rounds 0", "0 is not in 1..=1000000"),
        ("attack --sessions 5000", "give a power of two from 4096 to 8388608"),
    ] {
        let run = bench(args);
        assert_eq!(run.status.code(), Some(2), "{args}");
        assert!(text(&run.stderr).contains(says), "{args}: {}", text(&run.stderr));
    }
}

/// Standard output that is full is an error in words; one that nobody reads any more (`| head`) is none.
/// A row for each router and load, and frames come through all of them. Needs root and nft.
#[test]
#[cfg(target_os = "linux")]
fn frames_come_through_every_router_on_veth() {
    let can = Command::new("unshare").args(["--net", "nft", "list", "tables"]).output();
    if !can.is_ok_and(|can| can.status.success()) {
        return eprintln!("SKIP: no namespace of its own with nft: it takes root");
    }
    let run = bench("veth --seconds 1 --flows 100 --json");
    assert!(run.status.success(), "{}", text(&run.stderr));
    let stdout = text(&run.stdout);
    let rows: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let word = |row: &serde_json::Value, key: &str| row[key].as_str().unwrap().to_string();
    let names: Vec<_> = rows.iter().map(|row| word(row, "router") + " " + &word(row, "load")).collect();
    let wanted =
        ["hikyaku", "kernel", "kernel-rps"].iter().flat_map(|of| [format!("{of} window"), format!("{of} flood")]);
    assert_eq!(names, wanted.collect::<Vec<_>>());
    for row in &rows {
        let count = |key: &str| row[key].as_u64().unwrap();
        assert!(count("carried") > 100 && count("carried") + count("lost") == count("sent"), "{row}");
    }
}

#[test]
fn nothing_panics_where_output_is_closed_or_full() {
    let run = |out: std::process::Stdio| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_hikyaku-bench"));
        program.args(["attack", "--list"]).stdout(out).output().unwrap()
    };
    let full = run(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into());
    let says = "hikyaku-bench: standard output: No space left on device (os error 28)\n";
    assert_eq!((full.status.code(), text(&full.stderr).as_str()), (Some(1), says));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = run(writer.into());
    assert_eq!((closed.status.code(), closed.stderr.len()), (Some(0), 0));
}
