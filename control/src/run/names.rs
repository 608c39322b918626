//! The thread that answers hosts' questions about names, those of each LAN by a forwarder of its own. It is fed by the workers ([`Queues::pop_name`]) and answers through
//! them; what it does not know it asks by way of the control thread. So a flood of questions keeps that from nothing else.
//!
//! [`Queues::pop_name`]: hikyaku_dataplane::punt::Queues::pop_name

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::shared::{Message, Shared};
use hikyaku_dataplane::worker::Handle;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::forwarder::connections::{self, Connections};
use hikyaku_protocols::forwarder::{Forwarder, Output, Upstream};
use hikyaku_ring::LinkId;

use crate::router::message_log;
use crate::router::{NamesStatus, ToForwarder, Told, lan_of, link_of};

/// Messages that wait, each way.
const PLACES: usize = 1024;
/// Frames taken before the control thread's messages and timers have their turn.
const BATCH: usize = 64;
/// Frames that wait for a worker at most before another is put there: the rest of its queue is the control thread's.
const INJECT: usize = 32;
/// How long a worker may take none of them before an answer is given up.
const STANDSTILL: Duration = Duration::from_millis(20);
/// Between two looks at a worker that takes nothing.
const LOOK: Duration = Duration::from_micros(50);
/// The longest sleep.
const SLEEP: Duration = Duration::from_millis(500);
/// After a panic.
const PAUSE: Duration = Duration::from_secs(1);

/// The control thread's end. The thread ends with it.
#[derive(Debug)]
pub struct Names {
    to: Sender<(LanId, ToForwarder)>,
    from: Receiver<(LanId, Upstream)>,
    thread: Thread,
    status: Arc<Mutex<Vec<NamesStatus>>>,
}

impl Names {
    /// Starts the thread, with a forwarder for each of so many LANs: what one keeps and is asked is no other's.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(shared: Arc<Shared>, worker: Handle, lans: usize) -> io::Result<Self> {
        let (to, told) = bounded(PLACES);
        let (says, from) = bounded(PLACES);
        let status = Arc::new(Mutex::new(vec![NamesStatus::default(); lans]));
        let thread = NamesThread { shared, worker, told, says, knows: vec![None; lans], status: status.clone() };
        let thread = thread::Builder::new().name("names".into()).spawn(move || thread.run())?.thread().clone();
        Ok(Self { to, from, thread, status })
    }

    /// Tells forwarders, as long as their thread takes it.
    pub fn tell(&self, mut next: impl FnMut() -> Option<(LanId, ToForwarder)>) {
        while !self.to.is_full()
            && let Some(message) = next()
        {
            // Nobody else puts any in, so there is room, and the thread ends after this does.
            let _ = self.to.try_send(message);
            self.thread.unpark();
        }
    }

    /// What a forwarder wants of the control thread.
    pub fn wanted(&self) -> Option<(LanId, Upstream)> {
        self.from.try_recv().ok()
    }

    /// Whether there is nothing that any wants.
    pub fn wants_nothing(&self) -> bool {
        self.from.is_empty()
    }

    /// How they are doing, by LAN.
    pub fn status(&self) -> Vec<NamesStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct NamesThread {
    shared: Arc<Shared>,
    worker: Handle,
    told: Receiver<(LanId, ToForwarder)>,
    says: Sender<(LanId, Upstream)>,
    /// As told last, by LAN.
    knows: Vec<Option<Told>>,
    status: Arc<Mutex<Vec<NamesStatus>>>,
}

/// What it runs for a LAN.
#[derive(Default)]
struct Machines {
    forwarder: Forwarder,
    connections: Connections,
}

/// The control thread is gone.
struct Over;

impl NamesThread {
    fn run(mut self) {
        self.shared.listen_for_names();
        loop {
            match catch_unwind(AssertUnwindSafe(|| self.live())) {
                Ok(Over) => return,
                Err(_) => tracing::error!(
                    seconds = PAUSE.as_secs_f32(),
                    "the forwarder of names panicked; it starts over, and what it kept is forgotten"
                ),
            }
            thread::sleep(PAUSE);
        }
    }

    fn live(&mut self) -> Over {
        let mut all: Vec<Machines> = self.knows.iter().map(|_| Machines::default()).collect();
        for (machines, told) in all.iter_mut().zip(&self.knows) {
            let settings = told.iter().filter_map(|told| told.settings.clone());
            settings.for_each(|settings| machines.forwarder.set(settings));
        }
        loop {
            if let Some(over) = self.hear_control(&mut all) {
                return over;
            }
            let now = self.shared.clock.now();
            for _ in 0..BATCH {
                let Some(message) = self.shared.punt.pop_name() else { break };
                let Some(lan) = lan_of(message.link) else { continue };
                if let Some(machines) = all.get_mut(usize::from(lan.0)) {
                    self.hear_host(now, lan, machines, message.frame());
                }
            }
            let mut due: Option<Time> = None;
            for (machines, lan) in all.iter_mut().zip((0u8..).map(LanId)) {
                machines.forwarder.handle_timeout(now);
                machines.connections.handle_timeout(now);
                self.carry_out(now, lan, machines);
                let timeouts = [machines.forwarder.poll_timeout(), machines.connections.poll_timeout()];
                due = due.into_iter().chain(timeouts.into_iter().flatten()).min();
            }
            let status = all.iter().map(|machines| NamesStatus::of(&machines.forwarder, now)).collect();
            *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
            if self.shared.punt.has_no_name() && self.told.is_empty() {
                let due = due.map_or(SLEEP, |due| due.since(self.shared.clock.now()));
                thread::park_timeout(due.min(SLEEP));
            }
        }
    }

    fn hear_control(&mut self, all: &mut [Machines]) -> Option<Over> {
        loop {
            let now = self.shared.clock.now();
            let (lan, message) = match self.told.try_recv() {
                Ok(message) => message,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => return Some(Over),
            };
            let at = usize::from(lan.0);
            let (Some(Machines { forwarder, .. }), Some(knows)) = (all.get_mut(at), self.knows.get_mut(at)) else {
                continue;
            };
            match message {
                ToForwarder::Told(told) => {
                    forwarder.set(told.settings.clone().unwrap_or_default());
                    *knows = Some(*told);
                }
                ToForwarder::Heard(heard) => forwarder.handle_reply(now, heard.from, heard.port, &heard.message),
                ToForwarder::Stream(stream, bytes) => forwarder.handle_stream(now, stream, &bytes),
                ToForwarder::StreamFailed(stream) => forwarder.handle_stream_failed(now, stream),
            }
        }
    }

    fn knows(&self, lan: LanId) -> Option<&Told> {
        self.knows.get(usize::from(lan.0))?.as_ref()
    }

    fn hear_host(&self, now: Time, lan: LanId, machines: &mut Machines, frame: &[u8]) {
        self.note(message_log::heard, lan, frame);
        let Some(Told { place, settings: Some(_) }) = self.knows(lan) else { return };
        if connections::is_tcp(frame) {
            machines.connections.handle_input(now, place, frame);
        } else if let Some((client, question)) = place.read(frame) {
            machines.forwarder.handle_input(now, client, question);
        }
        self.carry_out(now, lan, machines);
    }

    /// Logs what a host says, or is told.
    fn note(&self, what: fn(LinkId, &str, &[u8]), lan: LanId, frame: &[u8]) {
        let (snapshot, link) = (self.shared.snapshot.load(), link_of(lan));
        what(link, snapshot.link(link).map_or("", |link| &link.name), frame);
    }

    fn carry_out(&self, now: Time, lan: LanId, machines: &mut Machines) {
        let Machines { forwarder, connections } = machines;
        let mut wakes_control = false;
        loop {
            if let Some(output) = connections.poll_output() {
                match output {
                    connections::Output::Send(frame) => self.inject(lan, &frame),
                    connections::Output::Question(client, question) => forwarder.handle_input(now, client, &question),
                }
                continue;
            }
            let wants = match forwarder.poll_output() {
                Some(Output::Answer { to, message }) => {
                    match (to.connection, self.knows(lan)) {
                        (Some(connection), _) => connections.answer(now, connection, &message),
                        (None, Some(Told { place, .. })) => self.inject(lan, &place.write(&to, &message)),
                        (None, None) => {}
                    }
                    continue;
                }
                Some(Output::Upstream(wants)) => wants,
                None => break,
            };
            // Lost, it is asked again, and what is open closes by itself in the end.
            wakes_control |= self.says.try_send((lan, wants)).is_ok();
        }
        if wakes_control {
            self.shared.call();
        }
    }

    /// Sends a frame to a LAN by a worker, and waits for a place if that has much to send already.
    fn inject(&self, lan: LanId, frame: &[u8]) {
        let Some(mut message) = Message::new(link_of(lan), frame) else { return };
        self.note(message_log::sent, lan, frame);
        let mut waited = Duration::ZERO;
        while waited < STANDSTILL {
            if self.worker.inject.len() < INJECT {
                match self.worker.inject.push(message) {
                    Ok(()) => return self.worker.wake(),
                    Err(back) => message = back,
                }
            }
            self.worker.wake();
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }
}
