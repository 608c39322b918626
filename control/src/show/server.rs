//! The control socket's end in the router.
//!
//! [`Claim::bind`] makes the socket while the process still has the rights for it; [`Listener::serve`]
//! starts a thread that takes clients in, and one thread for each of them. The control thread gets
//! whole requests from a channel and answers each with parts that the client's thread pulls, at the
//! client's pace: who reads slowly, or not at all, holds up nobody but himself.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use hikyaku_config::Control;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use super::protocol::{Answer, MAX_REQUEST, Request};

/// Clients that are served at a time; others wait for a place.
pub const MAX_CLIENTS: usize = 16;
/// How long the next one waits for a place before it is turned away: less than `hikyaku show` does.
const QUEUE: Duration = Duration::from_secs(3);
/// A client that says nothing for so long, or takes nothing, is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// The control thread has so long to answer: less than `hikyaku show` waits, so that it is told who does not.
const ANSWER: Duration = Duration::from_secs(4);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another process has it.
    #[error(
        "hikyaku already runs, as process {pid}, which holds {}: stop it first (kill {pid}), or give this one another \
         [control] socket and other links",
        path.display()
    )]
    Running {
        /// The control socket's path.
        path: PathBuf,
        /// Who, as far as is known.
        pid: String,
    },
    /// Something else is there.
    #[error("control socket {}: something that is no socket is there; move it away, or set [control] socket", .0.display())]
    NotASocket(PathBuf),
    /// A system call on the socket or its lock file failed.
    #[error("control socket {}: {what}: {error}", path.display())]
    Io {
        /// The control socket's path.
        path: PathBuf,
        /// What was being done.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
}

/// The right to a control socket: no other process has it while this lives.
#[derive(Debug)]
pub struct Claim {
    /// Locked as long as it is open: by this, not by the socket, another process knows that we live.
    _lock: File,
}

impl Claim {
    /// Takes it.
    ///
    /// # Errors
    /// A router runs that has it, or the lock beside the socket cannot be made.
    pub fn take(control: &Control) -> Result<Self, SocketError> {
        Ok(Self { _lock: lock(&control.socket)? })
    }

    /// Makes the socket. The remains of a process that died are replaced.
    ///
    /// # Errors
    /// Something else has the socket's name, or a system call failed.
    pub fn bind(self, control: &Control) -> Result<Listener, SocketError> {
        let path = &control.socket;
        let failed = |what| move |error: io::Error| SocketError::Io { path: path.clone(), what, error };
        match path.symlink_metadata() {
            Ok(there) if !there.file_type().is_socket() => return Err(SocketError::NotASocket(path.clone())),
            _ => {}
        }
        // Made beside its place and moved there when its mode is right: nobody gets in between.
        let new = beside(path, "new");
        let _ = std::fs::remove_file(&new);
        let umask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
        let socket = UnixListener::bind(&new);
        rustix::process::umask(umask);
        let socket = socket.map_err(failed("cannot be bound"))?;
        let placed = (|| {
            if let Some(group) = &control.group {
                chown(&new, None, Some(group.gid))?;
            }
            std::fs::set_permissions(&new, Permissions::from_mode(control.mode.0))?;
            socket.set_nonblocking(true)?;
            std::fs::rename(&new, path)
        })();
        placed.map_err(failed("cannot be put in place")).inspect_err(|_| _ = std::fs::remove_file(&new))?;
        Ok(Listener { socket, path: path.clone(), claim: self })
    }
}

/// A bound socket that nobody serves yet.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    claim: Claim,
}

impl Listener {
    /// Starts to serve. Requests come out of the receiver, and `wake` is called after each; the socket ends with the
    /// [`Server`].
    pub fn serve(self, wake: impl Fn() + Send + Sync + 'static) -> io::Result<(Server, Receiver<Query>)> {
        // A client asks again only after its answer: no more than one each waits here.
        let (queries, received) = bounded(MAX_CLIENTS);
        let (stop, stopped) = UnixStream::pair()?;
        let mut places = Places::new()?;
        let asked = Asked { queries, wake: Arc::new(wake) };
        let Self { socket, path, claim } = self;
        let serve = move || accept(&socket, &stopped, &mut places, &asked);
        let thread = thread::Builder::new().name("control-socket".into()).spawn(serve)?;
        Ok((Server { path, stop: Some(stop), thread: Some(thread), _claim: claim }, received))
    }
}

fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

fn lock(path: &Path) -> Result<File, SocketError> {
    let failed = |what| move |error: io::Error| SocketError::Io { path: path.into(), what, error };
    let name = beside(path, "lock");
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(&name);
    let mut file = open.map_err(failed("its lock cannot be opened"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let _ = file.take(20).read_to_string(&mut pid);
            let pid = if pid.trim().is_empty() { "unknown".into() } else { pid.trim().to_string() };
            return Err(SocketError::Running { path: path.into(), pid });
        }
        Err(error) => return Err(failed("its lock cannot be taken")(error.into())),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed("its lock"))?;
    Ok(file)
}

/// The running socket. Dropping it ends it; clients that are being served keep their threads for as
/// long as their answers last.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
    _claim: Claim,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its other end wakes the thread up.
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // Fails where the directory belongs to the user that was given up; the next start replaces it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A request that waits for its answer.
#[derive(Debug)]
pub struct Query {
    /// What a client asks for.
    pub request: Request,
    /// Where the answer goes. Dropped without one, the client is told that there is none.
    pub reply: Reply,
}

/// Parts as lines, written by the client's thread.
type Lines = Box<dyn Iterator<Item = serde_json::Result<Vec<u8>>> + Send>;

/// The way back to a client.
pub struct Reply(Sender<Result<Lines, String>>);

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reply")
    }
}

impl Reply {
    /// Answers with one part.
    pub fn answer<T: Serialize + Send + 'static>(self, part: T) {
        self.stream(std::iter::once(part));
    }

    /// Answers with one part, which the client's own thread makes.
    pub fn answer_with<T: Serialize>(self, part: impl FnOnce() -> T + Send + 'static) {
        self.stream(std::iter::once_with(part));
    }

    /// Answers with many parts. They are pulled by the client's own thread, one after the other was
    /// sent: what makes them may take its time, but holds nothing that the control thread needs.
    pub fn stream<T: Serialize>(self, parts: impl Iterator<Item = T> + Send + 'static) {
        let lines = parts.map(|part| line(&Answer::Part(part)));
        // A client that is gone does not wait for it.
        let _ = self.0.send(Ok(Box::new(lines)));
    }

    /// Answers that there is none, and why.
    pub fn refuse(self, why: impl Into<String>) {
        let _ = self.0.send(Err(why.into()));
    }
}

fn line<T: Serialize>(answer: &Answer<T>) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    Ok(line)
}

/// Where questions go.
#[derive(Clone)]
struct Asked {
    queries: Sender<Query>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

fn accept(socket: &UnixListener, stopped: &UnixStream, places: &mut Places, asked: &Asked) {
    loop {
        let mut wait = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut wait, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return tracing::error!(%error, "the control socket is closed"),
        }
        // Those behind the first one wait in the socket's own queue.
        if wait[1].revents().is_empty() {
            places.wait(stopped);
        } else {
            return;
        }
        let stream = match socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => continue,
            Err(error) => {
                // Out of descriptors, most likely: it will not be better at once.
                tracing::warn!(%error, "a client of the control socket was not taken in");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        admit(stream, places, asked);
    }
}

/// The places for [`MAX_CLIENTS`].
struct Places {
    taken: Arc<AtomicUsize>,
    /// Has a byte for each place that was left.
    left: UnixStream,
    leave: Arc<UnixStream>,
    full_since: Option<Instant>,
}

/// One of them; it is left when this is dropped.
struct Place {
    taken: Arc<AtomicUsize>,
    leave: Arc<UnixStream>,
}

impl Places {
    fn new() -> io::Result<Self> {
        let (left, leave) = UnixStream::pair()?;
        left.set_nonblocking(true)?;
        leave.set_nonblocking(true)?;
        Ok(Self { taken: Arc::default(), left, leave: Arc::new(leave), full_since: None })
    }

    fn are_full(&self) -> bool {
        self.taken.load(Ordering::Acquire) >= MAX_CLIENTS
    }

    /// Until there is one, or until the end. No longer than until all have been taken for [`QUEUE`]: idle clients do not
    /// have each of a row of others wait.
    fn wait(&mut self, stopped: &UnixStream) {
        if !self.are_full() {
            self.full_since = None;
            return;
        }
        let since = *self.full_since.get_or_insert_with(Instant::now);
        while self.are_full() {
            let patience = (since + QUEUE).saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: patience.subsec_nanos().into() };
            let mut wait = [PollFd::new(&self.left, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
            let polled = poll(&mut wait, Some(&timeout));
            if patience.is_zero() || polled.is_err() || !wait[1].revents().is_empty() {
                return;
            }
            let _ = (&self.left).read(&mut [0; 64]);
        }
        self.full_since = None;
    }

    fn take(&self) -> Option<Place> {
        let Self { taken, leave, .. } = self;
        (!self.are_full()).then(|| {
            // Nobody else takes any.
            taken.fetch_add(1, Ordering::AcqRel);
            Place { taken: taken.clone(), leave: leave.clone() }
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
        let _ = (&*self.leave).write(&[0]);
    }
}

fn admit(stream: UnixStream, places: &Places, asked: &Asked) {
    let Some(place) = places.take() else {
        // Into an empty socket buffer: does not wait.
        let busy = format!("{MAX_CLIENTS} clients are connected already; try again later");
        let _ = stream.set_nonblocking(true);
        let _ = tell(&mut &stream, &Answer::Error(busy));
        return;
    };
    let asked = asked.clone();
    let spawned = thread::Builder::new().name("control-client".into()).spawn(move || {
        let _place = place;
        // However it ends, the client sees the end.
        let _ = serve(&stream, &asked);
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for a client of the control socket");
    }
}

fn tell(to: &mut impl Write, answer: &Answer<()>) -> io::Result<()> {
    to.write_all(&line(answer)?)?;
    to.flush()
}

fn serve(stream: &UnixStream, asked: &Asked) -> io::Result<()> {
    // Some systems hand the listener's flag on.
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut from = BufReader::new(stream);
    let mut to = BufWriter::new(stream);
    loop {
        let mut request = Vec::new();
        // One byte more than is allowed shows that it was too long; what follows is not read.
        if (&mut from).take(MAX_REQUEST as u64 + 1).read_until(b'\n', &mut request)? == 0 {
            return Ok(());
        }
        let too_long = request.len() > MAX_REQUEST;
        match Request::parse(&request) {
            Ok(request) => answer(request, asked, &mut to)?,
            Err(why) => tell(&mut to, &Answer::Error(why))?,
        }
        if too_long {
            return Ok(());
        }
    }
}

fn answer(request: Request, asked: &Asked, to: &mut impl Write) -> io::Result<()> {
    let (reply, replied) = bounded(1);
    let none = || Err("its control thread did not answer; the log may say why".to_string());
    let answered = match asked.queries.send_timeout(Query { request, reply: Reply(reply) }, ANSWER) {
        Ok(()) => {
            (asked.wake)();
            replied.recv_timeout(ANSWER).unwrap_or_else(|_| none())
        }
        Err(_) => none(),
    };
    match answered {
        Ok(lines) => {
            for line in lines {
                to.write_all(&line?)?;
            }
            tell(to, &Answer::Done(true))
        }
        Err(why) => tell(to, &Answer::Error(why)),
    }
}
