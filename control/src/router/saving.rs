//! What outlives a restart: when it is to be written, and what came of it.
//!
//! Nothing here touches a disk. A file is on its way to it once at a time; what changes meanwhile goes with the next write. So
//! what waits is bounded, the latest is what is written, and all that comes together is written once.

use std::time::Duration;

use hikyaku_net::Time;
use hikyaku_protocols::dhcpv4::LeaseSnapshot;
use hikyaku_protocols::{advertiser, dhcpv6, hb46pp};

use super::Router;
use super::state_dir::Unsaved;

/// Between two times that a file is handed over: who renews without a pause wears out no flash.
const PAUSE: Duration = Duration::from_millis(100);

/// What could not be saved is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);

/// A clock that was set by so many seconds is told to the files, whose times are the clock's: a router without a battery starts in
/// 1970, and a restart after its clock was set would take all leases for ended long ago.
const CLOCK_SET: u64 = 60;

/// A disk that has not written a file for so long is said to be slow.
const SLOW: Duration = Duration::from_secs(2);

/// A file of the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFile {
    /// Whom the DHCPv4 server leased which address.
    Dhcpv4,
    /// What the line's DHCPv6 server leased us.
    Dhcpv6,
    /// What the provisioning server said.
    Provisioning,
    /// Which prefixes hosts of the LAN were told of.
    Advertised,
    /// What the LAN's DHCPv6 server leased to whom.
    Dhcpv6Leases,
}

impl StateFile {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Dhcpv4, Self::Dhcpv6, Self::Provisioning, Self::Advertised, Self::Dhcpv6Leases];

    /// Its name in the directory, without the ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dhcpv4 => "dhcpv4",
            Self::Dhcpv6 => "dhcpv6",
            Self::Provisioning => "provisioning",
            Self::Advertised => "advertised",
            Self::Dhcpv6Leases => "dhcpv6-leases",
        }
    }

    /// What a restart would not know without it.
    fn what_is_lost(self) -> &'static str {
        match self {
            Self::Dhcpv4 => "which addresses hosts were leased since: it may give one to another host",
            Self::Dhcpv6 => "our lease of the line: it asks for one anew",
            Self::Provisioning => "what the provisioning server said: it asks it anew",
            Self::Dhcpv6Leases => {
                "what was leased by DHCPv6 since: routers behind are not reached until they ask again"
            }
            Self::Advertised => "which prefixes hosts have: with another one it cannot tell them that those are gone",
        }
    }
}

/// What is to be written; `None`: nothing is to be there.
#[derive(Clone, Debug)]
pub enum Save {
    /// For [`StateFile::Dhcpv4`].
    Dhcpv4(LeaseSnapshot),
    /// For [`StateFile::Dhcpv6`].
    Dhcpv6(Option<Box<dhcpv6::Lease>>),
    /// For [`StateFile::Provisioning`].
    Provisioning(Option<hb46pp::Saved>),
    /// For [`StateFile::Advertised`].
    Advertised(Option<advertiser::Saved>),
    /// For [`StateFile::Dhcpv6Leases`].
    Dhcpv6Leases(dhcpv6::server::LeaseSnapshot),
}

impl Save {
    /// Where it is written.
    pub fn file(&self) -> StateFile {
        match self {
            Self::Dhcpv4(_) => StateFile::Dhcpv4,
            Self::Dhcpv6(_) => StateFile::Dhcpv6,
            Self::Provisioning(_) => StateFile::Provisioning,
            Self::Advertised(_) => StateFile::Advertised,
            Self::Dhcpv6Leases(_) => StateFile::Dhcpv6Leases,
        }
    }

    /// Its text; `None`: the file is to be removed. The work of it is for whoever writes.
    pub(super) fn text(&self) -> serde_json::Result<Option<Vec<u8>>> {
        match self {
            Self::Dhcpv4(leases) => serde_json::to_vec(&leases.file()).map(Some),
            Self::Dhcpv6(lease) => lease.as_ref().map(serde_json::to_vec).transpose(),
            Self::Provisioning(answer) => answer.as_ref().map(serde_json::to_vec).transpose(),
            Self::Dhcpv6Leases(leases) => serde_json::to_vec(&leases.file()).map(Some),
            Self::Advertised(told) => told.as_ref().map(serde_json::to_vec).transpose(),
        }
    }
}

/// How far each file is.
#[derive(Debug, Default)]
pub(super) struct Saving {
    files: [Progress; StateFile::ALL.len()],
    /// What the clock was ahead of our time, in seconds, when it was last looked at.
    ahead: Option<i64>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Since when it is on its way to the disk, and with how many changes of the leases in it.
    writing: Option<(Time, u64)>,
    /// Not handed over before.
    again: Time,
    /// Why the last attempt failed.
    unsaved: Option<String>,
}

impl Saving {
    fn of(&mut self, file: StateFile) -> &mut Progress {
        &mut self.files[file as usize]
    }

    /// The leases that are being written are those of a server that is no more: they make good on nothing that this
    /// one promises.
    pub(super) fn forget_leases(&mut self, file: StateFile) {
        self.of(file).writing.iter_mut().for_each(|(_, changes)| *changes = 0);
    }

    /// Whether the clock was set since this was last asked. Nothing else depends on it: machines know their own time alone.
    fn is_clock_set(&mut self, now: Time, wall: u64) -> bool {
        let ahead = wall as i64 - i64::from(now.seconds());
        let before = *self.ahead.get_or_insert(ahead);
        let is_set = before.abs_diff(ahead) >= CLOCK_SET;
        if is_set {
            self.ahead = Some(ahead);
        }
        is_set
    }

    /// What a restart would not know, and why.
    pub(super) fn warnings(&self, now: Time) -> impl Iterator<Item = String> {
        StateFile::ALL.into_iter().zip(&self.files).filter_map(move |(file, progress)| {
            let late = progress.writing.map(|(since, _)| now.since(since)).filter(|&late| late >= SLOW);
            let why = match (&progress.unsaved, late) {
                (Some(why), _) => why.clone(),
                (None, Some(late)) => {
                    format!("{}.json: not saved: the disk has been writing it for {} s", file.name(), late.as_secs())
                }
                (None, None) => return None,
            };
            Some(format!("{why}. Until it is, a restart will not know {}", file.what_is_lost()))
        })
    }
}

impl Router {
    /// What is to be written to the state directory next, if anything is. The answer is [`Self::saved`]; until then there
    /// is nothing more for the same file.
    pub fn next_save(&mut self, now: Time, wall: u64) -> Option<Save> {
        if self.saving.is_clock_set(now, wall) {
            tracing::info!("the clock was set; what is saved is written anew");
            StateFile::ALL.into_iter().for_each(|file| self.set_changed(file));
        }
        let file = StateFile::ALL.into_iter().find(|&file| {
            let progress = self.saving.of(file);
            let may = progress.writing.is_none() && progress.again <= now;
            may && self.is_changed(file)
        })?;
        let progress = self.saving.of(file);
        (progress.writing, progress.again) = (Some((now, 0)), now + PAUSE);
        self.take(file, now, wall)
    }

    /// What became of a [`Save`]. What failed is tried again.
    pub fn saved(&mut self, now: Time, file: StateFile, result: Result<(), Unsaved>) {
        let progress = self.saving.of(file);
        let Some((_, changes)) = progress.writing.take() else { return };
        let failed = result.is_err();
        progress.unsaved = result.err().map(|error| error.to_string());
        if failed {
            progress.again = now + AGAIN;
            self.set_changed(file);
        }
        let lan = &mut self.machines.lan;
        match (file, failed, &mut lan.dhcpv4) {
            (StateFile::Dhcpv4, true, Some(server)) => server.not_saved(),
            (StateFile::Dhcpv4, false, Some(server)) => server.saved(changes),
            (StateFile::Dhcpv6Leases, true, _) => lan.dhcpv6.not_saved(),
            (StateFile::Dhcpv6Leases, false, _) => lan.dhcpv6.saved(changes),
            _ => {}
        }
    }

    /// All that is not saved yet, whatever is on its way: for the end.
    pub fn rest_to_save(&mut self, now: Time, wall: u64) -> Vec<Save> {
        let changed: Vec<StateFile> = StateFile::ALL.into_iter().filter(|&file| self.is_changed(file)).collect();
        changed.into_iter().filter_map(|file| self.take(file, now, wall)).collect()
    }

    /// When there is something to be handed over.
    pub(super) fn next_saving(&self) -> Option<Time> {
        let due = |(file, progress): (StateFile, &Progress)| {
            (self.is_changed(file) && progress.writing.is_none()).then_some(progress.again)
        };
        StateFile::ALL.into_iter().zip(&self.saving.files).filter_map(due).min()
    }

    fn is_changed(&self, file: StateFile) -> bool {
        let machines = &self.machines;
        match file {
            StateFile::Dhcpv4 => machines.lan.leases_changed && machines.lan.dhcpv4.is_some(),
            StateFile::Dhcpv6 => machines.wan.lease_changed,
            StateFile::Provisioning => machines.provisioning.as_ref().is_some_and(|machine| machine.changed),
            StateFile::Advertised => machines.lan.advertised_changed,
            StateFile::Dhcpv6Leases => machines.lan.leases6_changed,
        }
    }

    fn set_changed(&mut self, file: StateFile) {
        match file {
            StateFile::Dhcpv4 => self.machines.lan.leases_changed = true,
            StateFile::Dhcpv6 => self.machines.wan.lease_changed = true,
            StateFile::Provisioning => {
                self.machines.provisioning.iter_mut().for_each(|machine| machine.changed = true);
            }
            StateFile::Advertised => self.machines.lan.advertised_changed = true,
            StateFile::Dhcpv6Leases => self.machines.lan.leases6_changed = true,
        }
    }

    /// What it is now.
    fn take(&mut self, file: StateFile, now: Time, wall: u64) -> Option<Save> {
        match file {
            StateFile::Dhcpv4 => {
                let server = self.machines.lan.dhcpv4.as_ref()?;
                self.machines.lan.leases_changed = false;
                self.saving.of(file).writing.iter_mut().for_each(|(_, changes)| *changes = server.changes());
                Some(Save::Dhcpv4(server.snapshot(now, wall)))
            }
            StateFile::Dhcpv6 => {
                self.machines.wan.lease_changed = false;
                Some(Save::Dhcpv6(self.machines.wan.dhcpv6.lease(now, wall).map(Box::new)))
            }
            StateFile::Provisioning => {
                let provisioning = self.machines.provisioning.as_mut()?;
                provisioning.changed = false;
                Some(Save::Provisioning(provisioning.machine.saved(now, wall)))
            }
            StateFile::Dhcpv6Leases => {
                let lan = &mut self.machines.lan;
                lan.leases6_changed = false;
                self.saving.of(file).writing.iter_mut().for_each(|(_, changes)| *changes = lan.dhcpv6.changes());
                Some(Save::Dhcpv6Leases(lan.dhcpv6.snapshot(now, wall)))
            }
            StateFile::Advertised => {
                self.machines.lan.advertised_changed = false;
                Some(Save::Advertised(self.machines.lan.advertiser.saved(now, wall)))
            }
        }
    }
}
