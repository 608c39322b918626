//! `[lan.ipv6]`: what hosts of the LAN have of the line's IPv6.

use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_protocols::advertiser::Preference;
use hikyaku_protocols::host::{host_name, host6};
use hikyaku_schema::{
    Change::*, Key, Keys, Problems, Read, Section, Syntax::*, Words, field, key, number, one_of, words,
};

use crate::value::InterfaceId;

/// What hosts of the LAN have of the line's IPv6: section `[lan.ipv6]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanIpv6 {
    /// Whether they have any.
    pub mode: LanIpv6Mode,
    /// Which /64 of a delegated prefix is the LAN's; `None`: 1, or 2 where our end of the tunnel is in that.
    pub subnet_id: Option<u16>,
    /// How the lower half of our own addresses there is made.
    pub interface_id: InterfaceId,
    /// Resolvers that hosts are told; empty: us, or the line's.
    pub dns: Vec<Ipv6Addr>,
    /// The domain that hosts are told; `None`: that of DHCPv4, or of DNS.
    pub domain: Option<String>,
    /// What DHCPv6 is for.
    pub dhcpv6: LanDhcpv6,
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
}

const DHCPV6_MODES: &Words<LanDhcpv6> = &[("off", LanDhcpv6::Off), ("stateless", LanDhcpv6::Stateless)];

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
            "Which /64 of the delegated prefix is the LAN's, 0 to 65535; unset: 1, as our own end of the tunnel is in 0"),
        key("interface-id", One("ID"), Live, field!(interface_id, InterfaceId::from_str),
            "Lower half of our own address in it: `stable` (RFC 7217), `eui64`, or a token").default("::1"),
        key("dns", Many("ADDR"), Live, field!(dns[], host6),
            "Resolvers that hosts are told by IPv6, 3 at most; unset: us, unless [lan.dns] is off, then those of the line"),
        key("domain", One("NAME"), Live, field!(domain, host_name),
            "Domain that hosts are told by IPv6; unset: that of [lan.dhcpv4], else of [lan.dns]"),
        key("dhcpv6", OneOf("MODE", || words(DHCPV6_MODES)), Live, field!(dhcpv6, one_of(DHCPV6_MODES)),
            "DHCPv6 for hosts of the LAN: `stateless` tells resolvers, domain and time servers to those who ask (RFC 7084 L-9); \
             `off` answers nobody").default("stateless"),
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
            router_preference: Preference::Medium,
        }
    }
}

impl LanIpv6 {
    pub(super) fn read_section(section: Section, problems: &mut Problems) -> Option<Read<Self>> {
        let ipv6 = section.read::<Self>(&[], problems)?;
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
