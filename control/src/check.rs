//! `hikyaku check`: what a configuration file would do.

use std::path::PathBuf;

use clap::Args;
use hikyaku_config::{Config, Overlay};

const CHECK_EXAMPLES: &str = "\
Example:
  hikyaku check /etc/hikyaku.toml && kill -HUP PID     have a running router read it again

Exit code: 0 it is right; 2 it is not: every line on standard error is one thing that is wrong.
Whether links exist and may be opened, and whether names resolve, only `hikyaku run` finds out.";

/// Check a configuration file and say what it would do
#[derive(Args, Clone, Debug)]
#[command(after_help = CHECK_EXAMPLES, after_long_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Configuration file (TOML).
    #[arg(value_name = "FILE")]
    pub config: PathBuf,
}

/// Says what a configuration would do, or everything that is wrong with it.
pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let config = Config::load(Some(&args.config), &Overlay::default())?;
    println!("ok: {}\n{}", args.config.display(), config.summary());
    Ok(())
}
