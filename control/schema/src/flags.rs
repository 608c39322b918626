//! The command line of keys that have a flag.

use std::ops::Deref;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use crate::key::{Keys, Row, Syntax};
use crate::value::{Value, Wrong};

impl Row {
    /// Its flag for the argument parser, which takes any text for its value. Its id is the flag's name.
    pub fn arg(&self) -> Option<Arg> {
        let name = self.flag?.trim_start_matches('-');
        let arg = Arg::new(name).long(name).help(self.help);
        let arg = match self.alias {
            Some(alias) => arg.visible_alias(alias.trim_start_matches('-')),
            None => arg,
        };
        if self.is_switch() {
            return Some(arg.action(ArgAction::SetTrue));
        }
        let arg = arg.value_name(self.syntax.placeholder()).value_parser(Suggested(self.words()));
        let arg = if let Syntax::File = self.syntax { arg.value_hint(ValueHint::FilePath) } else { arg };
        let arg = arg.action(if let Syntax::Many(_) = self.syntax { ArgAction::Append } else { ArgAction::Set });
        Some(if self.default.is_empty() { arg } else { arg.default_value(self.default) })
    }

    /// What its flag was given.
    pub fn given(&self, matches: &ArgMatches) -> Option<Value> {
        let id = self.flag?.trim_start_matches('-');
        if matches.value_source(id) != Some(ValueSource::CommandLine) {
            return None;
        }
        if self.is_switch() {
            return Some(Value::One("true".into()));
        }
        let mut values: Vec<String> = matches.get_many(id)?.cloned().collect();
        Some(if let Syntax::Many(_) = self.syntax { Value::Many(values) } else { Value::One(values.pop()?) })
    }

    fn is_switch(&self) -> bool {
        matches!(self.syntax, Syntax::Bool) && self.default.is_empty()
    }

    fn words(&self) -> Vec<&'static str> {
        match self.syntax {
            Syntax::Bool => vec!["true", "false"],
            Syntax::OneOf(_, words) => words(),
            _ => Vec::new(),
        }
    }
}

/// Takes any text, and offers some words for it in help and completion: what is wrong with a value is told together
/// with all else that is wrong.
#[derive(Clone)]
struct Suggested(Vec<&'static str>);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &std::ffi::OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        if self.0.is_empty() { None } else { Some(Box::new(self.0.iter().map(PossibleValue::new))) }
    }
}

/// The keys of `S` as flags of a subcommand, with nothing but the command line to set them.
#[derive(Clone, Debug)]
pub struct Flags<S>(pub S);

impl<S> Deref for Flags<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Keys> Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        command.args(S::KEYS.iter().filter_map(|key| key.row.arg()).map(|arg| arg.help_heading(S::HEADING)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Keys> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut keys = S::defaults();
        for key in S::KEYS {
            let Some(value) = key.row.given(matches) else { continue };
            (key.field.set)(&mut keys, &value).map_err(|Wrong { value, why }| {
                let (flag, form) = (key.row.flag.unwrap_or_default(), key.row.syntax.placeholder());
                clap::Error::raw(
                    ErrorKind::InvalidValue,
                    format!("invalid value '{value}' for '{flag} <{form}>': {why}"),
                )
            })?;
        }
        Ok(Self(keys))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
