//! `[service.provisioning]`: what the line's provisioning server is told, and by whom it is vouched for.

use std::path::PathBuf;
use std::str::FromStr;

use hikyaku_protocols::hb46pp::{self, Config, Identity, Product, VendorId};
use hikyaku_protocols::host::host_name;
use hikyaku_schema::{Change::Live, Key, Keys, Problems, Section, Syntax::*, boolean, field, key};

use crate::notification::trust;
use crate::secret::Credentials;

/// Section `[service.provisioning]` as it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct ProvisioningKeys {
    enabled: bool,
    vendor_id: Option<VendorId>,
    product: Option<Product>,
    credentials_file: Option<PathBuf>,
    server: Option<String>,
    ca_file: Option<PathBuf>,
}

impl Keys for ProvisioningKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("enabled", Bool, Live, field!(enabled, boolean),
            "Ask the line's provisioning server (HB46PP), where the service does not say everything already").default("true"),
        key("vendor-id", One("ID"), Live, field!(vendor_id, VendorId::from_str),
            "Our vendor as servers are told: six hex digits, perhaps - and a word; unset: docs/hb46pp.md"),
        key("product", One("NAME"), Live, field!(product, Product::from_str),
            "Our product as servers are told; unset: hikyaku"),
        key("credentials-file", File, Live, field!(credentials_file, PathBuf::from_str),
            "File with user and password, if the provider gave some; mode 0600 or 0640"),
        key("server", One("NAME"), Live, field!(server, host_name),
            "The one server that may see user and password, by its certificate; unset: whichever the line names"),
        key("ca-file", File, Live, field!(ca_file, PathBuf::from_str),
            "Certificates (PEM) by which a server is believed; unset: those that Mozilla ships"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

/// Reads it and the files it names. `Some(None)`: nobody is to be asked.
pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Option<Config>> {
    let before = problems.0.len();
    let read = section.read::<ProvisioningKeys>(&[], problems)?;
    let keys = &read.keys;
    let credentials = keys.credentials_file.as_ref().and_then(|path| {
        let place = read.at.place("credentials-file");
        let credentials = Credentials::open(path, &place, problems)?;
        let (Some(user), Some(pass)) = (credentials.user, credentials.password) else {
            problems.add(place, format!("credentials-file {}: it lacks user or password", path.display()));
            return None;
        };
        Some(hb46pp::Credentials { user, pass, server: keys.server.clone() })
    });
    if keys.server.is_some() && keys.credentials_file.is_none() {
        problems.add(read.at.place("server"), "server: there are no credentials to keep from others; leave it out");
    }
    let trust = trust(keys.ca_file.as_deref(), &read.at.place("ca-file"), problems);
    let default = Identity::default();
    let identity = Identity {
        vendor: keys.vendor_id.clone().unwrap_or(default.vendor),
        product: keys.product.clone().unwrap_or(default.product),
        ..default
    };
    (problems.0.len() == before).then_some(())?;
    Some(keys.enabled.then_some(Config { identity, credentials, trust: trust? }))
}
