//! One capture over one line: hosts on one side of the router, a border router on the other.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hikyaku_capture::{Packet, Reader};
use hikyaku_config::{LINK_MTU, mtu_mode};
use hikyaku_dataplane::counters::Totals;

use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_dataplane::verdict::Reason;
use hikyaku_net::{Mac, PortSet, Time};
use hikyaku_protocols::service::Outside;
use hikyaku_schema::Tuning;

use super::border_router::{BorderRouter, Line};
use super::client::{Client, Fate};
use super::fixture::Fixture;
use crate::capture_router::{CaptureRouter, LAN_MAC, Lan, Mode, NEXT_HOP, Setup, WAN_MAC};

/// The near end of the tunnel.
pub(super) const CE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0x12, 0x3400, 0, 0, 0, 0xfeed);
/// The far end of the tunnel.
pub(super) const BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
/// What the near end translates to.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);

/// Most frames that go in at once.
const BURST: usize = 64;

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Verdicts and events that the router counted.
    pub totals: Totals,
    /// Frames into the router: from the LAN, from the WAN.
    pub frames_in: [u64; 2],
    /// Frames out of the router: to the LAN, to the WAN.
    pub frames_out: [u64; 2],
    /// Datagrams found right at the far end of their way.
    pub checked: u64,
    /// Packets that had to be refused.
    pub refused: u64,
    /// Replies that the border router had no mapping for, as in real life.
    pub unanswerable: u64,
    /// The first thing that was wrong.
    pub wrong: Option<String>,
}

/// A capture being played.
struct Play {
    router: CaptureRouter,
    border: BorderRouter,
    client: Client,
    waiting: usize,
    outcome: Outcome,
}

/// Plays a fixture. The error is one of set-up; what goes wrong on the way is in the outcome.
pub fn play(fixture: &Fixture, mode: Mode, tuning: &Tuning) -> anyhow::Result<Outcome> {
    let outside = (mode == Mode::Ipip).then_some(OUTSIDE);
    // DS-Lite hides the tunnel from hosts (RFC 6333 5.3), the other line tells them of it.
    let mtu = mtu_mode(if mode == Mode::Dslite { 1500 } else { 1460 });
    let lan = Lan { router: ROUTER, prefix: "192.168.1.0/24".parse()? };
    let setup = Setup {
        ce: CE,
        br: BR,
        outside: outside.map(|ipv4| Outside { ipv4, ports: PortSet::ALL }),
        mesh: None,
        mtu,
        behaviour: Default::default(),
        lan: Some(lan),
        vlans: [None, None],
    };
    let inner_mtu = match mtu {
        MtuMode::Strict { mtu } | MtuMode::Fragment { mtu } => mtu,
    };
    let line = Line { near: CE, far: BR, near_mac: WAN_MAC.0, far_mac: NEXT_HOP.0, mtu: LINK_MTU.into(), outside };
    let mut play = Play {
        router: CaptureRouter::new(&setup, tuning)?,
        border: BorderRouter::new(line),
        client: Client::new(ROUTER, LAN_MAC.0, inner_mtu),
        waiting: 0,
        outcome: Outcome {
            totals: Totals::default(),
            frames_in: [0; 2],
            frames_out: [0; 2],
            checked: 0,
            refused: 0,
            unanswerable: 0,
            wrong: None,
        },
    };
    let wrong = play.all(fixture).err();
    play.router.drain();
    let mut outcome = play.outcome;
    outcome.totals = play.router.totals();
    outcome.checked = play.border.checked() + play.client.checked();
    outcome.refused = play.client.refusals();
    outcome.wrong = wrong.or_else(|| {
        let drops: Vec<Reason> = match mode {
            Mode::Dslite => fixture.drops.to_vec(),
            Mode::Ipip => [fixture.drops, fixture.napt_drops].concat(),
        };
        missing(&play.border, &play.client, &outcome, &drops)
    });
    Ok(outcome)
}

/// What did not arrive, though nothing allowed it to be dropped; books that do not balance.
fn missing(border: &BorderRouter, client: &Client, outcome: &Outcome, drops: &[Reason]) -> Option<String> {
    let totals = &outcome.totals;
    if !totals.add_up() || totals.received() != outcome.frames_in.iter().sum::<u64>() {
        let (sent, received) = (outcome.frames_in.iter().sum::<u64>(), totals.received());
        return Some(format!("the books do not balance: {sent} frames in, {received} received, {} held", totals.held));
    }
    let refused = [Reason::TtlExceeded, Reason::TooBig].iter().map(|&r| totals.verdict(r.into())).sum::<u64>();
    if refused != outcome.refused {
        return Some(format!("{refused} packets were refused, {} should have been", outcome.refused));
    }
    let allowed = drops.iter().map(|&r| totals.verdict(r.into())).sum::<u64>();
    let missing = border.missing().iter().map(|d| (d, "far end")).chain(client.missing().iter().map(|d| (d, "LAN")));
    let missing: Vec<_> = missing.collect();
    let (first, place) = missing.first().filter(|_| missing.len() as u64 > allowed)?;
    Some(format!("{} datagrams did not arrive, the first at the {place}: {first}", missing.len()))
}

impl Play {
    fn all(&mut self, fixture: &Fixture) -> Result<(), String> {
        let reader = Reader::new(fixture.name, fixture.bytes).map_err(|e| e.to_string())?;
        let (mut from_host, mut start) = (true, None);
        let mut now = Time::default();
        for (number, packet) in reader.enumerate() {
            let packet = packet.map_err(|e| e.to_string())?;
            let start = *start.get_or_insert(packet.time);
            let is_from_host = packet.bytes.get(6..12) != Some(&LAN_MAC.0);
            if is_from_host != from_host || self.waiting >= BURST {
                self.turn(now).map_err(|e| format!("before frame {}: {e}", number + 1))?;
                from_host = is_from_host;
            }
            now = Time::default() + Duration::from_secs(1) + packet.time.since(start);
            let played = if from_host { self.host_sends(&packet) } else { self.internet_sends(&packet) };
            played.map_err(|e| format!("frame {}: {e}", number + 1))?;
        }
        self.turn(now)
    }

    /// A host sends a frame.
    fn host_sends(&mut self, packet: &Packet) -> Result<(), String> {
        let Some((header, ip)) = packet.bytes.split_first_chunk::<14>() else { return Ok(()) };
        if header[12..] == [8, 0] {
            let station = [header[6], header[7], header[8], header[9], header[10], header[11]];
            if let Fate::Arrives(datagram) = self.client.sends(station, ip)? {
                self.router.learn(datagram.header().source_addr(), Mac(station));
                self.border.expect(datagram);
            }
        }
        self.waiting += 1;
        self.outcome.frames_in[0] += 1;
        if self.router.lan.deliver(&packet.bytes) {
            Ok(())
        } else {
            Err("it does not fit the LAN's receive ring".into())
        }
    }

    /// What a host received when it was captured: the Internet sends it again.
    fn internet_sends(&mut self, packet: &Packet) -> Result<(), String> {
        let Some((header, ip)) = packet.bytes.split_first_chunk::<14>() else { return Ok(()) };
        if header[12..] != [8, 0] || ip.get(12..16) == Some(&ROUTER.octets()) {
            // The router of the capture said this itself; ours says what it has to say.
            return Ok(());
        }
        let Some(frames) = self.border.reply(ip) else {
            self.outcome.unanswerable += 1;
            return Ok(());
        };
        self.client.expect(ip)?;
        for frame in frames {
            self.waiting += 1;
            self.outcome.frames_in[1] += 1;
            if !self.router.wan.deliver(&frame) {
                return Err("it does not fit the WAN's receive ring".into());
            }
        }
        Ok(())
    }

    /// Lets the router work, and judges what it sent.
    fn turn(&mut self, now: Time) -> Result<(), String> {
        let Self { router, border, client, waiting, outcome } = self;
        router.run(now);
        *waiting = 0;
        let mut wrong = None;
        outcome.frames_out[0] += router.lan.collect(|frame| {
            wrong = wrong.take().or_else(|| client.receive(frame).err());
        }) as u64;
        outcome.frames_out[1] += router.wan.collect(|frame| {
            wrong = wrong.take().or_else(|| border.receive(frame).err());
        }) as u64;
        wrong.map_or(Ok(()), Err)
    }
}
