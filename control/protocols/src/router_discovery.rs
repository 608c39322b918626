//! Router solicitations and advertisements, as far as what makes them valid is the same (RFC 4861 6.1).

use std::net::Ipv6Addr;

use hikyaku_net::packet::{Ipv6, ipv6};
use hikyaku_net::{Mac, protocol};
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet};
use zerocopy::FromBytes;

/// What no router has forwarded (RFC 4861 6.1).
pub(crate) const HOP_LIMIT: u8 = 255;

/// Why bytes are nothing of router discovery to act on (RFC 4861 6.1.1, 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not one whole IPv6 packet.
    #[error("not a whole IPv6 packet")]
    NotIpv6,
    /// A fragment, which neighbour discovery must not be (RFC 6980 5).
    #[error("a fragment: neighbour discovery is never fragmented")]
    Fragment,
    /// The packet is no ICMPv6 router advertisement (RFC 4861 4.2).
    #[error("not an ICMPv6 router advertisement")]
    NotAdvertisement,
    /// The packet is no ICMPv6 router solicitation (RFC 4861 4.1).
    #[error("not an ICMPv6 router solicitation")]
    NotSolicitation,
    /// It passed a router, or was made up far away.
    #[error("hop limit {0} instead of 255: it does not come from this link")]
    HopLimit(u8),
    /// An advertisement does not come from a link-local address, or a solicitation from no host; where from.
    #[error("source {0} is not a router's link-local address, or not a host's")]
    Source(Ipv6Addr),
    /// The ICMPv6 checksum does not fit the packet.
    #[error("wrong ICMPv6 checksum")]
    Checksum,
    /// The ICMPv6 code is not 0; which it is.
    #[error("ICMPv6 code {0} instead of 0")]
    Code(u8),
    /// Less than the bytes that are always there: 16 of an advertisement, 8 of a solicitation.
    #[error("shorter than its fixed fields")]
    Short,
    /// An option of length zero, or one that goes on behind the end.
    #[error("the option at byte {0} has no length or passes the end")]
    Option(usize),
    /// It comes from the unspecified address and says an Ethernet address.
    #[error("an Ethernet address from a host without an address")]
    Anonymous,
}

/// A message that is valid but for its options.
pub(crate) struct Message<'a> {
    /// Who says it.
    pub source: Ipv6Addr,
    /// The ICMPv6 message.
    pub bytes: &'a [u8],
    /// The same, for its fields.
    pub icmp: Icmpv6Packet<&'a [u8]>,
}

impl<'a> Message<'a> {
    /// Reads an IPv6 packet, header first; bytes behind its end do not matter. `may_say`: whether it may be from there.
    pub fn read(packet: &'a [u8], kind: Icmpv6Message, may_say: fn(Ipv6Addr) -> bool) -> Result<Self, Refusal> {
        let walked = ipv6::walk(packet).map_err(|_| Refusal::NotIpv6)?;
        let (ip, _) = Ipv6::ref_from_prefix(packet).map_err(|_| Refusal::NotIpv6)?;
        let (source, destination) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(ip.dst));
        if walked.fragment.is_some() {
            return Err(Refusal::Fragment);
        }
        let bytes = &packet[walked.offset..walked.end];
        if walked.protocol != protocol::ICMPV6 || bytes.first() != Some(&kind.into()) {
            return Err(match kind {
                Icmpv6Message::RouterSolicit => Refusal::NotSolicitation,
                _ => Refusal::NotAdvertisement,
            });
        }
        if ip.hop_limit != HOP_LIMIT {
            return Err(Refusal::HopLimit(ip.hop_limit));
        }
        if !may_say(source) {
            return Err(Refusal::Source(source));
        }
        let icmp = Icmpv6Packet::new_checked(bytes).map_err(|_| Refusal::Short)?;
        if !icmp.verify_checksum(&source, &destination) {
            return Err(Refusal::Checksum);
        }
        if icmp.msg_code() != 0 {
            return Err(Refusal::Code(icmp.msg_code()));
        }
        Ok(Self { source, bytes, icmp })
    }

    /// Its options, each of 8 bytes at least, up to the first that is none.
    pub fn options(&self) -> impl Iterator<Item = Result<&'a [u8], Refusal>> {
        let (bytes, mut rest) = (self.bytes, self.icmp.payload());
        std::iter::from_fn(move || {
            let (at, whole) = (bytes.len() - rest.len(), std::mem::take(&mut rest));
            let length = usize::from(whole.get(1).copied().unwrap_or_default()) * 8;
            if whole.is_empty() {
                return None;
            }
            let Some((option, after)) = whole.split_at_checked(length).filter(|_| length > 0) else {
                return Some(Err(Refusal::Option(at)));
            };
            rest = after;
            Some(Ok(option))
        })
    }
}

/// The Ethernet address in a source link-layer address option; `None` if it is none that a station can have (RFC 2464 6).
pub(crate) fn station(option: &[u8]) -> Option<Mac> {
    let mac = Mac(*option.get(2..)?.as_array()?);
    (!mac.is_group() && mac != Mac::default()).then_some(mac)
}
