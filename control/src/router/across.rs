//! What neighbour discovery of one link says that the other is asked for (ND proxy).

use std::net::{IpAddr, Ipv6Addr};

use hikyaku_net::Mac;
use hikyaku_protocols::neighbour::{Neighbours, Output};

/// A solicitation for an address that is not ours.
#[derive(Debug)]
pub(super) struct Asked {
    pub target: Ipv6Addr,
    /// `None`: whoever wants to have it.
    pub asker: Option<Ipv6Addr>,
    pub station: Mac,
    /// It is a neighbour of this link.
    pub is_known: bool,
}

/// What came up since it was taken last.
#[derive(Debug, Default)]
pub(super) struct Across {
    pub questions: Vec<Asked>,
    /// Neighbours whose Ethernet address came to be known.
    pub found: Vec<Ipv6Addr>,
}

impl Across {
    /// Keeps what is of that kind.
    pub fn note(&mut self, output: &Output, neighbours: &Neighbours) {
        match *output {
            Output::Solicited { target, asker, station } => {
                let is_known = neighbours.get(target.into()).is_some();
                self.questions.push(Asked { target, asker, station, is_known });
            }
            Output::Resolved(IpAddr::V6(address)) => self.found.push(address),
            _ => {}
        }
    }
}
