//! Values as texts in files that are kept.

use std::fmt::{Display, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serializer};

/// Bytes as pairs of hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    bytes.iter().for_each(|byte| _ = write!(text, "{byte:02x}"));
    text
}

/// The bytes that pairs of hex digits are.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// For serde: as it is displayed.
pub(crate) fn as_text<T: Display, S: Serializer>(what: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(what)
}

/// For serde: what [`as_text`] wrote.
pub(crate) fn from_text<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// For serde: Ethernet addresses as people write them.
pub(crate) mod mac {
    use hikyaku_net::Mac;

    use super::*;

    pub(crate) fn serialize<S: Serializer>(mac: &Mac, to: S) -> Result<S::Ok, S::Error> {
        as_text(mac, to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Mac, D::Error> {
        let text = String::deserialize(from)?;
        let parts: Option<Vec<_>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
        let octets = parts.and_then(|octets| octets.try_into().ok());
        octets.map(Mac).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is no Ethernet address: write it as 02:00:00:00:00:01"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_back() {
        assert_eq!((hex(&[1, 0xfe]).as_str(), unhex("01FE")), ("01fe", Some(vec![1, 0xfe])));
        assert_eq!((unhex("1"), unhex("zz")), (None, None));
    }
}
