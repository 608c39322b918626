//! Whether what is sent to our multicast groups reaches us.
//!
//! A card that keeps them from us makes us unreachable without a word: we send, and whoever does not know our station does
//! not find us. So the line's router is asked for an echo (RFC 4443 4.1) from an address of ours that it does not know: to
//! answer, it solicits us by that address's solicited-node group (RFC 4861 7.2.2). What comes, solicitation or answer, is
//! proof; that nothing comes is a suspicion, for the router may not answer echoes.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use hikyaku_net::packet::ethertype;

use crate::Machine;
use crate::echo::EchoRequest;

/// Until the first question. An address that was just made is announced for a while (RFC 4861 7.2.6), and who looks for
/// it meanwhile finds it by that.
const FIRST: Duration = Duration::from_secs(5);

/// The pauses after each question. A router asks three times, a second apart, and cards start slowly.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];

/// Ethernet header, then where the destination stands in an IPv6 header.
const DESTINATION: std::ops::Range<usize> = 14 + 24..14 + 40;

/// An address of ours, and the router that is asked from it.
type Target = (Ipv6Addr, Ipv6Addr);

/// Asks until something comes to the address, or the patience is over.
#[derive(Debug, Default)]
pub struct Reception {
    target: Option<Target>,
    asked: usize,
    due: Option<Time>,
    out: VecDeque<Vec<u8>>,
}

impl Reception {
    /// Asks this router from this address, which is ready, in a while; once.
    pub fn set_target(&mut self, now: Time, target: Option<Target>) {
        if target != self.target {
            *self = Self { target, due: target.map(|_| now + FIRST), ..Self::default() };
        }
    }

    /// An Ethernet frame came.
    pub fn handle_input(&mut self, frame: &[u8]) {
        let Some((address, _)) = self.target.filter(|_| self.due.is_some() || self.is_silent()) else { return };
        let is_ipv6 = frame.get(12..14) == Some(&ethertype::IPV6.to_be_bytes());
        let to = |wanted: &[u8]| is_ipv6 && frame.get(DESTINATION) == Some(wanted);
        let [.., a, b, c] = address.octets();
        let by_group = frame.starts_with(&[0x33, 0x33, 0xff, a, b, c]);
        if by_group || to(&address.octets()) {
            (self.asked, self.due) = (0, None);
        }
    }

    /// The address that nothing came to although the router was asked for it several times, and that router.
    pub fn silent(&self) -> Option<Target> {
        self.target.filter(|_| self.is_silent())
    }

    fn is_silent(&self) -> bool {
        self.asked == PAUSES.len() && self.due.is_none()
    }
}

impl Machine for Reception {
    /// An IPv6 packet to be sent.
    type Output = Vec<u8>;

    fn handle_timeout(&mut self, now: Time) {
        let (Some(target), Some(_)) = (self.target, self.due.filter(|&due| due <= now)) else { return };
        match PAUSES.get(self.asked) {
            Some(&pause) => {
                let (identifier, data) = rand::random();
                let request = EchoRequest { to: target.1, identifier, sequence: self.asked as u16, data };
                self.out.push_back(request.packet(target.0));
                self.due = Some(now + pause);
                self.asked += 1;
            }
            None => self.due = None,
        }
    }

    fn poll_output(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if self.out.is_empty() { self.due } else { Some(Time::default()) }
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{Icmpv6Type, NetSlice, SlicedPacket, TransportSlice};

    use super::*;
    use hikyaku_net::Mac;

    const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0x12, 0x3456);
    const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0x12, 0x3457);
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn at(seconds: u64) -> Time {
        Time::default() + Duration::from_secs(seconds)
    }

    /// How many packets it sends until then.
    fn sent(reception: &mut Reception, until: u64) -> usize {
        (0..=until).map(|second| std::iter::from_fn(|| reception.drive(at(second))).count()).sum()
    }

    fn frame(to: Mac, destination: Ipv6Addr) -> Vec<u8> {
        let mut frame = [&to.0[..], &STATION.0, &[0x86, 0xdd], &[0; 24], &destination.octets()].concat();
        frame.extend([0; 24]);
        frame
    }

    #[test]
    fn the_question_is_an_echo_request_from_our_address() {
        let mut reception = Reception::default();
        reception.set_target(at(0), Some((OURS, ROUTER)));
        assert_eq!(reception.drive(at(4)), None);
        let packet = reception.drive(at(5)).unwrap();
        let sliced = SlicedPacket::from_ip(&packet).unwrap();
        let Some(NetSlice::Ipv6(ip)) = &sliced.net else { panic!("{sliced:?}") };
        assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (OURS, ROUTER));
        let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport else { panic!("{sliced:?}") };
        assert!(icmp.is_checksum_valid(OURS.octets(), ROUTER.octets()));
        assert!(matches!(icmp.icmp_type(), Icmpv6Type::EchoRequest(_)));
    }

    #[test]
    fn silence_is_told_after_three_questions_and_ends_with_whatever_comes() {
        let mut reception = Reception::default();
        reception.set_target(at(0), Some((OURS, ROUTER)));
        assert_eq!((sent(&mut reception, 18), reception.silent()), (3, None));
        assert_eq!((sent(&mut reception, 100), reception.silent()), (0, Some((OURS, ROUTER))));
        assert_eq!(reception.poll_timeout(), None);
        // Said again, it is not asked again.
        reception.set_target(at(101), Some((OURS, ROUTER)));
        assert_eq!(sent(&mut reception, 200), 0);
        reception.handle_input(&frame(STATION, OURS));
        assert_eq!(reception.silent(), None);
    }

    #[test]
    fn what_comes_to_the_address_or_its_group_is_proof_and_nothing_else() {
        let [.., a, b, c] = OURS.octets();
        let group = Mac([0x33, 0x33, 0xff, a, b, c]);
        for (proof, frame) in [
            (true, frame(group, "ff02::1:ff12:3456".parse().unwrap())),
            (true, frame(STATION, OURS)),
            (false, frame(STATION, OTHER)),
            (false, frame(Mac([0x33, 0x33, 0, 0, 0, 1]), "ff02::1".parse().unwrap())),
            (false, frame(group, OTHER)[..5].to_vec()),
        ] {
            let mut reception = Reception::default();
            reception.set_target(at(0), Some((OURS, ROUTER)));
            assert_eq!(sent(&mut reception, 5), 1);
            reception.handle_input(&frame);
            assert_eq!(sent(&mut reception, 100), if proof { 0 } else { 2 });
            assert_eq!(reception.silent().is_none(), proof);
        }
    }

    #[test]
    fn another_address_is_asked_about_anew() {
        let mut reception = Reception::default();
        reception.set_target(at(0), Some((OURS, ROUTER)));
        sent(&mut reception, 100);
        reception.set_target(at(100), Some((OTHER, ROUTER)));
        assert_eq!((reception.silent(), sent(&mut reception, 200)), (None, 3));
        reception.set_target(at(200), None);
        assert_eq!((reception.silent(), reception.poll_timeout()), (None, None));
    }
}
