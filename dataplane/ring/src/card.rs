//! What a card does to frames for the system's own stack, and a router must have switched off.

use super::platform::{self, Adapter, Card};

impl Card {
    /// What its owner should know, a line each with the command that helps. `host`: its host rings are in use; `vlan`: the link
    /// is one VLAN of its wire.
    pub fn notes(&self, interface: &str, adapter: Adapter, host: bool, vlan: bool) -> Vec<String> {
        let emulated = adapter == Adapter::Emulated;
        let pause = (
            self.pauses,
            "flow control is on: a station that asks for a pause holds up the router",
            platform::no_pause_command(interface),
        );
        let unfinished = (
            self.finishes && host,
            "the server's own TCP and UDP are dropped, for their checksums are left to the card",
            platform::no_offload_command(interface),
        );
        // netmap's emulated adapter takes frames behind the place where Linux merges them, and puts tags back itself.
        let merged = (
            self.merges && emulated,
            "TCP segments are merged before they come here, and TCP stalls",
            platform::no_offload_command(interface),
        );
        let tags = (
            (self.takes_tags || self.filters_vlans) && vlan && !emulated,
            "the card takes VLAN tags out of frames, or drops VLANs that the system has no interface for",
            platform::keep_tags_command(interface),
        );
        let mut notes: Vec<String> = Vec::new();
        for (is_so, what, command) in [pause, unfinished, merged, tags] {
            if is_so {
                notes.push(format!("{what}: {command}"));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_told_with_a_command() {
        let all = Card { finishes: true, merges: true, takes_tags: true, filters_vlans: true, pauses: true };
        let [host, vlan] = [Card { pauses: false, ..all }; 2];
        for (card, adapter, uses, expected) in [
            (Card::default(), Adapter::Native, (true, true), &[][..]),
            (all, Adapter::Native, (false, false), &["flow control"]),
            (host, Adapter::Native, (true, false), &["the server's own"]),
            (vlan, Adapter::Unknown, (false, true), &["the card takes VLAN tags"]),
            (vlan, Adapter::Emulated, (false, true), &["TCP segments are merged"]),
            (all, Adapter::Native, (true, true), &["flow control", "the server's own", "the card takes VLAN tags"]),
        ] {
            let notes = card.notes("ix0", adapter, uses.0, uses.1);
            assert!(notes.iter().zip(expected).all(|(note, begins)| note.starts_with(begins)), "{notes:?}");
            assert_eq!(notes.len(), expected.len(), "{notes:?}");
            assert!(notes.iter().all(|note| note.contains("ix0") || note.contains("dev.ix.0")), "{notes:?}");
        }
    }
}
