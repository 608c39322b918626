//! The far end of the tunnel, in small: takes tunnel frames apart, judges what is inside, and sends
//! replies back. Written from the RFCs with `etherparse`, without the dataplane's own parsers, so
//! that a mistake there is not repeated here.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{EtherType, Ethernet2HeaderSlice, IpNumber, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice};

use super::datagram::{Datagram, End, Endpoint, Pieces, translate_packet};

/// The far end of the tunnel: AFTR or BR.
pub struct BorderRouter {
    line: Line,
    outer: Pieces,
    inner: Pieces,
    /// What hosts sent and did not arrive here yet, as it must arrive, but for translation.
    expected: Vec<Datagram>,
    outside: HashMap<(u8, Endpoint), Endpoint>,
    inside: HashMap<(u8, Endpoint), Endpoint>,
    next_id: u32,
    checked: u64,
    outer_fragments: u64,
}

/// Who is who on the line.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The near end of the tunnel.
    pub near: Ipv6Addr,
    /// The far end: this one.
    pub far: Ipv6Addr,
    /// The near end's Ethernet address.
    pub near_mac: [u8; 6],
    /// This end's Ethernet address.
    pub far_mac: [u8; 6],
    /// Largest IPv6 packet of the line, bytes.
    pub mtu: usize,
    /// The address that the near end translates to; `None` where it does not translate.
    pub outside: Option<Ipv4Addr>,
}

impl BorderRouter {
    /// One that has seen nothing yet.
    pub fn new(line: Line) -> Self {
        Self {
            line,
            outer: Pieces::default(),
            inner: Pieces::default(),
            expected: Vec::new(),
            outside: HashMap::new(),
            inside: HashMap::new(),
            next_id: 1,
            checked: 0,
            outer_fragments: 0,
        }
    }

    /// This datagram left a host of the LAN and must arrive here.
    pub fn expect(&mut self, sent: Datagram) {
        self.expected.push(sent.forwarded());
    }

    /// What has not arrived.
    pub fn missing(&self) -> &[Datagram] {
        &self.expected
    }

    /// How many datagrams arrived as they should.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// How many tunnel packets came in pieces.
    pub fn outer_fragments(&self) -> u64 {
        self.outer_fragments
    }

    /// Takes a frame from the line and judges it.
    pub fn receive(&mut self, frame: &[u8]) -> Result<(), String> {
        let Some(inner) = self.decapsulate(frame).map_err(|e| format!("tunnel frame of {} bytes: {e}", frame.len()))?
        else {
            return Ok(());
        };
        let Some(arrived) = self.inner.datagram(&inner).map_err(|e| format!("inner packet: {e}"))? else {
            return Ok(());
        };
        arrived.check().map_err(|e| format!("{arrived}: {e}"))?;
        self.judge(arrived)
    }

    /// The inner packet, once all of it is there.
    fn decapsulate(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let ethernet = Ethernet2HeaderSlice::from_slice(frame).map_err(|e| e.to_string())?;
        same("Ethernet destination", ethernet.destination(), self.line.far_mac)?;
        same("Ethernet source", ethernet.source(), self.line.near_mac)?;
        same("EtherType", ethernet.ether_type(), EtherType::IPV6)?;
        let packet = &frame[14..];
        let ip = Ipv6HeaderSlice::from_slice(packet).map_err(|e| e.to_string())?;
        same("outer source", ip.source_addr(), self.line.near)?;
        same("outer destination", ip.destination_addr(), self.line.far)?;
        same("outer payload length", usize::from(ip.payload_length()), packet.len() - 40)?;
        if packet.len() > self.line.mtu {
            return Err(format!("{} bytes do not fit the line's MTU {}", packet.len(), self.line.mtu));
        }
        if ip.hop_limit() < 2 {
            return Err(format!("hop limit {}", ip.hop_limit()));
        }
        match ip.next_header() {
            IpNumber::IPV4 => Ok(Some(packet[40..].to_vec())),
            IpNumber::IPV6_FRAGMENTATION_HEADER => {
                let fragment = Ipv6FragmentHeaderSlice::from_slice(&packet[40..]).map_err(|e| e.to_string())?;
                same("next header of a fragment", fragment.next_header(), IpNumber::IPV4)?;
                let (piece, more) = (&packet[48..], fragment.more_fragments());
                if more && piece.len() % 8 != 0 {
                    return Err(format!("a fragment of {} bytes that is not the last", piece.len()));
                }
                self.outer_fragments += 1;
                let offset = usize::from(fragment.fragment_offset().value()) * 8;
                Ok(self.outer.add(fragment.identification().to_be_bytes().to_vec(), offset, more, piece))
            }
            other => Err(format!("next header {other:?}")),
        }
    }

    /// Finds what a host sent to cause `arrived`, and what the translation was.
    fn judge(&mut self, arrived: Datagram) -> Result<(), String> {
        let protocol = arrived.flow_protocol();
        let outside = arrived.end(End::Source);
        let known = match self.line.outside {
            None => Some(outside),
            Some(address) => {
                same("inner source address", arrived.header().source_addr(), address)
                    .map_err(|e| format!("{arrived}: {e}"))?;
                self.inside.get(&(protocol, outside)).copied()
            }
        };
        let found = self.expected.iter().enumerate().find_map(|(i, sent)| {
            let inside = known.unwrap_or_else(|| sent.end(End::Source));
            let similar = sent.protocol() == arrived.protocol() && sent.0.len() == arrived.0.len();
            (similar && undone(&arrived, inside, sent) == *sent).then_some((i, inside))
        });
        let Some((i, inside)) = found else {
            return Err(self.difference(&arrived, known));
        };
        if let Some(earlier) = self.outside.insert((protocol, inside), outside).filter(|&e| e != outside) {
            return Err(format!("{inside:?} was {earlier:?} before and is {outside:?} now"));
        }
        self.inside.insert((protocol, outside), inside);
        self.expected.remove(i);
        self.checked += 1;
        Ok(())
    }

    /// The nearest thing that was expected, and where it differs.
    fn difference(&self, arrived: &Datagram, known: Option<Endpoint>) -> String {
        let like = |sent: &&Datagram| sent.0[4..6] == arrived.0[4..6] && sent.0[16..20] == arrived.0[16..20];
        let Some(sent) = self.expected.iter().find(like) else {
            return format!("{arrived}: nobody sent this");
        };
        undone(arrived, known.unwrap_or_else(|| sent.end(End::Source)), sent).difference(sent)
    }

    /// Frames that carry a reply to a host, translated as its packets were. `None` if no packet of
    /// that flow was seen here.
    pub fn reply(&mut self, packet: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut packet = packet.to_vec();
        if let Some(address) = self.line.outside {
            translate_packet(&mut packet, End::Destination, |flow| match flow {
                Some(flow) => self.outside.get(&flow).copied(),
                // Later pieces of a datagram have no port.
                None => Some(Endpoint { addr: address, port: 0 }),
            })?;
        }
        Some(self.encapsulate(&packet))
    }

    fn encapsulate(&mut self, inner: &[u8]) -> Vec<Vec<u8>> {
        if 40 + inner.len() <= self.line.mtu {
            return vec![self.frame(4, &[], inner)];
        }
        let (id, room) = (self.next_id, (self.line.mtu - 48) & !7);
        self.next_id += 1;
        let pieces = inner.chunks(room).enumerate().map(|(i, piece)| {
            let more = (i + 1) * room < inner.len();
            let offset = (i * room) as u16 | u16::from(more);
            let mut header = [4, 0, 0, 0, 0, 0, 0, 0];
            header[2..4].copy_from_slice(&offset.to_be_bytes());
            header[4..].copy_from_slice(&id.to_be_bytes());
            self.frame(44, &header, piece)
        });
        pieces.collect()
    }

    fn frame(&self, next_header: u8, extension: &[u8], payload: &[u8]) -> Vec<u8> {
        let len = (extension.len() + payload.len()) as u16;
        let [high, low] = len.to_be_bytes();
        let mut frame = Vec::with_capacity(54 + usize::from(len));
        frame.extend(self.line.near_mac);
        frame.extend(self.line.far_mac);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, high, low, next_header, 64]);
        frame.extend(self.line.far.octets());
        frame.extend(self.line.near.octets());
        frame.extend(extension);
        frame.extend(payload);
        frame
    }
}

/// `arrived` as it was before translation, and before its MSS was lowered.
fn undone(arrived: &Datagram, inside: Endpoint, sent: &Datagram) -> Datagram {
    let mut undone = arrived.clone();
    undone.translate(End::Source, inside);
    undone.with_mss_of(sent)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: T, should_be: T) -> Result<(), String> {
    if is == should_be { Ok(()) } else { Err(format!("{what} {is:?}, should be {should_be:?}")) }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    const HOST: [u8; 4] = [192, 168, 1, 10];
    const OUTSIDE: [u8; 4] = [192, 0, 2, 1];
    const LINE: Line = Line {
        near: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
        far: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
        near_mac: [2, 0, 0, 0, 2, 1],
        far_mac: [2, 0, 0, 0, 2, 2],
        mtu: 1500,
        outside: Some(Ipv4Addr::new(192, 0, 2, 1)),
    };

    fn udp(src: [u8; 4], sport: u16, ttl: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(src, [198, 51, 100, 7], ttl).udp(sport, 53).write(&mut packet, payload).unwrap();
        packet
    }

    /// What the near end makes of a packet: the same frames as this end would make, turned round.
    fn tunnelled(packet: &[u8]) -> Vec<Vec<u8>> {
        let turned = Line { near: LINE.far, far: LINE.near, near_mac: LINE.far_mac, far_mac: LINE.near_mac, ..LINE };
        BorderRouter::new(turned).encapsulate(packet)
    }

    fn router_expecting(packets: &[Vec<u8>]) -> BorderRouter {
        let mut router = BorderRouter::new(LINE);
        packets.iter().for_each(|p| router.expect(Datagram(p.clone())));
        router
    }

    fn receive(router: &mut BorderRouter, packet: &[u8]) -> Result<(), String> {
        tunnelled(packet).iter().try_for_each(|f| router.receive(f))
    }

    #[test]
    fn what_is_right_passes_whole_or_in_pieces() {
        for len in [10, 1400, 1433, 3000] {
            let mut router = router_expecting(&[udp(HOST, 1000, 64, &vec![7; len])]);
            receive(&mut router, &udp(OUTSIDE, 4711, 63, &vec![7; len])).unwrap();
            assert!(router.missing().is_empty());
            assert_eq!(router.outer_fragments() > 0, len > 1432);
            // The reply goes back where the request came from.
            let mut reply = udp([198, 51, 100, 7], 53, 60, b"yes");
            reply[16..20].copy_from_slice(&HOST);
            reply[20..24].copy_from_slice(&[0, 53, 0x03, 0xe8]);
            let frame = router.reply(&reply).unwrap().remove(0);
            assert_eq!(frame[54 + 16..54 + 20], OUTSIDE);
            assert_eq!(frame[54 + 22..54 + 24], 4711u16.to_be_bytes());
        }
    }

    #[test]
    fn what_is_wrong_is_found() {
        let sent =
            [udp(HOST, 1000, 64, b"payload"), udp(HOST, 1000, 64, b"another"), udp([192, 168, 1, 11], 9, 64, b"third")];
        let wrong = |packet: &[u8], says: &str| {
            let error = receive(&mut router_expecting(&sent), packet).expect_err(says);
            assert!(error.contains(says), "{error}");
        };
        wrong(&udp(OUTSIDE, 4711, 64, b"payload"), "byte 8 is 0x40, should be 0x3f");
        wrong(&udp(OUTSIDE, 4711, 63, b"pAyload"), "byte 27 is");
        wrong(&udp(HOST, 1000, 63, b"payload"), "inner source address");
        let mut bad_sum = udp(OUTSIDE, 4711, 63, b"payload");
        bad_sum[30] ^= 1;
        wrong(&bad_sum, "checksum of protocol 17 is wrong");
        bad_sum[8] ^= 1;
        wrong(&bad_sum, "IPv4 header checksum");
    }

    #[test]
    fn a_host_s_port_does_not_change_nor_is_it_given_to_two() {
        let sent =
            [udp(HOST, 1000, 64, b"payload"), udp(HOST, 1000, 64, b"another"), udp([192, 168, 1, 11], 9, 64, b"third")];
        let mut router = router_expecting(&sent);
        receive(&mut router, &udp(OUTSIDE, 4711, 63, b"payload")).unwrap();
        assert!(receive(&mut router, &udp(OUTSIDE, 4712, 63, b"another")).unwrap_err().contains("before"));
        let mut router = router_expecting(&sent);
        receive(&mut router, &udp(OUTSIDE, 4711, 63, b"payload")).unwrap();
        assert!(receive(&mut router, &udp(OUTSIDE, 4711, 63, b"third")).is_err());
    }

    #[test]
    fn every_changed_byte_of_a_frame_is_found() {
        let sent = udp(HOST, 1000, 64, b"payload");
        let frame = tunnelled(&udp(OUTSIDE, 4711, 63, b"payload")).remove(0);
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 0x10;
            let judged = router_expecting(std::slice::from_ref(&sent)).receive(&changed);
            // Class and flow label are free, and so is a hop limit that suffices.
            let is_free = (14..18).contains(&at) && changed[14] >> 4 == 6 || at == 21;
            assert_eq!(judged.is_ok(), is_free, "byte {at}: {judged:?}");
        }
        for cut in 0..frame.len() {
            assert!(router_expecting(std::slice::from_ref(&sent)).receive(&frame[..cut]).is_err(), "cut at {cut}");
        }
    }
}
