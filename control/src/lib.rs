//! The `hikyaku` program: what is around the packet path.

pub mod behaviour;
pub mod capture;
pub mod cli;
pub mod demo;
pub mod exit;
pub mod memory_router;
pub mod replay;
pub mod table;
pub mod tuning;
