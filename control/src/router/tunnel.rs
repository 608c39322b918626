//! The tunnel that is carried: a plan with its end on this line, the session table, the other customers of its domain.

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hikyaku_config::{self as config, Config};
use hikyaku_dataplane::napt::{self, Forward, Napt};
use hikyaku_dataplane::snapshot::Softwire;
use hikyaku_net::Time;
use hikyaku_net::map::Mesh;
use hikyaku_protocols::service::{Outside, Plan};
use hikyaku_schema::{DEFAULT_TABLE, Tuning};

use super::facts::Carried;
use super::machines::{LAN_NUMBER, UPLINK};
use super::sessions_before::SessionsBefore;

/// A session table for which there was no memory is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// How soon it is seen that the sessions of before are read back.
const SOON: Duration = Duration::from_millis(5);

/// What is to be carried and cannot be.
struct Failed {
    wanted: Carried,
    why: String,
    /// Until then it is not tried again.
    until: Time,
}

/// What the session table of this address and these ports is made from, without static mappings.
pub(super) fn table(config: &config::Service, tuning: &Tuning, workers: usize, outside: Outside) -> napt::Config {
    napt::Config {
        sessions: tuning.table_size(DEFAULT_TABLE),
        ports: outside.ports,
        uplink: UPLINK,
        filtering: config.behaviour.filtering(),
        timeouts: config.behaviour.timeouts.0,
        per_host: config.behaviour.sessions_per_host,
        port_parity: config.behaviour.port_parity,
        answer_unsolicited: config.behaviour.answer_unsolicited,
        readers: workers,
        huge_pages: tuning.huge_pages,
        ..napt::Config::new(outside.ipv4)
    }
}

/// Whether a table translates to this.
fn is_of(napt: &Napt, outside: Outside) -> bool {
    (napt.outside(), napt.port_set()) == (outside.ipv4, outside.ports)
}

/// The tunnel. It stays in use until the next one is ready: what it consists of changes at once or not at all.
pub(super) struct Tunnel {
    config: config::Service,
    tuning: Tuning,
    workers: usize,
    carried: Option<Carried>,
    /// The session table, as long as what it translates to is the same.
    table: Option<Arc<Napt>>,
    /// That of the process before.
    sessions: SessionsBefore,
    failed: Option<Failed>,
    /// Static mappings that this line cannot have, and why.
    pub unusable: Vec<String>,
    /// Other customers who are reached directly.
    pub mesh: Option<Arc<Mesh>>,
    /// Goes up whenever workers have to be told of another table or mesh.
    pub changes: u64,
}

impl Tunnel {
    /// `before`: the softwire of a control thread that had to start over; its sessions live on.
    pub fn new(config: &Config, workers: usize, before: Option<&Softwire>, sessions: SessionsBefore) -> Self {
        Self {
            config: config.service.clone(),
            tuning: config.tuning.clone(),
            workers,
            carried: None,
            table: before.and_then(|softwire| softwire.napt.clone()),
            sessions,
            failed: None,
            unusable: Vec::new(),
            mesh: None,
            changes: 0,
        }
    }

    /// Another configuration. Static mappings are replaced where they are; the rest is of the next snapshot.
    pub fn reload(&mut self, config: &config::Service) {
        self.config.clone_from(config);
        let Some(carried) = &self.carried else { return };
        let forwards = self.forwards(carried.plan.outside);
        if let Some(napt) = self.napt()
            && let Err(refused) = napt.set_forwards(&forwards)
        {
            tracing::error!(reason = %refused, "static mappings stay what they were");
        }
    }

    /// The plan that is carried out and our end of its tunnel; `None`: there is no tunnel.
    pub fn carried(&self) -> Option<&Carried> {
        self.carried.as_ref()
    }

    /// The plan that is carried out; `None`: there is no tunnel.
    pub fn plan(&self) -> Option<&Plan> {
        self.carried.as_ref().map(|carried| &carried.plan)
    }

    /// The session table in use; `None` where the far end translates.
    pub fn napt(&self) -> Option<&Arc<Napt>> {
        self.plan()?.outside?;
        self.table.as_ref()
    }

    /// Why what is to be carried cannot be.
    pub fn trouble(&self) -> Option<&String> {
        self.failed.as_ref().map(|failed| &failed.why)
    }

    /// Carries this from now on, or nothing.
    pub fn carry(&mut self, now: Time, wanted: Option<&Carried>) {
        let is_resting = |failed: &Failed| Some(&failed.wanted) == wanted && now < failed.until;
        match wanted {
            None => (self.carried, self.failed) = (None, None),
            Some(_) if wanted == self.carried.as_ref() || self.failed.as_ref().is_some_and(is_resting) => {}
            Some(wanted) => self.take_up(now, wanted.clone()),
        }
    }

    fn take_up(&mut self, now: Time, carried: Carried) {
        let Carried { plan, local } = &carried;
        let forwards = self.forwards(plan.outside);
        if let Some(outside) = plan.outside
            && !self.table.as_ref().is_some_and(|napt| is_of(napt, outside))
        {
            match self.new_table(outside, forwards) {
                Poll::Ready(Ok(napt)) => self.table = Some(napt),
                Poll::Ready(Err(why)) => {
                    let why = format!("no session table: {why}");
                    if self.trouble() != Some(&why) {
                        tracing::error!(reason = %why, "no tunnel");
                    }
                    self.carried = None;
                    self.failed = Some(Failed { wanted: carried, why, until: now + RETRY });
                    return;
                }
                Poll::Pending => {
                    let why = "the sessions of before the start are being read back".into();
                    self.carried = None;
                    self.failed = Some(Failed { wanted: carried, why, until: now + SOON });
                    return;
                }
            }
        }
        let before = self.carried.as_ref();
        let is_same = |old: &Carried| {
            (old.local, old.plan.technology, old.plan.outside) == (*local, plan.technology, plan.outside)
        };
        if !before.is_some_and(is_same) {
            self.changes += 1;
            let service = plan.technology;
            match plan.outside {
                Some(Outside { ipv4, ports }) => {
                    tracing::info!(%service, %local, %ipv4, ports = ports.len(), "tunnel set up");
                }
                None => tracing::info!(%service, %local, "tunnel set up"),
            }
        }
        if before.is_none_or(|old| old.plan.mesh != plan.mesh) {
            self.mesh = plan.mesh.as_ref().map(|mesh| Arc::new(Mesh::new(mesh.rules.iter().copied(), mesh.iid)));
            self.changes += 1;
        }
        (self.failed, self.carried) = (None, Some(carried));
    }

    /// The static mappings that this line can have. One that it cannot have must not cost it all others: it is
    /// said, and shown with the warnings.
    fn forwards(&mut self, outside: Option<Outside>) -> Vec<Forward> {
        let (mut taken, mut unusable) = (Vec::new(), Vec::new());
        for mapping in &self.config.behaviour.forward {
            let why = match outside {
                None => "with DS-Lite the far end has the ports".to_string(),
                Some(Outside { ports, .. }) => {
                    let more = mapping.on(ports, LAN_NUMBER);
                    match Forward::check_all(ports, &[&taken[..], &more].concat()) {
                        Ok(()) => {
                            taken.extend(more);
                            continue;
                        }
                        Err(why) => why.to_string(),
                    }
                }
            };
            unusable.push(format!("forward {mapping}: {why}"));
        }
        for unusable in unusable.iter().filter(|unusable| !self.unusable.contains(unusable)) {
            tracing::error!(reason = %unusable, "a static mapping is not used");
        }
        self.unusable = unusable;
        taken
    }

    /// A table with these static mappings: that of the process before, if it is of the same address and ports.
    fn new_table(&self, outside: Outside, forwards: Vec<Forward>) -> Poll<Result<Arc<Napt>, napt::Refused>> {
        let before = ready!(self.sessions.take());
        Poll::Ready(match before.filter(|napt| is_of(napt, outside)) {
            Some(napt) => napt.set_forwards(&forwards).map_err(Into::into).map(|()| napt),
            None => {
                let empty = table(&self.config, &self.tuning, self.workers, outside);
                Napt::new(&napt::Config { forwards, ..empty }).map(Arc::new)
            }
        })
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.failed.as_ref().map(|failed| failed.until)
    }
}
