//! A router advertisement, checked (RFC 4861 4.2 and 6.1.2, RFC 4191 2, RFC 8106 5).
//!
//! `smoltcp` reads the fixed part, the checksum, and the options for the link-layer address, the prefix
//! and the MTU. It keeps one prefix of many and knows no preference, route, resolver or domain: those
//! are read here; names in the domain option by `hickory-proto`.

use std::net::Ipv6Addr;
use std::time::Duration;

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hikyaku_net::Mac;
use serde::Serialize;
use smoltcp::wire::{Icmpv6Message, NdiscOption, NdiscOptionRepr, NdiscPrefixInfoFlags, NdiscRouterFlags};

use super::Lifetime;
use crate::router_discovery::{self, Message, Refusal};

/// Prefixes taken from one advertisement, and kept in all, at most.
pub const MAX_PREFIXES: usize = 16;
/// Routes taken from one advertisement, and kept in all, at most.
pub const MAX_ROUTES: usize = 16;
/// Resolvers taken from one advertisement, and kept in all, at most.
pub const MAX_RESOLVERS: usize = 8;
/// Search domains taken from one advertisement, and kept in all, at most.
pub const MAX_DOMAINS: usize = 8;

/// RFC 4861 6.2.1: a reachable time is at most an hour.
const MAX_REACHABLE_TIME: Duration = Duration::from_secs(3600);
/// Retransmission timers that a link can have: below, a resolution would be a flood; above, it would never end.
const RETRANS_TIMER: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// How much a router wants to be used (RFC 4191 2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preference {
    /// To be used only if there is no other.
    Low,
    /// What everybody says who does not know RFC 4191.
    #[default]
    Medium,
    /// To be used before routers of lower preference.
    High,
}

impl Preference {
    /// From two bits; `None` is the reserved value.
    fn from_bits(bits: u8) -> Option<Self> {
        match bits & 3 {
            0b01 => Some(Self::High),
            0b00 => Some(Self::Medium),
            0b11 => Some(Self::Low),
            _ => None,
        }
    }

    /// As two bits.
    pub(crate) fn bits(self) -> u8 {
        match self {
            Self::High => 0b01,
            Self::Medium => 0b00,
            Self::Low => 0b11,
        }
    }
}

/// A prefix information option (RFC 4861 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixOption {
    /// Bits behind the length are zero.
    pub prefix: Ipv6Addr,
    /// How many of its bits count, 1 to 128.
    pub length: u8,
    /// L: addresses in it are on this link.
    pub on_link: bool,
    /// A: hosts make addresses in it themselves.
    pub autonomous: bool,
    /// For how long such addresses are used for new connections.
    pub preferred: Lifetime,
    /// For how long they, and the prefix, are there at all.
    pub valid: Lifetime,
}

/// A route information option (RFC 4191 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteOption {
    /// Bits behind the length are zero.
    pub prefix: Ipv6Addr,
    /// How many of its bits count, 0 to 128.
    pub length: u8,
    /// Against other routers with a route to it.
    pub preference: Preference,
    /// Zero takes it back.
    pub lifetime: Lifetime,
}

/// A router advertisement. Options that make no sense are left out and counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertisement {
    /// The router that says it, by its link-local address.
    pub router: Ipv6Addr,
    /// Hop limit for our packets, if it says one.
    pub hop_limit: Option<u8>,
    /// M: addresses come from DHCPv6.
    pub managed: bool,
    /// O: other things (resolvers, the AFTR's name) come from DHCPv6.
    pub other: bool,
    /// How much it wants to be used before other default routers.
    pub preference: Preference,
    /// For how long it is a default router, seconds; 0: it is none.
    pub lifetime: u16,
    /// How long a neighbour counts as reachable, if it says so (at most an hour).
    pub reachable_time: Option<Duration>,
    /// Time between solicitations of a neighbour, if it says so (10 ms to a minute).
    pub retrans_timer: Option<Duration>,
    /// The router's own Ethernet address.
    pub mac: Option<Mac>,
    /// Of the link; whether it makes sense here is the listener's judgement.
    pub mtu: Option<u32>,
    /// Prefix information options (RFC 4861 4.6.2), at most [`MAX_PREFIXES`].
    pub prefixes: Vec<PrefixOption>,
    /// Route information options (RFC 4191 2.3), at most [`MAX_ROUTES`].
    pub routes: Vec<RouteOption>,
    /// At most [`MAX_RESOLVERS`]; each with its lifetime, zero takes it back.
    pub resolvers: Vec<(Ipv6Addr, Lifetime)>,
    /// At most [`MAX_DOMAINS`]; each with its lifetime, zero takes it back.
    pub domains: Vec<(String, Lifetime)>,
    /// Options of known types that were left out: wrong length, senseless value, or too many.
    pub ignored: u32,
}

impl Advertisement {
    /// Reads an IPv6 packet, header first; bytes behind its end do not matter.
    pub fn parse(packet: &[u8]) -> Result<Self, Refusal> {
        let message = Message::read(packet, Icmpv6Message::RouterAdvert, |source| source.is_unicast_link_local())?;
        let icmp = &message.icmp;
        let flags = icmp.router_flags();
        let nonzero =
            |d: smoltcp::time::Duration| (d.total_millis() > 0).then(|| Duration::from_millis(d.total_millis()));
        let mut advertisement = Self {
            router: message.source,
            hop_limit: Some(icmp.current_hop_limit()).filter(|&h| h > 0),
            managed: flags.contains(NdiscRouterFlags::MANAGED),
            other: flags.contains(NdiscRouterFlags::OTHER),
            // RFC 4191 2.2: the reserved value is taken for medium. The bits are in the flags' byte.
            preference: Preference::from_bits(message.bytes[5] >> 3).unwrap_or_default(),
            lifetime: icmp.router_lifetime().secs() as u16,
            reachable_time: nonzero(icmp.reachable_time()).filter(|&t| t <= MAX_REACHABLE_TIME),
            retrans_timer: nonzero(icmp.retrans_time()).filter(|t| RETRANS_TIMER.contains(t)),
            mac: None,
            mtu: None,
            prefixes: Vec::new(),
            routes: Vec::new(),
            resolvers: Vec::new(),
            domains: Vec::new(),
            ignored: 0,
        };
        for option in message.options() {
            // RFC 4861 6.1.2: a known option that makes no sense does not spoil the others.
            advertisement.ignored += u32::from(advertisement.take(option?).is_none());
        }
        Ok(advertisement)
    }

    /// Takes one option of at least 8 bytes; `None` if it is of a known type and makes no sense.
    fn take(&mut self, option: &[u8]) -> Option<()> {
        match NdiscOptionRepr::parse(&NdiscOption::new_unchecked(option)).ok()? {
            NdiscOptionRepr::SourceLinkLayerAddr(_) => self.mac = Some(router_discovery::station(option)?),
            NdiscOptionRepr::Mtu(mtu) => self.mtu = Some(mtu),
            NdiscOptionRepr::PrefixInformation(info) => {
                let prefix = masked(info.prefix, info.prefix_len)?;
                let seconds = |d: smoltcp::time::Duration| Lifetime::from_wire(d.secs() as u32);
                let read = PrefixOption {
                    prefix,
                    length: info.prefix_len,
                    on_link: info.flags.contains(NdiscPrefixInfoFlags::ON_LINK),
                    autonomous: info.flags.contains(NdiscPrefixInfoFlags::ADDRCONF),
                    preferred: seconds(info.preferred_lifetime),
                    valid: seconds(info.valid_lifetime),
                };
                // RFC 4862 5.5.3 b and c; multicast and 0000::/8 (RFC 4291 2.4) are nobody's prefix.
                let first = prefix.octets()[0];
                let senseless = prefix.is_unicast_link_local() || matches!(first, 0 | 0xff);
                push(&mut self.prefixes, MAX_PREFIXES, Some(read).filter(|p| !senseless && p.preferred <= p.valid)?)?;
            }
            NdiscOptionRepr::Unknown { type_: 24, data, .. } => {
                let (&[length, bits, l0, l1, l2, l3], prefix) = data.split_first_chunk()?;
                // RFC 4191 2.3: 0, 8 or 16 bytes of prefix, enough for the length.
                let mut octets = [0; 16];
                octets.get_mut(..prefix.len())?.copy_from_slice(prefix);
                let read = RouteOption {
                    prefix: masked(octets.into(), length).filter(|_| usize::from(length) <= prefix.len() * 8)?,
                    length,
                    preference: Preference::from_bits(bits >> 3)?,
                    lifetime: Lifetime::from_wire(u32::from_be_bytes([l0, l1, l2, l3])),
                };
                push(&mut self.routes, MAX_ROUTES, read)?;
            }
            NdiscOptionRepr::Unknown { type_: 25, data, .. } => {
                let (lifetime, addresses) = lifetime_and_rest(data)?;
                let (addresses, odd) = addresses.as_chunks::<16>();
                // RFC 8106 5.3.1: at least one address, and nothing but addresses.
                if addresses.is_empty() || !odd.is_empty() {
                    return None;
                }
                for &octets in addresses {
                    let address = Ipv6Addr::from(octets);
                    if !address.is_multicast() && !address.is_unspecified() && !address.is_loopback() {
                        push(&mut self.resolvers, MAX_RESOLVERS, (address, lifetime))?;
                    }
                }
            }
            NdiscOptionRepr::Unknown { type_: 31, data, .. } => {
                let (lifetime, names) = lifetime_and_rest(data)?;
                for domain in domains(names)? {
                    push(&mut self.domains, MAX_DOMAINS, (domain, lifetime))?;
                }
            }
            _ => {}
        }
        Some(())
    }
}

/// The address with the bits behind `length` cleared; `None` if there are no so many bits.
pub(super) fn masked(address: Ipv6Addr, length: u8) -> Option<Ipv6Addr> {
    let behind = 128u32.checked_sub(length.into())?;
    Some(Ipv6Addr::from_bits(address.to_bits() & u128::MAX.checked_shl(behind).unwrap_or(0)))
}

fn push<T>(list: &mut Vec<T>, most: usize, item: T) -> Option<()> {
    (list.len() < most).then(|| list.push(item))
}

/// The resolver and domain options begin alike: two reserved bytes, a lifetime.
fn lifetime_and_rest(data: &[u8]) -> Option<(Lifetime, &[u8])> {
    let (&[_, _, l0, l1, l2, l3], rest) = data.split_first_chunk()?;
    Some((Lifetime::from_wire(u32::from_be_bytes([l0, l1, l2, l3])), rest))
}

/// Names in wire form, one after the other, zeros to the end; never compressed (RFC 8106 5.2).
fn domains(bytes: &[u8]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut decoder = BinDecoder::new(bytes);
    while decoder.peek().is_some_and(|first| first.unverified() != 0) {
        let begin = decoder.index();
        let name = Name::read(&mut decoder).ok()?;
        // `len` leaves out the last zero. No name is as long as a pointer (two bytes), so with one in it the
        // lengths differ.
        if decoder.index() - begin != name.len() + 1 {
            return None;
        }
        names.push(name.to_ascii());
    }
    let padding = &bytes[decoder.index()..];
    (!names.is_empty() && padding.iter().all(|&b| b == 0)).then_some(names)
}
