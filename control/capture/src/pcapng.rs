//! The pcapng side of reading: sections, their interfaces, and what a timestamp means on each.

use hikyaku_net::Time;
use pcap_parser::{Block, InterfaceDescriptionBlock, OptionCode, PcapNGOption};

use super::error::Problem;
use super::link_type::LinkType;
use super::packet::{MAX_FRAME, Packet};

/// An `if_fcslen` option, which pcap-parser has no name for.
const IF_FCSLEN: OptionCode = OptionCode(13);
/// A packet block of drafts before 2009.
const OBSOLETE_PACKET: u32 = 2;

/// What one section says about the blocks that follow.
#[derive(Default)]
pub(super) struct Section {
    pub(super) big_endian: bool,
    interfaces: Vec<Interface>,
    last: Time,
}

struct Interface {
    link_type: i32,
    snap_len: u32,
    /// Ticks of a timestamp in a second (option `if_tsresol`).
    resolution: u128,
    /// Seconds to add to each timestamp (option `if_tsoffset`).
    offset: i64,
    /// Bytes of FCS at the end of every frame.
    fcs: u8,
}

impl Section {
    /// Takes note of a block, or makes a packet of it.
    pub(super) fn take(&mut self, block: Block<'_>) -> Result<Option<(LinkType, Packet)>, Problem> {
        match block {
            Block::SectionHeader(header) => {
                *self = Self { big_endian: header.big_endian(), interfaces: Vec::new(), last: self.last };
            }
            Block::InterfaceDescription(block) => self.interfaces.push(Interface::new(&block, self.big_endian)?),
            Block::EnhancedPacket(block) => {
                let (link, interface) = self.interface(block.if_id)?;
                if block.caplen > MAX_FRAME || block.caplen as usize > block.data.len() {
                    return Err(Problem::Damaged(format!("a frame of {} bytes", block.caplen)));
                }
                let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                let (time, fcs) = (interface.time(ticks), interface.fcs);
                self.last = time;
                let packet = packet(time, &block.data[..block.caplen as usize], block.origlen, fcs);
                return Ok(Some((link, packet)));
            }
            Block::SimplePacket(block) => {
                let (link, interface) = self.interface(0)?;
                let snap_len = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
                let len = block.data.len().min(block.origlen.min(snap_len) as usize);
                return Ok(Some((link, packet(self.last, &block.data[..len], block.origlen, interface.fcs))));
            }
            Block::Unknown(block) if block.block_type == OBSOLETE_PACKET => {
                return Err(Problem::Damaged(self.obsolete().into()));
            }
            _ => {}
        }
        Ok(None)
    }

    /// What to do with packet blocks of drafts. Editcap reads times that are finer than nanoseconds wrongly, and writes what it
    /// has read.
    fn obsolete(&self) -> &'static str {
        match self.interfaces.iter().any(|interface| interface.resolution > 1_000_000_000) {
            false => "an obsolete packet block; convert the file with editcap",
            true => {
                "an obsolete packet block; have the file written anew by what made it (editcap would spoil its times, which \
                 are finer than nanoseconds)"
            }
        }
    }

    fn interface(&self, id: u32) -> Result<(LinkType, &Interface), Problem> {
        let interface = self.interfaces.get(id as usize).ok_or_else(|| {
            Problem::Damaged(format!("a frame of interface {id}, but {} were described", self.interfaces.len()))
        })?;
        let link = LinkType::of(interface.link_type).ok_or(Problem::LinkType(interface.link_type))?;
        Ok((link, interface))
    }
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Result<Self, Problem> {
        let option = |code| block.options.iter().find(|o| o.code == code).map(PcapNGOption::value);
        let resolution = block.if_tsresol;
        let ticks = match resolution {
            0x80.. => 1u128.checked_shl((resolution & 0x7f).into()),
            _ => 10u128.checked_pow(resolution.into()),
        };
        // pcap-parser reads the offset as little endian whatever the section says.
        let offset = option(OptionCode::IfTsoffset)
            .and_then(|v| v.first_chunk::<8>())
            .map_or(0, |&v| if big_endian { i64::from_be_bytes(v) } else { i64::from_le_bytes(v) });
        Ok(Self {
            link_type: block.linktype.0,
            snap_len: block.snaplen,
            resolution: ticks.ok_or_else(|| Problem::Damaged(format!("timestamp resolution {resolution:#04x}")))?,
            offset,
            fcs: option(IF_FCSLEN).and_then(|v| v.first()).map_or(0, |&bits| if bits == 32 { 4 } else { 0 }),
        })
    }

    fn time(&self, ticks: u64) -> Time {
        // Below 2^94: no overflow.
        let nanos = u128::from(ticks) * 1_000_000_000 / self.resolution;
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX).saturating_add(i128::from(self.offset) * 1_000_000_000);
        Time(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }
}

/// A packet of the captured bytes, without its FCS.
pub(super) fn packet(time: Time, data: &[u8], original: u32, fcs: u8) -> Packet {
    let wire = original.saturating_sub(fcs.into());
    let kept = data.len().min(wire as usize);
    // A file that says "on the wire 0 bytes" (some generators do) means what it kept.
    let kept = if original == 0 { data.len() } else { kept };
    Packet { time, bytes: data[..kept].to_vec(), missing: wire.saturating_sub(kept as u32) }
}
