//! The example forwards, frame by frame, more of them than a ring has slots.

#[path = "../../examples/cable.rs"]
#[allow(dead_code)] // the links of a system, and its `main`
mod example;

#[test]
fn frames_go_there_and_back() {
    assert_eq!(example::in_memory(5_000).unwrap(), [5_000, 5_000]);
}
