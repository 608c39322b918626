//! The reference of all keys, made from the structs that read them.

use std::fmt::Write;

use clap::Args;

use super::keys::{Key, keys};
use super::lan::{Dhcpv4Keys, Lan, Reservation};
use super::notification::NotificationKeys;
use super::provisioning::ProvisioningKeys;
use super::secret::Credentials;
use super::service::ServiceKeys;
use super::system::{Control, Log, System};
use super::wan::{Dhcpv6, Wan};
use crate::tuning::TuningArgs;

/// Every section and its keys.
pub fn sections() -> Vec<(&'static str, Vec<Key>)> {
    fn of<T: Args>(head: &'static str) -> (&'static str, Vec<Key>) {
        (head, keys::<T>())
    }
    vec![
        of::<Wan>("[wan]"),
        of::<Dhcpv6>("[wan.dhcpv6]"),
        of::<Lan>("[lan]"),
        of::<Dhcpv4Keys>("[lan.dhcpv4]"),
        of::<Reservation>("[[lan.dhcpv4.reservation]]"),
        of::<ServiceKeys>("[service]"),
        of::<NotificationKeys>("[service.notification]"),
        of::<ProvisioningKeys>("[service.provisioning]"),
        of::<Credentials>("credentials file"),
        of::<TuningArgs>("[tuning]"),
        of::<Control>("[control]"),
        of::<Log>("[log]"),
        of::<System>("[system]"),
    ]
}

/// The reference, as it stands in docs/configuration.md.
pub fn reference() -> String {
    let mut text = String::new();
    for (head, keys) in sections() {
        let _ = write!(text, "### `{head}`\n\n| key | value | default | |\n| --- | --- | --- | --- |\n");
        for key in keys {
            let value = key.value.replace('|', " or ");
            let default = match key.default.as_deref() {
                None => "must be set".to_string(),
                Some("") => String::new(),
                Some(default) => format!("`{default}`"),
            };
            let help = key.help.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ");
            let _ = writeln!(text, "| `{}` | {value} | {default} | {help} |", key.name);
        }
        text.push('\n');
    }
    text
}
