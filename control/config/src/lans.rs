//! The LANs as a whole: `[lan]`, or several `[[lan]]`. What one may not be beside the others.

use std::net::Ipv4Addr;

use hikyaku_dataplane::napt::LanId;
use hikyaku_ring::{LinkKind, LinkName};
use hikyaku_schema::{Problems, Read, Section};

use crate::lan::Lan;
use crate::value::Network4;
use crate::wan::Wan;

/// The most LANs that are taken: each is a link, and the host's own stack behind it another.
pub const MAX_LANS: usize = 7;

/// Reads them, each whatever is wrong with the others. None of an empty list: a router without a LAN is told what it lacks.
pub(crate) fn read(mut sections: Vec<Section>, none: Section, problems: &mut Problems) -> Option<Vec<Read<Lan>>> {
    if sections.is_empty() {
        sections.push(none);
    }
    if let Some(first_too_many) = sections.get(MAX_LANS) {
        problems.add(first_too_many.place.clone(), format!("[[lan]]: give at most {MAX_LANS}"));
    }
    sections.truncate(MAX_LANS);
    let lans: Vec<_> = sections.into_iter().map(|section| Lan::read(section, problems)).collect();
    let mut lans: Vec<Read<Lan>> = lans.into_iter().collect::<Option<_>>()?;
    for (at, lan) in lans.iter_mut().enumerate().filter(|(_, lan)| lan.keys.name.is_empty()) {
        lan.keys.name = if at == 0 { "lan".into() } else { format!("lan{}", at + 1) };
    }
    Some(lans)
}

/// What only all of them tell. Of two that do not go together it is said at the second.
pub(crate) fn check(lans: &[Read<Lan>], wan: &Wan, problems: &mut Problems) {
    for (at, Read { keys: lan, at: place }) in lans.iter().enumerate() {
        let mut wrong = |key: &str, why: String| problems.add(place.place(key), why);
        if same_interface(&wan.link, &lan.link) {
            let (name, both) = (&lan.link, &wan.link);
            wrong("link", format!("link = '{name}': [wan] has {both}; the two sides are two links"));
        }
        for Read { keys: other, .. } in &lans[..at] {
            let (name, link, other_name) = (&lan.name, &lan.link, &other.name);
            if name == other_name {
                wrong("name", format!("name = '{name}': another LAN has it already; give it one of its own"));
            }
            if same_interface(link, &other.link) {
                let why = "each LAN has a link of its own so far; give it another";
                wrong("link", format!("link = '{link}': the LAN {other_name} has {}; {why}", other.link));
            }
            let (a, b) = (lan.ipv4.prefix(), other.ipv4.prefix());
            if a.contains(b.address().into()) || b.contains(a.address().into()) {
                let (ipv4, of) = (lan.ipv4, other.ipv4);
                let why = "an address is in one network only; take another";
                wrong("ipv4", format!("ipv4 = '{ipv4}': the LAN {other_name} is {of}, and the two overlap; {why}"));
            }
            if let Some(id) = lan.ipv6.subnet_id.filter(|_| lan.ipv6.subnet_id == other.ipv6.subnet_id) {
                let why = "each has a /64 of its own; give it another, or leave it out";
                wrong("name", format!("[lan.ipv6] subnet-id = {id}: the LAN {other_name} has it already; {why}"));
            }
            if let (Some(len), Some(_)) = (lan.ipv6.delegate, other.ipv6.delegate) {
                let why = "routers behind one LAN get prefixes; leave it out here, or there";
                wrong("name", format!("[lan.ipv6] delegate = {len}: the LAN {other_name} has it, too; {why}"));
            }
        }
    }
}

/// The LAN that a host is of, by the networks of all LANs.
pub fn lan_of(networks: impl IntoIterator<Item = Network4>, host: Ipv4Addr) -> Option<LanId> {
    let at = networks.into_iter().position(|lan| lan.is_host(host) && host != lan.address)?;
    u8::try_from(at).ok().map(LanId)
}

/// The networks of all LANs, for people: `192.168.1.1/24`, or `192.168.1.1/24 or 192.168.2.1/24`.
pub(crate) fn networks(lans: &[Lan]) -> String {
    lans.iter().map(|lan| lan.ipv4.to_string()).collect::<Vec<_>>().join(" or ")
}

/// Two sides of one interface, whatever its queues and however it is reached, would hear each other's frames.
fn same_interface(a: &LinkName, b: &LinkName) -> bool {
    let is_interface = |name: &LinkName| matches!(name.kind(), LinkKind::Interface | LinkKind::Xdp);
    a.port() == b.port() && (a.kind() == b.kind() || is_interface(a) && is_interface(b))
}
