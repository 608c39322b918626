//! A table of sessions as bytes, to outlive the process. Everything is little-endian; addresses and ports stand as in a
//! packet. The layout of records in memory is another matter.
//!
//! | bytes | |
//! |---|---|
//! | 0-7 | `hikyakuS` |
//! | 8-9 | version, 1 |
//! | 10-11 | bytes of a record: 32 of IPv4, 56 of IPv6 |
//! | 12 | family: 4, or 6: native IPv6, of which nothing is translated |
//! | 13-15 | PSID offset, PSID length, 0 |
//! | 16-19 | PSID, 0 |
//! | 20-23 | how many records |
//! | 24-31 | when it was saved, seconds since 1970 |
//! | 32-47 | the outside address, of IPv4 the first four bytes; of IPv6 0 |
//! | 48 and on | records |
//! | the last 4 | CRC-32 (IEEE 802.3) of all before |

use std::io::{self, Write};
use std::net::Ipv4Addr;

use hikyaku_net::PortSet;
use zerocopy::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const MAGIC: [u8; 8] = *b"hikyakuS";
const VERSION: u16 = 1;
const CRC: usize = 4;

/// Records that are written at once.
const CHUNK: usize = 4096;

const _: () = assert!(size_of::<Header>() == 48 && size_of::<Record4>() == 32 && size_of::<Record6>() == 56);

/// A session as bytes.
pub trait Record: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + 'static {
    /// Of which IP version the table is.
    const FAMILY: u8;
}

impl Record for Record4 {
    const FAMILY: u8 = 4;
}

impl Record for Record6 {
    const FAMILY: u8 = 6;
}

/// What stands before the records.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U16,
    record_len: U16,
    family: u8,
    psid_offset: u8,
    psid_len: u8,
    _zero: u8,
    psid: U16,
    _zero2: U16,
    count: U32,
    at: U64,
    outside: [u8; 16],
}

/// One session of a NAPT.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record4 {
    pub protocol: u8,
    pub lan: u8,
    /// The way to the Internet that it went; whoever reads it back goes by the table that it is put into.
    pub uplink: u8,
    /// By what right it has its outside port: [`crate::napt::Claim`] as a number.
    pub claim: u8,
    /// What is known of its connection, see [`super::tcp`].
    pub state: u8,
    pub _zero: u8,
    pub outside_port: [u8; 2],
    pub inside: [u8; 4],
    pub peer: [u8; 4],
    pub inside_port: [u8; 2],
    pub peer_port: [u8; 2],
    /// Seconds since its last packet, when it was saved.
    pub idle: U32,
    pub packets: [U32; 2],
}

/// One session of the filter of native IPv6.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Record6 {
    pub protocol: u8,
    /// What is known of its connection, see [`super::tcp`].
    pub state: u8,
    pub _zero: [u8; 2],
    /// Sessions of one station have the same number here; which one that is nobody knows.
    pub share: U32,
    pub inside: [u8; 16],
    pub peer: [u8; 16],
    /// The ports of both, the inside one first.
    pub ports: [u8; 4],
    /// Seconds since its last packet, when it was saved.
    pub idle: U32,
    pub packets: [U32; 2],
}

/// Why a table is not saved.
#[derive(Debug, thiserror::Error)]
pub enum NotSaved {
    /// Somebody who panicked, or stands still, was changing it: what was left half done nobody knows.
    #[error("a worker was changing the session table")]
    Changing,
    /// It cannot be written.
    #[error(transparent)]
    Unwritten(#[from] io::Error),
}

/// What became of the sessions of a saved table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// They go on.
    pub restored: u32,
    /// Their time was over by now.
    pub expired: u32,
    /// They cannot be: there is no room, their port is not ours, or two contradict each other.
    pub refused: u32,
}

impl Restored {
    /// Counts one: it goes on, or its time is over; `None`: it cannot be.
    pub(crate) fn count(&mut self, goes_on: Option<bool>) {
        match goes_on {
            Some(true) => self.restored += 1,
            Some(false) => self.expired += 1,
            None => self.refused += 1,
        }
    }
}

/// Why bytes are no saved table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another file, or the beginning of one.
    #[error("it does not begin as a saved session table")]
    Magic,
    /// Of another program version.
    #[error("its format is version {0}; this program knows {VERSION}")]
    Version(u16),
    /// Of the other family, or of records that are not ours.
    #[error("records of family {0} with {1} bytes; they should be of family {2} with {3}")]
    Records(u8, u16, u8, usize),
    /// It was cut off, or something stands behind it.
    #[error("{0} bytes, where its {1} sessions take {2}")]
    Length(usize, u32, usize),
    /// A bit is another.
    #[error("its checksum is wrong")]
    Checksum,
    /// There is no such share of an address.
    #[error("no port set has PSID offset {0}, length {1} and number {2}")]
    Ports(u8, u8, u16),
}

/// A table that was saved, all of its bytes checked, but not what its records say.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a, R> {
    header: Header,
    ports: PortSet,
    pub(crate) records: &'a [R],
}

impl<'a, R: Record> Saved<'a, R> {
    /// Reads what was saved.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let (header, rest) = Header::read_from_prefix(bytes).map_err(|_| Unreadable::Magic)?;
        if header.magic != MAGIC {
            return Err(Unreadable::Magic);
        }
        if header.version.get() != VERSION {
            return Err(Unreadable::Version(header.version.get()));
        }
        let (family, len) = (header.family, header.record_len.get());
        if (family, usize::from(len)) != (R::FAMILY, size_of::<R>()) {
            return Err(Unreadable::Records(family, len, R::FAMILY, size_of::<R>()));
        }
        let count = header.count.get();
        let wanted = count as usize * size_of::<R>();
        let length = Unreadable::Length(bytes.len(), count, size_of::<Header>() + wanted + CRC);
        let (records, crc) = rest.split_at_checked(wanted).ok_or(length)?;
        let crc = <[u8; CRC]>::try_from(crc).map_err(|_| length)?;
        if u32::from_le_bytes(crc) != crc32fast::hash(&bytes[..bytes.len() - CRC]) {
            return Err(Unreadable::Checksum);
        }
        let records = <[R]>::ref_from_bytes(records).map_err(|_| length)?;
        let (offset, len, psid) = (header.psid_offset, header.psid_len, header.psid.get());
        let ports = PortSet::new(offset, len, psid).ok_or(Unreadable::Ports(offset, len, psid))?;
        Ok(Self { header, ports, records })
    }

    /// When it was saved, seconds since 1970.
    pub fn at(&self) -> u64 {
        self.header.at.get()
    }

    /// How many sessions are in it.
    pub fn count(&self) -> usize {
        self.records.len()
    }
}

impl Saved<'_, Record4> {
    /// The outside address of its sessions.
    pub fn outside(&self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.header.outside;
        Ipv4Addr::new(a, b, c, d)
    }

    /// The ports of that address that were ours.
    pub fn ports(&self) -> PortSet {
        self.ports
    }
}

/// Writes a table of `count` sessions. `wall`: seconds since 1970.
pub(crate) fn write<R: Record>(
    to: impl Write,
    (outside, ports): (Ipv4Addr, PortSet),
    (count, wall): (u32, u64),
    records: impl Iterator<Item = R>,
) -> io::Result<()> {
    let mut address = [0; 16];
    address[..4].copy_from_slice(&outside.octets());
    let header = Header {
        magic: MAGIC,
        version: VERSION.into(),
        record_len: (size_of::<R>() as u16).into(),
        family: R::FAMILY,
        psid_offset: ports.offset(),
        psid_len: ports.length(),
        _zero: 0,
        psid: ports.psid().into(),
        _zero2: 0.into(),
        count: count.into(),
        at: wall.into(),
        outside: address,
    };
    let mut summed = Summed { to, crc: crc32fast::Hasher::new() };
    summed.put(header.as_bytes())?;
    let mut records = records.peekable();
    let mut chunk = Vec::with_capacity(CHUNK);
    while records.peek().is_some() {
        chunk.extend(records.by_ref().take(CHUNK));
        summed.put(chunk.as_bytes())?;
        chunk.clear();
    }
    summed.to.write_all(&summed.crc.finalize().to_le_bytes())
}

/// What is written, and its checksum.
struct Summed<W> {
    to: W,
    crc: crc32fast::Hasher,
}

impl<W: Write> Summed<W> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.to.write_all(bytes)
    }
}
