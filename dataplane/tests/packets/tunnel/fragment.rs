use ahash::RandomState;
use std::collections::HashSet;

use etherparse::defrag::IpDefragPool;
use etherparse::{IpNumber, Ipv6ExtensionSlice, Ipv6FragmentHeader, SlicedPacket};
use hikyaku_dataplane::tunnel::fragment::{self, FragmentIds};
use hikyaku_dataplane::verdict::Reason;
use proptest::prelude::*;

use super::{LOCAL, OUTER, REMOTE, bytes, ipv4, read4, read6, written};

fn outer(inner: &[u8], mtu: u16) -> Vec<Vec<u8>> {
    fragment::outer(OUTER, inner, mtu, 0x8765_4321).map(written).collect()
}

fn fragment_header(packet: &[u8]) -> Option<Ipv6FragmentHeader> {
    read6(packet).extensions().clone().into_iter().find_map(|extension| match extension {
        Ipv6ExtensionSlice::Fragment(f) => Some(f.to_header()),
        _ => None,
    })
}

/// What a reassembler that is not ours makes of the pieces.
fn put_together(pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut pool = IpDefragPool::<(), ()>::new();
    let mut whole = None;
    for piece in pieces {
        assert!(whole.is_none(), "complete before the last piece");
        whole = pool.process_sliced_packet(&SlicedPacket::from_ip(piece).unwrap(), (), ()).unwrap();
    }
    whole.expect("complete with the last piece").payload
}

#[test]
fn rfc8200_4_5_header_of_each_piece() {
    let inner = ipv4(&[], 0, IpNumber::UDP, &bytes(1480));
    let pieces = outer(&inner, 1500);
    assert_eq!(pieces.len(), 2);
    for (piece, offset, more) in [(&pieces[0], 0, true), (&pieces[1], 181, false)] {
        let ip = read6(piece).header().to_header();
        assert_eq!((ip.source, ip.destination), (LOCAL.0, REMOTE.0));
        assert_eq!((ip.traffic_class, ip.flow_label.value(), ip.hop_limit), (0x2e, 0xabcde, 64));
        assert_eq!(ip.next_header, IpNumber::IPV6_FRAGMENTATION_HEADER);
        let fragment = fragment_header(piece).unwrap();
        assert_eq!(fragment.next_header, IpNumber::IPV4);
        assert_eq!((fragment.fragment_offset.value(), fragment.more_fragments), (offset, more));
        assert_eq!(fragment.identification, 0x8765_4321);
    }
    assert_eq!(put_together(&pieces), inner);
}

#[test]
fn lwaftr_two_and_three_pieces_at_1280() {
    assert_eq!(outer(&bytes(1400), 1280).iter().map(Vec::len).collect::<Vec<_>>(), [1280, 216]);
    assert_eq!(outer(&bytes(2464), 1280).iter().map(Vec::len).collect::<Vec<_>>(), [1280, 1280]);
    assert_eq!(outer(&bytes(2465), 1280).iter().map(Vec::len).collect::<Vec<_>>(), [1280, 1280, 49]);
}

#[test]
fn rfc8021_no_atomic_fragments() {
    let pieces = outer(&bytes(1460), 1500);
    assert_eq!(pieces.len(), 1);
    assert!(fragment_header(&pieces[0]).is_none());
    assert_eq!(read6(&pieces[0]).payload().ip_number, IpNumber::IPV4);
    assert_eq!(read6(&pieces[0]).payload().payload, bytes(1460));
}

#[test]
fn the_last_piece_uses_what_the_eights_leave() {
    // 1497 leaves 1449 bytes: 1448 for a piece with more to follow, all of them for the last.
    let pieces = outer(&bytes(1448 + 1449), 1497);
    assert_eq!(pieces.iter().map(Vec::len).collect::<Vec<_>>(), [1496, 1497]);
    assert_eq!(put_together(&pieces), bytes(1448 + 1449));
}

#[test]
fn rfc8200_5_mtu_below_1280_is_1280() {
    assert!(outer(&bytes(3000), 0).iter().all(|piece| piece.len() <= 1280));
}

#[test]
fn rfc7739_ids_do_not_repeat_and_do_not_count_up() {
    let key = RandomState::new();
    let mut workers = [0, 1, 2].map(|worker| FragmentIds::new(key.clone(), worker, 3));
    let ids: Vec<_> = (0..60_000).map(|i| workers[i % 3].next_id()).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    let near = ids.windows(2).filter(|w| w[0].abs_diff(w[1]) < 1 << 16).count();
    assert!(near < 60, "about 2 are expected by chance, {near} found");
    let first = |_| FragmentIds::new(RandomState::new(), 0, 3).next_id();
    assert!((0..3).map(first).collect::<HashSet<_>>().len() > 1, "the same for every key");
}

fn inner(packet: &[u8], mtu: u16) -> Result<Vec<Vec<u8>>, Reason> {
    Ok(fragment::inner(packet, mtu)?.map(written).collect())
}

#[test]
fn rfc791_df_is_not_fragmented() {
    let packet = ipv4(&[], 0x4000, IpNumber::UDP, &bytes(1000));
    assert_eq!(inner(&packet, 1019), Err(Reason::TooBig));
    assert_eq!(inner(&packet, 1020), Ok(vec![packet]));
}

#[test]
fn rfc791_mtu_below_68_is_none() {
    let packet = ipv4(&[], 0, IpNumber::UDP, &bytes(100));
    assert_eq!(inner(&packet, 67), Err(Reason::TooBig));
    assert_eq!(put_together(&inner(&packet, 68).unwrap()), bytes(100));
}

#[test]
fn rfc791_3_1_only_copied_options_in_later_pieces() {
    // Record route (not copied), NOP, stream id (copied), router alert (copied), end.
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 136, 4, 0xab, 0xcd, 148, 4, 0, 0];
    let packet = ipv4(&options, 0, IpNumber::UDP, &bytes(1000));
    let pieces = inner(&packet, 576).unwrap();
    assert_eq!(read4(&pieces[0]).header().options(), options);
    assert_eq!(pieces.len(), 2);
    assert_eq!(read4(&pieces[1]).header().options(), [136, 4, 0xab, 0xcd, 148, 4, 0, 0]);
    assert_eq!(put_together(&pieces), bytes(1000));
}

#[test]
fn options_of_odd_length_are_padded() {
    let packet = ipv4(&[0x82, 3, 9, 1], 0, IpNumber::UDP, &bytes(100));
    let pieces = inner(&packet, 68).unwrap();
    assert!(pieces[1..].iter().all(|piece| read4(piece).header().options() == [0x82, 3, 9, 0]));
}

#[test]
fn options_that_lie_are_refused() {
    for options in [[0x82, 0, 0, 0], [0x82, 1, 0, 0], [0x82, 5, 0, 0], [1, 1, 1, 0x82]] {
        let packet = ipv4(&options, 0, IpNumber::UDP, &bytes(100));
        assert_eq!(inner(&packet, 68), Err(Reason::Ipv4Length));
    }
}

#[test]
fn rfc791_a_fragment_is_fragmented_further() {
    // Offset 800 bytes, and not the last.
    let pieces = inner(&ipv4(&[], 0x2000 | 100, IpNumber::UDP, &bytes(1000)), 576).unwrap();
    let found: Vec<_> = pieces
        .iter()
        .map(|piece| {
            let ip = read4(piece);
            (ip.header().fragments_offset().value(), ip.header().more_fragments(), ip.payload().payload.len())
        })
        .collect();
    assert_eq!(found, [(100, true, 552), (169, true, 448)]);
    // The last one: its last piece has no more to follow.
    let pieces = inner(&ipv4(&[], 100, IpNumber::UDP, &bytes(1000)), 576).unwrap();
    let more: Vec<_> = pieces.iter().map(|piece| read4(piece).header().more_fragments()).collect();
    assert_eq!(more, [true, false]);
}

#[test]
fn what_stands_behind_the_packet_is_not_sent() {
    let mut packet = ipv4(&[], 0, IpNumber::UDP, &bytes(600));
    packet.extend([0xff; 40]);
    assert_eq!(put_together(&inner(&packet, 576).unwrap()), bytes(600));
}

proptest! {
    #[test]
    fn outer_pieces_fit_and_make_the_packet_again(len in 20usize..=65535, mtu in 1280u16..10_000) {
        let inner = bytes(len);
        let pieces = outer(&inner, mtu);
        let room = mtu as usize - 48;
        prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu as usize));
        if len + 40 <= mtu as usize {
            prop_assert_eq!(pieces.len(), 1);
        } else {
            // As few as possible: all but the last carry a multiple of eight.
            prop_assert_eq!(pieces.len(), (len - room).div_ceil(room & !7) + 1);
            prop_assert_eq!(put_together(&pieces), inner);
        }
    }

    #[test]
    fn inner_pieces_fit_and_make_the_packet_again(
        words in 0usize..10, copied: bool, len in 0usize..3000, mtu in 68u16..2000
    ) {
        let option = [if copied { 0x9e } else { 0x1e }, 4, 1, 2];
        let packet = ipv4(&option.repeat(words), 0, IpNumber::UDP, &bytes(len));
        let pieces = inner(&packet, mtu).unwrap();
        prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu as usize));
        for piece in &pieces {
            let header = read4(piece).header().to_header();
            prop_assert_eq!((header.identification, header.time_to_live), (0xbeef, 63));
        }
        if packet.len() <= mtu as usize {
            prop_assert_eq!(pieces, [packet]);
        } else {
            prop_assert_eq!(put_together(&pieces), bytes(len));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(mut packet in prop::collection::vec(any::<u8>(), 0..200), mtu: u16, right: bool) {
        if right && packet.len() >= 60 {
            // Get past the checks of version, lengths and checksum.
            packet[0] = packet[0] & 0x0f | 0x45;
            let (header_len, len) = ((packet[0] & 15) as usize * 4, packet.len() as u16);
            packet[2..4].copy_from_slice(&len.to_be_bytes());
            packet[6] &= 0xdf;
            packet[10..12].fill(0);
            let sum = hikyaku_net::checksum::Sum::new().bytes(&packet[..header_len]).checksum();
            packet[10..12].copy_from_slice(&sum.0);
        }
        if let Ok(pieces) = inner(&packet, mtu) {
            prop_assert!(pieces.iter().all(|piece| piece.len() <= mtu as usize));
        }
    }
}
