//! The command line.

use clap::{Parser, Subcommand};

use crate::check::CheckArgs;
use crate::completions::CompletionsArgs;
use crate::demo::DemoArgs;
use crate::map_e::MapEArgs;
use crate::replay::ReplayArgs;
use crate::run::RunArgs;
use crate::show::ShowArgs;

/// A software router for lines where IPv4 travels inside IPv6: DS-Lite, MAP-E, lw4o6 and fixed addresses.
#[derive(Parser, Debug)]
#[command(
    name = "hikyaku",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Start here:\n  hikyaku demo              see it work; needs no root, no network card, no network\n  \
                  hikyaku run --help        bring up a line\n  \
                  hikyaku replay --help     play captures of your own through it"
)]
pub struct Cli {
    /// The subcommand, with its arguments.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Bring up the line and route
    Run(RunArgs),
    /// Check a configuration file and say what it would do
    Check(CheckArgs),
    /// Show what a running router is doing
    Show(ShowArgs),
    /// Work out what MAP-E makes of a line's prefix: address, ports, our end of the tunnel
    MapE(MapEArgs),
    /// Play captures through the router and write down what leaves it
    Replay(Box<ReplayArgs>),
    /// Show the router at work on captures it brings along, and check every packet
    Demo(DemoArgs),
    /// Print what completes this program's command line in a shell
    Completions(CompletionsArgs),
}
