//! All machines of the control thread: what comes in is given to the one that it is for, what one asks of another is
//! carried between them, and what they know is gathered. What they are to do they are told in `execute`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use hikyaku_config::StaticRoute;
use hikyaku_dataplane::napt::LanId;
use hikyaku_dataplane::shared::Message;
use hikyaku_net::Time;
use hikyaku_protocols::Machine;
use hikyaku_protocols::dns::RecordType::Aaaa;
use hikyaku_protocols::nd_proxy::{self, NdProxy, Question, Side};
use hikyaku_protocols::neighbour::{Neighbours, Ours, Progress};
use hikyaku_protocols::service::{Probe, Unresolved};

use super::across::{Across, Asked};
use super::evidence::Sign;
use super::facts::{AftrNames, Facts, LanFacts, LineId};
use super::far_end::{Asks, FarEnd};
use super::filter::Filter;
use super::lan::Lan;
use super::message_log;
use super::notice::Notice;
use super::numbers::{WAN, lan_of};
use super::provisioning::Provisioning;
use super::resolver::{Asker, NameAnswer, Resolver};
use super::rules::Rules;
use super::tunnel::Tunnel;
use super::wan::Wan;
use super::wire::Frames;

/// All machines of the control thread, and the frames that they want to send.
pub(super) struct Machines {
    /// The sides of the hosts, by [`LanId`]: one at least.
    pub lans: Vec<Lan>,
    /// What is behind routers there.
    pub routes: Vec<StaticRoute>,
    /// The side of the line.
    pub wan: Wan,
    /// Which AFTRs' names the line's resolvers know.
    pub probe: Probe,
    /// Far ends whose names do not resolve.
    pub unresolved: Unresolved,
    /// The line that `probe` and `unresolved` ask on.
    pub line: LineId,
    /// The provisioning server (HB46PP), if it is to be asked.
    pub provisioning: Option<Provisioning>,
    /// Address notification, if somebody is to be told.
    pub notice: Option<Notice>,
    /// The tunnel in use.
    pub tunnel: Tunnel,
    /// The far end of the tunnel in use.
    pub far: FarEnd,
    /// Who is answered for across the router, where the first LAN and the line share a prefix.
    pub nd_proxy: NdProxy,
    /// What lets native IPv6 into the LAN.
    pub filter: Filter,
    /// What the operator says of sessions that are about to begin.
    pub rules: Rules,
    /// What they want to send.
    pub frames: Frames,
    /// As verified last.
    pub verified: Option<(Time, Sign)>,
    /// IPv6 addresses of the host's own stack on links that it is behind. What is for them is not forwarded.
    pub of_host: Vec<Ipv6Addr>,
    /// The program is about to end: leases are given back, and nothing new is asked.
    pub leaving: bool,
}

impl Machines {
    /// A frame that a worker punted.
    pub fn hear(&mut self, now: Time, message: &Message) {
        let frame = message.frame();
        if !message.unresolved {
            message_log::heard(message.link, self.frames.name(message.link), frame);
        }
        let lan = lan_of(message.link).map(|LanId(number)| self.lans.get_mut(usize::from(number)));
        match (lan, message.unresolved) {
            (Some(Some(lan)), false) => lan.hear(now, frame, &mut self.frames),
            (Some(Some(lan)), true) => lan.resolve(now, frame.to_vec()),
            (Some(None), _) => {}
            (None, false) => {
                self.far.hear(now, frame);
                self.wan.hear(now, frame, &mut self.frames);
            }
            (None, true) => self.wan.resolve(now, frame.to_vec()),
        }
    }

    fn poll_lans(&mut self, now: Time) {
        self.lans.iter_mut().for_each(|lan| lan.poll(now, &mut self.frames));
    }

    /// Does what is due, and gives each machine the answers to what it asked.
    pub fn poll_links(&mut self, now: Time) {
        self.filter.poll(now);
        self.poll_lans(now);
        self.wan.poll(now, &mut self.frames);
        if self.proxy(now) {
            self.poll_lans(now);
            self.wan.poll(now, &mut self.frames);
        }
        while let Some(answer) = self.wan.resolver.next_answer() {
            self.answered(now, answer);
        }
    }

    /// Carries questions and finds of neighbour discovery across. Whether anything is to be sent.
    fn proxy(&mut self, now: Time) -> bool {
        let Self { lans, wan, nd_proxy, .. } = self;
        // At most one shares the line's prefix; those of others are no other link's.
        let at = lans.iter().position(|lan| lan.neighbours.is_proxied()).unwrap_or(0);
        let others = lans.iter_mut().enumerate().filter(|&(other, _)| other != at);
        others.for_each(|(_, lan)| lan.asked = Across::default());
        let lan = &mut lans[at];
        for (side, here, there) in
            [(Side::Lan, &mut lan.asked, &wan.neighbours), (Side::Wan, &mut wan.asked, &lan.neighbours)]
        {
            for address in here.found.drain(..) {
                nd_proxy.found(now, side, address);
            }
            for Asked { target, asker, station, is_known } in here.questions.drain(..) {
                let known = [is_known, there.get(target.into()).is_some()];
                nd_proxy.handle_input(now, Question { side, target, asker, station }, known);
            }
        }
        let mut is_any = false;
        while let Some(output) = nd_proxy.drive(now) {
            is_any = true;
            let (nd_proxy::Output::Look(side, _) | nd_proxy::Output::Answer(Question { side, .. })) = output;
            let neighbours = match side {
                Side::Lan => &mut lan.neighbours,
                Side::Wan => &mut wan.neighbours,
            };
            match output {
                nd_proxy::Output::Look(_, address) => neighbours.want(now, address.into(), None),
                nd_proxy::Output::Answer(Question { target, asker, station, .. }) => {
                    neighbours.advertise_for(now, target, asker, station);
                }
            }
        }
        is_any
    }

    /// Has machines ask what they want to know, and sends it. What is answered at once is heard in the next turn.
    pub fn poll_service(&mut self, now: Time) {
        if !self.leaving {
            self.ask(now);
        }
        self.wan.poll(now, &mut self.frames);
    }

    /// Gives the resolver the names that machines want to have asked for, and sends the far end's echo requests.
    fn ask(&mut self, now: Time) {
        let resolver = &mut self.wan.resolver;
        while let Some(name) = self.probe.drive(now) {
            resolver.ask(now, name, Aaaa, Asker::Probe);
        }
        while let Some(name) = self.unresolved.drive(now) {
            resolver.ask(now, &name, Aaaa, Asker::Unresolved);
        }
        self.ask_far_end(now);
        let resolver = &mut self.wan.resolver;
        if let Some(provisioning) = &mut self.provisioning {
            provisioning.poll(now, resolver);
        }
        if let Some(notice) = &mut self.notice {
            notice.poll(now, resolver);
        }
    }

    fn ask_far_end(&mut self, now: Time) {
        while let Some(asks) = self.far.poll(now) {
            match asks {
                Asks::Name { name, anew } => {
                    let resolver = &mut self.wan.resolver;
                    let ask = if anew { Resolver::ask_anew } else { Resolver::ask };
                    ask(resolver, now, &name, Aaaa, Asker::FarEnd);
                }
                Asks::Echo(request) => {
                    let local = self.tunnel.carried().map(|carried| carried.local);
                    if let Some(local) = local.filter(|local| self.wan.usable.contains(local)) {
                        self.wan.send(now, &request.packet(local), &mut self.frames);
                    }
                }
            }
        }
    }

    fn answered(&mut self, now: Time, answer: NameAnswer) {
        let NameAnswer { query, asker, name, result } = answer;
        match asker {
            Asker::FarEnd => self.far.resolved(now, &name, &result),
            Asker::Probe => self.probe.handle_answer(&name, &result),
            Asker::Unresolved => self.unresolved.handle_answer(&name, &result),
            Asker::Provisioning => {
                self.provisioning.iter_mut().for_each(|machine| machine.answered(now, query, &result))
            }
            Asker::Request(question) => question.answer(match result {
                Ok(records) => Ok(records.ipv6().to_vec()),
                Err(failure) => Err(failure.to_string()),
            }),
        }
    }

    /// Something of each LAN and of the line, as links are numbered ([`super::numbers`]).
    pub fn by_link<T>(&self, lan: impl FnMut(&Lan) -> T, wan: T) -> Vec<T> {
        let mut all: Vec<T> = self.lans.iter().map(lan).collect();
        all.insert(usize::from(WAN.0), wan);
        all
    }

    /// What all of them know now.
    pub fn gather(&self, now: Time) -> Facts {
        let wan = &self.wan;
        let far = self.far.facts();
        let next_hop = far.address.and_then(|address| wan.slaac.next_hop(address));
        Facts {
            now,
            leaving: self.leaving,
            link_up: wan.up,
            link_local: wan.link_local(),
            addresses: addresses6(&wan.neighbours),
            taken: wan.taken.clone(),
            slaac: wan.slaac.facts(now),
            dhcpv6: wan.dhcpv6.facts(now),
            delegated_addresses: wan.delegated_addresses(),
            names: AftrNames {
                line: self.line.clone(),
                known: self.probe.said(),
                unresolved: self.unresolved.given_up(),
            },
            provisioning: self.provisioning.as_ref().map(|machine| machine.facts(now)),
            carried: self.tunnel.carried().cloned(),
            trouble: self.tunnel.trouble().cloned(),
            tables: self.tunnel.tables().collect(),
            far,
            next_hop: next_hop.map(|address| (address, wan.neighbours.get(address.into()))),
            is_filtered: self.filter.get().is_some(),
            lans: self.lans.iter().map(lan_facts).collect(),
        }
    }

    /// When to come back if nothing happens.
    pub fn next(&self) -> Option<Time> {
        let links = [self.wan.next(), self.nd_proxy.poll_timeout(), self.filter.next()];
        let links = links.into_iter().chain(self.lans.iter().map(Lan::next)).flatten();
        if self.leaving {
            return links.min();
        }
        let service = [
            self.probe.poll_timeout(),
            self.unresolved.poll_timeout(),
            self.provisioning.as_ref().and_then(|provisioning| provisioning.machine.poll_timeout()),
            self.notice.as_ref().and_then(|notice| notice.machine.poll_timeout()),
            self.tunnel.next(),
            self.far.next(),
        ];
        links.chain(service.into_iter().flatten()).min()
    }
}

fn lan_facts(lan: &Lan) -> LanFacts {
    LanFacts { link_up: lan.up, link_local: lan.link_local(), addresses: addresses6(&lan.neighbours) }
}

/// Our IPv6 addresses on a link, each with how far duplicate address detection has come.
fn addresses6(neighbours: &Neighbours) -> HashMap<Ipv6Addr, Progress> {
    let one = |ours: Ours| match ours.address {
        IpAddr::V6(address) => Some((address, ours.progress)),
        IpAddr::V4(_) => None,
    };
    neighbours.ours().into_iter().filter_map(one).collect()
}
