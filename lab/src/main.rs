//! `hikyaku-lab`: the far end of the tunnel for `scripts/lab`. See the library's documentation.

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use std::net::Ipv6Addr;
    use std::path::PathBuf;
    use std::process::ExitCode;

    use clap::Parser;
    use hikyaku_lab::aftr::Aftr;
    use hikyaku_lab::linux::{Sockets, tell};

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
