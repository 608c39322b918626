//! The HTTP requests of one machine: their threads, and the names that these ask for.

use crossbeam_channel::{Receiver, TryRecvError};
use hikyaku_net::Time;
use hikyaku_protocols::dns::{QueryId, RecordType};
use hikyaku_protocols::http::{Client, HttpError, Names, Question, Request, Response};
use hikyaku_protocols::sockets::Wake;

use super::resolver::NameAnswer;
use super::wan::Wan;

/// One request at a time.
pub(super) struct Requests {
    client: Client,
    questions: Receiver<Question>,
    asked: Vec<(QueryId, Question)>,
    running: Option<Receiver<Result<Response, HttpError>>>,
}

impl Requests {
    pub fn new(wan: &Wan, wake: Wake) -> Self {
        let (names, questions) = Names::new(wake.clone());
        let client = Client::new(wan.stack.connector(), names, wake);
        Self { client, questions, asked: Vec::new(), running: None }
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
    pub fn ask(&mut self, now: Time, wan: &mut Wan) {
        while let Ok(question) = self.questions.try_recv() {
            self.asked.push((wan.resolver.ask(now, &question.host, RecordType::Aaaa), question));
        }
    }

    /// The end of a question.
    pub fn answered(&mut self, answer: &NameAnswer) {
        let Some(at) = self.asked.iter().position(|(query, _)| *query == answer.query) else { return };
        let (_, question) = self.asked.swap_remove(at);
        question.answer(match &answer.result {
            Ok(records) => Ok(records.ipv6().to_vec()),
            Err(failure) => Err(failure.to_string()),
        });
    }
}
