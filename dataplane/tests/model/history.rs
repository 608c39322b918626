//! What may happen to a line, in symbols: sessions by number, so that a shorter history still means something.

use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::line::Line;

#[derive(Clone, Debug)]
pub struct History {
    pub line: Line,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// A burst of frames from the LAN.
    Lan(Vec<LanSent>),
    Wan(Vec<WanSent>),
    /// So many milliseconds pass.
    Wait(u64),
    Change(Change),
    /// So many UDP flows of one host to port 443 of one server, or to 53.
    Flood {
        host: u8,
        flows: u16,
        questions: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Change {
    Neighbour(u8),
    Gateway,
    /// The far end, or ours, has another address.
    Remote(u8),
    Local(u8),
    Mtu(Result<u16, u16>),
    LanMtu(u16),
    WanMtu(u16),
    Mss(Option<u16>),
    Class(Option<u8>, bool),
    /// So many of a list of static mappings.
    Forwards(u8),
}

/// From whom to whom.
#[derive(Clone, Copy, Debug)]
pub enum Ends {
    /// As a session does that is there.
    Session(u8),
    /// A peer that a session does not know, to its outside port.
    Stranger(u8, u8),
    /// By number: host and port, peer and port.
    New(u8, u8, u8, u8),
    /// To our outside address, a port of the line.
    OutsidePort(u8, u8, u16),
    /// An address that is none, as source or destination.
    Odd(u8, bool),
}

/// What a packet carries.
#[derive(Clone, Copy, Debug)]
pub struct Carries {
    pub kind: Kind,
    /// Flags of a TCP segment.
    pub flags: u8,
    pub options: u8,
    /// Bytes of payload behind the transport header.
    pub len: usize,
    /// The checksum is right; for UDP also: there is none.
    pub sum: Sum,
    /// The length that is told is this much wrong.
    pub wrong_len: i8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Udp,
    Tcp,
    Echo,
    EchoReply,
    /// Type, code, bytes quoted behind the header; about a session.
    Error(u8, u8, u8),
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sum {
    Right,
    Wrong,
    None,
}

#[derive(Clone, Copy, Debug)]
pub struct Ip {
    pub ttl: u8,
    pub df: bool,
    pub tos: u8,
    pub id: u8,
    pub options: u8,
}

/// How a packet is cut: bytes, which piece goes first, which is lost, which comes twice.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub size: u16,
    pub first: u8,
    pub lost: Option<u8>,
    pub twice: Option<u8>,
}

/// What happened to a frame on its way.
#[derive(Clone, Copy, Debug)]
pub enum Spoil {
    Flip(u16, u8),
    /// With the IPv4 header's checksum mended.
    Mended(u16, u8),
    Short(u16),
    Long(u8),
}

#[derive(Clone, Debug)]
pub struct LanSent {
    pub ends: Ends,
    pub carries: Carries,
    pub ip: Ip,
    pub cut: Option<Cut>,
    pub ethernet: u8,
    pub spoil: Option<Spoil>,
}

#[derive(Clone, Debug)]
pub enum WanSent {
    Inner {
        ends: Ends,
        carries: Carries,
        ip: Ip,
        cut: Option<Cut>,
        outer: Outer,
        spoil: Option<Spoil>,
    },
    /// Type, code, word, about which of the frames that left, from where; bytes quoted.
    Error {
        kind: u8,
        code: u8,
        word: u32,
        about: u8,
        from: u8,
        quoted: u16,
        spoil: Option<Spoil>,
    },
    /// Bytes behind Ethernet's addresses.
    Garbage(Vec<u8>),
}

#[derive(Clone, Copy, Debug)]
pub struct Outer {
    pub class: u8,
    /// Which extension header is in front of the inner packet; 0: none.
    pub extensions: u8,
    pub from: u8,
    pub to: u8,
    pub ethernet: u8,
    pub cut: Option<Cut>,
    pub id: u8,
}

fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    others: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    prop_oneof![9 => Just(usual), 1 => others].boxed()
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        8 => any::<u8>().prop_map(Ends::Session),
        2 => (any::<u8>(), 0..4u8).prop_map(|(n, peer)| Ends::Stranger(n, peer)),
        8 => (0..4u8, 0..6u8, 0..3u8, 0..4u8).prop_map(|(h, p, q, r)| Ends::New(h, p, q, r)),
        1 => (0..4u8, 0..6u8, any::<u16>()).prop_map(|(h, p, port)| Ends::OutsidePort(h, p, port)),
        1 => (0..16u8, any::<bool>()).prop_map(|(n, source)| Ends::Odd(n, source)),
    ]
}

fn carries() -> impl Strategy<Value = Carries> {
    let error = (select(vec![3u8, 3, 3, 11, 12, 4, 5]), 0..6u8, 0..60u8);
    let kind = prop_oneof![
        5 => Just(Kind::Udp),
        5 => Just(Kind::Tcp),
        2 => Just(Kind::Echo),
        1 => Just(Kind::EchoReply),
        3 => error.prop_map(|(kind, code, quoted)| Kind::Error(kind, code, quoted)),
        2 => select(vec![136u8, 136, 33, 47, 50, 41, 132, 51, 0]).prop_map(Kind::Other),
    ];
    let flags = select(vec![2u8, 2, 18, 16, 16, 24, 17, 4, 20, 0, 0xff]);
    let len = prop_oneof![6 => 0..64usize, 2 => 64..1500usize, 2 => 1380..1480usize, 1 => 1480..3000usize];
    let sum = mostly(Sum::Right, select(vec![Sum::Wrong, Sum::None]));
    (kind, flags, 0..8u8, len, sum, mostly(0, any::<i8>()))
        .prop_map(|(kind, flags, options, len, sum, wrong_len)| Carries { kind, flags, options, len, sum, wrong_len })
}

fn ip() -> impl Strategy<Value = Ip> {
    (mostly(64, 0..4u8), any::<bool>(), mostly(0, any::<u8>()), 0..3u8, mostly(0, 0..8u8))
        .prop_map(|(ttl, df, tos, id, options)| Ip { ttl, df, tos, id, options })
}

fn cut() -> BoxedStrategy<Option<Cut>> {
    let cut = (1..190u16, 0..4u8, option::weighted(0.2, 0..4u8), option::weighted(0.1, 0..4u8))
        .prop_map(|(size, first, lost, twice)| Some(Cut { size: size * 8, first, lost, twice }));
    prop_oneof![4 => Just(None), 1 => cut].boxed()
}

fn spoil() -> BoxedStrategy<Option<Spoil>> {
    let spoil = prop_oneof![
        (0..120u16, any::<u8>()).prop_map(|(at, to)| Spoil::Flip(at, to)),
        (0..120u16, any::<u8>()).prop_map(|(at, to)| Spoil::Mended(at, to)),
        (0..120u16).prop_map(Spoil::Short),
        (0..40u8).prop_map(Spoil::Long),
    ];
    mostly(None, spoil.prop_map(Some))
}

fn lan() -> impl Strategy<Value = LanSent> {
    (ends(), carries(), ip(), cut(), mostly(0, 0..10u8), spoil())
        .prop_map(|(ends, carries, ip, cut, ethernet, spoil)| LanSent { ends, carries, ip, cut, ethernet, spoil })
}

fn wan() -> impl Strategy<Value = WanSent> {
    let outer = (
        mostly(0, any::<u8>()),
        mostly(0, 0..8u8),
        mostly(0, 0..4u8),
        mostly(0, 0..4u8),
        mostly(0, 0..6u8),
        cut(),
        0..3u8,
    )
        .prop_map(|(class, extensions, from, to, ethernet, cut, id)| Outer {
            class,
            extensions,
            from,
            to,
            ethernet,
            cut,
            id,
        });
    let inner = (ends(), carries(), ip(), cut(), outer, spoil())
        .prop_map(|(ends, carries, ip, cut, outer, spoil)| WanSent::Inner { ends, carries, ip, cut, outer, spoil });
    let word = prop_oneof![1200..1500u32, any::<u32>(), Just(0)];
    let error = (
        prop_oneof![2 => Just(2u8), 3 => 0..5u8, 1 => any::<u8>()],
        0..7u8,
        word,
        any::<u8>(),
        0..4u8,
        0..1300u16,
        spoil(),
    )
        .prop_map(|(kind, code, word, about, from, quoted, spoil)| WanSent::Error {
            kind,
            code,
            word,
            about,
            from,
            quoted,
            spoil,
        });
    let garbage = prop::collection::vec(any::<u8>(), 0..100).prop_map(WanSent::Garbage);
    prop_oneof![20 => inner, 4 => error, 1 => garbage]
}

fn mtu() -> impl Strategy<Value = Result<u16, u16>> {
    prop_oneof![select(vec![1460u16, 1240, 1500, 1300]).prop_map(Ok), select(vec![1500u16, 1460, 1400]).prop_map(Err)]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..3u8).prop_map(Change::Neighbour),
        Just(Change::Gateway),
        (0..3u8).prop_map(Change::Remote),
        (0..3u8).prop_map(Change::Local),
        mtu().prop_map(Change::Mtu),
        select(vec![1500, 1400, 576, 9000]).prop_map(Change::LanMtu),
        select(vec![1500, 1280, 2000]).prop_map(Change::WanMtu),
        select(vec![None, Some(1420), Some(1240), Some(536)]).prop_map(Change::Mss),
        (select(vec![None, Some(0), Some(46)]), any::<bool>()).prop_map(|(dscp, ecn)| Change::Class(dscp, ecn)),
        (0..4u8).prop_map(Change::Forwards),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let wait = prop_oneof![4 => 1..3000u64, 1 => 3000..8000u64, 2 => 3000..400_000u64, 1 => 400_000..8_000_000u64];
    prop_oneof![
        20 => prop::collection::vec(lan(), 1..5).prop_map(Step::Lan),
        20 => prop::collection::vec(wan(), 1..5).prop_map(Step::Wan),
        5 => wait.prop_map(Step::Wait),
        3 => change().prop_map(Step::Change),
        1 => (0..2u8, prop_oneof![20 => 1..120u16, 10 => 120..400u16, 2 => 700..1200u16], any::<bool>()).prop_map(|(host, flows, questions)| Step::Flood { host, flows, questions }),
    ]
}

/// Histories of a line, which may differ a little from this one.
pub fn history(line: Line) -> impl Strategy<Value = History> {
    let differs = (mtu(), any::<[bool; 4]>(), option::weighted(0.2, 3..40u32), 0..4u8);
    (differs, prop::collection::vec(step(), 1..60)).prop_map(
        move |((mtu, [fast, open_filtering, port_parity, answer_unsolicited], per_host, forwards), steps)| {
            let line = Line { mtu, fast, open_filtering, port_parity, answer_unsolicited, per_host, ..line.clone() };
            let forwards = if line.napt { line.static_mappings(forwards) } else { Vec::new() };
            History { line: Line { forwards, ..line }, steps }
        },
    )
}
