//! `hikyaku run` before its interfaces are there. Needs root, as opening a link does.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

const CONFIG: &str = "[wan]\nlink = 'xdp:hkw-none0'\n[lan]\nlink = 'xdp:hkw-none1'\nipv4 = '192.168.1.1/24'\n\
                      [service]\nkind = 'dslite'\n[system]\nstate-dir = '/nonexistent/hikyaku'\n";

/// The router with this configuration; killed and gone at the end.
struct Run {
    child: Child,
    dir: PathBuf,
}

impl Run {
    fn new(name: &str, more: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("hikyaku-wait-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("hikyaku.toml");
        let socket = dir.join("control.sock");
        std::fs::write(&file, format!("{CONFIG}{more}[control]\nsocket = '{}'\n", socket.display())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_hikyaku"));
        let child = command.args(["run", "--config"]).arg(&file).stderr(Stdio::piped()).spawn().unwrap();
        Self { child, dir }
    }

    fn stderr(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.child.stderr.take().expect("a pipe"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn is_root() -> bool {
    let is = Uid::effective().is_root();
    if !is {
        println!("not tested: needs root");
    }
    is
}

#[test]
fn the_wait_ends_with_the_error() {
    if !is_root() {
        return;
    }
    let began = Instant::now();
    let mut run = Run::new("limit", "wait-for-links = 1\n");
    let mut said = String::new();
    run.stderr().read_to_string(&mut said).unwrap();
    assert_eq!(run.child.wait().unwrap().code(), Some(1), "{said}");
    assert!(began.elapsed() >= Duration::from_secs(1));
    let waits = said.lines().filter(|line| line.contains("waiting for the link")).count();
    assert_eq!(waits, 2, "both are named: {said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("hikyaku: link xdp:hkw-none") && last.contains("no such interface"), "{said}");
    // Not at all.
    let mut run = Run::new("none", "wait-for-links = 0\n");
    said.clear();
    run.stderr().read_to_string(&mut said).unwrap();
    assert!(said.starts_with("hikyaku: link xdp:hkw-none") && said.lines().count() == 1, "{said}");
}

#[test]
fn told_to_stop_while_it_waits() {
    if !is_root() {
        return;
    }
    let mut run = Run::new("stop", "");
    let mut stderr = run.stderr();
    let mut line = String::new();
    while !line.contains("waiting for the link") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended");
    }
    let began = Instant::now();
    assert!(Command::new("kill").arg(run.child.id().to_string()).status().unwrap().success(), "SIGTERM");
    assert_eq!(run.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(2));
}
