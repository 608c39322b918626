//! `hikyaku-bench`: how fast is the packet path, here and now?

mod path;
mod traffic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures hikyaku's packet path in clocks per packet.
///
/// Machines drift: compare figures of one sitting, and quote ratios.
#[derive(Parser, Debug)]
#[command(version, after_help = "Example:\n  hikyaku-bench path --mode ipip --direction both --flows 65536")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Path(path::PathArgs),
}

fn main() -> ExitCode {
    let Command::Path(args) = Cli::parse().command;
    match path::run(&args) {
        Ok(report) if args.json => {
            println!("{}", serde_json::to_string(&report).expect("a report is plain data"));
            ExitCode::SUCCESS
        }
        Ok(report) => {
            path::print(&report);
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("hikyaku-bench: {message}");
            ExitCode::from(2)
        }
    }
}
