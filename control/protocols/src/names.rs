//! Names that strangers give, made plain for people; names of ours, as DNS writes them.

use hickory_proto::rr::Name;
use hickory_proto::serialize::binary::BinEncodable;

/// Letters of a host's name that are kept: of a name in DNS there are no more (RFC 1035 2.3.4).
const LONGEST: usize = 253;

/// For people: a name that a host made up.
pub(crate) fn printable(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control() && *c != '\u{fffd}').take(LONGEST).collect();
    (!name.is_empty()).then_some(name)
}

/// For people: the name that these labels of DNS are. One that is not fully qualified has no end (RFC 4702 2.3.1, RFC 4704 4.2).
pub(crate) fn printable_labels(mut bytes: &[u8]) -> Option<String> {
    let mut labels = Vec::new();
    while let Some((&len, rest)) = bytes.split_first().filter(|&(&len, _)| len > 0) {
        // Longer is no label but a pointer, which has no place here.
        let (label, rest) = rest.split_at_checked(len.into()).filter(|_| len < 64)?;
        labels.push(String::from_utf8_lossy(label));
        bytes = rest;
    }
    printable(&labels.join("."))
}

/// As DNS writes it, uncompressed (RFC 8106 5.2, RFC 8415 10). `None`: it is no name, or that of all.
pub(crate) fn wire(name: &str) -> Option<Vec<u8>> {
    let name = Name::from_ascii(name).ok().filter(|name| name.num_labels() > 0)?;
    name.to_bytes().ok()
}
