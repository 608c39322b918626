//! Which address is whose. Every look-up is by a tree or a hash: thousands of clients that do not exist cost little.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use hikyaku_net::{Mac, Time};

use super::Config;
use super::agent::Circuit;
use super::wire::Request;

/// By what a client is known again (RFC 2131 4.2): its identifier, or else its station.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    Id(Arc<[u8]>),
    Station(Mac),
    /// A station whose identifier another has, too, that is there at the same time: cloned machines have one. RFC 2131 4.2 has
    /// identifiers be unique; two hosts with one address would be worse than to tell them apart.
    SharedId(Arc<[u8]>, Mac),
}

/// Who has or had an address. Cheap to copy: there may be as many as the pool is large, and all are copied to be shown or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub client: Client,
    pub mac: Mac,
    pub hostname: Option<Arc<str>>,
    /// It renewed a lease when a quarter of its time was over, at least once: it was here for longer than it takes to ask.
    pub is_known: bool,
    /// Where it was heard last, if a switch said so.
    pub circuit: Option<Circuit>,
}

/// Of the addresses of the pool, a quarter stays for known hosts that were here before, however many stations ask that
/// nobody ever saw: whoever makes up stations cannot take the place of those that are away for a day.
const KEPT: usize = 4;

/// Those at one port of a switch have half of the addresses of the pool at most, if the switch says so: whoever makes up
/// stations there leaves the other half to all others.
const PORT_SHARE: usize = 2;

/// What an address is in use for.
#[derive(Clone, Debug)]
pub(super) enum Use {
    /// Is somebody there? If not, the client is offered it.
    Probing(Box<Request>, Client),
    /// The client may ask for it.
    Offered(Holder),
    Leased(Holder),
    /// Somebody has it that we know nothing of.
    Conflict,
}

impl Use {
    fn client(&self) -> Option<&Client> {
        match self {
            Self::Probing(_, client) => Some(client),
            Self::Offered(holder) | Self::Leased(holder) => Some(&holder.client),
            Self::Conflict => None,
        }
    }

    fn circuit(&self) -> Option<&Circuit> {
        match self {
            Self::Probing(request, _) => request.circuit.as_ref(),
            Self::Offered(holder) | Self::Leased(holder) => holder.circuit.as_ref(),
            Self::Conflict => None,
        }
    }

    /// It may become a lease.
    fn is_open(&self) -> bool {
        matches!(self, Self::Probing(..) | Self::Offered(_))
    }
}

/// All addresses that may be given out. A client has one at most.
#[derive(Debug)]
pub(super) struct Table {
    reserved: HashMap<Mac, Ipv4Addr>,
    uses: BTreeMap<Ipv4Addr, (Use, Time)>,
    /// The `uses` by their ends.
    ends: BTreeSet<(Time, Ipv4Addr)>,
    by_client: HashMap<Client, Ipv4Addr>,
    /// Who had an address last, and until when: it gets it again, and others only when nothing else is left.
    former: BTreeMap<Ipv4Addr, (Holder, Time)>,
    by_former_client: HashMap<Client, Ipv4Addr>,
    /// The `former` by their ends.
    oldest: BTreeSet<(Time, Ipv4Addr)>,
    /// How many of the `former` are known.
    known: usize,
    /// Of the pool, in no use and nobody's before.
    unused: BTreeSet<Ipv4Addr>,
    /// Of the pool, without ours and the reserved ones.
    dynamic: BTreeSet<Ipv4Addr>,
    /// Those that are being probed or are offered, by their ends.
    open: BTreeSet<(Time, Ipv4Addr)>,
    /// How many of the pool each port of a switch has in use; and how many of them are open.
    ports: HashMap<Circuit, (usize, usize)>,
}

impl Table {
    pub(super) fn new(config: &Config) -> Self {
        let reserved: HashMap<_, _> = config.reservations.iter().map(|r| (r.mac, r.address)).collect();
        let (first, last) = (config.pool.start().to_bits(), config.pool.end().to_bits());
        let mut dynamic: BTreeSet<_> = (first..=last).map(Ipv4Addr::from_bits).collect();
        for taken in reserved.values().chain([&config.address]) {
            dynamic.remove(taken);
        }
        Self {
            reserved,
            uses: BTreeMap::new(),
            ends: BTreeSet::new(),
            by_client: HashMap::new(),
            former: BTreeMap::new(),
            by_former_client: HashMap::new(),
            oldest: BTreeSet::new(),
            known: 0,
            unused: dynamic.clone(),
            dynamic,
            open: BTreeSet::new(),
            ports: HashMap::new(),
        }
    }

    /// A station with a reservation is itself, whatever it calls itself.
    pub(super) fn client(&self, mac: Mac, id: Option<&[u8]>) -> Client {
        let Some(id) = id.filter(|_| !self.reserved.contains_key(&mac)) else { return Client::Station(mac) };
        let shared = Client::SharedId(id.into(), mac);
        match self.by_client.contains_key(&shared) || self.by_former_client.contains_key(&shared) {
            true => shared,
            false => Client::Id(id.into()),
        }
    }

    /// How many are in any use.
    pub(super) fn in_use(&self) -> usize {
        self.uses.len()
    }

    /// How many are being probed or are offered.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Whether a client that has no address may get one where it is: those at its port do not have their share, of the pool or
    /// of `most_open`. Who has a reservation takes nobody's place.
    pub(super) fn port_has_room(&self, request: &Request, most_open: usize) -> bool {
        let Some(circuit) = request.circuit.as_ref().filter(|_| !self.reserved.contains_key(&request.mac)) else {
            return true;
        };
        let (in_use, open) = self.ports.get(circuit).copied().unwrap_or_default();
        in_use < self.dynamic.len().div_ceil(PORT_SHARE) && open < most_open / PORT_SHARE
    }

    /// One more of this address's use, or with `remove` one less, for the port that it is at.
    fn count_port(&mut self, address: Ipv4Addr, purpose: &Use, remove: bool) {
        let Some(circuit) = purpose.circuit().filter(|_| self.dynamic.contains(&address)) else { return };
        let is_open = usize::from(purpose.is_open());
        if !remove {
            let (in_use, open) = self.ports.entry(circuit.clone()).or_default();
            (*in_use, *open) = (*in_use + 1, *open + is_open);
        } else if let Some((in_use, open)) = self.ports.get_mut(circuit) {
            (*in_use, *open) = (*in_use - 1, *open - is_open);
            if *in_use == 0 {
                self.ports.remove(circuit);
            }
        }
    }

    /// The offer that ends first, and when. It gives way to who asks, where nothing else is left.
    pub(super) fn oldest_offer(&self) -> Option<(Time, Ipv4Addr)> {
        let is_offered = |&(_, address): &(Time, Ipv4Addr)| matches!(self.get(address), Some((Use::Offered(_), _)));
        self.open.iter().copied().find(is_offered)
    }

    /// Whether `address` may be this station's at all.
    pub(super) fn may_have(&self, mac: Mac, address: Ipv4Addr) -> bool {
        self.dynamic.contains(&address) || self.reserved.get(&mac) == Some(&address)
    }

    pub(super) fn get(&self, address: Ipv4Addr) -> Option<&(Use, Time)> {
        self.uses.get(&address)
    }

    /// The address in use for this client.
    pub(super) fn of(&self, client: &Client) -> Option<Ipv4Addr> {
        self.by_client.get(client).copied()
    }

    /// Whether somebody else uses `address`, or nobody can.
    pub(super) fn taken(&self, client: &Client, address: Ipv4Addr) -> bool {
        self.uses.get(&address).is_some_and(|(purpose, _)| purpose.client() != Some(client))
    }

    /// Whether `address` was this client's last, and still may be.
    pub(super) fn was(&self, client: &Client, mac: Mac, address: Ipv4Addr) -> bool {
        let had = self.by_former_client.get(client) == Some(&address);
        had && !self.taken(client, address) && self.may_have(mac, address)
    }

    /// Whether this client had an address, and was known.
    pub(super) fn knows(&self, client: &Client) -> bool {
        let had = self.by_former_client.get(client).and_then(|had| self.former.get(had));
        had.is_some_and(|(holder, _)| holder.is_known)
    }

    /// The address for a client (RFC 2131 4.3.1): the one that it has, the one that is reserved, the one that it had,
    /// the one that it wants, one that nobody had, the one that was left the longest ago.
    pub(super) fn choose(&self, client: &Client, mac: Mac, wanted: Option<Ipv4Addr>) -> Option<Ipv4Addr> {
        let free = |address: &Ipv4Addr| !self.uses.contains_key(address);
        let has = self.of(client);
        let reserved = || self.reserved.get(&mac).copied().filter(free);
        let had = || self.by_former_client.get(client).copied().filter(|&had| self.was(client, mac, had));
        let wants = || wanted.filter(|address| self.unused.contains(address));
        let new = || self.unused.first().copied();
        let left = || {
            let mut spare = self.known.saturating_sub(self.dynamic.len().div_ceil(KEPT));
            let is_known = |address: &Ipv4Addr| self.former.get(address).is_some_and(|(holder, _)| holder.is_known);
            let oldest = self.oldest.iter().map(|&(_, address)| address);
            let mut left = oldest.filter(|address| {
                // Of the known, those that left the longest ago.
                let is_spare = spare > 0;
                spare -= usize::from(is_spare && is_known(address));
                is_spare || !is_known(address)
            });
            left.find(|address| free(address) && self.dynamic.contains(address))
        };
        has.or_else(reserved).or_else(had).or_else(wants).or_else(new).or_else(left)
    }

    /// Puts an address to this use until `end`. The caller has made sure that the client has no other.
    pub(super) fn put(&mut self, address: Ipv4Addr, purpose: Use, end: Time) {
        self.remove(address);
        if let Some(client) = purpose.client() {
            let before = self.by_client.insert(client.clone(), address);
            debug_assert_eq!(before, None, "one address for a client");
        }
        if let Use::Leased(holder) = &purpose {
            // Whose it was before does not matter any more, nor what this client had before.
            self.forget(address);
            if let Some(&had) = self.by_former_client.get(&holder.client) {
                self.forget(had);
            }
        }
        if purpose.is_open() {
            self.open.insert((end, address));
        }
        self.count_port(address, &purpose, false);
        self.ends.insert((end, address));
        self.uses.insert(address, (purpose, end));
        self.unused.remove(&address);
    }

    /// In no use any more.
    pub(super) fn remove(&mut self, address: Ipv4Addr) -> Option<Use> {
        let (purpose, end) = self.uses.remove(&address)?;
        self.ends.remove(&(end, address));
        if let Some(client) = purpose.client() {
            self.by_client.remove(client);
        }
        self.open.remove(&(end, address));
        self.count_port(address, &purpose, true);
        self.unused_again(address);
        Some(purpose)
    }

    fn forget(&mut self, address: Ipv4Addr) {
        if let Some((holder, end)) = self.former.remove(&address) {
            self.oldest.remove(&(end, address));
            self.known -= usize::from(holder.is_known);
            self.by_former_client.remove(&holder.client);
            self.unused_again(address);
        }
    }

    fn unused_again(&mut self, address: Ipv4Addr) {
        let unused =
            self.dynamic.contains(&address) && !self.uses.contains_key(&address) && !self.former.contains_key(&address);
        if unused {
            self.unused.insert(address);
        }
    }

    /// `holder` had `address` until `end`.
    pub(super) fn remember(&mut self, address: Ipv4Addr, holder: Holder, end: Time) {
        self.forget(address);
        if let Some(&other) = self.by_former_client.get(&holder.client) {
            self.forget(other);
        }
        self.unused.remove(&address);
        self.oldest.insert((end, address));
        self.known += usize::from(holder.is_known);
        self.by_former_client.insert(holder.client.clone(), address);
        self.former.insert(address, (holder, end));
    }

    /// The next use that ends.
    pub(super) fn next_end(&self) -> Option<(Time, Ipv4Addr)> {
        self.ends.first().copied()
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = (Ipv4Addr, &Use, Time)> {
        self.uses.iter().map(|(&address, (purpose, end))| (address, purpose, *end))
    }

    pub(super) fn former(&self) -> impl Iterator<Item = (Ipv4Addr, &Holder, Time)> {
        self.former.iter().map(|(&address, (holder, end))| (address, holder, *end))
    }
}
