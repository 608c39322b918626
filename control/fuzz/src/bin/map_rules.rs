//! Text as a file of mapping rules (docs/map-rules.md): what is wrong with it is said, in one line each; what is
//! accepted holds together, and is accepted again, as the same.
#![no_main]

use hikyaku_config::RulesFile;
use hikyaku_protocols::map_domain::MAX_RULES;
use hikyaku_schema::Problems;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match RulesFile::parse("f", text) {
        Ok(domain) => {
            assert!((1..=MAX_RULES).contains(&domain.rules.len()), "{domain:?}");
            for rule in &domain.rules {
                assert!(
                    u32::from(rule.ipv6().len()) <= rule.end_user_len().into() && rule.end_user_len() <= 128,
                    "{rule:?}"
                );
                // As text it is the same rule, but for what text does not say.
                let again = rule.to_string().parse::<hikyaku_net::map::Rule>().expect("a rule as it is written");
                assert_eq!(again.with_forwarding(false), rule.with_forwarding(false));
            }
            let again = RulesFile::parse("f", text).expect("was right a moment ago");
            assert_eq!(format!("{domain:?}"), format!("{again:?}"));
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
