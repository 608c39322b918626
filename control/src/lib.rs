//! The `hikyaku` program: what is around the packet path (docs/control.md).

#![forbid(unsafe_code)]

pub mod capture_router;
pub mod check;
pub mod cli;
pub mod completions;
pub mod demo;
pub mod exit;
pub mod log;
pub mod map_e;
pub mod privileges;
pub mod replay;
pub mod router;
pub mod run;
pub mod show;
pub mod table;
