//! Established transfers that an attack must not harm: every packet of theirs has to leave, as it should.

use std::collections::BTreeMap;

use hikyaku_dataplane::verdict::Verdict;
use hikyaku_ring::LinkId;

use super::packets::{ACK, End, Packet, SYN, bytes, from_lan, from_wan, inner, tcp, tunnelled, udp};
use super::router::{CLIENT, LAN, OTHER_CLIENT, Out, Router, WAN};

/// How many there are.
pub const TRANSFERS: usize = 1000;

/// Bytes that each of their packets carries: nothing else does.
const DATA: usize = 201;

/// A connection, or datagrams to and fro.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    is_tcp: bool,
    inside: End,
    outside: End,
    peer: End,
}

impl Transfer {
    fn packet(&self, from: End, to: End, number: u32) -> Packet {
        let mut data = bytes(DATA);
        data[..4].copy_from_slice(&number.to_be_bytes());
        if self.is_tcp { tcp(from, to, ACK, &data) } else { udp(from, to, &data) }
    }
}

/// All of them, and the router that carries them.
pub struct Transfers {
    pub router: Router,
    all: Vec<Transfer>,
    sent: u32,
    round: usize,
}

/// The IPv4 packet in a frame that left, if one is in it whole.
fn packet(link: LinkId, frame: &[u8]) -> Option<&[u8]> {
    match link {
        LAN => frame.get(14..),
        _ => (frame.get(20) == Some(&4)).then(|| tunnelled(frame).2),
    }
}

impl Transfers {
    /// Opens them: TCP by a handshake, UDP by a datagram, its answer and another.
    pub fn new(mut router: Router) -> Self {
        let make = |is_tcp, from, to, flags| if is_tcp { tcp(from, to, flags, &[]) } else { udp(from, to, &[1]) };
        let mut all: Vec<_> = (0..TRANSFERS as u16)
            .map(|n| Transfer {
                is_tcp: n % 2 == 0,
                inside: (if n % 3 == 0 { OTHER_CLIENT } else { CLIENT }, 20_000 + n),
                outside: ([0; 4], 0),
                peer: ([203, 0, 113, (n % 200) as u8 + 1], 443),
            })
            .collect();
        let first = router.play(LAN, all.iter().map(|t| from_lan(&make(t.is_tcp, t.inside, t.peer, SYN))));
        // They leave in the order in which they came.
        for (transfer, left) in all.iter_mut().zip(&first.wan) {
            transfer.outside = inner(left).src();
        }
        let second = router.play(WAN, all.iter().map(|t| from_wan(&make(t.is_tcp, t.peer, t.outside, SYN | ACK))));
        let third = router.play(LAN, all.iter().map(|t| from_lan(&make(t.is_tcp, t.inside, t.peer, ACK))));
        assert_eq!((first.wan.len(), second.lan.len(), third.wan.len()), (TRANSFERS, TRANSFERS, TRANSFERS));
        Self { router, all, sent: 0, round: 0 }
    }

    /// One packet of each transfer, every second one the other way, and these frames evenly among those that come in
    /// on the same side. All of the transfers' must leave as they should. Answers what became of the others.
    #[track_caller]
    pub fn among(&mut self, side: LinkId, frames: &[Vec<u8>]) -> Out {
        let mut arrivals = [Vec::new(), Vec::new()];
        let mut wanted = [BTreeMap::new(), BTreeMap::new()];
        for (n, transfer) in self.all.iter().enumerate() {
            let Transfer { inside, outside, peer, .. } = *transfer;
            self.sent += 1;
            let (link, frame, left) = if (n + self.round).is_multiple_of(2) {
                let sent = from_lan(&transfer.packet(inside, peer, self.sent));
                (LAN, sent, transfer.packet(outside, peer, self.sent))
            } else {
                let sent = from_wan(&transfer.packet(peer, outside, self.sent));
                (WAN, sent, transfer.packet(peer, inside, self.sent))
            };
            arrivals[link.index()].push(frame);
            wanted[1 - link.index()].insert(self.sent, left.ttl(63).bytes());
        }
        self.round += 1;
        let own = std::mem::take(&mut arrivals[side.index()]);
        let each = frames.len().div_ceil(own.len());
        let mut attack = frames.iter().cloned();
        for frame in own {
            arrivals[side.index()].push(frame);
            arrivals[side.index()].extend(attack.by_ref().take(each));
        }
        let mut out = Out::default();
        for link in [LAN, WAN] {
            let part = self.router.play(link, &arrivals[link.index()]);
            out.lan.extend(part.lan);
            out.wan.extend(part.wan);
            part.verdicts.into_iter().for_each(|(verdict, n)| add(&mut out.verdicts, verdict, n));
        }
        for (link, frames) in [(LAN, &mut out.lan), (WAN, &mut out.wan)] {
            let wanted = &mut wanted[link.index()];
            frames.retain(|frame| {
                let Some(packet) = packet(link, frame) else { return true };
                let transport = if packet[9] == 6 { 20 } else { 8 };
                if packet.len() != 20 + transport + DATA {
                    return true;
                }
                let number = u32::from_be_bytes(packet[20 + transport..][..4].try_into().unwrap());
                assert_eq!(wanted.remove(&number).as_deref(), Some(packet), "a transfer's packet {number}");
                false
            });
            assert!(wanted.is_empty(), "transfers lost {} packets: {:?}", wanted.len(), out.verdicts);
        }
        // What is left are the others' verdicts.
        for verdict in [Verdict::Outbound, Verdict::Inbound] {
            let all = out.verdicts.iter_mut().find(|(v, _)| *v == verdict).expect("half of them each way");
            all.1 -= TRANSFERS as u64 / 2;
        }
        out.verdicts.retain(|&(_, n)| n > 0);
        out
    }
}

fn add(verdicts: &mut Vec<(Verdict, u64)>, verdict: Verdict, n: u64) {
    match verdicts.iter_mut().find(|(v, _)| *v == verdict) {
        Some((_, sum)) => *sum += n,
        None => verdicts.push((verdict, n)),
    }
}
