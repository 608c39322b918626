//! Words as the arguments of `hikyaku map-e`: refused, or an answer in text and JSON, with ports and addresses that
//! belong together.
#![no_main]

use std::cell::RefCell;

use clap::{Args, Command, FromArgMatches};
use hikyaku::map_e::{MapEArgs, answer};
use libfuzzer_sys::fuzz_target;

/// More than this is one answer after the other.
const MOST: usize = 64;

thread_local! {
    static COMMAND: RefCell<Command> = RefCell::new(MapEArgs::augment_args(Command::new("map-e")));
}

fuzz_target!(|text: &str| {
    let words = ["map-e"].into_iter().chain(text.split_ascii_whitespace().take(MOST));
    let matches = COMMAND.with_borrow_mut(|command| command.try_get_matches_from_mut(words));
    let Ok(args) = matches.and_then(|matches| MapEArgs::from_arg_matches(&matches)) else { return };
    // A file that it names would be opened: whatever it is on this machine.
    if args.map_rules.is_some() {
        return;
    }
    match answer(&args) {
        Ok(answer) => {
            assert!(!answer.to_string().is_empty() && serde_json::to_string(&answer).is_ok());
            if let Some(line) = &answer.line {
                assert!(
                    line.rule.ipv4().contains(line.ipv4.into()) && line.end_user_prefix.contains(line.ce),
                    "{line:?}"
                );
                assert_eq!(
                    line.ranges.iter().map(|(first, last)| u32::from(last - first) + 1).sum::<u32>(),
                    line.n_ports
                );
            }
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
});
