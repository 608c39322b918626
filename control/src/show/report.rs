//! What can be shown: plain facts, the same in JSON and in tables. Seconds and counts are numbers;
//! what is not known is `null`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use hikyaku_protocols::service::Step;
use serde::{Deserialize, Serialize};

/// How the router is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// Number of the program's process.
    pub pid: u32,
    /// Seconds since the program was started.
    pub uptime_seconds: u64,
    /// The line as a whole.
    pub line: State,
    /// The side towards the line.
    pub wan: Wan,
    /// What the line is to be.
    pub service: Service,
    /// Who is told where we are; `null` where nobody is.
    pub notification: Option<Notification>,
    /// How the provisioning server stands; `null` where none is asked.
    pub provisioning: Option<Provisioning>,
    /// The side of the hosts: the first LAN.
    pub lan: Lan,
    /// Further LANs.
    #[serde(default)]
    pub other_lans: Vec<Lan>,
    /// The session table; `null` where nothing is translated.
    pub sessions: Option<SessionTotals>,
    /// The thread that does all but carry packets.
    pub control: Control,
    /// What is held of the machine's memory.
    #[serde(default)]
    pub memory: Memory,
    /// What workers do, one entry each.
    pub workers: Vec<Worker>,
    /// What is not as it should be, a line each.
    pub warnings: Vec<String>,
}

/// The control thread: what is sent to the router itself waits for as long as a turn of it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// The longest turn since the start, microseconds; `null` before the first is over.
    pub longest_turn_us: Option<u64>,
    /// Seconds since then.
    pub longest_turn_ago_seconds: Option<u64>,
}

/// Memory, bytes: all of it there before a packet needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Of the links: rings and buffers.
    pub links: usize,
    /// Of the session table; `null` where nothing is translated.
    pub sessions: Option<usize>,
    /// Of the filter of native IPv6; `null` where there is none.
    pub filter: Option<usize>,
}

/// The state of something: a word for machines, a line for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// One word, stable: `up`, `waiting-for-ra`, …
    pub name: String,
    /// What it means, and what is waited for.
    pub text: String,
    /// Since it came to be so.
    pub since_seconds: u64,
}

/// The side towards the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wan {
    /// The link's name, as configured: `netmap:ix0`.
    pub link: String,
    /// How its rings are filled: `native`, `emulated`, `xdp copy`, …
    pub mode: String,
    /// What the card passes on: `groups` (frames to us and to our multicast groups) or `promiscuous` (every frame); `null`
    /// if that is not known, or there is no card.
    pub heard: Option<String>,
    /// Number of the VLAN that it is of its wire; `null` where frames have no tag.
    pub vlan: Option<u16>,
    /// Our Ethernet address there.
    pub mac: String,
    /// Largest IPv6 packet, bytes.
    pub mtu: u16,
    /// Whether the link has a carrier.
    pub up: bool,
    /// Frames that came in and were lost before a worker had them, as the system counts them since the start: they are
    /// in no other count.
    pub lost: u64,
    /// What workers took from the link since the start.
    #[serde(default)]
    pub received: Volume,
    /// What was given to the link to send, of whatever origin.
    #[serde(default)]
    pub sent: Volume,
    /// The router's own addresses on the line.
    pub addresses: Vec<Address>,
    /// Prefixes that the line told or delegated.
    pub prefixes: Vec<Prefix>,
    /// Who advertises itself as a router.
    pub routers: Vec<Router>,
    /// Who is asked for names.
    pub resolvers: Vec<IpAddr>,
}

/// An address of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The IP address.
    pub address: IpAddr,
    /// `tentative`, `preferred`, `deprecated`, `duplicate` (RFC 4862).
    pub state: String,
    /// What it is for: `link-local`, `slaac`, `dhcpv6`, `tunnel`; on the LAN `lan`.
    pub role: String,
    /// How long it holds; `null`: for ever.
    pub valid_seconds: Option<u64>,
}

/// A prefix of the line, or of the LAN.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prefix {
    /// Address and length: `2001:db8::/64`.
    pub prefix: String,
    /// Who gave it: `ra` (a router advertisement) or `dhcpv6-pd` (delegated). Of the LAN: `advertised`, or `withdrawn`.
    pub source: String,
    /// How long it is preferred; `null`: for ever.
    pub preferred_seconds: Option<u64>,
    /// How long it holds; `null`: for ever.
    pub valid_seconds: Option<u64>,
}

/// A router of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Router {
    /// The router's link-local address.
    pub address: Ipv6Addr,
    /// Its Ethernet address, once it is known.
    pub mac: Option<String>,
    /// How it answers: the state of RFC 4861 7.3.2.
    pub state: String,
    /// How long it may be the default router.
    pub lifetime_seconds: u64,
}

/// What the line is to be, and is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// As configured: `auto`, `v6plus`, …
    pub name: String,
    /// `dslite`, `ipip`, `map-e` or `lw4o6`; `null` until one is in use.
    pub kind: Option<String>,
    /// Where was looked for it, in that order, with what result and why. The last one decided.
    pub found_by: Vec<Step>,
    /// What it is waiting for, or up.
    pub state: State,
    /// Our end of the tunnel.
    pub local: Option<Ipv6Addr>,
    /// The far end of the tunnel, AFTR or border router.
    pub remote: Option<Ipv6Addr>,
    /// The far end's name, where it was found by one.
    pub aftr_name: Option<String>,
    /// The address that is translated to; `null` for DS-Lite.
    pub ipv4: Option<Ipv4Addr>,
    /// The number of our share of its ports; `null` where all are ours.
    pub psid: Option<u16>,
    /// How many of its ports are ours; `null` for DS-Lite.
    pub ports: Option<u32>,
    /// Other customers are reached without the border router.
    pub mesh: bool,
    /// The tunnel's MTU as hosts see it.
    pub tunnel_mtu: u16,
    /// The largest packet that the path to the far end carries, as far as is known.
    pub path_mtu: Option<u16>,
    /// Since the far end last sent a packet through the tunnel; `null`: never. There is no handshake:
    /// this is the only sign of life.
    pub last_packet_seconds: Option<u64>,
    /// How often the far end's side refused our address (ICMPv6 unreachable, code 5).
    pub refused: u64,
}

/// Telling where we are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// The form of it.
    pub dialect: String,
    /// Whether the service knows our address, and if not, why.
    pub state: State,
    /// Since it last went well; `null`: never.
    pub last_success_seconds: Option<u64>,
    /// Until it is said again.
    pub next_seconds: Option<u64>,
}

/// Asking the line's provisioning server (HB46PP).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioning {
    /// One word: `idle`, `asking`, `offered`, `nothing`, `absent`, `kept`, `failing`.
    pub state: String,
    /// What that means here.
    pub text: String,
}

/// A side of the hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lan {
    /// What the LAN is called.
    #[serde(default)]
    pub name: String,
    /// The link's name, as configured: `netmap:ix1`.
    pub link: String,
    /// How its rings are filled.
    pub mode: String,
    /// What the card passes on, as [`Wan::heard`].
    pub heard: Option<String>,
    /// Number of the VLAN, as [`Wan::vlan`].
    pub vlan: Option<u16>,
    /// Our Ethernet address there.
    pub mac: String,
    /// Largest packet, bytes.
    pub mtu: u16,
    /// Whether the link has a carrier.
    pub up: bool,
    /// Frames that were lost, as [`Wan::lost`].
    pub lost: u64,
    /// As [`Wan::received`].
    #[serde(default)]
    pub received: Volume,
    /// As [`Wan::sent`].
    #[serde(default)]
    pub sent: Volume,
    /// Our address on the LAN, with the network's length: `192.168.1.1/24`.
    pub ipv4: String,
    /// Leases that hold, where addresses are given; `null` where not.
    pub leases: Option<usize>,
    /// The forwarder of names; `null` where there is none.
    #[serde(default)]
    pub names: Option<Names>,
    /// Our IPv6 addresses there.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// What hosts have of the line's IPv6, those that are gone and that hosts may still have included.
    #[serde(default)]
    pub prefixes: Vec<Prefix>,
    /// Hosts are told that IPv6 packets may be sent through us.
    #[serde(default)]
    pub is_default_router: bool,
}

/// The forwarder of names for hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Who is asked, in this order as long as they answer.
    pub servers: Vec<NameServer>,
    /// Questions of hosts.
    pub questions: u64,
    /// Of these, answered without anybody else: names of hosts, and those that mean nothing outside.
    pub local: u64,
    /// Of these, answered by what was heard before.
    pub from_cache: u64,
    /// Questions that no resolver answered.
    pub unanswered: u64,
    /// Answers that were kept back: a name of the Internet with an address of a LAN.
    pub rebinding: u64,
    /// Questions that resolvers have not answered yet.
    pub open: usize,
    /// Answers that are kept.
    pub kept: usize,
    /// What they take, bytes, about.
    pub kept_bytes: usize,
}

/// A resolver that is asked for hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameServer {
    /// Its address.
    pub address: Ipv6Addr,
    /// Whether it has answered lately, or was not asked.
    pub answers: bool,
}

/// An amount of traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Ethernet frames.
    pub frames: u64,
    /// Their bytes, with the Ethernet header, without the frame check sequence.
    pub bytes: u64,
}

/// A link, and what went over it since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `wan`, or the LAN's name: `lan`.
    pub side: String,
    /// Its name, as configured.
    pub link: String,
    /// How its rings are filled.
    pub mode: String,
    /// Whether it has a carrier.
    pub up: bool,
    /// What workers took from it.
    pub received: Volume,
    /// What was given to it to send.
    pub sent: Volume,
    /// What was lost between it and the workers, by name (docs/netmap.md, docs/af_xdp.md).
    pub lost: BTreeMap<String, u64>,
}

/// How full the session table is, and how much it has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionTotals {
    /// Sessions that there are now.
    pub live: u64,
    /// The most there can be.
    pub capacity: u64,
    /// Sessions opened since the start.
    pub opened: u64,
    /// Sessions that ended since the start.
    pub expired: u64,
}

/// What a worker did since the start: frames, and bursts (what one turn takes from one link).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Worker {
    /// The worker's number, from 0.
    pub id: usize,
    /// The core it is pinned to; `null`: wherever the system puts it.
    pub core: Option<usize>,
    /// Frames that it took from its links since the start.
    pub frames: u64,
    /// Frames of these that it dropped, with any reason.
    pub dropped: u64,
    /// Frames in a burst: half of the bursts have no more.
    pub burst_frames_p50: u64,
    /// 99 of 100 bursts have no more.
    pub burst_frames_p99: u64,
    /// Nanoseconds of a burst: half of them take no longer.
    pub burst_ns_p50: u64,
    /// 99 of 100 bursts take no longer.
    pub burst_ns_p99: u64,
}

/// Somebody on a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// The LAN that it is on; `null` on the line.
    #[serde(default)]
    pub lan: Option<String>,
    /// The link that it is on, as configured.
    pub link: String,
    /// The neighbour's IP address.
    pub address: IpAddr,
    /// Its Ethernet address; `null` while it is asked for.
    pub mac: Option<String>,
    /// The state of RFC 4861 7.3.2, for IPv4 too: `incomplete`, `reachable`, `stale`, `delay`, `probe`.
    pub state: String,
    /// Since it was last heard of.
    pub age_seconds: Option<u64>,
    /// As its station calls itself to our DHCP servers.
    #[serde(default)]
    pub name: Option<String>,
}

/// The leases of the DHCP servers of a LAN, and of further LANs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leases {
    /// What the LAN is called.
    #[serde(default)]
    pub lan: String,
    /// Addresses for whoever asks; `null` where none are given.
    pub pool: Option<String>,
    /// How many addresses the pool has.
    pub pool_size: u32,
    /// All leases that hold, are offered, reserved or remembered.
    pub leases: Vec<Lease>,
    /// What is leased by DHCPv6, addresses first.
    #[serde(default)]
    pub ipv6: Vec<Lease6>,
    /// The same of further LANs.
    #[serde(default)]
    pub other_lans: Vec<Leases>,
}

/// What a client of DHCPv6 has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease6 {
    /// Addresses, `2001:db8::9`, or delegated prefixes, `2001:db8::/60`: one of each prefix that the line has.
    pub leases: Vec<String>,
    /// The Ethernet address that it asks from.
    pub mac: String,
    /// Its DHCP unique identifier, hex.
    pub duid: String,
    /// What the client calls itself.
    pub name: Option<String>,
    /// How long its lease holds.
    pub expires_seconds: u64,
}

/// A lease of the DHCPv4 server: an address and the host that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The leased IPv4 address.
    pub address: Ipv4Addr,
    /// The host's Ethernet address.
    pub mac: String,
    /// What the host calls itself, or is called in a reservation.
    pub name: Option<String>,
    /// `offered`, `bound`, `reserved`, `declined`, `expired`.
    pub state: String,
    /// How long it holds; `null` where it has no end.
    pub expires_seconds: Option<u64>,
}

/// A session of the NAPT table (RFC 4787 1): a mapping and the peer that it is used with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `tcp`, `udp`, `icmp`; the number of one that has no ports here: then all of them are 0.
    pub protocol: String,
    /// The host and its port.
    pub inside: SocketAddrV4,
    /// What the Internet sees.
    pub outside: SocketAddrV4,
    /// Who it speaks with.
    pub peer: SocketAddrV4,
    /// `established`, `transitory`, `closing`, …
    pub state: String,
    /// Since its last packet.
    pub idle_seconds: u64,
    /// Packets to the Internet; they wrap at 2^32.
    pub packets_out: u32,
    /// Packets from the Internet.
    pub packets_in: u32,
}

impl Default for Session {
    fn default() -> Self {
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        Self {
            protocol: String::new(),
            inside: nobody,
            outside: nobody,
            peer: nobody,
            state: String::new(),
            idle_seconds: 0,
            packets_out: 0,
            packets_in: 0,
        }
    }
}

/// Where packets for a prefix go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Address and length: `192.168.1.0/24`. The longest counts.
    pub prefix: String,
    /// `link` (to their hosts there), `router` (to one on a link), `tunnel`, `mesh`, `us`, `host` (its own stack), `nobody`.
    pub to: String,
    /// Which link that is: `wan`, or the LAN's name; `null` where it is none.
    pub side: Option<String>,
    /// The router's Ethernet address.
    pub station: Option<String>,
    /// Why: `lan`, `own`, `host`, `service`, `leased` (by DHCPv6, to a router behind), `static`, `delegated`, `advertised`, `found` (by neighbour
    /// discovery).
    pub origin: String,
}

/// A rule of the configuration, and what it did since it is what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its place: the first rule that fits decides.
    pub number: usize,
    /// As the configuration names it.
    pub name: String,
    /// Whose packets it is about: those of a LAN, by its name, or of `wan`.
    pub from: String,
    /// Whom they are for.
    pub to: String,
    /// What else they have to be, in words.
    pub fits: String,
    /// `accept`, `drop` or `reject`.
    pub action: String,
    /// Packets that it let open a session.
    pub accepted: u64,
    /// Packets that it dropped or rejected.
    pub refused: u64,
    /// Packets that it dropped because they came too often.
    pub over_rate: u64,
}

/// Everything that is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that workers took.
    pub received: u64,
    /// Of these, without a verdict yet.
    pub held: u64,
    /// How they ended. With `held` they are `received`, but for those that end while it is counted.
    pub verdicts: BTreeMap<String, u64>,
    /// What happened besides the verdict, by event name (docs/drop-reasons.md).
    pub events: BTreeMap<String, u64>,
    /// What the machines of the control thread counted, and what was lost at the links: by machine or link, by name.
    pub control: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The outside ports, and how far they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The address that they are of.
    pub ipv4: Ipv4Addr,
    /// The number of our share; `null` where all ports are ours.
    pub psid: Option<u16>,
    /// How many are ours.
    pub ports: u32,
    /// First and last of each range.
    pub ranges: Vec<(u16, u16)>,
    /// The static mappings in force, as `[service] forward` writes them: `tcp/443=192.168.1.10:443`.
    #[serde(default)]
    pub forwards: Vec<String>,
    /// The ports of TCP, UDP and ICMP, each for itself.
    pub protocols: Vec<ProtocolPorts>,
}

/// The ports of one protocol; of ICMP, identifiers of echo requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolPorts {
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Ports that can be used for sessions of hosts.
    pub size: u32,
    /// Ports that are kept for static mappings.
    pub forwarded: u32,
    /// Ports besides the static ones that have sessions.
    pub used: u32,
    /// Sessions on a port that others have too, towards other destinations.
    pub reused: u32,
    /// Packets that opened no session because there was no port for it.
    pub refused: u64,
    /// Packets that opened none because their host had its share.
    pub limited: u64,
}
