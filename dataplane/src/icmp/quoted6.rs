//! ICMPv6 errors on their way through the filter: whose packet they are about (RFC 6092 REC-10, RFC 4890 4.3.1).

use hikyaku_net::packet::{Icmp, Ipv6, ipv6};
use hikyaku_net::{Addr6, Port, protocol};
use zerocopy::FromBytes;

use crate::verdict::Reason;

/// The packet that an ICMPv6 error quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted6 {
    /// Its upper-layer protocol.
    pub protocol: u8,
    /// Its source.
    pub src: Addr6,
    /// Its destination.
    pub dst: Addr6,
    /// Source and destination port; of an echo its identifier, twice; 0 of what has none.
    pub ports: [Port; 2],
}

/// Reads what an error is about. `message` is the ICMPv6 message from its type on. Its checksum is for its receiver to check.
///
/// # Errors
/// [`Reason::Ipv6IcmpError`]: none of the four that RFC 4443 has, or what is quoted can be of no session: cut off before its
/// ports, a fragment but the first, an error.
pub fn quoted6(message: &[u8]) -> Result<Quoted6, Reason> {
    let (icmp, quote) = Icmp::ref_from_prefix(message).map_err(|_| Reason::TransportHeader)?;
    match icmp.kind {
        Icmp::UNREACHABLE6..=Icmp::PARAMETER_PROBLEM6 => read(quote).ok_or(Reason::Ipv6IcmpError),
        _ => Err(Reason::Ipv6IcmpError),
    }
}

fn read(quote: &[u8]) -> Option<Quoted6> {
    let walked = ipv6::walk_quoted(quote).ok()?;
    let (ip, _) = Ipv6::ref_from_prefix(quote).ok()?;
    if walked.fragment.is_some_and(|at| (quote[at + 2], quote[at + 3] & 0xf8) != (0, 0)) {
        return None;
    }
    let ports = match (walked.protocol, &quote[walked.offset..walked.end]) {
        (protocol::ICMPV6, &[Icmp::ECHO_REQUEST6 | Icmp::ECHO_REPLY6, _, _, _, a, b, ..]) => [Port([a, b]); 2],
        (protocol::ICMPV6, _) => return None,
        (with_ports, header) if protocol::has_ports(with_ports) => {
            let &[a, b, c, d] = header.first_chunk()?;
            [Port([a, b]), Port([c, d])]
        }
        _ => [Port::default(); 2],
    };
    Some(Quoted6 { protocol: walked.protocol, src: ip.src, dst: ip.dst, ports })
}
