//! The server: what it knows, and what it hands on. What it answers is in `answers`.

mod answers;
mod numbers;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use dhcproto::v6::MessageType;
use hikyaku_net::{Mac, Prefix6, Time};

use self::answers::MOST_PROMISED;
use super::super::duid::Duid;
use super::leases::{LeaseFile, LeaseSnapshot, LeaseView};
use super::query::{Query, Refused};
use super::source::{Kind, Source, Sources};
use super::table::{Binding, Owner, Table};
use super::{Client, Config, Counts, Datagram, Event, Output, Served};
use crate::Machine;
use crate::advertiser::VALID;
use crate::answer_limits::{AnswerLimits, Rate};
use crate::names;
use crate::promises::Promises;

/// Information-requests, of all stations and of one: all hosts may ask at once, when an advertisement has changed, and some ask
/// after each that has.
const ASKERS: [Rate; 2] = [Rate(200, 400), Rate(5, 20)];

/// Messages of those that look for a lease. They leave no trace; but each may become a lease.
const SEEKERS: [Rate; 2] = [Rate(100, 200), Rate(2, 8)];

/// Messages of those that take or have one: a flood of the others must not keep them from renewing.
const HOLDERS: [Rate; 2] = [Rate(100, 200), Rate(5, 20)];

/// Clients with an address that are known at once.
const MOST_ADDRESSES: usize = 4096;

/// Clients with a prefix that are known at once: each is a route.
pub const MOST_PREFIXES: usize = 64;

/// How long an address that somebody has is set aside.
const CONFLICT: Duration = Duration::from_secs(600);

/// Another server on the LAN is told of so often, and is said to be there for as long after a client spoke to it.
const OTHER_SERVER: Duration = Duration::from_secs(3600);

/// A payload, where it goes, and to which station.
type Reply = (Mac, Ipv6Addr, Vec<u8>);

/// Leases of one kind, and what they are made of.
#[derive(Debug)]
struct Leases {
    table: Table,
    sources: Sources,
    /// Numbers that are kept for clients.
    reserved: HashMap<Client, u64>,
    kept: HashSet<u64>,
    /// How many there may be.
    most: usize,
}

impl Leases {
    fn new(reserved: HashMap<Client, u64>, most: usize) -> Self {
        let kept = reserved.values().copied().collect();
        Self { table: Table::new(most), sources: Sources::default(), reserved, kept, most }
    }
}

/// A DHCPv6 server on one link.
#[derive(Debug)]
pub struct Server {
    duid: Duid,
    secret: [u8; 32],
    /// `None`: nothing.
    served: Option<Served>,
    addresses: Leases,
    prefixes: Leases,
    askers: AnswerLimits,
    seekers: AnswerLimits,
    holders: AnswerLimits,
    out: VecDeque<Output>,
    /// Replies that wait for the disk, by who gets them.
    promises: Promises<(Mac, Duid), Reply>,
    /// It was said that nothing is left.
    told_full: bool,
    /// Another server, who spoke to it last, and when that was told.
    other: Option<(Duid, Mac, Time)>,
    /// Messages heard and sent, and what became of them.
    pub counts: Counts,
}

impl Server {
    /// Of a link where nothing is to be had yet.
    pub fn new(config: Config) -> Self {
        let reserved = |number: fn(&super::Reservation) -> Option<u64>| {
            let numbers = config.reservations.iter().filter_map(|kept| Some((kept.client.clone(), number(kept)?)));
            numbers.collect()
        };
        Self {
            duid: Duid::link_layer(config.mac),
            secret: config.secret,
            served: None,
            addresses: Leases::new(reserved(|kept| kept.interface_id.map(|id| id.bits())), MOST_ADDRESSES),
            prefixes: Leases::new(reserved(|kept| kept.subnet.map(u64::from)), MOST_PREFIXES),
            askers: AnswerLimits::new(ASKERS[0], ASKERS[1]),
            seekers: AnswerLimits::new(SEEKERS[0], SEEKERS[1]),
            holders: AnswerLimits::new(HOLDERS[0], HOLDERS[1]),
            out: VecDeque::new(),
            promises: Promises::default(),
            told_full: false,
            other: None,
            counts: Counts::default(),
        }
    }

    /// This is to be had from now on; `None`: nothing, and nobody is answered. What is as before may be said again.
    pub fn set(&mut self, now: Time, served: Option<Served>) {
        let (on_link, delegable) =
            served.as_ref().map_or((&[][..], &[][..]), |served| (&served.on_link, &served.delegable));
        let addresses = on_link.iter().map(|prefix| Source::on_link(now, prefix)).collect();
        let prefixes = delegable.iter().map(|prefix| Source::delegable(now, prefix)).collect();
        if self.addresses.sources.set(now, addresses) | self.prefixes.sources.set(now, prefixes) {
            self.promises.changed();
        }
        self.served = served;
    }

    /// A datagram to port 547 came in. What is no message of a client to us is counted and does nothing.
    pub fn handle_input(&mut self, now: Time, datagram: Datagram) {
        let query = match Query::read(datagram, &self.duid) {
            Ok(query) => query,
            Err(refused) => {
                refused.count(&mut self.counts);
                if let Refused::Foreign(server) = refused {
                    self.note_other_server(now, server, datagram.station);
                }
                return;
            }
        };
        self.expire(now);
        let limit = match query.kind {
            MessageType::InformationRequest => &mut self.askers,
            MessageType::Solicit => &mut self.seekers,
            _ => &mut self.holders,
        };
        if !limit.take(now, datagram.station) {
            self.counts.limited += 1;
            return;
        }
        if !self.answer(now, datagram, &query) {
            self.counts.not_served += 1;
        }
    }

    fn note_other_server(&mut self, now: Time, server: Duid, mac: Mac) {
        if self.other.as_ref().is_some_and(|&(.., told)| now.since(told) < OTHER_SERVER) {
            return;
        }
        self.event(Event::OtherServer { server: server.clone(), mac });
        self.other = Some((server, mac, now));
    }

    /// Another server on the LAN, and a client's station that spoke to it within the last hour or two.
    pub fn other_server(&self, now: Time) -> Option<(&Duid, Mac)> {
        let (server, mac, told) = self.other.as_ref()?;
        (now.since(*told) < 2 * OTHER_SERVER).then_some((server, *mac))
    }

    /// For show: everything that is leased, addresses first.
    pub fn leases(&self, now: Time) -> Vec<LeaseView> {
        let of = |kind: Kind| {
            let Leases { table, sources, .. } = self.of(kind);
            table.leases().map(move |(owner, binding)| LeaseView {
                leases: sources.leases(now, binding.number).iter().map(|lease| lease.what).collect(),
                mac: owner.station,
                duid: owner.duid.clone(),
                hostname: binding.name.clone(),
                left: binding.end.since(now).as_secs(),
            })
        };
        of(Kind::Address).chain(of(Kind::Prefix)).collect()
    }

    /// The delegated prefixes, each with the station of the router behind that it leads to (RFC 8415 6.3), in order.
    pub fn routes(&self, now: Time) -> Vec<(Prefix6, Mac)> {
        let Leases { table, sources, .. } = &self.prefixes;
        let mut routes = Vec::new();
        for (owner, binding) in table.leases().filter(|(_, binding)| binding.end > now) {
            routes.extend(sources.leases(now, binding.number).iter().map(|lease| (lease.what, owner.station)));
        }
        routes.sort_unstable_by_key(|&(prefix, _)| (prefix.address(), prefix.len()));
        routes
    }

    /// How often leases changed so far: all of that is in [`Self::snapshot`].
    pub fn changes(&self) -> u64 {
        self.promises.changes()
    }

    /// A file with all changes up to `change` is on disk, and will be there after a power cut: what was promised by them may be said.
    pub fn saved(&mut self, change: u64) {
        self.out.extend(self.promises.saved(change).map(send));
    }

    /// The file could not be written. Clients are served all the same, and none waits until it can be: whoever writes it
    /// says so to the user, and tries again.
    pub fn not_saved(&mut self) {
        self.out.extend(self.promises.failed().map(send));
    }

    /// What the lease file is made of, for another thread to do so; `wall` is seconds of Unix.
    pub fn snapshot(&self, now: Time, wall: u64) -> LeaseSnapshot {
        let bindings =
            |kind: Kind| self.of(kind).table.all().map(move |(owner, binding)| (kind, owner.clone(), binding.clone()));
        let prefixes = |kind: Kind| self.of(kind).sources.known().map(move |(prefix, until)| (kind, prefix, until));
        LeaseSnapshot {
            now,
            wall,
            bindings: bindings(Kind::Address).chain(bindings(Kind::Prefix)).collect(),
            prefixes: prefixes(Kind::Address).chain(prefixes(Kind::Prefix)).collect(),
        }
    }

    /// Takes up the leases of before a restart; `wall` is seconds of Unix. Gives how many are in force.
    pub fn restore(&mut self, now: Time, wall: u64, file: &LeaseFile) -> usize {
        // A wall clock before the moment of writing was not set yet: then it is taken to be that moment.
        let wall = wall.max(file.saved);
        // A file that was edited does not make a lease last for ever.
        let left = |until: u64| Duration::from_secs(until.saturating_sub(wall)).min(VALID);
        for saved in &file.prefixes {
            let until = now + saved.until.map_or(VALID, left);
            if until > now {
                self.of_mut(saved.kind).sources.remember(saved.prefix, until);
            }
        }
        let mut in_force = 0;
        for lease in file.leases.iter().take(MOST_ADDRESSES + MOST_PREFIXES) {
            let owner = Arc::new(Owner { duid: lease.duid.clone(), iaid: lease.iaid, station: lease.mac });
            let Leases { table, most, .. } = self.of_mut(lease.kind);
            if table.get(&owner).is_some() || !table.is_unused(now, lease.number, &owner) {
                continue;
            }
            let name = lease.hostname.as_deref().and_then(names::printable).map(Into::into);
            let (end, is_known, is_leased) = (now + left(lease.until), lease.known, true);
            let promised =
                lease.promised.iter().take(MOST_PROMISED).map(|of| (of.what, now + left(of.until))).collect();
            let binding = Binding { number: lease.number, name, end, known_from: now, is_known, is_leased, promised };
            match end > now && table.count() < *most {
                true => {
                    table.put(&owner, binding);
                    in_force += 1;
                }
                // Time itself may be younger than its end: the order among these is lost, and nothing else.
                false => table.remember(&owner, Binding { end: Time(0), promised: Vec::new(), ..binding }),
            }
        }
        in_force
    }

    fn of(&self, kind: Kind) -> &Leases {
        match kind {
            Kind::Address => &self.addresses,
            Kind::Prefix => &self.prefixes,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Leases {
        match kind {
            Kind::Address => &mut self.addresses,
            Kind::Prefix => &mut self.prefixes,
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// What a number is called now.
    fn named(&self, now: Time, kind: Kind, number: u64) -> Vec<Prefix6> {
        self.of(kind).sources.leases(now, number).iter().map(|lease| lease.what).collect()
    }

    /// Leases whose time is over.
    fn expire(&mut self, now: Time) {
        for kind in [Kind::Address, Kind::Prefix] {
            while let Some((_, owner)) = self.of(kind).table.next_end().filter(|&(end, _)| end <= now) {
                let owner = owner.clone();
                self.end(now, kind, &owner);
            }
        }
    }

    fn end(&mut self, now: Time, kind: Kind, owner: &Arc<Owner>) {
        let Some(number) = self.of(kind).table.lease(owner).map(|binding| binding.number) else { return };
        let leases = self.named(now, kind, number);
        self.event(Event::Ended { leases, mac: owner.station });
        self.of_mut(kind).table.end(now, owner);
        self.promises.changed();
    }
}

fn send((station, to, payload): Reply) -> Output {
    Output::Send { station, to, payload }
}

impl Machine for Server {
    type Output = Output;

    fn handle_timeout(&mut self, now: Time) {
        self.expire(now);
        if self.promises.patience().is_some_and(|end| end <= now) {
            self.not_saved();
        }
        if self.promises.tell() {
            self.out.push_back(Output::Save);
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        if !self.out.is_empty() || self.promises.is_untold() {
            return Some(Time(0));
        }
        let ends = [&self.addresses, &self.prefixes].map(|leases| leases.table.next_end().map(|(end, _)| end));
        ends.into_iter().chain([self.promises.patience()]).flatten().min()
    }
}
