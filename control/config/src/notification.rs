//! `[service.notification]`: who is told where we are.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use hikyaku_protocols::host::host_name;
use hikyaku_protocols::http::{Roots, Secret, Trust};
use hikyaku_protocols::notification::{Config, ConfigError, Dialect, Notifier, Source};
use hikyaku_schema::{Change::Live, Key, Keys, Place, Problems, Read, Section, Syntax::*};
use hikyaku_schema::{field, key, number, one_of, read_text, words};

use crate::secret::Credentials;

/// Section `[service.notification]` as it is written.
#[derive(Clone, Debug)]
pub(super) struct NotificationKeys {
    dialect: Dialect,
    url: Option<String>,
    user: Option<String>,
    credentials_file: Option<PathBuf>,
    fqdn: Option<String>,
    from: Option<Source>,
    ca_file: Option<PathBuf>,
    interval: u32,
}

impl Keys for NotificationKeys {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("dialect", OneOf("NAME", || words(&Dialect::NAMES)), Live, field!(dialect, one_of(&Dialect::NAMES)),
            "How the service wants to be told; `url` is any other: a URL that is filled in").required(),
        key("url", One("URL"), Live, field!(url, String::from_str),
            "URL that is told; unset: the one that the service has. That of dialect `url` has <ipv6>, <ipv4>, <user>, <pass> \
             in it").secret(),
        key("user", One("TEXT"), Live, field!(user, String::from_str),
            "Name of the account, where the credentials file does not say it"),
        key("credentials-file", File, Live, field!(credentials_file, PathBuf::from_str),
            "File with user, password, token, basic-user, basic-password, as in this file; mode 0600 or 0640"),
        key("fqdn", One("NAME"), Live, field!(fqdn, host_name),
            "Of xpass-fixed: the name that points to us"),
        key("from", OneOf("END", || words(&Source::NAMES)), Live, field!(from, one_of(&Source::NAMES)),
            "Which address of ours to ask from: our end of the tunnel, or the WAN's own; unset: as the service expects"),
        key("ca-file", File, Live, field!(ca_file, PathBuf::from_str),
            "Certificates (PEM) by which a server over https is believed; unset: those that Mozilla ships"),
        key("interval", One("SECONDS"), Live, field!(interval, number(600u32..=604_800)),
            "Seconds after which the service is told again though nothing changed, 600 to 604800").default("3600"),
    ];

    fn blank() -> Self {
        let (dialect, url, user, credentials_file) = (Dialect::Url, None, None, None);
        Self { dialect, url, user, credentials_file, fqdn: None, from: None, ca_file: None, interval: 0 }
    }
}

/// Reads `[service.notification]`, the credentials file and the certificates.
pub(super) fn read(section: Section, problems: &mut Problems) -> Option<Config> {
    let before = problems.0.len();
    let read = section.read::<NotificationKeys>(&[], problems)?;
    let keys = read.keys.clone();
    let credentials = read_credentials(&read, problems);
    let trust = trust(keys.ca_file.as_deref(), &read.at.place("ca-file"), problems);
    // A password that everybody on the way could read.
    if keys.dialect == Dialect::Xpass && keys.url.as_ref().is_some_and(|url| !url.starts_with("https://")) {
        problems.add(read.at.place("url"), "url: xpass-fixed is told over https only");
    }
    if keys.dialect != Dialect::Xpass && keys.fqdn.is_some() {
        problems.add(read.at.place("fqdn"), "fqdn: only xpass-fixed is told a name; leave it out");
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
        problems.add(read.at.place(key), error.to_string());
        return None;
    }
    Some(config)
}

fn read_credentials(read: &Read<NotificationKeys>, problems: &mut Problems) -> Option<Credentials> {
    let mut credentials = match &read.keys.credentials_file {
        Some(path) => Credentials::open(path, &read.at.place("credentials-file"), problems)?,
        None => Credentials::default(),
    };
    if let Some(user) = &read.keys.user {
        if credentials.user.is_some() {
            problems.add(read.at.place("user"), "user: the credentials file has one too; leave one of them out");
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
