//! What outlives a restart: when it is to be written, and what came of it.
//!
//! Nothing here touches a disk. A file is on its way to it once at a time; what changes meanwhile goes with the next write. So
//! what waits is bounded, the latest is what is written, and all that comes together is written once.

use std::time::Duration;

use hikyaku_config::MAX_LANS;
use hikyaku_dataplane::napt::LanId;
use hikyaku_net::Time;
use hikyaku_protocols::dhcpv4::LeaseSnapshot;
use hikyaku_protocols::{advertiser, dhcpv6, hb46pp};

use super::Router;
use super::lan::Lan;
use super::machines::Machines;
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
    /// Whom the DHCPv4 server of a LAN leased which address.
    Dhcpv4(LanId),
    /// What the line's DHCPv6 server leased us.
    Dhcpv6,
    /// What the provisioning server said.
    Provisioning,
    /// Which prefixes hosts of a LAN were told of.
    Advertised(LanId),
    /// What a LAN's DHCPv6 server leased to whom.
    Dhcpv6Leases(LanId),
}

impl StateFile {
    /// All of them, on a router with so many LANs.
    fn all(lans: usize) -> impl Iterator<Item = Self> {
        let of_lans = (0u8..).map(LanId).take(lans);
        let of_lans = of_lans.flat_map(|lan| [Self::Dhcpv4(lan), Self::Advertised(lan), Self::Dhcpv6Leases(lan)]);
        [Self::Dhcpv6, Self::Provisioning].into_iter().chain(of_lans)
    }

    /// How many there are at most.
    pub const fn most() -> usize {
        2 + 3 * MAX_LANS
    }

    /// What its name in the directory begins with: that of the first LAN's, and of what is no LAN's.
    pub fn stem(self) -> &'static str {
        match self {
            Self::Dhcpv4(_) => "dhcpv4",
            Self::Dhcpv6 => "dhcpv6",
            Self::Provisioning => "provisioning",
            Self::Advertised(_) => "advertised",
            Self::Dhcpv6Leases(_) => "dhcpv6-leases",
        }
    }

    /// The LAN that it is of.
    pub(super) fn lan(self) -> Option<LanId> {
        match self {
            Self::Dhcpv4(lan) | Self::Advertised(lan) | Self::Dhcpv6Leases(lan) => Some(lan),
            Self::Dhcpv6 | Self::Provisioning => None,
        }
    }

    /// What a restart would not know without it.
    fn what_is_lost(self) -> &'static str {
        match self {
            Self::Dhcpv4(_) => "which addresses hosts were leased since: it may give one to another host",
            Self::Dhcpv6 => "our lease of the line: it asks for one anew",
            Self::Provisioning => "what the provisioning server said: it asks it anew",
            Self::Dhcpv6Leases(_) => {
                "what was leased by DHCPv6 since: routers behind are not reached until they ask again"
            }
            Self::Advertised(_) => {
                "which prefixes hosts have: with another one it cannot tell them that those are gone"
            }
        }
    }
}

/// What is to be written; `None`: nothing is to be there.
#[derive(Clone, Debug)]
pub enum Save {
    /// For [`StateFile::Dhcpv4`].
    Dhcpv4(LanId, LeaseSnapshot),
    /// For [`StateFile::Dhcpv6`].
    Dhcpv6(Option<Box<dhcpv6::Lease>>),
    /// For [`StateFile::Provisioning`].
    Provisioning(Option<hb46pp::Saved>),
    /// For [`StateFile::Advertised`].
    Advertised(LanId, Option<advertiser::Saved>),
    /// For [`StateFile::Dhcpv6Leases`].
    Dhcpv6Leases(LanId, dhcpv6::server::LeaseSnapshot),
}

impl Save {
    /// Where it is written.
    pub fn file(&self) -> StateFile {
        match self {
            Self::Dhcpv4(lan, _) => StateFile::Dhcpv4(*lan),
            Self::Dhcpv6(_) => StateFile::Dhcpv6,
            Self::Provisioning(_) => StateFile::Provisioning,
            Self::Advertised(lan, _) => StateFile::Advertised(*lan),
            Self::Dhcpv6Leases(lan, _) => StateFile::Dhcpv6Leases(*lan),
        }
    }

    /// Its text; `None`: the file is to be removed. The work of it is for whoever writes.
    pub(super) fn text(&self) -> serde_json::Result<Option<Vec<u8>>> {
        match self {
            Self::Dhcpv4(_, leases) => serde_json::to_vec(&leases.file()).map(Some),
            Self::Dhcpv6(lease) => lease.as_ref().map(serde_json::to_vec).transpose(),
            Self::Provisioning(answer) => answer.as_ref().map(serde_json::to_vec).transpose(),
            Self::Dhcpv6Leases(_, leases) => serde_json::to_vec(&leases.file()).map(Some),
            Self::Advertised(_, told) => told.as_ref().map(serde_json::to_vec).transpose(),
        }
    }
}

/// How far each file is.
#[derive(Debug, Default)]
pub(super) struct Saving {
    files: Vec<(StateFile, Progress)>,
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
    /// Of a router with so many LANs.
    pub(super) fn new(lans: usize) -> Self {
        let files = StateFile::all(lans).map(|file| (file, Progress::default()));
        Self { files: files.collect(), ahead: None }
    }

    /// A file that no router has is as one that is written.
    fn of(&mut self, file: StateFile) -> Option<&mut Progress> {
        self.files.iter_mut().find(|(other, _)| *other == file).map(|(_, progress)| progress)
    }

    /// The leases that are being written are those of a server that is no more: they make good on nothing that this
    /// one promises.
    pub(super) fn forget_leases(&mut self, file: StateFile) {
        self.of(file).into_iter().flat_map(|progress| &mut progress.writing).for_each(|(_, changes)| *changes = 0);
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
        self.files.iter().filter_map(move |(file, progress)| {
            let late = progress.writing.map(|(since, _)| now.since(since)).filter(|&late| late >= SLOW);
            let why = match (&progress.unsaved, late) {
                (Some(why), _) => why.clone(),
                (None, Some(late)) => {
                    format!("{}.json: not saved: the disk has been writing it for {} s", file.stem(), late.as_secs())
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
            StateFile::all(self.machines.lans.len()).for_each(|file| self.set_changed(file));
        }
        let may = |progress: &Progress| progress.writing.is_none() && progress.again <= now;
        let files = self.saving.files.iter();
        let file =
            files.filter(|(_, progress)| may(progress)).map(|&(file, _)| file).find(|&file| self.is_changed(file))?;
        let progress = self.saving.of(file)?;
        (progress.writing, progress.again) = (Some((now, 0)), now + PAUSE);
        self.take(file, now, wall)
    }

    /// What became of a [`Save`]. What failed is tried again.
    pub fn saved(&mut self, now: Time, file: StateFile, result: Result<(), Unsaved>) {
        let Some(progress) = self.saving.of(file) else { return };
        let Some((_, changes)) = progress.writing.take() else { return };
        let failed = result.is_err();
        progress.unsaved = result.err().map(|error| error.to_string());
        if failed {
            progress.again = now + AGAIN;
            self.set_changed(file);
        }
        let Some(lan) = file.lan().and_then(|number| self.machines.lans.get_mut(usize::from(number.0))) else { return };
        match (file, failed, &mut lan.dhcpv4) {
            (StateFile::Dhcpv4(_), true, Some(server)) => server.not_saved(),
            (StateFile::Dhcpv4(_), false, Some(server)) => server.saved(changes),
            (StateFile::Dhcpv6Leases(_), true, _) => lan.dhcpv6.not_saved(),
            (StateFile::Dhcpv6Leases(_), false, _) => lan.dhcpv6.saved(changes),
            _ => {}
        }
    }

    /// All that is not saved yet, whatever is on its way: for the end.
    pub fn rest_to_save(&mut self, now: Time, wall: u64) -> Vec<Save> {
        let changed: Vec<StateFile> =
            StateFile::all(self.machines.lans.len()).filter(|&file| self.is_changed(file)).collect();
        changed.into_iter().filter_map(|file| self.take(file, now, wall)).collect()
    }

    /// When there is something to be handed over.
    pub(super) fn next_saving(&self) -> Option<Time> {
        let due = |(file, progress): &(StateFile, Progress)| {
            (self.is_changed(*file) && progress.writing.is_none()).then_some(progress.again)
        };
        self.saving.files.iter().filter_map(due).min()
    }

    fn is_changed(&self, file: StateFile) -> bool {
        let machines = &self.machines;
        let of = |lan: LanId, is: fn(&Lan) -> bool| machines.lans.get(usize::from(lan.0)).is_some_and(is);
        match file {
            StateFile::Dhcpv4(lan) => of(lan, |lan| lan.leases_changed && lan.dhcpv4.is_some()),
            StateFile::Dhcpv6 => machines.wan.lease_changed,
            StateFile::Provisioning => machines.provisioning.as_ref().is_some_and(|machine| machine.changed),
            StateFile::Advertised(lan) => of(lan, |lan| lan.advertised_changed),
            StateFile::Dhcpv6Leases(lan) => of(lan, |lan| lan.leases6_changed),
        }
    }

    fn set_changed(&mut self, file: StateFile) {
        let Machines { lans, wan, provisioning, .. } = &mut self.machines;
        let lan = file.lan().and_then(|number| lans.get_mut(usize::from(number.0)));
        match (file, lan) {
            (StateFile::Dhcpv4(_), Some(lan)) => lan.leases_changed = true,
            (StateFile::Advertised(_), Some(lan)) => lan.advertised_changed = true,
            (StateFile::Dhcpv6Leases(_), Some(lan)) => lan.leases6_changed = true,
            (StateFile::Dhcpv6, _) => wan.lease_changed = true,
            (StateFile::Provisioning, _) => provisioning.iter_mut().for_each(|machine| machine.changed = true),
            (_, None) => {}
        }
    }

    /// What it is now.
    fn take(&mut self, file: StateFile, now: Time, wall: u64) -> Option<Save> {
        let Machines { lans, wan, provisioning, .. } = &mut self.machines;
        let lan = file.lan().and_then(|number| lans.get_mut(usize::from(number.0)));
        let mut written = |with: u64| {
            let progress = self.saving.of(file).into_iter();
            progress.flat_map(|progress| &mut progress.writing).for_each(|(_, changes)| *changes = with);
        };
        match (file, lan) {
            (StateFile::Dhcpv4(number), Some(lan)) => {
                let server = lan.dhcpv4.as_ref()?;
                lan.leases_changed = false;
                written(server.changes());
                Some(Save::Dhcpv4(number, server.snapshot(now, wall)))
            }
            (StateFile::Dhcpv6Leases(number), Some(lan)) => {
                lan.leases6_changed = false;
                written(lan.dhcpv6.changes());
                Some(Save::Dhcpv6Leases(number, lan.dhcpv6.snapshot(now, wall)))
            }
            (StateFile::Advertised(number), Some(lan)) => {
                lan.advertised_changed = false;
                Some(Save::Advertised(number, lan.advertiser.saved(now, wall)))
            }
            (StateFile::Dhcpv6, _) => {
                wan.lease_changed = false;
                Some(Save::Dhcpv6(wan.dhcpv6.lease(now, wall).map(Box::new)))
            }
            (StateFile::Provisioning, _) => {
                let provisioning = provisioning.as_mut()?;
                provisioning.changed = false;
                Some(Save::Provisioning(provisioning.machine.saved(now, wall)))
            }
            (_, None) => None,
        }
    }
}
