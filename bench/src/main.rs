//! `hikyaku-bench`: how fast is the packet path, here and now?

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hikyaku::exit;
use hikyaku_bench::path::{self, PathArgs};

/// Measures hikyaku's packet path in clocks per packet.
#[derive(Parser, Debug)]
#[command(
    name = "hikyaku-bench",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  hikyaku-bench path          small packets of 65536 flows, outbound, with NAPT\n  \
                  hikyaku-bench path --help   everything else that can be asked"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measure the complete packet path on memory rings; needs no network card and no root
    Path(PathArgs),
}

fn main() -> ExitCode {
    let cli: Cli = match exit::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let Command::Path(args) = &cli.command;
    match path::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("hikyaku-bench: {e:#}");
            exit::code(&e)
        }
    }
}
