//! A TCP connection to a resolver on the line: a query, and what comes back.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError};
use hikyaku_protocols::dns;
use hikyaku_protocols::sockets::{Stack, Stream, StreamError};

/// A resolver that does not take a connection by then is not the one to wait for.
const CONNECT: Duration = Duration::from_secs(5);

/// A connection to a server, for what is too long for a datagram.
#[derive(Debug)]
pub(super) enum Connection {
    /// With what is to be sent once it is there.
    Opening(Receiver<Result<Stream, StreamError>>, Vec<u8>),
    Open(Stream),
}

impl Connection {
    /// Asks for one to a server, by which `query` is sent. `from` has the address to ask a server from. `None`: it is not to be had.
    pub fn open(
        stack: &Stack,
        server: IpAddr,
        from: impl Fn(Ipv6Addr) -> Option<Ipv6Addr>,
        query: Vec<u8>,
    ) -> Option<Self> {
        let IpAddr::V6(server) = server else { return None };
        let server = SocketAddrV6::new(server, dns::PORT, 0, 0);
        let answer = stack.connector().start(from(*server.ip())?, server, CONNECT).ok()?;
        Some(Self::Opening(answer, query))
    }

    /// Whether it is not there yet.
    pub fn is_opening(&self) -> bool {
        matches!(self, Self::Opening(..))
    }

    /// The bytes that came, none if none did; never waits. The first call that finds it open sends the query.
    pub fn hear(&mut self) -> io::Result<Vec<u8>> {
        let stream = match self {
            Self::Open(stream) => stream,
            Self::Opening(answer, query) => {
                let mut stream = match answer.try_recv() {
                    Ok(stream) => stream?,
                    Err(TryRecvError::Empty) => return Ok(Vec::new()),
                    Err(TryRecvError::Disconnected) => return Err(StreamError::Stopped.into()),
                };
                // Shorter than what an empty connection takes at once.
                stream.write_all(query, Duration::ZERO)?;
                *self = Self::Open(stream);
                return Ok(Vec::new());
            }
        };
        let mut bytes = vec![0; dns::MAX_MESSAGE];
        match stream.read(&mut bytes, Duration::ZERO) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(len) => Ok(bytes[..len].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// In order, if it was ever there.
    pub fn close(self) {
        if let Self::Open(mut stream) = self {
            stream.finish();
        }
    }
}
