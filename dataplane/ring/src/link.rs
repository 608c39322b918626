//! What an open link turned out to be: the status line and the warnings of a start.

use std::fmt;
use std::io;

use super::frame::Headroom;
use super::name::LinkName;
use super::platform::{Adapter, BUFFER_SIZE_HINT};
use super::region::RegionId;
use super::vlan::Vlan;

/// A link's place in the snapshot and in every worker's list of queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId(pub u8);

impl LinkId {
    /// The place of what belongs to the link in a list by links.
    #[inline(always)]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of an open link. `Display` is one line for a status page or a log.
#[derive(Debug)]
pub struct LinkInfo {
    /// The name that it was opened by.
    pub name: LinkName,
    /// The memory its buffers are in: frames move between links of one region by swapping.
    pub region: RegionId,
    /// Bytes of that memory, rings and buffers of all its links.
    pub memory: usize,
    /// Transmit rings of the link, opened or not.
    pub tx_rings: u16,
    /// Receive rings of the link, opened or not.
    pub rx_rings: u16,
    /// Pairs of host rings.
    pub host_rings: u16,
    /// Slots of a ring.
    pub slots: u32,
    /// Bytes of a buffer.
    pub buf_size: u32,
    /// Where received frames start; [`Headroom::NONE`] if at the buffer's start, and then a frame
    /// that gets an outer header is shifted.
    pub headroom: Headroom,
    /// Why that is so.
    pub offsets: Offsets,
    /// The interface's Ethernet address.
    pub mac: Option<[u8; 6]>,
    /// The interface's MTU when it was opened.
    pub mtu: Option<u32>,
    /// Who fills the rings; `None` for VALE ports and pipes, which netmap itself does, and AF_XDP.
    pub adapter: Option<Adapter>,
    /// How AF_XDP moves frames; `None` for netmap.
    pub xdp: Option<XdpMode>,
    /// The VLAN that it is of its wire.
    pub vlan: Option<Vlan>,
    /// What else was found at the interface that its owner should know, a line each.
    pub notes: Vec<String>,
}

/// Whether netmap's OFFSETS option is in use, and if not, why.
#[derive(Debug)]
pub enum Offsets {
    /// It is: a header is pushed and popped without moving the frame.
    InUse,
    /// No headroom was asked for.
    NotAsked,
    /// The other end of a VALE switch or a pipe may not know of offsets.
    Peers,
    /// A frame of `longest` bytes would not fit a buffer of `size` behind the headroom.
    SmallBuffers {
        /// Bytes of a buffer.
        size: u32,
        /// The frame that has to fit.
        longest: u32,
    },
    /// The kernel did not accept the offsets, and this is what it said.
    Refused(io::Error),
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse => f.write_str("offsets in use"),
            Self::NotAsked => f.write_str("frames are shifted: no headroom was asked for"),
            Self::Peers => f.write_str("frames are shifted: peers may not know offsets"),
            Self::SmallBuffers { size, longest } => write!(
                f,
                "frames are shifted: buffers of {size} bytes have no room for headroom and {longest}-byte frames"
            ),
            Self::Refused(error) => write!(f, "frames are shifted: the driver refused offsets: {error}"),
        }
    }
}

impl LinkInfo {
    /// How frames get in and out, in a word or two: `native`, `emulated`, `AF_XDP …`.
    pub fn mode(&self) -> String {
        match (self.adapter, self.xdp) {
            (_, Some(mode)) => mode.to_string(),
            (Some(Adapter::Native), _) => "netmap native".into(),
            (Some(Adapter::Emulated), _) => "netmap emulated".into(),
            (Some(Adapter::Unknown), _) => "netmap".into(),
            (None, None) => "netmap VALE".into(),
        }
    }

    /// Everything that makes this link slower than it could be, a line each.
    pub fn warnings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let name = &self.name;
        if self.adapter == Some(Adapter::Emulated) {
            lines.push(format!(
                "{name}: netmap's emulated adapter: every frame is copied, expect half the speed or less"
            ));
        }
        match &self.offsets {
            Offsets::SmallBuffers { size, .. } => {
                lines.push(format!("{name}: {}; set {BUFFER_SIZE_HINT} to {}", self.offsets, size.max(&2048) * 2))
            }
            Offsets::Refused(_) => lines.push(format!("{name}: {}", self.offsets)),
            Offsets::InUse | Offsets::NotAsked | Offsets::Peers => {}
        }
        let is_interface = self.name.is_interface();
        if is_interface && self.rx_rings > self.tx_rings {
            lines.push(format!(
                "{name}: {} receive rings but {} transmit rings: what arrives on the others is not seen, make them equal",
                self.rx_rings, self.tx_rings
            ));
        }
        lines.extend(self.notes.iter().map(|note| format!("{name}: {note}")));
        lines
    }

    /// A warning if frames between the two links have to be copied.
    pub fn copy_warning(&self, other: &Self) -> Option<String> {
        (self.region != other.region).then(|| {
            format!(
                "{} and {} are in memory regions {} and {}: every frame between them is copied",
                self.name, other.name, self.region.0, other.region.0
            )
        })
    }
}

impl fmt::Display for LinkInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match self.adapter {
            Some(Adapter::Native) => f.write_str("native, ")?,
            Some(Adapter::Emulated) => f.write_str("emulated, ")?,
            Some(Adapter::Unknown) => f.write_str("native or emulated is not known, ")?,
            None => {}
        }
        if let Some(mode) = self.xdp {
            write!(f, "{mode}, ")?;
        }
        write!(
            f,
            "{} tx and {} rx rings of {} slots, buffers of {} bytes in region {}, ",
            self.tx_rings, self.rx_rings, self.slots, self.buf_size, self.region.0
        )?;
        if let Some([a, b, c, d, e, g]) = self.mac {
            write!(f, "mac {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}, ")?;
        }
        if let Some(mtu) = self.mtu {
            write!(f, "mtu {mtu}, ")?;
        }
        if let Some(vlan) = self.vlan {
            write!(f, "VLAN {vlan}, ")?;
        }
        write!(f, "{}", self.offsets)
    }
}

/// What was lost between a link's interface and its rings since it was opened, as the system counts it. No worker saw any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// AF_XDP, received frames: the worker was too slow, so that there was no buffer for them or no room in
    /// the ring, or they were too long for a buffer (`XDP_STATISTICS`).
    pub received: u64,
    /// AF_XDP: those of them that there was a buffer for, in which they did not fit.
    pub too_long: u64,
    /// AF_XDP: times that there was no buffer.
    pub no_buffer: u64,
    /// AF_XDP: frames that the kernel refused to send, buffers that it refused to receive into. None, ever.
    pub refused: u64,
    /// AF_XDP: buffers that the kernel returned though it did not have them. None, ever.
    pub strays: u64,
    /// Received frames that the card had no room for; of netmap's links also those that its driver dropped, which of
    /// AF_XDP's are among [`Self::received`].
    pub card: u64,
}

impl Losses {
    /// All frames of these that came in.
    pub fn frames(&self) -> u64 {
        self.received + self.card
    }

    /// Each count with its name, which is stable.
    pub fn named(&self) -> [(&'static str, u64); 6] {
        let &Self { received, too_long, no_buffer, refused, strays, card } = self;
        [
            ("lost", received),
            ("lost-by-card", card),
            ("too-long", too_long),
            ("no-buffer", no_buffer),
            ("refused", refused),
            ("strays", strays),
        ]
    }

    /// Adds what was lost from `before` to `now`. A count that is lower now has begun again: the link was opened anew.
    pub fn add(&mut self, before: Self, now: Self) {
        let grown = |before: u64, now: u64| now.checked_sub(before).unwrap_or(now);
        self.received += grown(before.received, now.received);
        self.too_long += grown(before.too_long, now.too_long);
        self.no_buffer += grown(before.no_buffer, now.no_buffer);
        self.refused += grown(before.refused, now.refused);
        self.strays += grown(before.strays, now.strays);
        self.card += grown(before.card, now.card);
    }
}

/// Where the program at an interface runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// In the driver, before there is an `sk_buff`.
    Native,
    /// At the entrance of the host's stack, with any driver: slower.
    Generic,
}

/// How frames get between a card and buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The card reads and writes the buffers.
    ZeroCopy,
    /// The kernel copies: slower.
    Copy,
}

/// How an open link of AF_XDP works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpMode {
    /// Where the program runs.
    pub attach: Attach,
    /// How frames get between the card and buffers.
    pub transfer: Transfer,
}

impl fmt::Display for XdpMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.attach {
            Attach::Native => "native XDP, ",
            Attach::Generic => "generic XDP, ",
        })?;
        f.write_str(match self.transfer {
            Transfer::ZeroCopy => "zero copy",
            Transfer::Copy => "copying",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str, region: u64) -> LinkInfo {
        LinkInfo {
            name: name.parse().unwrap(),
            region: RegionId(region),
            memory: 16 << 20,
            tx_rings: 2,
            rx_rings: 2,
            host_rings: 1,
            slots: 2048,
            buf_size: 4096,
            headroom: Headroom::new(64, 8),
            offsets: Offsets::InUse,
            mac: Some([2, 0, 0, 0, 0, 0xa]),
            mtu: Some(1500),
            adapter: Some(Adapter::Native),
            xdp: None,
            vlan: None,
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_good_link_is_one_line_and_no_warning() {
        let link = info("netmap:ix0", 1);
        assert_eq!(
            link.to_string(),
            "netmap:ix0: native, 2 tx and 2 rx rings of 2048 slots, buffers of 4096 bytes in region 1, \
             mac 02:00:00:00:00:0a, mtu 1500, offsets in use"
        );
        let tagged = LinkInfo { vlan: Vlan::new(10), ..info("netmap:ix0", 1) };
        assert!(tagged.to_string().ends_with("mtu 1500, VLAN 10, offsets in use"), "{tagged}");
        assert!(link.warnings().is_empty());
        assert_eq!(link.copy_warning(&info("netmap:ix1", 1)), None);
    }

    #[test]
    fn what_costs_speed_is_a_line_each() {
        let link = LinkInfo {
            rx_rings: 4,
            buf_size: 2048,
            adapter: Some(Adapter::Emulated),
            offsets: Offsets::SmallBuffers { size: 2048, longest: 9018 },
            ..info("netmap:ix0", 1)
        };
        let warnings = link.warnings();
        assert_eq!(warnings.len(), 3, "{warnings:?}");
        assert!(warnings[0].contains("emulated"));
        assert!(warnings[1].contains("9018-byte") && warnings[1].contains("to 4096"));
        assert!(warnings[2].contains("4 receive rings"));
        assert!(link.copy_warning(&info("vale0:a", 2)).unwrap().contains("regions 1 and 2"));
    }
}
