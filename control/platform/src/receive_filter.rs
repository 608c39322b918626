//! Which frames a card passes on.
//!
//! A card takes frames to its own address, broadcasts, and those multicast groups that somebody joined on its interface.
//! netmap and AF_XDP take frames after that filter, so the groups of addresses that only this program knows have to be
//! joined too, or neighbour solicitations for them never arrive (RFC 4861 7.2.1, RFC 4862 5.4.2).

use std::io;
use std::net::Ipv6Addr;

use crate::interface::index;
use crate::system;

/// What a card passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Frames to its stations and to the groups that were joined.
    Groups,
    /// Every frame: the groups, or the station, could not be asked for one by one.
    All,
}

/// The receive filter of one interface's card, as far as this process widens it. All of it is held by descriptors: the
/// kernel takes it back when the process ends, however it ends, and nobody else's memberships are touched.
#[derive(Debug)]
pub struct ReceiveFilter {
    interface: String,
    holder: system::Holder,
    groups: Vec<Ipv6Addr>,
    station: Option<[u8; 6]>,
    heard: Heard,
}

impl ReceiveFilter {
    /// For an interface, which need not be there yet. On Linux CAP_NET_RAW is needed; on FreeBSD the right to open
    /// `/dev/bpf`, where groups cannot be joined. Neither is needed afterwards.
    ///
    /// # Errors
    /// What the system says to the descriptors.
    pub fn open(interface: &str) -> io::Result<Self> {
        Ok(Self {
            interface: interface.into(),
            holder: system::Holder::open()?,
            groups: Vec::new(),
            station: None,
            heard: Heard::Groups,
        })
    }

    /// What the card was asked to pass on.
    pub fn heard(&self) -> Heard {
        self.heard
    }

    /// The groups that are joined.
    pub fn groups(&self) -> &[Ipv6Addr] {
        &self.groups
    }

    /// Has the card pass on frames to exactly these groups, and to `station` where that is not its own address. What
    /// cannot be asked for makes it pass on everything, from then on.
    ///
    /// # Errors
    /// That cannot be had either, or the interface is not there. To be tried again; what was joined so far stays.
    pub fn set(&mut self, groups: &[Ipv6Addr], station: Option<[u8; 6]>) -> io::Result<()> {
        if self.heard == Heard::All || (self.groups == groups && self.station == station) {
            return Ok(());
        }
        let index = index(&self.interface)?;
        match self.ask(index, groups, station) {
            Ok(()) => Ok(()),
            Err(refused) => {
                let both = |error| io::Error::other(format!("{refused}; promiscuous mode: {error}"));
                self.holder.hear_all(&self.interface, index).map_err(both)?;
                self.heard = Heard::All;
                Ok(())
            }
        }
    }

    /// Has the card pass on every frame, from then on.
    ///
    /// # Errors
    /// That cannot be had, or the interface is not there. To be tried again.
    pub fn hear_all(&mut self) -> io::Result<()> {
        if self.heard != Heard::All {
            let index = index(&self.interface)?;
            self.holder.hear_all(&self.interface, index)?;
            self.heard = Heard::All;
        }
        Ok(())
    }

    /// The interface is another one of its name: nothing is joined on it.
    pub fn renew(&mut self) {
        self.holder.renew();
        (self.groups, self.station, self.heard) = (Vec::new(), None, Heard::Groups);
    }

    fn ask(&mut self, index: u32, groups: &[Ipv6Addr], station: Option<[u8; 6]>) -> io::Result<()> {
        if let Some(mac) = station.filter(|_| station != self.station) {
            self.holder.add_station(index, mac)?;
            self.station = station;
        }
        for group in groups {
            if !self.groups.contains(group) {
                self.holder.join(index, *group)?;
                self.groups.push(*group);
            }
        }
        // One that cannot be left costs a frame now and then, and is left at the end.
        self.groups.extract_if(.., |group| !groups.contains(group)).for_each(|group| {
            let _ = self.holder.leave(index, group);
        });
        self.groups.sort_unstable();
        Ok(())
    }
}
