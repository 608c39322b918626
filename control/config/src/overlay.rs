//! Keys that were given on the command line of `hikyaku run`.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use hikyaku_schema::{Row, Section, Value};

use crate::schema::SCHEMA;

/// What the command line says, unread: it goes over the file and is read with it.
#[derive(Clone, Debug, Default)]
pub struct Overlay(Vec<(&'static str, &'static Row, Value)>);

impl Overlay {
    /// Puts what was given into the tree, over what is there.
    pub(super) fn put(&self, root: &mut Section) {
        for (section, row, value) in &self.0 {
            root.set(section, row.name, row.flag.unwrap_or_default(), value.clone());
        }
    }
}

impl Args for Overlay {
    fn augment_args(mut command: Command) -> Command {
        for table in SCHEMA {
            for arg in table.rows().into_iter().filter_map(Row::arg) {
                // One flag may be of several keys.
                if !command.get_arguments().any(|there| there.get_id() == arg.get_id()) {
                    command = command.arg(arg.help_heading(table.heading));
                }
            }
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Overlay {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let of = |section, row: &'static Row| Some((section, row, row.given(matches)?));
        let rows = SCHEMA.iter().flat_map(|table| table.rows().into_iter().filter_map(|row| of(table.section, row)));
        Ok(Self(rows.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::{CommandFactory, Parser};
    use hikyaku_schema::{Place, Syntax};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        given: Overlay,
    }

    #[test]
    fn every_flag_reaches_its_keys() {
        Program::command().debug_assert();
        let rows = || SCHEMA.iter().flat_map(|table| table.rows().into_iter().map(|row| (table.section, row)));
        let with_flag = || rows().filter_map(|(section, row)| Some((section, row, row.flag?)));
        let mut flags = BTreeMap::new();
        for (_, row, flag) in with_flag() {
            flags.insert(
                flag,
                match row.syntax {
                    Syntax::Bool if row.default.is_empty() => flag.to_string(),
                    _ => format!("{flag}=value of {flag}"),
                },
            );
        }
        let program = Program::try_parse_from(std::iter::once("p").chain(flags.values().map(String::as_str))).unwrap();
        let mut root = Section::new("", Place::CommandLine);
        program.given.put(&mut root);
        for (section, row, flag) in with_flag() {
            let section = &root.tables[section][0];
            let setting = &section.settings[row.name];
            let value = if flags[flag] == flag { "true".to_string() } else { format!("value of {flag}") };
            assert_eq!((setting.value.text(), &setting.place), (value, &Place::Flag(flag)));
        }
        // A name of its own for each key of a section, and a flag that is written as one.
        let mut names = std::collections::BTreeSet::new();
        for (section, row) in rows() {
            assert!(names.insert((section, row.name)), "[{section}] {} is there twice", row.name);
            assert!(row.flag.into_iter().chain(row.alias).all(|flag| flag.starts_with("--")), "{row:?}");
        }
        assert!(Program::try_parse_from(["p"]).unwrap().given.0.is_empty(), "defaults are not given");
    }
}
