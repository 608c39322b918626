//! The same facts for people.

use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

use hikyaku_protocols::service::Outcome;

use super::report::{
    Address, Counters, Lan, Leases, Link, NameServer, Names, Neighbour, Notification, Ports, Prefix, Route, Rule,
    Service, Session, State, Status, Volume, Wan,
};
use crate::table::{Table, grouped};

/// A time span, in its two largest units: `2 d 3 h`, `5 min 2 s`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
    let Some(i) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else { return "0 s".into() };
    let (large, name) = UNITS[i];
    let first = format!("{} {name}", seconds / large);
    match UNITS.get(i + 1) {
        Some((small, name)) if seconds % large >= *small => format!("{first} {} {name}", seconds % large / small),
        _ => first,
    }
}

fn span_or(seconds: Option<u64>, none: &str) -> String {
    seconds.map_or(none.into(), span)
}

/// A line of the status: its name, what it is about, facts.
fn line(f: &mut Formatter<'_>, name: &str, text: impl Display) -> fmt::Result {
    writeln!(f, "{name:<9} {text}")
}

impl Display for State {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let since = span(self.since_seconds);
        match (self.name.as_str(), self.text.as_str()) {
            (name, "") => write!(f, "{name}, for {since}"),
            // The word for machines is the first of the line for people.
            (name, text) if text.starts_with(name) => write!(f, "{text} (for {since})"),
            (name, text) => write!(f, "{name}: {text} (for {since})"),
        }
    }
}

impl Display for Status {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "hikyaku", format_args!("{}, process {}, up {}", self.version, self.pid, span(self.uptime_seconds)))?;
        line(f, "line", &self.line)?;
        self.wan.fmt(f)?;
        self.service.fmt(f)?;
        if let Some(notification) = &self.notification {
            notification.fmt(f)?;
        }
        if let Some(provisioning) = self.provisioning.as_ref().filter(|p| p.state != "idle") {
            line(f, "HB46PP", &provisioning.text)?;
        }
        let is_one = self.other_lans.is_empty();
        for lan in [&self.lan].into_iter().chain(&self.other_lans) {
            let name = if is_one { String::new() } else { format!("{}: ", lan.name) };
            // It ends its own lines.
            write!(f, "{:<9} {name}{lan}", "LAN")?;
        }
        if let Some(s) = &self.sessions {
            let (live, capacity, opened, expired) =
                (grouped(s.live), grouped(s.capacity), grouped(s.opened), grouped(s.expired));
            line(f, "sessions", format_args!("{live} of {capacity}; {opened} opened, {expired} ended"))?;
        }
        let memory = &self.memory;
        let parts = [("links", Some(memory.links)), ("sessions", memory.sessions), ("IPv6 filter", memory.filter)];
        let parts = parts.into_iter().filter_map(|(of, bytes)| Some(format!("{of} {:.1} MB", bytes? as f64 / 1e6)));
        line(f, "memory", parts.collect::<Vec<_>>().join(", "))?;
        if let (Some(longest), Some(ago)) = (self.control.longest_turn_us, self.control.longest_turn_ago_seconds) {
            line(f, "control", format_args!("longest turn {:.1} ms, {} ago", longest as f64 / 1000.0, span(ago)))?;
        }
        if !self.workers.is_empty() {
            let head = ["worker", "core", "frames", "dropped", "burst p50", "p99", "µs p50", "p99"];
            let mut table = Table::new(&head, 0);
            for w in &self.workers {
                let core = w.core.map_or("any".into(), |core| core.to_string());
                let [p50, p99] = [w.burst_ns_p50, w.burst_ns_p99].map(|ns| format!("{:.1}", ns as f64 / 1000.0));
                let counts = [w.frames, w.dropped, w.burst_frames_p50, w.burst_frames_p99].map(grouped);
                table.row([w.id.to_string(), core].into_iter().chain(counts).chain([p50, p99]));
            }
            write!(f, "\n{table}")?;
        }
        if !self.warnings.is_empty() {
            writeln!(f)?;
        }
        for warning in &self.warnings {
            line(f, "warning", warning)?;
        }
        Ok(())
    }
}

fn names(names: &Names) -> String {
    let server = |server: &NameServer| {
        let silent = if server.answers { "" } else { " (silent)" };
        format!("{}{silent}", server.address)
    };
    let servers: Vec<String> = names.servers.iter().map(server).collect();
    let servers = if servers.is_empty() { "nobody yet".into() } else { servers.join(", ") };
    let Names { questions, local, from_cache, kept, .. } = names;
    format!("DNS by {servers}; {questions} questions, {local} answered here, {from_cache} from {kept} kept answers")
}

fn vlan(vlan: Option<u16>) -> String {
    vlan.map(|vlan| format!(" VLAN {vlan}")).unwrap_or_default()
}

fn lost(frames: u64) -> String {
    if frames > 0 { format!(", {} frames lost before a worker had them", grouped(frames)) } else { String::new() }
}

fn traffic(received: Volume, sent: Volume) -> String {
    let volume = |v: Volume| format!("{} frames, {} bytes", grouped(v.frames), grouped(v.bytes));
    format!("traffic   {} in; {} out", volume(received), volume(sent))
}

/// How frames get in, and which the card passes on.
fn mode(mode: &str, heard: Option<&str>) -> String {
    match heard {
        Some("groups") => format!("{mode}, multicast groups joined"),
        Some(heard) => format!("{mode}, {heard}"),
        None => mode.into(),
    }
}

fn addresses(f: &mut Formatter<'_>, addresses: &[Address]) -> fmt::Result {
    addresses.iter().try_for_each(|a| {
        let valid = a.valid_seconds.map(|s| format!(", valid {}", span(s))).unwrap_or_default();
        line(f, "", format_args!("address   {} {} ({}){valid}", a.address, a.state, a.role))
    })
}

fn prefixes(f: &mut Formatter<'_>, prefixes: &[Prefix]) -> fmt::Result {
    prefixes.iter().try_for_each(|p| {
        let (preferred, valid) = (span_or(p.preferred_seconds, "for ever"), span_or(p.valid_seconds, "for ever"));
        line(f, "", format_args!("prefix    {} ({}), preferred {preferred}, valid {valid}", p.prefix, p.source))
    })
}

/// Without the head of its first line.
impl Display for Lan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let carrier = if self.up { "" } else { ", no carrier" };
        let (link, vlan, mode) = (&self.link, vlan(self.vlan), mode(&self.mode, self.heard.as_deref()));
        let lost = lost(self.lost);
        writeln!(f, "{link}{vlan} ({mode}), {}, MTU {}{carrier}{lost}", self.mac, self.mtu)?;
        line(f, "", traffic(self.received, self.sent))?;
        let leases = self.leases.map(|n| format!(", {n} leases")).unwrap_or_default();
        line(f, "", format_args!("{}{leases}", self.ipv4))?;
        self.names.iter().try_for_each(|known| line(f, "", names(known)))?;
        addresses(f, &self.addresses)?;
        prefixes(f, &self.prefixes)?;
        if !self.prefixes.is_empty() && !self.is_default_router {
            line(f, "", "hosts are told that there is no way for IPv6")?;
        }
        Ok(())
    }
}

impl Display for Wan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let carrier = if self.up { "" } else { ", no carrier" };
        let (link, vlan, mode) = (&self.link, vlan(self.vlan), mode(&self.mode, self.heard.as_deref()));
        let lost = lost(self.lost);
        line(f, "WAN", format_args!("{link}{vlan} ({mode}), {}, MTU {}{carrier}{lost}", self.mac, self.mtu))?;
        line(f, "", traffic(self.received, self.sent))?;
        addresses(f, &self.addresses)?;
        prefixes(f, &self.prefixes)?;
        for r in &self.routers {
            let (mac, lifetime) = (r.mac.as_deref().unwrap_or("unknown station"), span(r.lifetime_seconds));
            line(f, "", format_args!("router    {} at {mac}, {}, for {lifetime}", r.address, r.state))?;
        }
        if !self.resolvers.is_empty() {
            let resolvers: Vec<String> = self.resolvers.iter().map(ToString::to_string).collect();
            line(f, "", format_args!("resolvers {}", resolvers.join(", ")))?;
        }
        Ok(())
    }
}

/// What came of a look, as the head of its line.
fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Chosen => "chosen",
        Outcome::Waiting => "waiting",
        Outcome::Silent => "silent",
        Outcome::Nothing => "nothing",
        Outcome::Unusable => "unusable",
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match &self.kind {
            Some(kind) if *kind != self.name => format!("{} ({kind})", self.name),
            _ => self.name.clone(),
        };
        match self.kind {
            Some(_) => line(f, "service", format_args!("{what}, {}", self.state))?,
            // The state of the line is above; here is what it means for the service.
            None => line(f, "service", format_args!("{what}: {}", self.state.text))?,
        }
        for step in &self.found_by {
            line(f, "", format_args!("{:<9} {step}", word(step.outcome)))?;
        }
        if (self.local, self.remote) == (None, None) {
            return Ok(());
        }
        let end = |end: Option<std::net::Ipv6Addr>| end.map_or("not known yet".into(), |end| end.to_string());
        let name = self.aftr_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        line(f, "", format_args!("tunnel    {} -> {}{name}", end(self.local), end(self.remote)))?;
        let path = self.path_mtu.map(|mtu| format!(", path {mtu}")).unwrap_or_default();
        let share = match (self.psid, self.ports) {
            (Some(psid), Some(ports)) => format!(", {} of its ports (PSID {psid})", grouped(ports.into())),
            _ => String::new(),
        };
        let mesh = if self.mesh { ", other customers directly (mesh)" } else { "" };
        if let Some(ipv4) = self.ipv4 {
            line(f, "", format_args!("IPv4      {ipv4}{share}{mesh}"))?;
        }
        line(f, "", format_args!("MTU       {}{path}", self.tunnel_mtu))?;
        let last = match self.last_packet_seconds {
            Some(seconds) => format!("last packet from the far end {} ago", span(seconds)),
            None => "no packet from the far end yet".into(),
        };
        line(f, "", format_args!("heard     {last}"))?;
        if self.refused > 0 {
            let times = grouped(self.refused);
            line(f, "", format_args!("refused   {times} times: the far end does not know our address"))?;
        }
        Ok(())
    }
}

impl Display for Notification {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.state.text.starts_with(&self.dialect) {
            return line(f, "tell", &self.state.text);
        }
        line(f, "tell", format_args!("{}, {}", self.dialect, self.state))?;
        let next = self.next_seconds.map(|s| format!(", again in {}", span(s))).unwrap_or_default();
        let last = self.last_success_seconds.map_or("never".into(), |s| format!("{} ago", span(s)));
        line(f, "", format_args!("accepted  {last}{next}"))
    }
}

impl Display for Ports {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let share = self.psid.map(|psid| format!(" (PSID {psid})")).unwrap_or_default();
        writeln!(f, "{} ports of {}{share}", grouped(self.ports.into()), self.ipv4)?;
        let ranges: Vec<String> = self.ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        for line in ranges.chunks(8) {
            writeln!(f, "  {}", line.join(" "))?;
        }
        self.forwards.iter().try_for_each(|forward| writeln!(f, "forward {forward}"))?;
        let mut table = Table::new(&["", "usable", "forwarded", "used", "reused", "refused", "over share"], 1);
        for p in &self.protocols {
            let counts = [p.size, p.forwarded, p.used, p.reused].map(|n| grouped(n.into()));
            table.row([p.protocol.clone()].into_iter().chain(counts).chain([p.refused, p.limited].map(grouped)));
        }
        write!(f, "\n{table}")
    }
}

/// The links as a table.
pub fn links(links: &[Link]) -> String {
    let head = ["", "link", "frames in", "bytes in", "frames out", "bytes out", "lost"];
    let mut table = Table::new(&head, 2);
    for Link { side, link, received, sent, lost, .. } in links {
        let lost = lost.get("lost").unwrap_or(&0) + lost.get("lost-by-card").unwrap_or(&0);
        let counts = [received.frames, received.bytes, sent.frames, sent.bytes, lost].map(grouped);
        table.row([side.clone(), link.clone()].into_iter().chain(counts));
    }
    table.to_string()
}

/// The routes as a table.
pub fn routes(routes: &[Route]) -> String {
    if routes.is_empty() {
        return "nothing is known yet\n".into();
    }
    let mut table = Table::new(&["prefix", "to", "side", "station", "from"], 5);
    for r in routes {
        let said = [&r.side, &r.station].map(|known| known.clone().unwrap_or_default());
        let [side, station] = said;
        table.row([r.prefix.clone(), r.to.clone(), side, station, r.origin.clone()]);
    }
    table.to_string()
}

/// The rules as a table.
pub fn rules(rules: &[Rule]) -> String {
    if rules.is_empty() {
        return "no rules: hosts may begin what they like, and nobody outside may\n".into();
    }
    let mut table = Table::new(&["name", "from", "to", "fits", "action", "accepted", "refused", "over rate"], 5);
    for r in rules {
        let said = [&r.name, &r.from, &r.to, &r.fits, &r.action].map(Clone::clone);
        table.row(said.into_iter().chain([r.accepted, r.refused, r.over_rate].map(grouped)));
    }
    table.to_string()
}

/// The neighbours as a table.
pub fn neighbours(neighbours: &[Neighbour]) -> String {
    if neighbours.is_empty() {
        return "nobody yet\n".into();
    }
    let lans: BTreeSet<_> = neighbours.iter().filter_map(|n| n.lan.as_ref()).collect();
    let mut table = Table::new(&["link", "address", "station", "name", "state", "heard"], 5);
    for n in neighbours {
        let lan = n.lan.as_ref().filter(|_| lans.len() > 1).map(|lan| format!("{lan} ")).unwrap_or_default();
        let mac = n.mac.clone().unwrap_or_else(|| "unknown".into());
        let heard = span_or(n.age_seconds, "never");
        let name = n.name.clone().unwrap_or_default();
        table.row([lan + &n.link, n.address.to_string(), mac, name, n.state.clone(), heard]);
    }
    table.to_string()
}

impl Display for Leases {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.other_lans.is_empty() {
            return leases(f, self);
        }
        for (at, lan) in [self].into_iter().chain(&self.other_lans).enumerate() {
            write!(f, "{}{}: ", if at == 0 { "" } else { "\n" }, lan.lan)?;
            leases(f, lan)?;
        }
        Ok(())
    }
}

fn leases(f: &mut Formatter<'_>, lan: &Leases) -> fmt::Result {
    match &lan.pool {
        Some(pool) => {
            let (size, count) = (grouped(lan.pool_size.into()), lan.leases.len());
            writeln!(f, "pool {pool}, {size} addresses; {count} leases")?;
        }
        None => writeln!(f, "no IPv4 addresses are given here")?,
    }
    let mut table = Table::new(&["address", "station", "name", "state", "ends in"], 4);
    for l in &lan.leases {
        let (name, ends) = (l.name.clone().unwrap_or_default(), span_or(l.expires_seconds, "never"));
        table.row([l.address.to_string(), l.mac.clone(), name, l.state.clone(), ends]);
    }
    if !lan.leases.is_empty() {
        write!(f, "\n{table}")?;
    }
    let mut table = Table::new(&["DHCPv6", "station", "name", "DUID", "ends in"], 4);
    for l in &lan.ipv6 {
        let (name, ends) = (l.name.clone().unwrap_or_default(), span_or(Some(l.expires_seconds), "never"));
        table.row([l.leases.join(" "), l.mac.clone(), name, l.duid.clone(), ends]);
    }
    if lan.ipv6.is_empty() { Ok(()) } else { write!(f, "\n{table}") }
}

/// The head above lines of [`Session`]. Millions may follow: widths are fixed, not found.
pub const SESSION_HEAD: &str = "\
proto inside                outside               peer                  state          idle        out         in\n";

impl Display for Session {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Addresses know no width of their own.
        let [inside, outside, peer] = [self.inside, self.outside, self.peer].map(|end| end.to_string());
        write!(
            f,
            "{:<5} {inside:<21} {outside:<21} {peer:<21} {:<12} {:>6} {:>10} {:>10}",
            self.protocol, self.state, self.idle_seconds, self.packets_out, self.packets_in
        )
    }
}

impl Display for Counters {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut verdicts = Table::new(&["verdict", "frames", "share"], 1);
        let share = |n: u64| format!("{:.2} %", 100.0 * n as f64 / self.received.max(1) as f64);
        let mut by_count: Vec<_> = self.verdicts.iter().filter(|(_, n)| **n > 0).collect();
        by_count.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), name.as_str()));
        for (name, n) in by_count {
            verdicts.row([name.clone(), grouped(*n), share(*n)]);
        }
        if self.held > 0 {
            verdicts.row(["held".into(), grouped(self.held), share(self.held)]);
        }
        verdicts.row(["received".into(), grouped(self.received), String::new()]);
        write!(f, "{verdicts}")?;
        let groups = [("besides", &self.events)].into_iter().chain(self.control.iter().map(|(k, v)| (k.as_str(), v)));
        for (name, counts) in groups {
            let counts: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).collect();
            if counts.is_empty() {
                continue;
            }
            writeln!(f, "\n{name}")?;
            let width = counts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            for (name, n) in counts {
                writeln!(f, "  {name:<width$}  {:>14}", grouped(*n))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::report::{
        Address, Control, Lan, Lease, Memory, Prefix, Provisioning, Router, SessionTotals, Worker,
    };
    use hikyaku_protocols::service::{Origin, Step};

    #[test]
    fn spans() {
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (302, "5 min 2 s"), (90_000, "1 d 1 h")] {
            assert_eq!(span(seconds), text);
        }
        assert_eq!(span(86_400 + 59), "1 d", "minutes are not shown beside days");
    }

    #[test]
    fn a_status_is_a_page_that_reads_itself() {
        let state = |name: &str, text: &str| State { name: name.into(), text: text.into(), since_seconds: 61 };
        let step = Step { origin: Origin::Provisioning, outcome: Outcome::Chosen, why: "it is".into() };
        let status = Status {
            version: "0.1.0".into(),
            pid: 7,
            uptime_seconds: 3700,
            line: state("up", ""),
            wan: Wan {
                link: "netmap:ix0".into(),
                mode: "native".into(),
                heard: Some("groups".into()),
                vlan: Some(10),
                mac: "02:00:00:00:00:01".into(),
                mtu: 1500,
                up: true,
                lost: 123_647,
                received: Volume { frames: 12_000, bytes: 9_000_000 },
                sent: Volume { frames: 7, bytes: 600 },
                addresses: vec![Address {
                    address: "2001:db8::1".parse().unwrap(),
                    state: "preferred".into(),
                    role: "slaac".into(),
                    valid_seconds: Some(7200),
                }],
                prefixes: vec![Prefix {
                    prefix: "2001:db8::/64".into(),
                    source: "ra".into(),
                    preferred_seconds: Some(60),
                    valid_seconds: None,
                }],
                routers: vec![Router {
                    address: "fe80::1".parse().unwrap(),
                    mac: None,
                    state: "stale".into(),
                    lifetime_seconds: 1800,
                }],
                resolvers: vec!["2001:db8::53".parse().unwrap()],
            },
            service: Service {
                name: "ocx".into(),
                kind: Some("ipip".into()),
                found_by: vec![step],
                psid: None,
                ports: Some(65536),
                mesh: false,
                state: state("silent", "the far end does not answer"),
                local: Some("2001:db8::feed".parse().unwrap()),
                remote: None,
                aftr_name: None,
                ipv4: Some([192, 0, 2, 1].into()),
                tunnel_mtu: 1460,
                path_mtu: Some(1500),
                last_packet_seconds: None,
                refused: 3,
            },
            notification: Some(Notification {
                dialect: "transix-fixed".into(),
                state: state("waiting", "no answer"),
                last_success_seconds: None,
                next_seconds: Some(10),
            }),
            provisioning: Some(Provisioning { state: "offered".into(), text: "answered".into() }),
            lan: Lan { link: "netmap:ix1".into(), ipv4: "192.168.1.1/24".into(), leases: Some(2), ..Lan::default() },
            other_lans: Vec::new(),
            sessions: Some(SessionTotals { live: 1234, capacity: 262_144, opened: 5000, expired: 3766 }),
            memory: Memory { links: 25_165_824, sessions: Some(21_000_000), filter: None },
            control: Control { longest_turn_us: Some(12_345), longest_turn_ago_seconds: Some(90) },
            workers: vec![Worker {
                id: 0,
                core: Some(2),
                frames: 1_000_000,
                burst_ns_p99: 12_345,
                ..Worker::default()
            }],
            warnings: vec!["netmap:ix0: emulated".into()],
        };
        let text = status.to_string();
        for says in [
            "hikyaku   0.1.0, process 7, up 1 h 1 min\nline      up, for 1 min 1 s\n",
            "WAN       netmap:ix0 VLAN 10 (native, multicast groups joined), 02:00:00:00:00:01, MTU 1500, 123 647 frames lost before a worker \
             had them\n",
            "          traffic   12 000 frames, 9 000 000 bytes in; 7 frames, 600 bytes out\n          address   2001:db8::1 preferred (slaac), valid 2 h\n",
            "          router    fe80::1 at unknown station, stale, for 30 min\n",
            "service   ocx (ipip), silent: the far end does not answer (for 1 min 1 s)\n          chosen    HB46PP: it is\n",
            "HB46PP    answered\n",
            "          tunnel    2001:db8::feed -> not known yet\n          IPv4      192.0.2.1\n          MTU       1460, path 1500\n",
            "          refused   3 times",
            "          accepted  never, again in 10 s\n",
            "LAN       netmap:ix1 (), , MTU 0, no carrier\n          traffic   0 frames, 0 bytes in; 0 frames, 0 bytes out\n          192.168.1.1/24, 2 leases\n",
            "sessions  1 234 of 262 144; 5 000 opened, 3 766 ended\n",
            "memory    links 25.2 MB, sessions 21.0 MB\n",
            "control   longest turn 12.3 ms, 1 min 30 s ago\n",
            "     0     2  1 000 000        0          0    0     0.0  12.3\n",
            "\nwarning   netmap:ix0: emulated\n",
        ] {
            assert!(text.contains(says), "{says:?} is not in\n{text}");
        }
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    }

    #[test]
    fn forwards_stand_with_the_ports() {
        let ports = Ports {
            ipv4: [192, 0, 2, 1].into(),
            psid: None,
            ports: 65536,
            ranges: vec![(0, 65535)],
            forwards: vec!["tcp/443=192.168.1.10:443".into(), "udp/5000-5010=192.168.1.10:6000".into()],
            protocols: vec![],
        };
        let text = ports.to_string();
        let says = "65 536 ports of 192.0.2.1\n  0-65535\nforward tcp/443=192.168.1.10:443\nforward udp/5000-5010=192.168.1.10:6000\n";
        assert!(text.starts_with(says), "{text}");
    }

    #[test]
    fn routes_have_a_row_each() {
        let lan = Route {
            prefix: "192.168.2.0/24".into(),
            to: "link".into(),
            side: Some("guests".into()),
            station: None,
            origin: "lan".into(),
        };
        let text = routes(&[lan]);
        assert!(text.ends_with("192.168.2.0/24  link  guests           lan\n"), "{text}");
        assert!(routes(&[]).starts_with("nothing is known"));
    }

    #[test]
    fn rules_have_a_row_each() {
        let (from, to, fits, action) = ("wan".into(), "lan".into(), "tcp 443".into(), "accept".into());
        let web =
            Rule { number: 1, name: "web".into(), from, to, fits, action, accepted: 1234, refused: 0, over_rate: 5 };
        let text = rules(&[web]);
        assert!(text.ends_with("web   wan   lan  tcp 443  accept     1 234        0          5\n"), "{text}");
        assert!(rules(&[]).starts_with("no rules: "));
    }

    #[test]
    fn links_have_a_row_each() {
        let wan = Link {
            side: "wan".into(),
            link: "xdp:eth0".into(),
            received: Volume { frames: 1234, bytes: 99_000 },
            lost: [("lost".into(), 2), ("lost-by-card".into(), 3), ("too-long".into(), 1)].into(),
            ..Link::default()
        };
        let text = links(&[wan]);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split("  ").filter(|s| !s.is_empty()).map(str::trim).collect()).collect();
        assert_eq!(rows[1], ["wan", "xdp:eth0", "1 234", "99 000", "0", "0", "5"], "{text}");
    }

    #[test]
    fn lists() {
        let lease = Lease {
            address: [192, 168, 1, 128].into(),
            mac: "02:00:00:00:00:09".into(),
            name: None,
            state: "bound".into(),
            expires_seconds: Some(3600),
        };
        let lease6 = super::super::report::Lease6 {
            leases: vec!["2001:db8:1::9".into(), "2001:db8:2::9".into()],
            duid: "0003000102".into(),
            expires_seconds: 5400,
            ..Default::default()
        };
        let leases = Leases {
            pool: Some("a-b".into()),
            pool_size: 127,
            leases: vec![lease],
            ipv6: vec![lease6],
            ..Leases::default()
        };
        let shown = leases.to_string();
        assert!(shown.contains("192.168.1.128  02:00:00:00:00:09        bound      1 h\n"), "{shown}");
        assert!(shown.contains("2001:db8:1::9 2001:db8:2::9"), "{shown}");
        assert!(shown.ends_with("0003000102  1 h 30 min\n"), "{shown}");
        let longest = "255.255.255.255:65535".parse().unwrap();
        let session = Session { inside: longest, outside: longest, peer: longest, ..Session::default() };
        assert_eq!(session.to_string().len() + 1, SESSION_HEAD.len());
        let mut counters = Counters { received: 4, ..Counters::default() };
        counters.verdicts = [("outbound".into(), 1), ("inbound".into(), 3), ("runt".into(), 0)].into();
        counters.control = [("neighbour".to_string(), [("bad".to_string(), 2)].into())].into();
        let text = counters.to_string();
        assert!(text.contains("inbound        3  75.00 %\noutbound       1  25.00 %\n"), "{text}");
        assert!(text.ends_with("\nneighbour\n  bad               2\n") && !text.contains("runt"), "{text}");
    }
}
