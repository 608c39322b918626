//! The table of lines. Seconds are counted from when the line is plugged in; the router starts with it.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use super::FAR_END;
use super::dhcp6::map_e;
use super::habits::{Habits, MANAGED, Network, OTHER, Renewal, Router, Server, Unknown};

/// What changes on a line, at one moment.
pub type Change = fn(&mut Habits);

/// A line with a habit: what it does when, and what a router has to make of it.
pub struct Row {
    /// Its name, one word.
    pub name: &'static str,
    /// What it does, what a router has to make of it, and where that is written.
    pub about: &'static str,
    /// Keys of the router's `[service]`.
    pub config: &'static str,
    /// What it is at the start.
    pub habits: Habits,
    /// What changes, and in which second.
    pub changes: Vec<(u64, Change)>,
    /// In this second the router's program is ended and started again.
    pub restarted: Option<u64>,
    /// From and to these seconds a host that pings the Internet once a second has answers to all of its pings but one.
    pub carries: Vec<(u64, u64)>,
    /// All of them come from one IPv4 address.
    pub one_address: bool,
}

impl Row {
    /// A line that never changes, with DS-Lite by the AFTR's address.
    fn new(name: &'static str, about: &'static str, habits: Habits) -> Self {
        Self {
            name,
            about,
            config: AFTR,
            habits,
            changes: Vec::new(),
            restarted: None,
            carries: vec![(UP, UP + 15)],
            one_address: false,
        }
    }

    /// How long it takes to judge it.
    pub fn seconds(&self) -> u64 {
        self.carries.iter().map(|&(_, to)| to).max().unwrap_or_default()
    }

    /// Whether the pings that were answered, by the second in which they were sent, are those that should be.
    ///
    /// # Errors
    /// Where not, for people.
    pub fn judge(&self, answered: &BTreeSet<u64>) -> Result<(), String> {
        for &(from, to) in &self.carries {
            let (count, most) = (answered.range(from..to).count() as u64, to - from);
            if count + 1 < most {
                return Err(format!("{count} of {most} pings came back from second {from} to {to}"));
            }
        }
        Ok(())
    }

    fn changing(self, changes: &[(u64, Change)]) -> Self {
        Self { changes: changes.to_vec(), ..self }
    }

    fn carrying(self, carries: &[(u64, u64)]) -> Self {
        Self { carries: carries.to_vec(), ..self }
    }
}

/// By when a line that has nothing to wait for carries.
const UP: u64 = 20;

/// What delegating lines give first, and then.
const FIRST: Network = Network { address: Ipv6Addr::new(0x2001, 0xdb8, 0x1012, 0x3400, 0, 0, 0, 0), length: 56 };
const SECOND: Network = Network { address: Ipv6Addr::new(0x2001, 0xdb8, 0x2056, 0x7800, 0, 0, 0, 0), length: 56 };
/// What other lines advertise first, and then.
const LINK: Network = advertised(0x2001, 0x3012);
const OTHER_LINK: Network = advertised(0x2001, 0x3056);

const AFTR: &str = "kind = \"dslite\"\naftr = \"2001:db8:ffff::1\"\n";
/// The AFTR that the line names.
const NAMED_AFTR: &str = "kind = \"dslite\"\n";
const MAP_E: &str = "kind = \"map-e\"\n";

const fn advertised(first: u16, third: u16) -> Network {
    Network { address: Ipv6Addr::new(first, 0xdb8, third, 0, 0, 0, 0, 0), length: 64 }
}

/// A router that advertises a prefix for hours, and carries what comes from it.
fn router(number: u8, prefix: Network) -> Router {
    Router { prefixes: vec![(prefix, 14400, 86400)], takes: vec![prefix], ..Router::new(number) }
}

/// A station that advertises a prefix, and carries nothing.
fn stranger(number: u8, prefix: Network) -> Router {
    Router { lifetime: 0, prefixes: vec![(prefix, u32::MAX, u32::MAX)], ..Router::new(number) }
}

/// A router with M and O, and a server that delegates [`FIRST`] for hours, and [`SECOND`] once that is gone.
fn delegating(change: impl FnOnce(&mut Server)) -> Habits {
    let mut server = Server::new(1, Some(FIRST));
    server.next = Some(SECOND);
    change(&mut server);
    Habits::new(vec![Router { flags: MANAGED | OTHER, ..Router::new(1) }], Some(server))
}

/// A router and a server as of [`delegating`], whose prefix is renewed after 15 s with this result: half of the preferred
/// lifetime, without which a T1 below a minute would be none (dibbler's 5 s would be 17,000 messages a day).
fn renewed(renewal: Renewal) -> Habits {
    delegating(|server| {
        server.renewal = renewal;
        (server.t1, server.t2, server.preferred, server.valid) = (15, 24, 30, 60);
    })
}

/// A router that advertises a prefix, without DHCPv6.
fn advertising() -> Habits {
    Habits::new(vec![router(1, LINK)], None)
}

/// All lines of the table, in its order.
pub fn rows() -> Vec<Row> {
    [ordinary(), beginnings(), renewals(), exchanges(), several_stations()].into_iter().flatten().collect()
}

/// Nothing is odd about these: what is wrong on others is not the fault of the far end.
fn ordinary() -> Vec<Row> {
    vec![
        Row::new(
            "ordinary-delegated",
            "M and O, a prefix is delegated and renewed: RFC 8415, RFC 7084.",
            delegating(|server| (server.t1, server.t2, server.preferred, server.valid) = (10, 16, 20, 30)),
        )
        .carrying(&[(UP, 60)]),
        Row::new("ordinary-advertised", "A /64 is advertised: RFC 4862.", advertising()),
    ]
}

/// It is hard to come up, once or again.
fn beginnings() -> Vec<Row> {
    vec![
        Row::new(
            "server-elsewhere",
            "The DHCPv6 server answers from a global address. RFC 8415 7 and 16 say where clients send to, not where \
             servers answer from.",
            delegating(|server| server.source = Some(Ipv6Addr::new(0x2001, 0xdb8, 0xa, 0, 0, 0, 0, 0x547))),
        ),
        Row::new(
            "other-flag-only",
            "Advertisements have O and not M, and a prefix is delegated all the same. It is asked for: RFC 7084 WPD-4.",
            Habits { routers: vec![Router { flags: OTHER, ..Router::new(1) }], ..delegating(|_| ()) },
        ),
        Row {
            config: NAMED_AFTR,
            ..Row::new(
                "managed-without-prefix",
                "Advertisements have M and a /64, and the server delegates nothing. AFTR and resolver are learned by \
                 Information-request: RFC 8415 18.2.6.",
                Habits {
                    routers: vec![Router { flags: MANAGED | OTHER, ..router(1, LINK) }],
                    ..delegating(|server| (server.prefix, server.far_end_name) = (None, Some("aftr.isp.example")))
                },
            )
        },
        Row::new(
            "address-taken",
            "Somebody has the first address that is made in the delegated prefix, for ever. Another one is made: \
             RFC 7217 6.",
            Habits { first_is_taken: true, ..delegating(|_| ()) },
        ),
        Row {
            config: MAP_E,
            restarted: Some(30),
            one_address: true,
            ..Row::new(
                "restart",
                "What is given back goes to somebody else, and the IPv4 address with it. Nothing is given back at a \
                 restart: RFC 9096 WPD-9.",
                delegating(|server| {
                    server.forgets = true;
                    let rules = [(FIRST, [192, 0, 2, 0]), (SECOND, [203, 0, 113, 0])];
                    server.more = map_e(&rules.map(|(of, ipv4)| (Network { length: 40, ..of }, ipv4)), FAR_END);
                }),
            )
            .carrying(&[(UP, 29), (50, 65)])
        },
    ]
}

/// The server has a way of its own to renew.
fn renewals() -> Vec<Row> {
    vec![
        Row::new(
            "renew-refused",
            "Renew is answered with the prefix at lifetimes of zero and NoPrefixAvail in the association. That ends the \
             lease, and a Solicit brings another: RFC 8415 18.2.10.1.",
            renewed(Renewal::Refused),
        )
        .carrying(&[(30, 45)]),
        Row::new(
            "renew-refused-in-prefix",
            "The same with the status in the prefix.",
            renewed(Renewal::RefusedInPrefix),
        )
        .carrying(&[(30, 45)]),
        Row::new(
            "deprecated-beside-new",
            "Renew is answered with the old prefix deprecated and a new one; only that is carried from then on, and it \
             is used as soon as it is there: RFC 4862 5.5.4.",
            renewed(Renewal::Replaced),
        )
        .carrying(&[(30, 75)]),
        Row::new(
            "prefix-off-its-boundary",
            "The delegated /56 has a bit set behind its length. Renew brings it again, and its masked form with \
             lifetimes of zero beside it (Kea 2.2 does). They are one prefix, and it is leased: RFC 8415 18.2.10.1.",
            delegating(|server| {
                server.prefix = Some(Network { address: Ipv6Addr::from_bits(FIRST.address.to_bits() | 1 << 68), ..FIRST });
                server.renewal = Renewal::GrantedAndMaskedTakenBack;
                (server.t1, server.t2, server.preferred, server.valid) = (10, 40, 60, 90);
            }),
        )
        .carrying(&[(UP, 55)]),
        Row::new(
            "times-behind-the-end",
            "T1 and T2 lie behind the end of the lease, and what is not renewed is not carried. It is renewed in time: \
             RFC 8415 21.21, 14.2.",
            delegating(|server| (server.t1, server.t2, server.preferred, server.valid) = (3600, 5400, 14, 20)),
        )
        .carrying(&[(15, 60)]),
    ]
}

/// From one second to the next the line is another.
fn exchanges() -> Vec<Row> {
    vec![
        Row::new(
            "rebind-unanswered",
            "The cable was out, the prefix is another, and nobody answers a Rebind for the old one, which holds for \
             hours. Solicit is sent beside it: RFC 8415 18.2.12 knows no better way.",
            delegating(|_| ()),
        )
        .changing(&[
            (25, |habits| habits.plugged = false),
            (30, |habits| {
                habits.plugged = true;
                habits.server.iter_mut().for_each(Server::move_on);
            }),
        ])
        .carrying(&[(UP, 24), (50, 75)]),
        Row::new(
            "refused",
            "The delegated prefix is another, and packets from the old one, which holds for hours, are refused in the far \
             end's name (ICMPv6 type 1 code 5). That is evidence at once: what was learned is verified (RFC 8415 18.2.12).",
            delegating(|server| server.unknown = Unknown::TakenBack),
        )
        .changing(&[(25, |habits| {
            habits.refuses = true;
            habits.server.iter_mut().for_each(Server::move_on);
        })])
        .carrying(&[(UP, 24), (32, 50)]),
        Row::new(
            "exchanged",
            "Another router advertises another prefix, and the first is silent for ever. It is left (RFC 4861 7.3.3), \
             and not gone back to for the rest of its lifetime.",
            advertising(),
        )
        .changing(&[(25, |habits| habits.routers = vec![router(2, OTHER_LINK)])])
        .carrying(&[(UP, 24), (35, 150)]),
        Row::new(
            "exchanged-delegated",
            "Router, server and delegated prefix are others, and nobody says a word. A Rebind would be answered with \
             lifetimes of zero: what was learned is verified once the router is another (RFC 8415 18.2.12).",
            delegating(|server| server.unknown = Unknown::TakenBack),
        )
        .changing(&[(25, |habits| {
            habits.routers[0].number = 2;
            habits.server.iter_mut().for_each(|server| (server.number, server.prefix) = (2, Some(SECOND)));
        })])
        .carrying(&[(UP, 24), (35, 100)]),
    ]
}

/// Lines on which several stations advertise.
fn several_stations() -> Vec<Row> {
    vec![
        Row::new(
            "unique-local-beside",
            "A station that is no router advertises a unique local prefix; only the global one is carried. The source \
             is of the scope of the far end: RFC 6724 5 rule 2, RFC 8028.",
            advertising(),
        )
        .changing(&[(10, |habits| habits.routers.push(stranger(2, advertised(0xfd00, 1))))])
        .carrying(&[(UP, 60)]),
        Row::new(
            "two-routers",
            "A second router comes with a prefix of its own, and each carries only what comes from its own. Packets go \
             to the router that advertises their source: RFC 8028 3, RFC 6724 5 rule 5.5.",
            advertising(),
        )
        .changing(&[(25, |habits| habits.routers.push(router(2, OTHER_LINK)))])
        .carrying(&[(UP, 70)]),
        Row::new(
            "one-advertisement",
            "A station that is no router advertises a prefix for ever, once. The prefix of the router in use is kept: \
             RFC 6724 5 rule 5.5, RFC 8028.",
            advertising(),
        )
        .changing(&[
            (25, |habits| habits.routers.push(stranger(3, advertised(0x2001, 0xbad)))),
            (26, |habits| habits.routers.truncate(1)),
        ])
        .carrying(&[(UP, 150)]),
    ]
}
