//! Names become addresses on the control thread, which asks the line's resolvers.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use hikyaku_protocols::sockets::Wake;

/// Questions that wait for the control thread, at most.
const QUESTIONS: usize = 8;

/// Asks the control thread for the addresses of a name, from a request's thread.
#[derive(Clone)]
pub struct Lookup {
    questions: Sender<Question>,
    wake: Wake,
}

/// A question to the control thread. Dropping it says that the name has no address.
#[derive(Debug)]
pub struct Question {
    /// The name, as it stood in the URL: ASCII, perhaps with a dot at the end.
    pub host: String,
    reply: Sender<Result<Vec<Ipv6Addr>, String>>,
}

impl Lookup {
    /// One, and where its questions arrive; `wake` is called for each.
    pub fn new(wake: Wake) -> (Self, Receiver<Question>) {
        let (questions, receiver) = bounded(QUESTIONS);
        (Self { questions, wake }, receiver)
    }

    /// Blocks until there is an answer, with one address at least, or for `timeout`.
    pub(super) fn resolve(&self, host: &str, timeout: Duration) -> Result<Vec<Ipv6Addr>, String> {
        let (reply, answer) = bounded(1);
        let question = Question { host: host.into(), reply };
        self.questions.try_send(question).map_err(|_| "the router is stopping or too busy".to_string())?;
        (self.wake)();
        match answer.recv_timeout(timeout) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err("it has no IPv6 address".into()),
            Ok(result) => result,
            Err(e) if e.is_timeout() => Err(format!("no answer within {timeout:?}")),
            Err(_) => Err("it has no IPv6 address".into()),
        }
    }
}

impl Question {
    /// The name's addresses in the order to try them, or why there are none.
    pub fn answer(self, result: Result<Vec<Ipv6Addr>, String>) {
        let _ = self.reply.try_send(result);
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }
}
