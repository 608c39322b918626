//! What hosts are told, when, and what of it they are told again.

use hikyaku_net::checksum::Sum;

use super::*;
use crate::slaac::{Advertisement, InterfaceId, Lifetime, PrefixOption, Slaac};

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
const HOST: Mac = Mac([2, 0, 0, 0, 0, 9]);
const WALL: u64 = 1_700_000_000;

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn at(seconds: u64) -> Time {
    Time(1_000_000_000_000) + Duration::from_secs(seconds)
}

fn prefix(text: &str, preferred: u64, valid: u64) -> Prefix {
    Prefix { prefix: text.parse().unwrap(), preferred: Some(preferred), valid: Some(valid) }
}

/// A line of the Internet, with these prefixes.
fn line(prefixes: &[Prefix]) -> Option<Advertised> {
    Some(Advertised {
        prefixes: prefixes.to_vec(),
        resolvers: vec![ip("2001:db8::53")],
        domains: vec!["home.example".into()],
        ..nothing()
    })
}

/// A way and nothing else.
fn nothing() -> Advertised {
    Advertised {
        is_default_router: true,
        preference: Preference::Medium,
        is_managed: false,
        has_information: false,
        mtu: 1500,
        is_autonomous: true,
        prefixes: vec![],
        routes: vec![],
        resolvers: vec![],
        domains: vec![],
    }
}

fn usual() -> Option<Advertised> {
    line(&[prefix("2001:db8:0:1::/64", 14400, 43200)])
}

/// What was sent in some time, each with when and to whom.
#[derive(Debug)]
struct Sent {
    at: Time,
    to: Ipv6Addr,
    said: Advertisement,
}

impl Sent {
    fn prefix(&self, text: &str) -> Option<(u32, u32)> {
        let seconds = |lifetime| match lifetime {
            Lifetime::Seconds(seconds) => seconds,
            Lifetime::Forever => panic!("for ever"),
        };
        let prefix: Prefix6 = text.parse().unwrap();
        let option = self.said.prefixes.iter().find(|option| option.prefix == prefix.address())?;
        assert!(option.on_link && option.autonomous && option.length == 64, "{option:?}");
        Some((seconds(option.preferred), seconds(option.valid)))
    }
}

/// A machine with a clock.
struct Lan {
    machine: Advertiser,
    now: Time,
    saves: usize,
    heard: Vec<(Ipv6Addr, Mac)>,
}

impl Lan {
    fn new() -> Self {
        let mut machine = Advertiser::new(US);
        machine.set_source(at(0), Some(ip("fe80::1")));
        Self { machine, now: at(0), saves: 0, heard: Vec::new() }
    }

    /// Of a router that was told the usual things at the start.
    fn usual() -> Self {
        let mut lan = Self::new();
        lan.machine.set(at(0), usual());
        lan
    }

    fn set(&mut self, advertised: Option<Advertised>) {
        self.machine.set(self.now, advertised);
    }

    /// Lets time pass until then, and says what was sent.
    fn until(&mut self, seconds: u64) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            for output in std::iter::from_fn(|| self.machine.drive(self.now)) {
                match output {
                    Output::Send(packet) => sent.push(Sent {
                        at: self.now,
                        to: <[u8; 16]>::try_from(&packet[24..40]).unwrap().into(),
                        said: Advertisement::parse(&packet).unwrap(),
                    }),
                    Output::Save => self.saves += 1,
                    Output::Heard(host, mac) => self.heard.push((host, mac)),
                    Output::Event(_) => {}
                }
            }
            match self.machine.poll_timeout().filter(|&due| due <= at(seconds)) {
                Some(due) => self.now = due.max(self.now),
                None => break,
            }
        }
        self.now = at(seconds);
        sent
    }

    /// What is sent at this moment.
    fn now(&mut self) -> Vec<Sent> {
        self.until(self.now.since(at(0)).as_secs())
    }

    fn solicit(&mut self, source: &str, options: &[u8]) {
        self.machine.handle_input(self.now, HOST, &solicitation(source, options));
    }

    fn restarted(&mut self) -> Self {
        let wall = WALL + self.now.since(at(0)).as_secs();
        let saved = self.machine.saved(self.now, wall).expect("something to remember");
        let text = serde_json::to_string(&saved).unwrap();
        assert_eq!(serde_json::from_str::<Saved>(&text).unwrap(), saved);
        let mut lan = Self { now: self.now, ..Self::new() };
        lan.machine.restore(self.now, wall, &saved);
        lan
    }
}

/// A router solicitation with a right checksum.
fn solicitation(source: &str, options: &[u8]) -> Vec<u8> {
    let (source, all_routers) = (ip(source).octets(), ip("ff02::2").octets());
    let length = 8 + options.len() as u16;
    let sum = Sum::new().bytes(&source).bytes(&all_routers).number(length).number(58);
    let [s0, s1] = sum.bytes(&[133, 0, 0, 0]).bytes(options).checksum().0;
    let head = [0x60, 0, 0, 0, (length >> 8) as u8, length as u8, 58, 255];
    [&head[..], &source, &all_routers, &[133, 0, s0, s1, 0, 0, 0, 0], options].concat()
}

const STATION: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 9];

#[test]
fn rfc4861_4_2_rfc8106_5_an_advertisement_byte_for_byte() {
    let mut machine = Advertiser::new(US);
    machine.set(at(0), usual());
    machine.set_source(at(0), Some(ip("fe80::1")));
    let sent = std::iter::from_fn(|| machine.drive(at(0)))
        .find_map(|output| if let Output::Send(packet) = output { Some(packet) } else { None })
        .unwrap();
    #[rustfmt::skip]
    let expected = [
        0x60, 0, 0, 0, 0, 112, 58, 255,
        0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        134, 0, sent[42], sent[43], 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0,
        1, 1, 2, 0, 0, 0, 0, 1,
        5, 1, 0, 0, 0, 0, 0x05, 0xdc,
        3, 4, 64, 0xc0, 0, 0, 0x15, 0x18, 0, 0, 0x0a, 0x8c, 0, 0, 0, 0,
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
        25, 3, 0, 0, 0, 0, 0x07, 0x08, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53,
        31, 3, 0, 0, 0, 0, 0x07, 0x08, 4, b'h', b'o', b'm', b'e', 7, b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0, 0, 0,
    ];
    assert_eq!(sent[..42], expected[..42]);
    assert_eq!(sent[44..], expected[44..]);
}

#[test]
fn rfc4861_6_2_4_three_soon_and_then_at_random_intervals() {
    let mut lan = Lan::usual();
    let sent = lan.until(4000);
    let intervals: Vec<_> = sent.windows(2).map(|pair| pair[1].at.since(pair[0].at).as_secs()).collect();
    assert_eq!((sent[0].at, &intervals[..2]), (at(0), &[16, 16][..]));
    assert!(intervals[2..].iter().all(|interval| (200..=600).contains(interval)), "{intervals:?}");
    assert!(intervals[2..].windows(2).any(|pair| pair[0] != pair[1]), "{intervals:?}");
    assert!(sent.iter().all(|sent| sent.to == ip("ff02::1")));
}

#[test]
fn rfc4861_6_2_1_lifetimes_are_constant_while_the_lease_is_longer() {
    let mut lan = Lan::new();
    for minute in 0..60 {
        lan.set(line(&[prefix("2001:db8:0:1::/64", 14400 - 60 * minute, 43200 - 60 * minute)]));
        for sent in lan.until(60 * minute + 59) {
            assert_eq!(sent.prefix("2001:db8:0:1::/64"), Some((2700, 5400)));
            assert_eq!((sent.said.lifetime, sent.said.mtu), (1800, Some(1500)));
            assert_eq!(sent.said.resolvers, [(ip("2001:db8::53"), Lifetime::Seconds(1800))]);
            assert_eq!(sent.said.domains, [("home.example.".into(), Lifetime::Seconds(1800))]);
            assert!(!sent.said.managed && !sent.said.other);
        }
    }
    assert!(lan.machine.counts.advertised < 20, "what is only renewed is no news: {:?}", lan.machine.counts);
}

/// RFC 9096 3.3: never past the end of the lease; and never preferred for longer than valid.
#[test]
fn rfc9096_3_3_lifetimes_end_with_the_lease() {
    let mut lan = Lan::new();
    lan.set(line(&[prefix("2001:db8:0:1::/64", 1000, 1200)]));
    let sent = lan.until(1100);
    assert_eq!(sent[0].prefix("2001:db8:0:1::/64"), Some((1000, 1200)));
    assert_eq!(sent[1].prefix("2001:db8:0:1::/64"), Some((984, 1184)));
    for sent in &sent {
        let passed = sent.at.since(at(0)).as_secs() as u32;
        let (preferred, valid) = sent.prefix("2001:db8:0:1::/64").unwrap();
        assert!(preferred <= 1000u32.saturating_sub(passed) && valid <= 1200 - passed && preferred <= valid);
    }
    // A server that says more preferred than valid.
    lan.set(line(&[prefix("2001:db8:0:1::/64", 900, 100)]));
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((100, 100)));
}

#[test]
fn rfc9096_3_3_a_lease_that_was_cut_is_news_and_one_that_grows_is_not() {
    let mut lan = Lan::usual();
    lan.until(100);
    lan.set(line(&[prefix("2001:db8:0:1::/64", 300, 600)]));
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((300, 600)));
    lan.until(150);
    // Said once: hosts that slept have it for longer, and hear of it when they wake up.
    lan.set(line(&[prefix("2001:db8:0:1::/64", 250, 550)]));
    assert!(lan.now().is_empty());
    lan.set(line(&[prefix("2001:db8:0:1::/64", 7200, 14400)]));
    assert!(lan.now().is_empty());
}

/// RFC 9096 3.5, and what hosts make of it: as before but deprecated, beside the new one, until nobody has it.
#[test]
fn rfc9096_3_5_an_old_prefix_is_deprecated_beside_the_new_one() {
    let mut lan = Lan::usual();
    lan.until(100);
    lan.set(line(&[prefix("2001:db8:0:2::/64", 14400, 43200)]));
    let sent = lan.now();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].prefix("2001:db8:0:2::/64"), Some((2700, 5400)));
    // Valid for what hosts have of it since the last advertisement, at 32 s.
    assert_eq!(sent[0].prefix("2001:db8:0:1::/64"), Some((0, 5400 - 68)));
    let last = 32 + 5400;
    for sent in lan.until(last + 1000) {
        let passed = sent.at.since(at(0)).as_secs_f64();
        match sent.prefix("2001:db8:0:1::/64") {
            Some((0, valid)) => {
                assert!((f64::from(valid) - (last as f64 - passed)).abs() <= 1.0, "{valid} at {passed}")
            }
            None => assert!(passed > last as f64 - 1.0),
            preferred => panic!("{preferred:?}"),
        }
        assert_eq!(sent.prefix("2001:db8:0:2::/64"), Some((2700, 5400)));
    }
    assert_eq!(lan.machine.prefixes(lan.now).len(), 1);
    assert_eq!(lan.saves, 3, "the one, the other, and that nobody has the first any more");
}

#[test]
fn a_prefix_that_comes_back_is_preferred_again() {
    let mut lan = Lan::usual();
    lan.until(100);
    lan.set(line(&[]));
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((0, 5332)));
    lan.until(110);
    lan.set(usual());
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((2700, 5400)));
    // And deprecated by the server, which does not take it back yet.
    lan.until(200);
    lan.set(line(&[prefix("2001:db8:0:1::/64", 0, 1000)]));
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((0, 1000)));
    lan.until(300);
    lan.set(usual());
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((2700, 5400)));
}

#[test]
fn rfc8106_5_1_an_old_resolver_is_taken_back_beside_the_new_one() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut other = usual().unwrap();
    (other.resolvers, other.domains) = (vec![ip("2001:db8::35")], vec!["lan.example".into()]);
    lan.set(Some(other));
    let sent = lan.until(32 + 1800 - 1);
    let resolvers = [(ip("2001:db8::35"), Lifetime::Seconds(1800)), (ip("2001:db8::53"), Lifetime::Seconds(0))];
    let domains = [("lan.example.", Lifetime::Seconds(1800)), ("home.example.", Lifetime::Seconds(0))];
    for sent in sent {
        assert_eq!(sent.said.resolvers, resolvers);
        assert_eq!(sent.said.domains, domains.map(|(name, lifetime)| (name.to_string(), lifetime)));
    }
    let sent = lan.until(3000);
    assert!(!sent.is_empty() && sent.iter().all(|sent| sent.said.resolvers == resolvers[..1]), "{sent:?}");
}

#[test]
fn rfc7084_l_3_g_5_a_line_without_a_way_is_no_default_router() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut cut = usual().unwrap();
    cut.is_default_router = false;
    lan.set(Some(cut));
    let sent = lan.now();
    assert_eq!((sent[0].said.lifetime, sent[0].prefix("2001:db8:0:1::/64")), (0, Some((2700, 5400))));
    assert_eq!(sent[0].said.resolvers.len(), 1, "who is reached all the same is named");
    lan.until(110);
    lan.set(usual());
    assert_eq!(lan.now()[0].said.lifetime, 1800);
}

#[test]
fn rfc4861_6_2_6_who_solicits_is_answered_at_once_alone_and_with_everything() {
    let mut lan = Lan::usual();
    lan.until(1000);
    lan.solicit("fe80::9", &STATION);
    lan.solicit("fe80::9", &STATION);
    let sent = lan.until(1001);
    assert_eq!(sent.len(), 1, "one for both");
    assert!(sent[0].to == ip("fe80::9") && sent[0].at.since(at(1000)) <= Duration::from_millis(50));
    assert_eq!(sent[0].prefix("2001:db8:0:1::/64"), Some((2700, 5400)));
    assert_eq!((sent[0].said.resolvers.len(), sent[0].said.mtu), (1, Some(1500)));
    assert_eq!(lan.heard[0], (ip("fe80::9"), HOST));
    // Without the option, as from NetworkManager: whoever sends the answer looks for it.
    lan.heard.clear();
    lan.solicit("fe80::a", &[]);
    assert_eq!((lan.until(1002).len(), lan.heard.len()), (1, 0));
}

#[test]
fn rfc4861_6_2_6_to_all_at_most_every_three_seconds() {
    let mut lan = Lan::usual();
    let mut sent = lan.until(1000);
    let before = sent.len();
    for second in 1000..1030 {
        lan.solicit("::", &[]);
        sent.extend(lan.until(second + 1));
    }
    assert!((9..=11).contains(&(sent.len() - before)), "{} in 30 seconds", sent.len() - before);
    // What is new waits as long.
    lan.set(line(&[prefix("2001:db8:0:2::/64", 14400, 43200)]));
    sent.extend(lan.until(1034));
    assert!(sent.last().is_some_and(|last| last.prefix("2001:db8:0:2::/64").is_some()));
    assert!(sent.iter().all(|sent| sent.to == ip("ff02::1")));
    assert!(sent.windows(2).all(|pair| pair[1].at.since(pair[0].at) >= Duration::from_secs(3)));
}

#[test]
fn rfc4861_6_1_1_what_is_no_solicitation_is_refused_by_name() {
    let sound = solicitation("fe80::9", &STATION);
    let with = |at: usize, byte: u8| {
        let mut packet = sound.clone();
        packet[at] = byte;
        packet
    };
    let rows = [
        (with(7, 254), Refusal::HopLimit(254)),
        (with(42, sound[42] ^ 1), Refusal::Checksum),
        (with(8, 0xff), Refusal::Source(ip("ff80::9"))),
        (with(40, 134), Refusal::NotSolicitation),
        (with(6, 17), Refusal::NotSolicitation),
        (sound[..50].to_vec(), Refusal::NotIpv6),
        (solicitation("::", &STATION), Refusal::Anonymous),
        (solicitation("fe80::9", &[1, 0, 0, 0, 0, 0, 0, 0]), Refusal::Option(8)),
        (solicitation("fe80::9", &[1, 2, 0, 0, 0, 0, 0, 0]), Refusal::Option(8)),
        (solicitation("fe80::9", &[1]), Refusal::Option(8)),
    ];
    let mut lan = Lan::usual();
    lan.until(1000);
    for (packet, refusal) in rows {
        lan.machine.handle_input(lan.now, HOST, &packet);
        assert_eq!(lan.machine.last_refusal, Some(refusal));
        assert!(lan.now().is_empty() && lan.heard.is_empty());
    }
    let mut code = sound.clone();
    (code[41], code[43]) = (1, code[43].wrapping_sub(1));
    lan.machine.handle_input(lan.now, HOST, &code);
    assert_eq!(lan.machine.last_refusal, Some(Refusal::Code(1)));
    assert_eq!(lan.machine.counts.refused, 11);
    // A group's address is no station's: it is passed over.
    lan.solicit("fe80::9", &[1, 1, 0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!((lan.until(1001).len(), lan.heard.len()), (1, 0));
}

#[test]
fn a_station_that_solicits_all_the_time_is_not_answered_all_the_time() {
    let mut lan = Lan::usual();
    lan.until(1000);
    let before = lan.machine.counts.answered;
    for host in 0..500 {
        lan.solicit(&format!("fe80::1:{host:x}"), &STATION);
    }
    lan.until(1001);
    let counts = lan.machine.counts;
    assert!(counts.answered - before <= 32 && counts.limited >= 400, "{counts:?}");
}

/// A restart must not tear: nothing is said before the prefix is known again, and it is the same.
#[test]
fn rfc9096_3_5_a_restart_with_the_same_prefix_is_nothing_to_hosts() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut lan = lan.restarted();
    lan.set(line(&[]));
    lan.solicit("fe80::9", &STATION);
    assert!(lan.until(110).is_empty());
    lan.set(usual());
    let sent = lan.now();
    assert_eq!((sent[0].prefix("2001:db8:0:1::/64"), sent[0].said.lifetime), (Some((2700, 5400)), 1800));
    assert_eq!(sent[0].said.prefixes.len(), 1);
    assert_eq!(sent[0].said.resolvers.len(), 1);
}

#[test]
fn rfc9096_3_5_a_restart_with_another_prefix_deprecates_the_old_one() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut lan = lan.restarted();
    lan.set(line(&[]));
    assert!(lan.until(110).is_empty());
    lan.set(line(&[prefix("2001:db8:0:2::/64", 14400, 43200)]));
    let sent = lan.now();
    assert_eq!(sent[0].prefix("2001:db8:0:2::/64"), Some((2700, 5400)));
    // When the last advertisement was nobody knows: at the latest when it ended.
    assert_eq!(sent[0].prefix("2001:db8:0:1::/64"), Some((0, 5390)));
    // Again, while it is on its way out: its end stays where it is.
    lan.until(200);
    let mut lan = lan.restarted();
    lan.set(line(&[prefix("2001:db8:0:2::/64", 14400, 43200)]));
    assert_eq!(lan.now()[0].prefix("2001:db8:0:1::/64"), Some((0, 5300)));
}

#[test]
fn rfc7084_g_5_after_a_restart_a_line_that_does_not_come_is_said_after_a_minute() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut lan = lan.restarted();
    let mut nothing = line(&[]).unwrap();
    (nothing.is_default_router, nothing.resolvers) = (false, Vec::new());
    lan.set(Some(nothing));
    assert!(lan.until(159).is_empty());
    let sent = lan.until(161);
    assert_eq!((sent[0].said.lifetime, sent[0].prefix("2001:db8:0:1::/64")), (0, Some((0, 5340))));
    assert_eq!(sent[0].said.resolvers, [(ip("2001:db8::53"), Lifetime::Seconds(0))]);
}

#[test]
fn rfc4861_6_2_5_who_is_no_router_any_more_says_so_three_times() {
    let mut lan = Lan::usual();
    lan.until(100);
    lan.set(None);
    let sent = lan.until(10_000);
    let times: Vec<_> = sent.iter().map(|sent| sent.at.since(at(100)).as_secs()).collect();
    assert_eq!(times, [0, 3, 6]);
    for sent in &sent {
        assert_eq!((sent.said.lifetime, sent.said.mtu), (0, Some(1500)));
        assert!(sent.prefix("2001:db8:0:1::/64").is_some_and(|(preferred, valid)| preferred == 0 && valid > 5000));
        assert_eq!(sent.said.resolvers, [(ip("2001:db8::53"), Lifetime::Seconds(0))]);
    }
    lan.set(None);
    lan.solicit("fe80::9", &STATION);
    assert!(lan.until(10_100).is_empty());
    assert_eq!(lan.machine.saved(lan.now, WALL), None);
    // Switched on again.
    lan.set(usual());
    assert_eq!(lan.now()[0].said.lifetime, 1800);
}

#[test]
fn rfc4861_6_2_5_one_that_was_switched_off_while_it_was_down_says_so_too() {
    let mut lan = Lan::usual();
    lan.until(100);
    let mut lan = lan.restarted();
    lan.set(None);
    let sent = lan.until(200);
    assert_eq!(sent.len(), 3);
    assert_eq!((sent[0].said.lifetime, sent[0].prefix("2001:db8:0:1::/64")), (0, Some((0, 5400))));
}

#[test]
fn without_a_prefix_a_way_or_an_address_of_ours_nothing_is_said() {
    let mut lan = Lan::new();
    lan.set(None);
    lan.solicit("fe80::9", &STATION);
    assert!(lan.until(1000).is_empty());
    lan.set(Some(Advertised { is_default_router: false, ..nothing() }));
    lan.solicit("fe80::9", &STATION);
    assert!(lan.until(2000).is_empty());
    let mut machine = Advertiser::new(US);
    machine.set(at(0), usual());
    let outputs: Vec<_> = std::iter::from_fn(|| machine.drive(at(0))).collect();
    assert!(outputs.iter().all(|output| !matches!(output, Output::Send(_))), "{outputs:?}");
}

/// A line that renumbers every minute for a day.
#[test]
fn old_prefixes_are_as_many_as_fit_and_hosts_have_heard_of_the_others() {
    let mut lan = Lan::new();
    for minute in 0..1440 {
        lan.set(line(&[prefix(&format!("2001:db8:1:{minute:x}::/64"), 14400, 43200)]));
        for sent in lan.until(60 * minute + 59) {
            assert!(sent.said.prefixes.len() <= MAX_PREFIXES && sent.said.ignored == 0);
            assert_eq!(sent.said.prefixes[0].preferred, Lifetime::Seconds(2700));
            let is_old = |prefix: &PrefixOption| prefix.preferred == Lifetime::Seconds(0);
            assert!(sent.said.prefixes[1..].iter().all(is_old));
        }
    }
    assert_eq!(lan.machine.counts.displaced, 1440 - MAX_PREFIXES as u64);
    assert!(lan.machine.counts.advertised <= 3 * 1440 + 3);
}

#[test]
fn rfc8200_5_the_longest_advertisement_fits_every_link() {
    let mut machine = Advertiser::new(US);
    machine.set_source(at(0), Some(ip("fe80::1")));
    let long = |letter: char| vec![letter.to_string().repeat(62); 4].join(".");
    let prefixes = (0..20).map(|n| prefix(&format!("2001:db8:0:{n:x}::/64"), 14400, 43200)).collect();
    let resolvers = (0..9).map(|n| ip(&format!("2001:db8::{n:x}"))).collect();
    let domains = vec![long('a'), long('b'), long('c')];
    let route = |n| Route { prefix: format!("2001:db8:{n:x}::/48").parse().unwrap(), valid: None };
    let routes = (0..20).map(route).collect();
    machine.set(at(0), Some(Advertised { prefixes, routes, resolvers, domains, ..nothing() }));
    let sent = std::iter::from_fn(|| machine.drive(at(0)))
        .find_map(|output| if let Output::Send(packet) = output { Some(packet) } else { None })
        .unwrap();
    let said = Advertisement::parse(&sent).unwrap();
    assert!(sent.len() <= 1280, "{}", sent.len());
    assert_eq!((said.prefixes.len(), said.resolvers.len(), said.ignored), (MAX_PREFIXES, 3, 0));
    assert!(said.domains.len() < 3);
}

/// Found by fuzzing: an option without a name is broken.
#[test]
fn rfc8106_5_2_what_is_no_domain_is_left_out() {
    let mut lan = Lan::new();
    let mut told = usual().unwrap();
    told.domains = vec![String::new(), ".".into(), "lan.example".into()];
    lan.set(Some(told));
    let said = &lan.now()[0].said;
    assert_eq!((said.domains.len(), said.ignored), (1, 0));
}

/// A host of ours, with what a line's router says.
#[test]
fn a_host_makes_an_address_and_leaves_it_when_it_is_told_so() {
    let id = InterfaceId::Eui64(HOST);
    let mut host = Slaac::new(crate::slaac::Config { mac: HOST, mtu: 1500, interface_id: id });
    host.link_up(at(0), Some(ip("fe80::9")));
    let mut machine = Advertiser::new(US);
    machine.set_source(at(0), Some(ip("fe80::1")));
    let hear = |host: &mut Slaac, machine: &mut Advertiser, now| {
        for output in std::iter::from_fn(|| machine.drive(now)) {
            if let Output::Send(packet) = output {
                host.handle_input(now, &packet);
            }
        }
    };
    machine.set(at(0), usual());
    hear(&mut host, &mut machine, at(0));
    let facts = host.facts(at(0));
    assert_eq!(facts.addresses[0].address, ip("2001:db8:0:1:0:ff:fe00:9"));
    assert_eq!((facts.default_router(), facts.rdnss.len()), (Some(ip("fe80::1")), 1));
    machine.set(at(10), line(&[prefix("2001:db8:0:2::/64", 14400, 43200)]));
    hear(&mut host, &mut machine, at(10));
    let addresses = host.facts(at(10)).addresses;
    let deprecated: Vec<_> = addresses.iter().map(|address| (address.address, address.deprecated)).collect();
    assert_eq!(deprecated, [(ip("2001:db8:0:2:0:ff:fe00:9"), false), (ip("2001:db8:0:1:0:ff:fe00:9"), true)]);
}

/// RFC 4861 4.2, RFC 4191 2.2: the flags, and that a change of theirs is news.
#[test]
fn rfc4861_4_2_managed_other_and_preference() {
    let mut lan = Lan::usual();
    let flags = |packet: &[u8]| packet[45];
    let said = |lan: &mut Lan, change: fn(&mut Advertised)| {
        let mut advertised = usual().unwrap();
        change(&mut advertised);
        lan.set(Some(advertised));
        lan.now = lan.now + Duration::from_secs(4);
        let sent = std::iter::from_fn(|| lan.machine.drive(lan.now));
        sent.filter_map(|output| if let Output::Send(packet) = output { Some(flags(&packet)) } else { None }).last()
    };
    lan.until(100);
    assert_eq!(said(&mut lan, |a| a.has_information = true), Some(0x40));
    assert_eq!(said(&mut lan, |a| (a.is_managed, a.has_information) = (true, true)), Some(0xc0));
    assert_eq!(said(&mut lan, |a| a.preference = Preference::High), Some(0x08));
    assert_eq!(said(&mut lan, |a| a.preference = Preference::Low), Some(0x18));
    let is_none = |a: &mut Advertised| (a.preference, a.is_default_router) = (Preference::High, false);
    assert_eq!(said(&mut lan, is_none), Some(0), "medium where the lifetime is zero");
}

/// RFC 4861 4.6.2: without A hosts make no addresses themselves.
#[test]
fn rfc4861_4_6_2_addresses_by_dhcpv6_alone() {
    let mut lan = Lan::new();
    lan.set(usual().map(|advertised| Advertised { is_autonomous: false, ..advertised }));
    let sent = lan.now();
    assert!(sent[0].said.prefixes.iter().all(|prefix| prefix.on_link && !prefix.autonomous));
}

/// RFC 4191 2.3, RFC 7084 L-3: a route to what is delegated, with or without a way to everywhere, no longer than it is there, and
/// taken back with the lifetime 0.
#[test]
fn rfc4191_2_3_routes_to_what_is_delegated() {
    let mut lan = Lan::new();
    let route = |text: &str, valid| Route { prefix: text.parse().unwrap(), valid: Some(valid) };
    let with = |routes: Vec<Route>, is_default_router| {
        usual().map(|advertised| Advertised { routes, is_default_router, ..advertised })
    };
    let told = |lan: &mut Lan| {
        let sent = std::iter::from_fn(|| lan.machine.drive(lan.now));
        let packet =
            sent.filter_map(|output| if let Output::Send(packet) = output { Some(packet) } else { None }).last();
        let packet = packet.expect("an advertisement");
        let (mut options, mut routes) = (&packet[56..], Vec::new());
        while !options.is_empty() {
            let (option, rest) = options.split_at(usize::from(options[1]) * 8);
            if option[0] == 24 {
                let lifetime = u32::from_be_bytes(option[4..8].try_into().unwrap());
                routes.push((option[2], option[3], lifetime, option[8..].to_vec()));
            }
            options = rest;
        }
        (u16::from_be_bytes([packet[46], packet[47]]), routes)
    };
    lan.set(with(vec![route("2001:db8:0:a00::/56", 43_200)], false));
    let prefix = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0x0a, 0];
    assert_eq!(told(&mut lan), (0, vec![(56, 0, 1800, prefix.clone())]));
    lan.until(100);
    let short = vec![0x20, 1, 0x0d, 0xb8, 0, 0, 0x0b, 0];
    lan.set(with(vec![route("2001:db8:0:b00::/56", 60)], true));
    assert_eq!(told(&mut lan), (1800, vec![(56, 0, 60, short), (56, 0, 0, prefix)]));
}
