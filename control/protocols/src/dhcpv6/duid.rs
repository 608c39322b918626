//! The names that DHCPv6 clients and servers go by.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use hikyaku_net::Mac;

use crate::text::{hex, unhex};

/// A DHCP unique identifier: opaque, only ever compared (RFC 8415 11). Shown and saved as hex.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duid(Vec<u8>);

/// Why bytes or text are no DUID.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DuidError {
    /// Type code and 1 to 128 bytes are what there may be (RFC 8415 11.1).
    #[error("a DUID has 3 to 130 bytes, this has {0}")]
    Length(usize),
    /// From a lease file that was edited.
    #[error("{0:?} is no DUID: write its bytes as pairs of hex digits")]
    NotHex(String),
}

impl Duid {
    /// DUID-LL (RFC 8415 11.4) of an Ethernet interface: type 3, hardware type 1, the address.
    pub fn link_layer(mac: Mac) -> Self {
        let mut bytes = vec![0, 3, 0, 1];
        bytes.extend(mac.0);
        Self(bytes)
    }

    /// From the bytes of an option (RFC 8415 21.2, 21.3).
    pub fn new(bytes: &[u8]) -> Result<Self, DuidError> {
        match bytes.len() {
            3..=130 => Ok(Self(bytes.to_vec())),
            n => Err(DuidError::Length(n)),
        }
    }

    /// The Ethernet address that it was made of (DUID-LLT, DUID-LL, RFC 8415 11.2, 11.4).
    pub fn station(&self) -> Option<Mac> {
        match self.0[..] {
            [0, 1, 0, 1, _, _, _, _, a, b, c, d, e, f] | [0, 3, 0, 1, a, b, c, d, e, f] => {
                Some(Mac([a, b, c, d, e, f]))
            }
            _ => None,
        }
    }

    /// The bytes, as they go into an option.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<Duid> for String {
    fn from(duid: Duid) -> Self {
        duid.to_string()
    }
}

impl TryFrom<String> for Duid {
    type Error = DuidError;
    fn try_from(text: String) -> Result<Self, DuidError> {
        match unhex(&text) {
            Some(bytes) => Self::new(&bytes),
            None => Err(DuidError::NotHex(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8415 11.4: two bytes of type, two of hardware type, the link-layer address and nothing more.
    #[test]
    fn link_layer_duid_has_ten_bytes() {
        let duid = Duid::link_layer(Mac([2, 0, 0, 0xaa, 0xbb, 0xcc]));
        assert_eq!(duid.bytes(), [0, 3, 0, 1, 2, 0, 0, 0xaa, 0xbb, 0xcc]);
        assert_eq!(duid.to_string(), "00030001020000aabbcc");
        let station = |text: &str| Duid::try_from(text.to_owned()).unwrap().station();
        assert_eq!(duid.station(), Some(Mac([2, 0, 0, 0xaa, 0xbb, 0xcc])));
        assert_eq!(station("0001000112345678020000aabbcc"), duid.station(), "11.2");
        for other in ["0002000000090a0b0c0d", "00030006020000aabbcc", "0004000102030405060708090a0b0c0d0e0f"] {
            assert_eq!(station(other), None);
        }
    }

    #[test]
    fn text_and_back() {
        let duid = Duid::new(&[0, 2, 0xff]).unwrap();
        assert_eq!(Duid::try_from(String::from(duid.clone())), Ok(duid));
        assert_eq!(Duid::try_from("0002f".to_owned()), Err(DuidError::NotHex("0002f".to_owned())));
        assert_eq!(Duid::try_from("0002".to_owned()), Err(DuidError::Length(2)));
        assert_eq!(Duid::new(&[0; 131]), Err(DuidError::Length(131)));
    }
}
