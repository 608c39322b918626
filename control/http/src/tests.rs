//! HTTP and TLS, from a stack to a server on another host, on threads as in the router.

mod provisioning;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use smoltcp::socket::tcp::{Socket, State};

use hikyaku_net::{Clock, Time};
use hikyaku_protocols::Machine;
use hikyaku_protocols::http::UrlError;
use hikyaku_protocols::sockets::Stack;
use hikyaku_testkit::Host;

use super::*;

/// Our address in the [`Lab`].
const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const THEIRS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);

/// A connection at the server, for a thread that may block.
struct Connection {
    from: Receiver<Vec<u8>>,
    to: Sender<Vec<u8>>,
    rest: Vec<u8>,
}

impl Read for Connection {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() {
            self.rest = self.from.recv().unwrap_or_default();
        }
        let len = self.rest.len().min(into.len());
        into[..len].copy_from_slice(&self.rest[..len]);
        self.rest.drain(..len);
        Ok(len)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The host's side of a [`Connection`].
struct Served {
    from: Sender<Vec<u8>>,
    to: Receiver<Vec<u8>>,
    pending: Vec<u8>,
    started: bool,
}

type Handler = Arc<dyn Fn(u16, Connection) + Send + Sync>;

/// A server host and our stack, running until dropped.
struct Lab {
    client: Client,
    stop: Option<Sender<()>>,
    control: Option<JoinHandle<()>>,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop = None;
        self.control.take().expect("runs").join().expect("no panic");
    }
}

const PORTS: [u16; 4] = [80, 443, 8080, 8443];

impl Lab {
    /// Connections to [`PORTS`] are handled by `handler`, each on a thread. Names under `example` are the
    /// server's.
    fn new(handler: impl Fn(u16, Connection) + Send + Sync + 'static) -> Self {
        let (waker, woken) = bounded(1);
        let wake: Wake = Arc::new(move || {
            let _ = waker.try_send(());
        });
        let (lookup, questions) = Lookup::new(wake.clone());
        let mut stack = Stack::new(wake.clone());
        stack.set_addresses(&[OURS]);
        let client = Client::new(stack.connector(), lookup, wake);
        let (stop, stopped) = bounded::<()>(0);
        let handler: Handler = Arc::new(handler);
        let control = thread::spawn(move || control(stack, &questions, &woken, &stopped, &handler));
        Self { client, stop: Some(stop), control: Some(control) }
    }

    fn get(&self, request: Request) -> Result<Response, HttpError> {
        let result = self.client.start(request).recv_timeout(Duration::from_secs(30)).expect("a result comes");
        let text = format!("{result:?} {}", result.as_ref().map_or_else(|e| e.to_string(), |_| String::new()));
        assert!(!text.contains("s3cret"), "{text}");
        result
    }
}

fn control(
    mut stack: Stack,
    questions: &Receiver<Question>,
    woken: &Receiver<()>,
    stopped: &Receiver<()>,
    handler: &Handler,
) {
    let clock = Clock::default();
    let mut host = Host::new(THEIRS);
    let mut served: Vec<Option<Served>> = Vec::new();
    let mut listening: Vec<(usize, u16)> = Vec::new();
    // As many of each as requests may come at once.
    for port in PORTS.repeat(MAX_REQUESTS) {
        listening.push((host.tcp.len(), port));
        host.listen(port);
        served.push(None);
    }
    loop {
        let now = clock.now();
        for question in questions.try_iter() {
            let known = question.host.ends_with("example");
            question.answer(if known { Ok(vec![THEIRS]) } else { Err("no such name (NXDOMAIN)".into()) });
        }
        carry(now, &mut stack, &mut host);
        for place in &mut listening {
            let socket = host.sockets.get::<Socket>(host.tcp[place.0]);
            if socket.state() == State::Listen {
                continue;
            }
            let ((from, from_peer), (to, to_peer)) = (bounded(64), bounded(64));
            served[place.0] = Some(Served { from, to: to_peer, pending: Vec::new(), started: false });
            let (handler, port) = (handler.clone(), place.1);
            let connection = Connection { from: from_peer, to, rest: Vec::new() };
            thread::spawn(move || handler(port, connection));
            place.0 = host.tcp.len();
            host.listen(port);
            served.push(None);
        }
        for (i, place) in served.iter_mut().enumerate() {
            if place.as_mut().is_some_and(|s| s.carry(host.sockets.get_mut(host.tcp[i]))) {
                *place = None;
            }
        }
        carry(now, &mut stack, &mut host);
        select! {
            recv(stopped) -> _ => return,
            recv(woken) -> _ => {}
            default(Duration::from_millis(1)) => {}
        }
    }
}

/// Packets both ways until both rest.
fn carry(now: Time, stack: &mut Stack, host: &mut Host) {
    loop {
        let mut moved = false;
        while let Some(packet) = stack.drive(now) {
            host.hear(now, packet);
            moved = true;
        }
        for packet in host.poll(now) {
            stack.handle_input(now, &packet);
            moved = true;
        }
        if !moved {
            return;
        }
    }
}

impl Served {
    /// Bytes between the socket and the server's thread; whether all is over.
    fn carry(&mut self, socket: &mut Socket) -> bool {
        self.started |= socket.may_send();
        while socket.can_recv() {
            let piece = socket.recv(|bytes| (bytes.len(), bytes.to_vec())).expect("open");
            let _ = self.from.try_send(piece);
        }
        if self.started && !socket.may_recv() {
            // The server's thread sees the end.
            self.from = bounded(0).0;
        }
        loop {
            if self.pending.is_empty() {
                match self.to.try_recv() {
                    Ok(piece) => self.pending = piece,
                    Err(e) => {
                        let left = e.is_disconnected() && self.started;
                        if left {
                            socket.close();
                        }
                        return left;
                    }
                }
            }
            match socket.send_slice(&self.pending) {
                Ok(0) => return false,
                Ok(n) => drop(self.pending.drain(..n)),
                // The client is gone: what the thread writes fails from now on.
                Err(_) => return self.started,
            }
        }
    }
}

/// The head of the next request, line by line.
fn head(from: &mut impl BufRead) -> Vec<String> {
    let lines = from.lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect()
}

fn answer(to: &mut impl Write, status: &str, headers: &str, body: &str) {
    let len = body.len();
    let _ = write!(to, "HTTP/1.1 {status}\r\nContent-Length: {len}\r\n{headers}\r\n{body}");
    let _ = to.flush();
}

fn request(url: &str) -> Request {
    Request { timeout: Duration::from_secs(10), ..Request::new(url.parse().unwrap(), OURS) }
}

/// A server that remembers every head and answers `body`.
fn recording(status: &'static str, body: &'static str) -> (Lab, Arc<Mutex<Vec<Vec<String>>>>) {
    let heads = Arc::<Mutex<Vec<Vec<String>>>>::default();
    let all = heads.clone();
    let lab = Lab::new(move |_, connection| {
        let mut connection = BufReader::new(connection);
        all.lock().unwrap().push(head(&mut connection));
        answer(connection.get_mut(), status, "", body);
    });
    (lab, heads)
}

#[test]
fn a_get_and_its_bytes() {
    let (lab, heads) = recording("200 OK", "good");
    let response = lab.get(request("http://a.example/update?user=me%40x&pass=p%20%26")).unwrap();
    assert_eq!(response, Response { status: 200, body: b"good".to_vec() });
    let heads = heads.lock().unwrap();
    assert_eq!(heads[0][0], "GET /update?user=me%40x&pass=p%20%26 HTTP/1.1");
    assert!(heads[0].iter().any(|l| l.eq_ignore_ascii_case("host: a.example")), "{heads:?}");
    assert!(!heads[0].iter().any(|l| l.to_ascii_lowercase().starts_with("authorization")), "{heads:?}");
}

#[test]
fn every_status_is_an_answer() {
    for status in ["204 No Content", "301 Moved", "401 Unauthorized", "404 Not Found", "503 Busy"] {
        let (lab, _) = recording(status, "");
        assert_eq!(lab.get(request("http://a.example/")).unwrap().status.to_string(), status[..3]);
    }
}

#[test]
fn basic_authentication() {
    // RFC 7617 2: the example there.
    let (lab, heads) = recording("200 OK", "");
    let basic_auth = Some((Secret::new("Aladdin"), Secret::new("open sesame")));
    lab.get(Request { basic_auth, ..request("http://a.example/") }).unwrap();
    let heads = heads.lock().unwrap();
    let sent = heads[0].iter().find(|l| l.to_ascii_lowercase().starts_with("authorization")).expect("sent");
    assert_eq!(sent.split_once(": ").unwrap().1, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

#[test]
fn addresses_in_urls_and_other_ports() {
    let (lab, heads) = recording("200 OK", "");
    lab.get(request(&format!("http://[{THEIRS}]:8080/x"))).unwrap();
    assert_eq!(heads.lock().unwrap()[0][0], "GET /x HTTP/1.1");
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    // The request's line would be in absolute form, and go to port 3128.
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tests::a_get_and_its_bytes"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://proxy.example:3128");
    }
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn names_that_do_not_exist_and_ports_that_are_closed() {
    let (lab, _) = recording("200 OK", "");
    let error = lab.get(request("http://nowhere.invalid/s3cret?s3cret")).unwrap_err();
    assert_eq!(error.to_string(), "nowhere.invalid: no address: no such name (NXDOMAIN)");
    let error = lab.get(request("http://a.example:81/s3cret")).unwrap_err();
    assert_eq!(error.to_string(), "a.example: connection refused");
    let from = "2001:db8::99".parse().unwrap();
    let error = lab.get(Request { from, ..request("http://a.example/s3cret") }).unwrap_err();
    assert_eq!(error.to_string(), "a.example: 2001:db8::99 is not an address of this router on the line");
}

#[test]
fn bodies_are_bounded_however_they_are_framed() {
    let long = "x".repeat(100_000);
    for (framing, chunked) in [("Content-Length: 100000", false), ("Transfer-Encoding: chunked", true), ("", false)] {
        let long = long.clone();
        let lab = Lab::new(move |_, connection| {
            let mut connection = BufReader::new(connection);
            head(&mut connection);
            let to = connection.get_mut();
            let framing = if framing.is_empty() { "Connection: close" } else { framing };
            let body = if chunked { format!("186a0\r\n{long}\r\n0\r\n\r\n") } else { long.clone() };
            let _ = write!(to, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
        });
        let get = |body_limit| lab.get(Request { body_limit, ..request("http://a.example/s3cret") });
        let error = get(99_999).unwrap_err();
        assert_eq!(error.to_string(), "a.example: the answer is longer than 99999 bytes", "{framing}");
        assert_eq!(get(100_000).unwrap().body.len(), 100_000, "{framing}");
    }
}

#[test]
fn a_megabyte_is_the_limit_of_limits() {
    let lab = Lab::new(|_, connection| {
        let mut connection = BufReader::new(connection);
        head(&mut connection);
        answer(connection.get_mut(), "200 OK", "", &"x".repeat(MAX_BODY + 1));
    });
    let error = lab.get(Request { body_limit: usize::MAX, ..request("http://a.example/") }).unwrap_err();
    assert_eq!(error, HttpError::TooLong { host: "a.example".into(), limit: MAX_BODY });
}

#[test]
fn endless_heads_and_nonsense_end() {
    type Nonsense = fn(&mut Connection);
    let kinds: [Nonsense; 5] = [
        |to| while to.write_all(b"HTTP/1.1 200 OK\r\nX: s3crets3crets3crets3crets3crets3cret\r\n").is_ok() {},
        |to| while to.write_all(&[b'X'; 1000]).is_ok() {},
        |to| drop(to.write_all(b"SSH-2.0-s3cret\r\n")),
        |to| drop(to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ns3cret")),
        |_| {},
    ];
    for (i, kind) in kinds.into_iter().enumerate() {
        let lab = Lab::new(move |_, connection| {
            let mut connection = BufReader::new(connection);
            head(&mut connection);
            kind(connection.get_mut());
        });
        let start = Instant::now();
        let error = lab.get(request("http://a.example/s3cret")).unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(8), "{i}: {error}");
    }
}

#[test]
fn a_server_that_drips_is_cut_off() {
    let lab = Lab::new(|_, connection| {
        let mut connection = BufReader::new(connection);
        head(&mut connection);
        let to = connection.get_mut();
        let _ = to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        while to.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let timeout = Duration::from_millis(300);
    let start = Instant::now();
    let error = lab.get(Request { timeout, ..request("http://a.example/s3cret") }).unwrap_err();
    assert_eq!(error, HttpError::TimedOut { host: "a.example".into(), timeout });
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_server_that_is_silent_is_cut_off_and_requests_are_bounded() {
    let lab = Lab::new(|_, mut connection| drop(io::copy(&mut connection, &mut io::sink())));
    let timeout = Duration::from_millis(500);
    let all: Vec<_> =
        (0..=MAX_REQUESTS).map(|_| lab.client.start(Request { timeout, ..request("http://a.example/") })).collect();
    let results: Vec<_> = all.iter().map(|r| r.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err()).collect();
    let busy = HttpError::Busy(MAX_REQUESTS);
    assert_eq!(results.iter().filter(|e| **e == busy).count(), 1, "{results:?}");
    assert_eq!(*results.last().unwrap(), busy);
    let timed_out = HttpError::TimedOut { host: "a.example".into(), timeout };
    assert!(results[..MAX_REQUESTS].iter().all(|e| *e == timed_out), "{results:?}");
}

/// Answers 307 to a `Location` until its third request, then 200.
fn redirecting(status: &'static str, location: &'static str) -> (Lab, Arc<Mutex<Vec<Vec<String>>>>) {
    let heads = Arc::<Mutex<Vec<Vec<String>>>>::default();
    let all = heads.clone();
    let lab = Lab::new(move |_, connection| {
        let mut connection = BufReader::new(connection);
        let head = head(&mut connection);
        let done = head[0].contains("/done");
        all.lock().unwrap().push(head);
        let location = format!("Location: {location}\r\n");
        if done {
            answer(connection.get_mut(), "200 OK", "", "done");
        } else {
            answer(connection.get_mut(), status, &location, "");
        }
    });
    (lab, heads)
}

#[test]
fn redirects_are_delivered_unless_asked_for() {
    let (lab, heads) = redirecting("307 Temporary Redirect", "/done");
    assert_eq!(lab.get(request("http://a.example/")).unwrap().status, 307);
    assert_eq!(heads.lock().unwrap().len(), 1);
    let redirects = Redirects::Temporary;
    assert_eq!(lab.get(Request { redirects, ..request("http://a.example/") }).unwrap().body, b"done");
    for status in ["301 Moved Permanently", "302 Found", "303 See Other", "308 Permanent Redirect"] {
        let (lab, heads) = redirecting(status, "/done");
        let answer = lab.get(Request { redirects, ..request("http://a.example/") }).unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
        assert_eq!(heads.lock().unwrap().len(), 1);
    }
}

#[test]
fn redirects_are_bounded_and_must_make_sense() {
    let redirects = Redirects::Temporary;
    let follow = |location| {
        let (lab, heads) = redirecting("307 Temporary Redirect", location);
        let error = lab.get(Request { redirects, ..request("http://a.example/s3cret") }).unwrap_err();
        (error, heads.lock().unwrap().len())
    };
    assert_eq!(follow("/again?s3cret"), (HttpError::Redirects(5), 6));
    assert_eq!(follow("s3cret"), (HttpError::Location(UrlError::Relative), 1));
    assert_eq!(follow("ftp://s3cret/"), (HttpError::Location(UrlError::Scheme), 1));
    assert_eq!(follow("http://192.0.2.1/"), (HttpError::Location(UrlError::Ipv4([192, 0, 2, 1].into())), 1));
}

#[test]
fn a_place_without_a_query_gets_the_one_for_redirects() {
    let redirect_query = Some(Secret::new("who=me"));
    for (location, asked) in [("/done", "GET /done?who=me HTTP/1.1"), ("/done?x=y", "GET /done?x=y HTTP/1.1")] {
        let (lab, heads) = redirecting("307 Temporary Redirect", location);
        let redirect_query = redirect_query.clone();
        let redirects = Redirects::Temporary;
        lab.get(Request { redirects, redirect_query, ..request("http://a.example/?s3cret") }).unwrap();
        assert_eq!(heads.lock().unwrap()[1][0], asked);
    }
}

#[test]
fn basic_credentials_do_not_follow_to_another_server() {
    let (lab, heads) = redirecting("307 Temporary Redirect", "http://b.example/done");
    let basic_auth = Some((Secret::new("me"), Secret::new("s3cret")));
    lab.get(Request { basic_auth, redirects: Redirects::Temporary, ..request("http://a.example/") }).unwrap();
    let heads = heads.lock().unwrap();
    let sent = |i: usize| heads[i].iter().any(|l| l.to_ascii_lowercase().starts_with("authorization"));
    assert_eq!((sent(0), sent(1)), (true, false));
}

/// An authority and a server certificate of its for `names`, valid from `years.0` to `years.1`.
fn authority(names: &[&str], years: (i32, i32)) -> (Vec<u8>, Arc<rustls::ServerConfig>) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (issuer.pem().into_bytes(), Arc::new(config))
}

/// A server that speaks TLS at 443 and 8443, and HTTP elsewhere; it answers `location` if there is one.
fn tls_lab(config: Arc<rustls::ServerConfig>, location: &'static str) -> Lab {
    Lab::new(move |port, connection| {
        let serve = |stream: &mut dyn ReadWrite| {
            let mut stream = BufReader::new(stream);
            if head(&mut stream).first().is_some_and(|l| l.contains("/redirect")) {
                answer(stream.get_mut(), "307 Go", &format!("Location: {location}\r\n"), "");
            } else {
                answer(stream.get_mut(), "200 OK", "", "secret channel");
            }
        };
        if port == 443 || port == 8443 {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, connection);
            serve(&mut stream);
            stream.conn.send_close_notify();
            let _ = stream.flush();
        } else {
            let mut connection = connection;
            serve(&mut connection);
        }
    })
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

const VALID: (i32, i32) = (2020, 2090);

#[test]
fn tls_with_roots_of_our_own() {
    let (pem, config) = authority(&["a.example"], VALID);
    let trust = Trust::Roots(Roots::from_pem(&pem).unwrap());
    let lab = tls_lab(config, "");
    let get = |url, trust: &Trust| lab.get(Request { trust: trust.clone(), ..request(url) });
    assert_eq!(get("https://a.example/s3cret", &trust).unwrap().body, b"secret channel");
    // Another name of the same server, another authority, and no check at all.
    let error = get("https://b.example/s3cret", &trust).unwrap_err();
    assert!(matches!(&error, HttpError::Tls { host, .. } if host == "b.example"), "{error}");
    let error = get("https://a.example/s3cret", &Trust::Mozilla).unwrap_err();
    assert!(error.to_string().contains("not among those that are trusted"), "{error}");
    let (stranger, _) = authority(&[], VALID);
    let stranger = Trust::Roots(Roots::from_pem(&stranger).unwrap());
    assert!(matches!(get("https://a.example/", &stranger).unwrap_err(), HttpError::Tls { .. }));
    assert_eq!(get("https://b.example/", &Trust::Unverified).unwrap().status, 200);
    // An address is a name too, and not this certificate's.
    let url = format!("https://[{THEIRS}]/");
    assert!(matches!(get(&url, &trust).unwrap_err(), HttpError::Tls { .. }));
    // TLS to a server that does not speak it.
    assert!(get("https://a.example:8080/", &trust).is_err());
}

#[test]
fn certificates_out_of_time_name_the_clock() {
    for years in [(2010, 2011), (2090, 2091)] {
        let (pem, config) = authority(&["a.example"], years);
        let trust = Trust::Roots(Roots::from_pem(&pem).unwrap());
        let error = tls_lab(config, "").get(Request { trust, ..request("https://a.example/") }).unwrap_err();
        assert!(error.to_string().ends_with("check this machine's clock"), "{error}");
    }
}

#[test]
fn nothing_leads_from_https_to_http() {
    let (pem, config) = authority(&["a.example"], VALID);
    let trust = Trust::Roots(Roots::from_pem(&pem).unwrap());
    let redirects = Redirects::Temporary;
    let get = |location| {
        let lab = tls_lab(config.clone(), location);
        lab.get(Request { trust: trust.clone(), redirects, ..request("https://a.example/redirect?s3cret") })
    };
    let error = get("http://a.example/s3cret").unwrap_err();
    assert_eq!(
        error.to_string(),
        "https://a.example/*** redirects to http://a.example/***, which is not encrypted; refused"
    );
    assert_eq!(get("//a.example:8443/").unwrap().status, 200);
    let lab = tls_lab(config.clone(), "https://a.example/");
    let up = lab.get(Request { trust, redirects, ..request("http://a.example/redirect") });
    assert_eq!(up.unwrap().body, b"secret channel");
    // Where nothing was promised nothing is broken.
    let lab = tls_lab(config.clone(), "http://a.example/");
    let trust = Trust::Unverified;
    let down = lab.get(Request { trust, redirects, ..request("https://b.example/redirect") });
    assert_eq!(down.unwrap().body, b"secret channel");
}

#[test]
fn pem_files_without_certificates_are_refused() {
    for pem in [
        "",
        "nothing",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN CERTIFICATE-----\n!",
    ] {
        assert_eq!(Roots::from_pem(pem.as_bytes()).unwrap_err(), HttpError::Roots, "{pem}");
    }
}

/// Everything that anybody logs, at the most talkative level.
struct Log;

static LOGGED: OnceLock<Mutex<String>> = OnceLock::new();

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }

    fn log(&self, record: &log::Record) {
        let line = format!("{} {}\n", record.target(), record.args());
        LOGGED.get_or_init(Default::default).lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

#[test]
fn no_crate_below_logs_a_secret() {
    // Nobody listens to the `log` crate in the router; if somebody ever does, this still holds.
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let (pem, config) = authority(&["a.example"], VALID);
    let trust = Trust::Roots(Roots::from_pem(&pem).unwrap());
    let lab = tls_lab(config, "https://a.example/s3cret?p=s3cret");
    let basic_auth = Some((Secret::new("s3cret-user"), Secret::new("s3cret")));
    let all = Request {
        basic_auth,
        trust,
        redirects: Redirects::Temporary,
        ..request("https://a.example/redirect/s3cret?pass=s3cret")
    };
    assert!(!format!("{all:?}").contains("s3cret"));
    lab.get(all).unwrap();
    lab.get(request("http://a.example:81/s3cret?s3cret")).unwrap_err();
    let logged = LOGGED.get().expect("something was logged").lock().unwrap();
    assert!(logged.contains("ureq"), "{logged}");
    assert!(!logged.contains("s3cret"), "{logged}");
    // "s3cret-user:s3cret" in base64.
    assert!(!logged.contains("czNjcmV0LXVzZXI6czNjcmV0"), "{logged}");
}

#[test]
fn secrets_are_shown_as_stars() {
    let secret = Secret::new("s3cret");
    assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
    assert_eq!(serde_json::to_string(&secret).unwrap(), "\"***\"");
    assert_eq!(serde_json::from_str::<Secret>("\"s3cret\"").unwrap().expose(), "s3cret");
}

#[test]
fn a_request_outlives_neither_the_stack_nor_its_time() {
    let (lab, _) = recording("200 OK", "");
    let client = lab.client.clone();
    drop(lab);
    let error = client.start(request("http://a.example/")).recv_timeout(Duration::from_secs(5)).unwrap().unwrap_err();
    assert!(matches!(error, HttpError::Name { .. }), "{error}");
    let url = format!("http://[{THEIRS}]/");
    let error = client.start(request(&url)).recv_timeout(Duration::from_secs(5)).unwrap().unwrap_err();
    assert!(error.to_string().ends_with("the router is stopping"), "{error}");
}

/// [`SocketAddrV6`] is what a URL's address and port become.
#[test]
fn scope_ids_do_not_confuse() {
    let (lab, _) = recording("200 OK", "");
    let peer = SocketAddrV6::new(THEIRS, 80, 7, 9);
    lab.client.connector.connect(OURS, peer, Duration::from_secs(5)).unwrap();
}
