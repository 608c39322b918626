//! How the program ends: 0 done, 1 something was wrong on the way, 2 it was asked the wrong thing.

use std::process::ExitCode;

use clap::CommandFactory;

use crate::capture::CaptureError;
use crate::cli::Cli;
use crate::memory_router::SetupError;
use crate::tuning::NoSuchCore;

/// A request that makes no sense: what, which value, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.is::<Usage>() || error.is::<NoSuchCore>() || error.is::<SetupError>();
    let wrong_file = error.downcast_ref::<CaptureError>().is_some_and(CaptureError::is_wrong_file);
    ExitCode::from(if is_usage || wrong_file { 2 } else { 1 })
}

/// A complaint of the argument parser in one line. `subcommand` is the first word after the program.
pub fn usage_line(error: &clap::Error, subcommand: Option<&str>) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    let useful: Vec<&str> = lines.filter(|l| !l.is_empty() && !l.starts_with("For more information")).collect();
    let line = useful.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match subcommand.filter(|s| Cli::command().find_subcommand(s).is_some()) {
        Some(subcommand) => format!("{subcommand}: {line}; see `hikyaku {subcommand} --help`"),
        None => format!("{line}; see `hikyaku --help`"),
    }
}
