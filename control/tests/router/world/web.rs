//! Servers behind the ISP's router: smoltcp's TCP, one answer to every request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::rc::Rc;

use hikyaku_net::Time;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::Host;

/// Connections that a server takes at once.
const SOCKETS: usize = 4;

/// What to answer a request with, head and all.
pub type Answer = Box<dyn FnMut(&str) -> String>;

/// What came so far, and from whom: how much of it is a request, and the answer, if it is a whole one.
type Reader = Box<dyn FnMut(Ipv6Addr, &[u8]) -> Option<(usize, Vec<u8>)>>;

/// An HTTP server on the Internet.
pub struct Web {
    address: Ipv6Addr,
    port: u16,
    interface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    reader: Reader,
    due: Option<Time>,
}

impl Web {
    /// At `address`, port 80. The requests that come, with who sent them, are found in the second.
    #[allow(clippy::type_complexity)]
    pub fn new(address: Ipv6Addr, mut answer: Answer) -> (Self, Rc<RefCell<Vec<(Ipv6Addr, String)>>>) {
        let requests = Rc::new(RefCell::new(Vec::new()));
        let noted = requests.clone();
        let reader = move |from, bytes: &[u8]| {
            let end = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
            let request = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let answer = answer(&request).into_bytes();
            noted.borrow_mut().push((from, request));
            Some((end + 4, answer))
        };
        (Self::listen(address, 80, Box::new(reader)), requests)
    }

    /// At `address` and `port`, with whatever is spoken there.
    pub fn listen(address: Ipv6Addr, port: u16, reader: Reader) -> Self {
        let mut wire = Wire::default();
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv6(address), 64)).unwrap());
        // Everybody is behind the ISP's router.
        interface.routes_mut().add_default_ipv6_route(address).unwrap();
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let handles = (0..SOCKETS).map(|_| sockets.add(tcp::Socket::new(buffer(), buffer()))).collect();
        Self { address, port, interface, wire, sockets, handles, reader, due: None }
    }

    fn serve(&mut self) {
        for &handle in &self.handles {
            let socket = self.sockets.get_mut::<tcp::Socket>(handle);
            if !socket.is_open() {
                socket.listen(self.port).unwrap();
            }
            let Some(IpAddress::Ipv6(from)) = socket.remote_endpoint().map(|end| end.addr) else { continue };
            let reader = &mut self.reader;
            let read = |bytes: &mut [u8]| match reader(from, bytes) {
                Some((len, answer)) => (len, Some(answer)),
                None => (0, None),
            };
            if let Some(answer) = socket.can_recv().then(|| socket.recv(read).unwrap()).flatten() {
                socket.send_slice(&answer).unwrap();
                socket.close();
            }
        }
    }
}

impl Host for Web {
    fn address(&self) -> Ipv6Addr {
        self.address
    }

    fn hear(&mut self, now: Time, packet: &[u8]) {
        self.wire.heard.push_back(packet.to_vec());
        self.due = Some(now);
    }

    fn poll(&mut self, now: Time) -> Option<Vec<u8>> {
        if self.wire.out.is_empty() && self.due.is_none_or(|due| due <= now) {
            let instant = Instant::from_micros((now.0 / 1000) as i64);
            for _ in 0..2 {
                self.serve();
                self.interface.poll(instant, &mut self.wire, &mut self.sockets);
            }
            let at = self.interface.poll_at(instant, &self.sockets);
            self.due = Some(at.map_or(Time(u64::MAX), |at| Time((at.total_micros() as u64 + 1) * 1000)));
        }
        self.wire.out.pop_front()
    }

    fn next(&self) -> Option<Time> {
        self.due
    }
}

/// IP packets to and from smoltcp.
#[derive(Default)]
struct Wire {
    heard: VecDeque<Vec<u8>>,
    out: VecDeque<Vec<u8>>,
}

struct Packet(Vec<u8>);
struct Room<'a>(&'a mut VecDeque<Vec<u8>>);

impl Device for Wire {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _at: Instant) -> Option<(Packet, Room<'_>)> {
        Some((Packet(self.heard.pop_front()?), Room(&mut self.out)))
    }

    fn transmit(&mut self, _at: Instant) -> Option<Room<'_>> {
        Some(Room(&mut self.out))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        (capabilities.medium, capabilities.max_transmission_unit) = (Medium::Ip, 1500);
        capabilities
    }
}

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut packet = vec![0; len];
        let result = write(&mut packet);
        self.0.push_back(packet);
        result
    }
}
