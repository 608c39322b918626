//! A MAP-E domain: rules and border routers, whoever said them.
//!
//! ```
//! use hikyaku_protocols::map_domain::Domain;
//!
//! let domain = Domain::new(vec!["2001:db8::/32,192.0.2.0/24,16,4".parse().unwrap()], Vec::new(), None)?;
//! assert!(domain.rule_of("2001:db8:12:3400::/56".parse().unwrap()).is_some());
//! assert!(domain.rule_of("2001:dead::/56".parse().unwrap()).is_none());
//! # Ok::<(), hikyaku_protocols::map_domain::BadDomain>(())
//! ```

use std::net::Ipv6Addr;

use hikyaku_net::Prefix6;
use hikyaku_net::map::{self, InterfaceId, Rule};
use thiserror::Error;

/// Mapping rules that a domain may have at most.
pub const MAX_RULES: usize = 256;

/// What a CE is told of the MAP-E service that it is in (RFC 7597 4): by DHCPv6, by a provisioning server,
/// or in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// One to [`MAX_RULES`]; those for forwarding say so themselves.
    pub rules: Vec<Rule>,
    /// Border routers, the first is preferred. Empty where only the rules are known.
    pub br: Vec<Ipv6Addr>,
    /// The lower half of a CE's address; `None`: not said.
    pub iid: Option<InterfaceId>,
}

/// Why a list of mapping rules is refused as a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadDomain {
    /// The list of mapping rules is empty: no address can be made from it.
    #[error("there is no mapping rule")]
    NoRule,
    /// More mapping rules than [`MAX_RULES`]; how many there are.
    #[error("there are {0} mapping rules; at most {MAX_RULES} are taken")]
    TooManyRules(usize),
}

impl Domain {
    /// A domain of these rules, if they are not too few or too many.
    pub fn new(rules: Vec<Rule>, br: Vec<Ipv6Addr>, iid: Option<InterfaceId>) -> Result<Self, BadDomain> {
        match rules.len() {
            0 => Err(BadDomain::NoRule),
            1..=MAX_RULES => Ok(Self { rules, br, iid }),
            many => Err(BadDomain::TooManyRules(many)),
        }
    }

    /// The same domain in mesh mode, all of its rules for forwarding, or hub-and-spoke, none of them
    /// (RFC 7597 4).
    pub fn with_mesh(mut self, mesh: bool) -> Self {
        self.rules.iter_mut().for_each(|rule| *rule = rule.with_forwarding(mesh));
        self
    }

    /// Whether packets go straight to other CEs.
    pub fn is_mesh(&self) -> bool {
        self.rules.iter().any(Rule::is_forwarding)
    }

    /// The basic rule of a line: the longest that its prefix is in (RFC 7597 5).
    pub fn rule_of(&self, end_user: Prefix6) -> Option<&Rule> {
        map::longest(&self.rules, end_user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_mesh() {
        let rule: Rule = "2001:db8::/40,192.0.2.0/24,16,6".parse().unwrap();
        let of = |n: usize| Domain::new(vec![rule; n], Vec::new(), None);
        assert_eq!(of(0).unwrap_err(), BadDomain::NoRule);
        assert_eq!(of(257).unwrap_err(), BadDomain::TooManyRules(257));
        let domain = of(256).unwrap();
        assert!(!domain.is_mesh() && domain.clone().with_mesh(true).is_mesh());
        assert_eq!(domain.clone().with_mesh(true).with_mesh(false), domain);
    }
}
