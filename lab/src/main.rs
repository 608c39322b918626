//! `hikyaku-lab`: the far end of the tunnel for `scripts/lab`. See the library's documentation.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::net::Ipv6Addr;
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::Parser;
    use hikyaku_lab::aftr::Aftr;
    use hikyaku_lab::ce::Ce;
    use hikyaku_lab::linux::{Sockets, tell};
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
            /// Its address; prefix and rules say which IPv4 address and ports are its own
            #[arg(long)]
            address: Ipv6Addr,
            /// The border router
            #[arg(long)]
            border_router: Ipv6Addr,
            /// Interface ids are those of draft 03, not of RFC 7597
            #[arg(long)]
            draft03: bool,
            /// Other customers are sent to directly, and heard
            #[arg(long)]
            mesh: bool,
            /// TUN device for inner packets
            #[arg(long, default_value = "softwires")]
            tun: String,
            /// Unix socket for the command `status`
            #[arg(long)]
            control: PathBuf,
            /// The rules: IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET
            #[arg(required = true)]
            rules: Vec<Rule>,
        },
        /// Send one command to the far end: see the command help
        Tell {
            /// Its socket
            control: PathBuf,
            /// The command
            words: Vec<String>,
        },
    }

    let result = match Cli::parse() {
        Cli::Aftr { address, border_router, tun, control } => Sockets::open(&tun, &control).and_then(|sockets| {
            println!("ready");
            sockets.serve(&mut Aftr::new(&address, &border_router))
        }),
        Cli::Ce { address, border_router, draft03, mesh, tun, control, rules } => {
            let interface_id = if draft03 { InterfaceId::Draft03 } else { InterfaceId::Rfc7597 };
            let domain = Domain { interface_id, rules, bindings: Vec::new() };
            match Ce::new(address, border_router, domain, mesh) {
                Some(mut ce) => Sockets::open(&tun, &control).and_then(|sockets| {
                    println!("ready");
                    sockets.serve(&mut ce)
                }),
                None => Err(std::io::Error::other(format!("{address} is nobody's address by these rules"))),
            }
        }
        Cli::Tell { control, words } => match tell(&control, &words.join(" ")) {
            Ok(answer) => {
                println!("{answer}");
                return if answer.starts_with("error:") { ExitCode::FAILURE } else { ExitCode::SUCCESS };
            }
            Err(e) => Err(e),
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("hikyaku-lab: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("hikyaku-lab: the lab needs Linux: network namespaces, packet sockets, TUN");
    std::process::ExitCode::FAILURE
}
