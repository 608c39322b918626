//! `hikyaku completions`: what a shell needs to complete subcommands, flags and their words.

use clap::{Args, Command};
use clap_complete::Shell;
use hikyaku_schema::output::print;

const EXAMPLES: &str = "\
Examples:
  hikyaku completions bash >/etc/bash_completion.d/hikyaku
  hikyaku completions zsh >/usr/local/share/zsh/site-functions/_hikyaku
  hikyaku completions fish >~/.config/fish/completions/hikyaku.fish";

/// Print what completes this program's command line in a shell
#[derive(Args, Clone, Copy, Debug)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// The shell that is to read it.
    pub shell: Shell,
}

/// Prints it for `program`, the command line of the whole.
pub fn run(args: CompletionsArgs, mut program: Command) -> anyhow::Result<()> {
    let (name, mut script) = (program.get_name().to_string(), Vec::new());
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    Ok(print(script)?)
}
