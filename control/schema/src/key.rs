//! A configuration key: one row that says everything about it.

use crate::value::{Value, Wrong};

/// What a key is, whatever struct its value goes into: for the reader, the command line, the reference and shells.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// As it is written in the file, in its section.
    pub name: &'static str,
    /// What its value looks like.
    pub syntax: Syntax,
    /// What a running router does when it is another.
    pub change: Change,
    /// Its value where nobody sets it, as one would write it; empty where it then has no effect, or `help` says what.
    pub default: &'static str,
    /// Whether it must be set.
    pub required: bool,
    /// The flag of the command line, `--wan`. Several keys may have the same one: it sets them all.
    pub flag: Option<&'static str>,
    /// Another name of the flag.
    pub alias: Option<&'static str>,
    /// The services that have it.
    pub services: Services,
    /// Whether its value may hold a password, and is printed by nobody.
    pub secret: bool,
    /// What it is, with units and range, and what holds without it. No full stop at the end.
    pub help: &'static str,
}

/// What a value looks like in the file and on the command line. The texts stand for a value in help and reference.
#[derive(Clone, Copy, Debug)]
pub enum Syntax {
    /// One string or number.
    One(&'static str),
    /// An array of such, or one; the flag may be given more than once.
    Many(&'static str),
    /// `true` or `false`. The flag of a key that is false by default is a switch.
    Bool,
    /// One of some words.
    OneOf(&'static str, fn() -> Vec<&'static str>),
    /// Names and values: `udp=120,tcp=86400`, or in the file also `{ udp = 120, tcp = 86400 }`.
    Pairs(&'static str),
    /// The name of a file to read; in a configuration file that of one beside it, unless it begins with `/`.
    File,
}

impl Syntax {
    /// What stands for a value in texts: `N`, `ADDR`.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::One(text) | Self::Many(text) | Self::OneOf(text, _) | Self::Pairs(text) => text,
            Self::Bool => "BOOL",
            Self::File => "FILE",
        }
    }
}

/// Whether a running router takes up another value when its configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It does, at once.
    Live,
    /// It goes on with the old value, and says so: links, threads, tables and sockets are made at the start.
    Restart,
}

/// Kinds of service that a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Services(u8);

impl Services {
    /// DS-Lite (RFC 6333): `dslite`.
    pub const DSLITE: Self = Self(1);
    /// IPv4 in IPv6 with a fixed address (RFC 2473).
    pub const IPIP: Self = Self(2);
    /// MAP-E (RFC 7597): `map-e`.
    pub const MAP_E: Self = Self(4);
    /// Lightweight 4over6 (RFC 7596).
    pub const LW4O6: Self = Self(8);
    /// `auto`: it is not known before the line says it.
    pub const AUTO: Self = Self(16);
    /// All of them, and `auto`.
    pub const ALL: Self = Self(31);
    /// Those where this end translates, or may have to.
    pub const NAPT: Self = Self::IPIP.or(Self::MAP_E).or(Self::LW4O6).or(Self::AUTO);

    /// The services of both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` are among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// Where the value of a key goes in struct `S`. Made by [`field!`](crate::field).
#[derive(Clone, Copy, Debug)]
pub struct Field<S> {
    /// Reads the value into its field.
    pub set: fn(&mut S, &Value) -> Result<(), Wrong>,
    /// Puts the field of the second into the first. Whether it was another.
    pub keep: fn(&mut S, &S) -> bool,
}

/// A [`Row`], and where its value goes.
#[derive(Clone, Copy, Debug)]
pub struct Key<S> {
    /// Everything about it but its field.
    pub row: Row,
    /// The field of `S` that its value goes into.
    pub field: Field<S>,
}

/// A key that need not be set, has no flag, and is for every service; the methods say what is otherwise.
pub const fn key<S>(name: &'static str, syntax: Syntax, change: Change, field: Field<S>, help: &'static str) -> Key<S> {
    let (required, services) = (false, Services::ALL);
    let row =
        Row { name, syntax, change, default: "", required, flag: None, alias: None, services, secret: false, help };
    Key { row, field }
}

impl<S> Key<S> {
    /// Its value where nobody sets it.
    pub const fn default(mut self, text: &'static str) -> Self {
        self.row.default = text;
        self
    }

    /// It must be set.
    pub const fn required(mut self) -> Self {
        self.row.required = true;
        self
    }

    /// Its flag, with the dashes.
    pub const fn flag(mut self, flag: &'static str) -> Self {
        self.row.flag = Some(flag);
        self
    }

    /// Another name of its flag.
    pub const fn alias(mut self, flag: &'static str) -> Self {
        self.row.alias = Some(flag);
        self
    }

    /// Its value may hold a password.
    pub const fn secret(mut self) -> Self {
        self.row.secret = true;
        self
    }

    /// It is for these services only; with others it is refused.
    pub const fn only(mut self, services: Services) -> Self {
        self.row.services = services;
        self
    }
}

/// A struct whose fields are set by keys: a section of the configuration file, or a file of its own.
pub trait Keys: Clone + Send + Sync + 'static {
    /// The head above its flags in `--help`.
    const HEADING: &'static str = "Line";
    /// Its keys, in the order of the reference.
    const KEYS: &'static [Key<Self>];

    /// What is there before [`Row::default`]s are read. The fields of required keys hold something that nobody sees:
    /// a section without them is not read.
    fn blank() -> Self;

    /// Its value where nobody sets anything.
    fn defaults() -> Self {
        let mut keys = Self::blank();
        for key in Self::KEYS.iter().filter(|key| !key.row.default.is_empty()) {
            let read = (key.field.set)(&mut keys, &Value::One(key.row.default.into()));
            debug_assert!(read.is_ok(), "{}: {read:?}", key.row.name);
        }
        keys
    }

    /// What a program that runs with `was` goes on with: fields of keys that take a restart are `was`'s. Returns the
    /// names of those that were to be another.
    fn keep(&mut self, was: &Self) -> Vec<&'static str> {
        let takes_restart = |key: &&Key<Self>| key.row.change == Change::Restart;
        let kept = Self::KEYS.iter().filter(takes_restart).filter(|key| (key.field.keep)(self, was));
        kept.map(|key| key.row.name).collect()
    }
}

/// Puts `was` into `is`. Whether it was another.
pub fn keep<T: PartialEq + Clone>(is: &mut T, was: &T) -> bool {
    let is_other = is != was;
    is.clone_from(was);
    is_other
}

// A macro for other crates is at home in the root, whatever module it stands in: what is used is `field`, below.
#[macro_export]
#[doc(hidden)]
macro_rules! key_field {
    ($field:ident, $parse:expr) => {
        $crate::Field::<Self> {
            set: |keys, value| value.one($parse).map(|value| keys.$field = value.into()),
            keep: |keys, was| $crate::keep(&mut keys.$field, &was.$field),
        }
    };
    ($field:ident[], $parse:expr) => {
        $crate::Field::<Self> {
            set: |keys, value| value.many($parse).map(|values| keys.$field = values),
            keep: |keys, was| $crate::keep(&mut keys.$field, &was.$field),
        }
    };
}

/// In a [`Keys::KEYS`]: the field of a key, and what reads its value. `field!(mtu, number(576..=1500))` for one value, which
/// goes into a field of its type or an `Option` of it; `field!(dns[], host4)` for an array of values, which goes into a
/// `Vec`.
pub use key_field as field;
