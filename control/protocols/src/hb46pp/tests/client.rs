//! Every wait, and what is used meanwhile, in virtual time (specification 3.5 and 3.6).

use std::net::Ipv6Addr;
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hikyaku_net::Time;
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::super::*;
use crate::Machine;
use crate::dns::{Data, Failure, RecordType, Records, Text};
use crate::http::{HttpError, MAX_BODY, Redirects, Request, Response, Secret, Trust};

const SERVER: &str = "v=v6mig-1 url=https://prov.example/rule.cgi t=b";
const DSLITE: &str = r#"{"enabler_name":"A VNE","ttl":86400,"order":["dslite"],"dslite":{"aftr":"gw.example"}}"#;
const OTHER: &str = r#"{"enabler_name":"A VNE","ttl":3600,"order":["dslite"],"dslite":{"aftr":"other.example"}}"#;
const WALL: u64 = 1_700_000_000;

fn place(n: u16) -> Place {
    let prefix = Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 0);
    Place { prefix, from: Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 7) }
}

fn at(seconds: u64) -> Time {
    Time(seconds * 1_000_000_000)
}

fn records(text: &str) -> Result<Records, Failure> {
    let text = Text(vec![text.as_bytes().to_vec()]);
    Ok(Records { data: Data::Txt(vec![text]), alias_of: None, ttl: Duration::from_secs(60) })
}

fn answer(status: u16, body: &str) -> Result<Response, HttpError> {
    Ok(Response { status, body: body.as_bytes().to_vec() })
}

fn timed_out() -> Result<Response, HttpError> {
    Err(HttpError::TimedOut { host: "prov.example".into(), timeout: Duration::from_secs(15) })
}

/// A machine and what it said since last looked at.
struct Line {
    machine: Client,
    now: Time,
    events: Vec<Event>,
    changed: u32,
    saves: u32,
}

impl Line {
    fn new(config: Config) -> Self {
        let machine = Client::with_rng(config, StdRng::seed_from_u64(1));
        Self { machine, now: at(1000), events: Vec::new(), changed: 0, saves: 0 }
    }

    fn started(config: Config) -> Self {
        let mut line = Self::new(config);
        line.machine.start(line.now, place(1));
        line
    }

    /// The next question or request, if there is one now.
    fn poll(&mut self) -> Option<Output> {
        while let Some(output) = self.machine.drive(self.now) {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Changed => self.changed += 1,
                Output::Save => self.saves += 1,
                output @ (Output::Query(..) | Output::Request(_)) => return Some(output),
            }
        }
        None
    }

    /// Goes to when something is due: how long that was.
    fn wait(&mut self) -> Duration {
        assert!(self.poll().is_none());
        let next = self.machine.poll_timeout().expect("it waits for something");
        let just_before = Time(next.0.saturating_sub(1)).max(self.now);
        assert!(self.machine.drive(just_before).is_none() || just_before == next, "before its time");
        let waited = next.since(self.now);
        self.now = next.max(self.now);
        waited
    }

    fn query(&mut self) {
        match self.poll() {
            Some(Output::Query(name, RecordType::Txt)) => assert_eq!(name, "4over6.info"),
            other => panic!("{other:?}"),
        }
    }

    fn resolve(&mut self, result: &Result<Records, Failure>) {
        self.query();
        self.machine.handle_answer(self.now, result);
    }

    fn request(&mut self, record: &str) -> Request {
        self.resolve(&records(record));
        match self.poll() {
            Some(Output::Request(request)) => *request,
            other => panic!("{other:?} {:?}", self.events),
        }
    }

    fn exchange(&mut self, result: Result<Response, HttpError>) {
        self.request(SERVER);
        self.machine.handle_response(self.now, result);
        assert!(self.poll().is_none());
    }

    /// Events, changes and saves since the last look.
    fn news(&mut self) -> (Vec<String>, u32, u32) {
        assert!(self.poll().is_none());
        let events = std::mem::take(&mut self.events).iter().map(Event::to_string).collect();
        (events, std::mem::take(&mut self.changed), std::mem::take(&mut self.saves))
    }

    fn aftr(&self) -> Option<String> {
        self.machine.offer().map(|offer| offer.order.first().map_or("nothing".into(), Technology::to_string))
    }

    fn saved(&self) -> Option<Saved> {
        let saved = self.machine.saved(self.now, WALL + u64::from(self.now.seconds()))?;
        let json = serde_json::to_string(&saved).unwrap();
        let read: Saved = serde_json::from_str(&json).unwrap();
        assert_eq!(read, saved);
        Some(read)
    }
}

fn within(waited: Duration, from: u64, to: u64) {
    assert!((from..=to).contains(&waited.as_secs()), "{waited:?}");
}

/// The whole way once, and again after `ttl` (k.1).
#[test]
fn asked_answered_and_asked_again() {
    let mut line = Line::new(Config::default());
    assert_eq!((line.machine.poll_timeout(), line.machine.state()), (None, State::Idle));
    assert!(line.poll().is_none());
    line.machine.start(line.now, place(1));
    assert_eq!((line.machine.poll_timeout(), line.machine.state()), (Some(line.now), State::Asking));
    let request = line.request(SERVER);
    assert_eq!(
        request.url.expose(),
        format!(
            "https://prov.example/rule.cgi?vendorid=acde48-hikyaku&product=hikyaku&version={}&capability=dslite,ipip,lw4o6,map_e,hubspoke,mesh",
            env!("CARGO_PKG_VERSION").replace('.', "_")
        )
    );
    assert_eq!((request.from, request.redirects, request.body_limit), (place(1).from, Redirects::Temporary, MAX_BODY));
    assert!(matches!(request.trust, Trust::Mozilla) && request.basic_auth.is_none());
    assert_eq!(line.machine.offer(), None);
    line.machine.handle_response(line.now, answer(200, DSLITE));
    let said = "provisioning: prov.example offers A VNE: dslite (aftr gw.example); asked again in 24 h";
    assert_eq!(line.news(), (vec![said.into()], 1, 1));
    assert_eq!((line.aftr().unwrap(), line.machine.state()), ("dslite (aftr gw.example)".into(), State::Offered));
    let status = line.machine.status(line.now + Duration::from_secs(60)).to_string();
    assert_eq!(status, "answered (prov.example, 60 s ago): A VNE: dslite (aftr gw.example); next in 23 h");
    assert_eq!(line.wait(), Duration::from_secs(86_400));
    // The same again changes nothing; other does.
    line.exchange(answer(200, DSLITE));
    let (events, changed, saves) = line.news();
    assert!(events[0].contains("still offers"), "{events:?}");
    assert_eq!((changed, saves), (0, 1));
    line.wait();
    line.exchange(answer(200, OTHER));
    assert_eq!((line.news().1, line.aftr().unwrap()), (1, "dslite (aftr other.example)".into()));
    assert_eq!(line.wait(), Duration::from_secs(3600));
}

/// k.2, and lifetimes that would be questions without end.
#[test]
fn lifetimes_that_are_absent_short_or_long() {
    let waits = |ttl: &str| -> Vec<Duration> {
        let mut line = Line::started(Config::default());
        (0..20)
            .map(|_| {
                line.exchange(answer(200, &format!("{{{ttl}\"order\":[]}}")));
                line.wait()
            })
            .collect()
    };
    let absent = waits("");
    absent.iter().for_each(|&wait| within(wait, 72_000, 86_400));
    assert!(absent.iter().max().unwrap().as_secs() - absent.iter().min().unwrap().as_secs() > 3600, "{absent:?}");
    assert!(waits("\"ttl\":0,").iter().all(|wait| wait.as_secs() == 600));
    assert!(waits("\"ttl\":99999999,").iter().all(|wait| wait.as_secs() == 604_800));
}

/// c.2: the running technology is taken down, 1 to 3 hours.
#[test]
fn no_such_name() {
    for failure in [Failure::NoSuchName { ttl: None }, Failure::NoData { ttl: Some(Duration::from_secs(10)) }] {
        let mut line = Line::started(Config::default());
        line.exchange(answer(200, DSLITE));
        line.news();
        line.wait();
        let mut waits = Vec::new();
        for round in 0..20 {
            line.resolve(&Err(failure.clone()));
            let (events, changed, saves) = line.news();
            assert!(
                events[0].starts_with("provisioning: this line has no provisioning server: 4over6.info: "),
                "{events:?}"
            );
            assert_eq!((changed, saves), if round == 0 { (1, 1) } else { (0, 0) });
            assert_eq!((line.aftr(), line.saved(), line.machine.state()), (None, None, State::Absent));
            waits.push(line.wait());
        }
        waits.iter().for_each(|&wait| within(wait, 3600, 10_800));
        assert!(waits.iter().max().unwrap().as_secs() - waits.iter().min().unwrap().as_secs() > 3600, "{waits:?}");
    }
}

/// c.3: 1 to 10 minutes, and what runs goes on.
#[test]
fn other_failures_of_dns() {
    let failures = [
        Err(Failure::ServerFailed(ResponseCode::ServFail)),
        Err(Failure::TimedOut),
        Err(Failure::NoResolvers),
        Err(Failure::Truncated),
        Err(Failure::Busy),
        records("v=spf1 -all"),
        records("v=v6mig-1 url=http://prov.example/ t=b"),
    ];
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, DSLITE));
    line.news();
    line.wait();
    for failure in failures.iter().cycle().take(28) {
        line.resolve(failure);
        let (events, changed, saves) = line.news();
        assert!(events[0].contains("; the last answer stays in use; tried again in "), "{events:?}");
        assert_eq!((changed, saves, line.machine.state()), (0, 0, State::Kept));
        assert_eq!(line.aftr().unwrap(), "dslite (aftr gw.example)");
        within(line.wait(), 60, 600);
    }
    // A question that nobody ended.
    line.query();
    assert_eq!(line.wait(), Duration::from_secs(120));
    assert!(line.news().0[0].contains("4over6.info: the question was lost"));
    within(line.wait(), 60, 600);
    line.exchange(answer(200, DSLITE));
    assert_eq!((line.machine.state(), line.news().1), (State::Offered, 0));
}

/// f.2 and h.2: 10 to 30 minutes, and what runs goes on.
#[test]
fn servers_that_fail_or_are_silent() {
    let huge = HttpError::TooLong { host: "prov.example".into(), limit: MAX_BODY };
    let results = [
        (timed_out(), "no complete answer within 15s"),
        (Err(huge), "prov.example: the answer is longer than 1048576 bytes"),
        (Err(HttpError::Redirects(5)), "more than 5 redirects"),
        (Err(HttpError::Downgrade("https://a/***".into(), "http://b/***".into())), "which is not encrypted; refused"),
        (answer(500, ""), "prov.example: status 500: the server is in trouble"),
        (answer(429, ""), "the server is in trouble"),
        (answer(301, ""), "prov.example: status 301: not an answer of this protocol"),
        (answer(204, ""), "status 204"),
        (answer(403, DSLITE), "status 403: the server does not know this line; ask the provider"),
        (answer(404, ""), "status 404: the server does not know this line"),
        (answer(200, "<html>"), "prov.example: the answer is not JSON (line 1, column 1): a syntax error"),
        (answer(200, "{}"), "neither an order nor any technology"),
        (answer(200, r#"{"order":["dslite"]}"#), "nothing of what is offered can be used: dslite: "),
    ];
    let mut line = Line::started(Config::default());
    for with_service in [false, true] {
        for (result, why) in &results {
            line.exchange(result.clone());
            let (events, changed, saves) = line.news();
            assert!(events[0].contains(why), "{events:?}");
            assert_eq!((events.len(), changed, saves), (1, 0, 0));
            let state = if with_service { State::Kept } else { State::Failing };
            assert_eq!((line.machine.state(), line.aftr().is_some()), (state, with_service));
            assert!(line.machine.status(line.now).last_error.unwrap().contains(why));
            within(line.wait(), 600, 1800);
        }
        line.exchange(answer(200, DSLITE));
        line.news();
        line.wait();
    }
    // A request that nobody ended.
    line.request(SERVER);
    assert_eq!(line.wait(), Duration::from_secs(180));
    within(line.wait(), 600, 1800);
}

#[test]
fn an_empty_order_takes_the_service_down() {
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, DSLITE));
    line.news();
    line.wait();
    line.exchange(answer(200, r#"{"ttl":7200,"order":[]}"#));
    let (events, changed, saves) = line.news();
    assert!(events[0].contains("prov.example offers an unnamed service: nothing for this line"), "{events:?}");
    assert_eq!((changed, saves, line.machine.state()), (1, 1, State::Nothing));
    assert_eq!(line.machine.offer().unwrap().order, []);
    assert_eq!(line.wait(), Duration::from_secs(7200));
}

#[test]
fn a_bad_technology_is_named_and_the_others_count() {
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, r#"{"order":["map_e","dslite"],"map_e":{"br":"x"},"dslite":{"aftr":"gw.example"}}"#));
    let why = "map_e: br is \"x\": an IPv6 address is written as 2001:db8::1";
    assert_eq!(line.news().0[1], format!("provisioning: refused: {why}"));
    assert_eq!(line.aftr().unwrap(), "dslite (aftr gw.example)");
    assert_eq!(line.machine.status(line.now).refused, [why]);
}

/// 3.6: asked anew at once; and what was offered to another prefix is not offered to this one.
#[test]
fn another_prefix() {
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, DSLITE));
    line.news();
    line.now = line.now + Duration::from_secs(60);
    // Another address of the same prefix, and the line being away for a while, change nothing.
    let elsewhere = Place { from: "2001:db8:1::99".parse().unwrap(), ..place(1) };
    line.machine.start(line.now, elsewhere);
    line.machine.stop(line.now);
    assert_eq!((line.machine.poll_timeout(), line.machine.state()), (None, State::Idle));
    assert!(line.aftr().is_some());
    line.machine.start(line.now, place(1));
    assert_eq!(line.news(), (vec![], 0, 0));
    assert_eq!(line.machine.poll_timeout(), Some(at(1000 + 86_400)));
    // The lower half does not count.
    let prefix = "2001:db8:1::1234".parse().unwrap();
    line.machine.start(line.now, Place { prefix, ..place(1) });
    assert!(line.aftr().is_some());

    line.machine.start(line.now, place(2));
    assert_eq!((line.aftr(), line.machine.state(), line.machine.poll_timeout().is_some()), (None, State::Asking, true));
    let request = line.request(SERVER);
    assert_eq!((request.from, line.changed), (place(2).from, 1));
    line.machine.handle_response(line.now, timed_out());
    line.news();
    assert_eq!((line.aftr(), line.machine.state()), (None, State::Failing));
    // Back at the first one its answer is used again, once it turns out that there is no newer one.
    line.machine.start(line.now, place(1));
    assert_eq!(line.aftr(), None);
    line.exchange(timed_out());
    assert_eq!((line.news().1, line.aftr().is_some(), line.machine.state()), (1, true, State::Kept));
}

/// A real server took 32 s. The answer of before is used meanwhile, its own once it comes.
#[test]
fn a_slow_server() {
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, DSLITE));
    let saved = line.saved().unwrap();
    let mut again = Line::new(Config::default());
    assert!(again.machine.resume(again.now, WALL + 5000, &saved));
    again.machine.start(again.now, place(1));
    assert_eq!(again.request(SERVER).timeout, Duration::from_secs(60));
    assert_eq!((again.aftr(), again.machine.state()), (None, State::Asking));
    assert_eq!(again.wait(), Duration::from_secs(15));
    assert_eq!((again.news().1, again.aftr().is_some(), again.machine.state()), (1, true, State::Kept));
    again.now = again.now + Duration::from_secs(17);
    again.machine.handle_response(again.now, answer(200, DSLITE));
    assert_eq!((again.news().1, again.machine.state()), (0, State::Offered), "the same as before");
}

#[test]
fn another_prefix_while_something_is_under_way() {
    let mut line = Line::started(Config::default());
    line.query();
    line.machine.start(line.now, place(2));
    line.query();
    line.machine.handle_answer(line.now, &records(SERVER));
    // A request that nobody has seen yet.
    line.machine.start(line.now, place(3));
    line.query();
    // Results of before.
    line.machine.handle_response(line.now, answer(200, DSLITE));
    assert_eq!(line.aftr(), None);
    line.machine.handle_answer(line.now, &records(SERVER));
    let Some(Output::Request(request)) = line.poll() else { panic!() };
    assert_eq!(request.from, place(3).from);
    // The line goes away and comes back with another address.
    line.machine.stop(line.now);
    line.machine.handle_response(line.now, answer(200, DSLITE));
    assert!(line.poll().is_none() && line.aftr().is_none());
    let from = "2001:db8:3::99".parse().unwrap();
    line.machine.start(line.now, Place { from, ..place(3) });
    assert_eq!(line.request(SERVER).from, from);
    line.machine.handle_answer(line.now, &records(SERVER));
    line.machine.handle_response(line.now, answer(200, DSLITE));
    assert!(line.aftr().is_some());
}

const TOKEN: &str = "640756965820d3b9025b6941f9590af6802830ba58663fe8f043dc92b576f17a";

/// 3.3 and 3.4, `token`: said to the server that gave it, and to no other.
#[test]
fn tokens() {
    let with_token = format!(r#"{{"ttl":600,"token":"{TOKEN}","order":[]}}"#);
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, &with_token));
    line.wait();
    let request = line.request(SERVER);
    assert!(request.url.expose().ends_with(&format!("&token={TOKEN}")));
    assert!(request.redirect_query.as_ref().unwrap().expose().ends_with(TOKEN));
    assert!(!format!("{request:?} {:?}", line.saved()).contains(TOKEN));
    // An answer without one does not take it back.
    line.machine.handle_response(line.now, answer(200, r#"{"ttl":600,"order":[]}"#));
    line.wait();
    let other = line.request("v=v6mig-1 url=https://other.example/?a=b t=b");
    let url = other.url.expose();
    assert!(url.starts_with("https://other.example/?a=b&vendorid=") && !url.contains("token"), "{url}");
    line.machine.handle_response(line.now, timed_out());
    line.wait();
    assert!(line.request(SERVER).url.expose().contains(TOKEN));
    // After a restart, before any answer.
    let saved = line.saved().unwrap();
    let mut again = Line::new(Config::default());
    assert!(again.machine.resume(again.now, WALL + 5000, &saved));
    again.machine.start(again.now, place(1));
    assert!(again.request(SERVER).url.expose().contains(TOKEN));
}

fn with_credentials(server: Option<&str>) -> Config {
    let credentials = Credentials {
        user: Secret::new("s3cret-user"),
        pass: Secret::new("s3cret&pass"),
        server: server.map(String::from),
    };
    Config { credentials: Some(credentials), ..Config::default() }
}

/// 3.3, `user`.
#[test]
fn credentials() {
    let mut line = Line::started(with_credentials(Some("prov.example")));
    let request = line.request(SERVER);
    assert!(request.url.expose().ends_with("&user=s3cret-user&pass=s3cret%26pass"));
    assert!(!request.redirect_query.unwrap().expose().contains("s3cret"));
    line.machine.handle_response(line.now, answer(200, r#"{"auth":"bad","order":[]}"#));
    let (events, ..) = line.news();
    assert_eq!(events[1], "provisioning: the server refuses user and password; check them");
    line.wait();
    let request = line.request("v=v6mig-1 url=https://prov.example/ t=a");
    assert!(!request.url.expose().contains("s3cret") && matches!(request.trust, Trust::Unverified));
    assert!(line.news().0[0].starts_with("provisioning: user and password are not sent to prov.example: "));
    let request = Line::started(with_credentials(None)).request("v=v6mig-1 url=http://prov.example/ t=a");
    assert!(request.url.expose().contains("user=s3cret-user"));
}

#[test]
fn nothing_that_is_said_holds_a_secret() {
    let secrets = ["s3cret", TOKEN];
    let bodies = [
        format!(
            r#"{{"token":"{TOKEN}","enabler_name":"s3cret-user {TOKEN}","isp_name":"s3cret&pass","order":["map_e","x"],"map_e":{{"br":"{TOKEN}"}}}}"#
        ),
        format!(
            r#"{{"token":"{TOKEN}","service_name":"s3cret-user","order":["dslite","map_e"],"dslite":{{"aftr":"a.example"}},"map_e":{{"br":"s3cret&pass"}}}}"#
        ),
        format!(r#"{{"ttl":"s3cret-user","token":"{TOKEN}","order":[]}}"#),
        r#"{"order":["s3cret-user"]}"#.to_string(),
    ];
    let mut line = Line::started(with_credentials(None));
    for body in bodies.iter().cycle().take(8) {
        line.exchange(answer(200, body));
        let (events, ..) = line.news();
        let status = line.machine.status(line.now);
        let json = serde_json::to_string(&status).unwrap();
        let all = format!("{events:?} {status} {json} {:?} {:?}", line.saved(), line.machine);
        assert!(secrets.iter().all(|secret| !all.contains(secret)), "{all}");
        line.wait();
    }
}

/// 3.5: after a restart the last answer is used while the server cannot be reached, and not before.
#[test]
fn a_restart_without_the_server() {
    let mut line = Line::started(Config::default());
    line.exchange(answer(200, DSLITE));
    line.now = line.now + Duration::from_secs(500);
    let saved = line.saved().unwrap();
    assert_eq!(saved.taken, WALL + 1000);
    let restarted = |wall: u64, place: Place| {
        let mut line = Line::new(Config::default());
        let resumed = line.machine.resume(line.now, wall, &saved);
        line.machine.start(line.now, place);
        assert_eq!(line.aftr(), None, "not before the server was asked");
        (line, resumed)
    };
    let hour = saved.taken + 3600;
    for failure in [timed_out(), answer(503, ""), answer(200, "<html>")] {
        let (mut line, resumed) = restarted(hour, place(1));
        assert!(resumed && !line.machine.resume(line.now, hour, &saved));
        line.exchange(failure);
        assert_eq!((line.news().1, line.machine.state()), (1, State::Kept));
        assert_eq!(line.aftr().unwrap(), "dslite (aftr gw.example)");
        assert_eq!(line.machine.status(line.now).answered, Some(3600));
        // Its age goes on.
        assert_eq!(line.saved().unwrap().answer_and_host(), saved.answer_and_host());
        assert_eq!(line.machine.saved(line.now, hour).unwrap().taken, saved.taken);
        line.wait();
        line.exchange(answer(200, OTHER));
        assert_eq!((line.news().1, line.aftr().unwrap()), (1, "dslite (aftr other.example)".into()));
    }
    // DNS that fails too; but not DNS that says that there is nothing.
    let (mut line, _) = restarted(hour, place(1));
    line.resolve(&Err(Failure::TimedOut));
    assert!(line.news().1 == 1 && line.aftr().is_some());
    let (mut line, _) = restarted(hour, place(1));
    line.resolve(&Err(Failure::NoData { ttl: None }));
    assert_eq!((line.news().1, line.aftr(), line.saved()), (0, None, None));
    // A server that does not know this line was reached.
    let (mut line, _) = restarted(hour, place(1));
    line.exchange(answer(403, ""));
    assert_eq!((line.news().1, line.aftr()), (0, None));
    // Another line.
    let (mut line, resumed) = restarted(hour, place(2));
    line.exchange(timed_out());
    assert_eq!((resumed, line.news().1, line.aftr()), (true, 0, None));
    // A week is the longest that an answer is good for; a clock that was not set is no reason.
    let (_, resumed) = restarted(saved.taken + 604_800, place(1));
    assert!(resumed);
    let (_, resumed) = restarted(saved.taken + 604_801, place(1));
    assert!(!resumed);
    let (_, resumed) = restarted(0, place(1));
    assert!(resumed);
}

#[test]
fn files_that_are_no_answer_are_not_taken_up() {
    let file = |answer: &str| -> Saved {
        let json =
            serde_json::json!({ "taken": WALL, "prefix": "2001:db8:1::", "host": "prov.example", "answer": answer });
        serde_json::from_value(json).unwrap()
    };
    let resume = |saved: &Saved| Client::new(Config::default()).resume(at(0), WALL, saved);
    assert!(resume(&file(DSLITE)));
    assert!(!resume(&file("")) && !resume(&file("{}")) && !resume(&file("nonsense")));
    assert!(!resume(&file(&format!("{DSLITE}{}", " ".repeat(MAX_BODY)))));
}

/// What may happen to a line.
#[derive(Clone, Debug)]
enum Happens {
    Resolved(usize),
    Finished(usize),
    Moves(u16),
    Down,
    Time(u32),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => (0usize..6).prop_map(Happens::Resolved),
        3 => (0usize..6).prop_map(Happens::Finished),
        1 => (1u16..4).prop_map(Happens::Moves),
        1 => Just(Happens::Down),
        2 => (0u32..20_000).prop_map(Happens::Time),
    ]
}

proptest! {
    /// Whatever happens in whatever order: it comes to rest, always has a next time while there is a line,
    /// says `Changed` whenever what it offers changed, and offers nothing of another prefix.
    #[test]
    fn any_history(history in prop::collection::vec(happens(), 0..60)) {
        let resolved = [
            records(SERVER), records("v=v6mig-1 url=http://b.example/ t=a"), records("x"),
            Err(Failure::NoSuchName { ttl: None }), Err(Failure::TimedOut), records(SERVER),
        ];
        let finished = [
            answer(200, DSLITE), answer(200, OTHER), answer(200, r#"{"order":[]}"#), answer(500, ""), timed_out(), answer(403, ""),
        ];
        let mut line = Line::new(Config::default());
        let (mut known, mut prefix) = (None, None);
        for what in history {
            let now = line.now;
            let absent = matches!(what, Happens::Resolved(3));
            match what {
                Happens::Resolved(i) => line.machine.handle_answer(now, &resolved[i]),
                Happens::Finished(i) => line.machine.handle_response(now, finished[i].clone()),
                Happens::Moves(n) => {
                    line.machine.start(now, place(n));
                    if prefix != Some(n) {
                        prop_assert_eq!(line.aftr(), None);
                    }
                    prefix = Some(n);
                }
                Happens::Down => line.machine.stop(now),
                Happens::Time(seconds) => line.now = now + Duration::from_secs(seconds.into()),
            }
            let before = line.changed;
            let mut steps = 0;
            while line.poll().is_some() {
                steps += 1;
                prop_assert!(steps < 3);
            }
            prop_assert!(line.aftr() == known || line.changed > before, "{known:?} {:?}", line.aftr());
            if absent && line.machine.state() == State::Absent {
                prop_assert_eq!(line.aftr(), None);
            }
            known = line.aftr();
            match line.machine.poll_timeout() {
                None => prop_assert_eq!(line.machine.state(), State::Idle),
                Some(next) => {
                    prop_assert!(next > line.now && next.since(line.now) <= Duration::from_secs(604_800));
                }
            }
        }
    }
}
