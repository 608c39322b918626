//! How links, LANs and ways to the Internet are numbered, for snapshots, workers and sessions.
//!
//! Links: that of the first LAN, the line's, those of further LANs; then, where the host's own stack is behind any of them, that
//! of each in the same order.

use hikyaku_dataplane::napt::{LanId, UplinkId};
use hikyaku_ring::LinkId;

/// The link towards the hosts of the first LAN.
pub const LAN: LinkId = LinkId(0);
/// The link towards the line.
pub const WAN: LinkId = LinkId(1);
/// The line's number among ways to the Internet: there is one.
pub const UPLINK: UplinkId = UplinkId(0);

/// The link towards the hosts of a LAN.
pub fn link_of(lan: LanId) -> LinkId {
    LinkId(if lan.0 == 0 { 0 } else { lan.0 + 1 })
}

/// The LAN whose hosts a link leads to; `None`: it leads to the line.
pub fn lan_of(link: LinkId) -> Option<LanId> {
    match link {
        WAN => None,
        LinkId(number) => Some(LanId(number.saturating_sub(1))),
    }
}

/// The host's own stack behind one of `links` links.
pub fn host_of(link: LinkId, links: usize) -> LinkId {
    LinkId(link.0 + links as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_number() {
        let all: Vec<LinkId> = (0..7).map(|lan| link_of(LanId(lan))).collect();
        assert_eq!(all, [0, 2, 3, 4, 5, 6, 7].map(LinkId));
        for (lan, link) in all.into_iter().enumerate() {
            assert_eq!(lan_of(link), Some(LanId(lan as u8)));
        }
        assert_eq!(lan_of(WAN), None);
        assert_eq!([LAN, WAN].map(|link| host_of(link, 2)), [LinkId(2), LinkId(3)]);
    }
}
