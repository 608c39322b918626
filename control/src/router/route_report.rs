//! What `hikyaku show route` is told: where packets go by what workers know, and why.

use std::collections::HashSet;
use std::hash::Hash;

use hikyaku_dataplane::snapshot::{Route, Route6};
use hikyaku_net::Mac;
use hikyaku_ring::LinkId;

use super::Router;
use super::numbers::lan_of;
use super::publish::{self, Known};
use super::report::name_of;
use crate::show::report;

impl Router {
    /// Where packets go, by what workers know: IPv4 and then IPv6, each by address.
    pub fn routes(&self) -> Vec<report::Route> {
        let Some(basis) = &self.published else { return Vec::new() };
        let (mut ipv4, mut ipv6) = (publish::told4(basis, &self.machines), publish::told6(basis));
        ipv4.sort_by_key(|(prefix, ..)| (prefix.address(), prefix.len()));
        ipv6.sort_by_key(|(prefix, ..)| (prefix.address(), prefix.len()));
        let ipv4 = told(ipv4).map(|(prefix, to, origin)| (prefix.to_string(), way4(to), origin));
        let ipv6 = told(ipv6).map(|(prefix, to, origin)| (prefix.to_string(), way6(to), origin));
        let one = |(prefix, way, origin): (String, Way, publish::Origin)| report::Route {
            prefix,
            to: way.to.into(),
            side: way.link.map(|link| self.side(link)),
            station: way.station.map(|mac| mac.to_string()),
            origin: name_of(&origin),
        };
        ipv4.chain(ipv6).map(one).collect()
    }

    /// What a link leads to: `wan`, or the LAN's name.
    fn side(&self, link: LinkId) -> String {
        let lan = lan_of(link).and_then(|lan| self.machines.lans.get(usize::from(lan.0)));
        lan.map_or("wan".into(), |lan| lan.config.name.clone())
    }
}

/// Of two with one prefix the first counts.
fn told<P: Hash + Eq + Copy, R>(routes: Vec<Known<P, R>>) -> impl Iterator<Item = Known<P, R>> {
    let mut seen = HashSet::new();
    routes.into_iter().filter(move |&(prefix, ..)| seen.insert(prefix))
}

/// Where a packet goes.
struct Way {
    to: &'static str,
    link: Option<LinkId>,
    station: Option<Mac>,
}

impl Way {
    fn new(to: &'static str, link: Option<LinkId>) -> Self {
        Self { to, link, station: None }
    }
}

fn way4(to: Route) -> Way {
    match to {
        Route::Softwire(_) => Way::new("tunnel", None),
        Route::Mesh(_) => Way::new("mesh", None),
        Route::Link(link) => Way::new("link", Some(link)),
        Route::Local => Way::new("us", None),
        Route::Unreachable => Way::new("nobody", None),
    }
}

fn way6(to: Route6) -> Way {
    match to {
        Route6::Link(link) => Way::new("link", Some(link)),
        Route6::Gateway { link, mac } => Way { station: Some(mac), ..Way::new("router", Some(link)) },
        Route6::Local => Way::new("us", None),
        Route6::Host => Way::new("host", None),
        Route6::Unreachable => Way::new("nobody", None),
    }
}
