//! `hikyaku-bench`: how fast is the packet path, here and now?

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use hikyaku_bench::attack::{self, AttackArgs};
use hikyaku_bench::path::{self, PathArgs};
#[cfg(target_os = "linux")]
use hikyaku_bench::veth::{self, VethArgs};
use hikyaku_schema::exit;
use hikyaku_schema::output::complain;

/// Measures hikyaku's packet path in clocks per packet.
#[derive(Parser, Debug)]
#[command(
    name = "hikyaku-bench",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  hikyaku-bench path          small packets of 65536 flows, outbound, with NAPT\n  \
                  hikyaku-bench path --help   everything else that can be asked\n  hikyaku-bench attack        \
                  what attacks do to a thousand transfers (docs/security.md)\n  hikyaku-bench veth          \
                  from end to end on Linux, beside the kernel's own masquerade (root)"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measure the complete packet path on memory rings; needs no network card and no root
    Path(PathArgs),
    /// Attack a router on memory rings that carries 1,000 transfers, and count what they lose
    Attack(AttackArgs),
    /// Measure the rate from end to end over veth, beside the kernel's own masquerade; needs root
    #[cfg(target_os = "linux")]
    Veth(VethArgs),
}

fn main() -> ExitCode {
    let cli: Cli = match exit::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    let done = match &cli.command {
        Command::Path(args) => path::run(args),
        Command::Attack(args) => attack::run(args),
        #[cfg(target_os = "linux")]
        Command::Veth(args) => veth::run(args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            complain(format_args!("hikyaku-bench: {e:#}\n"));
            exit::code(&e)
        }
    }
}
