//! Lines from whoever may open the control socket: understood, or refused in one short line.
#![no_main]

use hikyaku::show::Request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    match Request::parse(line) {
        Ok(request) => {
            let written = serde_json::to_vec(&request).expect("JSON");
            assert_eq!(Request::parse(&written), Ok(request));
        }
        Err(why) => assert!(why.len() < 8192 && !why.contains(char::is_control), "{why:?}"),
    }
});
