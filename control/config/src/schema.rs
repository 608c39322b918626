//! All keys of the configuration: which struct has the rows of which section.

use hikyaku_schema::{Keys, Row, Tuning, reference};

use crate::behaviour::Behaviour;
use crate::lan::{Dhcpv4Keys, Lan, Reservation};
use crate::notification::NotificationKeys;
use crate::provisioning::ProvisioningKeys;
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
    Table::of::<ServiceKeys>("service"),
    Table::of::<Behaviour>("service"),
    Table::of::<NotificationKeys>("service.notification"),
    Table::of::<ProvisioningKeys>("service.provisioning"),
    Table::of::<Tuning>("tuning"),
    Table::of::<Control>("control"),
    Table::of::<Log>("log"),
    Table::of::<System>("system"),
];

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
