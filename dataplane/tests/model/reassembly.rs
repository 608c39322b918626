//! Outer fragments (RFC 8200 4.5, RFC 5722), kept as they came until all are there.

use std::collections::BTreeMap;

use hikyaku_dataplane::verdict::Reason;

/// Most packets at once, bytes of each, and pieces.
const PACKETS: usize = 256;
const LEN: usize = 4096;
const PIECES: usize = 64;
/// How long the first fragment waits for the last, nanoseconds.
const TIMEOUT: u64 = 2_000_000_000;

/// What belongs together: source, destination, identification (RFC 8200 4.5).
pub type Key = ([u8; 16], [u8; 16], u32);

/// A fragment that waits for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub begin: usize,
    pub more: bool,
    pub class: u8,
    pub next: u8,
    pub bytes: Vec<u8>,
}

impl Piece {
    fn end(&self) -> usize {
        self.begin + self.bytes.len()
    }
}

#[derive(Debug)]
struct Parts {
    since: u64,
    order: u64,
    given_up: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Default)]
pub struct Reassembly {
    packets: BTreeMap<Key, Parts>,
    count: u64,
}

pub enum Push {
    Held,
    Bad(Reason),
    /// The inner packet, the outer class, how many others it was made from.
    Whole(Vec<u8>, u8, u64),
}

/// A reason, and how many frames that were held end by it.
pub type Released = Option<(Reason, u64)>;

impl Reassembly {
    pub fn held(&self) -> u64 {
        self.packets.values().filter(|p| !p.given_up).map(|p| p.pieces.len() as u64).sum()
    }

    pub fn expire(&mut self, now: u64) -> u64 {
        let before = self.held();
        self.packets.retain(|_, p| now - p.since < TIMEOUT);
        before - self.held()
    }

    pub fn push(&mut self, now: u64, key: Key, piece: Piece) -> (Push, Released) {
        if piece.begin == 0 && !piece.more {
            return match inner(piece.next, &piece.bytes) {
                Ok(packet) => (Push::Whole(packet, piece.class, 0), None),
                Err(reason) => (Push::Bad(reason), None),
            };
        }
        let odd = piece.more && !piece.bytes.len().is_multiple_of(8);
        if piece.bytes.is_empty() || odd || piece.end() > 65535 {
            return (Push::Bad(Reason::ReassemblyBad), None);
        }
        if piece.begin == 0
            && let Err(reason) = inner(piece.next, &piece.bytes)
        {
            return (Push::Bad(reason), None);
        }
        let mut released = None;
        if !self.packets.contains_key(&key) {
            if self.packets.len() == PACKETS {
                let oldest = *self.packets.iter().min_by_key(|(_, p)| p.order).expect("it is full").0;
                let oldest = self.packets.remove(&oldest).expect("just found");
                let held = if oldest.given_up { 0 } else { oldest.pieces.len() as u64 };
                released = (held > 0).then_some((Reason::ReassemblyFull, held));
            }
            self.count += 1;
            self.packets.insert(key, Parts { since: now, order: self.count, given_up: false, pieces: Vec::new() });
        }
        let parts = self.packets.get_mut(&key).expect("just made");
        match parts.add(piece) {
            Ok(false) => (Push::Held, released),
            Ok(true) => {
                let parts = self.packets.remove(&key).expect("just there");
                let others = parts.pieces.len() as u64 - 1;
                match parts.whole() {
                    Ok((packet, class)) => (Push::Whole(packet, class, others), released),
                    Err(reason) => (Push::Bad(reason), Some((reason, others))),
                }
            }
            Err((reason, false)) => (Push::Bad(reason), released),
            Err((reason, true)) => {
                let held = if parts.given_up { 0 } else { parts.pieces.len() as u64 };
                parts.given_up = true;
                (Push::Bad(reason), if held > 0 { Some((reason, held)) } else { released })
            }
        }
    }
}

impl Parts {
    /// Whether all is there now. `Err`: why not, and whether the whole packet is given up (RFC 5722 4).
    fn add(&mut self, piece: Piece) -> Result<bool, (Reason, bool)> {
        if self.given_up {
            return Err((Reason::ReassemblyBad, false));
        }
        if piece.end() > LEN {
            return Err((Reason::ReassemblyFull, true));
        }
        let end = self.pieces.iter().find(|p| !p.more).map(Piece::end);
        let same = |p: &&Piece| (p.begin, p.end(), &p.bytes) == (piece.begin, piece.end(), &piece.bytes);
        if self.pieces.iter().any(|p| same(&p)) && piece.more != (end == Some(piece.end())) {
            return Err((Reason::ReassemblyDuplicate, false));
        }
        let overlaps = self.pieces.iter().any(|p| p.begin < piece.end() && piece.begin < p.end());
        let beyond = end.is_some_and(|end| piece.end() > end);
        let before = !piece.more && self.pieces.iter().any(|p| p.end() > piece.end());
        if overlaps || beyond || before || self.pieces.len() == PIECES {
            return Err((Reason::ReassemblyBad, true));
        }
        self.pieces.push(piece);
        let filled: usize = self.pieces.iter().map(|p| p.bytes.len()).sum();
        Ok(self.pieces.iter().any(|p| !p.more && p.end() == filled))
    }

    /// RFC 3168 5.3: the marks of all pieces make one.
    fn whole(mut self) -> Result<(Vec<u8>, u8), Reason> {
        self.pieces.sort_by_key(|p| p.begin);
        let bytes: Vec<u8> = self.pieces.iter().flat_map(|p| p.bytes.clone()).collect();
        let has = |mark: u8| self.pieces.iter().any(|p| p.class & 3 == mark);
        let ecn = match (has(3), has(0)) {
            (true, true) => return Err(Reason::TunnelEcn),
            (true, false) => 3,
            (false, true) => 0,
            (false, false) if has(2) => 2,
            (false, false) => 1,
        };
        let first = &self.pieces[0];
        Ok((inner(first.next, &bytes)?, first.class & 0xfc | ecn))
    }
}

/// The inner packet behind the destination options that may be in the part that was cut (RFC 2473 4.1.1).
fn inner(mut next: u8, mut bytes: &[u8]) -> Result<Vec<u8>, Reason> {
    while next == 60 {
        if bytes.len() < 2 {
            return Err(Reason::Ipv6Extension);
        }
        next = bytes[0];
        bytes = bytes.get(8 + usize::from(bytes[1]) * 8..).ok_or(Reason::Ipv6Extension)?;
    }
    match next {
        4 if bytes.len() >= 20 => Ok(bytes.to_vec()),
        4 => Err(Reason::ReassemblyBad),
        _ => Err(Reason::TunnelProtocol),
    }
}
