//! What the log tells at `debug` and `trace` of what machines hear and say; and that none of it is a secret.

use std::io;
use std::sync::{Arc, Mutex};

use hikyaku::router::State;
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::coming_up::IPIP;
use crate::provisioned::{MAP_E, provisioned};
use crate::services::{AUTO, LINE, OTHER_LINE, seconds};
use crate::world::World;
use crate::world::isp::Prefix;
use crate::world::web::Web;

/// What was logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logged {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What is logged meanwhile, at this level.
fn logged(level: Level, play: impl FnOnce()) -> String {
    let logged = Logged::default();
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(logged.clone());
    tracing::subscriber::with_default(log.finish(), play);
    String::from_utf8(logged.0.lock().unwrap().clone()).unwrap()
}

#[track_caller]
fn assert_says(log: &str, parts: &[&str]) {
    let says = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(log.lines().any(says), "{parts:?} in\n{log}");
}

/// A line that comes up, and a name that is asked for: each message has a line; what it says is told at `trace` only.
#[test]
fn each_message_has_a_line() {
    let up = || World::new("[service]\nkind = 'transix'\n").carries_within(seconds(20));
    let log = logged(Level::DEBUG, up);
    for parts in [
        ["router solicitation sent", "slaac", "link=wan0"],
        ["router advertisement heard", "slaac", "address=fe80::"],
        ["neighbour solicitation sent", "neighbour", "kind=135"],
        ["ARP request sent", "neighbour", "link=lan0"],
        ["query sent", "dns", "address="],
        ["response heard", "dns", "address="],
        ["name asked for", "dns", "AAAA of "],
        ["name not answered", "gw.transix.jp", "no such name"],
        ["what is used of the line", "resolver", "end of the tunnel"],
        ["what is to be carried", "Dslite", ""],
    ] {
        assert_says(&log, &parts);
    }
    assert!(!log.contains("TRACE") && !log.contains("transaction"), "{log}");
    let log = logged(Level::TRACE, up);
    for parts in [
        ["router advertisement heard", "router for ", "prefix 2001:db8:"],
        ["ARP request sent", "who has 192.168.", "a probe"],
        ["response heard", "for AAAA", "Domain"],
    ] {
        assert_says(&log, &parts);
    }
}

/// The password goes to the server, which says it back, and to nobody else.
#[test]
fn no_secret_of_a_notification() {
    let (user, password) = ("acc0unt", "s3cret");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("credentials");
    std::fs::write(&file, format!("user = '{user}'\npassword = '{password}'\nbasic-password = 'bas1c'\n")).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let service = format!(
        "{IPIP}[service.notification]\ndialect = 'url'\nurl = 'http://update.example.net/<user>?p=<pass>&at=<ipv6>'\n\
         credentials-file = '{}'\n",
        file.display()
    );
    let log = logged(Level::TRACE, || {
        let mut world = World::new(&service);
        let server = "2001:db8:f00::80".parse().unwrap();
        let says_no = |_: &str| "HTTP/1.1 403 No\r\ncontent-length: 6\r\n\r\ns3cret".into();
        let (web, requests) = Web::new(server, Box::new(says_no));
        world.isp.hosts.push(Box::new(web));
        world.isp.resolver.set_addresses("update.example.net", 300, &[server]);
        world.carries_within(seconds(20));
        let heard = |world: &World| world.status().notification.is_some_and(|told| told.state.text.contains("403"));
        assert!(world.pass_with_threads(seconds(60), heard), "{:?}", requests.borrow());
        let request = requests.borrow()[0].1.clone();
        assert!(request.contains("/acc0unt?p=s3cret&at="), "{request}");
    });
    assert_says(&log, &["request sent", "notification", "server=http://update.example.net"]);
    assert_says(&log, &["response heard", "notification", "status 403, 6 bytes"]);
    assert_says(&log, &["TCP segment sent", "sockets", "port 80"]);
    for secret in [user, password, "bas1c"] {
        assert!(!log.contains(secret), "{secret}: {:?}", log.lines().find(|line| line.contains(secret)));
    }
}

/// Its token is said to the server that gave it, and to nobody else (specification 3.3).
#[test]
fn no_secret_of_a_provisioning() {
    let offer = MAP_E.replace("abc", "t0ken");
    let log = logged(Level::TRACE, || {
        let mut line = provisioned(AUTO, &offer);
        line.carries();
        line.world.isp.says().prefixes = vec![
            Prefix { prefix: OTHER_LINE, preferred: 14400, valid: 43200 },
            Prefix { prefix: LINE, preferred: 0, valid: 7200 },
        ];
        line.world.isp.advertise();
        let requests = line.requests.clone();
        line.until(|_| requests.borrow().len() > 1);
        let request = requests.borrow()[1].1.clone();
        assert!(request.contains("token=t0ken"), "{request}");
        line.until(|world| matches!(world.router.state(), State::Carrying { .. }));
    });
    assert_says(&log, &["request sent", "hb46pp", "server=http://prov.example.net"]);
    assert_says(&log, &["response heard", "hb46pp", "status 200"]);
    assert_says(&log, &["what the server offers", "token: Some(***)", "MapE"]);
    assert!(!log.contains("t0ken"), "{:?}", log.lines().find(|line| line.contains("t0ken")));
}
