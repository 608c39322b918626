//! The demo's own judges: if they are wrong, so is what they say of the router.

use std::net::Ipv4Addr;

use etherparse::{Icmpv4Type, PacketBuilder};
use hikyaku::demo::datagram::{Datagram, End, Endpoint, Pieces};
use proptest::prelude::*;

const HOST: [u8; 4] = [192, 168, 1, 10];
const PEER: [u8; 4] = [198, 51, 100, 7];

fn datagram(kind: usize, sport: u16, dport: u16, payload: &[u8]) -> Datagram {
    let ip = PacketBuilder::ipv4(HOST, PEER, 64);
    let mut packet = Vec::new();
    match kind {
        0 => ip.udp(sport, dport).write(&mut packet, payload),
        1 => ip.tcp(sport, dport, 7, 1000).write(&mut packet, payload),
        2 => ip.icmpv4_echo_request(sport, dport).write(&mut packet, payload),
        _ => {
            // The host complains of a packet that the peer sent.
            let mut quoted = Vec::new();
            PacketBuilder::ipv4(PEER, HOST, 3).udp(dport, sport).write(&mut quoted, payload).unwrap();
            ip.icmpv4(Icmpv4Type::TimeExceeded(etherparse::icmpv4::TimeExceededCode::TtlExceededInTransit))
                .write(&mut packet, &quoted)
        }
    }
    .unwrap();
    Datagram(packet)
}

proptest! {
    #[test]
    fn there_and_back_is_where_it_was(
        kind in 0..4usize, sport in 1u16.., dport: u16, to: u32, port in 1u16..,
        payload in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        let sent = datagram(kind, sport, dport, &payload);
        prop_assert_eq!(sent.check(), Ok(()));
        let inside = sent.end(End::Source);
        prop_assert_eq!(inside, Endpoint { addr: HOST.into(), port: sport });
        let outside = Endpoint { addr: Ipv4Addr::from(to), port };
        let mut moved = sent.clone();
        moved.translate(End::Source, outside);
        prop_assert_eq!(moved.end(End::Source), outside);
        prop_assert_eq!(moved.check(), Ok(()));
        moved.translate(End::Source, inside);
        prop_assert_eq!(moved, sent);
    }

    #[test]
    fn any_flipped_bit_of_a_packet_is_seen(kind in 0..4usize, payload in prop::collection::vec(any::<u8>(), 0..40), at: prop::sample::Index, bit in 0..8u8) {
        let sent = datagram(kind, 1000, 2000, &payload);
        let at = at.index(sent.0.len());
        // Not where it changes what the packet is: version, length, total length, flags, protocol.
        prop_assume!(![0, 2, 3, 6, 7, 9].contains(&at));
        let mut changed = sent.clone();
        changed.0[at] ^= 1 << bit;
        prop_assert!(changed.check().is_err() || changed.protocol() == 17 && changed.body()[6..8] == [0, 0], "byte {at}");
    }

    #[test]
    fn pieces_make_the_whole_in_any_order(
        payload in prop::collection::vec(any::<u8>(), 1..4000), size in 1..100usize, order: prop::sample::Selector, twice: prop::sample::Index
    ) {
        let size = size * 8;
        let mut cut: Vec<_> = payload.chunks(size).enumerate()
            .map(|(i, piece)| (i * size, (i + 1) * size < payload.len(), piece.to_vec())).collect();
        let n = cut.len();
        cut.sort_by_cached_key(|_| order.select(0..1000));
        let again = cut[twice.index(n)].clone();
        if n > 1 {
            cut.insert(n - 1, again);
        }
        let mut pieces = Pieces::default();
        let add = |(offset, more, piece): &(usize, bool, Vec<u8>)| pieces.add(vec![1], *offset, *more, piece);
        let wholes: Vec<_> = cut.iter().filter_map(add).collect();
        prop_assert_eq!(wholes, [payload]);
    }
}
