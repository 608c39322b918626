//! Files that a configuration names, and itself.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::problem::{Place, Problems};
use crate::tree::Section;

/// Larger than any file of ours, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Opens a file to be read. Never waits: who reads it again may be the control thread, and there may be a pipe in its
/// place by then.
pub fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)
}

/// The text of an open file, if it is an ordinary one of 1 MiB at most.
pub fn text_of(file: &File) -> io::Result<String> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no ordinary file"));
    }
    let mut bytes = Vec::new();
    if file.take(MAX_FILE + 1).read_to_end(&mut bytes)? as u64 > MAX_FILE {
        return Err(io::Error::other("is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let (bytes, at) = (error.as_bytes(), error.utf8_error().valid_up_to());
        let line = 1 + bytes[..at].iter().filter(|&&b| b == b'\n').count();
        io::Error::other(format!("line {line} is no UTF-8 text: it has the byte 0x{:02x}", bytes[at]))
    })
}

/// The text of a file by its name: [`open`] and [`text_of`].
pub fn read_text(path: &Path) -> io::Result<String> {
    text_of(&open(path)?)
}

/// Reads a file of sections and keys.
pub fn read_file(path: &Path, problems: &mut Problems) -> Option<Section> {
    let name = path.display().to_string();
    match read_text(path) {
        Ok(text) => Some(Section::parse(&name, &text, problems)),
        Err(error) => {
            problems.add(Place::File(Arc::from(name)), format!("cannot be read: {error}"));
            None
        }
    }
}
