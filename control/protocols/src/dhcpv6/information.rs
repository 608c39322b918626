//! What a server says besides leases: resolvers, time servers, where the tunnel ends.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, NtpSuboption, OptionCode};
use serde::{Deserialize, Serialize};

use super::wire::{self, Incoming};

/// "Other configuration information" (RFC 8415 4.2), as the last Reply had it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Information {
    /// Resolvers, the first is preferred (option 23, RFC 3646).
    pub dns: Vec<Ipv6Addr>,
    /// Domains to search, without the last dot (option 24, RFC 3646).
    pub search: Vec<String>,
    /// The DS-Lite border router's name, without the last dot (option 64, RFC 6334).
    pub aftr_name: Option<String>,
    /// SNTP servers (option 31, RFC 4075).
    pub sntp: Vec<Ipv6Addr>,
    /// NTP servers, by address or by name (option 56, RFC 5908).
    pub ntp: Vec<String>,
    /// Softwire containers, undecoded (RFC 7598).
    pub s46: Vec<S46Container>,
    /// Option codes of the ways to carry IPv4 that the server would have us try, the first is preferred
    /// (option 111, RFC 8026).
    pub s46_priority: Vec<u16>,
}

/// One of OPTION_S46_CONT_MAPE (94), _MAPT (95) or _LW (96).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct S46Container {
    /// The container's option code: 94, 95 or 96 (RFC 7598 5).
    pub code: u16,
    /// The options in the container, not looked at.
    pub bytes: Vec<u8>,
}

/// Most entries of one list that are kept.
const MOST: usize = 16;

impl Information {
    /// Takes from `before` what is not said here. Not the softwires: a rule that is left out is taken back, for its IPv4
    /// address and ports may be another's by now (RFC 7598 5), and so is the AFTR that a rule takes the place of.
    pub(super) fn fill(&mut self, before: Self) {
        fn fill<T>(list: &mut Vec<T>, before: Vec<T>) {
            if list.is_empty() {
                *list = before;
            }
        }
        fill(&mut self.dns, before.dns);
        fill(&mut self.search, before.search);
        self.aftr_name = self.aftr_name.take().or(before.aftr_name.filter(|_| self.s46.is_empty()));
        fill(&mut self.sntp, before.sntp);
        fill(&mut self.ntp, before.ntp);
    }

    /// What stands in option 64 although it is no name, escaped for people.
    pub(super) fn unreadable_aftr_name(incoming: &Incoming) -> Option<String> {
        let octets: Vec<&[u8]> = raw(incoming, OptionCode::AftrName).collect();
        let readable = matches!(octets[..], [octets] if wire::name(octets).is_some());
        let escaped =
            || octets.concat().iter().take(100).flat_map(|&octet| octet.escape_ascii()).map(char::from).collect();
        (!octets.is_empty() && !readable).then(escaped)
    }

    pub(super) fn read(incoming: &Incoming) -> Self {
        let all = |code: OptionCode| incoming.message.opts().get_all(code).unwrap_or_default();
        let raw = |code: OptionCode| raw(incoming, code);
        let host = |address: &Ipv6Addr| !(address.is_unspecified() || address.is_multicast() || address.is_loopback());
        let (mut dns, mut search, mut ntp) = (Vec::new(), Vec::new(), Vec::new());
        for option in all(OptionCode::DomainNameServers) {
            if let DhcpOption::DomainNameServers(addresses) = option {
                dns.extend(addresses.iter().copied().filter(host));
            }
        }
        for option in all(OptionCode::DomainSearchList) {
            if let DhcpOption::DomainSearchList(names) = option {
                search.extend(names.iter().filter_map(wire::host_name));
            }
        }
        for option in all(OptionCode::NtpServer) {
            let DhcpOption::NtpServer(servers) = option else { continue };
            ntp.extend(servers.iter().filter_map(|server| match server {
                NtpSuboption::ServerAddress(address) if host(address) => Some(address.to_string()),
                NtpSuboption::FQDN(name) => wire::host_name(name),
                _ => None,
            }));
        }
        let mut sntp: Vec<_> = raw(OptionCode::SntpServers)
            .flat_map(|bytes| bytes.as_chunks::<16>().0)
            .map(|&octets| Ipv6Addr::from(octets))
            .filter(host)
            .collect();
        let s46 = [OptionCode::S46ContMape, OptionCode::S46ContMapt, OptionCode::S46ContLw];
        let s46 = s46
            .into_iter()
            .flat_map(|code| raw(code).map(move |bytes| S46Container { code: code.into(), bytes: bytes.to_vec() }));
        let mut s46_priority: Vec<_> = raw(OptionCode::S46Priority)
            .flat_map(|bytes| bytes.as_chunks::<2>().0)
            .map(|&code| u16::from_be_bytes(code))
            .collect();
        // RFC 6334: one name in one option; anything else is as if there were none.
        let aftr_name = match *raw(OptionCode::AftrName).collect::<Vec<_>>() {
            [bytes] => wire::name(bytes),
            _ => None,
        };
        dns.truncate(MOST);
        search.truncate(MOST);
        ntp.truncate(MOST);
        sntp.truncate(MOST);
        s46_priority.truncate(MOST);
        Self { dns, search, aftr_name, sntp, ntp, s46: s46.take(MOST).collect(), s46_priority }
    }
}

/// The contents of these options, which dhcproto has no type for.
fn raw(incoming: &Incoming, code: OptionCode) -> impl Iterator<Item = &[u8]> {
    incoming.message.opts().get_all(code).unwrap_or_default().iter().filter_map(|option| match option {
        DhcpOption::Unknown(unknown) => Some(unknown.data()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use dhcproto::Encodable;
    use dhcproto::v6::{Message, MessageType, UnknownOption};

    use super::*;

    fn read(options: Vec<DhcpOption>) -> Information {
        let mut message = Message::new(MessageType::Reply);
        message.set_opts(options.into_iter().collect());
        Information::read(&Incoming::read(&message.to_vec().unwrap()).unwrap())
    }

    fn unknown(code: OptionCode, data: &[u8]) -> DhcpOption {
        DhcpOption::Unknown(UnknownOption::new(code, data.to_vec()))
    }

    const GATEWAY: &[u8] = b"\x02gw\x07transix\x02jp\0";

    #[test]
    fn everything_that_is_asked_for() {
        let one: Ipv6Addr = "2404:1a8:7f01:a::3".parse().unwrap();
        let two: Ipv6Addr = "2404:1a8:7f01:b::3".parse().unwrap();
        let information = read(vec![
            DhcpOption::DomainNameServers(vec![one, Ipv6Addr::UNSPECIFIED, two]),
            DhcpOption::DomainSearchList(vec!["flets-east.jp.".parse().unwrap(), "iptvf.jp.".parse().unwrap()]),
            DhcpOption::NtpServer(vec![
                NtpSuboption::ServerAddress(one),
                NtpSuboption::FQDN("ntp.nict.jp.".parse().unwrap()),
            ]),
            unknown(OptionCode::SntpServers, &[one.octets(), two.octets()].concat()),
            unknown(OptionCode::AftrName, GATEWAY),
            unknown(OptionCode::S46ContMape, &[0, 90, 0, 0]),
            unknown(OptionCode::S46Priority, &[0, 96, 0, 64]),
        ]);
        assert_eq!(
            information,
            Information {
                dns: vec![one, two],
                search: vec!["flets-east.jp".into(), "iptvf.jp".into()],
                aftr_name: Some("gw.transix.jp".into()),
                sntp: vec![one, two],
                ntp: vec![one.to_string(), "ntp.nict.jp".into()],
                s46: vec![S46Container { code: 94, bytes: vec![0, 90, 0, 0] }],
                s46_priority: vec![96, 64],
            }
        );
    }

    /// What a Reply leaves out stays, but for rules: those are taken back, and the name is once a rule is there.
    #[test]
    fn what_is_left_out() {
        let aftr = || unknown(OptionCode::AftrName, GATEWAY);
        let rule = || unknown(OptionCode::S46ContMape, &[0, 90, 0, 0]);
        let dns = || DhcpOption::DomainNameServers(vec!["2404:1a8:7f01:a::3".parse().unwrap()]);
        let rows: [(Vec<DhcpOption>, Vec<DhcpOption>, Vec<DhcpOption>); 4] = [
            (vec![aftr(), dns()], vec![], vec![aftr(), dns()]),
            (vec![rule(), dns()], vec![], vec![dns()]),
            (vec![rule(), dns()], vec![aftr()], vec![aftr(), dns()]),
            (vec![aftr(), dns()], vec![rule()], vec![rule(), dns()]),
        ];
        for (before, said, expected) in rows {
            let mut information = read(said);
            information.fill(read(before));
            assert_eq!(information, read(expected));
        }
    }

    /// RFC 6334: one name, well formed, once.
    #[test]
    fn aftr_name_repeated_or_malformed_is_none() {
        let aftr = |data: &[u8]| unknown(OptionCode::AftrName, data);
        assert_eq!(read(vec![aftr(GATEWAY)]).aftr_name.as_deref(), Some("gw.transix.jp"));
        assert_eq!(read(vec![aftr(GATEWAY), aftr(GATEWAY)]).aftr_name, None);
        assert_eq!(read(vec![aftr(&[GATEWAY, GATEWAY].concat())]).aftr_name, None);
        assert_eq!(read(vec![aftr(&GATEWAY[..GATEWAY.len() - 1])]).aftr_name, None);
        assert_eq!(read(vec![aftr(b"\0")]).aftr_name, None);
    }
}
