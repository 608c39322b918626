//! The program as its users have it: command line, configuration, control socket, replay and MAP-E arithmetic.

mod cli;
mod config_file;
mod judges;
mod lans;
mod map_e;
mod map_e_vectors;
mod replay_map_e;
mod rules;
mod show_socket;
mod vectors;
#[cfg(target_os = "linux")]
mod waiting;
