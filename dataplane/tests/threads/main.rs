//! What threads share: several workers on one tunnel, workers as threads, and the same under the schedules of loom
//! (`--cfg loom`) and shuttle (`--cfg shuttle`), which have their own kinds of threads.

#[cfg(not(loom))]
#[path = "../common/mod.rs"]
mod common;

#[cfg(loom)]
mod loom_table;
#[cfg(not(loom))]
mod several;
#[cfg(shuttle)]
mod shuttle_order;
#[cfg(not(any(loom, shuttle)))]
mod worker_panics;
#[cfg(not(any(loom, shuttle)))]
mod worker_thread;
#[cfg(not(any(loom, shuttle)))]
mod workers;
