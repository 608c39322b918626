//! The file that passwords come from.

use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use hikyaku_protocols::http::Secret;
use hikyaku_schema::{Change::Live, Key, Keys, Place, Problems, Section, Syntax::One, field, key, open, text_of};

/// Text that is one: there is none that is not.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// What a credentials file says; which of it a service wants, [`hikyaku_protocols::notification::Notifier::new`] knows.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The name of the account.
    pub user: Option<Secret>,
    /// The password of the account.
    pub password: Option<Secret>,
    /// The token that the service issued.
    pub token: Option<Secret>,
    /// The name for HTTP Basic (RFC 7617), where it differs from `user`.
    pub basic_user: Option<Secret>,
    /// The password for HTTP Basic, where it differs from `password`.
    pub basic_password: Option<Secret>,
}

impl Keys for Credentials {
    #[rustfmt::skip]
    const KEYS: &'static [Key<Self>] = &[
        key("user", One("TEXT"), Live, field!(user, secret), "Name of the account"),
        key("password", One("TEXT"), Live, field!(password, secret), "Password of the account"),
        key("token", One("TEXT"), Live, field!(token, secret), "The issued token (ocn-fixed: the value of `hostname`)"),
        key("basic-user", One("TEXT"), Live, field!(basic_user, secret),
            "Name for HTTP Basic, where it differs from `user`"),
        key("basic-password", One("TEXT"), Live, field!(basic_password, secret),
            "Password for HTTP Basic, where it differs from `password`"),
    ];

    fn blank() -> Self {
        Self::default()
    }
}

impl Credentials {
    /// Reads a credentials file. It is refused where others than its owner and group may read it, or
    /// others than its owner may write it.
    pub fn open(path: &Path, place: &Place, problems: &mut Problems) -> Option<Self> {
        let name = path.display();
        // Looked at after it was opened: what is judged is what is read.
        let opened = open(path).and_then(|file| Ok((file.metadata()?.mode(), file)));
        let (mode, file) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                problems.add(place.clone(), format!("credentials-file {name}: cannot be opened: {error}"));
                return None;
            }
        };
        if mode & 0o027 != 0 {
            let mode = mode & 0o777;
            problems.add(
                place.clone(),
                format!("credentials-file {name}: mode {mode:04o} lets others read or write it; chmod 0600 {name}"),
            );
            return None;
        }
        match text_of(&file) {
            Ok(text) => {
                let section = Section::parse(&name.to_string(), &text, problems);
                section.read::<Self>(&[], problems).map(|read| read.keys)
            }
            Err(error) => {
                problems.add(place.clone(), format!("credentials-file {name}: cannot be read: {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use hikyaku_schema::read_text;

    use super::*;

    /// One that nobody writes to would keep whoever opens it waiting.
    #[test]
    fn a_pipe_is_refused_at_once() {
        let path = std::env::temp_dir().join(format!("hikyaku-pipe-{}", std::process::id()));
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status().unwrap();
        assert!(made.success());
        let (told, read) = std::sync::mpsc::channel();
        let there = path.clone();
        std::thread::spawn(move || {
            let mut problems = Problems::default();
            let credentials = Credentials::open(&there, &Place::CommandLine, &mut problems);
            let _ = told.send((read_text(&there).unwrap_err().to_string(), credentials.is_none(), problems.0.len()));
        });
        let refused = read.recv_timeout(std::time::Duration::from_secs(30));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(refused, Ok(("is no ordinary file".to_string(), true, 1)));
    }

    #[test]
    fn files_that_others_may_read_are_refused() {
        let path = std::env::temp_dir().join(format!("hikyaku-credentials-{}", std::process::id()));
        std::fs::write(&path, "user = \"u\"\npassword = \"p&%\"\n").unwrap();
        let open = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let mut problems = Problems::default();
            let read = Credentials::open(&path, &Place::CommandLine, &mut problems);
            (read.map(|c| c.password.unwrap().expose().to_string()), problems.to_string())
        };
        for mode in [0o600, 0o400, 0o640] {
            assert_eq!(open(mode), (Some("p&%".into()), String::new()), "{mode:o}");
        }
        for mode in [0o644, 0o620, 0o602, 0o601, 0o666] {
            let (read, problem) = open(mode);
            assert!(read.is_none() && problem.contains("chmod 0600"), "{mode:o}: {problem}");
        }
        std::fs::write(&path, "user = \"u\"\npasword = \"secret\"\n").unwrap();
        let (read, problem) = open(0o600);
        assert!(
            read.is_none() && problem.contains("did you mean 'password'") && !problem.contains("secret"),
            "{problem}"
        );
        std::fs::remove_file(&path).unwrap();
        let mut problems = Problems::default();
        assert!(Credentials::open(Path::new("/"), &Place::CommandLine, &mut problems).is_none());
        assert!(Credentials::open(&path, &Place::CommandLine, &mut problems).is_none());
        assert_eq!(problems.0.len(), 2, "{problems}");
    }
}
