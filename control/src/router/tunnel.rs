//! The softwire: our end of the tunnel, the border router, the session table.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::napt::{self, Forward, Napt};
use hikyaku_dataplane::snapshot::{Softwire, SoftwireState};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_net::map::Mesh;
use hikyaku_net::{PortSet, Time};
use hikyaku_protocols::aftr::{self, Aftr, Endpoint, Patience, Resolved, Source};
use hikyaku_protocols::dns::{QueryId, RecordType, Records};
use hikyaku_protocols::service::{Decision, Local, Outside, Plan};
use hikyaku_protocols::slaac::{LineFacts, Token};

use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::config::{self, Config};
use crate::tuning::{DEFAULT_TABLE, TuningArgs};

/// How often traffic is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// A session table for which there was no memory is tried again after this.
const RETRY: Duration = Duration::from_secs(60);

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
    /// Until when it is not tried again.
    retry: Option<Time>,
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
    far_of: Option<Plan>,
    /// See above.
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
            retry: None,
            unusable: Vec::new(),
            mesh: None,
            changes: 0,
            path_to: before.map(|softwire| softwire.remote.into()),
            unreachable: state.unreachable(),
            state,
            asked: Vec::new(),
            far_of: None,
            prefix: None,
            resolvers: Vec::new(),
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
            tracing::error!("forward: {refused}; they stay what they were");
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

    /// The names of the far end as the line says it, if none of them resolves, and why.
    pub fn lacking(&self) -> Option<(Vec<String>, String)> {
        let aftr::State::Unresolved { failure, .. } = self.aftr.state() else { return None };
        let name = |(_, far): &(Source, Endpoint)| match far {
            Endpoint::Name(name) => Some(name.clone()),
            Endpoint::Addresses(_) => None,
        };
        Some((self.far_of.as_ref()?.far.iter().map(name).collect::<Option<_>>()?, failure.to_string()))
    }

    /// Takes note of what the line says now, and of what is to be done. True if something changed that others
    /// have to know.
    pub fn step(&mut self, now: Time, wan: &mut Wan, facts: &LineFacts, decision: &Decision) -> bool {
        let before = (self.carried.clone(), self.border_router());
        if decision.plan.is_some() || decision.is_nothing() || !self.is_on_line(wan, facts) {
            if self.wanted != decision.plan {
                self.retry = None;
            }
            self.wanted.clone_from(&decision.plan);
        }
        self.carry(now, wan, facts);
        self.tell_aftr(now, wan, facts);
        self.hear_aftr(now, wan);
        before != (self.carried.clone(), self.border_router())
    }

    /// Whether what is to be done is of this line still. As long as it is, it holds while nobody says anything.
    fn is_on_line(&self, wan: &Wan, facts: &LineFacts) -> bool {
        match self.wanted.as_ref().map(|plan| plan.local) {
            Some(Local::Address(end)) => wan.may_have(facts, end),
            _ => true,
        }
    }

    /// Does what is to be done, if its end of the tunnel is ours. Until then what was done before goes on, but not
    /// longer than the line lets us have its end.
    fn carry(&mut self, now: Time, wan: &Wan, facts: &LineFacts) {
        self.retry = self.retry.filter(|&at| at > now);
        let local = self.wanted(wan, facts).filter(|&local| wan.is_ready(local));
        match (&self.wanted, local) {
            (Some(plan), Some(local)) => {
                let done = self.carried.as_ref().is_some_and(|carried| carried.plan == *plan && carried.local == local);
                if !done && self.retry.is_none() {
                    self.take_up(now, Carried { plan: plan.clone(), local });
                }
            }
            (None, _) => self.carried = None,
            _ if self.local().is_some_and(|local| !wan.is_ready(local)) => self.carried = None,
            _ => {}
        }
    }

    fn take_up(&mut self, now: Time, carried: Carried) {
        let Carried { plan, local } = &carried;
        let forwards = self.forwards(plan.outside);
        if let Some(outside) = plan.outside
            && self.table.as_ref().is_none_or(|(of, _)| *of != outside)
        {
            match self.new_table(outside, forwards) {
                Ok(napt) => self.table = Some((outside, Arc::new(napt))),
                Err(why) => {
                    let trouble = format!("no session table: {why}");
                    if self.trouble.as_ref() != Some(&trouble) {
                        tracing::error!("{trouble}");
                    }
                    (self.trouble, self.carried, self.retry) = (Some(trouble), None, Some(now + RETRY));
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
            match plan.outside {
                Some(outside) if outside.ports == PortSet::ALL => {
                    tracing::info!("{}: {} from {local}", plan.technology, outside.ipv4);
                }
                Some(Outside { ipv4, ports }) => {
                    tracing::info!("{}: {} ports of {ipv4} from {local}", plan.technology, ports.len());
                }
                None => tracing::info!("{}: from {local}", plan.technology),
            }
        }
        if before.is_none_or(|old| old.plan.mesh != plan.mesh) {
            self.mesh = plan.mesh.as_ref().map(|mesh| Arc::new(Mesh::new(mesh.rules.iter().copied(), mesh.iid)));
            self.changes += 1;
        }
        (self.trouble, self.retry, self.carried) = (None, None, Some(carried));
    }

    /// The static mappings that this line can have. One that it cannot have must not cost it all others: it is
    /// said, and shown with the warnings.
    fn forwards(&mut self, outside: Option<Outside>) -> Vec<Forward> {
        let (mut taken, mut unusable) = (Vec::new(), Vec::new());
        for mapping in &self.config.behaviour.forward {
            let why = match outside {
                None => "with DS-Lite the far end has the ports".to_string(),
                Some(Outside { ports, .. }) => {
                    let more = mapping.on(ports);
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
            tracing::error!("{unusable}");
        }
        self.unusable = unusable;
        taken
    }

    fn new_table(&self, outside: Outside, forwards: Vec<Forward>) -> Result<Napt, napt::Refused> {
        Napt::new(&napt::Config {
            sessions: self.tuning.table_size(DEFAULT_TABLE),
            ports: outside.ports,
            filtering: self.config.filtering,
            timeouts: self.config.behaviour.timeouts.0,
            forwards,
            per_host: self.config.behaviour.sessions_per_host,
            port_parity: self.config.behaviour.port_parity,
            answer_unsolicited: self.config.behaviour.answer_unsolicited,
            readers: self.workers,
            huge_pages: self.tuning.huge_pages,
            ..napt::Config::new(outside.ipv4)
        })
    }

    fn tell_aftr(&mut self, now: Time, wan: &Wan, facts: &LineFacts) {
        // The far end belongs to the plan that is in use.
        let plan = self.carried.as_ref().map(|carried| &carried.plan).or(self.wanted.as_ref());
        if plan != self.far_of.as_ref() {
            let plan = plan.cloned();
            if let (Some(old), Some(new)) = (&self.far_of, &plan)
                && !new.goes_on_from(old)
            {
                // It would be used until the new one's name has resolved.
                self.aftr = Aftr::new(Patience::default());
                self.aftr.resolvers_changed(now, !self.resolvers.is_empty());
            }
            let far = plan.as_ref().map(|plan| &plan.far[..]).unwrap_or_default();
            let endpoint = |source| far.iter().find(|(of, _)| *of == source).map(|(_, endpoint)| endpoint.clone());
            // First what is new, so that there is one all the time.
            let (said, unsaid): (Vec<_>, Vec<_>) = Source::ALL.into_iter().partition(|&of| endpoint(of).is_some());
            said.into_iter().chain(unsaid).for_each(|source| self.aftr.set(now, source, endpoint(source)));
            self.far_of = plan;
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
        self.aftr.next().into_iter().chain(self.retry).min()
    }

    /// The end of the program: our ends of the tunnel are given back.
    pub fn release(&mut self) {
        (self.wanted, self.carried, self.retry) = (None, None, None);
    }
}

/// The upper half of one, the lower of the other.
fn join(prefix: Ipv6Addr, token: Token) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() >> 64 << 64 | u128::from(token.bits()))
}
