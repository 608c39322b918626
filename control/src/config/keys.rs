//! The keys of a section: a struct of flags (`clap::Args`) says their names, values, defaults and
//! help once, for the file, the command line and the reference.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::marker::PhantomData;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, FromArgMatches};

use super::problem::{Place, Problems, did_you_mean};
use super::tree::{Section, Setting, Value};

/// A section that was read.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// What it says.
    pub keys: T,
    places: BTreeMap<String, Place>,
    section: Place,
}

impl<T> Read<T> {
    /// Where `key` was set; the section's place where it was not.
    pub fn place(&self, key: &str) -> Place {
        self.places.get(key).unwrap_or(&self.section).clone()
    }

    /// Whether `key` was set at all.
    pub fn is_set(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }
}

/// The keys of `T` as a command line of their own.
fn command<T: Args>() -> Command {
    T::augment_args(Command::new("keys")).no_binary_name(true).disable_help_flag(true).disable_version_flag(true)
}

/// Reads the keys of `T`. Whatever else is in the section, but for the tables named in `tables`, is
/// unknown; every key's value is judged by itself, so that all that is wrong is told at once.
pub fn read<T: Args>(mut section: Section, tables: &[&str], problems: &mut Problems) -> Option<Read<T>> {
    let before = problems.0.len();
    let command = command::<T>();
    let keys: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    let lenient = command.clone().mut_args(|arg| arg.required(false));
    let head = if section.name.is_empty() { "the file".to_string() } else { format!("[{}]", section.name) };

    // `timeouts = { udp = 120 }` is written like a table, but is a list of names and values.
    for key in &keys {
        if let Some(pairs) = section.tables.remove(*key) {
            for table in pairs {
                let place = table.place.clone();
                let pairs = table.settings.into_iter().map(|(name, setting)| match setting.value {
                    Value::One(value) => format!("{name}={value}"),
                    Value::Many(values) => format!("{name}={}", values.join(" ")),
                });
                let value = Value::One(pairs.collect::<Vec<_>>().join(","));
                section.settings.insert(key.to_string(), Setting { value, place });
            }
        }
    }
    for (name, table) in section.tables.iter().filter(|(name, _)| !tables.contains(&name.as_str())) {
        let place = table.first().map_or(&section.place, |table| &table.place).clone();
        let near = did_you_mean(name, tables.iter().chain(&keys).copied());
        problems.add(place, format!("unknown section '{name}' in {head}{near}"));
    }

    let (mut words, mut places) = (Vec::new(), BTreeMap::new());
    for (key, setting) in &section.settings {
        let place = setting.place.clone();
        let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(key)) else {
            let near = did_you_mean(key, keys.iter().chain(tables).copied());
            problems.add(place, format!("unknown key '{key}' in {head}{near}"));
            continue;
        };
        match words_of(key, arg.get_action(), &setting.value) {
            Ok(these) => {
                if let Err(error) = lenient.clone().try_get_matches_from(&these) {
                    problems.add(place.clone(), value_error(key, &setting.value, &error));
                }
                words.extend(these);
            }
            Err(text) => problems.add(place.clone(), text),
        }
        places.insert(key.clone(), place);
    }
    for arg in command.get_arguments().filter(|arg| arg.is_required_set()) {
        let key = arg.get_long().unwrap_or_default();
        if !section.settings.contains_key(key) {
            let flag = super::args::flag_of(&section.name, key).map(|flag| format!(", or {flag}")).unwrap_or_default();
            let wanted = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
            problems.add(section.place.clone(), format!("{head} lacks {key} = {wanted}{flag}"));
        }
    }
    if problems.0.len() > before {
        return None;
    }
    match command.try_get_matches_from(words).and_then(|matches| T::from_arg_matches(&matches)) {
        Ok(keys) => Some(Read { keys, places, section: section.place }),
        Err(error) => {
            problems.add(section.place, format!("{head}: {}", first_line(&error)));
            None
        }
    }
}

/// A setting as flags.
fn words_of(key: &str, action: &ArgAction, value: &Value) -> Result<Vec<String>, String> {
    match (action, value) {
        (ArgAction::SetTrue, Value::One(value)) => match value.as_str() {
            "true" => Ok(vec![format!("--{key}")]),
            "false" => Ok(Vec::new()),
            other => Err(format!("{key} = {other}: it is true or false")),
        },
        (ArgAction::Append, Value::Many(values)) => Ok(values.iter().map(|value| format!("--{key}={value}")).collect()),
        (ArgAction::SetTrue, Value::Many(_)) => Err(format!("{key}: it is true or false, not an array")),
        (_, Value::Many(values)) => Ok(vec![format!("--{key}={}", values.join(","))]),
        (_, Value::One(value)) => Ok(vec![format!("--{key}={value}")]),
    }
}

/// What clap says about one value, in the file's words.
fn value_error(key: &str, value: &Value, error: &clap::Error) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let value = match value {
        Value::One(value) => value.clone(),
        Value::Many(values) => text(ContextKind::InvalidValue).unwrap_or_else(|| values.join(", ")),
    };
    match error.kind() {
        ErrorKind::InvalidValue => {
            let near = text(ContextKind::SuggestedValue).map(|near| format!(", did you mean '{near}'?"));
            let known = text(ContextKind::ValidValue).unwrap_or_default();
            format!("{key} = '{value}' is none of: {known}{}", near.unwrap_or_default())
        }
        _ => match error.source() {
            Some(source) => format!("{key} = '{value}': {source}"),
            None => format!("{key} = '{value}': {}", first_line(error)),
        },
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_string()
}

/// The flags of `T` that stand on the command line, unread: they go into the tree over the file's
/// keys and are read with them.
#[derive(Clone, Debug)]
pub struct Given<T> {
    /// Names without dashes, and what was given.
    pub values: Vec<(String, Value)>,
    of: PhantomData<T>,
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self { values: Vec::new(), of: PhantomData }
    }
}

impl<T: Args> Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: Args> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = Vec::new();
        for arg in command::<T>().get_arguments() {
            let (id, Some(long)) = (arg.get_id().as_str(), arg.get_long()) else { continue };
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let given: Vec<String> = matches
                .get_raw(id)
                .into_iter()
                .flatten()
                .map(|value| OsString::from(value).to_string_lossy().into_owned())
                .collect();
            let value = match arg.get_action() {
                ArgAction::SetTrue => Value::One("true".into()),
                ArgAction::Append => Value::Many(given),
                _ => Value::One(given.into_iter().next_back().unwrap_or_default()),
            };
            values.push((long.to_string(), value));
        }
        Ok(Self { values, of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A key as the reference shows it.
#[derive(Clone, Debug)]
pub struct Key {
    /// In the file.
    pub name: String,
    /// What its value looks like.
    pub value: String,
    /// Without one: `None` where the key must be set.
    pub default: Option<String>,
    /// What it is.
    pub help: String,
}

/// The keys of `T`, in order.
pub fn keys<T: Args>() -> Vec<Key> {
    let command = command::<T>();
    let keys = command.get_arguments().map(|arg| {
        let possible: Vec<String> = arg.get_possible_values().iter().map(|v| v.get_name().to_string()).collect();
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
        let value = match arg.get_value_names() {
            _ if is_switch => "true or false".into(),
            _ if !possible.is_empty() => possible.join(", "),
            Some(names) => names.join(" "),
            None => String::new(),
        };
        let defaults = arg.get_default_values().iter().map(|v| v.to_string_lossy().into_owned());
        let default = if is_switch { "false".into() } else { defaults.collect::<Vec<_>>().join(", ") };
        Key {
            name: arg.get_long().unwrap_or_default().to_string(),
            value,
            default: (!arg.is_required_set()).then_some(default),
            help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        }
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tuning::TuningArgs;
    use clap::Parser;

    #[derive(Args, Debug)]
    struct Keys {
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
        must: u16,
        #[arg(long)]
        yes: bool,
        #[arg(long)]
        list: Vec<u8>,
        #[arg(long, value_enum, default_value = "sleep")]
        idle: crate::tuning::IdlePolicy,
        #[arg(long, default_value = "")]
        timeouts: crate::behaviour::TimeoutList,
    }

    fn keys_of(text: &str) -> Result<Keys, Vec<String>> {
        let mut problems = Problems::default();
        let mut root = Section::parse("f", text, &mut problems);
        let section = root.take("s", "", &mut problems);
        let read = read::<Keys>(section, &["sub"], &mut problems);
        read.map(|read| read.keys).ok_or(problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_form_of_a_value() {
        let keys = keys_of("[s]\nmust = 3\nyes = true\nlist = [1, 2]\nidle = 'spin'\ntimeouts = { udp = 9, tcp = 8 }");
        let keys = keys.unwrap();
        assert_eq!((keys.must, keys.yes, keys.list), (3, true, vec![1, 2]));
        assert_eq!((keys.timeouts.0.udp, keys.timeouts.0.tcp_established), (9, 8));
        assert_eq!(keys.idle, crate::tuning::IdlePolicy::Spin);
        let keys = keys_of("[s]\nmust = '4'\nyes = false\ntimeouts = 'udp=7'\nsub = {}").unwrap();
        assert_eq!((keys.must, keys.yes, keys.timeouts.0.udp), (4, false, 7));
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = "[s]\nyes = 1\nlist = [1, 'x']\nidel = 'spin'\n[s.sup]\n";
        assert_eq!(
            keys_of(text).unwrap_err(),
            [
                "f:5: unknown section 'sup' in [s], did you mean 'sub'?",
                "f:4: unknown key 'idel' in [s], did you mean 'idle'?",
                "f:3: list = 'x': invalid digit found in string",
                "f:2: yes = 1: it is true or false",
                "f:1: [s] lacks must = N",
            ]
        );
        assert_eq!(
            keys_of("[s]\nmust = 10\nidle = 'spinn'\ntimeouts = {tpc = 1}").unwrap_err(),
            [
                "f:3: idle = 'spinn' is none of: spin, yield, sleep, did you mean 'spin'?",
                "f:2: must = '10': 10 is not in 1..=9",
                "f:4: timeouts = 'tpc=1': there is no timer 'tpc'; see --help for their names",
            ]
        );
    }

    #[test]
    fn flags_that_were_given_and_no_defaults() {
        #[derive(Parser)]
        struct Program {
            #[command(flatten)]
            tuning: Given<TuningArgs>,
            #[command(flatten)]
            behaviour: Given<crate::behaviour::BehaviourArgs>,
        }
        let program = Program::try_parse_from(["p", "--cpu", "2,3", "--copy-dscp", "--batch=7"]).unwrap();
        let value = |text: &str| Value::One(text.into());
        assert_eq!(program.tuning.values, [("cores".into(), value("2,3")), ("batch".into(), value("7"))]);
        assert_eq!(program.behaviour.values, [("copy-dscp".into(), value("true"))]);
        assert!(Program::try_parse_from(["p", "--batch", "0"]).is_err());
    }
}
