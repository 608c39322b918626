//! How the program ends: 0 done, 1 something was wrong on the way, 2 it was asked the wrong thing.

use std::process::ExitCode;

use crate::capture::CaptureError;
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

/// A complaint of the argument parser in one line.
pub fn usage_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    let useful: Vec<&str> = lines.filter(|l| !l.is_empty() && !l.starts_with("For more information")).collect();
    let line = useful.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    // The usage line names the subcommand whose flags these are.
    let words = text.lines().filter_map(|l| l.trim().strip_prefix("Usage: hikyaku ")).flat_map(str::split_whitespace);
    let subcommand = words.take(1).find(|w| w.chars().all(|c| c.is_ascii_lowercase()));
    match subcommand {
        Some(subcommand) => format!("{subcommand}: {line}; see `hikyaku {subcommand} --help`"),
        None => format!("{line}; see `hikyaku --help`"),
    }
}
