//! What the line is to carry: the services there are, which of them it has, what that takes.
//!
//! A choice is a function: the same facts give the same plan.
//!
//! ```
//! use hikyaku_protocols::service::{Known, Name, Said, Technology, Wish, choose};
//!
//! let wish = Wish { name: Name::Auto, far: None, ipv4: None, ports: None, end: None, rules: None, iid: None };
//! let asked = || "is asked".to_string();
//! let known = Known {
//!     prefixes: vec!["2001:db8:1::/56".parse().unwrap()],
//!     option64: Said::Said("gw.example.net".into()),
//!     s46: Said::Nothing("none".into()),
//!     prefers_s46: false,
//!     provisioning: Said::Waiting(asked()),
//!     names: Said::Waiting(asked()),
//!     unresolved: Vec::new(),
//! };
//! let plan = choose(&wish, &known).plan.expect("the line names its AFTR");
//! assert_eq!(plan.technology, Technology::Dslite);
//! ```

mod choice;
mod closed;
mod plan;
mod probe;
mod profile;
mod unresolved;

pub use choice::{Decision, Known, Origin, Outcome, Said, Step, Wish, WishedEnd, choose};
pub use closed::closed_network;
pub use plan::{Candidate, Local, Meshed, Outside, Plan, known_form};
pub use probe::Probe;
pub use profile::{Name, Profile, Technology, UnknownName, UsualEnd};
pub use unresolved::Unresolved;
