//! The stack against another host, on lines of all kinds, in virtual time.

mod gate;
mod tcp;
mod udp;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use hikyaku_net::Time;
use hikyaku_testkit::Host;

use super::stream::Ask;
use super::{Stack, Stream, StreamError};
use crate::Machine;

const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const THEIRS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);

pub(super) fn theirs(port: u16) -> SocketAddrV6 {
    SocketAddrV6::new(THEIRS, port, 0, 0)
}

/// What a line does to packets, each in so many of a hundred.
#[derive(Clone, Copy, Default)]
struct Weather {
    lost: u32,
    twice: u32,
    /// Delays differ by up to so much: packets overtake each other.
    jitter: Duration,
}

/// When a packet arrives, a serial number, whether it is for us, the packet.
type UnderWay = (Time, u64, bool, Vec<u8>);

/// A stack, a host, and the line between them.
struct Lab {
    now: Time,
    stack: Stack,
    host: Host,
    weather: Weather,
    rng: StdRng,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    serial: u64,
}

impl Lab {
    fn new(seed: u64, weather: Weather) -> Self {
        let mut stack = Stack::with_rng(Arc::new(|| ()), StdRng::seed_from_u64(seed));
        stack.set_addresses(&[OURS]);
        let rng = StdRng::seed_from_u64(!seed);
        Self { now: Time(1), stack, host: Host::new(THEIRS), weather, rng, under_way: BinaryHeap::new(), serial: 0 }
    }

    fn clear() -> Self {
        Self::new(1, Weather::default())
    }

    fn put(&mut self, for_us: bool, packet: Vec<u8>) {
        let copies = match self.rng.random_range(0..100) {
            n if n < self.weather.lost => 0,
            n if n < self.weather.lost + self.weather.twice => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let jitter = self.weather.jitter.mul_f64(self.rng.random());
            self.serial += 1;
            let at = self.now + Duration::from_millis(5) + jitter;
            self.under_way.push(Reverse((at, self.serial, for_us, packet.clone())));
        }
    }

    /// Sends what wants to be sent.
    fn send(&mut self) {
        while let Some(packet) = self.stack.drive(self.now) {
            self.put(false, packet);
        }
        for packet in self.host.poll(self.now) {
            self.put(true, packet);
        }
    }

    /// Goes on to the next thing that happens, a while at most.
    fn step(&mut self, at_most: Duration) {
        self.send();
        let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
        let next = [arrival, self.stack.poll_timeout(), self.host.next(self.now)].into_iter().flatten().min();
        let next = next.unwrap_or(self.now + at_most).clamp(self.now, self.now + at_most);
        self.now = next.max(Time(self.now.0 + 1));
        while let Some(Reverse((at, _, for_us, packet))) = self.under_way.pop() {
            if at > self.now {
                self.under_way.push(Reverse((at, 0, for_us, packet)));
                break;
            }
            if for_us { self.stack.handle_input(self.now, &packet) } else { self.host.hear(self.now, packet) }
        }
        self.send();
    }

    /// Lets time pass, in which both ends do what is due.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end.since(self.now));
        }
    }

    fn ask(&self, port: u16, timeout: Duration) -> Receiver<Result<Stream, StreamError>> {
        let (reply, answer) = bounded(1);
        self.stack.connector().ask(Ask { ours: OURS, theirs: theirs(port), timeout, reply }).unwrap();
        answer
    }

    /// The stream that was asked for, or why there is none, and how long that took.
    fn wait(&mut self, answer: &Receiver<Result<Stream, StreamError>>) -> (Result<Stream, StreamError>, Duration) {
        let start = self.now;
        loop {
            self.step(Duration::from_secs(1));
            if let Ok(result) = answer.try_recv() {
                return (result, self.now.since(start));
            }
        }
    }

    /// An open connection to a port where the host listens.
    fn connect(&mut self, port: u16) -> Stream {
        self.host.listen(port);
        let answer = self.ask(port, Duration::from_secs(30));
        let stream = self.wait(&answer).0.expect("connected");
        // Until the host knows it too.
        self.pass(Duration::from_millis(50));
        stream
    }
}
