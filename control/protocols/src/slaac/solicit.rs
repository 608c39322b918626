//! When to ask for routers, and the question (RFC 4861 4.1 and 6.3.7, RFC 7559 2).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::{Mac, Time};
use rand::RngExt;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscRepr, RawHardwareAddress};

/// All routers of the link (RFC 4291 2.7.1).
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Hosts of a link that comes up do not speak all at once. RFC 4861 10 has MAX_RTR_SOLICITATION_DELAY of 1 s, for links
/// with hundreds of them, at 10 Mb/s; a line has a few, and everybody behind it waits.
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// RFC 7559 2, IRT.
const INITIAL: Duration = Duration::from_secs(4);
/// RFC 7559 2, MRT.
const MAXIMAL: Duration = Duration::from_secs(3600);

/// When the next solicitation is due. It never gives up: a router that comes late is found.
#[derive(Debug, Default)]
pub(super) struct Solicitor {
    due: Option<Time>,
    /// The wait before the one that is due, once one was sent.
    wait: Option<Duration>,
}

impl Solicitor {
    pub fn start(&mut self, now: Time) {
        let delay = rand::rng().random_range(Duration::ZERO..=FIRST_DELAY);
        *self = Self { due: Some(now + delay), wait: None };
    }

    /// Without the wait that keeps hosts of a link apart: this one alone has a reason.
    pub fn start_at_once(&mut self, now: Time) {
        *self = Self { due: Some(now), wait: None };
    }

    pub fn stop(&mut self) {
        *self = Self::default();
    }

    /// A solicitation was sent, and nobody has answered.
    pub fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    pub fn poll_timeout(&self) -> Option<Time> {
        self.due
    }

    /// Whether one is to be sent now; if so the next wait begins.
    pub fn is_due(&mut self, now: Time) -> bool {
        if self.due.is_none_or(|due| due > now) {
            return false;
        }
        let wait = next_wait(self.wait, rand::rng().random_range(-0.1..=0.1));
        *self = Self { due: Some(now + wait), wait: Some(wait) };
        true
    }
}

/// RFC 8415 15, which RFC 7559 takes over: twice the last wait, a tenth more or less by `random`.
fn next_wait(last: Option<Duration>, random: f64) -> Duration {
    let of = |base: Duration, factor: f64| base.mul_f64(factor + random);
    match last.map(|last| of(last, 2.0)) {
        None => of(INITIAL, 1.0),
        Some(wait) if wait > MAXIMAL => of(MAXIMAL, 1.0),
        Some(wait) => wait,
    }
}

/// A router solicitation as an IPv6 packet. Without a link-local address that is ours already it comes from
/// nobody and so says no Ethernet address (RFC 4861 4.1).
pub(super) fn solicitation(source: Option<Ipv6Addr>, mac: Mac) -> Vec<u8> {
    let lladdr = source.map(|_| RawHardwareAddress::from_bytes(&mac.0));
    let icmp = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit { lladdr });
    let ip = Ipv6Repr {
        src_addr: source.unwrap_or(Ipv6Addr::UNSPECIFIED),
        dst_addr: ALL_ROUTERS,
        next_header: IpProtocol::Icmpv6,
        payload_len: icmp.buffer_len(),
        hop_limit: 255,
    };
    let mut bytes = vec![0; ip.buffer_len() + icmp.buffer_len()];
    ip.emit(&mut Ipv6Packet::new_unchecked(&mut bytes));
    let payload = &mut bytes[ip.buffer_len()..];
    icmp.emit(&ip.src_addr, &ip.dst_addr, &mut Icmpv6Packet::new_unchecked(payload), &ChecksumCapabilities::default());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7559_waits_double_to_an_hour_and_never_end() {
        for random in [-0.1, 0.0, 0.1] {
            let mut wait = next_wait(None, random);
            assert_eq!(wait, INITIAL.mul_f64(1.0 + random));
            let mut total = wait;
            for _ in 0..20 {
                let next = next_wait(Some(wait), random);
                assert!(next > wait || next >= MAXIMAL.mul_f64(0.9), "{next:?} after {wait:?}");
                assert!(next <= MAXIMAL.mul_f64(1.1), "{next:?}");
                (wait, total) = (next, total + next);
            }
            assert!(wait >= MAXIMAL.mul_f64(0.9) && total > 4 * MAXIMAL);
        }
    }

    #[test]
    fn rfc4861_4_1_solicitation_byte_for_byte() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let bytes = solicitation(Some("fe80::1".parse().unwrap()), mac);
        #[rustfmt::skip]
        let expected = [
            0x60, 0, 0, 0, 0, 16, 58, 255,
            0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
            133, 0, 0x7a, 0x2c, 0, 0, 0, 0,
            1, 1, 2, 0, 0, 0, 0, 1,
        ];
        assert_eq!(bytes, expected);
        let anonymous = solicitation(None, mac);
        assert_eq!(anonymous.len(), 48);
        assert_eq!(anonymous[8..24], [0; 16]);
    }
}
