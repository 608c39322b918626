//! A table of sessions as bytes, to outlive the process. Everything is little-endian; addresses and ports stand as in a
//! packet. The layout of records in memory is another matter.
//!
//! | bytes | |
//! |---|---|
//! | 0-7 | `hikyakuS` |
//! | 8-9 | version, 1 |
//! | 10-11 | bytes of a record: 32 of IPv4 |
//! | 12 | family: 4 (6 is for native IPv6) |
//! | 13-15 | PSID offset, PSID length, 0 |
//! | 16-19 | PSID, 0 |
//! | 20-23 | how many records |
//! | 24-31 | when it was saved, seconds since 1970 |
//! | 32-47 | the outside address, of IPv4 the first four bytes |
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

const _: () = assert!(size_of::<Header>() == 48 && size_of::<Record4>() == 32);

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
pub(crate) struct Record4 {
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

/// Why bytes are no saved table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Another file, or the beginning of one.
    #[error("it does not begin as a saved session table")]
    Magic,
    /// Of another program version.
    #[error("its format is version {0}; this program knows {VERSION}")]
    Version(u16),
    /// Of IPv6, or of records that are not ours.
    #[error("records of family {0} with {1} bytes; this program knows family 4 with 32")]
    Records(u8, u16),
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
pub struct Saved<'a> {
    header: Header,
    ports: PortSet,
    pub(crate) records: &'a [Record4],
}

impl<'a> Saved<'a> {
    /// Reads what [`Writer`] wrote.
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
        if (header.family, usize::from(header.record_len.get())) != (4, size_of::<Record4>()) {
            return Err(Unreadable::Records(header.family, header.record_len.get()));
        }
        let count = header.count.get();
        let wanted = count as usize * size_of::<Record4>();
        let length = Unreadable::Length(bytes.len(), count, size_of::<Header>() + wanted + CRC);
        let (records, crc) = rest.split_at_checked(wanted).ok_or(length)?;
        let crc = <[u8; CRC]>::try_from(crc).map_err(|_| length)?;
        if u32::from_le_bytes(crc) != crc32fast::hash(&bytes[..bytes.len() - CRC]) {
            return Err(Unreadable::Checksum);
        }
        let records = <[Record4]>::ref_from_bytes(records).map_err(|_| length)?;
        let (offset, len, psid) = (header.psid_offset, header.psid_len, header.psid.get());
        let ports = PortSet::new(offset, len, psid).ok_or(Unreadable::Ports(offset, len, psid))?;
        Ok(Self { header, ports, records })
    }

    /// The outside address of its sessions.
    pub fn outside(&self) -> Ipv4Addr {
        let [a, b, c, d, ..] = self.header.outside;
        Ipv4Addr::new(a, b, c, d)
    }

    /// The ports of that address that were ours.
    pub fn ports(&self) -> PortSet {
        self.ports
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

/// Writes a table.
pub(crate) struct Writer<W> {
    to: W,
    crc: crc32fast::Hasher,
}

impl<W: Write> Writer<W> {
    /// Begins with the header of a table of so many sessions. `wall`: seconds since 1970.
    pub fn new(to: W, outside: Ipv4Addr, ports: PortSet, count: u32, wall: u64) -> io::Result<Self> {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&outside.octets());
        let header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            record_len: (size_of::<Record4>() as u16).into(),
            family: 4,
            psid_offset: ports.offset(),
            psid_len: ports.length(),
            _zero: 0,
            psid: ports.psid().into(),
            _zero2: 0.into(),
            count: count.into(),
            at: wall.into(),
            outside: address,
        };
        let mut writer = Self { to, crc: crc32fast::Hasher::new() };
        writer.put(header.as_bytes())?;
        Ok(writer)
    }

    /// The next records.
    pub fn records(&mut self, records: &[Record4]) -> io::Result<()> {
        self.put(records.as_bytes())
    }

    /// The end, when all are written.
    pub fn end(mut self) -> io::Result<()> {
        let crc = self.crc.clone().finalize();
        self.to.write_all(&crc.to_le_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc.update(bytes);
        self.to.write_all(bytes)
    }
}
