//! Telling the border router's operator where we are: the machine, its requests' threads, their names.

use crossbeam_channel::{Receiver, TryRecvError};
use hikyaku_dataplane::time::Time;

use super::resolver::NameAnswer;
use super::tunnel::Tunnel;
use super::wan::Wan;
use crate::config::Kind;
use crate::line::LineFacts;
use crate::names::{QueryId, RecordType};
use crate::notify::{self, Notify, Place};
use crate::stack::Wake;
use crate::stack::http::{Client, HttpError, Names, Question, Response};

/// Address notification.
pub(super) struct Notice {
    machine: Notify,
    client: Client,
    questions: Receiver<Question>,
    asked: Vec<(QueryId, Question)>,
    running: Option<Receiver<Result<Response, HttpError>>>,
}

impl Notice {
    pub fn new(config: notify::Config, wan: &Wan, wake: Wake) -> Result<Self, notify::ConfigError> {
        let (names, questions) = Names::new(wake.clone());
        Ok(Self {
            machine: Notify::new(config)?,
            client: Client::new(wan.stack.connector(), names, wake),
            questions,
            asked: Vec::new(),
            running: None,
        })
    }

    /// We are here now, if anywhere.
    pub fn set_place(&mut self, now: Time, place: Option<Place>) {
        match place {
            Some(place) => self.machine.start(now, place),
            None => self.machine.stop(),
        }
    }

    /// Goes on.
    pub fn step(&mut self, now: Time, wan: &mut Wan) {
        if let Some(running) = &self.running {
            let result = match running.try_recv() {
                Ok(result) => Some(result),
                Err(TryRecvError::Empty) => None,
                // Its thread is gone without a word.
                Err(TryRecvError::Disconnected) => Some(Err(HttpError::Broken)),
            };
            if let Some(result) = result {
                self.running = None;
                self.machine.finished(now, result);
            }
        }
        while let Some(output) = self.machine.poll(now) {
            match output {
                notify::Output::Request(request) => self.running = Some(self.client.start(*request)),
                notify::Output::Event(event @ notify::Event::Accepted { .. }) => tracing::info!("{event}"),
                notify::Output::Event(event @ notify::Event::Failed { .. }) => tracing::warn!("{event}"),
                notify::Output::Event(event @ notify::Event::Refused { .. }) => tracing::error!("{event}"),
            }
        }
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

    pub fn status(&self, now: Time) -> notify::Status {
        self.machine.status(now)
    }

    pub fn next(&self) -> Option<Time> {
        self.machine.next()
    }
}

/// Where we are, once both addresses may be used and a router is there to ask by.
pub(super) fn place(tunnel: &Tunnel, wan: &Wan, facts: &LineFacts) -> Option<Place> {
    facts.default_router().filter(|_| wan.up)?;
    let ipv4 = match tunnel.config.kind {
        Kind::Ipip { ipv4, .. } => Some(ipv4),
        Kind::Dslite { .. } => None,
    };
    // Not before the WAN's own address is ready too: else the place would be another a moment later.
    let own = match wan.own_address(facts) {
        Some(own) => Some(own).filter(|&address| wan.is_ready(address)),
        None => wan.source,
    };
    Some(Place { ce: tunnel.local?, wan: own?, ipv4 })
}
