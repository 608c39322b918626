//! `[wan]`: the side towards the line.

use std::net::Ipv6Addr;

use clap::{ArgAction, Args, ValueEnum};
use hikyaku_net::Mac;
use hikyaku_protocols::host::host6;
use hikyaku_ring::{LinkKind, LinkName, Rings, Vlan};

use super::keys::{self, Read};
use super::problem::{Place, Problems};
use super::tree::Section;
use super::value::{InterfaceId, number, station};
use crate::memory_router::LINK_MTU;

/// The side towards the line.
#[derive(Args, Clone, Debug)]
pub struct Wan {
    /// Link towards the line: netmap:IF, netmap:IF-QUEUE, valeN:PORT, netmap:NAME{ID, xdp:IF
    #[arg(long, value_name = "LINK")]
    pub link: LinkName,

    /// Our Ethernet address there; unset: the interface's own
    #[arg(long, value_name = "MAC", value_parser = station)]
    pub mac: Option<Mac>,

    /// VLAN (802.1Q) that the line is of the link's wire, 1 to 4094; unset: frames have no tag
    #[arg(long, value_name = "N")]
    pub vlan: Option<Vlan>,

    /// Largest IPv6 packet, 1280 to 1500; unset: as the router advertisement says, 1500 without one
    #[arg(long, value_name = "N", value_parser = number(1280..=LINK_MTU))]
    pub mtu: Option<u16>,

    /// Lower half of our own address: `stable` (RFC 7217), `eui64`, or a token such as ::feed
    #[arg(long, value_name = "ID", default_value = "stable")]
    pub interface_id: InterfaceId,

    /// Frames that are not ours go to the host's own stack (netmap:IF only)
    #[arg(long)]
    pub host: bool,

    /// Resolvers to ask instead of those that the line names
    #[arg(long, value_name = "ADDR", value_parser = host6)]
    pub resolvers: Vec<Ipv6Addr>,

    /// `[wan.dhcpv6]`.
    #[arg(skip)]
    pub dhcpv6: Dhcpv6,
}

/// What is asked of the line's DHCPv6 server.
#[derive(Args, Clone, Debug)]
pub struct Dhcpv6 {
    /// What to ask for: `auto` is what the router advertisement's M and O flags say, `stateless`
    /// resolvers and the like, `stateful` a prefix too, `off` nothing
    #[arg(long, value_enum, default_value = "auto")]
    pub mode: Dhcpv6Mode,

    /// Length of the prefix that is asked for, 48 to 64; the server decides
    #[arg(long, value_name = "N", value_parser = number(48u8..=64))]
    pub pd_hint: Option<u8>,

    /// Ask for an address too; none is waited for, many lines give none
    #[arg(long)]
    pub request_na: bool,

    /// Offer to be done in two messages (RFC 8415 18.2.1)
    #[arg(long)]
    pub rapid_commit: bool,

    /// Let the server tell us to ask again (RFC 8415 18.2.11)
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub reconfigure: bool,
}

impl Default for Dhcpv6 {
    fn default() -> Self {
        Self { mode: Dhcpv6Mode::default(), pd_hint: None, request_na: false, rapid_commit: false, reconfigure: true }
    }
}

/// See [`Dhcpv6::mode`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Dhcpv6Mode {
    /// As the router advertisement's M and O flags say.
    #[default]
    Auto,
    /// Information-request: resolvers, the AFTR's name.
    Stateless,
    /// A prefix (IA_PD), and with it all that `stateless` gives.
    Stateful,
    /// Nothing is asked.
    Off,
}

/// Resolvers that are asked, at most.
const MAX_RESOLVERS: usize = 8;

impl Wan {
    /// Reads `[wan]` and `[wan.dhcpv6]`.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let dhcpv6 = section.take("dhcpv6", "the line has one DHCPv6 client", problems);
        let dhcpv6 = keys::read::<Dhcpv6>(dhcpv6, &[], problems);
        let wan = keys::read::<Self>(section, &["dhcpv6"], problems);
        let (mut wan, dhcpv6) = (wan?, dhcpv6?);
        check_link(&wan.keys.link, wan.keys.host, &wan.place("link"), &wan.place("host"), problems);
        if wan.keys.resolvers.len() > MAX_RESOLVERS {
            problems.add(wan.place("resolvers"), format!("resolvers: give at most {MAX_RESOLVERS}"));
        }
        let asks_prefix = matches!(dhcpv6.keys.mode, Dhcpv6Mode::Auto | Dhcpv6Mode::Stateful);
        for key in ["pd-hint", "request-na", "rapid-commit"].into_iter().filter(|key| dhcpv6.is_set(key)) {
            if !asks_prefix {
                let why = "nothing is leased with this mode; leave it out, or use mode = \"auto\" or \"stateful\"";
                problems.add(dhcpv6.place(key), format!("{key}: {why}"));
            }
        }
        wan.keys.dhcpv6 = dhcpv6.keys;
        Some(wan)
    }
}

/// What both sides ask of a link.
pub(super) fn check_link(name: &LinkName, host: bool, link_at: &Place, host_at: &Place, problems: &mut Problems) {
    if name.rings() == Rings::Host {
        problems
            .add(link_at.clone(), format!("link = '{name}': leave the ^ out; `host = true` opens the host's rings"));
    }
    if host && name.kind() != LinkKind::Interface {
        problems.add(host_at.clone(), format!("host: {name} has no host rings; leave it out"));
    }
}
