//! TCP of hosts that ask for names, and of those who only pretend to: connections and what is sent are bounded, a question is one
//! at a time and from whoever has the connection, and all ends by itself.
#![no_main]

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hikyaku_control_fuzz::{Steps, later};
use hikyaku_net::checksum::Sum;
use hikyaku_net::{Mac, Prefix4, Time, protocol};
use hikyaku_protocols::Machine;
use hikyaku_protocols::forwarder::connections::{ConnectionId, Connections, MAX_CONNECTIONS, Output};
use hikyaku_protocols::forwarder::{MAX_STREAM_MESSAGE, PORT, Place};
use libfuzzer_sys::fuzz_target;

const US: Mac = Mac([2, 0, 0, 0, 0, 1]);
/// What all connections may have to say at one moment: a window of segments each.
const MOST: usize = MAX_CONNECTIONS * 80;

/// One end of a connection, of several hosts, ports and families: so that they meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct End(u8);

impl End {
    fn station(self) -> Mac {
        Mac([2, 0, 0, 0, 1, self.0 >> 1 & 3])
    }

    /// Its address and ours, as bytes.
    fn addresses(self) -> [Vec<u8>; 2] {
        let host = 2 + (self.0 >> 1 & 3);
        match self.0 & 1 {
            0 => [host, 1].map(|id| Ipv4Addr::new(192, 168, 1, id).octets().to_vec()),
            _ => [host, 1].map(|id| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, id.into()).octets().to_vec()),
        }
    }

    fn port(self) -> u16 {
        4000 + u16::from(self.0 >> 3)
    }

    /// The frame of a segment, its checksums right.
    fn frame(self, numbers: Numbers, flags: u8, window: u16, payload: &[u8]) -> Vec<u8> {
        let [from, to] = self.addresses();
        let mut tcp = [&self.port().to_be_bytes()[..], &PORT.to_be_bytes()].concat();
        tcp.extend([numbers.theirs.to_be_bytes(), numbers.ours.to_be_bytes()].concat());
        tcp.extend([5 << 4, flags]);
        tcp.extend(window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(payload);
        let length = tcp.len() as u16;
        let sum = Sum::new().bytes(&from).bytes(&to).number(length).number(protocol::TCP.into()).bytes(&tcp);
        tcp[16..18].copy_from_slice(&sum.checksum().0);
        let mut frame = [US.0, self.station().0].concat();
        if from.len() == 4 {
            let total = (length + 20).to_be_bytes();
            let mut ip = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, protocol::TCP, 0, 0];
            ip.extend([&from[..], &to].concat());
            let sum = Sum::new().bytes(&ip).checksum();
            ip[10..12].copy_from_slice(&sum.0);
            frame.extend([&[8, 0], &ip[..]].concat());
        } else {
            let [high, low] = length.to_be_bytes();
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, high, low, protocol::TCP, 64]);
            frame.extend([&from[..], &to].concat());
        }
        [frame, tcp].concat()
    }

    /// Whose a frame of ours is, with its segment.
    fn of(frame: &[u8]) -> (Self, &[u8]) {
        let (family, host, tcp) = match frame[12..14] {
            [8, 0] => (0, frame[33], &frame[34..14 + usize::from(u16::from_be_bytes([frame[16], frame[17]]))]),
            _ => (1, frame[53], &frame[54..54 + usize::from(u16::from_be_bytes([frame[18], frame[19]]))]),
        };
        let port = u16::from_be_bytes([tcp[2], tcp[3]]).wrapping_sub(4000) as u8;
        (Self(port << 3 | host.wrapping_sub(2) << 1 & 6 | family), tcp)
    }
}

/// What an end says next, and what it waits for.
#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    theirs: u32,
    ours: u32,
}

fn network(address: [u8; 4]) -> Prefix4 {
    Prefix4::new(address.into(), 24).expect("a prefix")
}

/// Connections, and what those on the other side know of them.
struct Play {
    connections: Connections,
    now: Time,
    place: Place,
    numbers: HashMap<End, Numbers>,
    asked: Vec<ConnectionId>,
}

impl Play {
    fn new() -> Self {
        let addresses = vec![[192, 168, 1, 1].into(), IpAddr::from(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1))];
        let place = Place { mac: US, addresses, ipv4: network([192, 168, 1, 0]), ipv6: Vec::new() };
        let (connections, now) = (Connections::new(), Time(1_000_000_000));
        Self { connections, now, place, numbers: HashMap::new(), asked: Vec::new() }
    }

    /// `message`: flags, how far the sequence number is off, window, payload; `framed`: that has its length in front.
    fn segment(&mut self, end: End, message: &[u8], framed: bool) {
        let Some((&[flags, off, window], payload)) = message.split_first_chunk() else { return };
        let mut numbers = self.numbers.get(&end).copied().unwrap_or_default();
        numbers.theirs = numbers.theirs.wrapping_add_signed((off as i8).into());
        let length = (payload.len() as u16).to_be_bytes();
        let payload = if framed { [&length, payload].concat() } else { payload.to_vec() };
        let payload = &payload[..payload.len().min(1400)];
        self.hear(&end.frame(numbers, flags, u16::from(window) << 6, payload));
    }

    fn hear(&mut self, frame: &[u8]) {
        self.connections.handle_input(self.now, &self.place, frame);
    }

    fn answer(&mut self, message: &[u8]) {
        if !self.asked.is_empty() {
            let id = self.asked.remove(0);
            self.connections.answer(self.now, id, message);
        }
    }

    fn take(&mut self) {
        for n in 0.. {
            let Some(output) = self.connections.drive(self.now) else { break };
            assert!(n < MOST, "outputs without end");
            match output {
                Output::Send(frame) => {
                    assert!((60..=14 + 1280).contains(&frame.len()) && frame[6..12] == US.0);
                    let (end, tcp) = End::of(&frame);
                    let number = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
                    let data = tcp.len() - usize::from(tcp[12] >> 4) * 4;
                    // SYN and FIN have a number each.
                    let length = data as u32 + u32::from(tcp[13] & 1) + u32::from(tcp[13] >> 1 & 1);
                    assert_eq!(u16::from_be_bytes([tcp[0], tcp[1]]), PORT);
                    let numbers = Numbers { theirs: number(8), ours: number(4).wrapping_add(length) };
                    self.numbers.insert(end, numbers);
                }
                Output::Question(client, message) => {
                    let id = client.connection.expect("it came by one");
                    assert!(message.len() <= 2048 && self.place.addresses.contains(&client.to));
                    self.asked.push(id);
                    let asked: HashSet<_> = self.asked.iter().collect();
                    assert_eq!(asked.len(), self.asked.len(), "two questions of one connection");
                }
            }
        }
        assert!(self.connections.open() <= MAX_CONNECTIONS);
        assert!(self.connections.poll_timeout().is_none_or(|next| next > self.now), "nothing is due after a drive");
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut play = Play::new();
    for (what, message) in Steps(bytes) {
        let number = what >> 3;
        match what & 7 {
            0 => play.hear(message),
            1 | 2 => play.segment(End(number), message, what & 1 == 0),
            3 => play.now = later(play.now, play.connections.poll_timeout(), number),
            4 => play.answer(message),
            5 => play.answer(&message.repeat(40)[..(message.len() * 40).min(MAX_STREAM_MESSAGE)]),
            // The LAN is another, and hosts of the old one are strangers.
            6 => play.place.ipv4 = network(if number & 1 == 0 { [192, 168, 1, 0] } else { [10, 0, 0, 0] }),
            // What an honest host says: SYN, ACK and a question, ACK.
            _ => {
                play.segment(End(number), &[2, 0, 255], false);
                play.take();
                play.segment(End(number), &[&[0x18, 0, 255], message].concat(), true);
                play.take();
                play.segment(End(number), &[0x10, 0, 255], false);
            }
        }
        play.take();
    }
    // Nobody says anything any more.
    for _ in 0..30_000 {
        let Some(next) = play.connections.poll_timeout() else { break };
        play.now = next.max(play.now);
        play.take();
    }
    assert_eq!((play.connections.open(), play.connections.poll_timeout()), (0, None));
});
