//! Text as a configuration file: what is wrong with it is said, in one line each; what is accepted is
//! accepted again, as the same.
#![no_main]

use hikyaku_config::Config;
use hikyaku_schema::Problems;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A file that it names would be opened: whatever it is on this machine.
    if text.contains("file") {
        return;
    }
    match Config::parse("f", text) {
        Ok(config) => {
            assert!(!config.summary().to_string().is_empty());
            let again = Config::parse("f", text).expect("was right a moment ago");
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
        }
        Err(Problems(problems)) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                let line = problem.to_string();
                assert!(line.starts_with("f:") && !line.contains(['\n', '\r']), "{line:?}");
            }
        }
    }
});
