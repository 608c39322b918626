//! What a switch or a relay says of where a client's message came in (option 82, RFC 3046).

use std::fmt::Write;
use std::sync::Arc;

use hikyaku_net::Mac;

/// Its code (RFC 3046 2.0).
pub(super) const AGENT: u8 = 82;

/// Sub-options that tell a port (RFC 3046 3.1, 3.2).
const CIRCUIT_ID: u8 = 1;
const REMOTE_ID: u8 = 2;

/// A port of a switch, or what else an agent calls a circuit: all that comes in there is behind one plug. Its circuit id and
/// remote id as they stand in the option, because either is unique beside the other only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Circuit(pub Arc<[u8]>);

impl Circuit {
    /// Of the body of an option 82, in a message of this station. `None`: it tells no port.
    pub(super) fn read(mut body: &[u8], station: Mac) -> Option<Self> {
        let mut ids = Vec::new();
        while let [code, len, rest @ ..] = body {
            let (id, rest) = rest.split_at_checked(usize::from(*len))?;
            // Some agents put the client's own address there, of which whoever makes up stations has as many as he likes.
            let is_stations = id.windows(6).any(|bytes| bytes == station.0);
            if matches!(*code, CIRCUIT_ID | REMOTE_ID) && !is_stations {
                ids.extend([*code, *len]);
                ids.extend(id);
            }
            body = rest;
        }
        (!ids.is_empty()).then(|| Self(ids.into()))
    }

    /// For people: letters as they are, all else in hex.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut ids = &*self.0;
        while let [_, len, rest @ ..] = ids
            && let Some((id, rest)) = rest.split_at_checked(usize::from(*len))
        {
            if !text.is_empty() {
                text.push_str(" of ");
            }
            match std::str::from_utf8(id) {
                Ok(id) if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic()) => text.push_str(id),
                _ => id.iter().for_each(|byte| _ = write!(text, "{byte:02x}")),
            }
            ids = rest;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3046 2.0, 3.1, 3.2: sub-options have codes and lengths as options have; others tell no port.
    #[test]
    fn which_port() {
        let station = Mac([2, 0, 0, 0, 0, 9]);
        let text = |body: &[u8]| Circuit::read(body, station).map(|circuit| circuit.text());
        let told = |text: &str| Some(text.to_owned());
        assert_eq!(text(b"\x01\x06eth0/3"), told("eth0/3"));
        assert_eq!(text(b"\x01\x04\x00\x01\x00\x03\x02\x03sw1"), told("00010003 of sw1"));
        assert_eq!(text(b"\x97\x01x\x01\x02e1"), told("e1"), "one of another kind is passed over");
        assert_eq!(text(b"\x01\x06eth0/3\x02\x06\x02\0\0\0\0\x09"), told("eth0/3"), "the client's own address");
        for none in [&b""[..], b"\x01", b"\x01\x03ab", b"\x97\x01x", b"\x01\x06\x02\0\0\0\0\x09"] {
            assert_eq!(text(none), None, "{none:x?}");
        }
        assert_eq!(text(b"\x01\x03a\x1bb"), told("611b62"), "nothing that steers a terminal");
    }
}
