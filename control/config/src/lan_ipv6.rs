//! `[lan.ipv6]`: what hosts of the LAN have of the line's IPv6.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::Mac;
use hikyaku_protocols::advertiser::Preference;
use hikyaku_protocols::dhcpv6::Duid;
use hikyaku_protocols::host::{host_name, host6};
use hikyaku_protocols::slaac::Token;
use hikyaku_schema::{
    Change::*, Key, Keys, Problems, Read, Section, Syntax::*, Words, boolean, field, key, number, one_of, words,
};

use crate::value::{InterfaceId, duid, station};

/// What hosts of the LAN have of the line's IPv6: section `[lan.ipv6]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanIpv6 {
    /// Whether they have any.
    pub mode: LanIpv6Mode,
    /// Which /64 of a delegated prefix is the LAN's; `None`: that of the LAN's place, from 1, or another where our end of the
    /// tunnel is in that.
    pub subnet_id: Option<u16>,
    /// How the lower half of our own addresses there is made.
    pub interface_id: InterfaceId,
    /// Resolvers that hosts are told; empty: us, or the line's.
    pub dns: Vec<Ipv6Addr>,
    /// The domain that hosts are told; `None`: that of DHCPv4, or of DNS.
    pub domain: Option<String>,
    /// What DHCPv6 is for.
    pub dhcpv6: LanDhcpv6,
    /// Whether hosts make addresses of the prefix themselves.
    pub slaac: bool,
    /// Bits of the prefixes that routers behind get; `None`: they get none.
    pub delegate: Option<u8>,
    /// Clients of DHCPv6 that always get the same.
    pub reservations: Vec<Reservation6>,
    /// How much we are to be used where there are other routers.
    pub router_preference: Preference,
}

/// Whether hosts of the LAN have native IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanIpv6Mode {
    /// As far as the line has it.
    Auto,
    /// No.
    Off,
}

/// What DHCPv6 is for on the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LanDhcpv6 {
    /// Nothing: nobody is answered.
    Off,
    /// Resolvers and the like (RFC 8415 18.3.6).
    Stateless,
    /// Addresses, too (IA_NA).
    Stateful,
}

const DHCPV6_MODES: &Words<LanDhcpv6> =
    &[("off", LanDhcpv6::Off), ("stateless", LanDhcpv6::Stateless), ("stateful", LanDhcpv6::Stateful)];

const PREFERENCES: &Words<Preference> =
    &[("low", Preference::Low), ("medium", Preference::Medium), ("high", Preference::High)];

const MODES: &Words<LanIpv6Mode> = &[("auto", LanIpv6Mode::Auto), ("off", LanIpv6Mode::Off)];

/// As many as an advertisement names.
const MAX_DNS: usize = hikyaku_protocols::advertiser::MAX_RESOLVERS;

impl Keys for LanIpv6 {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("mode", OneOf("MODE", || words(MODES)), Live, field!(mode, one_of(MODES)),
            "Native IPv6 for hosts of the LAN: `auto` advertises a /64 of the prefix that the line delegates (DHCPv6), or shares \
             the line's own by ND proxy, and lets in only what answers them; `off` leaves them without").default("auto"),
        key("subnet-id", One("N"), Live, field!(subnet_id, number(0u16..=u16::MAX)),
            "Which /64 of the delegated prefix is the LAN's, 0 to 65535; unset: 1 of the first LAN, 2 of the second, as our own end of the \
             tunnel is in 0"),
        key("interface-id", One("ID"), Live, field!(interface_id, InterfaceId::from_str),
            "Lower half of our own address in it: `stable` (RFC 7217), `eui64`, or a token").default("::1"),
        key("dns", Many("ADDR"), Live, field!(dns[], host6),
            "Resolvers that hosts are told by IPv6, 3 at most; unset: us, unless [lan.dns] is off, then those of the line"),
        key("domain", One("NAME"), Live, field!(domain, host_name),
            "Domain that hosts are told by IPv6; unset: that of [lan.dhcpv4], else of [lan.dns]"),
        key("dhcpv6", OneOf("MODE", || words(DHCPV6_MODES)), Live, field!(dhcpv6, one_of(DHCPV6_MODES)),
            "DHCPv6 for hosts of the LAN: `stateless` tells resolvers, domain and time servers to those who ask (RFC 7084 L-9); \
             `stateful` gives addresses, too; `off` answers nobody").default("stateless"),
        key("slaac", Bool, Live, field!(slaac, boolean),
            "Hosts make addresses of the prefix themselves (the flag A); without it only those have one that speak DHCPv6, which \
             Android does not").default("true"),
        key("delegate", One("LEN"), Live, field!(delegate, number(48u8..=64)),
            "Bits of the prefixes that routers behind get of the line's by DHCPv6 (IA_PD), 48 to 64, with a route to each; unset: \
             they get none"),
        key("router-preference", OneOf("WORD", || words(PREFERENCES)), Live, field!(router_preference, one_of(PREFERENCES)),
            "How much hosts are to use us where the LAN has other routers (RFC 4191); some hosts never look again at another word")
            .default("medium"),
    ];

    fn blank() -> Self {
        Self {
            mode: LanIpv6Mode::Auto,
            subnet_id: None,
            interface_id: InterfaceId::Stable,
            dns: Vec::new(),
            domain: None,
            dhcpv6: LanDhcpv6::Off,
            slaac: true,
            delegate: None,
            reservations: Vec::new(),
            router_preference: Preference::Medium,
        }
    }
}

impl LanIpv6 {
    pub(super) fn read_section(mut section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let reservations = section.take_all("reservation");
        let reservations: Vec<_> =
            reservations.into_iter().map(|section| section.read::<Reservation6>(&[], problems)).collect();
        let reservations: Vec<Read<Reservation6>> = reservations.into_iter().flatten().collect();
        let mut ipv6 = section.read::<Self>(&["reservation"], problems)?;
        check_dhcpv6(&ipv6, problems);
        check_reservations(&ipv6.keys, &reservations, problems);
        ipv6.keys.reservations = reservations.into_iter().map(|read| read.keys).collect();
        if ipv6.keys.dns.len() > MAX_DNS {
            problems.add(ipv6.at.place("dns"), format!("dns: give at most {MAX_DNS}, hosts read no more"));
        }
        Some(ipv6)
    }

    /// Whether hosts have IPv6 as far as the line has it.
    pub fn is_on(&self) -> bool {
        self.mode == LanIpv6Mode::Auto
    }
}

/// Section `[[lan.ipv6.reservation]]`: a client of DHCPv6 that always gets the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reservation6 {
    /// The Ethernet address that it asks from, or that its DUID was made of.
    pub mac: Option<Mac>,
    /// Its DHCP unique identifier; it has this or `mac`.
    pub duid: Option<Duid>,
    /// The lower half of its address.
    pub interface_id: Option<Token>,
    /// The number of the first /64 of the prefix that is delegated to it.
    pub subnet_id: Option<u16>,
    /// Its name.
    pub name: Option<String>,
}

impl Keys for Reservation6 {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("mac", One("MAC"), Live, field!(mac, station),
            "The client's Ethernet address: that it asks from, or that its DUID was made of; or give `duid`"),
        key("duid", One("HEX"), Live, field!(duid, duid),
            "The client's DHCP unique identifier, as `hikyaku show leases` has it; or give `mac`"),
        key("interface-id", One("ID"), Live, field!(interface_id, Token::from_str),
            "Lower half of the client's address, in whatever prefix the LAN has, as ::10; for `dhcpv6 = \"stateful\"`"),
        key("subnet-id", One("N"), Live, field!(subnet_id, number(0u16..=u16::MAX)),
            "Number of the first /64 of the prefix that is delegated to the client; for `delegate`"),
        key("name", One("NAME"), Live, field!(name, host_name),
            "The client's name, which [lan.dns] answers for with the address of `interface-id`"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// The most reservations that are taken, and those of prefixes: each of these is a route.
const MAX_RESERVATIONS: usize = 1024;
const MAX_RESERVED_PREFIXES: usize = 32;

fn check_dhcpv6(ipv6: &Read<LanIpv6>, problems: &mut Problems) {
    let keys = &ipv6.keys;
    if !keys.slaac && keys.dhcpv6 != LanDhcpv6::Stateful {
        let why = "slaac = false: hosts would have no address at all; give them some with dhcpv6 = \"stateful\"";
        problems.add(ipv6.at.place("slaac"), why);
    }
    if let Some(len) = keys.delegate.filter(|_| keys.dhcpv6 == LanDhcpv6::Off) {
        let why =
            format!("delegate = {len}: prefixes are given by DHCPv6, and dhcpv6 is \"off\"; make it \"stateless\"");
        problems.add(ipv6.at.place("delegate"), why);
    }
}

fn check_reservations(ipv6: &LanIpv6, reservations: &[Read<Reservation6>], problems: &mut Problems) {
    if let Some(first_too_many) = reservations.get(MAX_RESERVATIONS) {
        problems.add(first_too_many.at.place("mac"), format!("give at most {MAX_RESERVATIONS} reservations"));
    }
    let mut of_prefixes = reservations.iter().filter(|read| read.keys.subnet_id.is_some());
    if let Some(first_too_many) = of_prefixes.nth(MAX_RESERVED_PREFIXES) {
        let why = format!("give at most {MAX_RESERVED_PREFIXES} reservations of prefixes");
        problems.add(first_too_many.at.place("subnet-id"), why);
    }
    let mut seen = HashSet::new();
    for read in reservations {
        let Reservation6 { mac, duid, interface_id, subnet_id, .. } = &read.keys;
        let mut wrong = |key: &str, why: String| problems.add(read.at.place(key), why);
        if mac.is_some() == duid.is_some() {
            wrong("mac", "a reservation is for a mac or for a duid: give one of them".into());
        }
        if interface_id.is_none() && subnet_id.is_none() {
            wrong("interface-id", "nothing is reserved: give interface-id, subnet-id or both".into());
        }
        if let (Some(id), InterfaceId::Token(ours)) = (interface_id, ipv6.interface_id)
            && *id == ours
        {
            wrong("interface-id", format!("interface-id = '{id}': that is our own, [lan.ipv6] interface-id"));
        }
        let step = 1u16.checked_shl(64 - u32::from(ipv6.delegate.unwrap_or(64))).unwrap_or(0);
        if let (Some(id), Some(len)) = (subnet_id, ipv6.delegate)
            && (step == 0 && *id != 0 || step > 0 && id % step != 0)
        {
            wrong(
                "subnet-id",
                format!("subnet-id = {id}: no prefix of {len} bits begins there; give a multiple of {step}"),
            );
        }
        let values = [
            ("mac", mac.map(|mac| mac.to_string())),
            ("duid", duid.as_ref().map(Duid::to_string)),
            ("interface-id", interface_id.map(|id| id.to_string())),
            ("subnet-id", subnet_id.map(|id| id.to_string())),
        ];
        for (key, value) in values {
            let Some(value) = value else { continue };
            if !seen.insert((key, value.clone())) {
                wrong(key, format!("{key} = '{value}': another reservation has it already"));
            }
        }
    }
}
