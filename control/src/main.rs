//! `hikyaku`: a software router for lines where IPv4 travels inside IPv6.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::CommandFactory;
use hikyaku::cli::{Cli, Command};
use hikyaku::{check, completions, demo, exit, map_e, replay, run, show};
use hikyaku_schema::output::complain;

fn main() -> ExitCode {
    let cli: Cli = match exit::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(args),
        Command::Show(args) => show::run(args),
        Command::MapE(args) => map_e::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Completions(args) => completions::run(*args, Cli::command()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            // What is wrong with a configuration is several lines.
            for line in format!("{e:#}").lines() {
                complain(format_args!("hikyaku: {line}\n"));
            }
            exit::code(&e)
        }
    }
}
