//! Reconfigure messages, and the key that makes them believable (RFC 8415 18.2.11, 20.4).

use std::fmt;

use dhcproto::v6::{Authentication, DhcpOption, MessageType, OptionCode};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::duid::Duid;
use super::wire::Incoming;

/// First byte of the authentication information: the rest is a key (RFC 8415 20.4.1).
const KEY: u8 = 1;
/// The rest is the HMAC-MD5 of the message.
const DIGEST: u8 = 2;

/// A server's key, and how far its counter got. Neither shown nor saved: after a restart Reconfigure
/// messages are ignored until the server sends a key again.
#[derive(Clone)]
pub(super) struct Key {
    server: Duid,
    key: [u8; 16],
    replay: u64,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key of {}", self.server)
    }
}

/// The option, if it is of the Reconfigure Key Authentication Protocol: protocol 3, algorithm 1,
/// replay detection method 0; and its 16 bytes of that `kind`.
fn authentication(incoming: &Incoming, kind: u8) -> Option<(&Authentication, [u8; 16])> {
    match incoming.message.opts().get_all(OptionCode::Authentication)? {
        [DhcpOption::Authentication(auth)] if (auth.proto, auth.algo, auth.rdm) == (3, 1, 0) => match auth.info[..] {
            [first, ref rest @ ..] if first == kind => Some((auth, rest.try_into().ok()?)),
            _ => None,
        },
        _ => None,
    }
}

impl Key {
    /// The key that a Reply brings along.
    pub(super) fn read(reply: &Incoming, server: &Duid) -> Option<Self> {
        let (auth, key) = authentication(reply, KEY)?;
        Some(Self { server: server.clone(), key, replay: auth.replay_detection })
    }

    /// What a Reconfigure asks for: Renew, Rebind or Information-request. `None` if anything is wrong with
    /// it (RFC 8415 16.11, 20.4.3). `datagram` is what `incoming` was read from.
    pub(super) fn demand(&mut self, datagram: &[u8], incoming: &Incoming, client: &Duid) -> Option<MessageType> {
        if incoming.server.as_ref() != Some(&self.server) || incoming.client.as_ref() != Some(client) {
            return None;
        }
        let demand = match incoming.message.opts().get(OptionCode::ReconfMsg)? {
            DhcpOption::ReconfMsg(demand) => *demand,
            _ => return None,
        };
        if !matches!(demand, MessageType::Renew | MessageType::Rebind | MessageType::InformationRequest) {
            return None;
        }
        let (auth, digest) = authentication(incoming, DIGEST)?;
        if auth.replay_detection <= self.replay {
            return None;
        }
        let at = digest_at(datagram)?;
        let mut hmac = Hmac::<Md5>::new_from_slice(&self.key).ok()?;
        hmac.update(&datagram[..at]);
        hmac.update(&[0; 16]);
        hmac.update(&datagram[at + 16..]);
        hmac.verify_slice(&digest).ok()?;
        self.replay = auth.replay_detection;
        Some(demand)
    }
}

/// Where the digest stands: it was zero when it was computed (RFC 8415 20.4.2).
fn digest_at(datagram: &[u8]) -> Option<usize> {
    let mut at = 4;
    loop {
        let &[c0, c1, l0, l1, ..] = datagram.get(at..)? else { return None };
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        if u16::from_be_bytes([c0, c1]) == u16::from(OptionCode::Authentication) {
            // 11 bytes of protocol, algorithm, method and counter, one of type.
            let digest = at + 4 + 12;
            return (len == 28 && datagram.len() >= digest + 16).then_some(digest);
        }
        at += 4 + len;
    }
}

#[cfg(test)]
pub(super) mod tests {
    use dhcproto::Encodable;
    use dhcproto::v6::Message;

    use super::*;

    pub(in super::super) const SECRET: [u8; 16] = *b"0123456789abcdef";

    /// The option with which a server gives its key.
    pub(in super::super) fn key_option(replay_detection: u64) -> DhcpOption {
        let info = [&[KEY][..], &SECRET].concat();
        DhcpOption::Authentication(Authentication { proto: 3, algo: 1, rdm: 0, replay_detection, info })
    }

    /// A Reconfigure as a server signs it.
    pub(in super::super) fn signed(
        server: &Duid,
        client: &Duid,
        demand: MessageType,
        replay_detection: u64,
        secret: &[u8; 16],
    ) -> Vec<u8> {
        let mut message = Message::new_with_id(MessageType::Reconfigure, [0; 3]);
        let info = [&[DIGEST][..], &[0; 16]].concat();
        message.set_opts(
            [
                DhcpOption::ServerId(server.bytes().to_vec()),
                DhcpOption::ClientId(client.bytes().to_vec()),
                DhcpOption::ReconfMsg(demand),
                DhcpOption::Authentication(Authentication { proto: 3, algo: 1, rdm: 0, replay_detection, info }),
            ]
            .into_iter()
            .collect(),
        );
        let mut bytes = message.to_vec().unwrap();
        let digest = Hmac::<Md5>::new_from_slice(secret).unwrap().chain_update(&bytes).finalize().into_bytes();
        let at = digest_at(&bytes).unwrap();
        bytes[at..at + 16].copy_from_slice(&digest);
        bytes
    }

    /// RFC 2202 2, test case 1 and 2: the digest is HMAC-MD5.
    #[test]
    fn hmac_md5() {
        let digest = |key: &[u8], data: &[u8]| {
            let mac = Hmac::<Md5>::new_from_slice(key).unwrap().chain_update(data).finalize().into_bytes();
            mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        assert_eq!(digest(&[0x0b; 16], b"Hi There"), "9294727a3638bb1c13f48ef8158bfc9d");
        assert_eq!(digest(b"Jefe", b"what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738");
    }

    /// RFC 8415 16.11, 20.3, 20.4.3.
    #[test]
    fn only_what_the_server_signed() {
        let (server, client) = (Duid::new(b"server").unwrap(), Duid::new(b"client").unwrap());
        let mut key = Key { server: server.clone(), key: SECRET, replay: 7 };
        let mut demand = |bytes: &[u8]| key.demand(bytes, &Incoming::read(bytes).unwrap(), &client);
        let renew = |replay, secret| signed(&server, &client, MessageType::Renew, replay, secret);
        assert_eq!(demand(&renew(8, b"not the password")), None);
        assert_eq!(demand(&renew(7, &SECRET)), None, "a replay");
        assert_eq!(demand(&signed(&client, &client, MessageType::Renew, 8, &SECRET)), None);
        assert_eq!(demand(&signed(&server, &server, MessageType::Renew, 8, &SECRET)), None);
        assert_eq!(demand(&signed(&server, &client, MessageType::Release, 8, &SECRET)), None);
        let mut changed = renew(8, &SECRET);
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(demand(&changed), None);
        assert_eq!(demand(&renew(8, &SECRET)), Some(MessageType::Renew));
        assert_eq!(demand(&renew(8, &SECRET)), None, "the same again");
    }
}
