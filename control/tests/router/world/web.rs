//! A web server behind the ISP's router: smoltcp's TCP, one answer to every request.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::rc::Rc;

use hikyaku_dataplane::time::Time;
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

use super::Host;

/// Connections at once.
const SOCKETS: usize = 4;

/// What to answer a request with, head and all.
pub type Answer = Box<dyn FnMut(&str) -> String>;

/// A server.
pub struct Web {
    address: Ipv6Addr,
    interface: Interface,
    wire: Wire,
    sockets: SocketSet<'static>,
    handles: Vec<SocketHandle>,
    answer: Answer,
    requests: Rc<RefCell<Vec<(Ipv6Addr, String)>>>,
    due: Option<Time>,
}

impl Web {
    /// At `address`, port 80. The requests that come, with who sent them, are found in the second.
    #[allow(clippy::type_complexity)]
    pub fn new(address: Ipv6Addr, answer: Answer) -> (Self, Rc<RefCell<Vec<(Ipv6Addr, String)>>>) {
        let mut wire = Wire::default();
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut wire, Instant::ZERO);
        interface.update_ip_addrs(|all| all.push(IpCidr::new(IpAddress::Ipv6(address), 64)).unwrap());
        // Everybody is behind the ISP's router.
        interface.routes_mut().add_default_ipv6_route(address).unwrap();
        let mut sockets = SocketSet::new(Vec::new());
        let buffer = || tcp::SocketBuffer::new(vec![0; 8192]);
        let handles = (0..SOCKETS).map(|_| sockets.add(tcp::Socket::new(buffer(), buffer()))).collect();
        let requests = Rc::new(RefCell::new(Vec::new()));
        let web = Self { address, interface, wire, sockets, handles, answer, requests: requests.clone(), due: None };
        (web, requests)
    }

    fn serve(&mut self) {
        for &handle in &self.handles {
            let socket = self.sockets.get_mut::<tcp::Socket>(handle);
            if !socket.is_open() {
                socket.listen(80).unwrap();
            }
            let whole = |bytes: &mut [u8]| match bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                Some(end) => (end + 4, Some(String::from_utf8_lossy(&bytes[..end]).into_owned())),
                None => (0, None),
            };
            if let Some(request) = socket.can_recv().then(|| socket.recv(whole).unwrap()).flatten() {
                let Some(IpAddress::Ipv6(from)) = socket.remote_endpoint().map(|end| end.addr) else { continue };
                socket.send_slice((self.answer)(&request).as_bytes()).unwrap();
                socket.close();
                self.requests.borrow_mut().push((from, request));
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
