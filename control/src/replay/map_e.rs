//! The flags of `--mode map-e`.

use std::net::Ipv6Addr;

use clap::Args;
use hikyaku_net::Prefix6;
use hikyaku_net::map::{Ce, InterfaceId, Mesh, Psid, Rule};
use hikyaku_protocols::map_domain::Domain;
use hikyaku_schema::{Usage, number};

/// What a line with MAP-E is (RFC 7597).
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct MapEArgs {
    /// With `--mode map-e`, the line's prefix. Ends of the tunnel, address and ports follow from it.
    #[arg(long, value_name = "PREFIX", help_heading = "MAP-E")]
    pub prefix: Option<Prefix6>,

    /// A mapping rule: IPv6 prefix, IPv4 prefix, length of the EA bits, PSID offset. May be repeated;
    /// the longest that --prefix is in is ours.
    #[arg(long, value_name = "IPV6,IPV4,EA_LEN,PSID_OFFSET", help_heading = "MAP-E")]
    pub rule: Vec<Rule>,

    /// How the lower half of our address is made [default: draft03, as lines in Japan have it].
    #[arg(long, value_name = "draft03|rfc7597", help_heading = "MAP-E")]
    pub iid: Option<InterfaceId>,

    /// A PSID that came apart from our rule.
    #[arg(long, value_name = "N", requires = "psid_len", value_parser = number(0..=u16::MAX), help_heading = "MAP-E")]
    pub psid: Option<u16>,

    /// The length of the PSID in bits, 0 to 16.
    #[arg(long, value_name = "N", requires = "psid", value_parser = number(0u8..=16), help_heading = "MAP-E")]
    pub psid_len: Option<u8>,

    /// Packets for other customers of the rules go straight to them, not by way of the border router.
    #[arg(long, help_heading = "MAP-E")]
    pub mesh: bool,
}

impl MapEArgs {
    /// Whether any of it was given.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// Our line, and the mesh it is in.
    pub fn line(&self, br: Ipv6Addr) -> Result<(Ce, Option<Mesh>), Usage> {
        let usage = |text: String| Usage(format!("--mode map-e: {text}"));
        let prefix = self.prefix.ok_or_else(|| usage("give the line's prefix with --prefix PREFIX".into()))?;
        let domain = Domain::new(self.rule.clone(), vec![br], self.iid).map_err(|bad| usage(bad.to_string()))?;
        let domain = domain.with_mesh(self.mesh);
        let iid = self.iid.unwrap_or(InterfaceId::Draft03);
        let rule = domain.rule_of(prefix).ok_or_else(|| usage(format!("--prefix {prefix} is in no --rule")))?;
        let rule = match (self.psid, self.psid_len) {
            (Some(value), Some(len)) => rule.with_psid(Psid { len, value }).map_err(|bad| usage(bad.to_string()))?,
            _ => *rule,
        };
        let ce = rule.ce(prefix, iid).map_err(|unfit| usage(unfit.to_string()))?;
        Ok((ce, self.mesh.then(|| Mesh::new(domain.rules, iid))))
    }
}
