//! What is not as it should be, and stays so until somebody acts: in `hikyaku show status` for as long as it is, in the
//! log when it comes to be.

use hikyaku_config::LINK_MTU;
use hikyaku_dataplane::tunnel::IPV6_MIN_MTU;
use hikyaku_net::Time;

use super::Router;
use super::lan::Lan;
use super::wan::LinkFacts;

impl Router {
    /// All of it, a line each, with what to do.
    pub(super) fn standing(&self, now: Time) -> Vec<String> {
        let narrow_line = narrow(&self.machines.wan.link, "wan", self.config.wan.mtu);
        let of_lans = self.machines.lans.iter().enumerate().flat_map(|(at, lan)| {
            let unfulfilled = self.choice.lans.get(at).into_iter().flat_map(|has| has.unfulfilled.iter().cloned());
            self.of_lan(now, lan).into_iter().chain(unfulfilled.map(|warning| self.said_of(lan) + &warning))
        });
        let trouble = self.machines.filter.trouble.iter().cloned();
        let standing = self.of_config.iter().cloned().chain(narrow_line).chain(trouble).chain(of_lans);
        standing.chain(self.saving.warnings(now)).collect()
    }

    /// What a warning of a LAN begins with, where there are several.
    pub(super) fn said_of(&self, lan: &Lan) -> String {
        if self.machines.lans.len() > 1 { format!("LAN {}: ", lan.config.name) } else { String::new() }
    }

    fn of_lan(&self, now: Time, lan: &Lan) -> Vec<String> {
        let seen = [
            narrow(&lan.link, "lan", Some(lan.config.mtu)),
            lan.stray_router(now, self.machines.wan.slaac.routers().next().is_some()),
            lan.other_dhcpv6_server(now),
        ];
        let taken = lan.taken6.iter().map(|(address, station)| {
            format!(
                "{}: the station {station} has {address}, which was to be ours: remove it there, or give us another with \
                 [lan.ipv6] interface-id",
                lan.link.name
            )
        });
        seen.into_iter().flatten().chain(taken).collect()
    }

    /// Logs what is new of it.
    pub(super) fn tell_standing(&mut self, now: Time) {
        let standing = self.standing(now);
        standing.iter().filter(|warning| !self.told.contains(warning)).for_each(|warning| tracing::warn!("{warning}"));
        self.told = standing;
    }
}

/// An interface that carries less than was asked for.
fn narrow(link: &LinkFacts, section: &str, wanted: Option<u16>) -> Option<String> {
    let LinkFacts { name, mtu, .. } = link;
    let wanted = wanted.unwrap_or(LINK_MTU);
    if section == "wan" && *mtu < IPV6_MIN_MTU {
        return Some(format!(
            "{name}: its largest packet has {mtu} bytes, and IPv6 needs {IPV6_MIN_MTU} (RFC 8200 5): set the interface's MTU \
             to {LINK_MTU}"
        ));
    }
    (*mtu < wanted).then(|| {
        format!(
            "{name}: its largest packet has {mtu} bytes, and [{section}] mtu is {wanted}: set the interface's MTU to {wanted}, \
             or [{section}] mtu = {mtu} if that is meant"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_that_carries_less_than_was_asked_for() {
        let said = |mtu, section, wanted| {
            let link = LinkFacts {
                name: "netmap:ix0".into(),
                mac: Default::default(),
                mtu,
                mode: "native".into(),
                vlan: None,
            };
            narrow(&link, section, wanted).unwrap_or_default()
        };
        let says = "netmap:ix0: its largest packet has 1400 bytes, and [lan] mtu is 1500: set the interface's MTU to 1500, or [lan] mtu = \
                    1400 if that is meant";
        assert_eq!(said(1400, "lan", Some(1500)), says);
        assert_eq!(said(1400, "lan", Some(1400)), "");
        assert!(said(1400, "wan", None).contains("[wan] mtu is 1500"), "Ethernet's, where nothing is said");
        assert_eq!(said(1400, "wan", Some(1400)), "");
        // RFC 8200 5: no [wan] mtu makes an IPv6 link of it.
        assert!(said(1200, "wan", Some(1280)).contains("IPv6 needs 1280"));
    }
}
