//! Packets of a line and of strangers, to a stack with a connection and a question in the air: it comes
//! to rest, and nobody's connection outlives him (`sockets::fuzz` asserts both).
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hikyaku_protocols::sockets::fuzz(bytes);
});
