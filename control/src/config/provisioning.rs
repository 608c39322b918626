//! `[service.provisioning]`: what the line's provisioning server is told, and by whom it is vouched for.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use hikyaku_protocols::hb46pp::{self, Config, Identity, Product, VendorId};
use hikyaku_protocols::host::host_name;

use super::keys;
use super::notification::trust;
use super::problem::Problems;
use super::secret::Credentials;
use super::tree::Section;

/// `[service.provisioning]` as it is written.
#[derive(Args, Clone, Debug)]
pub struct ProvisioningKeys {
    /// Ask it, where the service does not say everything already
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub enabled: bool,

    /// Our vendor as servers are told: six hex digits, perhaps - and a word; unset: docs/hb46pp.md
    #[arg(long, value_name = "ID")]
    pub vendor_id: Option<VendorId>,

    /// Our product as servers are told; unset: hikyaku
    #[arg(long, value_name = "NAME")]
    pub product: Option<Product>,

    /// File with user and password, if the provider gave some; mode 0600 or 0640
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,

    /// The one server that may see them, by its certificate; unset: whichever the line names
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub server: Option<String>,

    /// Certificates (PEM) by which a server is believed; unset: those that Mozilla ships
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Reads it and the files it names. `Some(None)`: nobody is to be asked.
pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Option<Config>> {
    let before = problems.0.len();
    let read = keys::read::<ProvisioningKeys>(section, &[], problems)?;
    let keys = &read.keys;
    let credentials = keys.credentials_file.as_ref().and_then(|path| {
        let place = read.place("credentials-file");
        let credentials = Credentials::open(path, &place, problems)?;
        let (Some(user), Some(pass)) = (credentials.user, credentials.password) else {
            problems.add(place, format!("credentials-file {}: it lacks user or password", path.display()));
            return None;
        };
        Some(hb46pp::Credentials { user, pass, server: keys.server.clone() })
    });
    if keys.server.is_some() && keys.credentials_file.is_none() {
        problems.add(read.place("server"), "server: there are no credentials to keep from others; leave it out");
    }
    let trust = trust(keys.ca_file.as_deref(), &read.place("ca-file"), problems);
    let default = Identity::default();
    let identity = Identity {
        vendor: keys.vendor_id.clone().unwrap_or(default.vendor),
        product: keys.product.clone().unwrap_or(default.product),
        ..default
    };
    (problems.0.len() == before).then_some(())?;
    Some(keys.enabled.then_some(Config { identity, credentials, trust: trust? }))
}
