//! Frames in, frames out.
//!
//! dhcproto stops at the first option that it cannot read and says nothing, trusts some lengths, and takes the last piece of
//! an option that came in several. So options are sifted first: those that the server reads, put together (RFC 3396), with
//! lengths that hold. What we send dhcproto cuts into pieces itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, HType, MAGIC, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use etherparse::{LinkSlice, NetSlice, PacketBuilder, SlicedPacket, TransportSlice};
use hikyaku_net::Mac;

use super::Config;
use super::agent::{AGENT, Circuit};
use crate::names::{printable, printable_labels};

/// Where a server listens (RFC 2131 4.1).
pub const SERVER_PORT: u16 = dhcproto::v4::SERVER_PORT;
const CLIENT_PORT: u16 = dhcproto::v4::CLIENT_PORT;

/// The fixed fields and the magic cookie (RFC 2131 2, 3).
const HEADER: usize = 240;

/// Options that may come in pieces, and the one that says where others are (RFC 2132 3.14, 9.3, 9.8, 9.14, RFC 4702).
const HOST_NAME: u8 = 12;
const OVERLOAD: u8 = 52;
const WANTED: u8 = 55;
const CLIENT_ID: u8 = 61;
const FQDN: u8 = 81;

/// What some clients drop a shorter message for (RFC 1542 2.1).
const SHORTEST: usize = dhcproto::v4::MIN_PACKET_SIZE;

/// The largest DHCP message that every client takes: 576 less IP and UDP headers (RFC 2131 2).
const LARGEST: usize = 576 - 28;

/// A client's message, checked (RFC 2131 2).
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub kind: MessageType,
    /// The client's Ethernet address (`chaddr`).
    pub mac: Mac,
    pub xid: u32,
    pub flags: Flags,
    /// Which the client says it has; `None` for 0.0.0.0.
    pub ciaddr: Option<Ipv4Addr>,
    /// Where the packet went to: our address, or everybody's.
    pub to: Ipv4Addr,
    /// The client identifier (option 61).
    pub client_id: Option<Vec<u8>>,
    /// The address that it asks for (option 50).
    pub requested: Option<Ipv4Addr>,
    /// The server that it speaks to (option 54).
    pub server: Option<Ipv4Addr>,
    /// Option 55; `None` is no wish.
    pub wanted: Option<Vec<OptionCode>>,
    /// The host's name for itself, printable: option 81, or else option 12 (RFC 4702 3.1).
    pub hostname: Option<Arc<str>>,
    /// Largest DHCP message that the client takes, bytes.
    pub largest: usize,
    /// The relay that passed it on (`giaddr`), a host of our subnet, and the Ethernet address that it came from.
    pub relay: Option<(Ipv4Addr, Mac)>,
    /// What an agent on the way said of where it came in (option 82): owed in each answer.
    pub agent: Option<Vec<u8>>,
    /// The port that it names.
    pub circuit: Option<Circuit>,
}

/// Why a frame is no [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NotForUs,
    Malformed,
    Relayed,
}

impl Request {
    /// From a whole Ethernet frame.
    pub(super) fn read(frame: &[u8], config: &Config) -> Result<Self, Refused> {
        use Refused::{Malformed, NotForUs, Relayed};
        let packet = SlicedPacket::from_ethernet(frame).map_err(|_| NotForUs)?;
        let (Some(LinkSlice::Ethernet2(ethernet)), Some(NetSlice::Ipv4(ip))) = (&packet.link, &packet.net) else {
            return Err(NotForUs);
        };
        let station = Mac(ethernet.destination());
        let header = ip.header();
        let to = header.destination_addr();
        let addressed = [Mac::BROADCAST, config.mac].contains(&station)
            && [Ipv4Addr::BROADCAST, config.broadcast(), config.address].contains(&to);
        let Some(TransportSlice::Udp(udp)) = &packet.transport else { return Err(NotForUs) };
        if !addressed
            || !packet.link_exts.is_empty()
            || ip.is_payload_fragmented()
            || udp.destination_port() != SERVER_PORT
        {
            return Err(NotForUs);
        }
        if header.to_header().calc_header_checksum() != header.header_checksum() {
            return Err(Malformed);
        }
        let computed = udp.to_header().calc_checksum_ipv4_raw(header.source(), header.destination(), udp.payload());
        // RFC 768: zero is no checksum.
        if udp.checksum() != 0 && computed != Ok(udp.checksum()) {
            return Err(Malformed);
        }
        let Body { message, fqdn, agent } = message(udp.payload()).ok_or(Malformed)?;
        let relay = Some(message.giaddr()).filter(|relay| !relay.is_unspecified());
        // From another subnet, where none of our addresses is good for anything.
        if relay.is_some_and(|relay| !config.is_host(relay) || relay == config.address) {
            return Err(Relayed);
        }
        let mac = Mac(message.chaddr().try_into().map_err(|_| Malformed)?);
        if mac.is_group() || mac == Mac::default() || mac == config.mac {
            return Err(Malformed);
        }
        let options = message.opts();
        let address = |code| match options.get(code) {
            Some(&(DhcpOption::RequestedIpAddress(address) | DhcpOption::ServerIdentifier(address))) => Some(address),
            _ => None,
        };
        Ok(Self {
            kind: options.msg_type().ok_or(Malformed)?,
            mac,
            xid: message.xid(),
            flags: message.flags(),
            ciaddr: Some(message.ciaddr()).filter(|address| !address.is_unspecified()),
            to,
            client_id: match options.get(OptionCode::ClientIdentifier) {
                Some(DhcpOption::ClientIdentifier(id)) => Some(id.clone()),
                _ => None,
            },
            requested: address(OptionCode::RequestedIpAddress),
            server: address(OptionCode::ServerIdentifier),
            wanted: match options.get(OptionCode::ParameterRequestList) {
                Some(DhcpOption::ParameterRequestList(codes)) => Some(codes.clone()),
                _ => None,
            },
            hostname: fqdn.map(Into::into).or_else(|| match options.get(OptionCode::Hostname) {
                Some(DhcpOption::Hostname(name)) => printable(name).map(Into::into),
                _ => None,
            }),
            largest: match options.get(OptionCode::MaxMessageSize) {
                // RFC 2132 9.10: of the whole datagram, at least 576.
                Some(&DhcpOption::MaxMessageSize(size)) => usize::from(size).saturating_sub(28).max(LARGEST),
                _ => LARGEST,
            },
            relay: relay.map(|relay| (relay, Mac(ethernet.source()))),
            circuit: agent.as_ref().and_then(|body| Circuit::read(body, mac)),
            agent,
        })
    }
}

/// The name in a Client FQDN option: flags, two codes of old, and a name in letters or, with the flag E, as in DNS (RFC 4702 2).
/// What it asks for, that we write the name into DNS, is not done.
fn fqdn(body: &[u8]) -> Option<String> {
    /// RFC 4702 2.1.
    const E: u8 = 4;
    let (&[flags, _, _], name) = body.split_first_chunk()?;
    if flags & E == 0 {
        return printable(String::from_utf8_lossy(name).trim_end_matches('.'));
    }
    printable_labels(name)
}

/// A message, and what dhcproto is not asked about.
struct Body {
    message: Message,
    /// The name in option 81.
    fqdn: Option<String>,
    /// Option 82 as it came.
    agent: Option<Vec<u8>>,
}

/// A BOOTREQUEST from an Ethernet station, with the options that we read.
fn message(bytes: &[u8]) -> Option<Body> {
    let (header, options) = bytes.split_at_checked(HEADER)?;
    if header[..3] != [Opcode::BootRequest.into(), HType::Eth.into(), 6] || header[236..] != MAGIC {
        return None;
    }
    let mut sifted = Sifted::default();
    sifted.sift(options)?;
    // Never in the fields of the next lines (RFC 3046 2.1).
    let agent = sifted.0.remove(&AGENT);
    // RFC 2131 4.1: options may go on in the fields of boot file and server name, in that order.
    let overload = sifted.0.get(&OVERLOAD).and_then(|body| body.first()).copied().unwrap_or(0);
    if overload & 1 != 0 {
        sifted.sift(&header[108..236])?;
    }
    if overload & 2 != 0 {
        sifted.sift(&header[44..108])?;
    }
    let options = sifted.checked()?;
    let mut bytes = header.to_vec();
    for (&code, body) in &options {
        bytes.extend([code, body.len() as u8]);
        bytes.extend(body);
    }
    bytes.push(OptionCode::End.into());
    let message = Message::decode(&mut Decoder::new(&bytes)).ok()?;
    let fqdn = sifted.0.get(&FQDN).and_then(|body| fqdn(body));
    (message.opts().len() == options.len()).then_some(Body { message, fqdn, agent })
}

/// The bodies of the options that are read, by their codes, each put together from its pieces (RFC 3396 7).
#[derive(Default)]
struct Sifted(BTreeMap<u8, Vec<u8>>);

impl Sifted {
    fn sift(&mut self, mut bytes: &[u8]) -> Option<()> {
        loop {
            let (code, rest) = match *bytes {
                // Some clients leave out the end.
                [] | [255, ..] => return Some(()),
                [0, ref rest @ ..] => {
                    bytes = rest;
                    continue;
                }
                [code, ref rest @ ..] => (code, rest),
            };
            let (&len, rest) = rest.split_first()?;
            let (body, rest) = rest.split_at_checked(len.into())?;
            bytes = rest;
            match code {
                HOST_NAME | WANTED | CLIENT_ID | FQDN => self.0.entry(code).or_default().extend(body),
                // What has one length has no pieces: the first counts.
                50 | OVERLOAD | 53 | 54 | 57 => _ = self.0.entry(code).or_insert_with(|| body.to_vec()),
                // An agent adds it behind all else (RFC 3046 2.1): what stands before is the client's own.
                AGENT => _ = self.0.insert(code, body.to_vec()),
                _ => {}
            }
        }
    }

    /// Those that dhcproto is to read, of lengths that hold, each in one piece. `None`: what cannot be answered.
    fn checked(&self) -> Option<BTreeMap<u8, Vec<u8>>> {
        let mut options = BTreeMap::new();
        for (&code, body) in &self.0 {
            let body = match code {
                // Names are for people; dhcproto wants them in UTF-8.
                HOST_NAME => String::from_utf8_lossy(body).into_owned().into_bytes(),
                WANTED => {
                    let mut seen = [false; 256];
                    let new = |&code: &u8| !std::mem::replace(&mut seen[usize::from(code)], true);
                    body.iter().copied().filter(new).take(255).collect()
                }
                _ => body.clone(),
            };
            let holds = match code {
                HOST_NAME | WANTED => (1..256).contains(&body.len()),
                50 | 54 => body.len() == 4,
                53 => body.len() == 1,
                57 => body.len() == 2,
                // It is owed in each answer (RFC 6842 3), beside which there would be no room.
                CLIENT_ID if body.len() > 255 => return None,
                // RFC 2132 9.14: type and at least a byte.
                CLIENT_ID => body.len() >= 2,
                _ => false,
            };
            if holds {
                options.insert(code, body);
            }
        }
        Some(options)
    }
}

/// A message of ours to a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    /// An address to take, for so long.
    Offer(Ipv4Addr, Duration),
    /// It is the client's, for so long.
    Ack(Ipv4Addr, Duration),
    /// To an INFORM: parameters without a lease.
    Parameters(Ipv4Addr),
    /// The client may not have the address that it asked for; why (option 56).
    Nak(&'static str),
}

impl Reply {
    /// The whole Ethernet frame.
    pub(super) fn frame(&self, request: &Request, config: &Config) -> Vec<u8> {
        let none = Ipv4Addr::UNSPECIFIED;
        let (kind, ciaddr, yiaddr) = match *self {
            Self::Offer(address, _) => (MessageType::Offer, none, address),
            Self::Ack(address, _) => (MessageType::Ack, request.ciaddr.unwrap_or(none), address),
            Self::Parameters(address) => (MessageType::Ack, address, none),
            Self::Nak(_) => (MessageType::Nak, none, none),
        };
        let giaddr = request.relay.map_or(none, |(relay, _)| relay);
        let mut message = Message::new_with_id(request.xid, ciaddr, yiaddr, none, giaddr, &request.mac.0);
        // RFC 2131 4.3.2: a relay, too, tells a refusal to all.
        let flags = match self {
            Self::Nak(_) if request.relay.is_some() => request.flags.set_broadcast(),
            _ => request.flags,
        };
        message.set_opcode(Opcode::BootReply).set_flags(flags);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ServerIdentifier(config.address));
        // RFC 6842 3: always, if the client sent it.
        if let Some(id) = &request.client_id {
            options.insert(DhcpOption::ClientIdentifier(id.clone()));
        }
        match *self {
            Self::Offer(_, time) | Self::Ack(_, time) => {
                let seconds = time.as_secs() as u32;
                options.insert(DhcpOption::AddressLeaseTime(seconds));
                // RFC 2131 4.4.5.
                options.insert(DhcpOption::Renewal(seconds / 2));
                options.insert(DhcpOption::Rebinding((u64::from(seconds) * 7 / 8) as u32));
            }
            Self::Nak(why) => drop(options.insert(DhcpOption::Message(why.to_owned()))),
            Self::Parameters(_) => (),
        }
        if !matches!(self, Self::Nak(_)) {
            options.insert(DhcpOption::SubnetMask(config.mask()));
            let parameters = [
                Some(DhcpOption::Router(vec![config.address])),
                (!config.dns.is_empty()).then(|| DhcpOption::DomainNameServer(config.dns.clone())),
                config.mtu.map(DhcpOption::InterfaceMtu),
                config.domain.clone().map(DhcpOption::DomainName),
            ];
            for parameter in parameters.into_iter().flatten() {
                let code = OptionCode::from(&parameter);
                // Many obey an MTU that they did not ask for, and nothing is then cut on the way (RFC 2131 4.3.1 allows it).
                let unasked = code == OptionCode::InterfaceMtu;
                if unasked || request.wanted.as_ref().is_none_or(|wanted| wanted.contains(&code)) {
                    options.insert(parameter);
                }
            }
        }
        let mut bytes = encoded(&message);
        // What a client can do without, if it has no room: a long domain beside a long identifier.
        let owed = request.agent.as_ref().map_or(0, |agent| 2 + agent.len());
        for code in [OptionCode::DomainName, OptionCode::InterfaceMtu, OptionCode::Message] {
            if bytes.len() + owed > request.largest {
                message.opts_mut().remove(code);
                bytes = encoded(&message);
            }
        }
        // RFC 3046 2.2: as it came, behind all else; as a whole or not at all.
        if let Some(agent) = &request.agent
            && bytes.len() + owed <= request.largest
            && bytes.pop() == Some(OptionCode::End.into())
        {
            bytes.extend([AGENT, agent.len() as u8]);
            bytes.extend(agent);
            bytes.push(OptionCode::End.into());
        }
        bytes.resize(bytes.len().max(SHORTEST), 0);

        // RFC 2131 4.1.
        let (station, to) = match *self {
            _ if let Some((relay, station)) = request.relay => (station, relay),
            Self::Nak(_) => (Mac::BROADCAST, Ipv4Addr::BROADCAST),
            _ if !ciaddr.is_unspecified() => (request.mac, ciaddr),
            _ if request.flags.broadcast() => (Mac::BROADCAST, Ipv4Addr::BROADCAST),
            _ => (request.mac, yiaddr),
        };
        let builder = PacketBuilder::ethernet2(config.mac.0, station.0)
            .ipv4(config.address.octets(), to.octets(), 64)
            .udp(SERVER_PORT, if request.relay.is_some() { SERVER_PORT } else { CLIENT_PORT });
        let mut frame = Vec::with_capacity(builder.size(bytes.len()));
        builder.write(&mut frame, &bytes).expect("a DHCP message fits a datagram, and a vector has room");
        frame
    }
}

fn encoded(message: &Message) -> Vec<u8> {
    message.to_vec().expect("options of at most 255 bytes")
}

/// Reads a frame as the server would: for fuzzing.
pub fn fuzz(frame: &[u8], config: &Config) {
    if let Ok(request) = Request::read(frame, config) {
        Reply::Nak("").frame(&request, config);
        Reply::Ack(Ipv4Addr::BROADCAST, Duration::from_secs(1)).frame(&request, config);
    }
}
