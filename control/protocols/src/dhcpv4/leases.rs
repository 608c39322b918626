//! Leases as they are shown, and as they are kept in a file.

use std::net::Ipv4Addr;
use std::sync::Arc;

use hikyaku_net::Mac;
use serde::{Deserialize, Serialize};

use super::table::{Client, Holder};
use crate::text::hex;

/// An address that is in use, for `hikyaku show leases`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The address that is in use.
    pub address: Ipv4Addr,
    /// The station that has it; absent for a conflict.
    pub mac: Option<Mac>,
    /// As the station calls itself.
    pub hostname: Option<Arc<str>>,
    /// What it is in use for.
    pub standing: Standing,
    /// Seconds until this use of it ends.
    pub left: u64,
}

/// What an address is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// About to be offered, if nobody has it.
    Probing,
    /// Offered, not taken yet.
    Offered,
    /// Leased to a station.
    Leased,
    /// Set aside: somebody has it.
    Conflict,
}

/// What a restart must not lose; times in seconds of Unix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseFile {
    /// When it was written, in seconds of Unix.
    pub saved: u64,
    /// Leases, and who had an address before: it gets the same again.
    pub leases: Vec<SavedLease>,
}

/// A lease in a [`LeaseFile`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedLease {
    /// The address that is leased.
    pub address: Ipv4Addr,
    /// The Ethernet address of the station that has it.
    #[serde(with = "crate::text::mac")]
    pub mac: Mac,
    /// The client identifier (option 61), in hex, if the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Another station that was there at the same time has that identifier, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared_id: bool,
    /// As the station calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// It renewed a lease before: its address stays its own for as long as there is room.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub known: bool,
    /// The switch port that it is at, in hex, if the switch says so (circuit id and remote id of option 82).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub circuit: Option<String>,
    /// When it ends, or ended, in seconds of Unix.
    pub until: u64,
}

/// All leases as they are at one moment: quick to make, and made a [`LeaseFile`] of where there is time.
#[derive(Clone, Debug)]
pub struct LeaseSnapshot {
    pub(super) saved: u64,
    /// With when each ends, or ended, in seconds of Unix.
    pub(super) leases: Vec<(Ipv4Addr, Holder, u64)>,
}

impl LeaseSnapshot {
    /// What is to be written.
    pub fn file(&self) -> LeaseFile {
        let saved = |&(address, ref holder, until): &(Ipv4Addr, Holder, u64)| {
            let (client_id, shared_id) = match &holder.client {
                Client::Id(id) => (Some(hex(id)), false),
                Client::SharedId(id, _) => (Some(hex(id)), true),
                Client::Station(_) => (None, false),
            };
            let hostname = holder.hostname.as_deref().map(str::to_owned);
            let circuit = holder.circuit.as_ref().map(|circuit| hex(&circuit.0));
            SavedLease {
                address,
                mac: holder.mac,
                client_id,
                shared_id,
                hostname,
                known: holder.is_known,
                circuit,
                until,
            }
        };
        LeaseFile { saved: self.saved, leases: self.leases.iter().map(saved).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_json() {
        let lease = SavedLease {
            address: Ipv4Addr::new(192, 0, 2, 9),
            mac: Mac([2, 0, 0, 0, 0, 0xab]),
            client_id: Some(hex(&[1, 0xfe])),
            shared_id: false,
            hostname: None,
            known: false,
            circuit: None,
            until: 5,
        };
        let json = serde_json::to_string(&lease).unwrap();
        assert_eq!(json, r#"{"address":"192.0.2.9","mac":"02:00:00:00:00:ab","client_id":"01fe","until":5}"#);
        assert_eq!(serde_json::from_str::<SavedLease>(&json).unwrap(), lease);
        let wrong = json.replace(":ab", "");
        assert!(serde_json::from_str::<SavedLease>(&wrong).unwrap_err().to_string().contains("no Ethernet address"));
    }
}
