//! Every service's request, byte by byte, its answers, and the machine's patience.

use proptest::prelude::*;
use rand::SeedableRng;

use super::*;
use crate::http::Redirects;

const CE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 0xfeed);
const WAN: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0x200, 0xff, 0xfe00, 1);
const PLACE: Place = Place { ce: CE, wan: WAN, ipv4: Some(Ipv4Addr::new(203, 0, 113, 7)) };

fn config(dialect: Dialect) -> Config {
    Config {
        dialect,
        url: matches!(dialect, Dialect::Xpass).then(|| Secret::new("https://update.example/nic")),
        user: Secret::new("us er"),
        pass: Secret::new("p&ss=%+"),
        name: Secret::new("to/ken"),
        basic_auth: None,
        from: None,
        trust: Trust::Mozilla,
        repeat: REPEAT,
    }
}

fn template(url: &str) -> Config {
    Config { url: Some(Secret::new(url)), ..config(Dialect::Url) }
}

fn machine(config: Config) -> Notifier {
    Notifier::with_rng(config, StdRng::seed_from_u64(1)).unwrap()
}

fn request(notify: &mut Notifier, now: Time) -> Request {
    match notify.drive(now) {
        Some(Output::Request(request)) => *request,
        other => panic!("{other:?}"),
    }
}

/// The request of a service: URL, HTTP Basic, where from.
fn asked(config: Config) -> (String, Option<(String, String)>, Ipv6Addr) {
    let mut notify = machine(config);
    notify.start(Time(0), PLACE);
    let request = request(&mut notify, Time(0));
    assert_eq!(request.redirects, Redirects::Deliver);
    let basic = request.basic_auth.as_ref().map(|(u, p)| (u.expose().to_string(), p.expose().to_string()));
    (request.url.expose(), basic, request.from)
}

fn answer(status: u16, body: &str) -> Result<Response, HttpError> {
    Ok(Response { status, body: body.as_bytes().to_vec() })
}

/// What the machine makes of a result.
fn event(config: Config, result: Result<Response, HttpError>) -> Event {
    let mut notify = machine(config);
    notify.start(Time(0), PLACE);
    request(&mut notify, Time(0));
    notify.handle_response(Time(1), result);
    match notify.drive(Time(1)) {
        Some(Output::Event(event)) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn transix_request() {
    let url = "http://update.transix.jp/request?username=us%20er&password=p%26ss%3D%25%2B";
    assert_eq!(asked(config(Dialect::Transix)), (url.into(), None, CE));
}

#[test]
fn v6plus_request() {
    // This service says OK to wrong parameter names too: they must be these.
    let url = "http://fcs.enabler.ne.jp/update?user=us%20er&pass=p%26ss%3D%25%2B";
    assert_eq!(asked(config(Dialect::V6plus)), (url.into(), None, CE));
}

#[test]
fn ocn_request() {
    let url = "http://ipoe-static.ocn.ad.jp/nic/update?hostname=to%2Fken";
    let basic = Some(("us er".into(), "p&ss=%+".into()));
    assert_eq!(asked(config(Dialect::Ocn)), (url.into(), basic, WAN));
}

#[test]
fn xpass_request() {
    let url = "https://update.example/nic?d=to%2Fken&p=p%26ss%3D%25%2B&a=2001:db8:1:2::feed&u=us%20er";
    let basic = Some(("us er".to_string(), "p&ss=%+".to_string()));
    assert_eq!(asked(config(Dialect::Xpass)), (url.into(), basic, CE));
    let basic_auth = Some((Secret::new("other"), Secret::new("pair")));
    let own = asked(Config { basic_auth, ..config(Dialect::Xpass) });
    assert_eq!(own.1, Some(("other".into(), "pair".into())));
}

#[test]
fn template_request() {
    let url = "https://u.example/<user>/set?v4=<ipv4>&v6=<ipv6>&p=<pass>&p2=<pass>&x=y";
    let filled =
        "https://u.example/us%20er/set?v4=203.0.113.7&v6=2001:db8:1:2::feed&p=p%26ss%3D%25%2B&p2=p%26ss%3D%25%2B&x=y";
    assert_eq!(asked(template(url)), (filled.into(), None, CE));
    let wan = Config { from: Some(Source::Wan), ..template("https://u.example/") };
    assert_eq!(asked(wan), ("https://u.example/".into(), None, WAN));
}

#[test]
fn other_endpoints_for_tests_and_labs() {
    let url = Some(Secret::new("http://[2001:db8::80]:8080/lab"));
    let lab = asked(Config { url, ..config(Dialect::V6plus) }).0;
    assert_eq!(lab, "http://[2001:db8::80]:8080/lab?user=us%20er&pass=p%26ss%3D%25%2B");
    let url = Some(Secret::new("http://lab.example/?line=1"));
    let lab = asked(Config { url, ..config(Dialect::Ocn) }).0;
    assert_eq!(lab, "http://lab.example/?line=1&hostname=to%2Fken");
}

#[test]
fn what_each_answer_means() {
    use Dialect::*;
    // Dialect, status, body; accepted, or refused, or failed.
    let table = [
        (Transix, 200, "", 'a'),
        (Transix, 200, "OK\n", 'a'),
        (Transix, 200, "NG", 'r'),
        (Transix, 200, "NG\r\n", 'r'),
        (Transix, 204, "", 'r'),
        (Transix, 400, "", 'r'),
        (Transix, 401, "", 'r'),
        (Transix, 500, "", 'f'),
        (V6plus, 200, "OK", 'a'),
        (V6plus, 200, "OK: updated\n", 'a'),
        (V6plus, 200, "NG", 'r'),
        (V6plus, 200, "", 'r'),
        (V6plus, 200, "<html>OK", 'r'),
        (V6plus, 400, "OK", 'r'),
        (V6plus, 503, "OK", 'f'),
        (Ocn, 200, "good 203.0.113.7", 'a'),
        (Ocn, 200, "nochg\n", 'a'),
        (Ocn, 200, "nohost", 'r'),
        (Ocn, 200, "badauth", 'r'),
        (Ocn, 200, "goodness", 'r'),
        (Ocn, 200, "OK", 'r'),
        (Ocn, 200, "911", 'f'),
        (Ocn, 200, "dnserr", 'f'),
        (Ocn, 401, "", 'r'),
        (Ocn, 502, "good", 'f'),
        (Xpass, 200, "good", 'a'),
        (Xpass, 200, "nochg", 'a'),
        (Xpass, 200, "OK", 'a'),
        (Xpass, 200, "nohost", 'r'),
        (Xpass, 403, "", 'r'),
        (Url, 200, "", 'a'),
        (Url, 204, "NG", 'a'),
        (Url, 301, "", 'r'),
        (Url, 307, "", 'r'),
        (Url, 404, "", 'r'),
        (Url, 408, "", 'f'),
        (Url, 429, "", 'f'),
        (Url, 500, "", 'f'),
    ];
    for (dialect, status, body, expected) in table {
        let config = if dialect == Url { template("http://u.example/") } else { config(dialect) };
        let event = event(config, answer(status, body));
        let got = match &event {
            Event::Accepted { .. } => 'a',
            Event::Refused { .. } => 'r',
            Event::Failed { .. } => 'f',
        };
        assert_eq!(got, expected, "{dialect} {status} {body:?}: {event}");
    }
}

#[test]
fn a_refusal_says_what_to_check() {
    let text = event(config(Dialect::Ocn), answer(200, "nohost")).to_string();
    assert!(
        text.starts_with(
            "address notification refused: the server refuses (status 200, \"nohost\"); \
         check the token, user and password against the contract sheet; again in 5"
        ),
        "{text}"
    );
}

#[test]
fn transport_errors_are_failures() {
    let error = HttpError::TimedOut { host: "a.example".into(), timeout: Duration::from_secs(20) };
    let event = event(config(Dialect::Transix), Err(error.clone()));
    assert_eq!(event, Event::Failed { why: error.to_string(), retry: RETRY });
}

#[test]
fn it_is_said_at_the_start_at_every_change_and_now_and_then() {
    let mut notify = machine(config(Dialect::Transix));
    assert!(notify.drive(Time(0)).is_none());
    assert_eq!((notify.poll_timeout(), notify.status(Time(0)).state), (None, State::Idle));
    let mut now = Time(5_000_000_000);
    notify.start(now, PLACE);
    assert_eq!(notify.poll_timeout(), Some(now));
    request(&mut notify, now);
    assert!(notify.drive(now).is_none(), "one at a time");
    notify.handle_response(now, answer(200, ""));
    assert!(matches!(notify.drive(now), Some(Output::Event(Event::Accepted { again: false, .. }))));
    let due = notify.poll_timeout().unwrap();
    assert!((3240..=3600).contains(&due.since(now).as_secs()), "{due:?}");
    // Nothing has changed.
    notify.start(now, PLACE);
    assert_eq!(notify.poll_timeout(), Some(due));
    assert!(notify.drive(now).is_none());
    now = due;
    request(&mut notify, now);
    notify.handle_response(now, answer(200, ""));
    assert!(matches!(notify.drive(now), Some(Output::Event(Event::Accepted { again: true, .. }))));
    // Another prefix: at once, and from there.
    let moved = Place { ce: "2001:db8:9::feed".parse().unwrap(), ..PLACE };
    now = now + Duration::from_secs(60);
    notify.start(now, moved);
    assert_eq!(request(&mut notify, now).from, moved.ce);
}

#[test]
fn a_move_while_asking_is_told_as_soon_as_that_is_over() {
    let mut notify = machine(config(Dialect::Transix));
    notify.start(Time(0), PLACE);
    request(&mut notify, Time(0));
    let moved = Place { ce: WAN, ..PLACE };
    notify.start(Time(1), moved);
    assert!(notify.drive(Time(1)).is_none());
    notify.handle_response(Time(2), answer(200, ""));
    assert_eq!(request(&mut notify, Time(2)).from, WAN, "the answer was about another place");
    assert_eq!(notify.status(Time(2)).last_success, None);
    notify.stop();
    notify.handle_response(Time(3), answer(200, ""));
    assert!(notify.drive(Time(3)).is_none());
    assert_eq!((notify.poll_timeout(), notify.status(Time(3)).state), (None, State::Idle));
}

/// How long it waits after each of `results`, in seconds.
fn waits(results: impl IntoIterator<Item = Result<Response, HttpError>>) -> Vec<f64> {
    let mut notify = machine(config(Dialect::Transix));
    let mut now = Time(0);
    notify.start(now, PLACE);
    let mut waits = Vec::new();
    for result in results {
        request(&mut notify, now);
        notify.handle_response(now, result);
        while notify.drive(now).is_some() {}
        let next = notify.poll_timeout().unwrap();
        waits.push(next.since(now).as_secs_f64());
        now = next;
    }
    waits
}

#[test]
fn failures_back_off_to_an_hour() {
    let waits = waits((0..40).map(|_| answer(503, "")));
    assert_eq!(waits[..3], [10.0, 10.0, 10.0]);
    for (i, wait) in waits[3..].iter().enumerate() {
        let most = f64::min(20.0 * 2f64.powi(i as i32), 3600.0);
        assert!((0.8 * most..=most).contains(wait), "retry {i}: {wait}");
    }
    assert_ne!(waits[30], waits[31], "with jitter");
}

/// A new line may not be known yet where it is told (RFC 9110 15.5): an hour without a word would be an hour without IPv4.
#[test]
fn what_is_wrong_by_its_status_is_tried_again_soon_and_then_less_often() {
    let waits = waits([401, 403, 404, 400, 401, 401].map(|status| answer(status, "")));
    assert_eq!(waits[..3], [10.0, 10.0, 10.0]);
    assert!((16.0..=20.0).contains(&waits[3]) && (32.0..=40.0).contains(&waits[4]), "{waits:?}");
    for (status, about) in [
        (401, "(status 401); check user and password against the contract sheet; again in 10 s"),
        (403, "(status 403); check user and password against the contract sheet, and from: "),
        (404, "(status 404); check the url: there is nothing of the kind at it; "),
        (400, "(status 400); check user, password and interface identifier against the contract sheet; "),
    ] {
        let event = event(config(Dialect::Transix), answer(status, ""));
        assert!(matches!(event, Event::Refused { .. }) && event.to_string().contains(about), "{event}");
    }
}

#[test]
fn refusals_wait_long_and_a_success_ends_the_counting() {
    let waits = waits([answer(200, "NG"), answer(503, ""), answer(200, ""), answer(503, "")]);
    assert!((3240.0..=3600.0).contains(&waits[0]), "{waits:?}");
    assert_eq!(waits[1], 10.0);
    assert_eq!(waits[3], 10.0);
}

#[test]
fn configurations_that_cannot_work_are_refused_at_once() {
    use Dialect::*;
    let wrong = |config: Config| Notifier::new(config).unwrap_err();
    let none = Secret::default;
    assert_eq!(wrong(Config { user: none(), ..config(Transix) }), ConfigError::Missing(Transix, "user"));
    assert_eq!(wrong(Config { pass: none(), ..config(V6plus) }), ConfigError::Missing(V6plus, "password"));
    assert_eq!(wrong(Config { name: none(), ..config(Ocn) }), ConfigError::Missing(Ocn, "name (the token)"));
    assert_eq!(wrong(Config { pass: none(), ..config(Ocn) }), ConfigError::Missing(Ocn, "password"));
    assert_eq!(wrong(Config { url: None, ..config(Xpass) }), ConfigError::NoUrl(Xpass));
    assert_eq!(wrong(Config { url: None, ..config(Url) }), ConfigError::NoUrl(Url));
    for url in ["https://u.example/<ipv5>", "https://u.example/<user", "https://<user>.example/", "<user>://u.example/"]
    {
        assert_eq!(wrong(template(url)), ConfigError::Placeholder, "{url}");
    }
    assert_eq!(wrong(template("u.example/<user>")), ConfigError::Url(UrlError::Syntax));
    assert_eq!(wrong(template("http://a:b@u.example/")), ConfigError::Url(UrlError::UserInfo));
    assert_eq!(
        wrong(Config { user: none(), ..template("http://u.example/<user>") }),
        ConfigError::Missing(Url, "user")
    );
}

#[test]
fn a_template_waits_for_an_address_that_is_not_known() {
    let mut notify = machine(template("http://u.example/?a=<ipv4>"));
    notify.start(Time(0), Place { ipv4: None, ..PLACE });
    assert!(matches!(notify.drive(Time(0)), Some(Output::Event(Event::Refused { .. }))));
    assert!(notify.drive(Time(0)).is_none());
    notify.start(Time(1), PLACE);
    assert_eq!(request(&mut notify, Time(1)).url.expose(), "http://u.example/?a=203.0.113.7");
}

#[test]
fn status_in_words_and_in_json() {
    let mut notify = machine(config(Dialect::Transix));
    let at = |seconds: u64| Time(seconds * 1_000_000_000);
    assert_eq!(notify.status(at(0)).to_string(), "transix-fixed: waiting for an address");
    notify.start(at(0), PLACE);
    assert_eq!(notify.status(at(0)).to_string(), "transix-fixed: asking; next in 0 s");
    request(&mut notify, at(0));
    assert_eq!(notify.status(at(0)).to_string(), "transix-fixed: asking");
    notify.handle_response(at(0), answer(200, ""));
    while notify.drive(at(0)).is_some() {}
    let text = notify.status(at(600)).to_string();
    assert!(text.starts_with("transix-fixed: accepted 10 min ago; next in "), "{text}");
    let next = notify.poll_timeout().unwrap();
    while notify.drive(next).is_some() {}
    notify.handle_response(next, answer(503, ""));
    let text = notify.status(next).to_string();
    assert!(text.contains(": failing, last accepted 5"), "{text}");
    assert!(text.ends_with(" min ago: the server is in trouble (status 503); next in 10 s"), "{text}");
    let json = serde_json::to_value(notify.status(next)).unwrap();
    assert_eq!(
        (&json["service"], &json["state"], &json["next_attempt"]),
        (&"transix-fixed".into(), &"failing".into(), &10.into())
    );
}

proptest! {
    /// Whatever the credentials are and whatever a server repeats of them, nothing that is shown holds one.
    #[test]
    fn secrets_are_never_shown(
        secret in "[a-zA-Z0-9 &=%+/<>\"'\\\\]{6,20}",
        dialect in prop::sample::select(vec![Dialect::Transix, Dialect::V6plus, Dialect::Ocn, Dialect::Xpass, Dialect::Url]),
        status in 200..600u16,
        from in 0..20usize,
        len in 4..20usize,
    ) {
        let hidden = || Secret::new(secret.clone());
        let url = match dialect {
            Dialect::Url => Some(Secret::new(format!("https://u.example/{}?p=<pass>&u=<user>", template::encoded(&secret)))),
            Dialect::Xpass => Some(Secret::new("https://u.example/")),
            _ => None,
        };
        let config = Config { url, user: hidden(), pass: hidden(), name: hidden(), ..config(dialect) };
        let mut notify = machine(config.clone());
        notify.start(Time(0), PLACE);
        let request = request(&mut notify, Time(0));
        let mut shown = format!("{config:?} {notify:?} {request:?} {}", request.url);
        let part: String = secret.chars().skip(from).take(len).collect();
        notify.handle_response(Time(1), answer(status, &format!("{part} {secret}")));
        let status = notify.status(Time(1));
        shown += &format!("{status} {status:?} {} {notify:?}", serde_json::to_string(&status).unwrap());
        while let Some(Output::Event(event)) = notify.drive(Time(1)) {
            shown += &format!("{event} {event:?}");
        }
        prop_assert!(!shown.contains(&secret), "{shown}");
        prop_assert!(!shown.contains(&*template::encoded(&secret)), "{shown}");
        let known = ["status", "server", "refuses", "trouble", "user", "password", "contract", "address", "example"];
        if part.len() >= 5 && !known.iter().any(|k| k.contains(&*part.to_ascii_lowercase())) {
            prop_assert!(!shown.contains(&part), "{part}: {shown}");
        }
    }

    /// RFC 3986 2.1: what is encoded decodes to itself, and holds nothing that has a meaning in a query.
    #[test]
    fn credentials_survive_the_query(secret in "\\PC{0,40}") {
        let encoded = template::encoded(&secret);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
        prop_assert_eq!(percent_encoding::percent_decode_str(&encoded).decode_utf8().unwrap(), secret);
    }
}
