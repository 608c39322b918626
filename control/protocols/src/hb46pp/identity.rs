//! Who asks: what a provisioning server is told about us (specification 3.3).

use std::fmt;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::http::Secret;

/// All but the unreserved characters of RFC 3986 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Our version as the protocol writes it: digits and underscores.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION_MAJOR"),
    "_",
    env!("CARGO_PKG_VERSION_MINOR"),
    "_",
    env!("CARGO_PKG_VERSION_PATCH")
);

/// A vendor: six hex digits of an OUI, perhaps `-` and up to 24 letters, digits and underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorId(String);

/// A product's name: up to 32 letters, digits, hyphens and underscores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product(String);

/// What is wrong with a [`VendorId`] or a [`Product`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// The text is no vendor id.
    #[error("a vendor id is six hex digits, perhaps with - and up to 24 of 0-9 A-Z a-z _ behind them: acde48-hikyaku")]
    Vendor,
    /// The text is no product's name.
    #[error("a product's name is 1 to 32 of 0-9 A-Z a-z - _")]
    Product,
}

/// No OUI is registered for hikyaku; AC-DE-48 is the one that IEEE's examples, and the specification's, use.
impl Default for VendorId {
    fn default() -> Self {
        Self("acde48-hikyaku".into())
    }
}

impl Default for Product {
    fn default() -> Self {
        Self("hikyaku".into())
    }
}

impl FromStr for VendorId {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        let (oui, rest) = text.split_once('-').map_or((text, None), |(oui, rest)| (oui, Some(rest)));
        let is_oui = oui.len() == 6 && oui.bytes().all(|b| b.is_ascii_hexdigit());
        let is_rest = rest.is_none_or(|rest| is_word(rest, 24, b"_"));
        if is_oui && is_rest { Ok(Self(text.into())) } else { Err(BadIdentity::Vendor) }
    }
}

impl FromStr for Product {
    type Err = BadIdentity;

    fn from_str(text: &str) -> Result<Self, BadIdentity> {
        if is_word(text, 32, b"-_") { Ok(Self(text.into())) } else { Err(BadIdentity::Product) }
    }
}

impl fmt::Display for VendorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_word(text: &str, longest: usize, more: &[u8]) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
}

/// Something that a CPE can do, in the specification's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// Dual-Stack Lite, this end as the B4 (RFC 6333).
    Dslite,
    /// A tunnel for an IPv4 prefix of one's own (RFC 2473).
    Ipip,
    /// Lightweight 4over6 (RFC 7596).
    Lw4o6,
    /// Mapping of address and port with encapsulation (RFC 7597, draft 03).
    MapE,
    /// MAP-E by way of the border router.
    HubSpoke,
    /// MAP-E straight from CE to CE.
    Mesh,
}

impl Capability {
    /// All that this program can do.
    pub const ALL: [Self; 6] = [Self::Dslite, Self::Ipip, Self::Lw4o6, Self::MapE, Self::HubSpoke, Self::Mesh];

    fn word(self) -> &'static str {
        match self {
            Self::Dslite => "dslite",
            Self::Ipip => "ipip",
            Self::Lw4o6 => "lw4o6",
            Self::MapE => "map_e",
            Self::HubSpoke => "hubspoke",
            Self::Mesh => "mesh",
        }
    }
}

/// What every request says of this router (specification 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who made this router (`vendorid`).
    pub vendor: VendorId,
    /// What it is called (`product`).
    pub product: Product,
    /// What it can do: the server leaves out what is not here.
    pub capabilities: Vec<Capability>,
}

impl Default for Identity {
    fn default() -> Self {
        Self { vendor: VendorId::default(), product: Product::default(), capabilities: Capability::ALL.to_vec() }
    }
}

/// User name and password, where a provider gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user name that the provider gave.
    pub user: Secret,
    /// The password that the provider gave.
    pub pass: Secret,
    /// The server that may see them; it has to prove by its certificate that it is it. `None`: whatever
    /// server the line names, as the specification allows.
    pub server: Option<String>,
}

impl Identity {
    /// The query, without `?`: parameters in the order of the specification's list.
    pub(super) fn query(&self, token: Option<&Secret>) -> String {
        let Self { vendor, product, capabilities } = self;
        let words: Vec<&str> = capabilities.iter().map(|capability| capability.word()).collect();
        let words = words.join(",");
        let mut query = format!("vendorid={vendor}&product={product}&version={VERSION}&capability={words}");
        if let Some(token) = token {
            query += &format!("&token={}", encoded(token));
        }
        query
    }
}

impl Credentials {
    /// More of the query.
    pub(super) fn query(&self) -> String {
        format!("&user={}&pass={}", encoded(&self.user), encoded(&self.pass))
    }

    /// Whether this server may see them (specification 3.3, `user`).
    pub(super) fn are_for(&self, server: &super::Server) -> bool {
        let is_named = |name: &String| server.verify && server.url.host().eq_ignore_ascii_case(name);
        self.server.as_ref().is_none_or(is_named)
    }
}

fn encoded(secret: &Secret) -> String {
    utf8_percent_encode(secret.expose(), RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Specification 3.3.
    #[test]
    fn vendors_and_products() {
        for good in ["acde48-v6pc_swg_hgw", "00005E", "acde48-hikyaku", &format!("acde48-{}", "x".repeat(24))] {
            assert_eq!(good.parse::<VendorId>().unwrap().to_string(), good);
        }
        for bad in ["", "acde4", "acde4g", "acde48-", "acde48_x", "acde48-a-b", "acde48-a b", "ac-de-48"] {
            assert_eq!(bad.parse::<VendorId>(), Err(BadIdentity::Vendor), "{bad}");
        }
        assert!(format!("acde48-{}", "x".repeat(25)).parse::<VendorId>().is_err());
        for good in ["V6MIG-ROUTER", "a", "a_b-c", &"x".repeat(32)] {
            assert_eq!(good.parse::<Product>().unwrap().to_string(), good);
        }
        for bad in ["", "a b", "a.b", "é", "a&b=c", &"x".repeat(33)] {
            assert_eq!(bad.parse::<Product>(), Err(BadIdentity::Product), "{bad}");
        }
        VendorId::default().to_string().parse::<VendorId>().unwrap();
        Product::default().to_string().parse::<Product>().unwrap();
    }

    #[test]
    fn the_query() {
        let ours = Identity::default().query(None);
        let all = "dslite,ipip,lw4o6,map_e,hubspoke,mesh";
        assert_eq!(ours, format!("vendorid=acde48-hikyaku&product=hikyaku&version={VERSION}&capability={all}"));
        // `[0-9_]{1,32}`.
        assert!(VERSION.len() <= 32 && VERSION.bytes().all(|b| b.is_ascii_digit() || b == b'_'), "{VERSION}");
        let identity = Identity {
            vendor: "acde48-v6pc_swg_hgw".parse().unwrap(),
            product: "V6MIG-ROUTER".parse().unwrap(),
            capabilities: vec![Capability::MapE, Capability::Dslite],
        };
        let query = identity.query(Some(&Secret::new("a&b")));
        assert!(query.starts_with("vendorid=acde48-v6pc_swg_hgw&product=V6MIG-ROUTER&version="), "{query}");
        assert!(query.ends_with("&capability=map_e,dslite&token=a%26b"), "{query}");
    }

    /// Specification 3.3: with a server's name given, only to it, over https, with its certificate checked.
    #[test]
    fn who_may_see_credentials() {
        let server = |record: &str| super::super::Server::parse(record.as_bytes()).unwrap();
        let checked = server("v=v6mig-1 url=https://Prov.example/x t=b");
        let unchecked = server("v=v6mig-1 url=https://prov.example/x t=a");
        let http = server("v=v6mig-1 url=http://prov.example/x t=a");
        let other = server("v=v6mig-1 url=https://other.example/x t=b");
        let credentials = |server: Option<&str>| Credentials {
            user: Secret::new("me"),
            pass: Secret::new("p&ss"),
            server: server.map(String::from),
        };
        let named = credentials(Some("prov.example"));
        assert_eq!([&checked, &unchecked, &http, &other].map(|s| named.are_for(s)), [true, false, false, false]);
        let anybody = credentials(None);
        assert_eq!([&checked, &unchecked, &http, &other].map(|s| anybody.are_for(s)), [true; 4]);
        assert_eq!(anybody.query(), "&user=me&pass=p%26ss");
    }
}
