//! Outer fragments put together again (RFC 8200 4.5), in bounded memory and bounded time.
//!
//! What the tunnel asks beyond RFC 8200:
//! - Only IPv4 comes out. A first fragment that promises anything else, or that does not hold the
//!   inner IPv4 header (RFC 7112), is thrown away. Options of the far end that stand behind the
//!   fragment header are skipped (Linux writes its tunnel encapsulation limit there).
//! - Overlaps end the datagram, and what still comes of it is thrown away too (RFC 5722). An exact
//!   duplicate, byte for byte, is ignored.
//! - RFC 8200 waits 60 seconds. So does this if told to ([`Limits::timeout`]); the default is 2: pieces of
//!   one datagram leave a border router back to back, after 2 s the sender inside has long sent again, and
//!   what is held is not counted until its fate is known.
//! - When all places are taken, the oldest datagram makes room. To push out an honest datagram in
//!   the milliseconds it needs, an attacker would have to send a whole table's worth of forged
//!   first pieces within them, from the border router's address; refusing the newcomer instead
//!   would let 128 packets a second stop all reassembly.
//! - At most [`MAX_PIECES`] pieces a datagram: with 1280-byte links 54 are enough for 65535 bytes.

use std::collections::HashMap;
use std::time::Duration;

use hikyaku_net::packet::ipv6::{FragmentHeader, Walked};
use hikyaku_net::packet::{Ipv4, Ipv6};
use hikyaku_net::{Addr6, Time, protocol};
use zerocopy::FromBytes;

use super::ecn;
use crate::verdict::Reason;

/// The most pieces one datagram may come in.
pub const MAX_PIECES: usize = 64;

/// How much is held, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many datagrams may wait for pieces at once.
    pub datagrams: u16,
    /// The largest datagram, bytes from behind the fragment header on. 4096 is more than twice
    /// what a host with an MTU of 1500 sends; 65535 is possible and costs `datagrams` times that.
    pub max_len: u16,
    /// How long the pieces of one datagram may take.
    pub timeout: Duration,
}

impl Default for Limits {
    /// 256 datagrams of 4096 bytes, 1 MiB in all, 2 seconds.
    fn default() -> Self {
        Self { datagrams: 256, max_len: 4096, timeout: Duration::from_secs(2) }
    }
}

/// What became of a fragment.
#[derive(Debug, PartialEq, Eq)]
pub enum Push<'a> {
    /// It waits for the others: no verdict yet.
    Held,
    /// It was the last that was missing.
    Whole(Whole<'a>),
    /// The fragment is dropped for this reason.
    Bad(Reason),
}

/// A datagram that is whole again.
#[derive(Debug, PartialEq, Eq)]
pub struct Whole<'a> {
    /// The inner packet: at least 20 bytes, not checked further.
    pub packet: &'a [u8],
    /// The outer traffic class: DSCP of the first fragment, ECN of all (RFC 3168 5.3).
    pub class: u8,
    /// The source of the outer header.
    pub src: Addr6,
    /// The destination of the outer header.
    pub dst: Addr6,
    /// In how many frames it came. All but the one just pushed were held until now.
    pub fragments: u32,
}

/// RFC 8200 4.5: source, destination and identification tell datagrams apart, the next header
/// does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    src: Addr6,
    dst: Addr6,
    id: u32,
}

/// No slot: the end of a list.
const NONE: u16 = u16::MAX;

#[derive(Clone, Debug)]
struct Slot {
    key: Key,
    since: Time,
    /// Neighbours in the list of datagrams in order of arrival; `newer` also links free slots.
    older: u16,
    newer: u16,
    /// How many frames the datagram holds.
    held: u32,
    /// Nothing is held any more; kept to recognise further pieces.
    given_up: bool,
    /// The ECN marks seen, see [`ecn::reassembled`].
    marks: u8,
    /// Traffic class and next header of the first fragment.
    class: u8,
    next_header: u8,
    /// Bytes in, and the length once the last fragment told it.
    filled: u16,
    len: Option<u16>,
    /// Begin and end of each piece, in order of begin; none overlap.
    pieces: [(u16, u16); MAX_PIECES],
    count: u8,
}

impl Slot {
    fn pieces(&self) -> &[(u16, u16)] {
        &self.pieces[..self.count as usize]
    }
}

/// The datagrams that are waiting for pieces. Memory is taken once, at construction.
#[derive(Debug)]
pub struct Reassembler {
    limits: Limits,
    slots: Vec<Slot>,
    /// `limits.max_len` bytes for each slot.
    bytes: Box<[u8]>,
    /// Keyed per process, and large enough never to grow.
    index: HashMap<Key, u16>,
    oldest: u16,
    newest: u16,
    free: u16,
    held: u64,
}

/// A fragment, its header read.
struct Piece<'a> {
    key: Key,
    class: u8,
    next_header: u8,
    begin: usize,
    more: bool,
    payload: &'a [u8],
}

impl Reassembler {
    /// An empty one. Fewer than one datagram is taken for one, 65535 for one less.
    pub fn new(limits: Limits) -> Self {
        let datagrams = limits.datagrams.clamp(1, NONE - 1);
        let nobody = Key { src: Addr6::default(), dst: Addr6::default(), id: 0 };
        let slot = |i: u16| Slot {
            key: nobody,
            since: Time(0),
            older: NONE,
            newer: if i + 1 == datagrams { NONE } else { i + 1 },
            held: 0,
            given_up: false,
            marks: 0,
            class: 0,
            next_header: 0,
            filled: 0,
            len: None,
            pieces: [(0, 0); MAX_PIECES],
            count: 0,
        };
        Self {
            limits: Limits { datagrams, ..limits },
            slots: (0..datagrams).map(slot).collect(),
            bytes: vec![0; datagrams as usize * limits.max_len as usize].into(),
            // Twice the need: then removed entries are swept up in place.
            index: HashMap::with_capacity(datagrams as usize * 2),
            oldest: NONE,
            newest: NONE,
            free: 0,
            held: 0,
        }
    }

    /// Frames held: received, without a verdict so far.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Takes a fragment: an IPv6 packet and what [`hikyaku_net::packet::ipv6::walk`] found in it.
    ///
    /// `released` is told of frames held earlier whose datagram ended without becoming whole: why
    /// and how many. The frame pushed is not among them; its own fate is what is returned. Of the
    /// frames of a [`Whole`] all but the one pushed have become
    /// [`Reassembled`](crate::verdict::Verdict::Reassembled).
    ///
    /// A packet without fragment header, or with an atomic one, is whole by itself (RFC 6946).
    /// Call [`Self::expire`] first, once a burst.
    pub fn push<'a>(
        &'a mut self,
        now: Time,
        packet: &'a [u8],
        walked: &Walked,
        mut released: impl FnMut(Reason, u32),
    ) -> Push<'a> {
        let piece = match Piece::read(packet, walked) {
            Ok(piece) => piece,
            Err(reason) => return Push::Bad(reason),
        };
        if piece.begin == 0 && !piece.more {
            return match inner_packet(piece.next_header, piece.payload) {
                Ok(packet) => Push::Whole(Whole {
                    packet,
                    class: piece.class,
                    src: piece.key.src,
                    dst: piece.key.dst,
                    fragments: 1,
                }),
                Err(reason) => Push::Bad(reason),
            };
        }
        if let Err(reason) = piece.check() {
            return Push::Bad(reason);
        }
        let slot = match self.index.get(&piece.key) {
            Some(&slot) => slot,
            None => {
                let (slot, evicted) = self.open(now, piece.key);
                if evicted > 0 {
                    released(Reason::ReassemblyFull, evicted);
                }
                slot
            }
        };
        match self.put(slot, &piece) {
            Ok(false) => Push::Held,
            Ok(true) => match self.finish(slot) {
                Ok(whole) => Push::Whole(whole),
                Err((reason, frames)) => {
                    released(reason, frames);
                    Push::Bad(reason)
                }
            },
            Err(Bad::Piece(reason)) => Push::Bad(reason),
            Err(Bad::Datagram(reason)) => {
                let frames = self.give_up(slot);
                if frames > 0 {
                    released(reason, frames);
                }
                Push::Bad(reason)
            }
        }
    }

    /// Ends the datagrams that have waited too long. Costs nothing where there are none.
    pub fn expire(&mut self, now: Time, mut released: impl FnMut(Reason, u32)) {
        while self.oldest != NONE && now.since(self.slots[self.oldest as usize].since) >= self.limits.timeout {
            let frames = self.close(self.oldest);
            if frames > 0 {
                released(Reason::ReassemblyTimeout, frames);
            }
        }
    }

    /// Ends them all, as at the end of a replay: what they lack will not come any more.
    pub fn drain(&mut self, mut released: impl FnMut(Reason, u32)) {
        while self.oldest != NONE {
            let frames = self.close(self.oldest);
            if frames > 0 {
                released(Reason::ReassemblyTimeout, frames);
            }
        }
    }

    /// A slot for a new datagram, and how many frames the one that had to make room held.
    fn open(&mut self, now: Time, key: Key) -> (u16, u32) {
        let evicted = if self.free == NONE { self.close(self.oldest) } else { 0 };
        let at = self.free;
        let slot = &mut self.slots[at as usize];
        self.free = slot.newer;
        (slot.key, slot.since, slot.older, slot.newer) = (key, now, self.newest, NONE);
        (slot.held, slot.given_up, slot.marks, slot.filled, slot.len, slot.count) = (0, false, 0, 0, None, 0);
        match self.newest {
            NONE => self.oldest = at,
            newest => self.slots[newest as usize].newer = at,
        }
        self.newest = at;
        self.index.insert(key, at);
        (at, evicted)
    }

    /// Frees a slot and says how many frames it held.
    fn close(&mut self, at: u16) -> u32 {
        let slot = &mut self.slots[at as usize];
        let (older, newer, held) = (slot.older, slot.newer, slot.held);
        self.index.remove(&slot.key);
        slot.newer = self.free;
        self.free = at;
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        self.held -= u64::from(held);
        held
    }

    /// Lets go of what was held; the slot stays until its time is over, so that further pieces are
    /// known for what they are (RFC 5722 4).
    fn give_up(&mut self, at: u16) -> u32 {
        let slot = &mut self.slots[at as usize];
        slot.given_up = true;
        let held = std::mem::take(&mut slot.held);
        self.held -= u64::from(held);
        held
    }

    /// Puts a piece into its place. True if the datagram is whole with it.
    fn put(&mut self, at: u16, piece: &Piece<'_>) -> Result<bool, Bad> {
        const CONTRADICTION: Bad = Bad::Datagram(Reason::ReassemblyBad);
        let max_len = self.limits.max_len as usize;
        let slot = &mut self.slots[at as usize];
        if slot.given_up {
            return Err(Bad::Piece(Reason::ReassemblyBad));
        }
        let (begin, end) = (piece.begin, piece.begin + piece.payload.len());
        if end > max_len {
            return Err(Bad::Datagram(Reason::ReassemblyFull));
        }
        let bytes = &mut self.bytes[at as usize * max_len..][..max_len];
        let new = (begin as u16, end as u16);
        let place = slot.pieces().partition_point(|p| p.0 < new.0);
        let after = slot.pieces().get(place).copied();
        let same_last = slot.len == Some(new.1);
        if after == Some(new) && bytes[begin..end] == *piece.payload && piece.more != same_last {
            return Err(Bad::Piece(Reason::ReassemblyDuplicate));
        }
        let before_overlaps = place > 0 && slot.pieces[place - 1].1 > new.0;
        let after_overlaps = after.is_some_and(|p| p.0 < new.1);
        let beyond_end = slot.len.is_some_and(|len| new.1 > len);
        let before_end = !piece.more && slot.pieces().last().is_some_and(|p| p.1 > new.1);
        if before_overlaps || after_overlaps || beyond_end || before_end || slot.count as usize == MAX_PIECES {
            return Err(CONTRADICTION);
        }
        slot.pieces.copy_within(place..slot.count as usize, place + 1);
        slot.pieces[place] = new;
        slot.count += 1;
        slot.held += 1;
        self.held += 1;
        slot.filled += new.1 - new.0;
        slot.marks |= 1 << (piece.class & ecn::ECN);
        if begin == 0 {
            (slot.class, slot.next_header) = (piece.class, piece.next_header);
        }
        if !piece.more {
            slot.len = Some(new.1);
        }
        bytes[begin..end].copy_from_slice(piece.payload);
        Ok(slot.len == Some(slot.filled))
    }

    /// Frees the slot of a datagram that is whole; its bytes stay until another takes the slot.
    fn finish(&mut self, at: u16) -> Result<Whole<'_>, (Reason, u32)> {
        let frames = self.close(at);
        let slot = &self.slots[at as usize];
        let bytes = &self.bytes[at as usize * self.limits.max_len as usize..][..slot.filled as usize];
        let whole = || {
            let class = slot.class & !ecn::ECN | ecn::reassembled(slot.marks)?;
            let packet = inner_packet(slot.next_header, bytes)?;
            Ok(Whole { packet, class, src: slot.key.src, dst: slot.key.dst, fragments: frames })
        };
        whole().map_err(|reason| (reason, frames - 1))
    }
}

/// How much a bad fragment spoils.
enum Bad {
    /// The fragment itself is dropped, its datagram may still become whole.
    Piece(Reason),
    /// The datagram is given up with all its pieces.
    Datagram(Reason),
}

impl<'a> Piece<'a> {
    fn read(packet: &'a [u8], walked: &Walked) -> Result<Self, Reason> {
        let (ip, _) = Ipv6::ref_from_prefix(packet).map_err(|_| Reason::Ipv6Truncated)?;
        let payload = packet.get(walked.offset..walked.end).ok_or(Reason::Ipv6Truncated)?;
        let whole = Self {
            key: Key { src: ip.src, dst: ip.dst, id: 0 },
            class: ip.traffic_class(),
            next_header: walked.protocol,
            begin: 0,
            more: false,
            payload,
        };
        let Some(at) = walked.fragment else { return Ok(whole) };
        let header = packet.get(at..).and_then(|h| FragmentHeader::ref_from_prefix(h).ok());
        let (header, _) = header.ok_or(Reason::Ipv6Extension)?;
        Ok(Self { key: Key { id: header.id.get(), ..whole.key }, begin: header.offset(), more: header.more(), ..whole })
    }

    /// What RFC 8200 4.5 says of a single fragment: such a one is discarded, its datagram may
    /// still become whole with another.
    fn check(&self) -> Result<(), Reason> {
        let len = self.payload.len();
        let odd = self.more && !len.is_multiple_of(8);
        if len == 0 || odd || self.begin + len > 65535 {
            return Err(Reason::ReassemblyBad);
        }
        if self.begin == 0 {
            inner_packet(self.next_header, self.payload)?;
        }
        Ok(())
    }
}

/// The inner packet in what stood behind a fragment header, as far as it is there.
fn inner_packet(mut next_header: u8, mut bytes: &[u8]) -> Result<&[u8], Reason> {
    // The options of RFC 2473 4.1.1 belong to the part that is fragmented.
    while next_header == protocol::DESTINATION {
        let &[next, len, ..] = bytes else { return Err(Reason::Ipv6Extension) };
        bytes = bytes.get(8 + len as usize * 8..).ok_or(Reason::Ipv6Extension)?;
        next_header = next;
    }
    match next_header {
        protocol::IPV4 if bytes.len() >= size_of::<Ipv4>() => Ok(bytes),
        protocol::IPV4 => Err(Reason::ReassemblyBad),
        _ => Err(Reason::TunnelProtocol),
    }
}
