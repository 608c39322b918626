//! Words as the arguments of `hikyaku map-e`: refused, or an answer in text and JSON, with ports and addresses that
//! belong together.
#![no_main]

use clap::Parser;
use hikyaku::cli::{Cli, Command};
use hikyaku::map_e::answer;
use libfuzzer_sys::fuzz_target;

/// More than this is one answer after the other.
const MOST: usize = 64;

fuzz_target!(|text: &str| {
    let words = text.split_ascii_whitespace().take(MOST);
    let Ok(Cli { command: Command::MapE(args) }) = Cli::try_parse_from(["hikyaku", "map-e"].into_iter().chain(words))
    else {
        return;
    };
    // A file that it names would be opened: whatever it is on this machine.
    if args.map_rules.is_some() {
        return;
    }
    match answer(&args) {
        Ok(answer) => {
            assert!(!answer.to_string().is_empty() && serde_json::to_string(&answer).is_ok());
            if let Some(line) = &answer.line {
                assert!(line.rule.ipv4().contains(line.ipv4.into()) && line.end_user_prefix.contains(line.ce), "{line:?}");
                assert_eq!(line.ranges.iter().map(|(first, last)| u32::from(last - first) + 1).sum::<u32>(), line.n_ports);
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
