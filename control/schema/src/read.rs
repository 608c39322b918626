//! Reading a section by its rows.

use std::collections::BTreeMap;
use std::path::Path;

use crate::key::{Key, Keys, Row, Syntax};
use crate::problem::{Place, Problems, did_you_mean};
use crate::tree::{Section, Setting};
use crate::value::Value;

/// Where a section begins, and where its keys were set.
#[derive(Clone, Debug)]
pub struct Places {
    section: Place,
    keys: BTreeMap<&'static str, Place>,
}

impl Places {
    /// Where `key` was set; the section's place where it was not.
    pub fn place(&self, key: &str) -> Place {
        self.keys.get(key).unwrap_or(&self.section).clone()
    }

    /// Whether `key` was set at all.
    pub fn is_set(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }
}

/// A section that was read.
#[derive(Clone, Debug)]
pub struct Read<S> {
    /// The struct with all values, defaults among them.
    pub keys: S,
    /// Where each of them was set.
    pub at: Places,
}

impl Section {
    /// Reads a section that sets one struct, and in which tables of these names may stand that were taken out before.
    pub fn read<S: Keys>(self, tables: &[&str], problems: &mut Problems) -> Option<Read<S>> {
        let mut reader = Reader::new(self, problems);
        let keys = reader.keys();
        let at = reader.end(tables);
        Some(Read { keys: keys?, at: at? })
    }

    /// What a key is set to: names and values may be written as a table, too, and a file is looked for beside the one
    /// that names it.
    pub fn setting(&self, row: &Row) -> Option<Setting> {
        let Some(setting) = self.settings.get(row.name) else {
            let table = self.tables.get(row.name)?.first().filter(|_| matches!(row.syntax, Syntax::Pairs(_)))?;
            let pairs = table.settings.iter().map(|(name, setting)| format!("{name}={}", setting.value.text()));
            return Some(Setting {
                value: Value::One(pairs.collect::<Vec<_>>().join(",")),
                place: table.place.clone(),
            });
        };
        let mut setting = setting.clone();
        if let (Syntax::File, Value::One(path), Place::Line { file, .. }) = (row.syntax, &setting.value, &setting.place)
            && let Some(folder) = Path::new(&**file).parent()
        {
            setting.value = Value::One(folder.join(path).to_string_lossy().into_owned());
        }
        Some(setting)
    }
}

/// Reads a section, whose keys may set several structs. Every value is judged by itself, so that all that is wrong is
/// told at once.
pub struct Reader<'a> {
    section: Section,
    rows: Vec<&'static Row>,
    places: Places,
    problems: &'a mut Problems,
}

impl<'a> Reader<'a> {
    /// Of a section, before any of its keys is read.
    pub fn new(section: Section, problems: &'a mut Problems) -> Self {
        let places = Places { section: section.place.clone(), keys: BTreeMap::new() };
        Self { section, rows: Vec::new(), places, problems }
    }

    /// Reads the keys of `S`: what is not set has its default. `None` where something is wrong with them.
    pub fn keys<S: Keys>(&mut self) -> Option<S> {
        let (mut keys, mut sound) = (S::defaults(), true);
        for key in S::KEYS {
            self.rows.push(&key.row);
            sound &= self.key(key, &mut keys);
        }
        sound.then_some(keys)
    }

    /// Whether the key is as it has to be.
    fn key<S>(&mut self, key: &Key<S>, keys: &mut S) -> bool {
        let row = &key.row;
        let Some(Setting { value, place }) = self.section.setting(row) else {
            if row.required && self.section.whole {
                self.problems.add(self.section.place.clone(), self.lacks(row));
            }
            return !row.required;
        };
        self.section.settings.remove(row.name);
        if let Syntax::Pairs(_) = row.syntax {
            self.section.tables.remove(row.name);
        }
        self.places.keys.insert(row.name, place.clone());
        let judged = judge(key, &value, keys);
        judged.map_err(|text| self.problems.add(place, text)).is_ok()
    }

    fn lacks(&self, row: &Row) -> String {
        let flag = row.flag.map(|flag| format!(", or {flag}")).unwrap_or_default();
        format!("{} lacks {} = {}{flag}", head(&self.section), row.name, row.syntax.placeholder())
    }

    /// What is left is unknown, but for tables of these names. `None` where something is.
    pub fn end(self, tables: &[&str]) -> Option<Places> {
        let Self { section, rows, places, problems } = self;
        let known = || rows.iter().map(|row| row.name).chain(tables.iter().copied());
        let head = head(&section);
        let keys = section.settings.iter().map(|(name, setting)| ("key", name, &setting.place));
        let sections = section.tables.iter().filter(|(name, _)| !tables.contains(&name.as_str()));
        let sections =
            sections.map(|(name, list)| ("section", name, list.first().map_or(&section.place, |t| &t.place)));
        let mut sound = true;
        for (what, name, place) in keys.chain(sections) {
            if problems.is_full() {
                return None;
            }
            let near = did_you_mean(name, known());
            problems.add(place.clone(), format!("unknown {what} '{name}' in {head}{near}"));
            sound = false;
        }
        sound.then_some(places)
    }
}

fn head(section: &Section) -> String {
    if section.name.is_empty() { "the file".into() } else { format!("[{}]", section.name) }
}

fn judge<S>(key: &Key<S>, value: &Value, keys: &mut S) -> Result<(), String> {
    let name = key.row.name;
    if let Syntax::OneOf(_, words) = key.row.syntax {
        let (words, text) = (words(), value.text());
        if !words.contains(&text.as_str()) {
            let near = did_you_mean(&text, words.iter().copied());
            return Err(format!("{name} = '{text}' is none of: {}{near}", words.join(", ")));
        }
    }
    (key.field.set)(keys, value).map_err(|wrong| format!("{name} = '{}': {}", wrong.value, wrong.why))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;
    use crate::key::{Change::Live, Syntax::*, field, key};
    use crate::value::{Words, boolean, number, one_of, words};

    #[derive(Clone, Debug, Default)]
    struct Sample {
        must: u16,
        yes: bool,
        list: Vec<u8>,
        idle: Option<u8>,
        pairs: String,
    }

    const IDLE: &Words<u8> = &[("spin", 1), ("yield", 2), ("sleep", 3)];

    impl Keys for Sample {
        const KEYS: &'static [Key<Self>] = &[
            key("must", One("N"), Live, field!(must, number(1u16..=9)), "").required().flag("--must"),
            key("yes", Bool, Live, field!(yes, boolean), ""),
            key("list", Many("N"), Live, field!(list[], u8::from_str), ""),
            key("idle", OneOf("POLICY", || words(IDLE)), Live, field!(idle, one_of(IDLE)), "").default("sleep"),
            key("pairs", Pairs("A=B,…"), Live, field!(pairs, String::from_str), ""),
        ];

        fn blank() -> Self {
            Self::default()
        }
    }

    fn keys_of(text: &str) -> Result<Sample, Vec<String>> {
        let mut problems = Problems::default();
        let mut root = Section::parse("f", text, &mut problems);
        let section = root.take("s", "", &mut problems);
        let read = section.read::<Sample>(&["sub"], &mut problems);
        read.map(|read| read.keys).ok_or(problems.in_order().0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_form_of_a_value() {
        let keys = keys_of("[s]\nmust = 3\nyes = true\nlist = [1, 2]\nidle = 'spin'\npairs = { udp = 9, tcp = 8 }");
        let keys = keys.unwrap();
        assert_eq!((keys.must, keys.yes, keys.list, keys.idle), (3, true, vec![1, 2], Some(1)));
        assert_eq!(keys.pairs, "tcp=8,udp=9");
        let keys = keys_of("[s]\nmust = '4'\nyes = false\nlist = 7\npairs = 'udp=7'\nsub = {}").unwrap();
        assert_eq!((keys.must, keys.yes, keys.list, keys.idle), (4, false, vec![7], Some(3)));
        assert_eq!(keys.pairs, "udp=7");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let text = "[s]\nyes = 1\nlist = [1, 'x']\nidel = 'spin'\n[s.sup]\n";
        assert_eq!(
            keys_of(text).unwrap_err(),
            [
                "f:1: [s] lacks must = N, or --must",
                "f:2: yes = '1': it is true or false",
                "f:3: list = 'x': invalid digit found in string",
                "f:4: unknown key 'idel' in [s], did you mean 'idle'?",
                "f:5: unknown section 'sup' in [s], did you mean 'sub'?",
            ]
        );
        assert_eq!(
            keys_of("[s]\nmust = 10\nidle = 'spinn'").unwrap_err(),
            [
                "f:2: must = '10': give a number from 1 to 9",
                "f:3: idle = 'spinn' is none of: spin, yield, sleep, did you mean 'spin'?",
            ]
        );
    }
}
