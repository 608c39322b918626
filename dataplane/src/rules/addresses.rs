//! One end's address: of either family, and of a host of ours its interface id.

use hikyaku_net::{Addr4, Addr6, Prefix4, Prefix6};

use super::field::{Field, Wanted};
use super::rule::{Address, Rule};

/// Which rules fit which address.
#[derive(Debug)]
pub(super) struct Addresses {
    v4: Field<u32>,
    v6: Field<u128>,
    ids: Field<u64>,
    /// The row of no rule.
    none: Box<[u64]>,
}

impl Addresses {
    /// Of what these rules say of this end.
    pub fn new(rules: &[Rule], end: impl Fn(&Rule) -> &[Address]) -> Self {
        let v4 = |address: &Address| if let Address::V4(prefix) = address { Some(range4(*prefix)) } else { None };
        let v6 = |address: &Address| if let Address::V6(prefix) = address { Some(range6(*prefix)) } else { None };
        let id = |address: &Address| match *address {
            Address::InterfaceId(id) => Some((id, id.checked_add(1))),
            _ => None,
        };
        let wanted4: Vec<_> = rules.iter().map(|rule| Wanted::of(end(rule), v4)).collect();
        let wanted6: Vec<_> = rules.iter().map(|rule| Wanted::of(end(rule), v6)).collect();
        // Beside the prefixes, which say it where any address fits.
        let ids: Vec<_> = rules.iter().map(|rule| Wanted::Of(end(rule).iter().filter_map(id).collect())).collect();
        Self {
            v4: Field::new(&wanted4),
            v6: Field::new(&wanted6),
            ids: Field::new(&ids),
            none: vec![0; rules.len().div_ceil(64)].into(),
        }
    }

    /// Two rows: a rule fits if it is in one of them.
    #[inline]
    pub fn rows4(&self, address: Addr4) -> [&[u64]; 2] {
        [self.v4.row(u32::from_be_bytes(address.0)), &self.none]
    }

    /// Likewise. `is_ours`: it is of a host of a LAN.
    #[inline]
    pub fn rows6(&self, address: Addr6, is_ours: bool) -> [&[u64]; 2] {
        let bits = u128::from_be_bytes(address.0);
        [self.v6.row(bits), if is_ours { self.ids.row(bits as u64) } else { &self.none }]
    }

    pub fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes() + self.ids.bytes() + size_of_val(&*self.none)
    }
}

/// First address, and the one behind the last.
fn range4(prefix: Prefix4) -> (u32, Option<u32>) {
    let first = prefix.address().to_bits();
    let size = 1u32.checked_shl(32 - u32::from(prefix.len()));
    (first, size.and_then(|size| first.checked_add(size)))
}

fn range6(prefix: Prefix6) -> (u128, Option<u128>) {
    let first = prefix.address().to_bits();
    let size = 1u128.checked_shl(128 - u32::from(prefix.len()));
    (first, size.and_then(|size| first.checked_add(size)))
}
