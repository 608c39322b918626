//! The HTTP requests of one machine: their threads, and the names that these ask for.

use crossbeam_channel::{Receiver, TryRecvError};
use hikyaku_http::{Client, Lookup, Question};
use hikyaku_net::Time;
use hikyaku_protocols::dns::RecordType;
use hikyaku_protocols::http::{HttpError, Request, Response};
use hikyaku_protocols::sockets::{Connector, Wake};

use super::resolver::{Asker, Resolver};

/// One request at a time.
pub(super) struct Requests {
    client: Client,
    questions: Receiver<Question>,
    running: Option<Receiver<Result<Response, HttpError>>>,
}

impl Requests {
    /// Without a request yet. Connections are made by `connector`; `wake` is called when there is something to do.
    pub fn new(connector: Connector, wake: &Wake) -> Self {
        let (lookup, questions) = Lookup::new(wake.clone());
        Self { client: Client::new(connector, lookup, wake.clone()), questions, running: None }
    }

    /// Runs it. Nobody hears any more how an earlier one goes.
    pub fn start(&mut self, request: Request) {
        self.running = Some(self.client.start(request));
    }

    /// How the last one went, once.
    pub fn finished(&mut self) -> Option<Result<Response, HttpError>> {
        let result = match self.running.as_ref()?.try_recv() {
            Ok(result) => result,
            Err(TryRecvError::Empty) => return None,
            // Its thread is gone without a word.
            Err(TryRecvError::Disconnected) => Err(HttpError::Broken),
        };
        self.running = None;
        Some(result)
    }

    /// Asks for the names that requests need.
    pub fn ask(&mut self, now: Time, resolver: &mut Resolver) {
        while let Ok(question) = self.questions.try_recv() {
            resolver.ask(now, &question.host.clone(), RecordType::Aaaa, Asker::Request(question));
        }
    }
}
