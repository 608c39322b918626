//! Border routers that move, die and come back.

use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::echo::EchoRequest;

const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const NAME: &str = "gw.transix.jp";

fn at(seconds: f64) -> Time {
    Time::default() + Duration::from_secs_f64(seconds)
}

fn br(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2404, 0x8e00, 0, 0, 0, 0, 0xfeed, n)
}

fn answer(ttl: u64, addresses: &[u16]) -> Result<Resolved, Failure> {
    Ok(Resolved { addresses: addresses.iter().map(|&n| br(n)).collect(), ttl: Duration::from_secs(ttl) })
}

fn name(text: &str) -> Option<Endpoint> {
    Some(Endpoint::Name(text.into()))
}

fn addresses(list: &[u16]) -> Option<Endpoint> {
    Some(Endpoint::Addresses(list.iter().map(|&n| br(n)).collect()))
}

const NO_SUCH_NAME: Failure = Failure::NoSuchName { ttl: None };

/// A router around the machine: it counts packets and keeps the log.
struct Bench {
    aftr: Selector,
    now: f64,
    sent: u64,
    received: u64,
    /// Which reply to echo requests while they are alive.
    echo: Vec<u16>,
    asked: Vec<String>,
    /// Names that were to be asked of the resolvers, not of what is kept.
    anew: usize,
    requests: Vec<EchoRequest>,
    log: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let aftr = Selector::new(Patience::default());
        let (echo, requests) = ((0..=400).collect(), Vec::new());
        Self { aftr, now: 0.0, sent: 0, received: 0, echo, asked: Vec::new(), anew: 0, requests, log: Vec::new() }
    }

    fn now(&self) -> Time {
        at(self.now)
    }

    fn drain(&mut self) {
        while let Some(output) = self.aftr.drive(at(self.now)) {
            match output {
                Output::Resolve { name, anew } => {
                    self.asked.push(name);
                    self.anew += usize::from(anew);
                }
                Output::Ask(request) => self.requests.push(request),
                Output::Moved { from, to, why } => {
                    assert_ne!(from, to);
                    assert_eq!(to, self.aftr.current());
                    self.log.push(format!("moved: {why}"));
                }
                Output::State(state) => self.log.push(state.to_string()),
            }
        }
        assert!(self.aftr.poll_timeout().is_none_or(|t| t > at(self.now)), "busy at {}", self.now);
    }

    /// The names asked since the last call.
    fn asked(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.asked)
    }

    fn log(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.log)
    }

    fn set(&mut self, source: Source, endpoint: Option<Endpoint>) {
        self.aftr.set(self.now(), source, endpoint);
        self.drain();
    }

    fn resolvers(&mut self) {
        self.aftr.resolvers_changed(self.now(), true);
        self.drain();
    }

    fn resolve(&mut self, result: Result<Resolved, Failure>) {
        self.aftr.handle_answer(self.now(), NAME, &result);
        self.drain();
    }

    /// Seconds of traffic, reported each second: `rate` packets out per second, answers from `alive` only.
    fn traffic(&mut self, seconds: u32, rate: u64, alive: &[u16]) -> Vec<Ipv6Addr> {
        let mut used = Vec::new();
        for _ in 0..seconds {
            self.now += 1.0;
            self.sent += rate;
            if self.aftr.current().is_some_and(|c| alive.iter().any(|&n| br(n) == c)) {
                self.received += rate;
            }
            self.aftr.traffic(at(self.now), self.sent, self.received);
            self.drain();
            self.reply(alive);
            used.extend(self.aftr.current());
        }
        used
    }

    /// Those that are alive and reply to echo requests do.
    fn reply(&mut self, alive: &[u16]) {
        for request in std::mem::take(&mut self.requests) {
            if self.echo.iter().any(|n| alive.contains(n) && br(*n) == request.to) {
                self.aftr.handle_input(at(self.now), &reply(&request, request.to));
                self.drain();
            }
        }
    }

    /// Whom echo requests went to in so many seconds of traffic that nobody answers in any way.
    fn requests(&mut self, seconds: u32) -> Vec<Ipv6Addr> {
        let echo = std::mem::take(&mut self.echo);
        let mut requests = Vec::new();
        for _ in 0..seconds {
            self.now += 1.0;
            self.sent += 10;
            self.aftr.traffic(at(self.now), self.sent, self.received);
            self.drain();
            requests.extend(std::mem::take(&mut self.requests).iter().map(|request| request.to));
        }
        self.echo = echo;
        requests
    }

    fn current(&self) -> Option<Ipv6Addr> {
        self.aftr.current()
    }
}

/// The reply to an echo request that reached us, from this address.
fn reply(request: &EchoRequest, from: Ipv6Addr) -> Vec<u8> {
    let mut packet = Vec::new();
    let ip = PacketBuilder::ipv6(from.octets(), OURS.octets(), 60);
    ip.icmpv6_echo_reply(request.identifier, request.sequence).write(&mut packet, &request.data).unwrap();
    packet
}

fn resolved(ttl: u64, list: &[u16]) -> Bench {
    let mut bench = Bench::new();
    bench.set(Source::ProfileName, name(NAME));
    bench.resolvers();
    assert_eq!(bench.asked(), [NAME]);
    bench.resolve(answer(ttl, list));
    bench.log();
    bench
}

#[test]
fn from_nothing_to_an_address() {
    let mut bench = Bench::new();
    bench.drain();
    assert_eq!((bench.aftr.state(), bench.aftr.poll_timeout()), (&State::Unconfigured, None));
    bench.set(Source::ProfileName, name(NAME));
    assert_eq!(bench.asked(), [""; 0]);
    bench.resolvers();
    assert_eq!(bench.asked(), [NAME]);
    bench.now = 1.0;
    bench.resolve(answer(300, &[0x100, 0x101]));
    assert_eq!(
        bench.log(),
        [
            "border router gw.transix.jp: waiting for the line's resolvers",
            "border router gw.transix.jp: asked for its address",
            "moved: the first one known",
            "border router 2404:8e00::feed:100 (gw.transix.jp, of the service)",
        ]
    );
    assert_eq!(bench.aftr.candidates().collect::<Vec<_>>(), [br(0x100), br(0x101)]);
    assert_eq!(bench.aftr.poll_timeout(), Some(at(301.0)));
    bench.now = 2.0;
    bench.set(Source::ProfileName, None);
    assert_eq!(
        bench.log(),
        ["moved: none is known any more", "no border router: neither configured nor given by the line",]
    );
}

/// japan-ipoe.md 1: user setting > option 64 > provisioning > profile's name > profile's address.
#[test]
fn sources_in_their_order() {
    let mut bench = Bench::new();
    bench.set(Source::ProfileAddresses, addresses(&[6]));
    assert_eq!(bench.current(), Some(br(6)));
    bench.set(Source::ProfileName, name("profile.jp"));
    bench.set(Source::Provisioning, Some("2404:8e00::feed:4".parse().unwrap()));
    assert_eq!(bench.current(), Some(br(4)));
    bench.resolvers();
    assert_eq!(bench.asked(), [""; 0], "names behind the source in use are not asked for");
    bench.set(Source::Dhcp, name(NAME));
    assert_eq!((bench.asked(), bench.current()), (vec![NAME.to_string()], Some(br(4))), "until it resolves");
    bench.resolve(answer(60, &[3]));
    assert_eq!(bench.current(), Some(br(3)));
    bench.set(Source::UserName, name("user.jp"));
    bench.aftr.handle_answer(bench.now(), "user.jp", &Err(NO_SUCH_NAME));
    bench.drain();
    assert_eq!(bench.current(), None, "the user's wish is not replaced by others'");
    bench.set(Source::UserAddresses, addresses(&[1, 2]));
    assert_eq!(bench.current(), Some(br(1)));
    bench.set(Source::UserAddresses, None);
    bench.set(Source::UserName, None);
    assert_eq!(bench.current(), Some(br(3)));
}

#[test]
fn a_name_that_does_not_resolve_gives_way_and_comes_back() {
    let mut bench = Bench::new();
    bench.set(Source::ProfileName, name(NAME));
    bench.set(Source::ProfileAddresses, addresses(&[6]));
    assert_eq!(bench.current(), None);
    bench.now = 30.0;
    bench.drain();
    assert_eq!(bench.current(), Some(br(6)), "no resolver for half a minute");
    bench.resolvers();
    assert_eq!((bench.asked().len(), bench.current()), (1, Some(br(6))));
    bench.resolve(Err(NO_SUCH_NAME));
    bench.log();
    assert_eq!(bench.aftr.poll_timeout(), Some(at(35.0)));
    bench.now = 35.0;
    assert_eq!(bench.asked().len(), 1);
    bench.resolve(answer(60, &[1, 6]));
    assert_eq!((bench.current(), bench.log().len()), (Some(br(6)), 1), "now a candidate of the name's");
    // The first try decides which, and says why.
    let mut bench = Bench::new();
    bench.set(Source::ProfileName, name(NAME));
    bench.set(Source::ProfileAddresses, addresses(&[6]));
    bench.resolvers();
    bench.resolve(Err(Failure::TimedOut));
    assert!(bench.log().contains(&"moved: gw.transix.jp cannot be used: no resolver answered in time".into()));
}

#[test]
fn nxdomain_then_it_appears() {
    let mut bench = Bench::new();
    bench.set(Source::UserName, name(NAME));
    bench.resolvers();
    let mut waits = Vec::new();
    for _ in 0..9 {
        assert_eq!(bench.asked(), [NAME]);
        bench.resolve(Err(NO_SUCH_NAME));
        let next = bench.aftr.poll_timeout().unwrap().0 as f64 / 1e9;
        waits.push(next - bench.now);
        bench.now = next;
    }
    assert_eq!(waits, [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]);
    assert_eq!(bench.asked(), [NAME]);
    bench.resolve(answer(60, &[1]));
    assert_eq!(
        bench.log(),
        [
            "border router gw.transix.jp: waiting for the line's resolvers",
            "border router gw.transix.jp: asked for its address",
            "border router gw.transix.jp: there is no such name (NXDOMAIN)",
            "moved: the first one known",
            "border router 2404:8e00::feed:1 (gw.transix.jp, from the configuration)",
        ]
    );
}

#[test]
fn asked_again_when_the_ttl_is_over_and_kept_if_still_there() {
    let mut bench = resolved(60, &[1, 2]);
    bench.now = 59.9;
    assert_eq!(bench.asked(), [""; 0]);
    bench.now = 60.0;
    assert_eq!(bench.asked(), [NAME]);
    // Rotated, and one more: no reason to move.
    bench.resolve(answer(60, &[2, 3, 1]));
    assert_eq!((bench.current(), bench.log()), (Some(br(1)), vec![]));
    // A resolver's bad hour, and even its mistake.
    for failure in [Failure::TimedOut, NO_SUCH_NAME] {
        bench.now += 300.0;
        assert_eq!(bench.asked(), [NAME]);
        bench.resolve(Err(failure));
        assert_eq!((bench.current(), bench.log()), (Some(br(1)), vec![]));
    }
    // A question that is never answered is asked again.
    bench.now += 300.0;
    assert_eq!(bench.asked(), [NAME]);
    bench.now += 90.0;
    assert_eq!(bench.asked(), [NAME]);
    // The operator moved it.
    bench.resolve(answer(60, &[7]));
    assert_eq!(bench.current(), Some(br(7)));
    assert_eq!(bench.log()[0], "moved: its name resolves to others now");
    // Nobody asked: no answer.
    bench.resolve(answer(60, &[8]));
    assert_eq!(bench.current(), Some(br(7)));
}

#[test]
fn ttl_zero_and_answers_that_rotate() {
    let mut bench = resolved(0, &[1]);
    let mut moves = Vec::new();
    for i in 2..=400u16 {
        let before = bench.current();
        bench.traffic(10, 5, &(0..=400).collect::<Vec<_>>());
        assert_eq!(bench.asked(), [NAME], "every ten seconds, not more");
        bench.resolve(answer(0, &[i]));
        if bench.current() != before {
            moves.push(bench.now);
        }
    }
    // 3990 seconds: one at once, then one in ten minutes.
    assert_eq!(moves.len(), 7, "{moves:?}");
}

#[test]
fn dead_with_a_second_address() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.traffic(60, 10, &[1, 2]);
    assert_eq!(bench.current(), Some(br(1)));
    let used = bench.traffic(15, 10, &[2]);
    assert_eq!(used.iter().position(|&a| a == br(2)), Some(7), "five seconds of silence, then three echo requests");
    assert_eq!(
        bench.log(),
        [
            "moved: 80 packets and 3 echo requests without an answer in 8 s; 2404:8e00::feed:2 answers",
            "border router 2404:8e00::feed:2 (gw.transix.jp, of the service)",
        ]
    );
    // The first is back: the second stays as long as it answers.
    assert!(bench.traffic(7200, 10, &[1, 2]).iter().all(|&a| a == br(2)));
    let used = bench.traffic(10, 10, &[1]);
    assert_eq!((used[0], used[9]), (br(2), br(1)));
}

/// A camera's datagrams that nobody answers, at any rate: the far end itself is asked, and says that it lives.
#[test]
fn one_way_traffic_moves_nobody() {
    for rate in [1, 20, 10_000] {
        let mut bench = resolved(86_400, &[1, 2]);
        bench.traffic(10, rate, &[1, 2]);
        for _ in 0..600 {
            bench.now += 1.0;
            bench.sent += rate;
            bench.aftr.traffic(bench.now(), bench.sent, bench.received);
            bench.drain();
            bench.reply(&[1, 2]);
            assert_eq!(bench.aftr.silent_since(), None);
        }
        assert_eq!((bench.current(), bench.log()), (Some(br(1)), vec![]));
    }
}

/// It carries, and its network lets no echo through: what another replies says nothing about it. It may be silent for a
/// minute.
#[test]
fn one_that_carries_and_never_replies_is_left_after_a_minute() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.echo = vec![2];
    bench.traffic(60, 10, &[1, 2]);
    let died = bench.now();
    let used = bench.traffic(70, 10, &[2]);
    assert_eq!(used.iter().position(|&a| a == br(2)), Some(59));
    assert!(bench.log()[0].ends_with("without an answer in 60 s; 2404:8e00::feed:2 answers"));
    assert_eq!(bench.aftr.silent_since(), None);
    bench.traffic(12, 10, &[]);
    assert!(bench.aftr.silent_since() > Some(died));
    bench.traffic(6, 0, &[]);
    assert_eq!(bench.aftr.silent_since(), None, "nobody sends anything");
}

/// The one in use alone at first, then all; every second, then every three.
#[test]
fn how_often_echoes_are_asked_for() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.traffic(10, 10, &[1, 2]);
    assert_eq!(bench.requests(4).len(), 0);
    let requests = bench.requests(10);
    let of = |n| requests.iter().filter(|&&to| to == br(n)).count();
    assert_eq!((requests[0], of(1), of(2)), (br(1), 10, 9));
    assert_eq!(bench.requests(300).iter().filter(|&&to| to == br(1)).count(), 100);
    // Nobody sends: nobody is asked.
    bench.traffic(10, 0, &[]);
    bench.requests.clear();
    bench.traffic(300, 0, &[]);
    assert!(bench.requests.is_empty());
}

/// RFC 4443 4.2: a reply repeats what was asked, and comes from who was asked.
#[test]
fn strangers_cannot_reply_for_it() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.traffic(10, 10, &[1, 2]);
    for _ in 0..30 {
        bench.now += 1.0;
        bench.sent += 10;
        bench.aftr.traffic(bench.now(), bench.sent, bench.received);
        bench.drain();
        for request in std::mem::take(&mut bench.requests) {
            let EchoRequest { to, identifier, sequence, data } = request;
            let mut forged = vec![
                reply(&EchoRequest { identifier: !identifier, ..request }, to),
                reply(&EchoRequest { sequence: sequence + 1, ..request }, to),
                reply(&EchoRequest { data: data.map(|byte| !byte), ..request }, to),
                reply(&request, br(7)),
                request.packet(to),
            ];
            let mut broken = reply(&request, to);
            broken[42] ^= 1;
            forged.push(broken);
            forged.iter().for_each(|packet| bench.aftr.handle_input(at(bench.now), packet));
            bench.drain();
        }
    }
    assert!(bench.aftr.silent_since().is_some(), "nothing of this was a reply");
}

#[test]
fn all_dead_are_tried_in_turn_and_asked_for_anew() {
    for echo in [vec![1, 2, 3, 6], vec![]] {
        let mut bench = resolved(86_400, &[1, 2]);
        bench.echo = echo;
        bench.traffic(10, 10, &[1, 2]);
        bench.log();
        assert!(bench.traffic(59, 10, &[]).iter().all(|&a| a == br(1)), "for a minute");
        let used = bench.traffic(3541, 10, &[]);
        let moves: Vec<_> = (1..used.len()).filter(|&i| used[i] != used[i - 1]).collect();
        let pauses: Vec<_> = moves.windows(2).map(|w| w[1] - w[0]).collect();
        assert_eq!(pauses[..8], [3, 4, 3, 5, 3, 5, 3, 5], "a pause after each round");
        assert!(pauses.iter().all(|&pause| pause <= 5));
        let log = bench.log();
        let log: Vec<_> = log.iter().filter(|l| !l.starts_with("moved: none answers")).map(String::as_str).collect();
        assert_eq!(log.len(), 2, "{log:?}");
        assert!(log.contains(&"none of the 2 border routers answers, and each is tried in turn"));
        // Asked about every half minute, nobody answers the questions either: every 90 s.
        let asked = bench.asked().len();
        assert!((30..=60).contains(&asked), "{asked}");
        assert_eq!(bench.anew, asked, "of the resolvers");
        // A fresh answer with a third one helps at once.
        bench.resolve(answer(300, &[1, 2, 3]));
        assert_eq!(bench.current(), Some(br(3)));
        bench.traffic(1, 10, &[3]);
        assert!(matches!(bench.aftr.state(), State::Using { .. }));
        // All dead and no such name: the next source has its turn.
        bench.set(Source::ProfileAddresses, addresses(&[6]));
        bench.traffic(200, 10, &[]);
        bench.resolve(Err(NO_SUCH_NAME));
        assert_eq!(bench.current(), Some(br(6)));
    }
}

/// The access network was down for a while, and then one of them is back: it is used within ten seconds, however long
/// it took, whether it replies to echo requests or not.
#[test]
fn all_dead_and_any_one_back() {
    for (echo, all) in
        [(vec![], vec![1, 2]), (vec![1, 2, 3], vec![1, 2]), (vec![], vec![1, 2, 3]), (vec![1, 2, 3], vec![1, 2, 3])]
    {
        // One that never replies to echo requests is left after a minute, the first time.
        let short: &[u32] = if echo.is_empty() { &[] } else { &[4, 7, 11, 20, 35, 50] };
        for outage in short.iter().copied().chain(60..70).chain([600, 1800, 3600, 7200, 20_000]) {
            for &back in &all {
                let mut bench = resolved(86_400, &all);
                bench.echo.clone_from(&echo);
                bench.traffic(300, 50, &all);
                bench.traffic(outage, 50, &[]);
                let used = bench.traffic(10, 50, &[back]);
                assert_eq!(used.last(), Some(&br(back)), "after {outage} s");
            }
        }
    }
}

/// A name's answer that lacks one that works is followed to one that replies; to one that never does once, and back.
#[test]
fn one_that_works_is_not_left_for_a_dead_one() {
    let mut bench = resolved(60, &[1]);
    bench.traffic(60, 10, &[1]);
    bench.resolve(answer(60, &[7, 8]));
    assert_eq!(bench.current(), Some(br(1)));
    bench.traffic(2, 10, &[1, 8]);
    assert_eq!(bench.current(), Some(br(8)), "it replied");
    for echo in [vec![1], vec![]] {
        let mut bench = resolved(60, &[1]);
        bench.echo = echo;
        bench.traffic(60, 10, &[1]);
        let mut used = Vec::new();
        for _ in 0..100 {
            bench.resolve(answer(60, &[7]));
            used.extend(bench.traffic(60, 10, &[1]));
        }
        assert!((1..=5).contains(&used.iter().filter(|&&a| a == br(7)).count()), "tried for a few seconds");
        assert_eq!(bench.current(), Some(br(1)));
        // It works, as it turns out: another name's answer is no reason to try the old one again.
        bench.resolve(answer(60, &[9]));
        bench.traffic(60, 10, &[1, 9]);
        assert_eq!(bench.current(), Some(br(9)));
    }
}

/// Whatever a name resolves to, it is not us.
#[test]
fn our_own_address_is_nobodys_border_router() {
    let mut bench = Bench::new();
    bench.aftr.set_own(bench.now(), &[br(1)]);
    bench.set(Source::UserName, name(NAME));
    bench.resolvers();
    bench.resolve(answer(60, &[1]));
    assert_eq!(bench.current(), None);
    assert_eq!(
        bench.log().last().unwrap(),
        "border router 2404:8e00::feed:1: not used, for it is an address of our own"
    );
    bench.now = 60.0;
    assert_eq!(bench.asked(), [NAME, NAME]);
    bench.resolve(answer(60, &[1, 2]));
    assert_eq!(bench.current(), Some(br(2)));
    // It becomes ours later.
    bench.aftr.set_own(bench.now(), &[br(1), br(2)]);
    bench.drain();
    assert_eq!(bench.current(), None);
    // Of another source the next has its turn.
    let mut bench = resolved(60, &[1]);
    bench.set(Source::ProfileAddresses, addresses(&[6]));
    bench.aftr.set_own(bench.now(), &[br(1)]);
    bench.drain();
    assert_eq!(bench.current(), Some(br(6)));
}

#[test]
fn alone_and_dead_and_back() {
    let mut bench = Bench::new();
    bench.set(Source::UserAddresses, addresses(&[1]));
    bench.log();
    let used = bench.traffic(600, 10, &[]);
    assert!(used.iter().all(|&a| a == br(1)));
    assert_eq!(bench.log(), ["border router 2404:8e00::feed:1 does not answer, and there is no other"]);
    bench.traffic(600, 10, &[1]);
    assert_eq!(bench.log(), ["border router 2404:8e00::feed:1 (from the configuration)"]);
}

#[test]
fn little_traffic_and_none_say_nothing() {
    let mut bench = resolved(86_400, &[1, 2]);
    assert!(bench.traffic(300, 0, &[]).iter().all(|&a| a == br(1)));
    // A question now and then that goes unanswered, all ten seconds.
    for _ in 0..60 {
        bench.traffic(1, 2, &[]);
        assert!(bench.traffic(9, 0, &[]).iter().all(|&a| a == br(1)));
    }
    // Less than one answer a second is answer enough.
    for _ in 0..60 {
        bench.traffic(4, 1000, &[]);
        assert!(bench.traffic(1, 1000, &[1]).iter().all(|&a| a == br(1)));
    }
    // Counters that start anew are no silence and no answer.
    bench.sent = 0;
    bench.received = 0;
    assert!(bench.traffic(4, 1000, &[]).iter().all(|&a| a == br(1)));
    assert_eq!(bench.log(), [""; 0]);
}

/// RFC 4443 3.1; RFC 5927: an error alone, or beside answers, is not believed.
#[test]
fn icmp_says_unreachable() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.traffic(10, 10, &[1, 2]);
    for _ in 0..100 {
        bench.aftr.unreachable(bench.now(), br(1));
    }
    assert_eq!(bench.current(), Some(br(1)), "it answers");
    bench.now += 3.0;
    bench.aftr.unreachable(bench.now(), br(2));
    bench.aftr.unreachable(bench.now(), br(1));
    bench.aftr.unreachable(bench.now(), br(1));
    bench.now += 10.0;
    bench.aftr.unreachable(bench.now(), br(1));
    assert_eq!(bench.current(), Some(br(1)), "two and one in another window");
    bench.aftr.unreachable(bench.now(), br(1));
    bench.aftr.unreachable(bench.now(), br(1));
    assert_eq!(bench.current(), Some(br(2)));
    assert_eq!(bench.log()[0], "moved: ICMPv6: it cannot be reached");
}

#[test]
fn another_prefix_and_other_resolvers() {
    let mut bench = resolved(86_400, &[1, 2]);
    bench.traffic(20, 10, &[]);
    assert!(matches!(bench.aftr.state(), State::Failing { .. }));
    let failed = bench.current();
    bench.asked();
    bench.aftr.prefix_changed(bench.now());
    assert_eq!((bench.asked(), bench.current()), (vec![NAME.to_string()], failed));
    assert!(matches!(bench.aftr.state(), State::Using { .. }), "from the new prefix it may answer");
    // The answer is as before: both may be tried again.
    bench.resolve(answer(86_400, &[1, 2]));
    let used = bench.traffic(20, 10, &[1]);
    assert_eq!(used.last(), Some(&br(1)));
    // Resolvers of another line, where the name is unknown: what the old ones said is not true here.
    bench.resolvers();
    assert_eq!((bench.asked(), bench.current()), (vec![NAME.to_string()], Some(br(1))));
    bench.resolve(Err(Failure::TimedOut));
    assert_eq!(bench.current(), Some(br(1)));
    bench.now += 5.0;
    bench.asked();
    bench.resolve(Err(NO_SUCH_NAME));
    assert_eq!(bench.current(), None);
    assert!(matches!(bench.aftr.state(), State::Unresolved { .. }));
    // No resolvers: nobody is asked.
    bench.aftr.resolvers_changed(bench.now(), false);
    bench.now += 1000.0;
    assert_eq!(bench.asked(), [""; 0]);
    assert!(matches!(bench.aftr.state(), State::AwaitingResolvers { .. }));
}

#[test]
fn addresses_that_can_be_nobodys() {
    let mut bench = resolved(60, &[1]);
    bench.now = 60.0;
    bench.asked();
    let senseless = ["::", "::1", "ff02::1", "fe80::1", "::ffff:192.0.2.1"].map(|a| a.parse().unwrap()).to_vec();
    bench.resolve(Ok(Resolved { addresses: senseless, ttl: Duration::from_secs(60) }));
    assert_eq!((bench.current(), bench.log()), (Some(br(1)), vec![]));
    bench.now = 65.0;
    bench.asked();
    let many: Vec<u16> = (1..100).chain(1..100).collect();
    bench.resolve(answer(60, &many));
    assert_eq!(bench.aftr.candidates().count(), MAX_ADDRESSES);
}

proptest! {
    /// Whatever happens: the one in use was named by somebody; moves and states are told, each once; with one
    /// that answers steadily it is found within ten seconds of each suspicion, and then not left.
    #[test]
    fn any_history(
        steps in prop::collection::vec((0u8..9, 0u16..4, 1u32..200), 1..60),
        alive in 0u16..4,
    ) {
        let mut bench = Bench::new();
        let mut told = None;
        for (what, n, seconds) in steps {
            match what {
                0 => bench.set(Source::ProfileName, name(NAME)),
                1 => bench.set(Source::Dhcp, addresses(&[n])),
                2 => bench.set(Source::Dhcp, None),
                3 => bench.resolve(answer(seconds.into(), &[n, (n + 1) % 4])),
                4 => bench.resolve(Err(if n == 0 { NO_SUCH_NAME } else { Failure::TimedOut })),
                5 => bench.aftr.resolvers_changed(bench.now(), n > 0),
                6 => bench.aftr.prefix_changed(bench.now()),
                7 => (0..4).for_each(|_| bench.aftr.unreachable(at(bench.now), br(n))),
                _ => drop(bench.traffic(seconds, u64::from(n) * 10, &[alive])),
            }
            bench.drain();
            for line in bench.log() {
                if !line.starts_with("moved") {
                    prop_assert_ne!(Some(&line), told.as_ref());
                    told = Some(line);
                }
            }
            prop_assert_eq!(told.clone().unwrap_or(State::Unconfigured.to_string()), bench.aftr.state().to_string());
            let is_used = matches!(bench.aftr.state(), State::Using { .. } | State::Failing { .. });
            prop_assert_eq!(bench.current().is_some(), is_used);
        }
        bench.set(Source::UserAddresses, addresses(&[0, 1, 2, 3]));
        let used = bench.traffic(300, 10, &[alive]);
        let found = used.iter().position(|&a| a == br(alive));
        prop_assert!(found.is_some_and(|i| i < 10 && used[i..].iter().all(|&a| a == br(alive))), "{found:?}");
    }

    /// However traffic comes and goes, one that replies to echo requests is never left for silence, whatever others do.
    #[test]
    fn one_that_replies_is_never_left(
        seconds in prop::collection::vec((0u64..30, any::<bool>(), prop::sample::subsequence(vec![2, 3], 0..=2)), 1..600),
    ) {
        let mut bench = resolved(86_400, &[1, 2, 3]);
        for (rate, answers, others) in seconds {
            bench.now += 1.0;
            bench.sent += rate;
            bench.received += if answers { rate } else { 0 };
            bench.aftr.traffic(bench.now(), bench.sent, bench.received);
            bench.drain();
            bench.reply(&[&others[..], &[1]].concat());
            prop_assert_eq!(bench.current(), Some(br(1)));
            prop_assert_eq!(bench.aftr.silent_since(), None);
        }
    }
}
