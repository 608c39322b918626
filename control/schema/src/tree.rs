//! A configuration before it means anything: sections, keys and values, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use crate::problem::{Place, Problems};
use crate::value::Value;

/// A value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What the key is set to.
    pub value: Value,
    /// Where it was set to that.
    pub place: Place,
}

/// A table of the file, or the whole of it, with what flags put in.
#[derive(Clone, Debug)]
pub struct Section {
    /// The section's name as in the file's heads: `lan.dhcpv4`; empty for the whole file.
    pub name: String,
    /// The line of its head.
    pub place: Place,
    /// The keys that are set in it, by their names.
    pub settings: BTreeMap<String, Setting>,
    /// Tables in it: `[name]` once, `[[name]]` any number of times.
    pub tables: BTreeMap<String, Vec<Section>>,
    /// Whether the whole file could be read. Else what is missing may stand in a line that is no TOML.
    pub whole: bool,
}

/// Deeper than any section is.
const MAX_DEPTH: usize = 8;

/// Lines of a file that are no TOML, at most: behind so many nothing is read.
const MAX_SPOILED: usize = 8;

impl Section {
    /// A section in which nothing is set.
    pub fn new(name: &str, place: Place) -> Self {
        Self { name: name.into(), place, settings: BTreeMap::new(), tables: BTreeMap::new(), whole: true }
    }

    /// Reads TOML. A line that is none is a problem; the rest is read all the same, but for what follows a head
    /// (`[lan`) that cannot be read: nobody knows whose keys those are.
    pub fn parse(file: &str, text: &str, problems: &mut Problems) -> Self {
        let lines = Lines::new(file, text);
        let mut text = text.to_string();
        for spoiled in 0..MAX_SPOILED {
            let (table, errors) = DeTable::parse_recoverable(&text);
            let start = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
            let Some(error) = errors.into_iter().min_by_key(start) else {
                let reader = Reader { lines, whole: spoiled == 0 };
                let place = Place::File(reader.lines.file.clone());
                return reader.section("", place, table.get_ref(), 0, problems);
            };
            let Some(span) = error.span() else {
                problems.add(Place::File(lines.file.clone()), error.message());
                break;
            };
            let range = lines.range(span.start, text.len());
            let line = &text[range.clone()];
            problems.add(lines.place(span.start), complaint(error.message(), text.get(span).unwrap_or_default(), line));
            match line.trim_start().chars().next() {
                None => break,
                Some('[') => text.truncate(range.start),
                Some(_) => text.replace_range(range.clone(), &" ".repeat(range.len())),
            }
        }
        Self { whole: false, ..Self::new("", Place::File(lines.file)) }
    }

    /// Takes the one table of that name out. `[[name]]` with one entry is the same as `[name]`; the
    /// others, if there are more, are a problem: `only` says why there is one.
    pub fn take(&mut self, name: &str, only: &str, problems: &mut Problems) -> Self {
        let mut tables = self.take_all(name).into_iter();
        let Some(first) = tables.next() else {
            return Self { whole: self.whole, ..Self::new(&self.child_name(name), self.place.clone()) };
        };
        for more in tables {
            problems.add(more.place, format!("a second [[{}]]: {only}", more.name));
        }
        first
    }

    /// Every table of that name, such as `lan.dhcpv4`.
    pub fn all(&self, path: &str) -> Vec<&Self> {
        path.split('.').fold(vec![self], |sections, name| {
            sections.into_iter().flat_map(|section| section.tables.get(name).into_iter().flatten()).collect()
        })
    }

    /// Takes every table of that name out.
    pub fn take_all(&mut self, name: &str) -> Vec<Self> {
        self.tables.remove(name).unwrap_or_default()
    }

    /// Puts a flag's value in, over the file's.
    pub fn set(&mut self, path: &str, key: &str, flag: &'static str, value: Value) {
        let mut section = self;
        for name in path.split('.') {
            let full = section.child_name(name);
            let tables = section.tables.entry(name.into()).or_default();
            if tables.is_empty() {
                tables.push(Self::new(&full, section.place.clone()));
            }
            section = &mut tables[0];
        }
        section.settings.insert(key.into(), Setting { value, place: Place::Flag(flag) });
    }

    fn child_name(&self, name: &str) -> String {
        if self.name.is_empty() { name.into() } else { format!("{}.{name}", self.name) }
    }
}

/// What is wrong with a line that is no TOML. `at` is the text that the parser stumbled over.
fn complaint(message: &str, at: &str, line: &str) -> String {
    let bare = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
    match bare {
        _ if message == "duplicate key" => format!("duplicate key '{at}'"),
        Some((key, value)) if value.starts_with(|c: char| c.is_ascii_alphabetic()) && !value.contains(['"', '\'']) => {
            format!("{key} = {value}: text is written in quotes, {key} = \"{value}\"")
        }
        _ => message.to_string(),
    }
}

/// Where the lines of a file begin.
struct Lines {
    file: Arc<str>,
    starts: Vec<usize>,
}

impl Lines {
    fn new(file: &str, text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { file: file.into(), starts: starts.collect() }
    }

    /// The number of the line that a byte is in, from 1.
    fn number(&self, byte: usize) -> usize {
        self.starts.partition_point(|&start| start <= byte)
    }

    fn place(&self, byte: usize) -> Place {
        Place::Line { file: self.file.clone(), line: self.number(byte) }
    }

    /// The line that a byte is in, without its end, in a text of `len` bytes.
    fn range(&self, byte: usize, len: usize) -> Range<usize> {
        let number = self.number(byte);
        self.starts[number - 1].min(len)..self.starts.get(number).map_or(len, |next| next - 1).min(len)
    }
}

struct Reader {
    lines: Lines,
    whole: bool,
}

impl Reader {
    fn place(&self, byte: usize) -> Place {
        self.lines.place(byte)
    }

    fn section(&self, name: &str, place: Place, table: &DeTable<'_>, depth: usize, problems: &mut Problems) -> Section {
        let mut section = Section { whole: self.whole, ..Section::new(name, place) };
        if depth > MAX_DEPTH {
            problems.add(section.place.clone(), "tables are nested too deeply");
            return section;
        }
        for (key, value) in table {
            let place = self.place(key.span().start);
            let full = section.child_name(key.get_ref());
            let key = key.get_ref().to_string();
            match value.get_ref() {
                DeValue::Table(inner) => {
                    let table = self.section(&full, self.place(value.span().start), inner, depth + 1, problems);
                    section.tables.insert(key, vec![Section { place, ..table }]);
                }
                DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                    let tables = items.iter().filter_map(|item| {
                        let inner = item.get_ref().as_table()?;
                        Some(self.section(&full, self.place(item.span().start), inner, depth + 1, problems))
                    });
                    let tables: Vec<Section> = tables.collect();
                    if tables.len() < items.len() {
                        problems.add(place, format!("{full}: tables and values in one array"));
                    }
                    section.tables.insert(key, tables);
                }
                DeValue::Array(items) => {
                    let values: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
                    match values {
                        Some(values) => _ = section.settings.insert(key, Setting { value: Value::Many(values), place }),
                        None => problems.add(place, format!("{full}: arrays in an array")),
                    }
                }
                plain => {
                    let value = Value::One(scalar(plain).unwrap_or_default());
                    section.settings.insert(key, Setting { value, place });
                }
            }
        }
        section
    }
}

/// A value as it would stand behind a flag; numbers of another base keep their prefix.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(n) => Some(n.to_string()),
        DeValue::Float(n) => Some(n.to_string()),
        DeValue::Boolean(b) => Some(b.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Section, Vec<String>) {
        let mut problems = Problems::default();
        let section = Section::parse("r.toml", text, &mut problems);
        (section, problems.0.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn keys_and_tables_have_their_lines() {
        let (root, problems) =
            parse("# head\n[lan]\nmtu = 1_400\n[lan.dhcpv4]\ndns = [\n 'a', 'b']\n[[x]]\n[[x]]\nn=0o660");
        assert_eq!(problems, [""; 0]);
        let place = |line| Place::Line { file: "r.toml".into(), line };
        let lan = &root.tables["lan"][0];
        assert_eq!((lan.name.as_str(), &lan.place), ("lan", &place(2)));
        assert_eq!(lan.settings["mtu"], Setting { value: Value::One("1400".into()), place: place(3) });
        let dhcp = &lan.tables["dhcpv4"][0];
        assert_eq!((dhcp.name.as_str(), &dhcp.place), ("lan.dhcpv4", &place(4)));
        assert_eq!(dhcp.settings["dns"].value, Value::Many(vec!["a".into(), "b".into()]));
        assert_eq!(root.tables["x"].iter().map(|x| &x.place).collect::<Vec<_>>(), [&place(7), &place(8)]);
        assert_eq!(root.tables["x"][1].settings["n"].value, Value::One("0o660".into()));
    }

    #[test]
    fn what_is_no_toml_is_named_and_the_rest_is_read() {
        let (root, problems) = parse("[wan]\nlink = netmap:ix0\nmtu = 1500\nmtu = 1400\n[lan]\nmtu 1400\nvlan = 7\n");
        assert_eq!(
            problems,
            [
                "r.toml:2: link = netmap:ix0: text is written in quotes, link = \"netmap:ix0\"",
                "r.toml:4: duplicate key 'mtu'",
                "r.toml:6: key with no value, expected `=`",
            ]
        );
        let wan = &root.tables["wan"][0];
        assert_eq!(wan.settings["mtu"].value, Value::One("1500".into()));
        assert!(!wan.whole && !root.whole, "a link may be there");
        assert_eq!(root.tables["lan"][0].settings["vlan"].place, Place::Line { file: "r.toml".into(), line: 7 });
        // Whose keys would these be?
        let (root, problems) = parse("[wan]\nmtu = 1500\n[lan\nmtu = 1400\n");
        assert_eq!(problems, ["r.toml:3: unclosed table, expected `]`"]);
        assert_eq!(root.tables["wan"][0].settings["mtu"].value, Value::One("1500".into()));
        let (_, problems) = parse("x = [[1]]\ny = [1, {a = 1}]");
        assert_eq!(problems, ["r.toml:1: x: arrays in an array", "r.toml:2: y: tables and values in one array"]);
        assert_eq!(parse(&"x\n".repeat(1000)).1.len(), MAX_SPOILED);
        assert_eq!(parse("x = 'a\n").1.len(), 1);
        assert!(!parse("x = [\n1,\n\n").1.is_empty());
    }

    #[test]
    fn flags_go_over_the_file() {
        let (mut root, _) = parse("[lan]\nipv4 = 'a'");
        root.set("lan", "ipv4", "--lan-ipv4", Value::One("b".into()));
        root.set("wan.dhcpv6", "mode", "--x", Value::One("c".into()));
        let lan = root.take("lan", "", &mut Problems::default());
        assert_eq!(lan.settings["ipv4"], Setting { value: Value::One("b".into()), place: Place::Flag("--lan-ipv4") });
        assert_eq!(root.tables["wan"][0].tables["dhcpv6"][0].name, "wan.dhcpv6");
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = format!("{}a=1", "[x.x.x.x.x.x.x.x.x.x.x.x]\n");
        assert!(parse(&deep).1[0].contains("too deeply"));
        let inline = format!("a = {}1{}", "{a=".repeat(5000), "}".repeat(5000));
        assert!(!parse(&inline).1.is_empty());
    }
}
