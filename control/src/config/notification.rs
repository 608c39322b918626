//! `[service.notification]`: who is told where we are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hikyaku_protocols::host::host_name;
use hikyaku_protocols::http::{Roots, Secret, Trust};
use hikyaku_protocols::notification::{Config, ConfigError, Dialect, Notifier, Source};

use super::keys::{self, Read};
use super::problem::{Place, Problems};
use super::secret::{Credentials, read_text};
use super::tree::Section;
use super::value::number;

/// One of a few names, each of which means something.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    names: &'static [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    let meaning = |name: String| names.iter().find(|(known, _)| *known == name).map(|&(_, meaning)| meaning);
    PossibleValuesParser::new(names.iter().map(|(name, _)| *name)).try_map(move |name| meaning(name).ok_or("unknown"))
}

/// `[service.notification]` as it is written.
#[derive(Args, Clone, Debug)]
pub struct NotificationKeys {
    /// How the service wants to be told; `url` is any other: a URL that is filled in
    #[arg(long, value_parser = one_of(&Dialect::NAMES))]
    pub dialect: Dialect,

    /// Where it goes; unset: where that service has it. That of dialect `url` has <ipv6>, <ipv4>, <user>, <pass> in it
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,

    /// Name of the account, where the credentials file does not say it
    #[arg(long, value_name = "TEXT")]
    pub user: Option<String>,

    /// File with user, password, token, basic-user, basic-password, as in this file; mode 0600 or 0640
    #[arg(long, value_name = "FILE")]
    pub credentials_file: Option<PathBuf>,

    /// Of xpass-fixed: the name that points to us
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    pub fqdn: Option<String>,

    /// Which address of ours to ask from: our end of the tunnel, or the WAN's own; unset: as the service expects
    #[arg(long, value_parser = one_of(&Source::NAMES))]
    pub from: Option<Source>,

    /// Certificates (PEM) by which a server over https is believed; unset: those that Mozilla ships
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// Seconds after which it is said again though nothing changed, 600 to 604800
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = number(600u32..=604_800))]
    pub interval: u32,
}

/// Reads `[service.notification]`, the credentials file and the certificates.
pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Config> {
    let before = problems.0.len();
    let read = keys::read::<NotificationKeys>(section, &[], problems)?;
    let keys = read.keys.clone();
    let credentials = read_credentials(&read, problems);
    let trust = trust(keys.ca_file.as_deref(), &read.place("ca-file"), problems);
    // A password that everybody on the way could read.
    if keys.dialect == Dialect::Xpass && keys.url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        problems.add(read.place("url"), "url: xpass-fixed is told over https only");
    }
    if keys.dialect != Dialect::Xpass && keys.fqdn.is_some() {
        problems.add(read.place("fqdn"), "fqdn: only xpass-fixed is told a name; leave it out");
    }
    if problems.0.len() > before {
        return None;
    }
    let (credentials, trust) = (credentials?, trust?);
    let config = Config {
        dialect: keys.dialect,
        url: keys.url.clone().map(Secret::from),
        user: credentials.user.clone().unwrap_or_default(),
        pass: credentials.password.clone().unwrap_or_default(),
        name: match keys.dialect {
            Dialect::Xpass => keys.fqdn.clone().map(Secret::from).unwrap_or_default(),
            _ => credentials.token.unwrap_or_default(),
        },
        basic_auth: match (credentials.basic_user, credentials.basic_password) {
            (None, None) => None,
            (user, password) => Some((
                user.or(credentials.user).unwrap_or_default(),
                password.or(credentials.password).unwrap_or_default(),
            )),
        },
        from: keys.from,
        trust,
        repeat: Duration::from_secs(keys.interval.into()),
    };
    // URL, placeholders, what the service wants: the notifier knows.
    if let Err(error) = Notifier::new(config.clone()) {
        let key = match error {
            ConfigError::Missing(..) if keys.credentials_file.is_some() => "credentials-file",
            ConfigError::Missing(..) | ConfigError::NoUrl(_) => "dialect",
            _ => "url",
        };
        problems.add(read.place(key), error.to_string());
        return None;
    }
    Some(config)
}

fn read_credentials(read: &Read<NotificationKeys>, problems: &mut Problems) -> Option<Credentials> {
    let mut credentials = match &read.keys.credentials_file {
        Some(path) => Credentials::open(path, &read.place("credentials-file"), problems)?,
        None => Credentials::default(),
    };
    if let Some(user) = &read.keys.user {
        if credentials.user.is_some() {
            problems.add(read.place("user"), "user: the credentials file has one too; leave one of them out");
        }
        credentials.user = Some(user.clone().into());
    }
    Some(credentials)
}

/// Who vouches for servers: the certificates of a file, or those that come with the program.
pub(super) fn trust(path: Option<&Path>, place: &Place, problems: &mut Problems) -> Option<Trust> {
    let Some(path) = path else { return Some(Trust::default()) };
    let roots = read_text(path).map_err(|error| format!("cannot be read: {error}"));
    let roots = roots.and_then(|pem| Roots::from_pem(pem.as_bytes()).map_err(|error| error.to_string()));
    match roots {
        Ok(roots) => Some(Trust::Roots(roots)),
        Err(why) => {
            problems.add(place.clone(), format!("ca-file {}: {why}", path.display()));
            None
        }
    }
}
