//! What kind of device an interface is, and what AF_XDP's owner has to know of that kind: bonds, veth and tap, and what is made
//! of other devices (VLAN, macvlan, bridge). How each behaves was tried, docs/af_xdp.md has the table.

use std::io;

use super::Attach;
use crate::platform;

/// The largest MTU of a veth's other end with which this end takes a native program: a page less what
/// drivers/net/veth.c keeps of it.
pub(super) const VETH_PEER_MTU: u32 = 3506;

/// Devices below one another, at most: the kernel has no more than eight levels (`MAX_NEST_DEV`).
const MOST_BELOW: usize = 64;

/// An interface, and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Device {
    /// Its driver, as ethtool says it.
    driver: String,
    /// What takes all of its frames where no program does: a bridge, a bond.
    master: Option<String>,
    /// The devices right above it.
    above: Vec<String>,
    /// The devices right below it.
    below: Vec<String>,
    /// The devices at the bottom, where frames come in, if it is not one itself.
    bottom: Vec<Bottom>,
}

/// A device below another one that is made of none itself.
#[derive(Debug, Default)]
struct Bottom {
    name: String,
    driver: String,
    /// Whether it merges segments: `gro` and `lro` of ethtool.
    merges: (bool, bool),
}

impl Device {
    pub fn of(name: &str) -> Self {
        let driver = |name: &str| platform::driver(name).unwrap_or_default();
        let below = platform::lower_devices(name);
        let (mut waiting, mut bottom) = (below.clone(), Vec::<Bottom>::new());
        let mut seen = 0;
        while let Some(name) = waiting.pop().filter(|_| seen < MOST_BELOW) {
            seen += 1;
            let lower = platform::lower_devices(&name);
            if lower.is_empty() && !bottom.iter().any(|known| known.name == name) {
                bottom.push(Bottom { driver: driver(&name), merges: platform::merges_segments(&name), name });
            } else {
                waiting.extend(lower);
            }
        }
        Self {
            driver: driver(name),
            master: platform::master(name),
            above: platform::upper_devices(name),
            below,
            bottom,
        }
    }

    /// Whether it takes a native program and then receives nothing: `xsk_rcv_check` of net/xdp/xsk.c compares the
    /// socket's device with the slave that the frame came in by.
    pub fn is_deaf_natively(&self) -> bool {
        self.driver == "bonding"
    }

    /// Why a bond has a generic program.
    pub fn deafness(&self) -> String {
        let slaves = if self.below.is_empty() { "its slaves".into() } else { self.below.join(" or ") };
        format!("a bond takes a native program and then receives nothing; a link on {slaves} can have one")
    }

    /// The largest MTU of those that fit a buffer that this kind of device works well with.
    pub fn best_mtu(&self, room: u32) -> u32 {
        // Both ends of a veth have the same as a rule.
        if self.driver == "veth" { room.min(VETH_PEER_MTU) } else { room }
    }

    /// What a refusal of a native program means on this device; to be read behind the kernel's words.
    pub fn why_refused(&self, error: &io::Error) -> String {
        match error.raw_os_error() {
            Some(libc::ERANGE) if self.driver == "veth" => {
                format!(" (the MTU of its other end counts: {VETH_PEER_MTU} at most)")
            }
            Some(libc::ERANGE | libc::EINVAL) => " (as a rule, the MTU is too large for one)".into(),
            Some(libc::ENOSPC) => {
                " (its other end has more transmit queues than it has receive queues: make both ends \
                                   with as many, or ethtool -L)"
                    .into()
            }
            _ => String::new(),
        }
    }

    /// The devices above it that a program may be attached to.
    pub fn above(&self) -> &[String] {
        &self.above
    }

    /// What its owner should know, with a program of this kind there.
    pub fn notes(&self, attach: Attach) -> Vec<String> {
        let deaf = (self.is_deaf_natively() && attach == Attach::Native).then(|| self.deafness());
        let master =
            self.master.as_ref().map(|master| format!("{master}, which it is part of, gets nothing from it any more"));
        deaf.into_iter().chain(master).chain(self.merged()).chain(self.unfinished_checksums()).collect()
    }

    /// Segments that were merged below come as one frame with the checksum of a part of its header: too long for
    /// the tunnel, or for a buffer, and of no use to whom they are for.
    fn merged(&self) -> Option<String> {
        let commands: Vec<String> = self
            .bottom
            .iter()
            .filter_map(|Bottom { name, merges, .. }| match merges {
                (false, false) => None,
                (true, false) => Some(format!("ethtool -K {name} gro off")),
                (_, true) => Some(format!("ethtool -K {name} gro off lro off")),
            })
            .collect();
        // Its parent is in another namespace, as a container's is.
        let is_hidden =
            self.bottom.is_empty() && matches!(&*self.driver, "macvlan" | "macvtap" | "802.1Q VLAN Support");
        let cure = match commands.is_empty() {
            false => commands.join("; "),
            true if is_hidden => "ethtool -K IF gro off, on the device below it".into(),
            true => return None,
        };
        Some(format!(
            "TCP segments are merged before they come here, with checksums that nobody finished, and TCP stalls: {cure}"
        ))
    }

    /// The host's stack leaves checksums of what it sends through these to a card that is not there;
    /// whether it does so at the other end cannot be seen from this one.
    fn unfinished_checksums(&self) -> Option<String> {
        let all = self.bottom.iter().map(|bottom| &*bottom.driver).chain([&*self.driver]);
        let driver = all.into_iter().find(|driver| matches!(*driver, "veth" | "tun"))?;
        Some(format!(
            "frames of this machine's stack come through {driver} with unfinished checksums: \
             at its other end run ethtool -K IF tx off rx off tso off gso off gro off"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(driver: &str) -> Device {
        Device { driver: driver.into(), ..Device::default() }
    }

    fn bottom(name: &str, driver: &str, merges: (bool, bool)) -> Bottom {
        Bottom { name: name.into(), driver: driver.into(), merges }
    }

    #[test]
    fn a_bond_is_deaf_to_a_native_program() {
        let bond = Device { below: vec!["eth0".into(), "eth1".into()], ..device("bonding") };
        assert!(bond.is_deaf_natively() && !device("ixgbe").is_deaf_natively());
        assert!(bond.notes(Attach::Generic).is_empty());
        assert!(bond.notes(Attach::Native)[0].contains("a link on eth0 or eth1 can have one"));
    }

    #[test]
    fn what_merges_below_is_named_with_the_command() {
        let below = vec![
            bottom("eth0", "ixgbe", (true, true)),
            bottom("eth1", "igb", (true, false)),
            bottom("eth2", "igb", (false, false)),
        ];
        let bridge = Device { bottom: below, ..device("bridge") };
        let notes = bridge.notes(Attach::Generic);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].ends_with("stalls: ethtool -K eth0 gro off lro off; ethtool -K eth1 gro off"), "{notes:?}");
        assert!(device("ixgbe").notes(Attach::Generic).is_empty(), "a card's own program is in front of its GRO");
        assert!(device("macvlan").notes(Attach::Generic)[0].contains("on the device below it"));
    }

    #[test]
    fn checksums_are_unfinished_whatever_is_on_top() {
        let vlan = Device { bottom: vec![bottom("veth0", "veth", (false, false))], ..device("802.1Q VLAN Support") };
        for device in [vlan, device("veth"), device("tun")] {
            let notes = device.notes(Attach::Native);
            assert!(notes.len() == 1 && notes[0].contains("unfinished checksums"), "{notes:?}");
        }
    }

    #[test]
    fn a_port_takes_frames_away_from_its_bridge() {
        let port = Device { master: Some("br0".into()), ..device("ixgbe") };
        assert_eq!(port.notes(Attach::Native), ["br0, which it is part of, gets nothing from it any more"]);
    }

    #[test]
    fn refusals_are_said_in_words() {
        let why = |driver, errno| device(driver).why_refused(&io::Error::from_raw_os_error(errno));
        assert!(why("veth", libc::ERANGE).contains("3506 at most"));
        assert!(why("virtio_net", libc::EINVAL).contains("MTU"));
        assert!(why("veth", libc::ENOSPC).contains("transmit queues"));
        assert_eq!(why("veth", libc::EOPNOTSUPP), "");
        assert_eq!((device("veth").best_mtu(3822), device("ixgbe").best_mtu(3822)), (3506, 3822));
    }
}
