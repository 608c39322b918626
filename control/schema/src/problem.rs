//! What is wrong with a configuration, each thing in one line, all of them at once.

use std::fmt;
use std::sync::Arc;

use crate::output::one_line;

/// Where something was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file.
    Line {
        /// The file, as it was named.
        file: Arc<str>,
        /// The line's number, from 1.
        line: usize,
    },
    /// A file as a whole: what it lacks.
    File(Arc<str>),
    /// A flag, as `--wan`.
    Flag(&'static str),
    /// Nowhere: what the command line lacks.
    CommandLine,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}: "),
            Self::File(file) => write!(f, "{file}: "),
            Self::Flag(flag) => write!(f, "{flag}: "),
            Self::CommandLine => Ok(()),
        }
    }
}

/// One thing that is wrong: where, what, which value, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it was set.
    pub place: Place,
    /// What is wrong, which value, what to do: one line, however it came in.
    pub text: String,
}

impl fmt::Display for Problem {
    /// In one line, whatever the file has in names and values: what would steer a terminal is shown as its code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&format!("{}{}", self.place, self.text)))
    }
}

/// Everything that is wrong with a configuration. `Display` has a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// As many as anybody mends before looking again.
    const MAX: usize = 100;
    /// Bytes of the longest text.
    const MAX_TEXT: usize = 2000;

    /// One more, if there are not very many already.
    pub fn add(&mut self, place: Place, text: impl Into<String>) {
        let mut text = text.into();
        if text.len() > Self::MAX_TEXT {
            text.truncate(text.floor_char_boundary(Self::MAX_TEXT));
            text.push('…');
        }
        if !self.is_full() {
            self.0.push(Problem { place, text });
        }
    }

    /// Whether more would not be told.
    pub fn is_full(&self) -> bool {
        self.0.len() >= Self::MAX
    }

    /// These problems in the order of the file, as they are mended.
    pub fn in_order(mut self) -> Self {
        self.0.sort_by_key(|problem| match problem.place {
            Place::Line { line, .. } => line,
            Place::File(_) | Place::CommandLine | Place::Flag(_) => 0,
        });
        if self.is_full() {
            let text = format!("these are {} problems, and there may be more; mend them and look again", Self::MAX);
            self.0.push(Problem { place: Place::CommandLine, text });
        }
        self
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i > 0 { "\n" } else { "" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Longer than any name that is mistyped: comparing takes time by the product of both lengths.
const MAX_NAME: usize = 64;

/// `, did you mean 'x'?` where one of the known names is near, else the empty text.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    if name.len() > MAX_NAME {
        return String::new();
    }
    let near = known.into_iter().map(|known| (strsim::jaro_winkler(name, known), known));
    match near.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, known)) if likeness >= 0.8 => format!(", did you mean '{known}'?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_offered_and_others_are_not() {
        let known = ["tunnel-mtu", "aftr", "kind"];
        assert_eq!(did_you_mean("tunel-mtu", known), ", did you mean 'tunnel-mtu'?");
        assert_eq!(did_you_mean("arft", known), ", did you mean 'aftr'?");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("x", []), "");
        assert_eq!(did_you_mean(&"kind".repeat(100), known), "");
    }

    #[test]
    fn what_is_told_is_bounded_and_plain() {
        let mut problems = Problems::default();
        for _ in 0..1000 {
            problems.add(Place::CommandLine, format!("\x1b[31m'{}'\n", "é".repeat(2000)));
        }
        let problems = problems.in_order();
        assert_eq!(problems.0.len(), Problems::MAX + 1);
        let first = problems.0[0].to_string();
        assert!(first.starts_with("\\u001b[31m'é") && first.ends_with('…') && first.len() < 2100, "{first}");
        assert!(!problems.to_string().contains('\x1b'));
        assert_eq!(problems.to_string().lines().count(), Problems::MAX + 1);
    }
}
