//! Streams and names of the control thread, as ureq wants them.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use hikyaku_protocols::http::{HttpError, Url};
use hikyaku_protocols::sockets::{Connector, Stream, StreamError};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver as Resolves};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector as Connects, LazyBuffers, NextTimeout, Transport,
};

use super::Lookup;

/// Addresses of one name that are tried, at most.
const ADDRESSES: usize = 8;

/// Opens streams from one of our addresses.
#[derive(Debug)]
pub(super) struct Dialer {
    pub(super) connector: Connector,
    pub(super) from: Ipv6Addr,
}

impl Connects for Dialer {
    type Out = Connection;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Connection>, Error> {
        let mut last = StreamError::Refused;
        let end = Instant::now() + remaining(details.timeout)?;
        let addresses = details.addrs.iter().filter_map(|a| match a {
            SocketAddr::V6(address) => Some(*address),
            SocketAddr::V4(_) => None,
        });
        let mut left = addresses.clone().count() as u32;
        for address in addresses {
            // A fair share of the time for each, so that one that is silent does not use up all of it.
            let share = end.saturating_duration_since(Instant::now()) / left;
            left -= 1;
            match self.connector.connect(self.from, address, share) {
                Ok(stream) => {
                    let config = details.config;
                    let buffers = LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size());
                    return Ok(Some(Connection { stream, buffers, failed: false }));
                }
                // Nothing will be different with the next.
                Err(e @ (StreamError::NoAddress(_) | StreamError::Busy(_) | StreamError::Stopped)) => {
                    return Err(io::Error::from(e).into());
                }
                Err(e) => last = e,
            }
        }
        Err(io::Error::from(last).into())
    }
}

/// A stream with ureq's buffers.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    buffers: LazyBuffers,
    failed: bool,
}

impl Connection {
    /// What ureq is told; the request's time being up is its word for our wait being over.
    fn note<T>(&mut self, result: io::Result<T>, waited: Duration, timeout: NextTimeout) -> Result<T, Error> {
        result.map_err(|e| {
            self.failed = true;
            let inner = e.get_ref().and_then(|inner| inner.downcast_ref());
            if inner == Some(&StreamError::TimedOut(waited)) { Error::Timeout(timeout.reason) } else { e.into() }
        })
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let wait = remaining(timeout.for_write())?;
        let result = self.stream.write_all(&self.buffers.output()[..amount], wait);
        self.note(result, wait, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let wait = remaining(timeout.for_read())?;
        let result = self.stream.read(self.buffers.input_append_buf(), wait);
        let amount = self.note(result, wait, timeout)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    /// Each connection serves one request.
    fn is_open(&mut self) -> bool {
        false
    }
}

impl Drop for Connection {
    /// After an exchange the connection is closed in order; after a failure it is aborted.
    fn drop(&mut self) {
        if !self.failed {
            self.stream.finish();
        }
    }
}

/// The time that is left, which is limited: every request has a timeout.
fn remaining(timeout: NextTimeout) -> Result<Duration, Error> {
    let left = if timeout.after.is_not_happening() { Duration::MAX } else { *timeout.after };
    if left.is_zero() { Err(Error::Timeout(timeout.reason)) } else { Ok(left) }
}

/// Asks the control thread for addresses.
#[derive(Debug)]
pub(super) struct Resolver(pub(super) Lookup);

impl Resolves for Resolver {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let url = Url::try_from(uri.clone()).map_err(|error| Error::BadUri(error.to_string()))?;
        let unknown = |why| Error::Other(Box::new(HttpError::Name { host: url.host().into(), why }));
        let addresses = match url.address() {
            Some(address) => vec![address],
            None => self.0.resolve(url.host(), remaining(timeout)?).map_err(unknown)?,
        };
        let mut result = self.empty();
        for address in addresses.into_iter().take(ADDRESSES) {
            result.push(SocketAddr::new(IpAddr::V6(address), url.port()));
        }
        Ok(result)
    }
}
