//! What the far end can be told, one line at a time. `help` is the list.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use etherparse::{Icmpv6Header, Icmpv6Type};
use thiserror::Error;

use crate::outer::Order;
use crate::shared::{Binding, InterfaceId, PortSet, Rule};

/// All commands, as a user of the control socket reads them.
pub const HELP: &str = "\
bind IPV4 CE          the fixed address IPV4 is at the CE with this IPv6 address
unbind IPV4           nobody has it
map ID RULE...        the border router shares addresses by these rules of MAP-E, all its addresses the same; ID is
                      draft03 or rfc7597, a rule IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET; none: no more
lend IPV4 PSID-OFFSET PSID-LENGTH PSID B4
                      an entry of its binding table (lwAFTR); lend none: empties it
refuse HOW            what does not fit is refused by icmp (unreachable code 5) or silent
stray FAR NEAR IPV4 PORT
                      one UDP packet for IPV4 and PORT is sent to the tunnel's end NEAR from FAR, whoever has them
fragments ORDER       outer fragments leave forward, backward, twice or lossy (the last one never)
limit HOW             before each packet to the line stands an encapsulation limit (8 bytes, as Linux's tunnel has it): on or off
mtu BYTES             largest outer packet; more is fragmented (default 1500)
answer TYPE CODE WORD COUNT
                      the next COUNT tunnel packets are not carried but answered with this ICMPv6 error;
                      WORD is its four bytes after the checksum, for type 2 the MTU
spoil KIND            before each packet to the line a bad copy: source, checksum, length, short or none
forget                counts begin at zero
status                softwires, fixed addresses, rules, bindings, ends of the last packet from the line, counts
help                  this text";

/// A command to the far end, one line of the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `bind`: this fixed IPv4 address is at the CE with this IPv6 address.
    Bind(Ipv4Addr, Ipv6Addr),
    /// `unbind`: nobody has this fixed IPv4 address.
    Unbind(Ipv4Addr),
    /// `map`: the border router shares addresses by these rules of MAP-E; without rules no more.
    Map(InterfaceId, Vec<Rule>),
    /// `lend`: a new entry of the lwAFTR's binding table; `None` empties it.
    Lend(Option<Binding>),
    /// `refuse`: whether what does not fit is answered by ICMPv6 (unreachable, code 5).
    Refuse(bool),
    /// `stray`: one UDP packet to this address and port goes from the first tunnel end to the second.
    Stray(Ipv6Addr, Ipv6Addr, Ipv4Addr, u16),
    /// `fragments`: in which order outer fragments leave.
    Fragments(Order),
    /// `limit`: whether an encapsulation limit stands before packets to the line (RFC 2473 4.1.1).
    Limit(bool),
    /// `mtu`: the largest outer packet, bytes.
    Mtu(usize),
    /// `answer`: the next tunnel packets are answered with an error.
    Answer(Answer),
    /// `spoil`: a bad copy goes before each packet to the line; `None`: no more.
    Spoil(Option<Spoil>),
    /// `forget`: counts begin at zero.
    Forget,
    /// `status`: softwires, addresses, rules, bindings and counts are told.
    Status,
    /// `help`: [`HELP`] is told.
    Help,
}

/// An error in place of carrying packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Type of the ICMPv6 error (RFC 4443 2.1).
    pub kind: u8,
    /// Code of the ICMPv6 error.
    pub code: u8,
    /// Unused, MTU or pointer, by type.
    pub word: u32,
    /// How many packets are answered.
    pub left: u32,
}

impl Answer {
    /// As etherparse writes it.
    pub fn icmp(&self) -> Icmpv6Type {
        let [a, b, c, d] = self.word.to_be_bytes();
        // The checksum is computed anew when it is sent.
        let bytes = [self.kind, self.code, 0, 0, a, b, c, d];
        Icmpv6Header::from_slice(&bytes).expect("eight bytes").0.icmp_type
    }
}

/// What is wrong with the bad copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// From an outer address that is not ours, with an inner packet that is good.
    Source,
    /// The inner IPv4 header's checksum is wrong.
    Checksum,
    /// Inner total length larger than what came.
    Length,
    /// Ten bytes of an inner packet.
    Short,
}

/// A line that is no command.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// Wrong word or wrong number of words.
    #[error("no such command: {0:?}; try help")]
    Unknown(String),
    /// A word that does not read as what stands in `HELP` there.
    #[error("{0:?} is not {1}")]
    Value(String, &'static str),
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        Ok(match words[..] {
            ["bind", address, ce] => Command::Bind(value(address, "an IPv4 address")?, value(ce, "an IPv6 address")?),
            ["unbind", address] => Command::Unbind(value(address, "an IPv4 address")?),
            ["map", "none"] => Command::Map(InterfaceId::default(), Vec::new()),
            ["map", "draft03", ref rules @ ..] if !rules.is_empty() => Command::Map(InterfaceId::Draft03, read(rules)?),
            ["map", "rfc7597", ref rules @ ..] if !rules.is_empty() => Command::Map(InterfaceId::Rfc7597, read(rules)?),
            ["lend", "none"] => Command::Lend(None),
            ["lend", address, offset, length, psid, b4] => {
                Command::Lend(Some(binding(address, [offset, length, psid], b4)?))
            }
            ["refuse", "icmp"] => Command::Refuse(true),
            ["refuse", "silent"] => Command::Refuse(false),
            ["stray", far, near, address, port] => Command::Stray(
                value(far, "an IPv6 address")?,
                value(near, "an IPv6 address")?,
                value(address, "an IPv4 address")?,
                value(port, "a port")?,
            ),
            ["fragments", "forward"] => Command::Fragments(Order::Forward),
            ["fragments", "backward"] => Command::Fragments(Order::Backward),
            ["fragments", "twice"] => Command::Fragments(Order::Twice),
            ["fragments", "lossy"] => Command::Fragments(Order::Lossy),
            ["limit", "on"] => Command::Limit(true),
            ["limit", "off"] => Command::Limit(false),
            ["mtu", bytes] => Command::Mtu(value(bytes, "a number of bytes")?),
            ["answer", kind, code, word, count] => Command::Answer(Answer {
                kind: value(kind, "an ICMPv6 type")?,
                code: value(code, "an ICMPv6 code")?,
                word: value(word, "a number of 32 bits")?,
                left: value(count, "a count")?,
            }),
            ["spoil", "none"] => Command::Spoil(None),
            ["spoil", "source"] => Command::Spoil(Some(Spoil::Source)),
            ["spoil", "checksum"] => Command::Spoil(Some(Spoil::Checksum)),
            ["spoil", "length"] => Command::Spoil(Some(Spoil::Length)),
            ["spoil", "short"] => Command::Spoil(Some(Spoil::Short)),
            ["forget"] => Command::Forget,
            ["status"] => Command::Status,
            ["help"] => Command::Help,
            _ => return Err(CommandError::Unknown(line.to_owned())),
        })
    }
}

fn read(rules: &[&str]) -> Result<Vec<Rule>, CommandError> {
    rules.iter().map(|rule| value(rule, "a rule IPV6/LENGTH,IPV4/LENGTH,EA-LENGTH,PSID-OFFSET")).collect()
}

fn binding(address: &str, ports: [&str; 3], b4: &str) -> Result<Binding, CommandError> {
    let offset: u8 = value(ports[0], "a number of bits")?;
    let length: u8 = value(ports[1], "a number of bits")?;
    if offset.saturating_add(length) > 16 {
        return Err(CommandError::Value(ports[1].to_owned(), "what is left of 16 bits behind the offset"));
    }
    let ports = PortSet { offset, length, psid: value(ports[2], "a PSID")? };
    Ok(Binding { address: value(address, "an IPv4 address")?, ports, b4: value(b4, "an IPv6 address")? })
}

fn value<T: FromStr>(word: &str, what: &'static str) -> Result<T, CommandError> {
    word.parse().map_err(|_| CommandError::Value(word.to_owned(), what))
}

#[cfg(test)]
mod tests {
    use etherparse::icmpv6::DestUnreachableCode;

    use super::*;

    #[test]
    fn commands_are_read_and_others_refused() {
        assert_eq!("limit on".parse(), Ok(Command::Limit(true)));
        assert_eq!("mtu 1400".parse(), Ok(Command::Mtu(1400)));
        assert_eq!("fragments backward".parse(), Ok(Command::Fragments(Order::Backward)));
        assert_eq!("mtu".parse::<Command>(), Err(CommandError::Unknown("mtu".into())));
        assert_eq!(
            "bind 203.0.113.5 ::g".parse::<Command>(),
            Err(CommandError::Value("::g".into(), "an IPv6 address"))
        );
    }

    #[test]
    fn shared_addresses_are_read() {
        let rule = "2001:db8::/40,192.0.2.0/24,16,6";
        let command = format!("map draft03 {rule} {rule}").parse();
        assert_eq!(command, Ok(Command::Map(InterfaceId::Draft03, vec![rule.parse().unwrap(); 2])));
        assert_eq!("map none".parse(), Ok(Command::Map(InterfaceId::Rfc7597, Vec::new())));
        assert!(matches!("map rfc7597".parse::<Command>(), Err(CommandError::Unknown(_))));
        assert!(matches!("map draft03 192.0.2.0/24".parse::<Command>(), Err(CommandError::Value(..))));
        let Ok(Command::Lend(Some(binding))) = "lend 192.0.2.18 4 8 52 2001:db8::1".parse() else { panic!() };
        assert_eq!(binding.ports, PortSet { offset: 4, length: 8, psid: 52 });
        assert!("lend 192.0.2.18 9 8 52 2001:db8::1".parse::<Command>().is_err());
    }

    #[test]
    fn an_answer_is_the_icmp_message_of_its_numbers() {
        let Ok(Command::Answer(answer)) = "answer 1 5 0 3".parse() else { panic!() };
        assert_eq!(answer.icmp(), Icmpv6Type::DestinationUnreachable(DestUnreachableCode::SourceAddressFailedPolicy));
        let Ok(Command::Answer(answer)) = "answer 2 0 1400 1".parse() else { panic!() };
        assert_eq!(answer.icmp(), Icmpv6Type::PacketTooBig { mtu: 1400 });
    }
}
