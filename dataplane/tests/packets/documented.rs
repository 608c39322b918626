//! docs/rfc.md and docs/peer-tests.md name tests: they are there. docs/drop-reasons.md is what the code says.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use hikyaku_dataplane::counters::Event;
use hikyaku_dataplane::icmp::{Message, Message6, answer, answer6};
use hikyaku_dataplane::verdict::Reason;

/// Where the files of tests are, from the top of the project.
const PLACES: [&str; 17] = [
    "control/capture/src",
    "control/config/src",
    "control/http/src",
    "control/platform/tests",
    "control/protocols/src",
    "control/schema/src",
    "control/src",
    "control/tests",
    "control/tests/program",
    "dataplane/net/src",
    "dataplane/ring/src",
    "dataplane/src",
    "dataplane/tests/links",
    "dataplane/tests/model",
    "dataplane/tests/packets",
    "dataplane/tests/threads",
    "lab/tests",
];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `file::test`, or `directory::file::test`.
fn is_a_test(name: &str) -> bool {
    let Some((file, test)) = name.rsplit_once("::") else { return false };
    let sources = PLACES.map(|place| top().join(place).join(file.replace("::", "/")).with_extension("rs"));
    let sources = sources.iter().filter_map(|source| std::fs::read_to_string(source).ok());
    let head = format!("fn {test}(");
    sources.into_iter().any(|text| {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        lines.windows(2).any(|two| two[0] == "#[test]" && two[1].starts_with(&head))
    })
}

/// `lab service/name`, as `scripts/lab list` has it.
fn is_in_the_lab(name: &str) -> bool {
    let Some((service, test)) = name.split_once('/') else { return false };
    let Ok(files) = top().join("scripts/lab.d/tests").join(service).read_dir() else { return false };
    let file =
        |name: &std::ffi::OsStr| name.to_string_lossy().split_once('-').is_some_and(|(_, n)| n == format!("{test}.sh"));
    files.flatten().any(|entry| file(&entry.file_name()))
}

fn is_a_judge(name: &str) -> bool {
    top().join("scripts/judge.d").join(name).is_file()
}

#[test]
fn every_test_that_the_list_names_is_there() {
    let list = std::fs::read_to_string(top().join("docs/peer-tests.md")).unwrap();
    let (mut named, mut missing) = (0, Vec::new());
    for line in list.lines().filter(|line| line.starts_with('|')) {
        for name in line.split('`').skip(1).step_by(2) {
            let there = if let Some(lab) = name.strip_prefix("lab ") {
                is_in_the_lab(lab)
            } else if let Some(judge) = name.strip_prefix("judge ") {
                is_a_judge(judge)
            } else if name.contains("::") {
                is_a_test(name)
            } else {
                continue;
            };
            named += 1;
            missing.extend((!there).then_some(name));
        }
    }
    assert!(missing.is_empty(), "not there: {missing:#?}");
    assert!(named > 100, "{named} names were found in the list");
    assert!(!is_a_test("path_napt::no_such_test") && !is_in_the_lab("dslite/none") && !is_a_judge("none.py"));
}

/// A row without a test says why.
#[test]
fn every_row_has_a_test_or_a_reason() {
    let list = std::fs::read_to_string(top().join("docs/peer-tests.md")).unwrap();
    let rows = list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---"));
    for row in rows {
        let last = row.trim_end_matches([' ', '|']).rsplit(" | ").next().unwrap();
        let tested = last.contains("::") || last.contains("`lab ") || last.contains("`judge ");
        let head = ["tests", "here"].contains(&last);
        let reason = ["not ours:", "measured:", "see [rfc.md]"].iter().any(|start| last.starts_with(start));
        assert!(head || tested || reason, "{row}");
    }
}

/// Names of all functions in the Rust files of a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names_of = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            names.extend(names_of.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_of_the_tables_exists() {
    let mut names = BTreeSet::new();
    PLACES.iter().for_each(|place| functions(&top().join(place), &mut names));
    let tables = fs::read_to_string(top().join("docs/rfc.md")).unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix('|')?.strip_suffix('|'));
    let cells = rows.filter_map(|row| row.rsplit('|').next());
    let named: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert!(named.len() > 50, "the tables are not read");
    let missing: Vec<_> = named.iter().filter(|name| !names.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/rfc.md names tests that do not exist: {missing:#?}");
}

/// What the sender of a dropped packet is told, if anything, of either family.
fn told(reason: Reason) -> String {
    let told = [told4(reason), told6(reason)];
    told.into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

fn told6(reason: Reason) -> &'static str {
    match answer6(reason, 0) {
        None => "",
        Some(Message6::TIME_EXCEEDED) => "ICMPv6 hop limit exceeded (3/0)",
        Some(Message6::NO_ROUTE) => "ICMPv6 no route (1/0), on the LAN",
        Some(Message6::PROHIBITED) if reason == Reason::RuleReject => "ICMPv6 administratively prohibited (1/1)",
        Some(Message6::PROHIBITED) => "ICMPv6 administratively prohibited (1/1), on the LAN",
        Some(Message6::BEYOND_SCOPE) => "ICMPv6 beyond scope of source address (1/2), on the LAN",
        Some(Message6::ADDRESS_UNREACHABLE) => "ICMPv6 address unreachable (1/3), on the LAN",
        Some(Message6::SOURCE_POLICY) => "ICMPv6 source address failed policy (1/5), on the LAN",
        Some(Message6 { kind: 2, .. }) => "ICMPv6 packet too big, with the MTU (2/0)",
        Some(other) => panic!("docs/drop-reasons.md has no words for {other:?}"),
    }
}

fn told4(reason: Reason) -> &'static str {
    match answer(reason, 0) {
        None => "",
        Some(Message::TIME_EXCEEDED) => "time exceeded (11/0)",
        Some(Message::NET_UNREACHABLE) => "network unreachable (3/0)",
        Some(Message::HOST_UNREACHABLE) => "host unreachable (3/1)",
        Some(Message::PROHIBITED) if reason == Reason::LanIsolated => "administratively prohibited (3/13)",
        Some(Message::PROHIBITED) => "TCP reset, else administratively prohibited (3/13)",
        Some(Message { kind: 3, code: 4, .. }) => "fragmentation needed, with the MTU (3/4)",
        Some(other) => panic!("docs/drop-reasons.md has no words for {other:?}"),
    }
}

/// The page, made from the two lists.
fn drop_reasons() -> String {
    let mut page = String::from(
        "# Why a frame was dropped\n\n\
         Every frame that comes in ends in one verdict, and every drop has one of these reasons, with its number in `hikyaku show counters`\n\
         and in the result of `hikyaku replay`. Made from `dataplane/src/verdict.rs` and `counters.rs` by\n\
         `UPDATE_DOCS=1 cargo test -p hikyaku-dataplane --test packets documented`; a test holds them equal.\n\n\
         ICMP errors to a sender are limited in number (event `icmp-limited`) and never about an ICMP error, a later fragment, or what went\n\
         to a group (RFC 1812 4.3.2.7, RFC 4443 2.4 e).\n\n\
         | reason | meaning | the sender is told | what to do |\n| --- | --- | --- | --- |\n",
    );
    for &reason in Reason::ALL {
        let (name, meaning, advice) = (reason.name(), reason.meaning(), reason.advice());
        writeln!(page, "| `{name}` | {meaning} | {} | {advice} |", told(reason)).unwrap();
    }
    page.push_str(
        "\n## Events\n\nCounted beside verdicts: something that happened to a frame or a session, not its end.\n\n",
    );
    page.push_str("| event | meaning |\n| --- | --- |\n");
    Event::ALL.iter().for_each(|event| writeln!(page, "| `{}` | {} |", event.name(), event.meaning()).unwrap());
    page
}

#[test]
fn every_drop_reason_is_explained() {
    for &reason in Reason::ALL {
        let name = reason.name();
        assert!(reason.meaning().len() > 15 && reason.advice().len() > 30, "{name}: say what it means and what to do");
        assert!(!reason.meaning().contains('|') && !reason.advice().contains('|'), "{name}: a bar ends the column");
    }
    let file = top().join("docs/drop-reasons.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, drop_reasons()).unwrap();
    }
    assert!(fs::read_to_string(&file).unwrap() == drop_reasons(), "docs/drop-reasons.md: run this with UPDATE_DOCS=1");
}
