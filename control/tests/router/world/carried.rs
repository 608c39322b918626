//! What every snapshot that is published must be: of one technology, and whole.

use std::collections::HashMap;
use std::net::Ipv6Addr;

use etherparse::TransportSlice;
use hikyaku::router::WAN;
use hikyaku_dataplane::snapshot::{Route, Snapshot, Softwire, SoftwireId};
use hikyaku_net::PortSet;
use hikyaku_net::map::InterfaceId;

/// Who translates for a far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translates {
    /// The far end translates (DS-Lite).
    FarEnd,
    /// We do, to an address that is all ours.
    WholeAddress,
    /// We do, to a share of an address.
    Share,
}

/// Panics if it is not.
pub fn check(snapshot: &Snapshot, far_ends: &HashMap<Ipv6Addr, Translates>) {
    let default = snapshot.routes.default_route();
    match &snapshot.softwires[..] {
        [] => assert!(!matches!(default, Route::Softwire(_)), "a route into no softwire"),
        [softwire] => {
            assert_eq!(default, Route::Softwire(SoftwireId(0)));
            check_softwire(softwire, far_ends);
            for prefix in softwire.mesh.iter().flat_map(|mesh| mesh.prefixes()) {
                assert_eq!(
                    snapshot.routes.lookup(prefix.address().into()),
                    Route::Mesh(SoftwireId(0)),
                    "{prefix} of the mesh"
                );
            }
        }
        many => panic!("{} softwires at once", many.len()),
    }
}

/// Panics if this is a question of ours and workers do not know that we listen for its answer.
pub fn check_is_heard(snapshot: &Snapshot, frame: &[u8]) {
    let Ok(frame) = etherparse::SlicedPacket::from_ethernet(frame) else { return };
    let port = match &frame.transport {
        Some(TransportSlice::Udp(udp)) => (17, udp.source_port()),
        Some(TransportSlice::Tcp(tcp)) if tcp.syn() => (6, tcp.source_port()),
        _ => return,
    };
    assert!(snapshot.links[WAN.index()].listens.contains(port.0, port.1), "nobody hears what is answered to {port:?}");
}

fn check_softwire(softwire: &Softwire, far_ends: &HashMap<Ipv6Addr, Translates>) {
    let (local, remote) = (Ipv6Addr::from(softwire.local), Ipv6Addr::from(softwire.remote));
    assert_eq!(softwire.link, WAN);
    assert_ne!(local, remote, "a tunnel has two ends");
    let translates = match &softwire.napt {
        None => Translates::FarEnd,
        Some(napt) if napt.port_set() == PortSet::ALL => Translates::WholeAddress,
        Some(napt) => {
            let (ipv4, psid) = (napt.outside(), napt.port_set().psid());
            // RFC 7597 6, and draft 03: the address says which share it has.
            let forms = [InterfaceId::Rfc7597, InterfaceId::Draft03].map(|form| form.of(ipv4, psid));
            assert!(forms.contains(&(local.to_bits() as u64)), "{local} for {ipv4}, PSID {psid}");
            Translates::Share
        }
    };
    assert!(softwire.mesh.is_none() || translates == Translates::Share, "a mesh without ports");
    if let Some(expected) = far_ends.get(&remote) {
        assert_eq!(translates, *expected, "{local} to {remote}");
    }
}
