//! `hikyaku`: a software router for lines where IPv4 travels inside IPv6.

use std::process::ExitCode;

use hikyaku::cli::{Cli, Command};
use hikyaku::{demo, exit, replay};

fn main() -> ExitCode {
    let cli: Cli = match exit::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
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
