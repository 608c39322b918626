//! `hikyaku-lab`: the far end of the tunnel for `scripts/lab`. See the library's documentation.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::io::Write;
    use std::net::Ipv6Addr;
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::Parser;
    use hikyaku_lab::aftr::Aftr;
    use hikyaku_lab::ce::Ce;
    use hikyaku_lab::line::{Line, Row, rows};
    use hikyaku_lab::linux::play::play;
    use hikyaku_lab::linux::{Sockets, complain, say, tell};
    use hikyaku_lab::shared::{Domain, InterfaceId, Rule};

    #[derive(Parser)]
    #[command(about = "The far end of the tunnel for scripts/lab")]
    enum Cli {
        /// Be the far end until killed
        Aftr {
            /// Addresses of the AFTR (DS-Lite); the kernel has them too, to answer pings
            #[arg(long, value_delimiter = ',')]
            address: Vec<Ipv6Addr>,
            /// Addresses of the border router (fixed IPv4 addresses); the kernel has them too
            #[arg(long, value_delimiter = ',')]
            border_router: Vec<Ipv6Addr>,
            /// TUN device for inner packets
            #[arg(long, default_value = "softwires")]
            tun: String,
            /// Unix socket for commands
            #[arg(long)]
            control: PathBuf,
        },
        /// Be another customer of a MAP domain until killed
        Ce {
            /// Address of its tunnel end; the rules say which IPv4 address and ports go with that
            #[arg(long)]
            address: Ipv6Addr,
            /// Address of the border router
            #[arg(long)]
            border_router: Ipv6Addr,
            /// Make interface ids as draft 03 does, not as RFC 7597 does
            #[arg(long)]
            draft03: bool,
            /// Send to other customers directly, and take packets from them
            #[arg(long)]
            mesh: bool,
            /// TUN device for inner packets
            #[arg(long, default_value = "softwires")]
            tun: String,
            /// Unix socket for the command `status`
            #[arg(long)]
            control: PathBuf,
            /// Rules of the MAP domain: IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET
            #[arg(required = true)]
            rules: Vec<Rule>,
        },
        /// Play, judge or describe a line with habits of its own
        Line {
            /// Name of the line; without one all lines are printed, with what each does
            name: Option<String>,
            /// Be the line's far end at this interface until killed
            #[arg(long)]
            play: Option<String>,
            /// Print how the router is configured for it: keys of [service]
            #[arg(long)]
            config: bool,
            /// Print how many seconds it takes to judge it, and in which one the router starts again, or 0
            #[arg(long)]
            seconds: bool,
            /// Read the seconds whose pings were answered, and say whether that is as it should be
            #[arg(long)]
            judge: bool,
        },
        /// Send a command to a far end that runs; the command `help` lists them
        Tell {
            /// Unix socket of the far end
            control: PathBuf,
            /// Words of the command
            words: Vec<String>,
        },
    }

    /// What `hikyaku-lab line` is asked for.
    fn line(row: &Row, play_at: Option<&str>, config: bool, seconds: bool, judge: bool) -> std::io::Result<()> {
        if let Some(interface) = play_at {
            return play(&mut Line::new(row), interface);
        }
        if config {
            write!(std::io::stdout(), "{}", row.config)?;
        }
        if seconds {
            say(format_args!("{} {}", row.seconds(), row.restarted.unwrap_or(0)))?;
        }
        if judge {
            let answered = std::io::read_to_string(std::io::stdin())?;
            let answered = answered.split_whitespace().filter_map(|second| second.parse().ok()).collect();
            return row.judge(&answered).map_err(std::io::Error::other);
        }
        Ok(())
    }

    let result = match Cli::parse() {
        Cli::Line { name: None, .. } => {
            rows().iter().try_for_each(|row| say(format_args!("{:<24} {}", row.name, row.about)))
        }
        Cli::Line { name: Some(name), play, config, seconds, judge } => {
            match rows().into_iter().find(|row| row.name == name) {
                Some(row) => line(&row, play.as_deref(), config, seconds, judge),
                None => Err(std::io::Error::other(format!("no line {name:?}; `line` without a name prints all"))),
            }
        }
        Cli::Aftr { address, border_router, tun, control } => Sockets::open(&tun, &control).and_then(|sockets| {
            say("ready")?;
            sockets.serve(&mut Aftr::new(&address, &border_router))
        }),
        Cli::Ce { address, border_router, draft03, mesh, tun, control, rules } => {
            let interface_id = if draft03 { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 };
            let domain = Domain { interface_id, rules, bindings: Vec::new() };
            match Ce::new(address, border_router, domain, mesh) {
                Some(mut ce) => Sockets::open(&tun, &control).and_then(|sockets| {
                    say("ready")?;
                    sockets.serve(&mut ce)
                }),
                None => Err(std::io::Error::other(format!("{address} is nobody's address by these rules"))),
            }
        }
        Cli::Tell { control, words } => match tell(&control, &words.join(" ")) {
            Ok(answer) => match (say(&answer), answer.starts_with("error:")) {
                (Ok(()), true) => return ExitCode::FAILURE,
                (said, _) => said,
            },
            Err(e) => Err(e),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // `| head` has seen enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(e) => {
            complain(format_args!("hikyaku-lab: {e}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("hikyaku-lab: the lab needs Linux: network namespaces, packet sockets, TUN");
    std::process::ExitCode::FAILURE
}
