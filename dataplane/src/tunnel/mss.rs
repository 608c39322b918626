//! The TCP maximum segment size, lowered to what the tunnel carries whole.
//!
//! An absent option is left absent. Without it a peer sends segments of at most 536 bytes
//! (RFC 9293 3.7.1), which fit any tunnel: adding the option could only make segments larger.

use hikyaku_net::checksum::Delta;
use hikyaku_net::packet::Tcp;
use zerocopy::FromBytes;

/// The largest segment that fits inner packets of `mtu` bytes: headers without options off
/// (RFC 9293 3.7.1).
pub const fn limit(mtu: u16) -> u16 {
    mtu.saturating_sub(40)
}

/// Lowers the MSS option of a SYN to `limit`, checksum included. Says whether it did.
///
/// `tcp` begins at the TCP header and reaches as far as the bytes do; what follows the header is
/// not looked at. Never raises, never adds, leaves malformed options and all behind them alone.
pub fn clamp(tcp: &mut [u8], limit: u16) -> bool {
    const END: u8 = 0;
    const NOP: u8 = 1;
    const MSS: u8 = 2;
    let Ok((header, rest)) = Tcp::mut_from_prefix(tcp) else { return false };
    if header.flags & Tcp::SYN == 0 {
        return false;
    }
    let len = ((header.offset >> 4) as usize * 4).saturating_sub(size_of::<Tcp>());
    let Some(options) = rest.get_mut(..len) else { return false };
    let (mut at, mut lowered) = (0, false);
    while let Some(&kind) = options.get(at) {
        if kind == END {
            break;
        }
        if kind == NOP {
            at += 1;
            continue;
        }
        let Some(&len) = options.get(at + 1) else { break };
        if len < 2 || at + len as usize > options.len() {
            break;
        }
        if kind == MSS && len == 4 {
            let old = u16::from_be_bytes([options[at + 2], options[at + 3]]);
            if old > limit {
                options[at + 2..at + 4].copy_from_slice(&limit.to_be_bytes());
                // Options follow a header of even length. A value on an odd byte straddles two
                // words, which is the same as the value swapped (RFC 1071 2 (B)).
                let (old, new) = (old.to_be(), limit.to_be());
                let (old, new) = if at % 2 == 0 { (old, new) } else { (old.swap_bytes(), new.swap_bytes()) };
                header.checksum = header.checksum.updated(Delta::word(old, new));
                lowered = true;
            }
        }
        at += len as usize;
    }
    lowered
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_net::checksum::Checksum;
    use hikyaku_net::checksum::Sum;
    use hikyaku_net::protocol;
    use proptest::prelude::*;

    const PSEUDO: [u8; 8] = [192, 0, 2, 1, 198, 51, 100, 7];

    fn is_right(tcp: &[u8]) -> bool {
        let sum = Sum::new().bytes(&PSEUDO).number(protocol::TCP.into()).number(tcp.len() as u16);
        sum.bytes(tcp).checksum() == Checksum::ABSENT
    }

    fn segment(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
        assert!(options.len().is_multiple_of(4) && options.len() <= 40);
        let mut tcp = vec![0x12, 0x34, 0, 80, 1, 2, 3, 4, 0, 0, 0, 0, 0, flags, 0xff, 0xff, 0, 0, 0, 0];
        tcp[12] = ((20 + options.len()) / 4 * 16) as u8;
        tcp.extend(options);
        tcp.extend(payload);
        let sum = Sum::new().bytes(&PSEUDO).number(protocol::TCP.into()).number(tcp.len() as u16);
        let sum = sum.bytes(&tcp).checksum();
        tcp[16..18].copy_from_slice(&sum.0);
        tcp
    }

    #[test]
    fn lowered_on_syn_and_syn_ack() {
        for flags in [Tcp::SYN, Tcp::SYN | Tcp::ACK] {
            let mut tcp = segment(flags, &[2, 4, 5, 0xb4, 1, 3, 3, 7], b"");
            assert!(clamp(&mut tcp, 1300));
            assert_eq!(tcp[22..24], 1300u16.to_be_bytes());
            assert!(is_right(&tcp));
        }
    }

    #[test]
    fn never_raised_never_on_other_segments_never_added() {
        for (flags, options) in [
            (Tcp::SYN, &[2, 4, 5, 0x14][..]),          // 1300 is not above 1300
            (Tcp::SYN, &[2, 4, 2, 0x18]),              // 536
            (Tcp::ACK, &[2, 4, 5, 0xb4]),              // no SYN
            (Tcp::SYN, &[]),                           // absent
            (Tcp::SYN, &[1, 1, 1, 0, 2, 4, 5, 0xb4]),  // behind the end of options
            (Tcp::SYN, &[2, 3, 5, 0xb4]),              // wrong length
            (Tcp::SYN, &[8, 0, 0, 0, 2, 4, 5, 0xb4]),  // length 0: nothing behind it is believed
            (Tcp::SYN, &[8, 1, 0, 0, 2, 4, 5, 0xb4]),  // length 1
            (Tcp::SYN, &[8, 10, 0, 0, 2, 4, 5, 0xb4]), // beyond the end
            (Tcp::SYN, &[1, 1, 1, 2]),                 // no length
            (Tcp::SYN, &[1, 1, 2, 4]),                 // no value
        ] {
            let mut tcp = segment(flags, options, b"x");
            let before = tcp.clone();
            assert!(!clamp(&mut tcp, 1300), "{flags:x} {options:x?}");
            assert_eq!(tcp, before);
        }
    }

    #[test]
    fn a_header_that_is_cut_or_lies_is_left_alone() {
        let whole = segment(Tcp::SYN, &[2, 4, 5, 0xb4], b"");
        for cut in 0..whole.len() {
            let mut tcp = whole[..cut].to_vec();
            assert!(!clamp(&mut tcp, 1300));
        }
        for offset in 0..6 {
            let mut tcp = whole.clone();
            tcp[12] = offset << 4;
            clamp(&mut tcp, 1300);
        }
    }

    proptest! {
        #[test]
        fn checksum_stays_right_wherever_the_option_stands(
            nops in 0usize..37, mss: u16, limit: u16, payload in prop::collection::vec(any::<u8>(), 0..20)
        ) {
            let mut options = vec![1; nops];
            options.extend([2, 4]);
            options.extend(mss.to_be_bytes());
            options.resize(options.len().next_multiple_of(4), 0);
            let mut tcp = segment(Tcp::SYN, &options, &payload);
            prop_assert_eq!(clamp(&mut tcp, limit), mss > limit);
            prop_assert_eq!(&tcp[22 + nops..24 + nops], mss.min(limit).to_be_bytes());
            prop_assert!(is_right(&tcp));
        }

        #[test]
        fn no_bytes_make_it_panic(mut tcp in prop::collection::vec(any::<u8>(), 0..80), limit: u16) {
            let before = tcp.clone();
            if !clamp(&mut tcp, limit) {
                prop_assert_eq!(tcp, before);
            }
        }
    }
}
