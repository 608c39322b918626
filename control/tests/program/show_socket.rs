//! The control socket from outside: who may be there, who may ask, what clients may do to it, and
//! what `hikyaku show` prints.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use hikyaku::show::{
    Claim, Listener, MAX_CLIENTS, Neighbour, Query, Request, Rule, Server, Session, SocketError, Status,
};
use hikyaku_config::{Control, FileMode, Group};

/// A directory with a socket in it, gone at the end.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hikyaku-show-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn control(&self) -> Control {
        Control { socket: self.0.join("control.sock"), mode: FileMode(0o660), group: None }
    }

    fn socket(&self) -> PathBuf {
        self.control().socket
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn bind(control: &Control) -> Result<Listener, SocketError> {
    Claim::take(control)?.bind(control)
}

/// A router that knows a little.
fn router(dir: &Dir) -> Server {
    let (server, queries) = bind(&dir.control()).unwrap().serve(|| {}).unwrap();
    thread::spawn(move || {
        for Query { request, reply } in queries {
            match request {
                Request::Status => reply.answer(Status { version: "9.9".into(), ..Status::default() }),
                Request::Neighbours => reply.answer(Vec::<Neighbour>::new()),
                Request::Leases => reply.refuse("no addresses are given here"),
                Request::Rules => reply.answer(vec![Rule { name: "web".into(), accepted: 3, ..Rule::default() }]),
                Request::Counters | Request::Ports | Request::Links | Request::Route => drop(reply),
                Request::Sessions(filter) => {
                    let all = (0..200_000u32).map(|n| Session {
                        protocol: "udp".into(),
                        peer: format!("198.51.100.7:{}", n % 65536).parse().unwrap(),
                        packets_out: n,
                        ..Session::default()
                    });
                    let some = all.filter(move |s| filter.takes(s)).take(filter.limit.unwrap_or(u64::MAX) as usize);
                    let mut some = some.peekable();
                    reply.stream(std::iter::from_fn(move || {
                        some.peek()?;
                        Some(some.by_ref().take(1000).collect::<Vec<_>>())
                    }));
                }
            }
        }
    });
    server
}

fn ask(mut stream: &UnixStream, request: &str) -> Vec<String> {
    // In one piece: who asks too much is let go before its line ends, and would find nobody to write the rest to.
    stream.write_all(format!("{request}\n").as_bytes()).unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap();
        let last = !line.starts_with("{\"part\":");
        lines.push(line);
        if last {
            break;
        }
    }
    lines
}

fn show(socket: &Path, args: &[&str]) -> Output {
    let socket = ["--socket", socket.to_str().unwrap()];
    Command::new(env!("CARGO_BIN_EXE_hikyaku")).arg("show").args(args).args(socket).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_living_one_is_respected_and_the_remains_of_a_dead_one_are_not() {
    let dir = Dir::new("one");
    let server = router(&dir);
    let there = std::fs::symlink_metadata(dir.socket()).unwrap();
    assert!(there.file_type().is_socket());
    assert_eq!(there.permissions().mode() & 0o777, 0o660);
    let error = bind(&dir.control()).unwrap_err();
    assert!(matches!(error, SocketError::Running { .. }));
    let (pid, socket) = (std::process::id(), dir.socket());
    let says =
        format!("hikyaku already runs, as process {pid}, which holds {}: stop it first (kill {pid})", socket.display());
    assert!(error.to_string().starts_with(&says), "{error}");
    // Before a link is touched: these are not there, and that is not what is said.
    let socket = format!("--socket={}", socket.display());
    let links = ["--wan=vale9:a", "--lan=vale9:b", "--lan-ipv4=192.168.1.1/24", "--service=dslite"];
    let second = Command::new(env!("CARGO_BIN_EXE_hikyaku")).arg("run").args(links).arg(socket).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&says), "{second:?}");
    drop(server);
    assert!(!dir.socket().exists());

    // As a process leaves it that was killed: the file stays, the lock does not.
    drop(std::os::unix::net::UnixListener::bind(dir.socket()).unwrap());
    let old = std::fs::symlink_metadata(dir.socket()).unwrap().ino();
    let server = router(&dir);
    assert_ne!(std::fs::symlink_metadata(dir.socket()).unwrap().ino(), old);
    assert_eq!(ask(&UnixStream::connect(dir.socket()).unwrap(), "{\"show\":\"status\"}").len(), 2);
    drop(server);

    std::fs::write(dir.socket(), "precious").unwrap();
    assert!(matches!(bind(&dir.control()), Err(SocketError::NotASocket(_))));
    assert_eq!(std::fs::read(dir.socket()).unwrap(), b"precious");
}

#[test]
fn the_group_may_be_set() {
    let dir = Dir::new("group");
    let gid = std::fs::metadata(&dir.0).unwrap().gid();
    let control = Control { group: Some(Group { name: "ours".into(), gid }), mode: FileMode(0o600), ..dir.control() };
    let _listener = bind(&control).unwrap();
    let there = std::fs::symlink_metadata(dir.socket()).unwrap();
    assert_eq!((there.gid(), there.permissions().mode() & 0o777), (gid, 0o600));
}

#[test]
fn one_request_after_another_and_nonsense_between() {
    let dir = Dir::new("requests");
    let _server = router(&dir);
    let stream = UnixStream::connect(dir.socket()).unwrap();
    for _ in 0..2 {
        let lines = ask(&stream, "{\"show\":\"status\"}");
        assert!(lines[0].starts_with("{\"part\":{\"version\":\"9.9\"") && lines[1] == "{\"done\":true}", "{lines:?}");
        assert!(ask(&stream, "hello")[0].starts_with("{\"error\":\"not understood: "));
        assert!(ask(&stream, "")[0].starts_with("{\"error\":\"not understood: "));
    }
    assert_eq!(ask(&stream, "{\"show\":\"leases\"}"), ["{\"error\":\"no addresses are given here\"}"]);
    assert_eq!(
        ask(&stream, "{\"show\":\"counters\"}"),
        ["{\"error\":\"its control thread did not answer; the log may say why\"}"]
    );
    let long = format!("{{\"show\":\"status\",\"x\":\"{}\"}}", "x".repeat(5000));
    assert_eq!(ask(&stream, &long), ["{\"error\":\"a request has at most 4096 bytes\"}"]);
    assert!(matches!((&stream).read(&mut [0; 9]), Ok(0) | Err(_)), "and it is let go");
}

#[test]
fn who_does_not_read_or_write_holds_up_nobody() {
    let dir = Dir::new("slow");
    let _server = router(&dir);
    // One asks for 200 000 sessions and reads none, others say nothing at all.
    let mut idle = vec![UnixStream::connect(dir.socket()).unwrap()];
    writeln!(&mut idle[0], "{{\"show\":\"sessions\"}}").unwrap();
    while idle.len() < MAX_CLIENTS - 1 {
        let stream = UnixStream::connect(dir.socket()).unwrap();
        assert_eq!(ask(&stream, "{\"show\":\"neighbours\"}").len(), 2, "it was taken in");
        idle.push(stream);
    }
    let last = UnixStream::connect(dir.socket()).unwrap();
    assert_eq!(ask(&last, "{\"show\":\"status\"}").len(), 2);
    let mut refused = String::new();
    UnixStream::connect(dir.socket()).unwrap().read_to_string(&mut refused).unwrap();
    assert_eq!(refused, "{\"error\":\"16 clients are connected already; try again later\"}\n");
    assert_eq!(ask(&last, "{\"show\":\"status\"}").len(), 2);
    // One goes, and another gets its place: soon, as its thread has to notice first.
    drop(idle);
    while show(&dir.socket(), &["status"]).status.code() != Some(0) {
        thread::yield_now();
    }
}

#[test]
fn two_hundred_at_once_are_all_served() {
    let dir = Dir::new("many");
    let _server = router(&dir);
    let all: Vec<_> = (0..200)
        .map(|_| {
            let socket = dir.socket();
            thread::spawn(move || ask(&UnixStream::connect(socket).unwrap(), "{\"show\":\"status\"}"))
        })
        .collect();
    for one in all {
        let answer = one.join().unwrap();
        assert!(answer.len() == 2 && answer[0].starts_with("{\"part\":"), "{answer:?}");
    }
}

#[test]
fn show_prints_for_people_and_for_machines() {
    let dir = Dir::new("prints");
    let _server = router(&dir);
    let status = show(&dir.socket(), &["status"]);
    assert!(status.status.success() && text(&status.stdout).starts_with("hikyaku   9.9, "), "{status:?}");
    let status: Status = serde_json::from_slice(&show(&dir.socket(), &["status", "--json"]).stdout).unwrap();
    assert_eq!(status.version, "9.9");
    assert_eq!(text(&show(&dir.socket(), &["neighbours"]).stdout), "nobody yet\n");

    let sessions = text(&show(&dir.socket(), &["sessions", "--port", "65535", "--limit", "2"]).stdout);
    let lines: Vec<&str> = sessions.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("proto") && lines[2].contains("198.51.100.7:65535"), "{sessions}");
    let run = show(&dir.socket(), &["sessions", "--json"]);
    let out = text(&run.stdout);
    assert_eq!(out.lines().count(), 200_000);
    assert_eq!(serde_json::from_str::<Session>(out.lines().next_back().unwrap()).unwrap().packets_out, 199_999);
    assert_eq!(text(&show(&dir.socket(), &["sessions", "--host", "192.0.2.9"]).stdout), "no such session\n");
}

#[test]
fn what_went_wrong_is_one_line() {
    let dir = Dir::new("wrong");
    let nothing = show(&dir.socket(), &["status"]);
    assert_eq!(nothing.status.code(), Some(1));
    let says = format!("hikyaku: no router answers at {}: there is no such socket; start the ", dir.socket().display());
    assert!(text(&nothing.stderr).starts_with(&says) && text(&nothing.stderr).lines().count() == 1, "{nothing:?}");
    drop(std::os::unix::net::UnixListener::bind(dir.socket()).unwrap());
    assert!(text(&show(&dir.socket(), &["status"]).stderr).contains("nobody listens there: the router has ended"));
    let file = dir.0.join("file");
    std::fs::write(&file, "").unwrap();
    assert!(text(&show(&file, &["status"]).stderr).contains("that is no socket; say --socket"));
    let other = dir.0.join("other");
    let _other = std::os::unix::net::UnixDatagram::bind(&other).unwrap();
    assert!(text(&show(&other, &["status"]).stderr).contains("another program's"));
    let _server = router(&dir);
    let refused = show(&dir.socket(), &["leases"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    assert_eq!(text(&refused.stderr), "hikyaku: the router says: no addresses are given here\n");
    let usage = show(&dir.socket(), &["status", "--limit", "3"]);
    assert_eq!(usage.status.code(), Some(2));
    assert!(text(&usage.stderr).contains("choose sessions"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = Dir::new("head");
    let _server = router(&dir);
    let mut child = Command::new(env!("CARGO_BIN_EXE_hikyaku"))
        .args(["show", "sessions", "--socket", dir.socket().to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), text(&ended.stderr).as_str()), (Some(0), ""));
    assert!(first.starts_with("proto"));
}

/// A router that is stopped (SIGSTOP), or whose queue of clients is full.
#[test]
fn a_router_that_says_nothing_is_given_up() {
    let dir = Dir::new("mute");
    let _mute = std::os::unix::net::UnixListener::bind(dir.socket()).unwrap();
    let began = std::time::Instant::now();
    let run = show(&dir.socket(), &["status"]);
    assert_eq!(run.status.code(), Some(1));
    let says = "no word from the router for 5 s; is it stopped (`kill -CONT PID`), or too busy?";
    assert!(text(&run.stderr).contains(says), "{run:?}");
    assert!((5..15).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}
