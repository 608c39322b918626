//! Any bytes as an IPv4 and as an IPv6 packet: what the doors let in lies inside the bytes, and
//! says what the bytes say.
#![no_main]

use hikyaku_net::checksum::Sum;
use hikyaku_net::packet::{ipv4, ipv6};
use hikyaku_net::protocol;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    for repaired in [false, true] {
        let header = bytes.first().map_or(0, |b| usize::from(b & 15) * 4);
        if repaired && header >= 20 && bytes.len() >= header {
            bytes[10..12].fill(0);
            let sum = Sum::new().bytes(&bytes[..header]).checksum();
            bytes[10..12].copy_from_slice(&sum.0);
        }
        if let Ok(checked) = ipv4::check(&bytes) {
            assert!(20 <= checked.header_len && checked.header_len <= checked.len && checked.len <= bytes.len());
            assert_eq!(checked.header_len, header);
            assert_eq!(checked.len, usize::from(bytes[2]) << 8 | usize::from(bytes[3]));
            // What follows the packet says nothing.
            assert_eq!(ipv4::check(&bytes[..checked.len]), Ok(checked));
        }
        ipv4::transport_checksum_is_right(&bytes);
        if let Ok(walked) = ipv6::walk(&bytes) {
            assert!(40 <= walked.offset && walked.offset <= walked.end && walked.end <= bytes.len());
            assert_eq!(ipv6::walk(&bytes[..walked.end]), Ok(walked));
            if let Some(at) = walked.fragment {
                assert!(40 <= at && at + 8 <= walked.offset);
            } else {
                assert_ne!(walked.protocol, protocol::FRAGMENT);
            }
        }
        if let Some(first) = bytes.first_mut()
            && repaired
        {
            *first ^= 0x20;
        }
    }
});
