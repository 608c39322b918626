//! Headers as bytes, and sums over them: nothing here is clever, and nothing is the dataplane's.

use hikyaku_dataplane::verdict::Reason;

pub type Addr = [u8; 4];

pub fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub fn addr(bytes: &[u8], at: usize) -> Addr {
    bytes[at..at + 4].try_into().unwrap()
}

/// The sum of all words, an odd last byte padded with zero (RFC 1071).
fn words(bytes: &[u8]) -> u64 {
    bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | u64::from(*c.get(1).unwrap_or(&0))).sum()
}

/// The checksum of `parts`, of which only the last may be odd.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = parts.iter().map(|p| words(p)).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// The checksum of data of which `before` has become `after`: what was wrong stays wrong by as much (RFC 3022 4.2).
pub fn adjusted(old: u16, before: &[u8], after: &[u8]) -> u16 {
    const ONES: u64 = 0xffff;
    ((u64::from(old) + words(before) % ONES + ONES - words(after) % ONES) % ONES) as u16
}

/// As [`adjusted`] for UDP: none stays none, a zero is sent as all ones (RFC 768).
pub fn adjusted_udp(old: u16, before: &[u8], after: &[u8]) -> u16 {
    match (old, adjusted(old, before, after)) {
        (0, _) => 0,
        (_, 0) => 0xffff,
        (_, new) => new,
    }
}

/// Computes an IPv4 header's checksum anew.
pub fn seal(packet: &mut [u8]) {
    put(packet, 10, 0);
    let sum = checksum(&[&packet[..header_len(packet)]]);
    put(packet, 10, sum);
}

pub fn header_len(packet: &[u8]) -> usize {
    usize::from(packet[0] & 15) * 4
}

pub fn total_len(packet: &[u8]) -> usize {
    word(packet, 2).into()
}

/// Offset of a fragment's payload in its packet's.
pub fn offset(packet: &[u8]) -> usize {
    usize::from(word(packet, 6) & 0x1fff) * 8
}

pub fn more(packet: &[u8]) -> bool {
    packet[6] & 0x20 != 0
}

pub fn dont_fragment(packet: &[u8]) -> bool {
    packet[6] & 0x40 != 0
}

pub fn is_fragment(packet: &[u8]) -> bool {
    more(packet) || offset(packet) != 0
}

pub fn src(packet: &[u8]) -> Addr {
    addr(packet, 12)
}

pub fn dst(packet: &[u8]) -> Addr {
    addr(packet, 16)
}

/// RFC 1812 5.3.7: what may be a host's address.
pub fn is_host(a: Addr) -> bool {
    !matches!(a[0], 0 | 127 | 224..)
}

/// Whether an IPv4 address is link-local (RFC 3927 2.1).
pub fn is_link_local(a: Addr) -> bool {
    a[..2] == [169, 254]
}

/// The IPv4 packet at the front of `bytes`, without what follows it (RFC 1812 5.2.2, RFC 791 3.2).
pub fn ipv4(bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    if bytes.len() < 20 {
        return Err(Reason::Ipv4Truncated);
    }
    if bytes[0] >> 4 != 4 {
        return Err(Reason::Ipv4Version);
    }
    let (header, total) = (header_len(bytes), total_len(bytes));
    if header < 20 || total < header {
        return Err(Reason::Ipv4Length);
    }
    if total > bytes.len() {
        return Err(Reason::Ipv4Truncated);
    }
    if checksum(&[&bytes[..header]]) != 0 {
        return Err(Reason::Ipv4Checksum);
    }
    let payload = total - header;
    let empty = is_fragment(bytes) && payload == 0;
    let odd = more(bytes) && payload % 8 != 0;
    if empty || odd || header + offset(bytes) + payload > 65535 {
        return Err(Reason::Ipv4Fragment);
    }
    Ok(bytes[..total].to_vec())
}

/// RFC 7126 4.3, 4.4: source routes are not followed; what cannot be read is not passed on.
pub fn has_refused_option(packet: &[u8]) -> bool {
    let options = &packet[20..header_len(packet)];
    let mut at = 0;
    while at < options.len() {
        match options[at] {
            0 => return false,
            1 => at += 1,
            131 | 137 => return true,
            _ => {
                let len = options.get(at + 1).map_or(0, |&len| usize::from(len));
                if len < 2 || at + len > options.len() {
                    return true;
                }
                at += len;
            }
        }
    }
    false
}

/// Lowers the MSS options of a SYN (RFC 6691, RFC 9293 3.7.1).
pub fn clamp(packet: &mut [u8], limit: u16) {
    let tcp = header_len(packet);
    if packet[9] != 6 || offset(packet) != 0 || packet.len() < tcp + 20 || packet[tcp + 13] & 2 == 0 {
        return;
    }
    let end = tcp + usize::from(packet[tcp + 12] >> 4) * 4;
    if end < tcp + 20 || end > packet.len() {
        return;
    }
    let before = packet[tcp..].to_vec();
    let mut at = tcp + 20;
    while at < end && packet[at] != 0 {
        if packet[at] == 1 {
            at += 1;
            continue;
        }
        let len = if at + 1 < end { usize::from(packet[at + 1]) } else { 0 };
        if len < 2 || at + len > end {
            break;
        }
        if packet[at] == 2 && len == 4 && word(packet, at + 2) > limit {
            put(packet, at + 2, limit);
        }
        at += len;
    }
    if before != packet[tcp..] {
        let new = adjusted(word(&before, 16), &before, &packet[tcp..]);
        put(packet, tcp + 16, new);
    }
}
