//! The hosts' side: knows what every host sent and what is to reach it, and judges what does.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use etherparse::{EtherType, Ethernet2HeaderSlice, Ipv4HeaderSlice};

use super::datagram::{Datagram, ICMP, Pieces};

/// The hosts of the LAN.
pub struct Client {
    router: Ipv4Addr,
    router_mac: [u8; 6],
    /// Largest inner packet with DF.
    tunnel_mtu: u16,
    stations: HashMap<Ipv4Addr, [u8; 6]>,
    sent: Pieces,
    arriving: Pieces,
    coming: Pieces,
    /// What is to arrive, as it must arrive.
    expected: Vec<Datagram>,
    /// Packets that the router must not forward.
    refused: Vec<(Vec<u8>, Refusal)>,
    /// How many of them there were.
    refusals: u64,
    checked: u64,
}

/// Why a packet must not be forwarded, which the sender is told (if the rate limit allows).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its TTL is used up.
    TimeExceeded,
    /// DF, and too large for the tunnel.
    FragmentationNeeded {
        /// The largest that fits.
        mtu: u16,
    },
}

/// What must become of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It ends a datagram that must reach the far end.
    Arrives(Datagram),
    /// It is a piece of a datagram that is not complete yet.
    Piece,
    /// The router itself is meant.
    ForRouter,
    /// It must be refused.
    Refused(Refusal),
}

impl Client {
    /// Hosts behind a router.
    pub fn new(router: Ipv4Addr, router_mac: [u8; 6], tunnel_mtu: u16) -> Self {
        Self {
            router,
            router_mac,
            tunnel_mtu,
            stations: HashMap::new(),
            sent: Pieces::default(),
            arriving: Pieces::default(),
            coming: Pieces::default(),
            expected: Vec::new(),
            refused: Vec::new(),
            refusals: 0,
            checked: 0,
        }
    }

    /// A host sends a packet: what must become of it?
    pub fn sends(&mut self, station: [u8; 6], packet: &[u8]) -> Result<Fate, String> {
        let header = Ipv4HeaderSlice::from_slice(packet).map_err(|e| e.to_string())?;
        self.stations.insert(header.source_addr(), station);
        let too_large = header.dont_fragment() && header.total_len() > self.tunnel_mtu;
        let refusal = match header.ttl() {
            _ if header.destination_addr() == self.router => return Ok(Fate::ForRouter),
            0 | 1 => Refusal::TimeExceeded,
            _ if too_large => Refusal::FragmentationNeeded { mtu: self.tunnel_mtu },
            _ => return Ok(self.sent.datagram(packet)?.map_or(Fate::Piece, Fate::Arrives)),
        };
        self.refused.push((packet[..usize::from(header.total_len()).min(packet.len())].to_vec(), refusal));
        self.refusals += 1;
        Ok(Fate::Refused(refusal))
    }

    /// This packet is sent to a host from the far end, and must arrive.
    pub fn expect(&mut self, packet: &[u8]) -> Result<(), String> {
        if let Some(whole) = self.coming.datagram(packet)? {
            self.expected.push(whole.forwarded());
        }
        Ok(())
    }

    /// Judges a frame that the router sent to the LAN.
    pub fn receive(&mut self, frame: &[u8]) -> Result<(), String> {
        let ethernet = Ethernet2HeaderSlice::from_slice(frame).map_err(|e| e.to_string())?;
        if ethernet.ether_type() != EtherType::IPV4 {
            return Err(format!("a frame of type {:?} on the LAN", ethernet.ether_type()));
        }
        if ethernet.source() != self.router_mac {
            return Err(format!("Ethernet source {:02x?} on the LAN", ethernet.source()));
        }
        let destination = Ipv4HeaderSlice::from_slice(&frame[14..]).map_err(|e| e.to_string())?.destination_addr();
        if self.stations.get(&destination) != Some(&ethernet.destination()) {
            return Err(format!("{destination} is not at {:02x?}", ethernet.destination()));
        }
        let Some(arrived) = self.arriving.datagram(&frame[14..])? else { return Ok(()) };
        arrived.check().map_err(|e| format!("{arrived}: {e}"))?;
        if arrived.header().source_addr() == self.router {
            self.judge_refusal(&arrived)?;
        } else {
            let found = self.expected.iter().position(|sent| arrived.with_mss_of(sent).0 == sent.0);
            self.expected.remove(found.ok_or_else(|| self.difference(&arrived))?);
        }
        self.checked += 1;
        Ok(())
    }

    /// An ICMP error of the router's own: is it about a packet that had to be refused, and right?
    fn judge_refusal(&mut self, error: &Datagram) -> Result<(), String> {
        let (Some(at), [kind, code, _, _, _, _, mtu @ ..]) = (error.quoted_at(), error.body()) else {
            return Err(format!("{error}: the router said this, and nobody asked"));
        };
        debug_assert_eq!(error.protocol(), ICMP);
        let (quote, mtu) = (&error.0[at..], u16::from_be_bytes([mtu[0], mtu[1]]));
        let says = match (kind, code) {
            (11, 0) => Refusal::TimeExceeded,
            (3, 4) => Refusal::FragmentationNeeded { mtu },
            _ => return Err(format!("{error}: the router refuses what it should forward")),
        };
        let about = self.refused.iter().position(|(packet, why)| *why == says && packet.starts_with(quote));
        let about = about.ok_or_else(|| format!("{error}: {says:?}, but about no packet that was sent"))?;
        self.refused.remove(about);
        Ok(())
    }

    fn difference(&self, arrived: &Datagram) -> String {
        match self.expected.iter().find(|sent| sent.0[4..6] == arrived.0[4..6] && sent.0[12..16] == arrived.0[12..16]) {
            Some(sent) => format!("on the LAN, {}", arrived.difference(sent)),
            None => format!("{arrived}: arrived on the LAN, and nobody sent this"),
        }
    }

    /// What has not arrived.
    pub fn missing(&self) -> &[Datagram] {
        &self.expected
    }

    /// How many datagrams arrived as they should.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// How many packets had to be refused.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }
}
