use std::time::Duration;

use etherparse::IpNumber;
use hikyaku_dataplane::tunnel::fragment;
use hikyaku_dataplane::tunnel::reassembly::{Limits, Push, Reassembler};
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::Time;
use hikyaku_net::packet::ipv6::walk;

use super::{LOCAL, OUTER, REMOTE, bytes, ipv4, written};

/// A fragment from the border router: traffic class, next header, identification, offset, more.
pub fn piece(class: u8, next: u8, id: u32, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60 | class >> 4, class << 4, 0, 0];
    packet.extend((payload.len() as u16 + 8).to_be_bytes());
    packet.extend([44, 60]);
    packet.extend(REMOTE.0);
    packet.extend(LOCAL.0);
    packet.extend([next, 0]);
    packet.extend((offset as u16 | more as u16).to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A fragment of IPv4, Not-ECT.
fn part(id: u32, offset: usize, more: bool, payload: &[u8]) -> Vec<u8> {
    piece(0, 4, id, offset, more, payload)
}

/// What became of a fragment, and of those held earlier, with the bytes owned.
#[derive(Debug, PartialEq, Eq)]
pub enum Got {
    Held,
    Whole { packet: Vec<u8>, class: u8, fragments: u32 },
    Bad(Reason),
}

pub struct Bench {
    pub all: Reassembler,
    pub now: Time,
    /// Frames held earlier and dropped since last asked.
    pub released: Vec<(Reason, u32)>,
}

impl Bench {
    pub fn new(limits: Limits) -> Self {
        Self { all: Reassembler::new(limits), now: Time(1), released: Vec::new() }
    }

    pub fn push(&mut self, packet: &[u8]) -> Got {
        let walked = walk(packet).unwrap();
        match self.all.push(self.now, packet, &walked, |reason, n| self.released.push((reason, n))) {
            Push::Held => Got::Held,
            Push::Bad(reason) => Got::Bad(reason),
            Push::Whole(whole) => {
                assert_eq!((whole.src, whole.dst), (REMOTE, LOCAL));
                Got::Whole { packet: whole.packet.to_vec(), class: whole.class, fragments: whole.fragments }
            }
        }
    }

    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.all.expire(self.now, |reason, n| self.released.push((reason, n)));
    }

    fn released(&mut self) -> Vec<(Reason, u32)> {
        std::mem::take(&mut self.released)
    }
}

fn bench() -> Bench {
    Bench::new(Limits::default())
}

fn whole(packet: &[u8], fragments: u32) -> Got {
    Got::Whole { packet: packet.to_vec(), class: 0, fragments }
}

const BAD: Got = Got::Bad(Reason::ReassemblyBad);

#[test]
fn rfc8200_4_5_in_order_and_reversed() {
    let inner = ipv4(&[], 0, IpNumber::UDP, &bytes(2700));
    assert_eq!(inner.len(), 2720);
    let sent = hikyaku_dataplane::tunnel::Outer { src: REMOTE, dst: LOCAL, ..OUTER };
    let mut pieces: Vec<_> = fragment::outer(sent, &inner, 1280, 0xffff_fffe).map(written).collect();
    assert_eq!(pieces.len(), 3);
    let mut bench = bench();
    for reversed in [false, true] {
        assert_eq!(bench.push(&pieces[0]), Got::Held, "reversed: {reversed}");
        assert_eq!(bench.push(&pieces[1]), Got::Held);
        assert_eq!(bench.all.held(), 2);
        // Class 0x2e: DSCP 11 and ECT(0).
        assert_eq!(bench.push(&pieces[2]), Got::Whole { packet: inner.clone(), class: 0x2e, fragments: 3 });
        assert_eq!(bench.all.held(), 0);
        pieces.reverse();
    }
    assert_eq!(bench.released(), []);
}

#[test]
fn lwaftr_fifteen_fragments_with_high_bit_ids() {
    let inner = bytes(15 * 24);
    let mut bench = bench();
    for i in (1..15).rev() {
        assert_eq!(bench.push(&part(0x8000_0001, i * 24, i != 14, &inner[i * 24..][..24])), Got::Held);
    }
    assert_eq!(bench.push(&part(0x8000_0001, 0, true, &inner[..24])), whole(&inner, 15));
}

#[test]
fn rfc8200_4_5_source_destination_and_id_tell_datagrams_apart() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 0, true, &bytes(24))), Got::Held);
    assert_eq!(bench.push(&part(2, 24, false, &bytes(8))), Got::Held);
    let mut elsewhere = part(1, 24, false, &bytes(8));
    elsewhere[39] ^= 1;
    assert_eq!(bench.push(&elsewhere), Got::Held);
    let mut other_source = part(1, 24, false, &bytes(8));
    other_source[23] ^= 1;
    assert_eq!(bench.push(&other_source), Got::Held);
    assert_eq!(bench.all.held(), 4);
}

#[test]
fn rfc8200_4_5_next_header_is_the_first_fragments() {
    let mut bench = bench();
    assert_eq!(bench.push(&piece(0, 17, 1, 24, false, &[1])), Got::Held);
    assert_eq!(bench.push(&part(1, 0, true, &[2; 24])), whole(&[[2; 24].to_vec(), vec![1]].concat(), 2));
}

#[test]
fn rfc8200_4_5_length_not_a_multiple_of_eight() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 24, false, &[1])), Got::Held);
    assert_eq!(bench.push(&part(1, 0, true, &[2; 23])), BAD);
    // Only that fragment is lost.
    assert!(matches!(bench.push(&part(1, 0, true, &[2; 24])), Got::Whole { .. }));
    assert_eq!(bench.released(), []);
}

#[test]
fn rfc8200_4_5_beyond_65535() {
    let mut bench = Bench::new(Limits { max_len: 65535, datagrams: 2, ..Limits::default() });
    assert_eq!(bench.push(&part(1, 65528, false, &[1; 8])), BAD);
    assert_eq!(bench.push(&part(1, 65528, false, &[1; 7])), Got::Held);
    for at in (0..65528).step_by(8192) {
        let len = 8192.min(65528 - at);
        let got = bench.push(&part(1, at, true, &vec![at as u8; len]));
        assert_eq!(got == Got::Held, at + len != 65528);
    }
    assert_eq!(bench.all.held(), 0);
}

#[test]
fn zero_length_fragments_are_dropped() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 0, true, &[])), BAD);
    assert_eq!(bench.push(&part(1, 24, false, &[])), BAD);
    assert_eq!(bench.push(&part(1, 24, true, &[])), BAD);
    assert_eq!(bench.all.held(), 0);
}

#[test]
fn rfc7112_first_fragment_without_the_inner_header() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 16, false, &[1; 20])), Got::Held);
    assert_eq!(bench.push(&part(1, 0, true, &[2; 16])), BAD);
    // A small first fragment that holds it is fine, whatever 1280 says.
    assert_eq!(bench.push(&part(2, 0, true, &[2; 24])), Got::Held);
}

#[test]
fn rfc2473_4_1_1_options_behind_the_fragment_header() {
    // A tunnel encapsulation limit of 4, as Linux sends it.
    let options = [4, 0, 4, 1, 4, 1, 0, 0];
    let inner = bytes(40);
    let first = [&options[..], &inner[..24]].concat();
    let mut bench = bench();
    assert_eq!(bench.push(&piece(0, 60, 1, 0, true, &first)), Got::Held);
    assert_eq!(bench.push(&piece(0, 60, 1, 32, false, &inner[24..])), whole(&inner, 2));
    // Options that fill the fragment, or reach beyond it.
    assert_eq!(bench.push(&piece(0, 60, 2, 0, true, &options)), BAD);
    assert_eq!(bench.push(&piece(0, 60, 3, 0, true, &[4, 9, 4, 1, 4, 1, 0, 0])), Got::Bad(Reason::Ipv6Extension));
}

#[test]
fn only_ipv4_is_put_together() {
    let mut bench = bench();
    assert_eq!(bench.push(&piece(0, 58, 1, 0, true, &[0; 64])), Got::Bad(Reason::TunnelProtocol));
    assert_eq!(bench.push(&piece(0, 41, 1, 0, true, &[0; 64])), Got::Bad(Reason::TunnelProtocol));
    assert_eq!(bench.all.held(), 0);
}

#[test]
fn rfc5722_4_overlap_ends_the_datagram_and_what_comes_later() {
    for overlap in [
        part(1, 0, true, &[9; 32]),   // reaches into the second
        part(1, 16, true, &[9; 32]),  // straddles both
        part(1, 24, true, &[9; 24]),  // the same place, other bytes
        part(1, 24, true, &[1; 16]),  // begins alike, shorter
        part(1, 32, true, &[1; 8]),   // inside
        part(1, 24, false, &[1; 24]), // the same bytes, but now the last
        part(1, 40, true, &[1; 16]),  // its end
    ] {
        let mut bench = bench();
        assert_eq!(bench.push(&part(1, 24, true, &[1; 24])), Got::Held);
        assert_eq!(bench.push(&part(1, 64, false, &[3; 5])), Got::Held);
        assert_eq!(bench.push(&overlap), BAD);
        assert_eq!(bench.released(), [(Reason::ReassemblyBad, 2)]);
        assert_eq!(bench.all.held(), 0);
        // Including those not yet received.
        assert_eq!(bench.push(&part(1, 0, true, &[0; 24])), BAD);
        assert_eq!(bench.push(&part(1, 48, true, &[2; 16])), BAD);
        bench.wait(Duration::from_secs(2));
        assert_eq!(bench.released(), [], "counted once");
        assert_eq!(bench.push(&part(1, 0, true, &[0; 24])), Got::Held, "forgotten in the end");
    }
}

#[test]
fn rfc8200_4_5_exact_duplicates_are_ignored() {
    let mut bench = bench();
    let pieces = [part(1, 0, true, &[1; 24]), part(1, 24, true, &[2; 8]), part(1, 32, false, &[3; 3])];
    for i in [2, 0] {
        assert_eq!(bench.push(&pieces[i]), Got::Held);
        assert_eq!(bench.push(&pieces[i]), Got::Bad(Reason::ReassemblyDuplicate));
    }
    assert_eq!(bench.push(&pieces[2]), Got::Bad(Reason::ReassemblyDuplicate));
    assert_eq!(bench.all.held(), 2);
    assert_eq!(bench.push(&pieces[1]), whole(&[[1; 24].as_slice(), &[2; 8], &[3; 3]].concat(), 3));
    assert_eq!(bench.released(), []);
}

#[test]
fn pieces_that_contradict_the_end() {
    for (first, second) in [
        (part(1, 64, false, &[1; 8]), part(1, 80, true, &[1; 8])), // behind the last
        (part(1, 64, false, &[1; 8]), part(1, 80, false, &[1; 8])), // another last, behind
        (part(1, 64, false, &[1; 8]), part(1, 32, false, &[1; 8])), // another last, before
        (part(1, 64, true, &[1; 8]), part(1, 32, false, &[1; 8])), // the last before another
        (part(1, 64, false, &[1; 8]), part(1, 56, true, &[1; 24])), // over the end
    ] {
        let mut bench = bench();
        assert_eq!(bench.push(&first), Got::Held);
        assert_eq!(bench.push(&second), BAD);
        assert_eq!(bench.released(), [(Reason::ReassemblyBad, 1)]);
    }
}

#[test]
fn rfc6946_atomic_fragments_are_handled_alone() {
    let mut bench = bench();
    let inner = bytes(40);
    assert_eq!(bench.push(&part(1, 0, true, &[1; 24])), Got::Held);
    assert_eq!(bench.push(&part(1, 0, false, &inner)), whole(&inner, 1));
    assert_eq!(bench.all.held(), 1, "others of the same id are none of its business");
    assert_eq!(bench.push(&part(1, 24, false, &[2; 1])), whole(&[[1; 24].as_slice(), &[2]].concat(), 2));
    assert_eq!(bench.push(&part(2, 0, false, &inner[..19])), BAD);
}

#[test]
fn a_packet_without_fragment_header_is_whole() {
    let mut packet = part(1, 0, false, &[]);
    packet[6] = 4;
    packet.truncate(40);
    packet.extend(bytes(30));
    packet[5] = 30;
    assert_eq!(bench().push(&packet), whole(&bytes(30), 1));
}

#[test]
fn rfc3168_5_3_marks_of_all_fragments() {
    for (marks, expected) in [
        ([0xb8, 0x00], Got::Whole { packet: vec![0; 25], class: 0xb8, fragments: 2 }),
        ([0xba, 0x03], Got::Whole { packet: vec![0; 25], class: 0xbb, fragments: 2 }),
        ([0xbb, 0x02], Got::Whole { packet: vec![0; 25], class: 0xbb, fragments: 2 }),
        ([0x00, 0x03], Got::Bad(Reason::TunnelEcn)),
    ] {
        for first in [true, false] {
            let mut bench = bench();
            let mut pieces = [piece(marks[0], 4, 1, 0, true, &[0; 24]), piece(marks[1], 4, 1, 24, false, &[0])];
            if !first {
                pieces.reverse();
            }
            assert_eq!(bench.push(&pieces[0]), Got::Held);
            assert_eq!(bench.push(&pieces[1]), expected);
            let lost = matches!(expected, Got::Bad(_));
            assert_eq!(bench.released(), if lost { vec![(Reason::TunnelEcn, 1)] } else { vec![] });
            assert_eq!(bench.all.held(), 0);
        }
    }
}

#[test]
fn timeout_counts_from_the_first_piece() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 0, true, &[1; 24])), Got::Held);
    bench.wait(Duration::from_millis(1500));
    assert_eq!(bench.push(&part(1, 24, true, &[1; 8])), Got::Held);
    assert_eq!(bench.push(&part(2, 0, true, &[1; 24])), Got::Held);
    bench.wait(Duration::from_millis(499));
    assert_eq!(bench.released(), []);
    bench.wait(Duration::from_millis(1));
    assert_eq!(bench.released(), [(Reason::ReassemblyTimeout, 2)]);
    assert_eq!(bench.all.held(), 1);
    // Too late: it starts anew.
    assert_eq!(bench.push(&part(1, 32, false, &[1; 8])), Got::Held);
}

#[test]
fn the_oldest_makes_room() {
    let mut bench = Bench::new(Limits { datagrams: 3, ..Limits::default() });
    for id in 0..3 {
        assert_eq!(bench.push(&part(id, 0, true, &[id as u8; 24])), Got::Held);
    }
    assert_eq!(bench.push(&part(0, 24, true, &[0; 8])), Got::Held);
    assert_eq!(bench.push(&part(3, 0, true, &[3; 24])), Got::Held);
    assert_eq!(bench.released(), [(Reason::ReassemblyFull, 2)]);
    for id in 1..4 {
        assert!(matches!(bench.push(&part(id, 24, false, &[0])), Got::Whole { .. }), "{id}");
    }
    assert_eq!(bench.all.held(), 0);
}

#[test]
fn one_that_was_given_up_makes_room_without_being_counted_again() {
    let mut bench = Bench::new(Limits { datagrams: 1, ..Limits::default() });
    assert_eq!(bench.push(&part(1, 0, true, &[1; 24])), Got::Held);
    assert_eq!(bench.push(&part(1, 0, true, &[2; 24])), BAD);
    assert_eq!(bench.released(), [(Reason::ReassemblyBad, 1)]);
    assert_eq!(bench.push(&part(2, 0, true, &[2; 24])), Got::Held);
    assert_eq!(bench.released(), []);
}

#[test]
fn larger_than_the_place_for_it() {
    let mut bench = bench();
    assert_eq!(bench.push(&part(1, 0, true, &[1; 1232])), Got::Held);
    assert_eq!(bench.push(&part(1, 4088, false, &[1; 9])), Got::Bad(Reason::ReassemblyFull));
    assert_eq!(bench.released(), [(Reason::ReassemblyFull, 1)]);
    assert_eq!(bench.push(&part(2, 4088, false, &[1; 8])), Got::Held);
    assert_eq!(bench.push(&part(3, 8000, true, &[1; 8])), Got::Bad(Reason::ReassemblyFull));
    assert_eq!(bench.push(&part(3, 0, true, &[1; 24])), BAD, "nor what follows");
}

#[test]
fn more_pieces_than_anybody_needs() {
    let mut bench = bench();
    for i in 0..64 {
        assert_eq!(bench.push(&part(1, 24 + i * 16, true, &[1; 8])), Got::Held);
    }
    assert_eq!(bench.push(&part(1, 0, true, &[1; 24])), BAD);
    assert_eq!(bench.released(), [(Reason::ReassemblyBad, 64)]);
}

#[test]
fn drained_at_the_end() {
    let mut bench = bench();
    for id in 0..5 {
        assert_eq!(bench.push(&part(id, 0, true, &[1; 24])), Got::Held);
    }
    assert_eq!(bench.all.held(), 5);
    bench.all.drain(|reason, n| bench.released.push((reason, n)));
    assert_eq!(bench.released(), [(Reason::ReassemblyTimeout, 1); 5]);
    assert_eq!(bench.all.held(), 0);
}

#[test]
fn what_walk_did_not_see_is_refused() {
    let packet = part(1, 0, true, &[1; 24]);
    let walked = walk(&packet).unwrap();
    let mut all = Reassembler::new(Limits::default());
    for len in 0..packet.len() {
        assert!(matches!(all.push(Time(0), &packet[..len], &walked, |_, _| ()), Push::Bad(_)));
    }
    let nobody = Limits { datagrams: 0, max_len: 0, timeout: Duration::ZERO };
    let mut none = Reassembler::new(nobody);
    assert_eq!(none.push(Time(0), &packet, &walked, |_, _| ()), Push::Bad(Reason::ReassemblyFull));
}
