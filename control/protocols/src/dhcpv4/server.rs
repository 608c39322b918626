//! The server: what it answers to whom (RFC 2131 4.3).

mod limits;
mod movers;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::MessageType;
use hikyaku_net::{Mac, Time};

use super::agent::Circuit;
use super::leases::{LeaseFile, LeaseSnapshot, LeaseView, Standing};
use super::table::{Client, Holder, Table, Use};
use super::wire::{Refused, Reply, Request};
use super::{Config, ConfigError, Counts, Event, Output};
use crate::Machine;
use crate::names::printable;
use crate::promises::Promises;
use crate::text::unhex;
use limits::{HOLDERS, Limits, SEEKERS};

/// How long nobody may answer a probe.
const PROBE: Duration = Duration::from_millis(500);

/// How long an offer stands: some hosts are that slow (the installer of a system, somebody who is asked first).
const OFFER: Duration = Duration::from_secs(60);

/// How long it stands where others wait for it.
const OFFER_AT_LEAST: Duration = Duration::from_secs(10);

/// How long an address that somebody has is set aside.
const CONFLICT: Duration = Duration::from_secs(600);

/// Addresses that are probed or offered at the same time, at most: more clients wait, and leases are not touched.
const MOST_OPEN: usize = 64;

/// The longest lease time there is.
const YEAR: Duration = Duration::from_secs(31_536_000);

/// A DHCPv4 server on one link.
#[derive(Debug)]
pub struct Server {
    config: Config,
    table: Table,
    /// Stations that came with the client identifier of another, by the address that is leased to it, until when that is
    /// asked whether it is still there.
    movers: BTreeMap<Ipv4Addr, (Request, Time)>,
    out: VecDeque<Output>,
    /// How many messages of those without an address are heard.
    seekers: Limits,
    /// How many messages of those with an address are heard.
    holders: Limits,
    /// ACKs that wait for the disk.
    promises: Promises<Ipv4Addr, Vec<u8>>,
    /// It was said that nothing is left.
    told_full: bool,
    /// Of this port it was said last that it has its share.
    told_port: Option<Circuit>,
    /// Messages heard and sent, and what became of them.
    pub counts: Counts,
}

impl Server {
    /// Without leases.
    ///
    /// # Errors
    /// If the configuration contradicts itself or the RFCs.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            table: Table::new(&config),
            config,
            movers: BTreeMap::new(),
            out: VecDeque::new(),
            seekers: Limits::new(SEEKERS),
            holders: Limits::new(HOLDERS),
            promises: Promises::default(),
            told_full: false,
            told_port: None,
            counts: Counts::default(),
        })
    }

    /// A whole Ethernet frame from the LAN. Others than DHCP messages to us are counted and do nothing.
    pub fn handle_input(&mut self, now: Time, frame: &[u8]) {
        let request = match Request::read(frame, &self.config) {
            Ok(request) => request,
            Err(refused) => {
                match refused {
                    Refused::NotForUs => self.counts.not_for_us += 1,
                    Refused::Malformed => self.counts.malformed += 1,
                    Refused::Relayed => self.counts.relayed += 1,
                }
                return;
            }
        };
        self.expire(now);
        let limit = match request.kind {
            MessageType::Discover | MessageType::Inform => &mut self.seekers,
            _ => &mut self.holders,
        };
        if !limit.take(now, &request) {
            self.counts.limited += 1;
            return;
        }
        match request.kind {
            MessageType::Discover => {
                self.counts.discovers += 1;
                self.discover(now, request);
            }
            MessageType::Request => {
                self.counts.requests += 1;
                self.request(now, &request);
            }
            MessageType::Decline => {
                self.counts.declines += 1;
                self.decline(now, &request);
            }
            MessageType::Release => {
                self.counts.releases += 1;
                self.release(now, &request);
            }
            MessageType::Inform => {
                self.counts.informs += 1;
                self.inform(&request);
            }
            _ => self.counts.malformed += 1,
        }
    }

    /// `by` says that it has `address`. Answers a probe; said of a lease or an offer it is as good.
    pub fn in_use(&mut self, now: Time, address: Ipv4Addr, by: Mac) {
        self.expire(now);
        if self.is_still_there(now, address, by) {
            return;
        }
        let station = match self.table.get(address) {
            Some((Use::Probing(request, _), _)) => request.mac,
            Some((Use::Offered(holder) | Use::Leased(holder), _)) => holder.mac,
            Some((Use::Conflict, _)) | None => return,
        };
        if station == by {
            // The client itself, which has it from before: no reason to offer another.
            return;
        }
        let purpose = self.table.get(address).map(|(purpose, _)| purpose.clone());
        if let Some(Use::Leased(_)) = purpose {
            // What was promised is not taken back: the station notices (RFC 5227) and declines.
            self.counts.conflicts += 1;
            self.event(Event::Conflict { address, by: Some(by) });
            return;
        }
        self.set_aside(now, address, Some(by));
        if let Some(Use::Probing(request, _)) = purpose {
            self.discover(now, *request);
        }
    }

    /// For show: everything that is in use, by address.
    pub fn leases(&self, now: Time) -> Vec<LeaseView> {
        let view = |(address, purpose, end): (_, &Use, Time)| {
            let (standing, mac, hostname) = match purpose {
                Use::Probing(request, _) => (Standing::Probing, Some(request.mac), &request.hostname),
                Use::Offered(holder) => (Standing::Offered, Some(holder.mac), &holder.hostname),
                Use::Leased(holder) => (Standing::Leased, Some(holder.mac), &holder.hostname),
                Use::Conflict => (Standing::Conflict, None, &None),
            };
            LeaseView { address, mac, hostname: hostname.clone(), standing, left: end.since(now).as_secs() }
        };
        self.table.uses().map(view).collect()
    }

    /// How many addresses are in use, of [`Self::leases`].
    pub fn addresses_in_use(&self) -> usize {
        self.table.in_use()
    }

    /// How often leases changed so far: all of that is in [`Self::file`].
    pub fn changes(&self) -> u64 {
        self.promises.changes()
    }

    /// A file with all changes up to `change` is on disk, and will be there after a power cut: what was promised by them may
    /// be said (RFC 2131 3.1, step 4).
    pub fn saved(&mut self, change: u64) {
        self.out.extend(self.promises.saved(change).map(Output::Send));
    }

    /// The file could not be written. Clients are served all the same, and none waits until it can be: whoever writes it
    /// says so to the user, and tries again.
    pub fn not_saved(&mut self) {
        self.out.extend(self.promises.failed().map(Output::Send));
    }

    /// For the lease file; `wall` is seconds of Unix.
    pub fn file(&self, now: Time, wall: u64) -> LeaseFile {
        self.snapshot(now, wall).file()
    }

    /// What [`Self::file`] is made of, for another thread to do so; `wall` is seconds of Unix.
    pub fn snapshot(&self, now: Time, wall: u64) -> LeaseSnapshot {
        let leased = self.table.uses().filter_map(|(address, purpose, end)| match purpose {
            // Rounded up: a promise is not shortened by writing it down.
            Use::Leased(holder) => {
                Some((address, holder.clone(), wall + end.since(now).as_millis().div_ceil(1000) as u64))
            }
            _ => None,
        });
        let former = self.table.former();
        let former = former
            .map(|(address, holder, end)| (address, holder.clone(), wall.saturating_sub(now.since(end).as_secs())));
        LeaseSnapshot { saved: wall, leases: leased.chain(former).collect() }
    }

    /// Takes up the leases of before a restart; `wall` is seconds of Unix. Those that the configuration has no
    /// place for any more are dropped. Gives how many are in force; [`Self::leases`] says which.
    pub fn restore(&mut self, now: Time, wall: u64, file: &LeaseFile) -> usize {
        // A wall clock before the moment of writing was not set yet: then it is taken to be that moment.
        let wall = wall.max(file.saved);
        let mut in_force = 0;
        for lease in &file.leases {
            let client = match lease.client_id.as_deref().and_then(unhex) {
                Some(id) if lease.shared_id => Client::SharedId(id.into(), lease.mac),
                id => self.table.client(lease.mac, id.as_deref()),
            };
            let hostname = lease.hostname.as_deref().and_then(printable).map(Into::into);
            let circuit = lease.circuit.as_deref().and_then(unhex).map(|ids| Circuit(ids.into()));
            let holder = Holder { client, mac: lease.mac, hostname, is_known: lease.known, circuit };
            let free = self.table.get(lease.address).is_none() && self.table.of(&holder.client).is_none();
            if !free || !self.table.may_have(lease.mac, lease.address) {
                continue;
            }
            match lease.until.checked_sub(wall) {
                Some(left) if left > 0 => {
                    // A file that was edited does not make a lease last for ever.
                    let left = Duration::from_secs(left).min(YEAR);
                    self.table.put(lease.address, Use::Leased(holder), now + left);
                    in_force += 1;
                }
                // Time itself may be younger than that: the order among them is lost, and nothing else.
                _ => self.table.remember(lease.address, holder, Time(0)),
            }
        }
        in_force
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn answer(&mut self, reply: Reply, request: &Request) {
        let frame = self.counted(reply, request);
        self.out.push_back(Output::Send(frame));
    }

    fn counted(&mut self, reply: Reply, request: &Request) -> Vec<u8> {
        match reply {
            Reply::Offer(..) => self.counts.offers += 1,
            Reply::Ack(..) | Reply::Parameters(_) => self.counts.acks += 1,
            Reply::Nak(_) => self.counts.naks += 1,
        }
        reply.frame(request, &self.config)
    }

    /// Uses whose time is over.
    fn expire(&mut self, now: Time) {
        self.expire_movers(now);
        while let Some((end, address)) = self.table.next_end().filter(|&(end, _)| end <= now) {
            match self.table.remove(address) {
                // Nobody answered the probe.
                Some(Use::Probing(request, client)) => self.offer(end.max(now), address, client, &request),
                Some(Use::Leased(holder)) => self.ended(address, holder, end),
                Some(Use::Offered(_) | Use::Conflict) | None => (),
            }
        }
    }

    fn ended(&mut self, address: Ipv4Addr, holder: Holder, end: Time) {
        self.event(Event::Ended { address, mac: holder.mac });
        self.table.remember(address, holder, end);
        self.promises.withdraw(&address);
        self.promises.changed();
    }

    fn set_aside(&mut self, now: Time, address: Ipv4Addr, by: Option<Mac>) {
        self.counts.conflicts += 1;
        self.table.put(address, Use::Conflict, now + CONFLICT);
        self.event(Event::Conflict { address, by });
    }

    /// A client looks for an address (RFC 2131 4.3.1).
    fn discover(&mut self, now: Time, request: Request) {
        let client = self.table.client(request.mac, request.client_id.as_deref());
        self.find_address(now, client, request);
    }

    /// Ends the oldest offer, if it has stood for long enough.
    fn end_an_offer(&mut self, now: Time) -> bool {
        let stale = |&(end, _): &(Time, _)| end <= now + (OFFER - OFFER_AT_LEAST);
        let stale = self.table.oldest_offer().filter(stale);
        stale.is_some_and(|(_, address)| self.table.remove(address).is_some())
    }

    fn find_address(&mut self, now: Time, client: Client, request: Request) {
        if self.table.of(&client).is_none() && !self.port_has_room(&request) {
            return;
        }
        let mut address = self.table.choose(&client, request.mac, request.requested);
        if address.is_none() && self.end_an_offer(now) {
            address = self.table.choose(&client, request.mac, request.requested);
        }
        let Some(address) = address else {
            self.counts.full += 1;
            if !std::mem::replace(&mut self.told_full, true) {
                self.event(Event::Full);
            }
            return;
        };
        let is_new = self.table.get(address).is_none();
        if is_new && self.table.open() >= MOST_OPEN && !self.end_an_offer(now) {
            self.counts.limited += 1;
            return;
        }
        match self.table.get(address) {
            Some((Use::Leased(holder), _)) if holder.mac != request.mac => self.ask_holder(now, address, request),
            Some((Use::Leased(_), _)) => {
                self.answer(Reply::Offer(address, self.config.lease_time), &request);
            }
            Some((Use::Offered(_), _)) => {
                self.table.remove(address);
                self.offer(now, address, client, &request);
            }
            // Asked again before the answer: the probe goes on, the answer is to the later one.
            Some(&(Use::Probing(..), end)) => {
                self.table.remove(address);
                self.table.put(address, Use::Probing(Box::new(request), client), end);
            }
            Some((Use::Conflict, _)) => (),
            None => {
                self.table.put(address, Use::Probing(Box::new(request), client), now + PROBE);
                self.out.push_back(Output::Probe(address));
            }
        }
    }

    /// Whether a station that has no address may get one where it is; if not, it is counted and said.
    fn port_has_room(&mut self, request: &Request) -> bool {
        if self.table.port_has_room(request, MOST_OPEN) {
            return true;
        }
        self.counts.port_full += 1;
        if self.told_port != request.circuit {
            self.told_port = request.circuit.clone();
            let port = request.circuit.as_ref().map(Circuit::text).unwrap_or_default();
            self.event(Event::PortFull { port });
        }
        false
    }

    fn offer(&mut self, now: Time, address: Ipv4Addr, client: Client, request: &Request) {
        let holder = Holder {
            client,
            mac: request.mac,
            hostname: request.hostname.clone(),
            is_known: false,
            circuit: request.circuit.clone(),
        };
        self.table.put(address, Use::Offered(holder), now + OFFER);
        self.answer(Reply::Offer(address, self.config.lease_time), request);
    }

    /// RFC 2131 4.3.2: what a REQUEST is told by which of its fields are there.
    fn request(&mut self, now: Time, request: &Request) {
        let client = self.table.client(request.mac, request.client_id.as_deref());
        let holds = self.table.of(&client);
        match (request.ciaddr, request.server, request.requested) {
            (None, Some(server), _) if server != self.config.address => {
                self.counts.foreign += 1;
                // It took another server's offer; ours is free again.
                if let Some(address) = holds
                    && let Some((Use::Offered(_), _)) = self.table.get(address)
                {
                    self.table.remove(address);
                }
            }
            // SELECTING.
            (None, Some(_), Some(wanted)) => {
                let offered = matches!(self.table.get(wanted), Some((Use::Offered(_) | Use::Leased(_), _)));
                if holds == Some(wanted) && offered {
                    self.grant_or_ask(now, wanted, client, request);
                } else {
                    self.answer(Reply::Nak("not offered, or no longer"), request);
                }
            }
            // INIT-REBOOT.
            (None, None, Some(wanted)) => self.known(now, wanted, client, false, request),
            // RENEWING, straight to us; REBINDING, to everybody.
            (Some(has), server, _) if server.is_none_or(|server| server == self.config.address) => {
                self.known(now, has, client, request.to == self.config.address, request);
            }
            (Some(_), ..) => self.counts.foreign += 1,
            (None, _, None) => self.counts.malformed += 1,
        }
    }

    /// A client that has `address` already, it says. `trusted`: it was told by us, because it knows our address
    /// (RFC 2131 4.3.2, RENEWING), even if we forgot.
    fn known(&mut self, now: Time, address: Ipv4Addr, client: Client, trusted: bool, request: &Request) {
        let leased = self.table.of(&client).filter(|&has| matches!(self.table.get(has), Some((Use::Leased(_), _))));
        if leased == Some(address) {
            self.grant_or_ask(now, address, client, request);
        } else if !self.config.in_subnet(address) {
            self.answer(Reply::Nak("not an address of this network"), request);
        } else if leased.is_some() {
            self.answer(Reply::Nak("another address was leased"), request);
        } else if self.table.taken(&client, address) {
            self.answer(Reply::Nak("in use"), request);
        } else if self.table.was(&client, request.mac, address) || trusted && self.table.may_have(request.mac, address)
        {
            match self.port_has_room(request) {
                true => self.grant(now, address, client, request),
                false => self.answer(Reply::Nak("those at its port have their share of addresses"), request),
            }
        } else if trusted {
            self.answer(Reply::Nak("not an address of the pool"), request);
        } else {
            self.counts.unknown += 1;
        }
    }

    fn grant(&mut self, now: Time, address: Ipv4Addr, client: Client, request: &Request) {
        // An offer of another address, made since.
        if let Some(other) = self.table.of(&client).filter(|&other| other != address) {
            self.table.remove(other);
        }
        let (before, leased, promised) = match self.table.get(address) {
            Some((Use::Leased(before), end)) => (Some(before.clone()), true, *end),
            Some((Use::Offered(before), _)) => (Some(before.clone()), false, now),
            _ => (None, false, now),
        };
        self.table.remove(address);
        // Not every message has the name in it.
        let hostname = request.hostname.clone().or_else(|| before.as_ref()?.hostname.clone());
        // Nor is every one seen by an agent: renewals come straight to us.
        let circuit = request.circuit.clone().or_else(|| before.as_ref()?.circuit.clone());
        let is_late = leased && promised.since(now) <= self.config.lease_time.mul_f64(0.75);
        let is_known = is_late || self.table.knows(&client) || before.as_ref().is_some_and(|before| before.is_known);
        let (before, holder) = (
            before.map(|before| Holder { is_known, circuit: circuit.clone(), ..before }),
            Holder { client, mac: request.mac, hostname, is_known, circuit },
        );
        if let Some(before) = before.as_ref().filter(|before| leased && before.mac != holder.mac) {
            self.event(Event::Ended { address, mac: before.mac });
        }
        if !leased || before.as_ref() != Some(&holder) {
            self.event(Event::Leased {
                address,
                mac: holder.mac,
                hostname: holder.hostname.as_deref().map(str::to_owned),
            });
        }
        // Never shorter than it was promised, if the lease time was made shorter since.
        let end = (now + self.config.lease_time).max(promised);
        self.table.put(address, Use::Leased(holder), end);
        // A renewal, too, promises what the disk does not have yet: a later end.
        self.promises.changed();
        self.told_full = false;
        let ack = self.counted(Reply::Ack(address, self.config.lease_time), request);
        self.out.extend(self.promises.promise(now, address, ack).map(Output::Send));
    }

    /// A client says that its address is in use already (RFC 2131 4.3.3).
    fn decline(&mut self, now: Time, request: &Request) {
        let Some(holder) = self.leased_to(request, request.requested) else { return };
        let Some(address) = request.requested else { return };
        self.event(Event::Ended { address, mac: holder.mac });
        self.promises.withdraw(&address);
        self.promises.changed();
        self.set_aside(now, address, None);
    }

    /// A client gives its address back (RFC 2131 4.3.4).
    fn release(&mut self, now: Time, request: &Request) {
        let Some(holder) = self.leased_to(request, request.ciaddr) else { return };
        let Some(address) = request.ciaddr else { return };
        self.table.remove(address);
        self.ended(address, holder, now);
    }

    /// Who holds it, if it is the client itself, and speaks to us.
    fn leased_to(&self, request: &Request, address: Option<Ipv4Addr>) -> Option<Holder> {
        let client = self.table.client(request.mac, request.client_id.as_deref());
        let to_us = request.server.is_none_or(|server| server == self.config.address);
        match self.table.get(address?) {
            Some((Use::Leased(holder), _)) if to_us && holder.client == client => Some(holder.clone()),
            _ => None,
        }
    }

    /// RFC 2131 4.3.5: parameters, to an address of its own choice.
    fn inform(&mut self, request: &Request) {
        match request.ciaddr {
            Some(address) if self.config.is_host(address) => self.answer(Reply::Parameters(address), request),
            _ => self.counts.malformed += 1,
        }
    }
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
        let end = self.table.next_end().map(|(end, _)| end);
        let movers = self.movers.values().map(|&(_, end)| end).min();
        [end, movers, self.promises.patience()].into_iter().flatten().min()
    }
}
