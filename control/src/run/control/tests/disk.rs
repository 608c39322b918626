//! Leases and the disk: what is on it when an ACK leaves, and who waits for it.

use dhcproto::v4::{DhcpOption, Message, MessageType};
use dhcproto::{Decodable, Encodable};

use hikyaku_protocols::dhcpv4::LeaseFile;

use super::*;

/// A disk that has trouble.
const SLOW: Duration = Duration::from_millis(300);

/// A station of the LAN that asks for an address.
pub(super) fn station(number: u8) -> Mac {
    Mac([2, 0, 0, 0, 7, number])
}

pub(super) fn dhcp(mac: Mac, kind: MessageType, options: &[DhcpOption]) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(u32::from(mac.0[5]), none, none, none, none, &mac.0);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2(mac.0, [0xff; 6])
        .ipv4([0; 4], [0xff; 4], 64)
        .udp(68, 67)
        .write(&mut frame, &message.to_vec().unwrap())
        .unwrap();
    frame
}

impl Lab {
    /// What the DHCPv4 server says next of this kind: to whom, and which address.
    fn dhcp_says(&mut self, kind: MessageType) -> (Mac, Ipv4Addr) {
        let mut said = None;
        let end = Instant::now() + STUCK;
        while said.is_none() {
            assert!(Instant::now() < end, "no {kind:?}");
            self.lan.collect(|frame| {
                let payload = frame.get(34..38).filter(|ports| **ports == [0, 67, 0, 68]).and(frame.get(42..));
                if let Some(message) = payload.and_then(|payload| Message::from_bytes(payload).ok())
                    && message.opts().msg_type() == Some(kind)
                {
                    said = Some((Mac(message.chaddr().try_into().unwrap()), message.yiaddr()));
                }
            });
            thread::yield_now();
        }
        said.expect("the loop ends with it")
    }

    /// From DISCOVER to ACK.
    fn lease(&mut self, mac: Mac) -> Ipv4Addr {
        assert!(self.lan.deliver(&dhcp(mac, MessageType::Discover, &[])));
        let (_, offered) = self.dhcp_says(MessageType::Offer);
        let taken = [DhcpOption::RequestedIpAddress(offered), DhcpOption::ServerIdentifier(GATEWAY)];
        assert!(self.lan.deliver(&dhcp(mac, MessageType::Request, &taken)));
        let (_, address) = self.dhcp_says(MessageType::Ack);
        assert_eq!(address, offered);
        address
    }
}

/// RFC 2131 3.1, step 4: whenever an ACK is seen the lease is in the file, as whole as a kill at this moment would leave
/// it.
#[test]
fn what_is_acknowledged_is_on_disk() {
    let mut lab = Lab::of(Setup {
        write: |dir, save| {
            thread::sleep(Duration::from_millis(30));
            dir.save(save)
        },
        ..Setup::default()
    });
    lab.come_up();
    for number in 1..=4 {
        let address = lab.lease(station(number));
        let file = std::fs::read_to_string(lab.state.join("dhcpv4.json")).unwrap();
        assert!(file.contains(&format!("\"{address}\"")), "{address}: {file}");
    }
}

/// What changed within the last moment is written before the end, over a disk that is slow.
#[test]
fn the_end_waits_for_the_disk() {
    let mut lab = Lab::of(Setup {
        write: |dir, save| {
            thread::sleep(SLOW);
            dir.save(save)
        },
        ..Setup::default()
    });
    lab.come_up();
    let (first, second) = (lab.lease(station(1)), lab.lease(station(2)));
    // A RELEASE is acknowledged by nobody, and to be known all the same.
    let mut release = Message::new_with_id(9, second, [0; 4].into(), [0; 4].into(), [0; 4].into(), &station(2).0);
    release.opts_mut().insert(DhcpOption::MessageType(MessageType::Release));
    release.opts_mut().insert(DhcpOption::ServerIdentifier(GATEWAY));
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ethernet2(station(2).0, LAN_MAC.0)
        .ipv4(second.octets(), GATEWAY.octets(), 64)
        .udp(68, 67)
        .write(&mut frame, &release.to_vec().unwrap())
        .unwrap();
    assert!(lab.lan.deliver(&frame));
    // It is heard before the thread is told to stop.
    thread::sleep(Duration::from_millis(100));
    lab.end();
    let file: LeaseFile = StateDir::new(&lab.state).load(StateFile::Dhcpv4(LanId(0))).unwrap();
    let until = |address| file.leases.iter().find(|lease| lease.address == address).unwrap().until;
    assert!(until(first) > wall() && until(second) <= wall(), "{file:?}");
}

/// A disk that takes nothing is no reason to leave hosts without an address.
#[test]
fn a_disk_that_takes_nothing_stops_nobody() {
    let mut lab = Lab::new(|_| ());
    lab.come_up();
    std::fs::remove_dir_all(&lab.state).unwrap();
    let (first, second) = (lab.lease(station(1)), lab.lease(station(2)));
    assert_ne!(first, second);
}
