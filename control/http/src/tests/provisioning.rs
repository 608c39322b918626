//! The requests of [`hikyaku_protocols::hb46pp`], carried out: real TLS, redirects, and bodies that are too long.

use std::io::{BufReader, Read, Write};
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex};

use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::dns::{Data, Records, Text};
use hikyaku_protocols::hb46pp::{Client, Config, Credentials, MAX_TTL, Output, Place, State};
use hikyaku_protocols::http::{Roots, Secret, Trust};

use super::{Connection, Lab, OURS, VALID, answer, authority, head};

const ANSWER: &str = r#"{"enabler_name":"A VNE","order":["dslite"],"dslite":{"aftr":"gw.example"}}"#;

/// Which status, `Location` and body a request for `path` gets from the server called `host`.
type Serve = fn(path: &str, host: &str) -> (&'static str, &'static str, String);

/// A line with a server of names under `example`, and a certificate for `prov.example` and `next.example`.
struct Line {
    lab: Lab,
    config: Config,
    /// Request lines with their hosts, in order.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Line {
    fn new(serve: Serve) -> Self {
        let (pem, tls) = authority(&["prov.example", "next.example"], VALID);
        let asked = Arc::<Mutex<Vec<(String, String)>>>::default();
        let all = asked.clone();
        let lab = Lab::new(move |port, mut connection: Connection| {
            if port == 443 {
                let tls = rustls::ServerConnection::new(tls.clone()).unwrap();
                let mut stream = rustls::StreamOwned::new(tls, connection);
                one(&mut stream, serve, &all);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            } else {
                one(&mut connection, serve, &all);
            }
        });
        let trust = Trust::Roots(Roots::from_pem(&pem).unwrap());
        let credentials = Credentials { user: Secret::new("me"), pass: Secret::new("s3cret"), server: None };
        Self { lab, config: Config { trust, credentials: Some(credentials), ..Config::default() }, asked }
    }

    /// What the machine makes of a line that names this server: the events of one round.
    fn ask(&self, record: &str) -> (Client, String) {
        let mut machine = Client::new(self.config.clone());
        let now = Time(0);
        machine.start(now, Place { prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), from: OURS });
        assert!(matches!(machine.drive(now), Some(Output::Query(..))));
        let text = Text(vec![record.as_bytes().to_vec()]);
        machine.handle_answer(now, &Ok(Records { data: Data::Txt(vec![text]), alias_of: None, ttl: MAX_TTL }));
        let Some(Output::Request(request)) = machine.drive(now) else { panic!("no request") };
        let received = self.lab.get(*request);
        machine.handle_response(now, received);
        let mut events = String::new();
        while let Some(output) = machine.drive(now) {
            if let Output::Event(event) = output {
                events += &event.to_string();
            }
        }
        assert!(!events.contains("s3cret") && !events.contains("vendorid"), "{events}");
        (machine, events)
    }

    fn asked(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// Serves one request of a connection.
fn one(stream: &mut (impl Read + Write), serve: Serve, all: &Mutex<Vec<(String, String)>>) {
    let mut stream = BufReader::new(stream);
    let head = head(&mut stream);
    let Some(line) = head.first() else { return };
    let host = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("host: ").map(String::from));
    let host = host.unwrap_or_default();
    let path = line.split(' ').nth(1).unwrap_or_default().to_string();
    all.lock().unwrap().push((host.clone(), path.clone()));
    let (status, location, body) = serve(&path, &host);
    let location = if location.is_empty() { String::new() } else { format!("Location: {location}\r\n") };
    answer(stream.get_mut(), status, &location, &body);
}

/// Specification 3.1 and 3.2.
#[test]
fn certificates_count_with_t_b_only() {
    let line = Line::new(|_, _| ("200 OK", "", ANSWER.into()));
    let (machine, events) = line.ask("v=v6mig-1 url=https://prov.example/rule.cgi t=b");
    assert_eq!((machine.state(), machine.offer().is_some()), (State::Offered, true), "{events}");
    let asked = line.asked();
    assert!(asked[0].1.starts_with("/rule.cgi?vendorid=acde48-hikyaku&product=hikyaku&version="), "{asked:?}");
    assert!(asked[0].1.ends_with("&user=me&pass=s3cret"), "{asked:?}");
    // The same server under a name that is not in its certificate.
    let (machine, events) = line.ask("v=v6mig-1 url=https://wrong.example/rule.cgi t=b");
    assert_eq!((machine.state(), line.asked().len()), (State::Failing, 0));
    assert!(events.starts_with("provisioning: wrong.example: TLS: invalid peer certificate"), "{events}");
    let (machine, _) = line.ask("v=v6mig-1 url=https://wrong.example/rule.cgi t=a");
    assert_eq!(machine.state(), State::Offered);
    let (machine, _) = line.ask("v=v6mig-1 url=http://wrong.example/rule.cgi t=a");
    assert_eq!(machine.state(), State::Offered);
    // Of an authority that nobody named.
    let strangers = Line { config: Config::default(), ..Line::new(|_, _| ("200 OK", "", ANSWER.into())) };
    let (_, events) = strangers.ask("v=v6mig-1 url=https://prov.example/ t=b");
    assert!(events.contains("its authority is not among those that are trusted"), "{events}");
}

/// Specification 3.3: only 307, to another server too, which is told all but the credentials.
#[test]
fn what_is_followed() {
    let serve: Serve = |_, host| match host {
        "next.example" => ("200 OK", "", ANSWER.into()),
        _ => ("307 Temporary Redirect", "https://next.example/other.cgi", String::new()),
    };
    let line = Line::new(serve);
    let (machine, events) = line.ask("v=v6mig-1 url=https://prov.example/rule.cgi t=b");
    assert_eq!(machine.state(), State::Offered, "{events}");
    let asked = line.asked();
    assert_eq!(asked[1].0, "next.example");
    assert!(asked[1].1.starts_with("/other.cgi?vendorid=") && !asked[1].1.contains("s3cret"), "{asked:?}");
    // A place with a query of its own is taken as it is.
    let serve: Serve = |path, _| match path {
        "/own?x=y" => ("200 OK", "", ANSWER.into()),
        _ => ("307 Temporary Redirect", "/own?x=y", String::new()),
    };
    let line = Line::new(serve);
    assert_eq!(line.ask("v=v6mig-1 url=https://prov.example/ t=b").0.state(), State::Offered);
    assert_eq!(line.asked()[1], ("prov.example".into(), "/own?x=y".into()));
}

#[test]
fn what_is_not_followed() {
    let (checked, unchecked) = ("v=v6mig-1 url=https://prov.example/ t=b", "v=v6mig-1 url=https://prov.example/ t=a");
    for (serve, status) in [
        ((|_, _| ("301 Moved Permanently", "/other", String::new())) as Serve, 301),
        (|_, _| ("302 Found", "https://next.example/", String::new()), 302),
        (|_, _| ("308 Permanent Redirect", "/other", String::new()), 308),
    ] {
        let line = Line::new(serve);
        let (machine, events) = line.ask(checked);
        assert_eq!((machine.state(), line.asked().len()), (State::Failing, 1));
        let why = format!("provisioning: prov.example: status {status}: not an answer of this protocol");
        assert!(events.starts_with(&why), "{events}");
    }
    // Round and round.
    let line = Line::new(|_, _| ("307 Temporary Redirect", "/again", String::new()));
    let (_, events) = line.ask(checked);
    assert!(events.starts_with("provisioning: more than 5 redirects"), "{events}");
    assert_eq!(line.asked().len(), 6);
    // From https to http: with t=b refused; with t=a nothing was protected before either.
    let serve: Serve = |path, _| match path.starts_with("/plain") {
        true => ("200 OK", "", ANSWER.into()),
        false => ("307 Temporary Redirect", "http://next.example/plain", String::new()),
    };
    let line = Line::new(serve);
    let (machine, events) = line.ask(checked);
    assert_eq!((machine.state(), line.asked().len()), (State::Failing, 1));
    let why = "https://prov.example/*** redirects to http://next.example/***, which is not encrypted; refused";
    assert!(events.contains(why), "{events}");
    assert_eq!((line.ask(unchecked).0.state(), line.asked().len()), (State::Offered, 2));
}

#[test]
fn two_megabytes_are_refused() {
    let serve: Serve = |_, _| ("200 OK", "", format!("{ANSWER}{}", " ".repeat(2 << 20)));
    let (machine, events) = Line::new(serve).ask("v=v6mig-1 url=https://prov.example/ t=b");
    assert_eq!(machine.state(), State::Failing);
    assert!(events.starts_with("provisioning: prov.example: the answer is longer than 1048576 bytes"), "{events}");
    // One is not.
    let serve: Serve = |_, _| ("200 OK", "", format!("{ANSWER}{}", " ".repeat((1 << 20) - ANSWER.len())));
    let (machine, events) = Line::new(serve).ask("v=v6mig-1 url=https://prov.example/ t=b");
    assert_eq!(machine.state(), State::Offered, "{events}");
}
