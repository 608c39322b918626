//! What `hikyaku-bench` measures with: made-up traffic, a router on memory rings to push it
//! through, and a check that what leaves is right.

pub mod attack;
pub mod crew;
pub mod path;
pub mod rig;
pub mod traffic;
pub mod wanted;
