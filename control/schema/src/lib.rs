//! What a user may say to the programs: keys of a configuration, each said once.
//!
//! A key is a row of a table ([`Row`], [`Key`]): its name, what its value looks like and what reads it, its default, its
//! flag, the services it is for, whether a running router takes up another value, and its help. The table of a struct
//! ([`Keys`]) sets the struct's fields, and everything else comes from it:
//!
//! ```text
//! file --Section::parse--> sections, keys, values, each with its place <--Row::given-- command line
//!                                   |
//!                      Reader, by the rows of `Keys`  -->  a struct, and where each key was set
//!                                                     -->  or Problems: all that is wrong, with "did you mean"
//! rows --> Row::arg       the command line, its --help, completion in shells
//!      --> Keys::keep     what of a changed file waits for a restart
//!      --> reference      the tables of docs/configuration.md
//!      --> Section::setting    what is set to what, for `hikyaku check`
//! ```
//!
//! This crate knows what a key is; which keys there are, `hikyaku-config` says, except for those of [`Tuning`], which
//! every program with workers has. It opens nothing but files that it is told to read, and starts no thread.

#![forbid(unsafe_code)]

pub mod exit;
mod file;
mod flags;
mod key;
pub mod output;
mod problem;
mod read;
mod reference;
mod tree;
mod tuning;
mod value;

pub use exit::Usage;
pub use file::{open, read_file, read_text, text_of};
pub use flags::Flags;
pub use key::{Change, Field, Key, Keys, Row, Services, Syntax, field, keep, key};
pub use problem::{Place, Problem, Problems, did_you_mean};
pub use read::{Places, Read, Reader};
pub use reference::reference;
pub use tree::{Section, Setting};
pub use tuning::{Cores, DEFAULT_TABLE, Idle, NoSuchCore, Tuning};
pub use value::{Value, Words, Wrong, boolean, number, one_of, words};
