//! `hikyaku show`: asks a running router over its control socket.

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{Args, ValueEnum};
use hikyaku_config::SOCKET;
use hikyaku_schema::output::plain;
use hikyaku_schema::{Usage, number};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::people::{self, SESSION_HEAD};
use super::protocol::{Answer, Request, SessionFilter};
use super::report::{Counters, Leases, Link, Neighbour, Ports, Route, Rule, Session, Status};

const EXAMPLES: &str = "\
Examples:
  hikyaku show status                        is the line up, and if not, what is it waiting for
  hikyaku show counters                      why frames were dropped
  hikyaku show links                         frames and bytes of each link and direction
  hikyaku show ports                         how many of the line's ports are in use
  hikyaku show route                         where packets go, and why
  hikyaku show rules                         what each rule let in and refused
  hikyaku show sessions --host 192.168.1.20 --port 443 --limit 20
  hikyaku show sessions --json | jq .peer    one JSON object a line; the others are one object or list each

Exit code: 0 shown; 1 no router answers; 2 a flag is wrong.";

/// Show what a running router is doing
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES)]
pub struct ShowArgs {
    /// What to show of the router
    #[arg(value_enum)]
    pub what: What,

    /// Print it as JSON.
    #[arg(long)]
    pub json: bool,

    /// The router's control socket.
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    pub socket: PathBuf,

    /// With `sessions`: the most to show.
    #[arg(long, value_name = "N", value_parser = number(0..=u64::MAX))]
    pub limit: Option<u64>,

    /// With `sessions`: those with this address, inside, outside or as their peer.
    #[arg(long, value_name = "ADDR")]
    pub host: Option<Ipv4Addr>,

    /// With `sessions`: those with this port, inside, outside or at their peer.
    #[arg(long, value_name = "N", value_parser = number(0..=u16::MAX))]
    pub port: Option<u16>,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The line, the service, both sides, workers, warnings
    Status,
    /// Frames and bytes of each link and direction, and what was lost there
    Links,
    /// Who is on the links
    Neighbours,
    /// Addresses given to hosts
    Leases,
    /// Sessions of the NAPT table: a connection with the addresses and ports that it is translated to
    Sessions,
    /// Where packets go, and why
    Route,
    /// The rules of the configuration, and what each let in and refused
    Rules,
    /// What became of every frame
    Counters,
    /// Outside ports: used, shared, refused
    Ports,
}

/// Why nothing was shown.
#[derive(Debug, thiserror::Error)]
pub enum NotShown {
    /// No router has the socket open.
    #[error("no router answers at {}: {why}", path.display())]
    NotRunning {
        /// The socket that was asked.
        path: PathBuf,
        /// And what to do.
        why: &'static str,
    },
    /// The router will not.
    #[error("the router says: {0}")]
    Refused(String),
    /// It went away, or speaks otherwise.
    #[error("{}: {what}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What the router did, or did not do.
        what: String,
    },
    /// What was to be shown cannot be written.
    #[error("standard output: {0}")]
    Output(io::Error),
}

impl ShowArgs {
    fn request(&self) -> Result<Request, Usage> {
        let filter = SessionFilter { limit: self.limit, host: self.host, port: self.port };
        if self.what != What::Sessions && filter != SessionFilter::default() {
            return Err(Usage("--limit, --host and --port choose sessions; leave them out".into()));
        }
        Ok(match self.what {
            What::Status => Request::Status,
            What::Links => Request::Links,
            What::Neighbours => Request::Neighbours,
            What::Leases => Request::Leases,
            What::Sessions => Request::Sessions(filter),
            What::Route => Request::Route,
            What::Rules => Request::Rules,
            What::Counters => Request::Counters,
            What::Ports => Request::Ports,
        })
    }
}

/// Asks a running router, and prints its answer as tables or as JSON.
pub fn run(args: &ShowArgs) -> anyhow::Result<()> {
    let request = args.request()?;
    let connection = Connection::open(&args.socket)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let shown = match args.what {
        What::Status => connection.whole(request, args.json, &mut out, Status::to_string),
        What::Links => connection.whole(request, args.json, &mut out, |links: &Vec<Link>| people::links(links)),
        What::Neighbours => connection.whole(request, args.json, &mut out, |n: &Vec<Neighbour>| people::neighbours(n)),
        What::Leases => connection.whole(request, args.json, &mut out, Leases::to_string),
        What::Route => connection.whole(request, args.json, &mut out, |routes: &Vec<Route>| people::routes(routes)),
        What::Rules => connection.whole(request, args.json, &mut out, |rules: &Vec<Rule>| people::rules(rules)),
        What::Counters => connection.whole(request, args.json, &mut out, Counters::to_string),
        What::Ports => connection.whole(request, args.json, &mut out, Ports::to_string),
        What::Sessions => connection.sessions(request, args.json, &mut out),
    };
    match shown.and_then(|()| out.flush().map_err(NotShown::Output)) {
        // `| head` has seen enough.
        Err(NotShown::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        shown => Ok(shown?),
    }
}

/// How long a router may be silent.
const PATIENCE: Duration = Duration::from_secs(5);
const MUTE: &str = "no word from the router for 5 s; is it stopped (`kill -CONT PID`), or too busy?";

/// Connects on a thread of its own: where the queue of clients is full, the call has no end.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let (told, connected) = mpsc::channel();
    let socket = path.to_owned();
    thread::spawn(move || told.send(UnixStream::connect(socket)));
    connected.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

struct Connection<'a> {
    stream: UnixStream,
    path: &'a Path,
}

impl<'a> Connection<'a> {
    fn open(path: &'a Path) -> Result<Self, NotShown> {
        let stream = connect(path).map_err(|error| {
            let is_socket = || path.metadata().is_ok_and(|there| there.file_type().is_socket());
            let why = match error.kind() {
                ErrorKind::NotFound => "there is no such socket; start the router with `hikyaku run`, or say --socket",
                ErrorKind::ConnectionRefused if !is_socket() => {
                    "that is no socket; say --socket as [control] socket is"
                }
                ErrorKind::ConnectionRefused => {
                    "nobody listens there: the router has ended; start it with `hikyaku run`, or say --socket"
                }
                ErrorKind::PermissionDenied => "permission denied; be root, or of the socket's group",
                ErrorKind::TimedOut => MUTE,
                _ if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
                    "it is another program's socket; say --socket as [control] socket is"
                }
                _ => return NotShown::Broken { path: path.into(), what: error.to_string() },
            };
            NotShown::NotRunning { path: path.into(), why }
        })?;
        Ok(Self { stream, path })
    }

    fn broken(&self, what: impl ToString) -> NotShown {
        NotShown::Broken { path: self.path.into(), what: what.to_string() }
    }

    /// Asks, and gives every part to `take`.
    fn ask<T: DeserializeOwned>(
        &self,
        request: Request,
        mut take: impl FnMut(T) -> io::Result<()>,
    ) -> Result<(), NotShown> {
        let sent = (|| {
            self.stream.set_read_timeout(Some(PATIENCE))?;
            self.stream.set_write_timeout(Some(PATIENCE))?;
            let mut line = serde_json::to_vec(&request)?;
            line.push(b'\n');
            (&self.stream).write_all(&line)
        })();
        // One that takes nobody in says so before it goes.
        if let Err(error) = sent
            && error.kind() != ErrorKind::BrokenPipe
        {
            return Err(self.broken(error));
        }
        for line in BufReader::new(&self.stream).lines() {
            let line = line.map_err(|error| match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => self.broken(MUTE),
                _ => self.broken(error),
            })?;
            match serde_json::from_str(&line) {
                Ok(Answer::Part(part)) => take(part).map_err(NotShown::Output)?,
                Ok(Answer::Done(_)) => return Ok(()),
                Ok(Answer::Error(why)) => return Err(NotShown::Refused(why)),
                Err(error) => return Err(self.broken(format!("not understood (another version?): {error}"))),
            }
        }
        Err(self.broken("the router went away before it had said all"))
    }

    /// Prints an answer of one part.
    fn whole<T: DeserializeOwned + Serialize>(
        &self,
        request: Request,
        json: bool,
        out: &mut impl Write,
        text: impl Fn(&T) -> String,
    ) -> Result<(), NotShown> {
        self.ask(request, |part: T| {
            let text = if json { serde_json::to_string_pretty(&part)? + "\n" } else { text(&part) };
            out.write_all(plain(&text).as_bytes())
        })
    }

    fn sessions(&self, request: Request, json: bool, out: &mut impl Write) -> Result<(), NotShown> {
        let mut shown = 0u64;
        self.ask(request, |slice: Vec<Session>| {
            if !json && shown == 0 && !slice.is_empty() {
                write!(out, "{SESSION_HEAD}")?;
            }
            shown += slice.len() as u64;
            slice.iter().try_for_each(|session| match json {
                true => writeln!(out, "{}", serde_json::to_string(session)?),
                false => writeln!(out, "{session}"),
            })
        })?;
        if !json && shown == 0 {
            writeln!(out, "no such session").map_err(NotShown::Output)?;
        }
        Ok(())
    }
}
