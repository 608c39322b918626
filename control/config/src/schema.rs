//! All keys of the configuration: which struct has the rows of which section.

use hikyaku_schema::output::one_line;
use hikyaku_schema::{Keys, Row, Section, Tuning, reference};

use crate::behaviour::Behaviour;
use crate::lan::{Dhcpv4Keys, Lan, Reservation};
use crate::lan_dns::{DnsForward, DnsHost, LanDnsKeys};
use crate::lan_ipv6::{LanIpv6, Reservation6};
use crate::notification::NotificationKeys;
use crate::provisioning::ProvisioningKeys;
use crate::route::RouteKeys;
use crate::rule::RuleKeys;
use crate::secret::Credentials;
use crate::service::ServiceKeys;
use crate::system::{Control, Log, System};
use crate::wan::{Dhcpv6, Wan};

/// Rows of a section.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The section, as `lan.dhcpv4`.
    pub section: &'static str,
    /// The head above their flags in `--help`.
    pub heading: &'static str,
    /// Whether the section may be there any number of times, as `[[…]]`.
    pub repeated: bool,
    rows: fn() -> Vec<&'static Row>,
}

impl Table {
    const fn of<S: Keys>(section: &'static str) -> Self {
        Self { section, heading: S::HEADING, repeated: false, rows: rows::<S> }
    }

    /// The rows, in the order of the reference.
    pub fn rows(&self) -> Vec<&'static Row> {
        (self.rows)()
    }
}

fn rows<S: Keys>() -> Vec<&'static Row> {
    S::KEYS.iter().map(|key| &key.row).collect()
}

/// The schema of the configuration file.
pub const SCHEMA: &[Table] = &[
    Table::of::<Wan>("wan"),
    Table::of::<Dhcpv6>("wan.dhcpv6"),
    Table::of::<Lan>("lan"),
    Table::of::<Dhcpv4Keys>("lan.dhcpv4"),
    Table { repeated: true, ..Table::of::<Reservation>("lan.dhcpv4.reservation") },
    Table::of::<LanDnsKeys>("lan.dns"),
    Table { repeated: true, ..Table::of::<DnsHost>("lan.dns.host") },
    Table { repeated: true, ..Table::of::<DnsForward>("lan.dns.forward") },
    Table::of::<LanIpv6>("lan.ipv6"),
    Table { repeated: true, ..Table::of::<Reservation6>("lan.ipv6.reservation") },
    Table::of::<ServiceKeys>("service"),
    Table::of::<Behaviour>("service"),
    Table::of::<NotificationKeys>("service.notification"),
    Table::of::<ProvisioningKeys>("service.provisioning"),
    Table { repeated: true, ..Table::of::<RouteKeys>("route") },
    Table { repeated: true, ..Table::of::<RuleKeys>("rule") },
    Table::of::<Tuning>("tuning"),
    Table::of::<Control>("control"),
    Table::of::<Log>("log"),
    Table::of::<System>("system"),
];

/// The keys that are set to another value than their default, as one would write them: `[lan] mtu = 1400`. A secret is not
/// shown.
pub(super) fn set_keys(root: &Section) -> Vec<String> {
    let mut keys = Vec::new();
    for table in SCHEMA {
        for section in root.all(table.section) {
            for row in table.rows() {
                let Some(value) = section.setting(row).map(|setting| setting.value.text()) else { continue };
                if value != row.default {
                    let value = if row.secret { "(not shown)" } else { &value };
                    keys.push(format!("[{}] {} = {}", table.section, row.name, one_line(value)));
                }
            }
        }
    }
    keys
}

/// The reference of all keys, and of those of a credentials file, as it stands in docs/configuration.md.
pub fn reference_text() -> String {
    let mut text = String::new();
    for tables in SCHEMA.chunk_by(|a, b| a.section == b.section) {
        let Table { section, repeated, .. } = tables[0];
        let head = if repeated { format!("[[{section}]]") } else { format!("[{section}]") };
        text += &reference(&head, tables.iter().flat_map(Table::rows));
    }
    text + &reference("credentials file", rows::<Credentials>())
}

#[cfg(test)]
mod tests {
    use hikyaku_schema::{Place, Value};

    use super::*;

    #[test]
    fn every_key_is_shown_if_it_is_set_and_a_secret_only_by_name() {
        let mut root = Section::new("", Place::CommandLine);
        for table in SCHEMA {
            for row in table.rows() {
                root.set(table.section, row.name, "--x", Value::One(row.default.into()));
                let before = set_keys(&root).len();
                root.set(table.section, row.name, "--x", Value::One("hunter2".into()));
                let value = if row.secret { "(not shown)" } else { "hunter2" };
                let shown = set_keys(&root);
                assert!(shown.contains(&format!("[{}] {} = {value}", table.section, row.name)), "{shown:?}");
                assert_eq!(shown.len() - before, 1, "the default is not: {row:?}");
            }
        }
    }
}
