//! How the program ends: 0 done, 1 something was wrong on the way, 2 it was asked the wrong thing.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::output::complain;
use crate::problem::Problems;
use crate::tuning::NoSuchCore;

/// A request that makes no sense: what, which value, what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(pub String);

/// The exit code of an error.
pub fn code(error: &anyhow::Error) -> ExitCode {
    let is_usage = error.is::<Usage>() || error.is::<Problems>() || error.is::<NoSuchCore>();
    ExitCode::from(if is_usage { 2 } else { 1 })
}

/// The command line; where it is wrong, after one line about it, the code to end with.
pub fn parse<P: Parser>() -> Result<P, ExitCode> {
    // Before anything runs that the machine may not know.
    if let Err(missing) = hikyaku_dataplane::cpu::check() {
        complain(format_args!("{}: {missing}\n", P::command().get_name()));
        return Err(ExitCode::from(1));
    }
    let error = match P::try_parse() {
        Ok(parsed) => return Ok(parsed),
        Err(error) => error,
    };
    // Help and version are not errors.
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let program = P::command();
    let line = usage_line(&error, &program, std::env::args().nth(1).as_deref());
    complain(format_args!("{}: {line}\n", program.get_name()));
    Err(ExitCode::from(2))
}

/// A complaint of the argument parser in one line. `subcommand` is the first word after the program.
fn usage_line(error: &clap::Error, program: &clap::Command, subcommand: Option<&str>) -> String {
    let text = error.render().to_string();
    let lines = text.lines().map(str::trim).take_while(|l| !l.starts_with("Usage:"));
    // The tip that a word with dashes may be meant as a value never helps here.
    let is_noise = |l: &&str| l.is_empty() || l.starts_with("For more information") || l.starts_with("tip: to pass");
    let useful: Vec<&str> = lines.filter(|l| !is_noise(l)).collect();
    let line = useful.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    let name = program.get_name();
    match subcommand.filter(|s| program.find_subcommand(s).is_some()) {
        Some(subcommand) => format!("{subcommand}: {line}; see `{name} {subcommand} --help`"),
        None => match subcommand.and_then(|word| meant(program, word)) {
            Some(meant) => format!("{line}; did you mean `{name} {meant}`?"),
            None => format!("{line}; see `{name} --help`"),
        },
    }
}

/// The subcommand that takes this word: `show status` of `status`.
fn meant(program: &clap::Command, word: &str) -> Option<String> {
    let takes = |argument: &clap::Arg| argument.get_possible_values().iter().any(|value| value.matches(word, false));
    let subcommand = program.get_subcommands().find(|subcommand| subcommand.get_positionals().any(takes))?;
    Some(format!("{} {word}", subcommand.get_name()))
}
