//! `hikyaku check`: what a configuration file would do.

use std::path::{Path, PathBuf};

use clap::Args;
use hikyaku_config::{Config, Overlay};
use hikyaku_ring::LinkName;
use hikyaku_schema::output::print;

const CHECK_EXAMPLES: &str = "\
Example:
  hikyaku check /etc/hikyaku.toml && kill -HUP PID     have a running router read it again

Exit code: 0 it is right; 2 it is not: every line on standard error is one thing that is wrong.
How many workers it would have is told where the links are there. Whether they may be opened, and whether names resolve,
only `hikyaku run` finds out.";

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
    let lans = config.lans.iter().map(|lan| &lan.link);
    let links = [&config.wan.link].into_iter().chain(lans);
    let queues: Vec<_> = links.map(|link| (link, hikyaku_ring::queue_pairs(link))).collect();
    let cores = config.tuning.cores.as_ref().map(|cores| cores.0.len());
    let (here, refused) = match workers(&queues, cores) {
        Some(Ok(here)) => (format!("here: {here}\n"), None),
        Some(Err(refused)) => (String::new(), Some(refused)),
        None => (String::new(), None),
    };
    let warnings: String =
        config.warnings().into_iter().chain(refused).map(|warning| format!("warning: {warning}\n")).collect();
    let file = file.unwrap_or(Path::new("")).display();
    Ok(print(format!("ok: {file}\n{}\n{here}{warnings}", config.summary()))?)
}

/// How many workers `run` would have with the links as this machine has them now, each with one queue of all links; or why it
/// would refuse. `None` where that is not known before they are opened.
fn workers(queues: &[(&LinkName, Option<u16>)], cores: Option<usize>) -> Option<Result<String, String>> {
    let queues: Vec<(&LinkName, usize)> =
        queues.iter().map(|&(link, of)| Some((link, usize::from(of?)))).collect::<Option<_>>()?;
    let workers = cores.or(queues.iter().map(|&(_, of)| of).min())?;
    let mut links: Vec<String> = queues.iter().map(|&(link, of)| format!("{link} {}", counted(of, "queue"))).collect();
    if let (Some(first), Some((link, of))) = (links.first_mut(), queues.first()) {
        *first = format!("{link} has {}", counted(*of, "queue"));
    }
    let links = listed(&links);
    let all = if queues.len() == 2 { "both" } else { "all" };
    Some(match queues.iter().all(|&(_, of)| of == workers) {
        true => Ok(format!("{}: {links}", counted(workers, "worker"))),
        false => Err(format!(
            "{links} here, and `hikyaku run` would have {}, each with one queue of {all}: it would refuse; give {all} links as \
             many (ethtool -L IF combined {workers}), or another [tuning] cores",
            counted(workers, "worker")
        )),
    })
}

/// `a and b`, `a, b and c`.
fn listed(list: &[String]) -> String {
    match list.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => list.concat(),
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_as_links_and_cores_have_it() {
        let (wan, lan) = ("xdp:w0".parse().unwrap(), "xdp:l0".parse().unwrap());
        let of = |wan_queues, lan_queues, cores| workers(&[(&wan, wan_queues), (&lan, lan_queues)], cores);
        assert_eq!(of(None, Some(1), None), None, "only opening it tells");
        assert_eq!(of(Some(1), Some(1), None), Some(Ok("1 worker: xdp:w0 has 1 queue and xdp:l0 1 queue".into())));
        assert_eq!(
            of(Some(2), Some(2), Some(2)),
            Some(Ok("2 workers: xdp:w0 has 2 queues and xdp:l0 2 queues".into()))
        );
        for (queues, cores, says) in
            [((2, 1), None, "would have 1 worker"), ((2, 2), Some(1), "ethtool -L IF combined 1")]
        {
            let refused = of(Some(queues.0), Some(queues.1), cores).unwrap().unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }
}
