//! `hikyaku check`: what a configuration file would do.

use std::path::{Path, PathBuf};

use clap::Args;
use hikyaku_config::{Config, Overlay};
use hikyaku_schema::output::print;

const CHECK_EXAMPLES: &str = "\
Example:
  hikyaku check /etc/hikyaku.toml && kill -HUP PID     have a running router read it again

Exit code: 0 it is right; 2 it is not: every line on standard error is one thing that is wrong.
Whether links exist and may be opened, and whether names resolve, only `hikyaku run` finds out.";

/// Check a configuration file and say what it would do
#[derive(Args, Clone, Debug)]
#[command(after_help = CHECK_EXAMPLES, after_long_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Configuration file (TOML), as `hikyaku run` takes it with --config.
    #[arg(value_name = "FILE", required_unless_present = "config")]
    pub file: Option<PathBuf>,

    /// Configuration file, said as to `hikyaku run`.
    #[arg(long, short, value_name = "FILE", conflicts_with = "file", hide = true)]
    pub config: Option<PathBuf>,
}

/// Says what a configuration would do, or everything that is wrong with it.
pub fn run(args: &CheckArgs) -> anyhow::Result<()> {
    let file = args.file.iter().chain(&args.config).next().map(PathBuf::as_path);
    let config = Config::load(file, &Overlay::default())?;
    let warnings: String = config.warnings().iter().map(|warning| format!("warning: {warning}\n")).collect();
    let file = file.unwrap_or(Path::new("")).display();
    Ok(print(format!("ok: {file}\n{}\n{warnings}", config.summary()))?)
}
