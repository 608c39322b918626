//! `hikyaku`: a software router for lines where IPv4 travels inside IPv6.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use hikyaku::cli::{Cli, Command};
use hikyaku::{demo, exit, replay};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are not errors.
        Err(e) if !e.use_stderr() || e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => e.exit(),
        Err(e) => {
            eprintln!("hikyaku: {}", exit::usage_line(&e, std::env::args().nth(1).as_deref()));
            return ExitCode::from(2);
        }
    };
    let done = match &cli.command {
        Command::Replay(args) => replay::run(args),
        Command::Demo(args) => demo::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("hikyaku: {e:#}");
            exit::code(&e)
        }
    }
}
