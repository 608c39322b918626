use etherparse::PacketBuilder;

use super::*;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 5];

fn address(text: &str) -> [u8; 16] {
    text.parse::<Ipv6Addr>().unwrap().octets()
}

fn udp6(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(HOST, OURS).ipv6(address("fe80::1"), address("fe80::2"), 64);
    let mut frame = Vec::new();
    builder.udp(ports.0, ports.1).write(&mut frame, payload).unwrap();
    frame
}

fn icmp6(message: &[u8]) -> Vec<u8> {
    let mut frame = [&OURS[..], &HOST, &[0x86, 0xdd], &[0x60, 0, 0, 0, 0, message.len() as u8, 58, 255]].concat();
    frame.extend([address("fe80::1"), address("ff02::1")].concat());
    [&frame[..], message].concat()
}

fn said(frame: &[u8]) -> (&'static str, u8, String) {
    let said = Said::read(frame).unwrap();
    (said.name, said.kind, said.contents())
}

#[test]
fn an_advertisement_is_said_whole() {
    let prefix =
        [&[3, 4, 64, 0xc0][..], &[0, 0, 0x38, 0x40, 0, 0, 0x1c, 0x20, 0, 0, 0, 0], &address("2001:db8::")].concat();
    let resolver = [&[25, 3, 0, 0, 0, 0, 2, 0x58][..], &address("2001:db8::53")].concat();
    let search = *b"\x1f\x03\0\0\0\0\0\x3c\x04home\x04arpa\0\0\0\0\0\0";
    let fixed = [134, 0, 0, 0, 64, 0xc8, 7, 8, 0, 0, 0, 0, 0, 0, 0x27, 0x10];
    let options = [&[1, 1, 2, 0, 0, 0, 0, 5][..], &[5, 1, 0, 0, 0, 0, 5, 0xdc], &prefix, &resolver, &search].concat();
    let frame = icmp6(&[&fixed[..], &options].concat());
    let words = "managed, other, router for 1800 s, preference high, retransmission timer 10000 ms, source 02:00:00:00:00:05, \
                 mtu 1500, prefix 2001:db8::/64 on-link autonomous valid 14400 s preferred 7200 s, \
                 resolver 2001:db8::53 for 600 s, search \"home.arpa\" for 60 s";
    assert_eq!(said(&frame), ("router advertisement", 134, words.into()));
    let read = Said::read(&frame).unwrap();
    assert_eq!((read.protocol, read.station), (Protocol::Router, Mac(HOST)));
    assert_eq!(read.from, Some(("fe80::1".parse().unwrap(), 0)));
}

#[test]
fn neighbours_are_said() {
    let target = address("fe80::9");
    let asked = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 1, 2, 0, 0, 0, 0, 5]].concat();
    assert_eq!(said(&icmp6(&asked)), ("neighbour solicitation", 135, "for fe80::9, source 02:00:00:00:00:05".into()));
    let answer = [&[136, 0, 0, 0, 0xe0, 0, 0, 0][..], &target, &[2, 1, 2, 0, 0, 0, 0, 5]].concat();
    let words = "of fe80::9, router, solicited, override, target 02:00:00:00:00:05";
    assert_eq!(said(&icmp6(&answer)), ("neighbour advertisement", 136, words.into()));
    assert_eq!(said(&icmp6(&[128, 0, 0, 0, 0, 7, 0, 2, 9])).2, "id 7, number 2, 9 bytes");
}

/// RFC 8415 21.11: a Reconfigure key is in the Reply's Authentication option, as it is.
#[test]
fn a_reply_is_said_without_its_key() {
    let lease = [&[0, 26, 0, 25, 0, 0, 0, 60, 0, 0, 0, 90, 56][..], &address("2001:db8:1::")].concat();
    let association = [&[0, 25, 0, 12 + 29, 0, 0, 0, 1, 0, 0, 0, 30, 0, 0, 0, 48][..], &lease].concat();
    let key = [&[0, 11, 0, 28, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], b"KEYKEYKEYKEYKEYK"].concat();
    let status = *b"\0\x0d\0\x04\0\x02no";
    let name = *b"\0\x40\0\x0a\x02gw\x05isp42\0";
    let reply = [&[7, 0xaa, 0xbb, 0xcc][..], &association, &key, &status, &name].concat();
    let words = "transaction aabbcc, IA_PD 1 T1 30 s T2 48 s (prefix 2001:db8:1::/56 preferred 60 s valid 90 s), \
                 option 11 of 28 bytes, status 2 \"no\", AFTR \"gw.isp42\"";
    assert_eq!(said(&udp6((547, 546), &reply)), ("Reply", 7, words.into()));
    assert!(said(&udp6((547, 546), &reply[..40])).2.ends_with("option 25 cut off"));
}

#[test]
fn dhcpv4_is_said() {
    let mut message = vec![0; 240];
    message[4..8].copy_from_slice(&[1, 2, 3, 4]);
    message[16..20].copy_from_slice(&[192, 168, 1, 9]);
    message[28..34].copy_from_slice(&HOST);
    message.extend(*b"\x35\x01\x05\x33\x04\0\0\x0e\x10\x06\x04\xc0\xa8\x01\x01\x0f\x04home\x5a\x03key\xff");
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(OURS, HOST).ipv4([192, 168, 1, 1], [192, 168, 1, 9], 64).udp(67, 68);
    builder.write(&mut frame, &message).unwrap();
    let words = "transaction 01020304, of 02:00:00:00:00:05, gets 192.168.1.9, for 3600 s, resolver 192.168.1.1, \
                 domain \"home\", option 90 of 3 bytes";
    assert_eq!(said(&frame), ("DHCPACK", 5, words.into()));
}

#[test]
fn of_names_only_types_are_said() {
    let question = *b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x02gw\x07example\0\0\x1c\0\x01";
    assert_eq!(said(&udp6((4000, 53), &question)), ("query", 0, "id 7, for AAAA".into()));
    let mut answer = question;
    (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
    let record = [&[0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16][..], &address("2001:db8::1")].concat();
    let words = "id 7, for AAAA, No Error, 1 AAAA";
    assert_eq!(said(&udp6((53, 4000), &[&answer[..], &record].concat())), ("response", 0, words.into()));
    assert_eq!(said(&udp6((53, 4000), b"junk")).2, "4 bytes that are no DNS");
}

/// Notification services and provisioning servers may be asked without TLS.
#[test]
fn of_a_connection_no_byte_is_said() {
    let mut frame = Vec::new();
    let builder = PacketBuilder::ethernet2(OURS, HOST).ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).tcp(4000, 80, 1, 9);
    builder.syn().write(&mut frame, b"GET /?pass=s3cret").unwrap();
    let said = Said::read(&frame).unwrap();
    assert_eq!((said.name, said.contents().as_str()), ("TCP segment", "SYN, 17 bytes"));
    assert_eq!(said.to, Some(("192.0.2.2".parse().unwrap(), 80)));
    assert!(!format!("{said:?}").contains("s3cret"));
}

/// What a tunnel carries is what people look for.
#[test]
fn a_tunnel_is_looked_into() {
    let mut inner = Vec::new();
    PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).udp(9, 10).write(&mut inner, &[0; 5]).unwrap();
    let mut frame = [&OURS[..], &HOST, &[0x86, 0xdd], &[0x60, 0, 0, 0, 0, inner.len() as u8, 4, 64]].concat();
    frame.extend([address("2001:db8::1"), address("2001:db8::2")].concat());
    frame.extend(&inner);
    let said = Said::read(&frame).unwrap();
    assert_eq!((said.name, said.from), ("UDP datagram", Some(("192.0.2.1".parse().unwrap(), 9))));
    assert_eq!(said.station, Mac(HOST));
}

/// Anything may be cut off anywhere, and names may be as long as they like.
#[test]
fn whatever_comes_is_said_in_bounds() {
    let reply = [&[7, 1, 2, 3][..], &[0, 6, 4, 0], &[9; 1024]].concat();
    let whole = udp6((547, 546), &reply);
    for end in 14..whole.len() {
        Said::read(&whole[..end]).unwrap().contents();
    }
    assert_eq!(said(&whole).2.chars().count(), LONGEST);
    assert!(Said::read(&whole[..13]).is_none());
    let advertisement = icmp6(&[&[134, 0, 0, 0, 64, 0, 7, 8][..], &[0; 8], &[3, 0]].concat());
    assert!(said(&advertisement).2.ends_with("option 3 cut off"));
}
