//! The service: our end of the tunnel, the border router, the session table.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::napt::{self, Napt};
use hikyaku_dataplane::snapshot::{Softwire, SoftwireState};
use hikyaku_dataplane::time::Time;
use hikyaku_dataplane::verdict::Verdict;

use super::resolver::NameAnswer;
use super::wan::Wan;
use crate::aftr::{self, Aftr, Patience, Resolved, Source};
use crate::config::{self, Config, Kind, LocalEnd};
use crate::line::{LineFacts, Token};
use crate::names::{QueryId, RecordType, Records};
use crate::tuning::DEFAULT_TABLE;

/// How often traffic is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// ICMPv6 errors about the tunnel that count, of one look: more are no more news.
const UNREACHABLE: u64 = 8;

/// The softwire as it is to be.
pub(super) struct Tunnel {
    pub config: config::Service,
    pub aftr: Aftr,
    pub napt: Option<Arc<Napt>>,
    /// What workers learned about the path to the border router in use.
    pub state: Arc<SoftwireState>,
    /// Goes up whenever `state` is another.
    pub paths: u64,
    /// The border router that `state` is about.
    path_to: Option<Ipv6Addr>,
    /// Our end, as it is in use. It stays in use until the next one is ready.
    pub local: Option<Ipv6Addr>,
    asked: Vec<(QueryId, String)>,
    /// What `aftr` was told last.
    prefix: Option<Ipv6Addr>,
    resolvers: Vec<std::net::IpAddr>,
    unreachable: u64,
}

impl Tunnel {
    /// `before`: the softwire of a control thread that had to start over; sessions and what was learned of the
    /// path live on.
    pub fn new(config: &Config, before: Option<&Softwire>) -> Result<Self, napt::Refused> {
        let service = config.service.clone();
        let napt = match &service.kind {
            Kind::Dslite { .. } => None,
            Kind::Ipip { ipv4, filtering, .. } => match before.and_then(|softwire| softwire.napt.clone()) {
                Some(napt) => Some(napt),
                None => Some(Arc::new(Napt::new(&napt::Config {
                    sessions: config.tuning.table_size(DEFAULT_TABLE),
                    filtering: *filtering,
                    timeouts: service.behaviour.timeouts.0,
                    huge_pages: config.tuning.huge_pages,
                    ..napt::Config::new(*ipv4)
                })?)),
            },
        };
        let state = before.map(|softwire| softwire.state.clone()).unwrap_or_default();
        Ok(Self {
            aftr: Aftr::new(Patience::default()),
            napt,
            unreachable: state.unreachable(),
            state,
            paths: 0,
            path_to: before.map(|softwire| softwire.remote.into()),
            local: before.map(|softwire| softwire.local.into()),
            config: service,
            asked: Vec::new(),
            prefix: None,
            resolvers: Vec::new(),
        })
    }

    /// What the configuration says of the border router.
    pub fn configure(&mut self, now: Time) {
        let (source, endpoint) = match &self.config.kind {
            Kind::Dslite { aftr: None } => return,
            Kind::Dslite { aftr: Some(config::Endpoint::Name(name)) } => {
                (Source::UserName, aftr::Endpoint::Name(name.clone()))
            }
            Kind::Dslite { aftr: Some(config::Endpoint::Address(address)) } => {
                (Source::UserAddresses, aftr::Endpoint::Addresses(vec![*address]))
            }
            Kind::Ipip { br, .. } => (Source::UserAddresses, aftr::Endpoint::Addresses(vec![*br])),
        };
        self.aftr.set(now, source, Some(endpoint));
    }

    /// Our end as it is to be, if the line gives what it is made from.
    pub fn wanted(&self, wan: &Wan, facts: &LineFacts) -> Option<Ipv6Addr> {
        match self.config.ce {
            None => wan.own_address(facts),
            Some(LocalEnd::Address(address)) => Some(address),
            Some(LocalEnd::Token(token)) => wan.prefix(facts).map(|prefix| join(prefix, token)),
        }
    }

    /// The end in use is soon to be another.
    pub fn is_moving(&self, wan: &Wan, facts: &LineFacts) -> bool {
        self.local.is_some() && self.wanted(wan, facts).is_some_and(|wanted| self.local != Some(wanted))
    }

    /// Every end of ours that may be spoken to: of prefixes that are on their way out, too.
    pub fn ends(&self, wan: &Wan, facts: &LineFacts) -> Vec<Ipv6Addr> {
        let Some(LocalEnd::Token(token)) = self.config.ce else { return self.wanted(wan, facts).into_iter().collect() };
        let advertised = facts.prefixes.iter().filter(|prefix| prefix.autonomous).map(|prefix| prefix.prefix);
        advertised.chain(wan.prefix(facts)).map(|prefix| join(prefix, token)).collect()
    }

    /// The border router in use.
    pub fn border_router(&self) -> Option<Ipv6Addr> {
        self.aftr.current()
    }

    /// Takes note of what the line says now. True if something changed that others have to know.
    pub fn step(&mut self, now: Time, wan: &mut Wan, facts: &LineFacts) -> bool {
        let before = (self.local, self.border_router());
        // The old end is used until the new one is ours, but not longer than the line lets us have it.
        let wanted = self.wanted(wan, facts);
        if wanted.is_some_and(|address| wan.is_ready(address)) {
            self.local = wanted;
        } else if self.local.is_some_and(|address| !wan.is_ready(address)) {
            self.local = None;
        }
        if matches!(self.config.kind, Kind::Dslite { .. }) {
            let name = wan.dhcp6.information().aftr_name.clone().map(aftr::Endpoint::Name);
            self.aftr.set(now, Source::Dhcp, name);
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
                        self.paths += 1;
                        self.unreachable = 0;
                    }
                }
                aftr::Output::Moved { to: None, why, .. } => tracing::warn!("no border router: {why}"),
                aftr::Output::State(state) => tracing::info!("{state}"),
            }
        }
        before != (self.local, self.border_router())
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

    /// Why there is no border router, in words.
    pub fn why_no_border_router(&self) -> String {
        match self.aftr.state() {
            aftr::State::Unconfigured => {
                "none is configured, and the line's DHCPv6 server names none (option 64)".into()
            }
            state => state.to_string(),
        }
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
