//! Which number a client gets.

use hikyaku_net::Time;
use ring::hmac;

use super::super::Client;
use super::super::query::Association;
use super::super::source::Kind;
use super::super::table::Owner;
use super::{Leases, Server};
use crate::slaac::Token;

/// Interface ids of a client that are tried, where another has the first.
const TRIES: u8 = 8;

impl Server {
    /// The number for an owner: the one that is reserved for it, the one that it has or had, one that it names, a new one, one that
    /// was left the longest ago. `None`: there is none, or no room for it.
    pub(super) fn choose(&self, now: Time, owner: &Owner, association: &Association) -> Option<u64> {
        let Leases { table, sources, kept, most, .. } = self.of(association.kind);
        let is_there = |number: &u64| sources.current.iter().any(|source| source.lease(*number).is_some());
        let reserved = self.reservation(association.kind, owner);
        let reserved = reserved.filter(|number| is_there(number) && table.is_free(now, *number, owner));
        if reserved.is_some() {
            return reserved;
        }
        if !table.has_room(owner, sources.total(*most)) {
            return None;
        }
        let is_free = |number: &u64| !kept.contains(number) && is_there(number) && table.is_free(now, *number, owner);
        let is_unused = |number: &u64| is_free(number) && table.is_unused(now, *number, owner);
        let has = table.get(owner).map(|binding| binding.number).filter(is_free);
        has.or_else(|| match association.kind {
            Kind::Address => (0..TRIES).filter_map(|tries| self.interface_id(owner, tries)).find(is_unused),
            Kind::Prefix => {
                let wished = association.named.iter();
                let wished = wished.flat_map(|lease| sources.current.iter().filter_map(|source| source.number(*lease)));
                let new = sources.current.first().into_iter().flat_map(|source| source.numbers());
                wished.chain(new).find(is_unused).or_else(|| table.left().find(is_free))
            }
        })
    }

    /// What is kept for it: for the station that it asks from, for its identifier, for the station that this was made of.
    pub(super) fn reservation(&self, kind: Kind, owner: &Owner) -> Option<u64> {
        let Leases { reserved, .. } = self.of(kind);
        if reserved.is_empty() {
            return None;
        }
        let made_of = owner.duid.station().map(Client::Station);
        let clients = [Some(Client::Station(owner.station)), Some(Client::Duid(owner.duid.clone())), made_of];
        clients.into_iter().flatten().find_map(|client| reserved.get(&client).copied())
    }

    /// RFC 7943 3, but for the prefix: the lower half is the same in all of the link's, and what a pinhole names holds in the
    /// next one, too. `None`: the id is reserved (RFC 5453).
    fn interface_id(&self, owner: &Owner, tries: u8) -> Option<u64> {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.secret));
        context.update(b"RFC 7943");
        context.update(&owner.iaid.to_be_bytes());
        context.update(&[tries]);
        context.update(owner.duid.bytes());
        let id = context.sign().as_ref().first_chunk().map(|&bytes| u64::from_be_bytes(bytes))?;
        Token::new(id).map(Token::bits)
    }
}
