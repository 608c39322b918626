//! The softwire: our end of the tunnel, the border router, the session table.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::map::Mesh;
use hikyaku_dataplane::napt::{self, Forward, Napt, PortSet};
use hikyaku_dataplane::snapshot::{Softwire, SoftwireState};
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::verdict::Verdict;

use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::aftr::{self, Aftr, Patience, Resolved, Source};
use crate::config::{self, Config};
use crate::line::{LineFacts, Token};
use crate::names::{QueryId, RecordType, Records};
use crate::service::{Decision, Local, Outside, Plan};
use crate::tuning::{DEFAULT_TABLE, TuningArgs};

/// How often traffic is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// ICMPv6 errors about the tunnel that count, of one look: more are no more news.
const UNREACHABLE: u64 = 8;

/// The softwire as it is to be, and as it is.
pub(super) struct Tunnel {
    pub config: config::Service,
    tuning: TuningArgs,
    workers: usize,
    pub aftr: Aftr,
    /// What is to be done. It is carried out as soon as our end of it may be used.
    wanted: Option<Plan>,
    /// What is done.
    carried: Option<Carried>,
    /// The session table, as long as what it translates to is the same.
    table: Option<(Outside, Arc<Napt>)>,
    /// Why what is to be done cannot be.
    pub trouble: Option<String>,
    /// Static mappings that this line cannot have, and why.
    pub unusable: Vec<String>,
    /// Other customers who are reached directly.
    pub mesh: Option<Arc<Mesh>>,
    /// What workers learned about the path to the border router in use.
    pub state: Arc<SoftwireState>,
    /// Goes up whenever workers have to be told of another table, mesh or `state`.
    pub changes: u64,
    /// The border router that `state` is about.
    path_to: Option<Ipv6Addr>,
    asked: Vec<(QueryId, String)>,
    /// What `aftr` was told last.
    prefix: Option<Ipv6Addr>,
    resolvers: Vec<std::net::IpAddr>,
    unreachable: u64,
}

/// A plan with the end that it has on this line. It stays in use until the next one is ready: what it consists
/// of changes at once or not at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Carried {
    pub plan: Plan,
    pub local: Ipv6Addr,
}

impl Tunnel {
    /// `before`: the softwire of a control thread that had to start over; sessions and what was learned of the
    /// path live on.
    pub fn new(config: &Config, workers: usize, before: Option<&Softwire>) -> Self {
        let table = before
            .and_then(|softwire| softwire.napt.clone())
            .map(|napt| (Outside { ipv4: napt.outside(), ports: napt.port_set() }, napt));
        let state = before.map(|softwire| softwire.state.clone()).unwrap_or_default();
        Self {
            config: config.service.clone(),
            tuning: config.tuning.clone(),
            workers,
            aftr: Aftr::new(Patience::default()),
            wanted: None,
            carried: None,
            table,
            trouble: None,
            unusable: Vec::new(),
            mesh: None,
            changes: 0,
            path_to: before.map(|softwire| softwire.remote.into()),
            unreachable: state.unreachable(),
            state,
            asked: Vec::new(),
            prefix: None,
            resolvers: Vec::new(),
        }
    }

    /// Our end, as it is in use.
    pub fn local(&self) -> Option<Ipv6Addr> {
        self.carried.as_ref().map(|carried| carried.local)
    }

    /// What is done.
    pub fn plan(&self) -> Option<&Plan> {
        self.carried.as_ref().map(|carried| &carried.plan)
    }

    /// What is to be done.
    pub fn wanted_plan(&self) -> Option<&Plan> {
        self.wanted.as_ref()
    }

    /// The session table in use; `None` where the far end translates.
    pub fn napt(&self) -> Option<&Arc<Napt>> {
        self.plan()?.outside?;
        self.table.as_ref().map(|(_, napt)| napt)
    }

    /// Our end as it is to be, if the line gives what it is made from.
    pub fn wanted(&self, wan: &Wan, facts: &LineFacts) -> Option<Ipv6Addr> {
        match self.wanted.as_ref()?.local {
            Local::Own => wan.own_address(facts),
            Local::Address(address) => Some(address),
            Local::Token(token) => wan.prefix(facts).map(|prefix| join(prefix, token)),
        }
    }

    /// The end in use is soon to be another.
    pub fn is_moving(&self, wan: &Wan, facts: &LineFacts) -> bool {
        let moves = |(from, to)| from != to && !wan.taken.contains_key(&to);
        self.local().zip(self.wanted(wan, facts)).is_some_and(moves)
    }

    /// Every end of ours that may be spoken to: of prefixes that are on their way out, too.
    pub fn ends(&self, wan: &Wan, facts: &LineFacts) -> Vec<Ipv6Addr> {
        let in_use = self.local().filter(|&local| wan.may_have(facts, local));
        let mut ends: Vec<Ipv6Addr> = self.wanted(wan, facts).into_iter().chain(in_use).collect();
        if let Some(Local::Token(token)) = self.wanted.as_ref().map(|plan| plan.local) {
            let advertised = facts.prefixes.iter().filter(|prefix| prefix.autonomous);
            ends.extend(advertised.map(|prefix| join(prefix.prefix, token)));
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// The border router in use.
    pub fn border_router(&self) -> Option<Ipv6Addr> {
        self.aftr.current()
    }

    /// Takes note of what the line says now, and of what is to be done. True if something changed that others
    /// have to know.
    pub fn step(&mut self, now: Time, wan: &mut Wan, facts: &LineFacts, decision: &Decision) -> bool {
        let before = (self.carried.clone(), self.border_router());
        // As long as something has not answered, what was said last holds.
        if decision.plan.is_some() || !decision.is_waiting() {
            self.wanted.clone_from(&decision.plan);
        }
        self.carry(wan, facts);
        self.tell_aftr(now, wan, facts);
        self.hear_aftr(now, wan);
        before != (self.carried.clone(), self.border_router())
    }

    /// Does what is to be done, if its end of the tunnel is ours. Until then what was done before goes on, but not
    /// longer than the line lets us have its end.
    fn carry(&mut self, wan: &Wan, facts: &LineFacts) {
        let local = self.wanted(wan, facts).filter(|&local| wan.is_ready(local));
        match (self.wanted.clone(), local) {
            (Some(plan), Some(local)) => {
                let carried = Carried { plan, local };
                if self.carried.as_ref() != Some(&carried) {
                    self.take_up(carried);
                }
            }
            (None, _) => self.carried = None,
            _ if self.local().is_some_and(|local| !wan.is_ready(local)) => self.carried = None,
            _ => {}
        }
    }

    fn take_up(&mut self, carried: Carried) {
        if let Some(outside) = carried.plan.outside
            && self.table.as_ref().is_none_or(|(of, _)| *of != outside)
        {
            match self.new_table(outside) {
                Ok(napt) => self.table = Some((outside, Arc::new(napt))),
                Err(why) => {
                    let trouble = format!("no session table: {why}");
                    if self.trouble.as_ref() != Some(&trouble) {
                        tracing::error!("{trouble}");
                    }
                    (self.trouble, self.carried) = (Some(trouble), None);
                    return;
                }
            }
        }
        let Carried { plan, local } = &carried;
        match plan.outside {
            Some(outside) if outside.ports == PortSet::ALL => {
                tracing::info!("{}: {} from {local}", plan.technology, outside.ipv4);
            }
            Some(Outside { ipv4, ports }) => {
                tracing::info!("{}: {} ports of {ipv4} from {local}", plan.technology, ports.len());
            }
            None => tracing::info!("{}: from {local}", plan.technology),
        }
        self.mesh = plan.mesh.as_ref().map(|mesh| Arc::new(Mesh::new(mesh.rules.iter().copied(), mesh.iid)));
        self.changes += 1;
        (self.trouble, self.carried) = (None, Some(carried));
    }

    /// The static mappings that this line can have. One that it cannot have must not cost it all others: it is
    /// said, and shown with the warnings.
    fn forwards(&mut self, ports: PortSet) -> Vec<Forward> {
        let mut taken = Vec::new();
        self.unusable.clear();
        for mapping in &self.config.behaviour.forward {
            let more = mapping.on(ports);
            match Forward::check_all(ports, &[&taken[..], &more].concat()) {
                Ok(()) => taken.extend(more),
                Err(why) => {
                    tracing::error!("forward {mapping}: {why}");
                    self.unusable.push(format!("forward {mapping}: {why}"));
                }
            }
        }
        taken
    }

    fn new_table(&mut self, outside: Outside) -> Result<Napt, napt::Refused> {
        Napt::new(&napt::Config {
            sessions: self.tuning.table_size(DEFAULT_TABLE),
            ports: outside.ports,
            filtering: self.config.filtering,
            timeouts: self.config.behaviour.timeouts.0,
            forwards: self.forwards(outside.ports),
            per_host: self.config.behaviour.sessions_per_host,
            readers: self.workers,
            huge_pages: self.tuning.huge_pages,
            ..napt::Config::new(outside.ipv4)
        })
    }

    fn tell_aftr(&mut self, now: Time, wan: &Wan, facts: &LineFacts) {
        // The far end belongs to the plan that is in use.
        let plan = self.carried.as_ref().map(|carried| &carried.plan).or(self.wanted.as_ref());
        let far: Vec<(Source, aftr::Endpoint)> = plan.map(|plan| plan.far.clone()).unwrap_or_default();
        for source in Source::ALL {
            let endpoint = far.iter().find(|(of, _)| *of == source).map(|(_, endpoint)| endpoint.clone());
            self.aftr.set(now, source, endpoint);
        }
        // Whoever asks needs an address to ask from.
        let resolvers = if wan.source.is_some() { wan.resolvers(facts) } else { Vec::new() };
        if resolvers != self.resolvers {
            self.aftr.resolvers_changed(now, !resolvers.is_empty());
            self.resolvers = resolvers;
        }
        let prefix = wan.prefix(facts);
        if prefix.is_some() && prefix != self.prefix {
            if self.prefix.is_some() {
                self.aftr.prefix_changed(now);
            }
            self.prefix = prefix;
        }
    }

    fn hear_aftr(&mut self, now: Time, wan: &mut Wan) {
        while let Some(output) = self.aftr.poll(now) {
            match output {
                aftr::Output::Resolve(name) => {
                    let query = wan.resolver.ask(now, &name, RecordType::Aaaa);
                    self.asked.push((query, name));
                }
                aftr::Output::Moved { to: Some(to), why, .. } => {
                    tracing::info!("border router {to} is used: {why}");
                    // What was learned is of another path.
                    if self.path_to.replace(to) != Some(to) {
                        self.state = Arc::default();
                        self.changes += 1;
                        self.unreachable = 0;
                    }
                }
                aftr::Output::Moved { to: None, why, .. } => tracing::warn!("no border router: {why}"),
                aftr::Output::State(state) => tracing::info!("{state}"),
            }
        }
    }

    /// The end of a question.
    pub fn answered(&mut self, now: Time, answer: &NameAnswer) {
        let Some(at) = self.asked.iter().position(|(query, _)| *query == answer.query) else { return };
        let (_, name) = self.asked.swap_remove(at);
        let resolved = |records: &Records| Resolved { addresses: records.ipv6().to_vec(), ttl: records.ttl };
        self.aftr.resolved(now, &name, &answer.result.as_ref().map(resolved).map_err(Clone::clone));
    }

    /// Once a second: does the border router answer?
    pub fn look(&mut self, now: Time, totals: &Totals) {
        let received = totals.verdict(Verdict::Inbound) + totals.verdict(Verdict::Reassembled);
        self.aftr.traffic(now, totals.verdict(Verdict::Outbound), received);
        let unreachable = self.state.unreachable();
        for _ in self.unreachable..unreachable.min(self.unreachable + UNREACHABLE) {
            if let Some(address) = self.border_router() {
                self.aftr.unreachable(now, address);
            }
        }
        self.unreachable = unreachable;
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.aftr.next()
    }
}

/// The upper half of one, the lower of the other.
fn join(prefix: Ipv6Addr, token: Token) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64 | u128::from(token.bits()))
}
