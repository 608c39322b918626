//! The `hikyaku` program: what is around the packet path (docs/control.md).

pub mod aftr;
pub mod behaviour;
pub mod capture;
pub mod cli;
pub mod config;
pub mod demo;
pub mod dhcp4;
pub mod dhcp6;
pub mod echo;
pub mod exit;
pub mod line;
pub mod map_domain;
pub mod memory_router;
pub mod names;
pub mod neighbour;
pub mod notify;
pub mod privileges;
pub mod replay;
pub mod router;
pub mod run;
pub mod s46;
pub mod service;
pub mod show;
pub mod stack;
pub mod table;
pub mod tuning;
