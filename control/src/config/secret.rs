//! The file that passwords come from.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use clap::Args;
use hikyaku_protocols::http::Secret;
use rustix::fs::OFlags;

use super::keys;
use super::problem::{Place, Problems};
use super::tree::Section;

/// Text that is one: there is none that is not.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text))
}

/// What a credentials file says; which of it a service wants, [`hikyaku_protocols::notification::Notifier::new`] knows.
#[derive(Args, Clone, Debug, Default)]
pub struct Credentials {
    /// Name of the account
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub user: Option<Secret>,

    /// Its password
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub password: Option<Secret>,

    /// The issued token (ocn-fixed: the value of `hostname`)
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub token: Option<Secret>,

    /// Name for HTTP Basic, where it differs from `user`
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub basic_user: Option<Secret>,

    /// Password for HTTP Basic, where it differs from `password`
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub basic_password: Option<Secret>,
}

/// Larger than any file of ours.
const MAX_FILE: u64 = 1 << 20;

/// Reads a text file of ours, of a size that one would write.
pub fn read_text(path: &Path) -> io::Result<String> {
    text_of(&open(path)?)
}

/// Never waits: who reads it again may be the control thread, and there may be a pipe in its place by then.
fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
}

fn text_of(file: &File) -> io::Result<String> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no ordinary file"));
    }
    let mut text = String::new();
    if file.take(MAX_FILE + 1).read_to_string(&mut text)? as u64 > MAX_FILE {
        return Err(io::Error::other("is larger than 1 MiB"));
    }
    Ok(text)
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
                keys::read::<Self>(section, &[], problems).map(|read| read.keys)
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
    use super::*;
    use std::os::unix::fs::PermissionsExt;

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
