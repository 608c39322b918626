//! The tunnel that is carried: a plan with its end on this line, the session table, the other customers of its domain.

use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use hikyaku_config::{self as config, Config, Network4, lan_of};
use hikyaku_dataplane::napt::{self, Forward, Napt};
use hikyaku_dataplane::snapshot::Softwire;
use hikyaku_net::Time;
use hikyaku_net::map::Mesh;
use hikyaku_protocols::service::{Outside, Plan};
use hikyaku_schema::{DEFAULT_TABLE, Tuning};

use super::facts::Carried;
use super::making::{Making, MakingTable, SOON};
use super::numbers::UPLINK;
use super::sessions_before::SessionsBefore;

/// A session table for which there was no memory is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

/// A session table that there is not.
struct Missing {
    outside: Outside,
    /// Until then it is not looked at again.
    until: Time,
    why: String,
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

/// Replaces a table's static mappings. They were checked for it before.
fn set_forwards(napt: &Napt, forwards: &[Forward]) {
    if let Err(refused) = napt.set_forwards(forwards) {
        tracing::error!(reason = %refused, "static mappings stay what they were");
    }
}

/// Whether a table translates to this.
fn is_of(napt: &Napt, outside: Outside) -> bool {
    (napt.outside(), napt.port_set()) == (outside.ipv4, outside.ports)
}

/// The tunnel. It stays in use until the next one is ready: what it consists of changes at once or not at all.
pub(super) struct Tunnel {
    config: config::Service,
    /// The networks of all LANs.
    lans: Vec<Network4>,
    tuning: Tuning,
    workers: usize,
    carried: Option<Carried>,
    /// The session table, as long as what it translates to is the same.
    table: Option<Arc<Napt>>,
    /// The next one, which is there before it is used.
    next_table: Option<Arc<Napt>>,
    /// The one after that; one at a time.
    making: Option<(Outside, MakingTable<Arc<Napt>>)>,
    /// That of the process before.
    sessions: SessionsBefore,
    missing: Option<Missing>,
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
            lans: config.lans.iter().map(|lan| lan.ipv4).collect(),
            tuning: config.tuning.clone(),
            workers,
            carried: None,
            table: before.and_then(|softwire| softwire.napt.clone()),
            next_table: None,
            making: None,
            sessions,
            missing: None,
            unusable: Vec::new(),
            mesh: None,
            changes: 0,
        }
    }

    /// Another configuration. Static mappings are replaced where they are; the rest is of the next snapshot.
    pub fn reload(&mut self, config: &Config) {
        self.config.clone_from(&config.service);
        self.lans = config.lans.iter().map(|lan| lan.ipv4).collect();
        let Some(carried) = &self.carried else { return };
        let forwards = self.forwards(carried.plan.outside);
        self.napt().into_iter().for_each(|napt| set_forwards(napt, &forwards));
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

    /// What the session tables translate to that are there.
    pub fn tables(&self) -> impl Iterator<Item = Outside> {
        let tables = self.table.iter().chain(&self.next_table);
        tables.map(|napt| Outside { ipv4: napt.outside(), ports: napt.port_set() })
    }

    /// Why there is no session table for what is to be carried.
    pub fn trouble(&self) -> Option<&String> {
        self.missing.as_ref().map(|missing| &missing.why)
    }

    /// A session table of this is to be there for [`Self::carry`]. What is carried goes on meanwhile.
    pub fn prepare(&mut self, now: Time, outside: Option<Outside>) {
        let Some(outside) = outside.filter(|&outside| !self.tables().any(|there| there == outside)) else {
            self.missing = None;
            return;
        };
        if self.missing.as_ref().is_some_and(|missing| missing.outside == outside && now < missing.until) {
            return;
        }
        let before = self.missing.take().filter(|missing| missing.outside == outside).map(|missing| missing.why);
        match self.make_table(outside) {
            Poll::Ready(Ok(napt)) => self.next_table = Some(napt),
            Poll::Ready(Err(why)) => {
                let why = format!("no session table: {why}");
                if before.as_ref() != Some(&why) {
                    tracing::error!(reason = %why, "no tunnel");
                }
                self.missing = Some(Missing { outside, until: now + RETRY, why });
            }
            Poll::Pending => {
                let why = before.unwrap_or_else(|| "the session table is being made or read back".into());
                self.missing = Some(Missing { outside, until: now + SOON, why });
            }
        }
    }

    /// A table without static mappings: that of the process before, if it is of the same address and ports.
    fn make_table(&mut self, outside: Outside) -> Poll<Result<Arc<Napt>, String>> {
        if let Some((of, making)) = &mut self.making {
            let (of, made) = (*of, ready!(making.take()));
            self.making = None;
            if of == outside {
                return Poll::Ready(made.unwrap_or_else(|| Err("its thread panicked".into())));
            }
        }
        let before = ready!(self.sessions.take_napt());
        if let Some(napt) = before.filter(|napt| is_of(napt, outside)) {
            return Poll::Ready(Ok(napt));
        }
        let config = table(&self.config, &self.tuning, self.workers, outside);
        let make = move || Napt::new(&config).map(Arc::new).map_err(|why| why.to_string());
        self.making = Some((outside, Making::table(self.tuning.table_size(DEFAULT_TABLE), make)));
        self.make_table(outside)
    }

    /// Carries this from now on, or nothing. It is prepared ([`Self::prepare`]), or what was carried goes on.
    pub fn carry(&mut self, wanted: Option<&Carried>) {
        match wanted {
            None => self.carried = None,
            Some(_) if wanted == self.carried.as_ref() => {}
            Some(wanted) => self.take_up(wanted.clone()),
        }
    }

    fn take_up(&mut self, carried: Carried) {
        let Carried { plan, local } = &carried;
        let forwards = self.forwards(plan.outside);
        if let Some(outside) = plan.outside
            && !self.table.as_ref().is_some_and(|napt| is_of(napt, outside))
        {
            let Some(next) = self.next_table.take_if(|napt| is_of(napt, outside)) else { return };
            set_forwards(&next, &forwards);
            self.table = Some(next);
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
        self.carried = Some(carried);
    }

    /// The static mappings that this line can have. One that it cannot have must not cost it all others: it is
    /// said, and shown with the warnings.
    fn forwards(&mut self, outside: Option<Outside>) -> Vec<Forward> {
        let (mut taken, mut unusable) = (Vec::new(), Vec::new());
        for mapping in &self.config.behaviour.forward {
            let why = match outside {
                None => "with DS-Lite the far end has the ports".to_string(),
                Some(Outside { ports, .. }) => {
                    let lan = lan_of(self.lans.iter().copied(), mapping.host());
                    let more = mapping.on(ports, lan.unwrap_or_default());
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

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.missing.as_ref().map(|missing| missing.until)
    }
}

#[cfg(test)]
mod tests {
    use hikyaku_net::PortSet;
    use hikyaku_protocols::service::Local;

    use super::super::fixtures::{config, ip, ipip};
    use super::*;

    fn outside(last: u8) -> Outside {
        Outside { ipv4: [198, 51, 100, last].into(), ports: PortSet::ALL }
    }

    /// Asks for it until it is there.
    fn prepare(tunnel: &mut Tunnel, outside: Outside) {
        let mut now = Time::default();
        tunnel.prepare(now, Some(outside));
        while !tunnel.tables().any(|there| there == outside) {
            assert_eq!((tunnel.next(), tunnel.trouble().is_some()), (Some(now + SOON), true));
            (now, _) = (now + SOON, std::thread::yield_now());
            tunnel.prepare(now, Some(outside));
        }
        assert_eq!((tunnel.next(), tunnel.trouble()), (None, None));
    }

    /// A table that a thread makes, and one after it: the tunnel moves when the next one is there, and takes the mappings along.
    #[test]
    fn what_is_carried_goes_on_until_the_next_table_is_there() {
        let text = "[tuning]\ntable = 524288\nhuge-pages = false\n[service]\nkind = 'ipip'\nbr = '2001:db8:f::1'\n\
                    ipv4 = '198.51.100.1'\nforward = ['tcp/80=192.168.1.9']\n";
        let mut tunnel = Tunnel::new(&config(text), 1, None, SessionsBefore::default());
        let carried = |last| {
            let plan = Plan { outside: Some(outside(last)), ..ipip(Local::Own) };
            Carried { plan, local: ip("2001:db8:1::2") }
        };
        let first = carried(1);
        prepare(&mut tunnel, outside(1));
        tunnel.carry(Some(&first));
        assert_eq!(tunnel.napt().map(|napt| napt.forwards().len()), Some(1));
        let next = carried(2);
        tunnel.prepare(Time::default(), Some(outside(2)));
        // Not of what is wanted by then: it is waited for, and another one made.
        prepare(&mut tunnel, outside(3));
        tunnel.carry(Some(&next));
        assert_eq!((tunnel.carried(), tunnel.napt().map(|napt| napt.outside())), (Some(&first), Some(outside(1).ipv4)));
        tunnel.carry(Some(&carried(3)));
        assert_eq!(tunnel.napt().map(|napt| (napt.outside(), napt.forwards().len())), Some((outside(3).ipv4, 1)));
    }
}
