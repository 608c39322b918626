//! What the far end can be told, one line at a time. `help` is the list.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use etherparse::{Icmpv6Header, Icmpv6Type};
use thiserror::Error;

use crate::outer::Order;

/// All commands, as a user of the control socket reads them.
pub const HELP: &str = "\
bind IPV4 CE          the fixed address IPV4 is at the CE with this IPv6 address
unbind IPV4           nobody has it
fragments ORDER       outer fragments leave forward, backward, twice or lossy (the last one never)
mtu BYTES             largest outer packet; more is fragmented (default 1500)
answer TYPE CODE WORD COUNT
                      the next COUNT tunnel packets are not carried but answered with this ICMPv6 error;
                      WORD is its four bytes after the checksum, for type 2 the MTU
spoil KIND            before each packet to the line a bad copy: source, checksum, length, short or none
status                softwires, fixed addresses, ends of the last packet from the line, counts
help                  this text";

/// One command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// See [`HELP`].
    Bind(Ipv4Addr, Ipv6Addr),
    /// See [`HELP`].
    Unbind(Ipv4Addr),
    /// See [`HELP`].
    Fragments(Order),
    /// See [`HELP`].
    Mtu(usize),
    /// See [`HELP`].
    Answer(Answer),
    /// See [`HELP`].
    Spoil(Option<Spoil>),
    /// See [`HELP`].
    Status,
    /// See [`HELP`].
    Help,
}

/// An error in place of carrying packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// ICMPv6 type.
    pub kind: u8,
    /// ICMPv6 code.
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
    /// Inner header checksum.
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
            ["fragments", "forward"] => Command::Fragments(Order::Forward),
            ["fragments", "backward"] => Command::Fragments(Order::Backward),
            ["fragments", "twice"] => Command::Fragments(Order::Twice),
            ["fragments", "lossy"] => Command::Fragments(Order::Lossy),
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
            ["status"] => Command::Status,
            ["help"] => Command::Help,
            _ => return Err(CommandError::Unknown(line.to_owned())),
        })
    }
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
        assert_eq!("mtu 1400".parse(), Ok(Command::Mtu(1400)));
        assert_eq!("fragments backward".parse(), Ok(Command::Fragments(Order::Backward)));
        assert_eq!("mtu".parse::<Command>(), Err(CommandError::Unknown("mtu".into())));
        assert_eq!(
            "bind 203.0.113.5 ::g".parse::<Command>(),
            Err(CommandError::Value("::g".into(), "an IPv6 address"))
        );
    }

    #[test]
    fn an_answer_is_the_icmp_message_of_its_numbers() {
        let Ok(Command::Answer(answer)) = "answer 1 5 0 3".parse() else { panic!() };
        assert_eq!(answer.icmp(), Icmpv6Type::DestinationUnreachable(DestUnreachableCode::SourceAddressFailedPolicy));
        let Ok(Command::Answer(answer)) = "answer 2 0 1400 1".parse() else { panic!() };
        assert_eq!(answer.icmp(), Icmpv6Type::PacketTooBig { mtu: 1400 });
    }
}
