//! The far end of the tunnel: where it is known from, whether it answers, what is learned of the path to it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use hikyaku_dataplane::counters::Totals;
use hikyaku_dataplane::snapshot::{Softwire, SoftwireState};
use hikyaku_dataplane::verdict::Verdict;
use hikyaku_net::{Time, protocol};
use hikyaku_protocols::Machine;
use hikyaku_protocols::aftr::{self, Patience, Resolved, Selector, Source, Why};
use hikyaku_protocols::dns::{Failure, Records};
use hikyaku_protocols::echo::EchoRequest;
use hikyaku_protocols::service::Plan;

use super::facts::FarEndFacts;
use super::wire::Packet6;

/// ICMPv6 errors about the tunnel that count, of one look at traffic: more are no more news.
const UNREACHABLE: u64 = 8;

/// What the far end's machine asks of others.
pub(super) enum Asks {
    /// The AAAA records of a name: of the line's resolvers if `anew`, not of what is kept of their answers.
    Name { name: String, anew: bool },
    /// An echo, from our end of the tunnel.
    Echo(EchoRequest),
}

/// The far end of the tunnel, AFTR or border router, and what is known of the path to it.
pub(super) struct FarEnd {
    aftr: Selector,
    /// What `aftr` was told last.
    plan: Option<Plan>,
    resolvers: Vec<IpAddr>,
    prefix: Option<Ipv6Addr>,
    /// Addresses of our own on the line.
    own: Vec<Ipv6Addr>,
    /// What workers learned about the path to the border router in use.
    pub path: Arc<SoftwireState>,
    /// The border router that `path` leads to.
    path_to: Option<Ipv6Addr>,
    /// Goes up whenever `path` is another.
    pub changes: u64,
    unreachable: u64,
}

impl FarEnd {
    /// `before`: the softwire of a control thread that had to start over; what was learned of its path lives on.
    pub fn new(before: Option<&Softwire>) -> Self {
        let path = before.map(|softwire| softwire.state.clone()).unwrap_or_default();
        Self {
            aftr: Selector::new(Patience::default()),
            plan: None,
            resolvers: Vec::new(),
            prefix: None,
            own: Vec::new(),
            path_to: before.map(|softwire| softwire.remote.into()),
            changes: 0,
            unreachable: path.unreachable(),
            path,
        }
    }

    /// It is this plan's from now on, and reached from this prefix. `resolvers`: who can be asked for its name.
    pub fn set(&mut self, now: Time, plan: Option<&Plan>, resolvers: &[IpAddr], prefix: Option<Ipv6Addr>) {
        if plan != self.plan.as_ref() {
            self.set_plan(now, plan);
        }
        if resolvers != self.resolvers {
            self.aftr.resolvers_changed(now, !resolvers.is_empty());
            self.resolvers = resolvers.to_vec();
        }
        if prefix.is_some() && prefix != self.prefix {
            if self.prefix.is_some() {
                self.aftr.prefix_changed(now);
            }
            self.prefix = prefix;
        }
    }

    fn set_plan(&mut self, now: Time, plan: Option<&Plan>) {
        if let (Some(old), Some(new)) = (&self.plan, plan)
            && !new.goes_on_from(old)
        {
            // It would be used until the new one's name has resolved.
            self.aftr = Selector::new(Patience::default());
            self.aftr.resolvers_changed(now, !self.resolvers.is_empty());
            self.aftr.set_own(now, &self.own);
        }
        let far = plan.map(|plan| &plan.far[..]).unwrap_or_default();
        let endpoint = |source| far.iter().find(|(of, _)| *of == source).map(|(_, endpoint)| endpoint.clone());
        // First what is new, so that there is one all the time.
        let (said, unsaid): (Vec<_>, Vec<_>) = Source::ALL.into_iter().partition(|&of| endpoint(of).is_some());
        said.into_iter().chain(unsaid).for_each(|source| self.aftr.set(now, source, endpoint(source)));
        self.plan = plan.cloned();
    }

    /// The line may be another: so may be what the far end's name means.
    pub fn doubt(&mut self, now: Time) {
        self.aftr.resolvers_changed(now, !self.resolvers.is_empty());
    }

    /// These addresses are our own: none of them is a far end.
    pub fn set_own(&mut self, now: Time, own: &[Ipv6Addr]) {
        if self.own != own {
            self.own = own.to_vec();
            self.aftr.set_own(now, own);
        }
    }

    /// The next thing that it asks; to be called until there is none.
    pub fn poll(&mut self, now: Time) -> Option<Asks> {
        while let Some(output) = self.aftr.drive(now) {
            match output {
                aftr::Output::Resolve { name, anew } => return Some(Asks::Name { name, anew }),
                aftr::Output::Ask(request) => return Some(Asks::Echo(request)),
                aftr::Output::Moved { to: Some(to), why, .. } => {
                    match why {
                        // Every few seconds, as long as none answers.
                        Why::Turn => tracing::debug!(machine = "aftr", address = %to, "border router tried"),
                        _ => tracing::info!(machine = "aftr", address = %to, reason = %why, "border router in use"),
                    }
                    // What was learned is of another path.
                    if self.path_to.replace(to) != Some(to) {
                        self.path = Arc::default();
                        self.changes += 1;
                        self.unreachable = 0;
                    }
                }
                aftr::Output::Moved { to: None, why, .. } => {
                    tracing::warn!(machine = "aftr", reason = %why, "no border router");
                }
                aftr::Output::State(state) => tracing::info!(machine = "aftr", "{state}"),
            }
        }
        None
    }

    /// A frame came on the line: perhaps a reply to [`Asks::Echo`].
    pub fn hear(&mut self, now: Time, frame: &[u8]) {
        if let Some(packet) = Packet6::read(frame).filter(|packet| packet.protocol == protocol::ICMPV6) {
            self.aftr.handle_input(now, packet.bytes);
        }
    }

    /// The end of a question.
    pub fn resolved(&mut self, now: Time, name: &str, result: &Result<Records, Failure>) {
        let resolved = |records: &Records| Resolved { addresses: records.ipv6().to_vec(), ttl: records.ttl };
        self.aftr.handle_answer(now, name, &result.as_ref().map(resolved).map_err(Clone::clone));
    }

    /// Once a second: does it answer?
    pub fn look(&mut self, now: Time, totals: &Totals) {
        let received = totals.verdict(Verdict::Inbound) + totals.verdict(Verdict::Reassembled);
        self.aftr.traffic(now, totals.verdict(Verdict::Outbound), received);
        let unreachable = self.path.unreachable();
        for _ in self.unreachable..unreachable.min(self.unreachable + UNREACHABLE) {
            if let Some(address) = self.aftr.current() {
                self.aftr.unreachable(now, address);
            }
        }
        self.unreachable = unreachable;
    }

    /// What is known of it.
    pub fn facts(&self) -> FarEndFacts {
        FarEndFacts {
            plan: self.plan.clone(),
            address: self.aftr.current(),
            state: self.aftr.state().clone(),
            silent_since: self.aftr.silent_since(),
            refused: self.path.refused(),
        }
    }

    /// When something last came from it.
    pub fn heard(&self) -> Option<Time> {
        self.aftr.heard()
    }

    /// When to come back.
    pub fn next(&self) -> Option<Time> {
        self.aftr.poll_timeout()
    }
}
