//! The server: what it answers to whom (RFC 8415 18.3).

use std::collections::VecDeque;

use dhcproto::v6::MessageType;
use hikyaku_net::Time;

use super::super::duid::Duid;
use super::query::Query;
use super::reply::Writer;
use super::{Config, Counts, Datagram, Output, Served};
use crate::Machine;
use crate::answer_limits::{AnswerLimits, Rate};

/// Information-requests, of all stations and of one: all hosts may ask at once, when an advertisement has changed, and some ask
/// after each that has.
const ASKERS: [Rate; 2] = [Rate(200, 400), Rate(5, 20)];

/// A DHCPv6 server on one link.
#[derive(Debug)]
pub struct Server {
    duid: Duid,
    /// `None`: nothing.
    served: Option<Served>,
    /// How many questions without leases are heard.
    askers: AnswerLimits,
    out: VecDeque<Output>,
    /// Messages heard and sent, and what became of them.
    pub counts: Counts,
}

impl Server {
    /// Of a link where nothing is to be had yet.
    pub fn new(config: Config) -> Self {
        Self {
            duid: Duid::link_layer(config.mac),
            served: None,
            askers: AnswerLimits::new(ASKERS[0], ASKERS[1]),
            out: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// This is to be had from now on; `None`: nothing, and nobody is answered. What is as before may be said again.
    pub fn set(&mut self, _now: Time, served: Option<Served>) {
        self.served = served;
    }

    /// A datagram to port 547 came in. What is no message of a client to us is counted and does nothing.
    pub fn handle_input(&mut self, now: Time, datagram: Datagram) {
        let query = match Query::read(datagram, &self.duid) {
            Ok(query) => query,
            Err(refused) => return refused.count(&mut self.counts),
        };
        if query.kind != MessageType::InformationRequest || self.served.is_none() {
            self.counts.not_served += 1;
            return;
        }
        if !self.askers.take(now, datagram.station) {
            self.counts.limited += 1;
            return;
        }
        self.inform(datagram, &query);
    }

    /// RFC 8415 18.3.6: whatever there is besides leases.
    fn inform(&mut self, datagram: Datagram, query: &Query) {
        let Some(served) = &self.served else { return };
        let mut reply = Writer::new(MessageType::Reply, query, &self.duid);
        reply.parameters(query, &served.parameters);
        self.counts.informed += 1;
        let Datagram { station, source: to, .. } = datagram;
        self.out.push_back(Output::Send { station, to, payload: reply.bytes() });
    }
}

impl Machine for Server {
    type Output = Output;

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        (!self.out.is_empty()).then_some(Time(0))
    }
}
