//! What a DHCPv6 server says of softwires (RFC 7598): MAP-E and lw4o6, decoded and judged.
//!
//! dhcproto hands the containers on as bytes; no crate was found that decodes them.
//!
//! ```
//! use hikyaku_protocols::dhcpv6::S46Container;
//! use hikyaku_protocols::softwire_options::{Refused, Softwire};
//!
//! let map_t = S46Container { code: 95, bytes: Vec::new() };
//! assert_eq!(Softwire::read(&map_t), Err(Refused::MapT));
//! ```

mod refused;
#[cfg(test)]
mod tests;
mod wire;

use std::net::{Ipv4Addr, Ipv6Addr};

use hikyaku_net::map::InterfaceId;
use hikyaku_net::{PortSet, Prefix6};

use crate::aftr::Endpoint;
use crate::dhcpv6::{Information, S46Container};
use crate::map_domain::Domain;

pub use refused::{Code, Refused};

/// How IPv4 is carried, as one container says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Softwire {
    /// OPTION_S46_CONT_MAPE. The form of the interface id is not said: RFC 7598 stands on RFC 7597, but
    /// lines in Japan use the form of draft 03 all the same, so the caller chooses.
    MapE(Domain),
    /// OPTION_S46_CONT_LW (96): lightweight 4over6 (RFC 7596).
    Lw4o6(Lw4o6),
}

/// An IPv4 address of our own, or a share of one (RFC 7596).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lw4o6 {
    /// The far end of the tunnel, the lwAFTR.
    pub lwaftr: Endpoint,
    /// The IPv4 address that packets leave with, shared with other lines unless all ports of it are ours.
    pub ipv4: Ipv4Addr,
    /// Those of its ports that are ours (RFC 7597 5.1).
    pub ports: PortSet,
    /// Which of our prefixes our end is in; of 128 bits our end itself, of none any prefix (RFC 7598 4.4).
    pub bind_prefix: Prefix6,
}

impl Lw4o6 {
    /// Our end of the tunnel, on a line with these prefixes, the first is preferred: in the one that agrees
    /// with the bind prefix in most bits (RFC 7596 5.1), with the interface id of RFC 7597 6. `None`:
    /// no prefix agrees with it.
    pub fn end(&self, prefixes: &[Prefix6]) -> Option<Ipv6Addr> {
        let bind = self.bind_prefix;
        let agreeing = prefixes.iter().filter_map(|&own| {
            let (short, long) = if own.len() < bind.len() { (own, bind) } else { (bind, own) };
            short.contains(long.address()).then_some((short.len(), long))
        });
        // Of several that agree alike, `max_by_key` would take the last.
        let (_, prefix) = agreeing.rev().max_by_key(|&(agreed, _)| agreed)?;
        Some(prefix.with_interface_id(InterfaceId::Rfc7597.of(self.ipv4, self.ports.psid())))
    }
}

impl Softwire {
    /// Decodes a container of DHCPv6 (RFC 7598 5). Any bytes may be in it; whatever is wrong makes all of it
    /// [`Refused`].
    pub fn read(container: &S46Container) -> Result<Self, Refused> {
        match container.code {
            wire::CONT_MAPE => wire::map_e(&container.bytes).map(Self::MapE),
            wire::CONT_LW => wire::lw4o6(&container.bytes).map(Self::Lw4o6),
            wire::CONT_MAPT => Err(Refused::MapT),
            other => Err(Refused::NoContainer(Code(other))),
        }
    }
}

/// A way to carry IPv4 that a DHCPv6 server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// DS-Lite, through the AFTR of this name (option 64).
    DsLite(String),
    /// A softwire that can be set up as it is described.
    Softwire(Softwire),
    /// A container that is of no use, and why.
    Refused(Code, Refused),
}

/// What the server offers, in the order in which to try it: as it says itself (RFC 8026 1.3), then
/// DS-Lite, MAP-E, lw4o6.
pub fn offers(information: &Information) -> Vec<Offer> {
    const AFTR_NAME: u16 = 64;
    let dslite = information.aftr_name.iter().map(|name| (AFTR_NAME, Offer::DsLite(name.clone())));
    let softwires = information.s46.iter().map(|container| match Softwire::read(container) {
        Ok(softwire) => (container.code, Offer::Softwire(softwire)),
        Err(why) => (container.code, Offer::Refused(Code(container.code), why)),
    });
    let mut offers: Vec<_> = dslite.chain(softwires).collect();
    let listed = &information.s46_priority;
    offers.sort_by_key(|&(code, _)| (listed.iter().position(|&c| c == code).unwrap_or(listed.len()), code));
    offers.into_iter().map(|(_, offer)| offer).collect()
}

/// Any bytes as each container: for fuzzing.
pub fn fuzz(bytes: &[u8]) {
    for code in [wire::CONT_MAPE, wire::CONT_MAPT, wire::CONT_LW, wire::RULE] {
        match Softwire::read(&S46Container { code, bytes: bytes.to_vec() }) {
            Ok(Softwire::MapE(domain)) => {
                for rule in &domain.rules {
                    // On this line: one that is surely in the rule.
                    let line = Prefix6::new(rule.ipv6().address(), 128).expect("128 bits are a prefix");
                    let _ = rule.ce(line, InterfaceId::Rfc7597);
                }
            }
            Ok(Softwire::Lw4o6(lw4o6)) => _ = lw4o6.end(&[lw4o6.bind_prefix]),
            Err(why) => _ = why.to_string(),
        }
    }
}
