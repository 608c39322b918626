//! What `hikyaku-bench` measures with: made-up traffic, a router on memory rings to push it
//! through, and a check that what leaves is right.

#![forbid(unsafe_code)]

pub mod attack;
pub mod crew;
pub mod path;
pub mod rig;
mod rules;
pub mod shape;
pub mod traffic;
#[cfg(target_os = "linux")]
pub mod veth;
pub mod wanted;
