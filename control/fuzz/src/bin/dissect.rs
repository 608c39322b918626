//! Frames put into words for the log: nothing panics, no text is endless, and of a connection no byte is told.
#![no_main]

use hikyaku_protocols::dissect::{LONGEST, Said};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some(said) = Said::read(bytes) else { return assert!(bytes.len() < 14) };
    let contents = said.contents();
    assert!(contents.chars().count() <= LONGEST && !said.name.is_empty());
    if said.name == "TCP segment" {
        assert!(contents.ends_with(" bytes") && contents.len() < 60, "{contents}");
    }
});
