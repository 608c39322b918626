//! The `hikyaku` program: what is around the packet path.

pub mod capture;
