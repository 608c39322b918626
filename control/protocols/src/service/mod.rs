//! What the line is to carry: the services there are, which of them it has, what that takes.

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
