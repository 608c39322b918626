//! What `hikyaku-lab` prints where nobody takes it.

#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

/// The list of lines, into this.
fn lines(into: impl Into<Stdio>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hikyaku-lab")).arg("line").stdout(into).output().unwrap()
}

#[test]
fn full_is_an_error_in_words_and_closed_is_none() {
    let full = lines(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let says = "hikyaku-lab: No space left on device (os error 28)\n";
    assert_eq!((full.status.code(), String::from_utf8(full.stderr).unwrap().as_str()), (Some(1), says));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = lines(writer);
    assert_eq!((closed.status.code(), closed.stderr.len()), (Some(0), 0));
}
