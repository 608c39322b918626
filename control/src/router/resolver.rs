//! Names asked of the line's resolvers: the machine, its sockets, its answers.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};

use hikyaku_http::Question;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::dns::{self, Output, QueryId, RecordType, StreamId, StubResolver};
use hikyaku_protocols::sockets::{Stack, UdpHandle};

use super::connection::Connection;

/// Who asked for a name.
#[derive(Debug)]
pub(super) enum Asker {
    /// The far end that is to be used.
    FarEnd,
    /// Whoever finds out which AFTRs' names the resolvers know.
    Probe,
    /// Whoever asks again for far ends that were given up.
    Unresolved,
    /// The provisioning server's record.
    Provisioning,
    /// The thread of an HTTP request, which waits for it.
    Request(Question),
}

/// The end of a question about a name.
#[derive(Debug)]
pub(super) struct NameAnswer {
    pub query: QueryId,
    pub asker: Asker,
    pub name: String,
    pub result: Result<dns::Records, dns::Failure>,
}

/// Logs what came of a question of our own.
fn tell(name: &str, result: &Result<dns::Records, dns::Failure>) {
    match result {
        Ok(records) => {
            let content = format_args!("{name}: {:?} for {} s", records.data, records.ttl.as_secs());
            tracing::debug!(machine = "dns", %content, "name answered");
        }
        Err(failure) => {
            tracing::debug!(machine = "dns", error = %failure, content = %name, "name not answered");
        }
    }
}

/// Our stub resolver on the line.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    names: StubResolver,
    /// Questions that were not answered yet: who asked, and which name.
    asked: HashMap<QueryId, (Asker, String)>,
    /// By port of ours.
    sockets: HashMap<u16, UdpHandle>,
    connections: HashMap<StreamId, Connection>,
    answers: VecDeque<NameAnswer>,
}

impl Resolver {
    /// These are asked from now on.
    pub fn set_servers(&mut self, now: Time, servers: &[IpAddr]) {
        self.names.set_servers(now, servers);
    }

    /// Asks. [`Self::next_answer`] will have the answer.
    pub fn ask(&mut self, now: Time, name: &str, record_type: RecordType, asker: Asker) -> QueryId {
        tracing::debug!(machine = "dns", content = %format_args!("{record_type} of {name}"), "name asked for");
        let query = self.names.ask(now, name, record_type);
        self.asked.insert(query, (asker, name.to_string()));
        query
    }

    /// As [`Self::ask`]; the resolvers are asked, whatever is kept of an earlier answer.
    pub fn ask_anew(&mut self, now: Time, name: &str, record_type: RecordType, asker: Asker) -> QueryId {
        tracing::debug!(machine = "dns", content = %format_args!("{record_type} of {name}"), "name asked for anew");
        let query = self.names.ask_anew(now, name, record_type);
        self.asked.insert(query, (asker, name.to_string()));
        query
    }

    /// Carries datagrams between `names` and `stack`, and asks that for connections. `from` has the address to ask a
    /// server from.
    pub fn step(&mut self, now: Time, stack: &mut Stack, from: impl Fn(Ipv6Addr) -> Option<Ipv6Addr>) {
        for (&port, &socket) in &self.sockets {
            while let Ok(Some((from, payload))) = stack.udp_recv(socket) {
                self.names.handle_input(now, (IpAddr::V6(*from.ip()), from.port()), port, &payload);
            }
        }
        while let Some(output) = self.names.drive(now) {
            match output {
                Output::Send { server: IpAddr::V6(server), source_port, payload } => {
                    // The one that was there, if any, was of a question that is over.
                    self.close_unused(stack, |port| port != source_port);
                    if let Some(from) = from(server) {
                        self.send(stack, (from, source_port), server, &payload);
                    }
                }
                Output::Answer { query, result } => {
                    let asked = self.asked.remove(&query);
                    if let Some((_, name)) = &asked {
                        tell(name, &result);
                    }
                    self.answers.extend(asked.map(|(asker, name)| NameAnswer { query, asker, name, result }));
                }
                // IPv4 resolvers are not told to it.
                Output::Send { .. } => {}
                Output::Stream { stream, server, payload } => match Connection::open(stack, server, &from, payload) {
                    Some(connection) => drop(self.connections.insert(stream, connection)),
                    None => self.names.handle_stream_failed(now, stream),
                },
                Output::Close(stream) => drop(self.connections.remove(&stream).map(Connection::close)),
            }
        }
        let open: Vec<u16> = self.names.open_ports().collect();
        self.close_unused(stack, |port| open.contains(&port));
    }

    /// Hears what came by connections; to be called when `stack` has nothing more to send. True if it has again, or
    /// `names` something to say.
    pub fn hear_connections(&mut self, now: Time) -> bool {
        let mut heard = false;
        for (&stream, connection) in &mut self.connections {
            let was_opening = connection.is_opening();
            match connection.hear() {
                Ok(bytes) if bytes.is_empty() => {
                    heard |= was_opening && !connection.is_opening();
                }
                Ok(bytes) => {
                    heard = true;
                    self.names.handle_stream(now, stream, &bytes);
                }
                Err(_) => {
                    heard = true;
                    self.names.handle_stream_failed(now, stream);
                }
            }
        }
        heard
    }

    /// Sends a query. One that cannot be sent is one that is not answered: it is asked again, from another port.
    fn send(&mut self, stack: &mut Stack, (from, port): (Ipv6Addr, u16), server: Ipv6Addr, payload: &[u8]) {
        let Ok(socket) = stack.udp_open(from, port) else { return };
        match stack.udp_send(socket, SocketAddrV6::new(server, dns::PORT, 0, 0), payload) {
            Ok(()) => drop(self.sockets.insert(port, socket)),
            Err(_) => stack.udp_close(socket),
        }
    }

    fn close_unused(&mut self, stack: &mut Stack, keep: impl Fn(u16) -> bool) {
        self.sockets.retain(|&port, &mut socket| {
            if !keep(port) {
                stack.udp_close(socket);
            }
            keep(port)
        });
    }

    /// Answers to questions that were asked, one at a time.
    pub fn next_answer(&mut self) -> Option<NameAnswer> {
        self.answers.pop_front()
    }

    pub fn counts(&self) -> &dns::Counts {
        &self.names.counts
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        if self.answers.is_empty() { self.names.poll_timeout() } else { Some(Time::default()) }
    }
}
