//! The services of the market by the names that users know them by, and what is public about each.
//!
//! Endpoints and habits are from providers' documents and field reports; none was tried on a live line. What
//! a provider tells only its customers (fixed addresses, border routers of a contract, rules of a MAP domain) is not
//! here: it comes from the line, or from the user.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use hikyaku_net::map::InterfaceId;
use serde::Serialize;

use crate::notification::Dialect;

/// A way to carry IPv4 over IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Technology {
    /// DS-Lite (RFC 6333): the far end translates.
    Dslite,
    /// IPv4 in IPv6 (RFC 2473) with a whole IPv4 address: this end translates.
    Ipip,
    /// MAP-E (RFC 7597): an address shared by ports, made from the line's prefix by rules.
    MapE,
    /// Lightweight 4over6 (RFC 7596): an address shared by ports, given line by line.
    Lw4o6,
}

impl Technology {
    /// As it is written in configuration and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dslite => "dslite",
            Self::Ipip => "ipip",
            Self::MapE => "map-e",
            Self::Lw4o6 => "lw4o6",
        }
    }
}

impl fmt::Display for Technology {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dslite => "DS-Lite",
            Self::Ipip => "a fixed address",
            Self::MapE => "MAP-E",
            Self::Lw4o6 => "lw4o6",
        })
    }
}

/// A service of the market, by the name that users know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Whatever the line turns out to have.
    Auto,
    /// transix, DS-Lite (Internet Multifeed).
    Transix,
    /// transix with a fixed IPv4 address.
    TransixFixed,
    /// Xpass by DS-Lite (ARTERIA).
    Xpass,
    /// Xpass with a fixed IPv4 address.
    XpassFixed,
    /// v6 Connect, DS-Lite (Asahi Net).
    V6connect,
    /// v6plus by MAP-E (JPIX).
    V6plus,
    /// v6plus with a fixed IPv4 address.
    V6plusFixed,
    /// BIGLOBE IPv6 option, MAP-E.
    Biglobe,
    /// OCN virtual connect, MAP-E (NTT Communications).
    Ocn,
    /// OCN virtual connect, fixed address.
    OcnFixed,
    /// OCX Hikari, fixed address (v6IX).
    Ocx,
    /// Any service by DS-Lite.
    Dslite,
    /// Any service with a fixed IPv4 address.
    Ipip,
    /// Any service by MAP-E.
    MapE,
    /// Any service by lw4o6.
    Lw4o6,
}

/// Each name, as it is written, and what it is.
const NAMES: [(Name, &str, &str); 16] = [
    (Name::Auto, "auto", "Whatever the line turns out to have"),
    (Name::Transix, "transix", "transix, DS-Lite (Internet Multifeed)"),
    (Name::TransixFixed, "transix-fixed", "transix, fixed address"),
    (Name::Xpass, "xpass", "Xpass, DS-Lite (ARTERIA)"),
    (Name::XpassFixed, "xpass-fixed", "Xpass, fixed address"),
    (Name::V6connect, "v6connect", "v6 Connect, DS-Lite (Asahi Net)"),
    (Name::V6plus, "v6plus", "v6plus, MAP-E (JPIX)"),
    (Name::V6plusFixed, "v6plus-fixed", "v6plus, fixed address"),
    (Name::Biglobe, "biglobe", "BIGLOBE IPv6 option, MAP-E"),
    (Name::Ocn, "ocn", "OCN virtual connect, MAP-E (NTT Communications)"),
    (Name::OcnFixed, "ocn-fixed", "OCN virtual connect, fixed address"),
    (Name::Ocx, "ocx", "OCX Hikari, fixed address (v6IX)"),
    (Name::Dslite, "dslite", "Any DS-Lite"),
    (Name::Ipip, "ipip", "Any fixed address"),
    (Name::MapE, "map-e", "Any MAP-E"),
    (Name::Lw4o6, "lw4o6", "Any lw4o6"),
];

/// A word that is no service's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no service is called {0:?}; give one of those in docs/configuration.md, or `auto`")]
pub struct UnknownName(pub String);

/// Our end of the tunnel, where the user does not say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsualEnd {
    /// The WAN's own address.
    Own,
    /// The line's prefix, and what MAP-E's draft 03 makes of the IPv4 address.
    FromIpv4,
    /// The line's prefix, and an interface id that only the contract sheet knows.
    Contract,
}

/// What is public about a service.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its technology; `None`: to be found out.
    pub technology: Option<Technology>,
    /// The AFTR's name, which the line's own resolvers know.
    pub aftr: Option<&'static str>,
    /// Addresses of the AFTR or BR, the first is preferred.
    pub far: &'static [Ipv6Addr],
    /// The form of the interface id in MAP-E, where it is known.
    pub iid: Option<InterfaceId>,
    /// Our end of the tunnel.
    pub end: UsualEnd,
    /// How its border router is told where we are.
    pub notification: Option<Dialect>,
    /// Its provisioning server is asked, if it has one (HB46PP).
    pub provisioned: bool,
}

/// East, then west: the AFTR's name knows better, and is asked first.
const TRANSIX: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0x2404, 0x8e00, 0, 0, 0, 0, 0xfeed, 0x100),
    Ipv6Addr::new(0x2404, 0x8e00, 0, 0, 0, 0, 0xfeed, 0x101),
    Ipv6Addr::new(0x2404, 0x8e01, 0, 0, 0, 0, 0xfeed, 0x100),
    Ipv6Addr::new(0x2404, 0x8e01, 0, 0, 0, 0, 0xfeed, 0x101),
];
const V6PLUS: [Ipv6Addr; 1] = [Ipv6Addr::new(0x2404, 0x9200, 0x225, 0x100, 0, 0, 0, 0x64)];
/// BIGLOBE's border routers: of NTT East's area, then of NTT West's.
const BIGLOBE: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0x2001, 0x260, 0x700, 1, 0, 0, 1, 0x275), Ipv6Addr::new(0x2001, 0x260, 0x700, 1, 0, 0, 1, 0x276)];
const OCN: [Ipv6Addr; 1] = [Ipv6Addr::new(0x2001, 0x380, 0xa120, 0, 0, 0, 0, 9)];

/// A service of which nothing is known beforehand.
const PLAIN: Profile = Profile {
    technology: None,
    aftr: None,
    far: &[],
    iid: None,
    end: UsualEnd::Own,
    notification: None,
    provisioned: true,
};

const DSLITE: Profile = Profile { technology: Some(Technology::Dslite), ..PLAIN };
const FIXED: Profile = Profile { technology: Some(Technology::Ipip), ..PLAIN };
const MAP_E: Profile = Profile { technology: Some(Technology::MapE), ..PLAIN };
const MAP_E_JAPAN: Profile = Profile { iid: Some(InterfaceId::Draft03), ..MAP_E };

impl Name {
    /// DS-Lite services that are recognised by the name of their AFTR: a line's resolvers know that of
    /// its own provider only.
    pub const RECOGNISED: [Self; 3] = [Self::Transix, Self::Xpass, Self::V6connect];

    /// Every name there is, in the order in which they are shown.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|&(name, ..)| name)
    }

    /// What is public about it.
    pub fn profile(self) -> Profile {
        match self {
            Self::Auto => PLAIN,
            Self::Transix => Profile { aftr: Some("gw.transix.jp"), far: &TRANSIX, provisioned: false, ..DSLITE },
            Self::Xpass => Profile { aftr: Some("dgw.xpass.jp"), provisioned: false, ..DSLITE },
            Self::V6connect => Profile { aftr: Some("dslite.v6connect.net"), ..DSLITE },
            Self::TransixFixed => {
                Profile { end: UsualEnd::Contract, notification: Some(Dialect::Transix), provisioned: false, ..FIXED }
            }
            Self::XpassFixed => Profile { notification: Some(Dialect::Xpass), provisioned: false, ..FIXED },
            Self::V6plusFixed => Profile { end: UsualEnd::FromIpv4, notification: Some(Dialect::V6plus), ..FIXED },
            Self::OcnFixed => Profile { end: UsualEnd::FromIpv4, notification: Some(Dialect::Ocn), ..FIXED },
            Self::Ocx => Profile { end: UsualEnd::FromIpv4, ..FIXED },
            Self::V6plus => Profile { far: &V6PLUS, ..MAP_E_JAPAN },
            Self::Biglobe => Profile { far: &BIGLOBE, ..MAP_E_JAPAN },
            Self::Ocn => Profile { far: &OCN, ..MAP_E_JAPAN },
            Self::Dslite => DSLITE,
            Self::Ipip => FIXED,
            Self::MapE => MAP_E,
            Self::Lw4o6 => Profile { technology: Some(Technology::Lw4o6), ..PLAIN },
        }
    }

    /// As it is written in configuration: `transix-fixed`.
    pub fn text(self) -> &'static str {
        NAMES[self as usize].1
    }

    /// What it is, for who has to choose: `transix, fixed address`.
    pub fn about(self) -> &'static str {
        NAMES[self as usize].2
    }

    /// The service whose border router this is, of those that are public.
    pub fn of_border_router(address: Ipv6Addr) -> Option<Self> {
        Self::all().find(|name| name.profile().far.contains(&address))
    }
}

impl FromStr for Name {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::all().find(|name| name.text() == text).ok_or_else(|| UnknownName(text.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the market, as users write them.
    #[test]
    fn names() {
        let names: Vec<&str> = Name::all().map(Name::text).collect();
        let expected = "auto transix transix-fixed xpass xpass-fixed v6connect v6plus v6plus-fixed biglobe ocn ocn-fixed ocx \
                        dslite ipip map-e lw4o6";
        assert_eq!(names.join(" "), expected);
        assert!(NAMES.iter().enumerate().all(|(i, &(name, text, _))| name as usize == i && text.parse() == Ok(name)));
        assert_eq!("Transix".parse::<Name>(), Err(UnknownName("Transix".into())));
        assert_eq!(Name::of_border_router("2001:260:700:1::1:276".parse().unwrap()), Some(Name::Biglobe));
        assert_eq!(Name::of_border_router("2404:9200:225:100::64".parse().unwrap()), Some(Name::V6plus));
        assert_eq!(Name::of_border_router("2001:db8::1".parse().unwrap()), None);
        assert!(Name::RECOGNISED.iter().all(|name| name.profile().aftr.is_some()));
    }
}
