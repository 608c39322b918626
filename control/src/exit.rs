//! How the program ends: [`hikyaku_schema::exit`], and what only subcommands here can find wrong.

use std::process::ExitCode;

use hikyaku_capture::CaptureError;
use hikyaku_dataplane::memory_router::SetupError;
pub use hikyaku_schema::exit::parse;

use crate::run::Standstill;

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> ExitCode {
    let wrong_file = error.downcast_ref::<CaptureError>().is_some_and(CaptureError::is_wrong_file);
    if error.is::<Standstill>() {
        return ExitCode::from(Standstill::EXIT_CODE);
    }
    if wrong_file || error.is::<SetupError>() { ExitCode::from(2) } else { hikyaku_schema::exit::code(error) }
}
