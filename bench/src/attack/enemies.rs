//! The attacks, one after the other: what is sent, into a router of which kind, and who else is watched.

use std::net::Ipv6Addr;
use std::sync::LazyLock;

use hikyaku_dataplane::napt::{Config, Endpoint, Filtering, Hasher, Key, LanId};
use hikyaku_net::packet::{Ipv4, Tcp};
use hikyaku_net::{Addr4, Port, PortSet, protocol};

use super::frames::{Ip, icmp, icmpv6, in_tunnel, on_lan, outer, piece, tcp, udp};
use super::{TABLE, TRANSFERS};
use crate::rig::Rig;
use crate::traffic::{BR, CE, Flow, OUTSIDE, ROUTER, host, mix};

/// Where a frame comes in: 0 the LAN, 1 the line.
pub type Arrival = (usize, Vec<u8>);

/// An attack on a router that carries transfers.
pub struct Attack {
    /// The name by which it is asked for on the command line.
    pub name: &'static str,
    /// What happens, in a line.
    pub what: &'static str,
    /// The table that it is aimed at.
    pub table: fn(&mut Config),
    /// Its frame number `n`.
    pub frame: fn(u64) -> Arrival,
    /// Somebody honest to whom it could happen, besides the transfers.
    pub bystander: Option<Bystander>,
}

/// Somebody honest, who tries something once in a round.
#[derive(Clone, Copy)]
pub struct Bystander {
    /// What is tried, in a line.
    pub what: &'static str,
    /// The frames of try number `n`.
    pub frames: fn(&Rig, u64) -> Vec<Arrival>,
    /// How far apart they are: attack frames between two of them.
    pub apart: usize,
    /// Whether a frame that left is what was to come of it.
    pub is_done: fn(&[u8]) -> bool,
}

/// All of them but the expiry, which is no packet.
pub static ATTACKS: &[Attack] = &[
    Attack {
        name: "syn-flood-inside",
        what: "LAN hosts open connections to random addresses",
        table: |_| (),
        frame: |n| from_inside(n, |from, to| tcp(from, to, Tcp::SYN), protocol::TCP),
        bystander: None,
    },
    Attack {
        name: "udp-spray-inside",
        what: "LAN hosts send datagrams from and to random ports",
        table: |_| (),
        frame: |n| from_inside(n, |from, to| udp(from, to, 18), protocol::UDP),
        bystander: None,
    },
    Attack {
        name: "syn-flood-outside",
        what: "SYNs from random addresses to random ports of ours",
        table: |_| (),
        frame: |n| from_outside(n, |from, to| tcp(from, to, Tcp::SYN), protocol::TCP),
        bystander: None,
    },
    Attack {
        name: "udp-spray-outside",
        what: "datagrams from random addresses to random ports of ours",
        table: |_| (),
        frame: |n| from_outside(n, |from, to| udp(from, to, 18), protocol::UDP),
        bystander: None,
    },
    Attack {
        name: "spray-mapped",
        what: "SYNs and datagrams from random addresses to the very ports that the transfers have",
        table: |_| (),
        frame: |n| {
            // A flow has its inside port outside as well, unless another one was there first.
            let flow = Flow::new((n % u64::from(TRANSFERS)) as u32);
            let (from, to) = (port(mix(n)), flow.inside_port);
            let transport = match flow.protocol {
                protocol::TCP => tcp(from, to, Tcp::SYN),
                _ => udp(from, to, 18),
            };
            let ip = Ip::new(flow.protocol, somewhere(mix(n) >> 32), OUTSIDE.into());
            (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&transport)))
        },
        bystander: None,
    },
    Attack {
        name: "udp-spray-outside-open",
        what: "the same where anybody may send to a mapping (filtering endpoint-independent)",
        table: |config| config.filtering = Filtering::EndpointIndependent,
        frame: |n| from_outside(n, |from, to| udp(from, to, 18), protocol::UDP),
        bystander: Some(NEWCOMER),
    },
    Attack {
        name: "one-host",
        what: "one host opens sessions without end; a host may have 1,024 (per-host)",
        table: |config| config.per_host = Some(1024),
        frame: |n| {
            let x = mix(n);
            let datagram = udp(port(x), port(x >> 16), 18);
            (0, on_lan(0, &Ip::new(protocol::UDP, host(0), somewhere(x >> 32)).packet(&datagram)))
        },
        bystander: Some(NEWCOMER),
    },
    Attack {
        name: "port-search",
        what: "one host of a line with 1,008 ports wants more than those towards 60 servers, no per-host limit",
        table: |config| config.ports = PortSet::new(6, 6, 17).expect("ports"),
        frame: |n| {
            let server = Addr4([198, 18, 0, (n % 60) as u8]);
            let datagram = udp(Port::from(1024 + (n / 60 % 60_000) as u16), 443.into(), 18);
            (0, on_lan(0, &Ip::new(protocol::UDP, host(0), server).packet(&datagram)))
        },
        bystander: Some(NEWCOMER),
    },
    Attack {
        name: "hash-collisions",
        what: "flows that would meet in few places of a table with another secret, or with none",
        table: |_| (),
        frame: |n| {
            let flow = CHOSEN[n as usize % CHOSEN.len()];
            let datagram = udp(flow.0.port, flow.1.port, 18);
            (0, on_lan(0, &Ip::new(protocol::UDP, flow.0.addr, flow.1.addr).packet(&datagram)))
        },
        bystander: None,
    },
    Attack {
        name: "fragments-inside",
        what: "later fragments from LAN hosts, whose first ones never come",
        table: |_| (),
        frame: |n| {
            let ip = Ip { id: n as u16, fragment: 185, ..Ip::new(protocol::UDP, host(n as u32), somewhere(mix(n))) };
            (0, on_lan(n as u32, &ip.packet(&[0; 26])))
        },
        bystander: Some(Bystander {
            what: "a LAN host's packet in two fragments, the first one first",
            frames: |rig, n| first_and_last(rig, n),
            apart: 300,
            is_done: |frame| frame.get(20) == Some(&4) && frame.len() == 54 + 20 + 777,
        }),
    },
    Attack {
        name: "fragments-outside",
        what: "the same through the tunnel",
        table: |_| (),
        frame: |n| {
            let ip = Ip { id: n as u16, fragment: 185, ..Ip::new(protocol::UDP, somewhere(mix(n)), OUTSIDE.into()) };
            (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&[0; 26])))
        },
        bystander: None,
    },
    Attack {
        name: "fragments-tunnel",
        what: "first pieces of tunnel packets, forged in the border router's name, whose rest never comes",
        table: |_| (),
        frame: |n| {
            let packet = Ip::new(protocol::UDP, somewhere(mix(n)), OUTSIDE.into()).packet(&[0; 28]);
            (1, in_tunnel(BR, protocol::FRAGMENT, &piece(n as u32, 0, true, &packet)))
        },
        bystander: Some(Bystander {
            what: "a tunnel packet in two pieces, 100 forged ones between them",
            frames: |rig, n| two_pieces(rig, n),
            apart: 100,
            is_done: |frame| frame.len() == 14 + 20 + 1400,
        }),
    },
    Attack {
        name: "fragments-tunnel-late",
        what: "the same, but more of them between the two pieces than there is memory for",
        table: |_| (),
        frame: |n| {
            let packet = Ip::new(protocol::UDP, somewhere(mix(n)), OUTSIDE.into()).packet(&[0; 28]);
            (1, in_tunnel(BR, protocol::FRAGMENT, &piece(n as u32, 0, true, &packet)))
        },
        bystander: Some(Bystander {
            what: "a tunnel packet in two pieces, 300 forged ones between them",
            frames: |rig, n| two_pieces(rig, n),
            apart: 300,
            is_done: |frame| frame.len() == 14 + 20 + 1400,
        }),
    },
    Attack {
        name: "spoofed-tunnel",
        what: "tunnel packets and pieces of some from other sources than the border router",
        table: |_| (),
        frame: |n| {
            let src = Ipv6Addr::from_bits(BR.to_bits() + 1 + u128::from(n));
            let packet = Ip::new(protocol::UDP, somewhere(mix(n)), OUTSIDE.into()).packet(&udp(port(n), port(n), 18));
            match n % 2 {
                0 => (1, in_tunnel(src, protocol::IPV4, &packet)),
                _ => (1, in_tunnel(src, protocol::FRAGMENT, &piece(n as u32, 0, true, &packet[..40]))),
            }
        },
        bystander: None,
    },
    Attack {
        name: "spoofed-inside",
        what: "packets of LAN hosts in the name of others: of the Internet, of the router, of nobody",
        table: |_| (),
        frame: |n| {
            let src = [somewhere(mix(n)), ROUTER, OUTSIDE.into(), Addr4([127, 0, 0, 1]), Addr4([0; 4])];
            let ip = Ip::new(protocol::UDP, src[n as usize % src.len()], somewhere(mix(n) >> 9));
            (0, on_lan(n as u32, &ip.packet(&udp(port(n), port(n), 18))))
        },
        bystander: None,
    },
    Attack {
        name: "to-nobody",
        what: "tunnel packets to the router's own address, to LAN hosts, to martians",
        table: |_| (),
        frame: |n| {
            let dst = [
                ROUTER,
                host(n as u32),
                Addr4([192, 168, 1, 255]),
                Addr4([127, 0, 0, 1]),
                Addr4([224, 0, 0, 1]),
                Addr4([255; 4]),
                Addr4([0; 4]),
                Addr4([10, 0, 0, 1]),
            ];
            let ip = Ip::new(protocol::UDP, somewhere(mix(n)), dst[n as usize % dst.len()]);
            (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&udp(port(n), port(n), 18))))
        },
        bystander: None,
    },
    Attack {
        name: "to-router",
        what: "LAN hosts send to the router's own address: all of it is for the control thread, which sleeps",
        table: |_| (),
        frame: |n| {
            let ip = Ip::new(protocol::UDP, host(n as u32), ROUTER);
            (0, on_lan(n as u32, &ip.packet(&udp(port(n), port(n), 18))))
        },
        bystander: None,
    },
    Attack {
        name: "ttl",
        what: "TTL 0 and 1, from both sides",
        table: |_| (),
        frame: |n| {
            let (ttl, datagram) = ((n / 2 % 2) as u8, udp(port(n), port(n), 18));
            match n % 2 {
                0 => {
                    let ip = Ip { ttl, ..Ip::new(protocol::UDP, host(n as u32), somewhere(mix(n))) };
                    (0, on_lan(n as u32, &ip.packet(&datagram)))
                }
                _ => {
                    let ip = Ip { ttl, ..Ip::new(protocol::UDP, somewhere(mix(n)), OUTSIDE.into()) };
                    (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&datagram)))
                }
            }
        },
        bystander: None,
    },
    Attack {
        name: "land",
        what: "SYNs from an address and port to the same: ours, a host's, the router's",
        table: |_| (),
        frame: |n| {
            let addr = [OUTSIDE.into(), host(n as u32), ROUTER][n as usize / 2 % 3];
            let packet = Ip::new(protocol::TCP, addr, addr).packet(&tcp(port(n), port(n), Tcp::SYN));
            match n % 2 {
                0 => (0, on_lan(n as u32, &packet)),
                _ => (1, in_tunnel(BR, protocol::IPV4, &packet)),
            }
        },
        bystander: None,
    },
    Attack {
        name: "icmp-storm",
        what: "errors about nothing that was sent, inside and about the tunnel; echo requests from everywhere",
        table: |_| (),
        frame: |n| {
            let about = Ip::new(protocol::UDP, OUTSIDE.into(), somewhere(mix(n))).packet(&udp(port(n), port(n), 0));
            let from = somewhere(mix(n) >> 7);
            match n % 4 {
                0 => {
                    let ip = Ip::new(protocol::ICMP, from, OUTSIDE.into());
                    (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&icmp(3, 1, 0, &about))))
                }
                1 => {
                    let sent = outer(CE, BR, protocol::IPV4, &about);
                    (1, in_tunnel(BR, protocol::ICMPV6, &icmpv6(BR, 2, 1280, &sent)))
                }
                2 => {
                    let ip = Ip::new(protocol::ICMP, from, OUTSIDE.into());
                    (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&icmp(8, 0, n as u32, &[0; 18]))))
                }
                _ => {
                    let ip = Ip::new(protocol::ICMP, host(n as u32), ROUTER);
                    (0, on_lan(n as u32, &ip.packet(&icmp(8, 0, n as u32, &[0; 18]))))
                }
            }
        },
        bystander: None,
    },
];

/// A host that opens a session to somebody new.
const NEWCOMER: Bystander = Bystander {
    what: "another host's new session",
    frames: |_, n| {
        let ip = Ip::new(protocol::UDP, host(7), Addr4([198, 51, 100, n as u8]));
        vec![(0, on_lan(7, &ip.packet(&udp(Port::from(1024 + (n >> 8) as u16), 443.into(), 18))))]
    },
    apart: 0,
    is_done: |frame| frame.get(70..73) == Some(&[198, 51, 100]),
};

fn port(x: u64) -> Port {
    (1024 + (x & 0xffff) as u16 % 64512).into()
}

/// A host of the Internet that is none of our peers.
fn somewhere(x: u64) -> Addr4 {
    Addr4([11 + (x % 80) as u8, (x >> 8) as u8, (x >> 16) as u8, (x >> 24) as u8])
}

fn from_inside(n: u64, transport: impl Fn(Port, Port) -> Vec<u8>, protocol: u8) -> Arrival {
    let x = mix(n);
    let ip = Ip::new(protocol, host(n as u32), somewhere(x >> 32));
    (0, on_lan(n as u32, &ip.packet(&transport(port(x), port(x >> 16)))))
}

fn from_outside(n: u64, transport: impl Fn(Port, Port) -> Vec<u8>, protocol: u8) -> Arrival {
    let x = mix(n);
    let ip = Ip::new(protocol, somewhere(x >> 32), OUTSIDE.into());
    (1, in_tunnel(BR, protocol::IPV4, &ip.packet(&transport(port(x), port(x >> 16)))))
}

/// Of three kinds: addresses that follow one another; addresses with the same lower half; what a table of this size
/// with a secret that the enemy knows would put into 16 of its buckets.
static CHOSEN: LazyLock<Vec<(Endpoint, Endpoint)>> = LazyLock::new(|| {
    const EACH: u32 = 15_000;
    let inside = Endpoint::new(host(0), 4242);
    let peer = |addr: u32| Endpoint::new(Addr4(addr.to_be_bytes()), 443);
    let in_sequence = (0..EACH).map(|n| peer(0x0b00_0000 + n));
    let alike = (0..EACH).map(|n| peer(0x0c00_0001 + (n << 16)));
    let known = Hasher::with_seed([5, 6, 7, 8]);
    let meets = |&peer: &Endpoint| {
        let key = Key::outbound(LanId::default(), protocol::UDP, inside, peer);
        key.hash(&known).primary(TABLE / 4 - 1) < 16
    };
    let meeting = (0u32..).map(|n| peer(0x4000_0000 + n)).filter(meets);
    in_sequence.chain(alike).chain(meeting.take(EACH as usize)).map(|peer| (inside, peer)).collect()
});

/// A packet of a transfer's peer that the border router has cut in two.
fn two_pieces(rig: &Rig, n: u64) -> Vec<Arrival> {
    let flow = udp_flow(n);
    let (dst, to) = rig.outside_of(flow.0, &flow.1);
    let packet = Ip::new(protocol::UDP, flow.1.peer, dst).packet(&udp(flow.1.peer_port, to, 1392));
    let (a, b) = packet.split_at(800);
    let id = 0x8000_0000 + n as u32;
    [piece(id, 0, true, a), piece(id, 800, false, b)]
        .map(|piece| (1, in_tunnel(BR, protocol::FRAGMENT, &piece)))
        .to_vec()
}

/// A packet of a transfer's host in two fragments.
fn first_and_last(_: &Rig, n: u64) -> Vec<Arrival> {
    let (_, flow) = udp_flow(n);
    let whole = udp(flow.inside_port, flow.peer_port, 800 + 777 - 8);
    let ip = Ip { id: n as u16, ..Ip::new(protocol::UDP, flow.inside, flow.peer) };
    let first = Ip { fragment: Ipv4::MF, ..ip }.packet(&whole[..800]);
    let last = Ip { fragment: 100, ..ip }.packet(&whole[800..]);
    let n = u32::from(flow.inside.0[3]) - 1;
    [first, last].map(|packet| (0, on_lan(n, &packet))).to_vec()
}

/// One of the transfers that are UDP.
fn udp_flow(n: u64) -> (u32, Flow) {
    let first = (n % 500) as u32;
    let flows = (first..).map(|n| (n, Flow::new(n)));
    flows.into_iter().find(|(_, flow)| flow.protocol == protocol::UDP).expect("half of them are")
}
