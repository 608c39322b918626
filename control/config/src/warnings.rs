//! What a configuration may say and its user can hardly mean: no mistake, but to be known.

use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::tunnel::{IPV6_MIN_MTU, OUTER_LEN};
use hikyaku_protocols::service::Technology;

use crate::config::Config;
use crate::lan::Lan;
use crate::lan_ipv6::LanDhcpv6;

impl Config {
    /// What it leaves undone or cannot have, a line each, with what to do about it. Asks the machine for its cores.
    pub fn warnings(&self) -> Vec<String> {
        let of_lans = self.lans.iter().flat_map(|lan| {
            let of = if self.lans.len() > 1 { format!("LAN {}: ", lan.name) } else { String::new() };
            let found = [no_resolver(lan), narrow_lan(lan), kept_for_nothing(lan)];
            found.into_iter().flatten().map(move |warning| of.clone() + &warning)
        });
        let found = [self.untold(), self.narrow_line(), self.missing_cores()];
        of_lans.chain(found.into_iter().flatten()).chain(self.rules.warnings()).collect()
    }

    /// A fixed address whose service wants to be told where we are, as far as that is known of it.
    fn untold(&self) -> Option<String> {
        let (service, profile) = (&self.service, self.service.wish.name.profile());
        let is_untold = profile.technology == Some(Technology::Ipip) && service.notification.is_none();
        profile.notification.filter(|_| is_untold).map(|dialect| {
            format!(
                "{} has to be told where we are ({dialect}), and [service.notification] is not there: packets may not come \
                 back; give it what the contract sheet says",
                service.wish.name
            )
        })
    }

    fn narrow_line(&self) -> Option<String> {
        let MtuMode::Strict { mtu: wanted } = self.service.mtu else { return None };
        let line = self.wan.mtu?;
        let fits = self.service.mtu.inner_mtu(line);
        (fits < wanted).then(|| {
            format!(
                "[wan] mtu = {line} leaves packets of {fits} bytes to the tunnel, and [service] tunnel-mtu is {wanted}: make \
                 the one {fits}, or the other {}",
                usize::from(wanted) + OUTER_LEN
            )
        })
    }

    fn missing_cores(&self) -> Option<String> {
        let missing: Vec<String> = self.tuning.missing_cores().iter().map(usize::to_string).collect();
        (!missing.is_empty()).then(|| {
            format!(
                "[tuning] cores: there is no core {}, or it is not ours to use; its worker runs where the system puts it \
                 (`lscpu --extended` lists cores)",
                missing.join(", ")
            )
        })
    }
}

fn no_resolver(lan: &Lan) -> Option<String> {
    lan.dhcpv4.as_ref().filter(|dhcpv4| dhcpv4.dns.is_empty()).map(|_| {
        "DHCPv4 tells hosts no resolver: switch on ours, as [lan.dns] enabled = true, or name some that hosts can reach, \
         as [lan.dhcpv4] dns = [\"ADDR\"]"
            .into()
    })
}

/// RFC 8200 5: a link of IPv6 carries 1280 bytes.
fn narrow_lan(lan: &Lan) -> Option<String> {
    let mtu = lan.mtu;
    (lan.ipv6.is_on() && mtu < IPV6_MIN_MTU).then(|| {
        format!(
            "[lan] mtu = {mtu} is too little for IPv6, which needs {IPV6_MIN_MTU} (RFC 8200 5): hosts have none; make it \
             that much, or say [lan.ipv6] mode = \"off\""
        )
    })
}

/// Reservations of what DHCPv6 does not give.
fn kept_for_nothing(lan: &Lan) -> Option<String> {
    let ipv6 = &lan.ipv6;
    let gives_addresses = ipv6.dhcpv6 == LanDhcpv6::Stateful;
    let addresses = ipv6.reservations.iter().filter_map(|kept| kept.interface_id).filter(|_| !gives_addresses);
    let prefixes = ipv6.reservations.iter().filter_map(|kept| kept.subnet_id).filter(|_| ipv6.delegate.is_none());
    let (addresses, prefixes) = (addresses.count(), prefixes.count());
    match (addresses, prefixes) {
        (0, 0) => None,
        (0, _) => Some(format!(
            "{prefixes} prefixes are reserved in [[lan.ipv6.reservation]], and none are given: say how long they are, as \
             [lan.ipv6] delegate = 60"
        )),
        _ => Some(format!(
            "{addresses} IPv6 addresses are reserved in [[lan.ipv6.reservation]], and none are given: say [lan.ipv6] dhcpv6 \
             = \"stateful\""
        )),
    }
}
