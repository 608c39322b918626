//! What every table of sessions is made of, whatever a session is: the NAPT's ([`crate::napt`]) and the filter's of native
//! IPv6 ([`crate::filter6`]).
//!
//! Records lie in fixed memory and are found by an index that any worker reads without a lock. Changes are
//! made by one at a time: it takes a record from the free ones, hangs it into the timing wheel, and puts
//! it back when it has been idle for too long. A record that was taken out of the index is used again only when
//! all readers have begun another burst.
//!
//! A table has its own record (a cache line of atomics with `wheel::Record`), its own keys and their
//! hash, and says in `wheel::Ageing` when a session of its ends and how.

pub(crate) mod changing;
pub(crate) mod free;
pub mod hash;
pub(crate) mod index;
pub mod readers;
pub(crate) mod saved;
pub(crate) mod sync;
pub(crate) mod tcp;
pub mod timeouts;
pub(crate) mod wheel;

/// A session's place in its table. 0 is nobody's.
pub type SessionId = u32;

/// The place of a record that is one of `records`.
pub(crate) fn id_of<R>(records: &[R], record: &R) -> SessionId {
    let offset = record as *const R as usize - records.as_ptr() as usize;
    (offset / size_of::<R>()) as SessionId
}

/// Those of `records` that are among the `most` from number `from` on, and where to go on behind them; `None` at the end.
pub(crate) fn slice<R>(records: &[R], from: SessionId, most: u32) -> (&[R], Option<SessionId>) {
    let end = from.saturating_add(most).min(records.len() as u32);
    let some = records.get(from as usize..end as usize).unwrap_or_default();
    (some, Some(end).filter(|&end| (end as usize) < records.len()))
}

/// Which way a packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the LAN to the Internet.
    Outbound,
    /// From the Internet to the LAN.
    Inbound,
}

/// A LAN of the router, by number: what hosts share an address space and a link. VLANs of one cable are LANs of
/// their own. A host of one LAN never uses a session of another's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LanId(pub u8);

/// A way to the Internet, by number: an outside IPv4 address, or a line's IPv6 prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UplinkId(pub u8);
