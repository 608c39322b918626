//! Any bytes at all, against a stack with a connection and a question in the air.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::bounded;
use rand::SeedableRng;
use rand::rngs::StdRng;
use smoltcp::wire::{IpAddress, IpProtocol, Ipv6Packet, TcpPacket, TcpSeqNumber, UdpPacket};

use hikyaku_net::Time;

use super::Stack;
use super::stream::Ask;
use crate::Machine;

/// Plays `bytes` as packets (each: one byte of length, then that many) to a stack that is connecting and has
/// asked a DNS question. What looks like TCP or UDP is also played with addresses, ports, checksums and the
/// upper bits of the sequence numbers put right, so that it gets to smoltcp, and through it: the result is how
/// many bytes a reader of the connection got.
///
/// # Panics
/// If the stack does, or does not come to rest.
pub fn fuzz(bytes: &[u8]) -> usize {
    let ours: Ipv6Addr = "2001:db8::1".parse().expect("an address");
    let peer = SocketAddrV6::new("2001:db8::2".parse().expect("an address"), 80, 0, 0);
    let mut stack = Stack::with_rng(Arc::new(|| ()), StdRng::seed_from_u64(1));
    stack.set_addresses(&[ours]);
    let (reply, answer) = bounded(1);
    let _ = stack.connector.ask(Ask { ours, theirs: peer, timeout: Duration::from_secs(5), reply });
    let socket = stack.udp_open(ours, 4242).expect("a free port");
    stack.udp_send(socket, peer, b"?").expect("room");
    let mut now = Time(0);
    let sent = drain(&mut stack, now);
    let syn = sent.iter().find(|p| Ipv6Packet::new_unchecked(p).next_header() == IpProtocol::Tcp).expect("a SYN");
    let (port, seq) = {
        let ip = Ipv6Packet::new_unchecked(syn);
        let tcp = TcpPacket::new_unchecked(ip.payload());
        (tcp.src_port(), tcp.seq_number())
    };
    let mut rest = bytes;
    let (mut stream, mut read) = (None, 0);
    while let Some((&len, tail)) = rest.split_first() {
        let (packet, tail) = tail.split_at(tail.len().min(len.into()));
        rest = tail;
        now = now + Duration::from_millis(len.into());
        stack.handle_input(now, packet);
        drain(&mut stack, now);
        let mut packet = packet.to_vec();
        let len = packet.len();
        let Ok(mut ip) = Ipv6Packet::new_checked(&mut packet[..]) else { continue };
        ip.set_payload_len((len - 40) as u16);
        ip.set_src_addr(*peer.ip());
        ip.set_dst_addr(ours);
        let (from, to) = (IpAddress::Ipv6(*peer.ip()), IpAddress::Ipv6(ours));
        match ip.next_header() {
            IpProtocol::Tcp if len >= 60 => {
                let mut tcp = TcpPacket::new_unchecked(ip.payload_mut());
                tcp.set_src_port(peer.port());
                tcp.set_dst_port(port);
                // Near what was sent, near what was sent before: most random numbers would be refused.
                let mask = if tcp.window_len() & 1 == 0 { 1 } else { 0x3ff };
                tcp.set_ack_number(seq + (tcp.ack_number().0 as usize & mask));
                tcp.set_seq_number(TcpSeqNumber(0x7fff_ff00) + (tcp.seq_number().0 as usize & mask));
                tcp.fill_checksum(&from, &to);
            }
            IpProtocol::Udp if len >= 48 => {
                let mut udp = UdpPacket::new_unchecked(ip.payload_mut());
                udp.set_src_port(peer.port());
                udp.set_dst_port(4242);
                udp.set_len((len - 40) as u16);
                udp.fill_checksum(&from, &to);
            }
            _ => continue,
        }
        stack.handle_input(now, &packet);
        drain(&mut stack, now);
        let _ = stack.udp_recv(socket);
        stream = stream.or_else(|| answer.try_recv().ok()?.ok());
        let mut buffer = [0; 64];
        if let Some(stream) = &mut stream {
            read += stream.read(&mut buffer, Duration::ZERO).unwrap_or(0);
        }
    }
    drop(stream);
    // Nobody holds the connection any more: it ends.
    for _ in 0..20 {
        now = now + Duration::from_secs(1);
        drain(&mut stack, now);
    }
    assert_eq!(stack.streams(), 0, "a connection outlives its user");
    read
}

/// All that the stack wants to send.
fn drain(stack: &mut Stack, now: Time) -> Vec<Vec<u8>> {
    let sent: Vec<_> = std::iter::from_fn(|| stack.drive(now)).take(1000).collect();
    assert!(sent.len() < 1000, "it sends without end");
    sent
}
