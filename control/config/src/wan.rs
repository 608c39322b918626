//! `[wan]`: the side towards the line.

use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::Mac;
use hikyaku_protocols::host::host6;
use hikyaku_ring::{LinkKind, LinkName, Rings, Vlan};
use hikyaku_schema::{Change::*, Key, Keys, Place, Problems, Read, Section, Syntax::*, Words};
use hikyaku_schema::{boolean, field, key, number, one_of, words};

use crate::behaviour::LINK_MTU;
use crate::value::{InterfaceId, station};

/// The side towards the line: section `[wan]`.
#[derive(Clone, Debug)]
pub struct Wan {
    /// The link towards the line.
    pub link: LinkName,
    /// Our Ethernet address there; `None`: the interface's own.
    pub mac: Option<Mac>,
    /// The VLAN (802.1Q) that the line is of the link's wire; `None`: frames have no tag.
    pub vlan: Option<Vlan>,
    /// The largest IPv6 packet in bytes, 1280 to 1500; `None`: as the router advertisement says.
    pub mtu: Option<u16>,
    /// How the lower half of our own addresses is made.
    pub interface_id: InterfaceId,
    /// Whether frames that are not ours go to the host's own stack.
    pub host: bool,
    /// Resolvers to ask instead of those that the line names; empty: those.
    pub resolvers: Vec<Ipv6Addr>,
    /// What is asked of the line's DHCPv6 server.
    pub dhcpv6: Dhcpv6,
}

impl Keys for Wan {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("link", One("LINK"), Restart, field!(link, LinkName::from_str),
            "Link towards the line: netmap:IF, netmap:IF-QUEUE, valeN:PORT, netmap:NAME{ID, xdp:IF")
            .required().flag("--wan"),
        key("mac", One("MAC"), Restart, field!(mac, station),
            "Our Ethernet address on the line; unset: the interface's own"),
        key("vlan", One("N"), Restart, field!(vlan, Vlan::from_str),
            "VLAN (802.1Q) that the line is of the link's wire, 1 to 4094; unset: frames have no tag").flag("--wan-vlan"),
        key("mtu", One("N"), Restart, field!(mtu, number(1280..=LINK_MTU)),
            "Largest IPv6 packet on the line in bytes, 1280 to 1500; unset: as the router advertisement says, 1500 without one"),
        key("interface-id", One("ID"), Restart, field!(interface_id, InterfaceId::from_str),
            "Lower half of our own address: `stable` (RFC 7217), `eui64`, or a token such as ::feed").default("stable"),
        key("host", Bool, Restart, field!(host, boolean), HOST).flag("--host"),
        key("resolvers", Many("ADDR"), Live, field!(resolvers[], host6),
            "Resolvers to ask instead of those that the line names"),
    ];

    fn blank() -> Self {
        let (link, interface_id, dhcpv6) = (LinkName::default(), InterfaceId::Stable, Dhcpv6::defaults());
        Self { link, mac: None, vlan: None, mtu: None, interface_id, host: false, resolvers: Vec::new(), dhcpv6 }
    }
}

/// What `host` is, of either link.
pub(super) const HOST: &str = "Frames that are not ours go to the host's own stack, and its frames to the line or the LAN: \
    services of this machine stay reachable by the same ports. netmap:IF only; the flag is for both links";

/// What is asked of the line's DHCPv6 server: section `[wan.dhcpv6]`.
#[derive(Clone, Debug)]
pub struct Dhcpv6 {
    /// What to ask for.
    pub mode: Dhcpv6Mode,
    /// The length of the prefix that is asked for, 48 to 64; `None`: the server decides.
    pub pd_hint: Option<u8>,
    /// Whether to ask for an address (IA_NA) too.
    pub request_na: bool,
    /// Whether to offer an exchange of two messages (RFC 8415 18.2.1).
    pub rapid_commit: bool,
    /// Whether the server may tell us to ask again (RFC 8415 18.2.11).
    pub reconfigure: bool,
    /// Whether leases are given back when the program is told to stop (RFC 8415 18.2.7).
    pub release_at_exit: bool,
}

impl Keys for Dhcpv6 {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("mode", OneOf("MODE", || words(MODES)), Live, field!(mode, one_of(MODES)),
            "What to ask for: `auto` is everything if the router advertisement has flag M or O (RFC 7084 WPD-4), `stateless` \
             resolvers and the like, `stateful` a prefix too, `off` nothing").default("auto"),
        key("pd-hint", One("N"), Restart, field!(pd_hint, number(48u8..=64)),
            "Length of the prefix that is asked for, 48 to 64; the server decides"),
        key("request-na", Bool, Restart, field!(request_na, boolean),
            "Ask for an address too; none is waited for, many lines give none"),
        key("rapid-commit", Bool, Restart, field!(rapid_commit, boolean),
            "Offer to be done in two messages (RFC 8415 18.2.1)"),
        key("reconfigure", Bool, Restart, field!(reconfigure, boolean),
            "Let the server tell us to ask again (RFC 8415 18.2.11)").default("true"),
        key("release-at-exit", Bool, Live, field!(release_at_exit, boolean),
            "Give leases back when told to stop (RFC 8415 18.2.7); without it a restart has the same prefix again \
             (RFC 9096 3.1, WPD-9)"),
    ];

    fn blank() -> Self {
        let mode = Dhcpv6Mode::Auto;
        let (request_na, rapid_commit, reconfigure, release_at_exit) = (false, false, false, false);
        Self { mode, pd_hint: None, request_na, rapid_commit, reconfigure, release_at_exit }
    }
}

/// What is asked of the line's DHCPv6 server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dhcpv6Mode {
    /// As the router advertisement's M and O flags say.
    Auto,
    /// Information-request: resolvers, the AFTR's name.
    Stateless,
    /// A prefix (IA_PD), and with it all that `stateless` gives.
    Stateful,
    /// Nothing is asked, and nothing of DHCPv6's is used.
    Off,
}

const MODES: &Words<Dhcpv6Mode> = &[
    ("auto", Dhcpv6Mode::Auto),
    ("stateless", Dhcpv6Mode::Stateless),
    ("stateful", Dhcpv6Mode::Stateful),
    ("off", Dhcpv6Mode::Off),
];

/// Resolvers that are asked, at most.
const MAX_RESOLVERS: usize = 8;

impl Wan {
    /// Reads `[wan]` and `[wan.dhcpv6]`.
    pub(super) fn read(mut section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let dhcpv6 = section.take("dhcpv6", "the line has one DHCPv6 client", problems);
        let dhcpv6 = dhcpv6.read::<Dhcpv6>(&[], problems);
        let wan = section.read::<Self>(&["dhcpv6"], problems);
        let (mut wan, dhcpv6) = (wan?, dhcpv6?);
        check_link(&wan.keys.link, wan.keys.host, &wan.at.place("link"), &wan.at.place("host"), problems);
        if wan.keys.resolvers.len() > MAX_RESOLVERS {
            problems.add(wan.at.place("resolvers"), format!("resolvers: give at most {MAX_RESOLVERS}"));
        }
        let asks_prefix = matches!(dhcpv6.keys.mode, Dhcpv6Mode::Auto | Dhcpv6Mode::Stateful);
        for key in ["pd-hint", "request-na", "rapid-commit"].into_iter().filter(|key| dhcpv6.at.is_set(key)) {
            if !asks_prefix {
                let why = "nothing is leased with this mode; leave it out, or use mode = \"auto\" or \"stateful\"";
                problems.add(dhcpv6.at.place(key), format!("{key}: {why}"));
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
