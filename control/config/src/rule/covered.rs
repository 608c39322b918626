//! Rules that no packet comes to, because an earlier one fits whatever they would.

use hikyaku_dataplane::rules::{Address, Rule};

/// The places of rules that one earlier rule covers as a whole, each with that one's. What several cover together is not found.
pub(super) fn covered(rules: &[Rule]) -> Vec<(usize, usize)> {
    let by = |(at, rule): (usize, &Rule)| Some((at, rules[..at].iter().position(|earlier| covers(earlier, rule))?));
    rules.iter().enumerate().filter_map(by).collect()
}

/// Whether every packet that `b` fits is one that `a` fits.
pub(super) fn covers(a: &Rule, b: &Rule) -> bool {
    (a.from, a.to) == (b.from, b.to)
        && all(&a.protocols, &b.protocols, |b| a.protocols.contains(b))
        && ranges(&a.source_ports, &b.source_ports)
        && ranges(&a.ports, &b.ports)
        && addresses(&a.source, &b.source)
        && addresses(&a.destination, &b.destination)
}

/// Lists that are empty mean any.
fn all<T>(a: &[T], b: &[T], is_in_a: impl Fn(&T) -> bool) -> bool {
    a.is_empty() || !b.is_empty() && b.iter().all(is_in_a)
}

fn ranges(a: &[(u16, u16)], b: &[(u16, u16)]) -> bool {
    // Ranges of one list that touch each other are one.
    let mut joined: Vec<(u16, u16)> = Vec::new();
    let mut sorted = a.to_vec();
    sorted.sort_unstable();
    for (first, last) in sorted {
        match joined.last_mut() {
            Some(before) if u32::from(first) <= u32::from(before.1) + 1 => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    all(a, b, |b| joined.iter().any(|a| a.0 <= b.0 && b.1 <= a.1))
}

fn addresses(a: &[Address], b: &[Address]) -> bool {
    let contains = |a: &Address, b: &Address| match (a, b) {
        (Address::V4(a), Address::V4(b)) => a.len() <= b.len() && a.contains(b.address().into()),
        (Address::V6(a), Address::V6(b)) => a.len() <= b.len() && a.contains(b.address()),
        // An address that a host has is of any prefix that has all of them.
        (Address::V6(a), Address::InterfaceId(_)) => a.len() == 0,
        (Address::InterfaceId(a), Address::InterfaceId(b)) => a == b,
        _ => false,
    };
    all(a, b, |b| a.iter().any(|a| contains(a, b)))
}
