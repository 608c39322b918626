//! What becomes of packets: the whole path, its NAPT, tunnels and MAP arithmetic, captures, attacks, other suites' cases.

#[path = "../common/mod.rs"]
mod common;

mod attack_control;
mod attack_flood;
mod attack_packets;
mod cable;
mod documented;
mod filter6_saved;
mod lan_to_lan;
mod lan_to_lan6;
mod lan_to_lan_model;
mod map_mesh;
mod map_mesh_random;
mod map_rules;
mod map_vectors;
mod napt_lans;
mod napt_model;
mod napt_ports;
mod napt_rfc;
mod napt_saved;
mod napt_table;
mod pages;
mod path_fixtures;
mod path_host;
mod path_icmp;
mod path_ipv6;
mod path_ipv6_model;
mod path_jumbo;
mod path_links;
mod path_napt;
mod path_ports;
mod path_protocols;
mod path_rfc;
mod path_same;
mod path_tunnel;
mod path_unsolicited;
mod path_vlan;
mod peers;
mod rules;
mod rules4;
mod tunnel;
