//! Links of the kernel's netmap: one descriptor of `/dev/netmap` for every ring pair.
//!
//! A ring pair is bound exclusively (`ONE_NIC` with `NR_EXCLUSIVE`), so that two workers, or two
//! programs, cannot have the same one. Descriptors of one memory region share one mapping, so a
//! buffer has the same address whichever link it is on, and buffers are swapped between links by
//! index. Binding and unbinding resets a native card: a link is opened once and kept, for as long as its
//! interface is there.
//!
//! What is asked of the kernel, and why, is in docs/netmap.md.

mod error;

use std::io;
use std::mem::offset_of;
use std::sync::Arc;

use netmap_sys::netmap::netmap_ring;

use super::abi::{self, flag, mode};
use super::device::{self, Device};
use super::frame::Headroom;
use super::link::{LinkInfo, Offsets};
use super::name::{LinkKind, LinkName, Rings};
use super::platform::{self, Adapter, Interface};
use super::queue::{Queue, RxRing, TxRing};
use super::region::{Region, RegionId};
use super::spare::Spare;
use super::vlan::Vlan;

pub use error::OpenError;

/// How to open a link.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Headroom wanted in front of received frames. The link may have less or none: see
    /// [`LinkInfo::headroom`]. [`Headroom::NONE`] asks for none.
    pub headroom: Headroom,
    /// The programs at the other ports of this VALE switch use offsets too. Without that they would
    /// look for a frame where it is not, so a VALE port gets headroom only with this.
    pub peers_know_offsets: bool,
    /// Open the host's rings of the interface as well.
    pub host: bool,
    /// Slots of each ring, for VALE ports and pipes; a card has its own number.
    pub slots: Option<u32>,
    /// The memory to use, for VALE ports and pipes, which have memory of their own otherwise. An
    /// interface's is netmap's choice.
    pub region: Option<RegionId>,
    /// Spare buffers of each queue for a handoff ring to each other queue's worker; none if 0.
    pub handoff_slots: u32,
    /// The VLAN that the link is of its wire.
    pub vlan: Option<Vlan>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            headroom: Headroom::new(Headroom::DEFAULT_BASE, 8),
            peers_know_offsets: false,
            host: false,
            slots: None,
            region: None,
            handoff_slots: 0,
            vlan: None,
        }
    }
}

/// A link that the kernel's netmap has opened.
pub struct KernelLink {
    /// Its ring pairs, in the card's order; or the host's, if the name asked for those.
    pub queues: Vec<Queue>,
    /// The host's ring pairs, if [`OpenOptions::host`] asked for them.
    pub host: Vec<Queue>,
    /// What it turned out to be.
    pub info: LinkInfo,
}

/// Whether this process may open the device now.
pub fn check_device() -> Result<(), OpenError> {
    Device::open().map(drop).map_err(OpenError::of_device)
}

/// Opens `name` and binds its rings. Dropping the queues gives the rings back.
pub fn open(name: &LinkName, options: &OpenOptions) -> Result<KernelLink, OpenError> {
    let interface = match name.kind() {
        LinkKind::Interface => Some(find_interface(name)?),
        LinkKind::Vale | LinkKind::Pipe => None,
        LinkKind::Xdp => return Err(OpenError::NotNetmap { link: name.clone() }),
    };
    let wants_host = options.host || name.rings() == Rings::Host;
    if wants_host && interface.is_none() {
        return Err(OpenError::NoHostRings { link: name.clone() });
    }
    let (headroom, offsets) = plan_headroom(name, interface.as_ref(), options)?;
    let spare = options.handoff_slots * pairs_of(name).saturating_sub(1);
    let mut opener = Opener { name, options, headroom, offsets, interface: interface.as_ref(), spare };

    let (first_mode, first_ring) = match name.rings() {
        Rings::All => (mode::ONE_NIC, 0),
        Rings::One(queue) => (mode::ONE_NIC, queue),
        Rings::Host => (mode::ONE_SW, 0),
    };
    let first = opener.bind(first_mode, first_ring)?;
    let reply = first.reply;
    let region = device::map(reply.mem_id, reply.memsize).map_err(|source| OpenError::Map {
        link: name.clone(),
        region: reply.mem_id,
        bytes: reply.memsize,
        source,
    })?;
    let counts = opener.interface_struct(&region, &reply)?;
    let pairs = reply.tx_rings.min(reply.rx_rings);
    let host_pairs = counts.host_tx_rings.min(counts.host_rx_rings) as u16;
    if first_mode == mode::ONE_NIC && first_ring >= pairs {
        return Err(OpenError::NoQueue { link: name.clone(), have: pairs });
    }

    let mut queues = vec![opener.attach(first, &region)?];
    let rest = match name.rings() {
        Rings::All => (mode::ONE_NIC, 1..pairs),
        Rings::One(_) => (mode::ONE_NIC, 0..0),
        Rings::Host => (mode::ONE_SW, 1..host_pairs),
    };
    for ring in rest.1 {
        let bound = opener.bind(rest.0, ring)?;
        queues.push(opener.attach(bound, &region)?);
    }
    let mut host = Vec::new();
    if options.host && name.rings() != Rings::Host {
        for ring in 0..host_pairs {
            let bound = opener.bind(mode::ONE_SW, ring)?;
            host.push(opener.attach(bound, &region)?);
        }
    }

    let info = LinkInfo {
        name: name.clone(),
        region: region.id(),
        memory: region.len(),
        tx_rings: reply.tx_rings,
        rx_rings: reply.rx_rings,
        host_rings: host_pairs,
        slots: queues[0].rx.slots(),
        buf_size: queues[0].rx.buf_size(),
        headroom: opener.headroom,
        offsets: opener.offsets,
        mac: interface.as_ref().and_then(|i| i.mac),
        mtu: interface.as_ref().and_then(|i| i.mtu),
        adapter: interface.as_ref().map(|i| i.adapter),
        xdp: None,
        vlan: options.vlan,
        notes: interface.as_ref().map_or_else(Vec::new, |interface| {
            let adapter = interface.adapter;
            platform::card(&interface.name).notes(&interface.name, adapter, wants_host, options.vlan.is_some())
        }),
    };
    // The host's rings stay as they are: what it sends and gets has the tags that it has.
    if name.rings() != Rings::Host {
        queues.iter_mut().for_each(|queue| queue.set_vlan(options.vlan));
    }
    Ok(KernelLink { queues, host, info })
}

/// Ring pairs that a name stands for, as far as netmap tells before they are bound; else 1.
fn pairs_of(name: &LinkName) -> u32 {
    let mut info = abi::PortInfo::default();
    let asked = Device::open().is_ok_and(|device| device.control(name.port(), &mut info, None).is_ok());
    match name.rings() {
        Rings::All if asked => info.tx_rings.min(info.rx_rings).into(),
        _ => 1,
    }
}

pub(super) fn find_interface(name: &LinkName) -> Result<Interface, OpenError> {
    let mut all = platform::interfaces().map_err(|source| OpenError::Refused {
        link: name.clone(),
        source,
        hint: " (getifaddrs)".into(),
    })?;
    match all.iter().position(|i| i.name == name.port()) {
        Some(at) => Ok(all.swap_remove(at)),
        None => {
            let have = all.into_iter().map(|i| i.name).collect();
            Err(OpenError::NoInterface { link: name.clone(), have })
        }
    }
}

/// The headroom to ask for, before the kernel has its say: what peers understand and what the
/// buffers leave room for.
fn plan_headroom(
    name: &LinkName,
    interface: Option<&Interface>,
    options: &OpenOptions,
) -> Result<(Headroom, Offsets), OpenError> {
    let host_only = name.rings() == Rings::Host;
    if options.headroom == Headroom::NONE || (host_only && !platform::HOST_RINGS_KNOW_OFFSETS) {
        return Ok((Headroom::NONE, Offsets::NotAsked));
    }
    match name.kind() {
        // A pipe hands the sender's slot over and raises its offset to the receiver's without
        // moving a byte: safe only where both ends start at 0, which is what no headroom is.
        LinkKind::Pipe => return Ok((Headroom::NONE, Offsets::Peers)),
        LinkKind::Vale if !options.peers_know_offsets => return Ok((Headroom::NONE, Offsets::Peers)),
        LinkKind::Vale | LinkKind::Interface | LinkKind::Xdp => {}
    }
    let mut pools = abi::PoolsInfo { mem_id: options.region.map_or(0, mem_id), ..Default::default() };
    let port = if interface.is_some() { name.port() } else { "" };
    let asked = Device::open().map_err(OpenError::of_device)?.control(port, &mut pools, None);
    // An older kernel may not answer; then the size every system starts with is assumed, and
    // `RxRing::attach` checks the size that there is.
    let size = if asked.is_ok() { pools.buf_pool_object_size } else { 2048 };
    // The longest frame to come: the interface's MTU, and no less than a full inner packet in its
    // outer header, with Ethernet and a VLAN tag. The generic adapter writes past the buffer's
    // end where that does not fit behind the largest offset.
    let longest = interface.and_then(|i| i.mtu).unwrap_or(0).max(1500 + 40) + 14 + 4;
    let native = interface.is_some_and(|i| i.adapter != Adapter::Emulated);
    Ok(match fit(options.headroom, size, longest, native) {
        Some(headroom) => (headroom, Offsets::InUse),
        None => (Headroom::NONE, Offsets::SmallBuffers { size, longest }),
    })
}

/// As much of `wanted` as leaves `longest` bytes of a buffer; a native card uses whole KiB of it
/// (ixgbe's SRRCTL) and splits longer frames over two slots.
fn fit(wanted: Headroom, buf_size: u32, longest: u32, native: bool) -> Option<Headroom> {
    let mut headroom = wanted;
    loop {
        let behind = buf_size.saturating_sub(headroom.max_start().into());
        if (if native { behind & !1023 } else { behind }) >= longest {
            return Some(headroom);
        }
        headroom = headroom.fewer_colours()?;
    }
}

/// A region's number as the kernel writes it; 0, the kernel's choice, for memory that is not its.
fn mem_id(region: RegionId) -> u16 {
    u16::try_from(region.0).unwrap_or(0)
}

/// A descriptor with its rings, not yet found in the region.
struct Bound {
    device: Device,
    reply: abi::Register,
}

/// What opening one link carries from ring to ring.
struct Opener<'a> {
    name: &'a LinkName,
    options: &'a OpenOptions,
    interface: Option<&'a Interface>,
    headroom: Headroom,
    offsets: Offsets,
    /// Buffers wanted for each queue beside those of its rings.
    spare: u32,
}

impl Opener<'_> {
    /// Binds one ring pair. The first one finds out whether the link knows offsets.
    fn bind(&mut self, mode: u32, ring: u16) -> Result<Bound, OpenError> {
        let refused = |e: &io::Error| matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EINVAL));
        let result = match self.try_bind(mode, ring)? {
            Err(error) if self.headroom_of(mode) != Headroom::NONE && refused(&error) => {
                // Native links without offsets say so, and some because of what is asked: go without.
                let headroom = std::mem::replace(&mut self.headroom, Headroom::NONE);
                let result = self.try_bind(mode, ring)?;
                match result {
                    Ok(_) => self.offsets = Offsets::Refused(error),
                    Err(_) => self.headroom = headroom,
                }
                result
            }
            result => result,
        };
        result.map_err(|error| self.explain(mode, ring, error))
    }

    /// The headroom of rings that are bound in this mode: the host's have none where it would not be heeded.
    fn headroom_of(&self, mode: u32) -> Headroom {
        let heeded = mode != mode::ONE_SW || platform::HOST_RINGS_KNOW_OFFSETS;
        if heeded { self.headroom } else { Headroom::NONE }
    }

    fn try_bind(&self, mode: u32, ring: u16) -> Result<io::Result<Bound>, OpenError> {
        let device = Device::open().map_err(OpenError::of_device)?;
        let slots = self.options.slots.unwrap_or(0);
        let mut reply = abi::Register {
            tx_slots: slots,
            rx_slots: slots,
            mem_id: if self.interface.is_some() { 0 } else { self.options.region.map_or(0, mem_id) },
            ring,
            mode,
            flags: flag::EXCLUSIVE | flag::NO_TX_POLL,
            extra_bufs: if mode == mode::ONE_NIC { self.spare } else { 0 },
            ..Default::default()
        };
        let headroom = self.headroom_of(mode);
        let mut offsets = (headroom != Headroom::NONE).then(|| abi::OffsetsOption {
            header: abi::OptionHeader {
                kind: abi::option::OFFSETS,
                // A kernel that knows no options leaves it as it is.
                status: libc::EOPNOTSUPP as u32,
                ..Default::default()
            },
            max_offset: headroom.max_start().into(),
            initial_offset: headroom.base().into(),
            bits: 16,
            ..Default::default()
        });
        let mut result = device.control(self.name.port(), &mut reply, offsets.as_mut());
        if let (Ok(()), Some(option)) = (&result, offsets)
            && option.header.status != 0
        {
            result = Err(io::Error::from_raw_os_error(option.header.status as i32));
        }
        Ok(result.map(|()| Bound { device, reply }))
    }

    /// Turns the kernel's errno into what it means for this link.
    fn explain(&self, mode: u32, ring: u16, error: io::Error) -> OpenError {
        let link = self.name.clone();
        match error.raw_os_error() {
            Some(libc::EBUSY) => {
                let rings = if mode == mode::ONE_SW { "host rings are".into() } else { format!("queue {ring} is") };
                OpenError::Busy { link, rings }
            }
            Some(libc::ENOMEM) => OpenError::NoMemory { link },
            Some(libc::EINVAL) => {
                let mut info = abi::PortInfo::default();
                let known = Device::open().is_ok_and(|d| d.control(self.name.port(), &mut info, None).is_ok());
                let pairs = info.tx_rings.min(info.rx_rings);
                if known && mode == mode::ONE_NIC && ring >= pairs {
                    return OpenError::NoQueue { link, have: pairs };
                }
                let hint = match self.interface.and_then(|i| i.mtu) {
                    Some(mtu) => format!(
                        " (is its MTU of {mtu} above netmap's buffer size? {}; is netmap older than API {}?)",
                        platform::BUFFER_SIZE_HINT,
                        abi::API
                    ),
                    None => String::new(),
                };
                OpenError::Refused { link, source: error, hint }
            }
            _ => OpenError::Refused { link, source: error, hint: String::new() },
        }
    }

    fn layout(&self, what: impl Into<String>) -> OpenError {
        OpenError::Layout { link: self.name.clone(), what: what.into() }
    }

    fn interface_struct(&self, region: &Region, reply: &abi::Register) -> Result<abi::Interface, OpenError> {
        device::read(region, reply.offset as i64).ok_or_else(|| self.layout("netmap_if lies outside the region"))
    }

    /// Takes the extra buffers that came with a descriptor: a list through their first words. The kernel is left
    /// with an empty one. It would follow the list when the descriptor is closed, and by then buffers have
    /// moved on into other rings: [`Spare`] puts those that there are then into the list of another descriptor.
    fn take_spare(
        &self,
        region: &Arc<Region>,
        reply: &abi::Register,
        first: u32,
        rx: &RxRing,
    ) -> Result<Spare, OpenError> {
        let (offset, size) = (rx.first_buffer(), rx.buf_size() as usize);
        let mut spare = Vec::new();
        let mut next = first;
        while next != 0 && spare.len() < reply.extra_bufs as usize {
            spare.push(next);
            next = device::read(region, (offset + next as usize * size) as i64)
                .ok_or_else(|| self.layout(format!("extra buffer {next} lies outside")))?;
        }
        if first != 0 {
            device::write(region, reply.offset as usize + offset_of!(abi::Interface, bufs_head), 0u32)
                .ok_or_else(|| self.layout("netmap_if lies outside the region"))?;
        }
        Ok(Spare::of_netmap(spare, region, offset, size))
    }

    /// Finds the descriptor's ring pair in the region.
    fn attach(&self, bound: Bound, region: &Arc<Region>) -> Result<Queue, OpenError> {
        let Bound { device, reply } = bound;
        if reply.mem_id as u64 != region.id().0 {
            return Err(self.layout(format!("its rings are in regions {} and {}", region.id().0, reply.mem_id)));
        }
        let counts = self.interface_struct(region, &reply)?;
        let (tx, rx) = match reply.mode {
            mode::ONE_SW => (counts.host_tx(reply.ring), counts.host_rx(reply.ring)),
            _ => (counts.tx(reply.ring), counts.rx(reply.ring)),
        };
        let base = reply.offset as i64;
        let find = |index: usize, dir: u16| {
            let entry = base + size_of::<abi::Interface>() as i64 + 8 * index as i64;
            let at = match device::read::<i64>(region, entry) {
                Some(0) | None => return Err(self.layout(format!("ring_ofs[{index}] has no ring"))),
                Some(offset) => base + offset,
            };
            // The header's comment has them the wrong way round: 1 is transmit.
            match device::read::<u16>(region, at + offset_of!(netmap_ring, dir) as i64) {
                Some(is) if is == dir => Ok(at as usize),
                _ => Err(self.layout(format!("ring_ofs[{index}] is a ring of the other direction"))),
            }
        };
        let bad = |source| OpenError::Ring { link: self.name.clone(), source };
        let headroom = self.headroom_of(reply.mode);
        let rx = RxRing::attach(region.clone(), find(rx, 0)?, headroom).map_err(bad)?;
        let spare = self.take_spare(region, &reply, counts.bufs_head, &rx)?;
        Ok(Queue {
            rx,
            tx: TxRing::attach(region.clone(), find(tx, 1)?, headroom).map_err(bad)?,
            provider: Box::new(device),
            spare,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_shrinks_until_a_full_frame_fits_behind_it() {
        let wanted = Headroom::new(64, 8);
        assert_eq!(fit(wanted, 4096, 1558, true), Some(wanted));
        // 2048 - 128 rounds down to 1 KiB: a native card would split every full frame.
        assert_eq!(fit(wanted, 2048, 1558, true), None);
        assert_eq!(fit(wanted, 2048, 1558, false), Some(Headroom::new(64, 4)));
        assert_eq!(fit(wanted, 2048, 9018, false), None);
    }
}
