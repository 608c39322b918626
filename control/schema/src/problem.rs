//! What is wrong with a configuration, each thing in one line, all of them at once.

use std::fmt;
use std::sync::Arc;

/// Where something was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file.
    Line {
        /// The file, as it was named.
        file: Arc<str>,
        /// Counted from 1.
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
    /// One line.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.place, self.text)
    }
}

/// Everything that is wrong with a configuration. `Display` has a line for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One more.
    pub fn add(&mut self, place: Place, text: impl Into<String>) {
        // A value may have lines of its own; a complaint about it has one.
        let text = text.into().replace('\n', "\\n").replace('\r', "\\r");
        self.0.push(Problem { place, text });
    }

    /// The same in the order of the file, as they are mended.
    pub fn in_order(mut self) -> Self {
        self.0.sort_by_key(|problem| match problem.place {
            Place::Line { line, .. } => line,
            Place::File(_) | Place::CommandLine | Place::Flag(_) => 0,
        });
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

/// `, did you mean 'x'?` where one of the known names is near, else the empty text.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
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
    }
}
