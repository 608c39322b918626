//! What outlives a restart: small JSON files in one directory, and the tables of sessions.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hikyaku_dataplane::napt::NotSaved;
use serde::de::DeserializeOwned;

use super::saving::{Save, StateFile};

/// A saved table of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionFile {
    /// [`hikyaku_dataplane::napt::Saved`].
    Napt,
    /// [`hikyaku_dataplane::filter6::Saved`].
    Filter6,
}

impl SessionFile {
    fn name(self) -> &'static str {
        match self {
            Self::Napt => "sessions.bin",
            Self::Filter6 => "sessions6.bin",
        }
    }
}

/// Our secret's name.
const SECRET: &str = "secret";

/// The directory that holds what outlives a restart, a JSON file for each name.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
    /// The names of LANs, by their numbers: files of the first have none in theirs.
    lans: Vec<String>,
}

/// Something that a restart will not know.
#[derive(Debug, thiserror::Error)]
#[error("{}: not saved: {error}; make room there, or make it writable; it is tried again", path.display())]
pub struct Unsaved {
    /// The file that was to be written.
    path: PathBuf,
    error: io::Error,
}

impl StateDir {
    /// One that is not there is made when something is to be saved; a router comes up without it.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lans: Vec::new() }
    }

    /// The same, of a router with LANs of these names.
    pub fn with_lans<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { lans: names.into_iter().map(String::from).collect(), ..self }
    }

    /// The name of a file, without the ending.
    fn name(&self, file: StateFile) -> String {
        match file.lan().map(|lan| usize::from(lan.0)).filter(|&number| number > 0) {
            None => file.stem().into(),
            Some(number) => {
                let name = self.lans.get(number).cloned().unwrap_or_else(|| number.to_string());
                format!("{}-{name}", file.stem())
            }
        }
    }

    /// What was saved in this file. `None` where there is nothing, or nothing that can be read: a router
    /// comes up without its memory.
    pub fn load<T: DeserializeOwned>(&self, file: StateFile) -> Option<T> {
        self.read(&self.name(file))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "not read; going on without it");
                return None;
            }
        };
        serde_json::from_str(&text)
            .map_err(|error| tracing::warn!(path = %path.display(), %error, "not read; going on without it"))
            .ok()
    }

    /// Saves what a router has to say, as a whole or not at all. What is `Ok` outlives a power cut.
    ///
    /// # Errors
    /// The directory or the file in it cannot be written.
    pub fn save(&self, save: &Save) -> Result<(), Unsaved> {
        let name = &self.name(save.file());
        let text = save.text().map_err(|error| Unsaved { path: self.path(name), error: error.into() })?;
        self.put(name, text.as_deref())
    }

    /// As a whole or not at all; `None`: removes what was saved under this name.
    fn put(&self, name: &str, text: Option<&[u8]>) -> Result<(), Unsaved> {
        let path = self.path(name);
        let done = match text {
            Some(text) => self.write(&path, text),
            None => self.remove(&path),
        };
        done.map_err(|error| Unsaved { path, error })
    }

    fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        self.whole(path, |file| file.write_all(text))
    }

    /// A file as a whole or not at all.
    fn whole<E: From<io::Error>>(
        &self,
        path: &Path,
        fill: impl FnOnce(&mut fs::File) -> Result<(), E>,
    ) -> Result<(), E> {
        let beside = path.with_extension("new");
        let open = || fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside);
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
                open()?
            }
            other => other?,
        };
        fill(&mut file)?;
        file.sync_all()?;
        fs::rename(beside, path)?;
        Ok(self.sync_names()?)
    }

    /// Saves the sessions of a table that nobody uses any more, as it writes them. Answers how many they are.
    ///
    /// # Errors
    /// See [`NotSaved`].
    pub fn save_sessions(
        &self,
        file: SessionFile,
        save: impl FnOnce(&mut dyn io::Write) -> Result<u32, NotSaved>,
    ) -> Result<u32, NotSaved> {
        let mut count = 0;
        self.whole(&self.path.join(file.name()), |file| {
            let mut file = io::BufWriter::with_capacity(1 << 20, file);
            count = save(&mut file)?;
            file.flush().map_err(NotSaved::Unwritten)
        })?;
        Ok(count)
    }

    /// The sessions that were saved, and removes them: the next start finds them only if this process saves them again.
    pub fn take_sessions(&self, file: SessionFile) -> Option<Vec<u8>> {
        let path = self.path.join(file.name());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "not read; going on without it");
                return None;
            }
        };
        if let Err(error) = self.remove(&path) {
            // A start after this one would take it for what is now.
            tracing::warn!(path = %path.display(), %error, "not removed, so not used; going on without it");
            return None;
        }
        Some(bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.sync_names(),
        }
    }

    /// New names, too, are to outlive a power cut.
    fn sync_names(&self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }

    /// A secret of our own, made at the first start. One that cannot be saved is logged.
    pub fn secret(&self) -> [u8; 32] {
        self.read(SECRET).unwrap_or_else(|| {
            let secret: [u8; 32] = rand::random();
            let text = serde_json::to_vec(&secret).expect("bytes are numbers");
            if let Err(error) = self.put(SECRET, Some(&text)) {
                tracing::warn!(%error, "not saved; the next start has another secret");
            }
            secret
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.path.join(name).with_extension("json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_there_and_garbage_is_not() {
        let dir = std::env::temp_dir().join(format!("hikyaku-state-{}", rand::random::<u64>()));
        let state = StateDir::new(&dir);
        let secret = state.secret();
        assert_eq!(state.secret(), secret);
        assert_eq!(StateDir::new(&dir).secret(), secret);
        fs::write(dir.join("lease.json"), "{ nonsense").unwrap();
        assert_eq!(state.read::<Vec<u32>>("lease"), None);
        state.put("lease", Some(b"[1,2]")).unwrap();
        assert_eq!(state.read::<Vec<u32>>("lease"), Some(vec![1, 2]));
        for _ in 0..2 {
            state.put("lease", None).unwrap();
            assert_eq!(state.read::<Vec<u32>>("lease"), None);
        }
        fs::remove_dir_all(&dir).unwrap();
        state.put("lease", Some(b"1")).unwrap();
        assert_eq!(state.read::<u32>("lease"), Some(1), "the directory is made anew");
        fs::remove_dir_all(&dir).unwrap();
        fs::write(&dir, "").unwrap();
        let error = state.put("lease", Some(b"1")).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{}: not saved: Not a directory", dir.join("lease.json").display())),
            "{error}"
        );
        fs::remove_file(&dir).unwrap();
    }

    /// A process is killed while it writes, again and again: what is read afterwards is what was there before or after, and
    /// the next write goes through.
    #[test]
    fn a_kill_while_it_writes_tears_nothing() {
        const DIRECTORY: &str = "HIKYAKU_TEST_WRITES_TO";
        let content = |number: u64| vec![number; 20_000];
        if let Some(dir) = std::env::var_os(DIRECTORY) {
            let state = StateDir::new(Path::new(&dir));
            let first = state.read::<Vec<u64>>("numbers").map_or(0, |numbers| numbers[0]);
            for number in first + 1.. {
                state.put("numbers", Some(&serde_json::to_vec(&content(number)).unwrap())).unwrap();
            }
        }
        let dir = std::env::temp_dir().join(format!("hikyaku-state-{}", rand::random::<u64>()));
        let state = StateDir::new(&dir);
        let mut last = 0;
        for round in 0..20 {
            let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "router::state_dir::tests::a_kill_while_it_writes_tears_nothing"])
                .env(DIRECTORY, &dir)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let number = || state.read::<Vec<u64>>("numbers").map_or(0, |numbers| numbers[0]);
            while number() == last {
                std::thread::yield_now();
            }
            std::thread::sleep(std::time::Duration::from_micros(700 * round));
            writer.kill().unwrap();
            writer.wait().unwrap();
            let numbers: Vec<u64> = state.read("numbers").expect("it is whole");
            assert!(numbers[0] > last && numbers == content(numbers[0]));
            last = numbers[0];
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
