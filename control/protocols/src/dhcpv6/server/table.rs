//! Whose lease is which: interface ids and subnets alike are numbers here. Every look-up is by a tree or a hash.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use hikyaku_net::{Mac, Prefix6, Time};

use super::super::duid::Duid;

/// What a station may have of a kind, whatever identifiers it makes up.
const OF_STATION: usize = 8;

/// A quarter stays for clients that were here before, however many ask that nobody ever saw: who makes up identifiers and stations
/// cannot take the place of those that are away.
const KEPT: usize = 4;

/// Numbers that are set aside at once; more push out the one that ends first.
const MOST_ASIDE: usize = 64;

/// Whom a lease is for: an identity association of a client (RFC 8415 12), and the station that it speaks from. So nobody takes or
/// ends another's lease by naming its identifiers, and machines that are copies of each other have a lease each.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    pub duid: Duid,
    pub iaid: u32,
    pub station: Mac,
}

/// What an owner has, or had.
#[derive(Clone, Debug)]
pub(super) struct Binding {
    pub number: u64,
    /// As the client calls itself, printable.
    pub name: Option<Arc<str>>,
    /// Until when it has, or had, it.
    pub end: Time,
    /// From when a renewal shows that the client is here for longer than it takes to ask.
    pub known_from: Time,
    /// It renewed a lease after that.
    pub is_known: bool,
    /// It has it now.
    pub is_leased: bool,
    /// What it was promised by that and is not over, until when; also of prefixes that were withdrawn. The latest first.
    pub promised: Vec<(Prefix6, Time)>,
}

/// All leases of one kind. A number is one owner's.
#[derive(Debug)]
pub(super) struct Table {
    /// Owners that are known at once, at most.
    most: usize,
    bindings: HashMap<Arc<Owner>, Binding>,
    owners: HashMap<u64, Arc<Owner>>,
    /// Numbers that are leased, by when that ends.
    leased: BTreeSet<(Time, u64)>,
    /// Numbers that were: those of strangers first, then by when that ended.
    former: BTreeSet<(bool, Time, u64)>,
    /// How many each station has.
    stations: HashMap<Mac, usize>,
    /// How many are leased to clients that are not known.
    strangers: usize,
    /// Numbers that somebody else has, and until when they are not given.
    aside: HashMap<u64, Time>,
}

impl Table {
    pub fn new(most: usize) -> Self {
        Self {
            most,
            bindings: HashMap::new(),
            owners: HashMap::new(),
            leased: BTreeSet::new(),
            former: BTreeSet::new(),
            stations: HashMap::new(),
            strangers: 0,
            aside: HashMap::new(),
        }
    }

    /// What it has, or had.
    pub fn get(&self, owner: &Owner) -> Option<&Binding> {
        self.bindings.get(owner)
    }

    /// What it has now.
    pub fn lease(&self, owner: &Owner) -> Option<&Binding> {
        self.get(owner).filter(|binding| binding.is_leased)
    }

    /// Whether nobody else has the number, and it is not set aside.
    pub fn is_free(&self, now: Time, number: u64, owner: &Owner) -> bool {
        let is_aside = self.aside.get(&number).is_some_and(|&until| now < until);
        let other = self.owners.get(&number).filter(|other| ***other != *owner);
        !is_aside && other.is_none_or(|other| !self.bindings[other].is_leased)
    }

    /// Whether nobody has or had the number.
    pub fn is_unused(&self, now: Time, number: u64, owner: &Owner) -> bool {
        self.is_free(now, number, owner) && self.owners.get(&number).is_none_or(|other| **other == *owner)
    }

    /// The numbers that were left, those of strangers first, then the longest ago.
    pub fn left(&self) -> impl Iterator<Item = u64> {
        self.former.iter().map(|&(.., number)| number)
    }

    /// Whether there is room for a lease of this owner among `total` numbers.
    pub fn has_room(&self, owner: &Owner, total: usize) -> bool {
        if self.lease(owner).is_some() {
            return true;
        }
        let total = total.min(self.most);
        let strangers = total - total / KEPT;
        let is_known = self.get(owner).is_some_and(|binding| binding.is_known);
        self.leased.len() < total
            && (is_known || self.strangers < strangers)
            && self.stations.get(&owner.station).is_none_or(|&leases| leases < OF_STATION)
    }

    /// It has this from now on. The caller has made sure that there is room, and that nobody else has the number.
    pub fn put(&mut self, owner: &Arc<Owner>, binding: Binding) {
        self.forget(owner);
        if let Some(before) = self.owners.get(&binding.number).cloned() {
            self.forget(&before);
        }
        if self.bindings.len() >= self.most
            && let Some(oldest) = self.former.first().and_then(|(.., number)| self.owners.get(number)).cloned()
        {
            self.forget(&oldest);
        }
        self.owners.insert(binding.number, owner.clone());
        self.leased.insert((binding.end, binding.number));
        *self.stations.entry(owner.station).or_default() += 1;
        self.strangers += usize::from(!binding.is_known);
        self.bindings.insert(owner.clone(), Binding { is_leased: true, ..binding });
    }

    /// It had this, and gets it again, unless others need it.
    pub fn remember(&mut self, owner: &Arc<Owner>, binding: Binding) {
        let is_taken = self.owners.contains_key(&binding.number) || self.get(owner).is_some();
        if is_taken || self.bindings.len() >= self.most {
            return;
        }
        self.owners.insert(binding.number, owner.clone());
        self.former.insert((binding.is_known, binding.end, binding.number));
        self.bindings.insert(owner.clone(), Binding { is_leased: false, ..binding });
    }

    /// Its lease is over.
    pub fn end(&mut self, now: Time, owner: &Arc<Owner>) {
        if let Some(binding) = self.forget(owner) {
            self.remember(owner, Binding { end: now, promised: Vec::new(), ..binding });
        }
    }

    /// Somebody else has its number: for so long nobody gets that.
    pub fn set_aside(&mut self, now: Time, owner: &Arc<Owner>, time: Duration) {
        let Some(binding) = self.forget(owner) else { return };
        self.aside.retain(|_, &mut until| now < until);
        if self.aside.len() >= MOST_ASIDE
            && let Some((&first, _)) = self.aside.iter().min_by_key(|&(_, &until)| until)
        {
            self.aside.remove(&first);
        }
        self.aside.insert(binding.number, now + time);
    }

    fn forget(&mut self, owner: &Owner) -> Option<Binding> {
        let binding = self.bindings.remove(owner)?;
        self.owners.remove(&binding.number);
        if !binding.is_leased {
            self.former.remove(&(binding.is_known, binding.end, binding.number));
            return Some(binding);
        }
        self.strangers -= usize::from(!binding.is_known);
        if let Some(leases) = self.stations.get_mut(&owner.station) {
            *leases -= 1;
            if *leases == 0 {
                self.stations.remove(&owner.station);
            }
        }
        self.leased.remove(&(binding.end, binding.number));
        Some(binding)
    }

    /// The lease that ends first, and when.
    pub fn next_end(&self) -> Option<(Time, &Arc<Owner>)> {
        self.leased.first().map(|&(end, number)| (end, &self.owners[&number]))
    }

    /// How many are leased.
    pub fn count(&self) -> usize {
        self.leased.len()
    }

    /// All that is leased, by when it ends.
    pub fn leases(&self) -> impl Iterator<Item = (&Arc<Owner>, &Binding)> {
        let owner = |&(_, number): &(Time, u64)| &self.owners[&number];
        self.leased.iter().map(owner).map(|owner| (owner, &self.bindings[owner]))
    }

    /// All that is known: what is leased, and what was.
    pub fn all(&self) -> impl Iterator<Item = (&Arc<Owner>, &Binding)> {
        self.bindings.iter()
    }
}
