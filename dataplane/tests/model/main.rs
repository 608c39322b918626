//! The whole path against a model of it: slow, obvious, written from the RFCs (2473, 6333, 4787, 5382, 5508,
//! 7857, 7597, 6040) and docs/architecture.md. The same random histories into both (packets of all kinds,
//! time, changes of the configuration, full tables), and after every burst the same verdicts, the same
//! bytes on every link, the same sessions. Where the router may choose (ports, identifications, flow labels), the
//! model judges the choice and goes on with it.
//!
//! `PROPTEST_CASES` says how many histories. One that fails is made as short as it can be and written as captures.

#[path = "../common/mod.rs"]
mod common;

mod build;
mod bytes;
mod emitted;
mod history;
mod inbound;
mod line;
mod napt;
mod out;
mod path;
mod play;
mod reassembly;
mod translate;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use history::{History, history};
use line::Line;
use play::{Seen, Trace, play};

/// Histories of each kind of line, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 64;

/// As [`play`]; what panicked failed.
fn attempt(history: &History, trace: &mut Trace) -> Result<Seen, String> {
    catch_unwind(AssertUnwindSafe(|| play(history, trace))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned())
    })
}

fn hold(name: &str, line: Line) {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let seen = RefCell::new(Seen::new());
    let tested = TestRunner::new(config).run(&history(line), |history| {
        let met = attempt(&history, &mut Trace::new()).map_err(TestCaseError::fail)?;
        met.into_iter().for_each(|(verdict, n)| *seen.borrow_mut().entry(verdict).or_default() += n);
        Ok(())
    });
    match tested {
        Ok(()) => {
            let seen = seen.into_inner();
            println!("{name}: {seen:?}");
            // So many of each kind that histories without them would be another test.
            for verdict in ["outbound", "inbound", "punted", "reassembled", "too-big", "ttl-exceeded", "tunnel-icmp"] {
                assert!(cases < CASES || seen.contains_key(verdict), "no history has {verdict}");
            }
        }
        Err(TestError::Abort(why)) => panic!("no histories: {why}"),
        Err(TestError::Fail(_, history)) => {
            let mut trace = Trace::new();
            let why = attempt(&history, &mut trace).expect_err("it failed a moment ago");
            let folder = play::write(name, &trace);
            panic!("{history:?}\n\n{why}\n\ncaptures in {}", folder.display());
        }
    }
}

/// DS-Lite: packets pass as they are, in the tunnel.
#[test]
fn rfc6333_b4() {
    hold("dslite", Line::dslite());
}

/// One address, all of its ports.
#[test]
fn rfc2473_with_napt_of_rfc4787() {
    hold("ipip", Line::ipip());
}

/// One address shared with others: 240 ports.
#[test]
fn rfc7597_ce_with_240_ports() {
    hold("map-e", Line::map_e());
}
