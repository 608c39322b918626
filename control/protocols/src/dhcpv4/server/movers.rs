//! A client identifier that comes from another station than before: the client has another card, or two have one identifier.

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType;
use hikyaku_net::{Mac, Time};

use super::super::table::{Client, Use};
use super::super::wire::{Reply, Request};
use super::super::{Event, Output};
use super::{MOST_OPEN, PROBE, Server};

impl Server {
    /// It is the client's, if no other station has it.
    pub(super) fn grant_or_ask(&mut self, now: Time, address: Ipv4Addr, client: Client, request: &Request) {
        match self.table.get(address) {
            Some((Use::Leased(holder), _)) if holder.mac != request.mac => {
                self.ask_holder(now, address, request.clone());
            }
            _ => self.grant(now, address, client, request),
        }
    }

    /// A station came with the identifier of another that has this lease: that one is asked whether it is still there, before
    /// two have one address.
    pub(super) fn ask_holder(&mut self, now: Time, address: Ipv4Addr, request: Request) {
        let is_asked = self.movers.get(&address).map(|&(_, end)| end);
        if is_asked.is_none() {
            if self.movers.len() >= MOST_OPEN {
                self.counts.limited += 1;
                return;
            }
            self.out.push_back(Output::Probe(address));
        }
        // Asked again before the answer: the answer is to the later one.
        self.movers.insert(address, (request, is_asked.unwrap_or(now + PROBE)));
    }

    /// Whether `by` is a holder that was asked, and answers. Whoever came with its identifier is told apart from it.
    pub(super) fn is_still_there(&mut self, now: Time, address: Ipv4Addr, by: Mac) -> bool {
        let is_holder = matches!(self.table.get(address), Some((Use::Leased(holder), _)) if holder.mac == by);
        let Some((request, _)) = self.movers.remove(&address).filter(|_| is_holder) else { return false };
        self.event(Event::SharedId { address, mac: by, by: request.mac });
        match (request.kind, &request.client_id) {
            (MessageType::Discover, Some(id)) => {
                let client = Client::SharedId(id.as_slice().into(), request.mac);
                self.find_address(now, client, request);
            }
            _ => self.answer(Reply::Nak("in use by another with the same client identifier"), &request),
        }
        true
    }

    /// The holder is silent: the client is where it asks from now.
    fn has_moved(&mut self, now: Time, address: Ipv4Addr, request: Request) {
        let client = self.table.client(request.mac, request.client_id.as_deref());
        let holds = matches!(self.table.get(address), Some((Use::Leased(holder), _)) if holder.client == client);
        match request.kind {
            MessageType::Discover if holds => self.answer(Reply::Offer(address, self.config.lease_time), &request),
            MessageType::Discover => self.discover(now, request),
            _ if holds => self.grant(now, address, client, &request),
            _ => self.request(now, &request),
        }
    }

    /// Those whose holders have been silent for long enough.
    pub(super) fn expire_movers(&mut self, now: Time) {
        let silent = |(&address, &(_, end)): (&Ipv4Addr, &(Request, Time))| (end <= now).then_some(address);
        while let Some(address) = self.movers.iter().find_map(silent) {
            if let Some((request, _)) = self.movers.remove(&address) {
                self.has_moved(now, address, request);
            }
        }
    }
}
