//! Which multicast groups we listen to, and that it is reported (RFC 3810): without reports a switch that snoops keeps
//! from us the very solicitations that we must answer (RFC 4861 7.2.1, RFC 4862 5.4.2).

use std::net::Ipv6Addr;
use std::time::Duration;

use hikyaku_net::Time;
use smoltcp::wire::{MldAddressRecordRepr, MldRecordType};

use super::mld::{self, Query};
use super::outbox::Outbox;
use super::up_to;

/// RFC 3810 9.1: a change is reported this often, because one report may be lost.
const ROBUSTNESS: u8 = 2;

/// Pause between the two reports on a new membership (RFC 3810 9.11).
const UNSOLICITED_REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// A change to be reported.
#[derive(Clone, Copy, Debug)]
struct Change {
    group: Ipv6Addr,
    joined: bool,
    reports: u8,
}

/// The groups that we listen to.
#[derive(Debug, Default)]
pub(super) struct Listener {
    groups: Vec<Ipv6Addr>,
    changes: Vec<Change>,
    report: Option<Time>,
    /// When to answer, and whether in MLDv1.
    answer: Option<(Time, bool)>,
}

impl Listener {
    /// We listen to these groups from now on.
    pub fn set(&mut self, now: Time, groups: Vec<Ipv6Addr>) {
        let left = self.groups.iter().filter(|group| !groups.contains(group)).map(|&group| (group, false));
        let joined = groups.iter().filter(|group| !self.groups.contains(group)).map(|&group| (group, true));
        for (group, joined) in left.chain(joined).collect::<Vec<_>>() {
            self.changes.retain(|change| change.group != group);
            self.changes.push(Change { group, joined, reports: ROBUSTNESS });
            self.report = Some(now);
        }
        self.groups = groups;
    }

    /// The groups, but that of all nodes, which is never reported (RFC 3810 6).
    pub fn groups(&self) -> &[Ipv6Addr] {
        &self.groups
    }

    /// A query came in: it is answered in its time.
    pub fn asked(&mut self, now: Time, query: Query) {
        if query.group.is_some_and(|group| !self.groups.contains(&group)) {
            return;
        }
        // One answer serves all who asked (RFC 3810 6.2).
        let due = now + up_to(query.within);
        self.answer = Some(match self.answer {
            Some((earlier, first_version)) => (earlier.min(due), first_version || query.first_version),
            None => (due, query.first_version),
        });
    }

    /// When something is to be sent.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.report, self.answer.map(|(due, _)| due)].into_iter().flatten().min()
    }

    /// Sends what is due. `source` is a link-local address of ours that is ready.
    pub fn handle_timeout(&mut self, now: Time, source: Option<Ipv6Addr>, out: &mut Outbox) {
        // RFC 3810 5.2.13, RFC 3590 4: before there is an address, from none.
        let any_source = source.unwrap_or(Ipv6Addr::UNSPECIFIED);
        if self.report.is_some_and(|due| due <= now) {
            let records = self.changes.iter().map(|change| {
                let kind = if change.joined { MldRecordType::ChangeToExclude } else { MldRecordType::ChangeToInclude };
                MldAddressRecordRepr::new(kind, change.group)
            });
            let records: Vec<_> = records.collect();
            mld::reports(out.mac, any_source, &records).for_each(|frame| out.send(frame));
            self.changes.iter_mut().for_each(|change| change.reports -= 1);
            self.changes.retain(|change| change.reports > 0);
            self.report = (!self.changes.is_empty()).then(|| now + up_to(UNSOLICITED_REPORT_INTERVAL));
        }
        if let Some((_, first_version)) = self.answer.take_if(|(due, _)| *due <= now) {
            match (first_version, source) {
                (true, Some(source)) => {
                    self.groups.iter().for_each(|&group| out.send(mld::report_v1(out.mac, source, group)));
                }
                // RFC 2710 3: MLDv1 knows no report without a source.
                (true, None) => {}
                (false, _) => {
                    let record = |&group| MldAddressRecordRepr::new(MldRecordType::ModeIsExclude, group);
                    let records: Vec<_> = self.groups.iter().map(record).collect();
                    mld::reports(out.mac, any_source, &records).for_each(|frame| out.send(frame));
                }
            }
        }
    }
}
