//! A configuration that is read again while the router runs: what of it is taken up, and what needs a restart.

use hikyaku_schema::Keys;

use crate::config::Config;

impl Config {
    /// What a router that runs with `self` goes on with when `read` was read: all that changes without new links,
    /// threads or tables. What does not ([`hikyaku_schema::Change::Restart`]) stays as it is; the second are the keys of
    /// that which are to be another, such as `[wan] link`.
    pub fn reloaded(&self, mut read: Self) -> (Self, Vec<String>) {
        let mut kept = Vec::new();
        let mut keep = |section: &str, names: Vec<&str>| {
            kept.extend(names.into_iter().map(|name| format!("[{section}] {name}")));
        };
        keep("wan", read.wan.keep(&self.wan));
        keep("wan.dhcpv6", read.wan.dhcpv6.keep(&self.wan.dhcpv6));
        let names = |config: &Self| config.lans.iter().map(|lan| lan.name.clone()).collect::<Vec<_>>();
        if names(self) == names(&read) {
            read.lans.iter_mut().zip(&self.lans).for_each(|(lan, was)| keep("lan", lan.keep(was)));
        } else {
            // What is said of a LAN is said of its number, too: all of that stays.
            keep("[lan]", vec!["name"]);
            read.lans.clone_from(&self.lans);
            read.routes.clone_from(&self.routes);
            read.rules.clone_from(&self.rules);
            read.service.behaviour.forward.clone_from(&self.service.behaviour.forward);
        }
        keep("service", read.service.behaviour.keep(&self.service.behaviour));
        keep("tuning", read.tuning.keep(&self.tuning));
        keep("control", read.control.keep(&self.control));
        keep("log", read.log.keep(&self.log));
        keep("system", read.system.keep(&self.system));
        (read, kept)
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_schema::Change;

    use crate::SCHEMA;

    /// The structs of other sections are not kept as they are read: no key of theirs may need a restart.
    #[test]
    fn every_key_that_takes_a_restart_is_looked_at() {
        let looked_at = ["wan", "wan.dhcpv6", "lan", "service", "tuning", "control", "log", "system"];
        for table in SCHEMA {
            let is_of_service = table.section == "service" && table.heading != "Behaviour";
            for row in table.rows().into_iter().filter(|_| is_of_service || !looked_at.contains(&table.section)) {
                assert_eq!(row.change, Change::Live, "[{}] {}", table.section, row.name);
            }
        }
    }
}
