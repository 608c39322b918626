//! A configuration that is read again while the router runs: what of it is taken up, and what needs a restart.

use super::{Config, Control, Dhcpv6, Lan, Log, Service, System, Wan};
use crate::behaviour::BehaviourArgs;
use crate::tuning::TuningArgs;

/// Keys that are another after a restart only.
#[derive(Debug, Default)]
struct Kept(Vec<&'static str>);

impl Kept {
    fn keep<T: PartialEq + Clone>(&mut self, key: &'static str, was: &T, is: &mut T) {
        if is != was {
            is.clone_from(was);
            self.0.push(key);
        }
    }
}

impl Config {
    /// What a router that runs with `self` goes on with when `read` was read: all that changes without new links,
    /// threads or tables. What does not stays as it is; the second are the keys of that which are to be another, such
    /// as `[wan] link`.
    pub fn reloaded(&self, mut read: Self) -> (Self, Vec<&'static str>) {
        let mut kept = Kept::default();
        // Named one by one: who adds a key says here whether it can change.
        let Self { wan, lan, service, tuning, control, log, system } = &mut read;
        let was = &self.wan;
        let Wan { link, vlan, mac, mtu, interface_id, host, resolvers: _, dhcpv6 } = wan;
        kept.keep("[wan] link", &was.link, link);
        kept.keep("[wan] vlan", &was.vlan, vlan);
        kept.keep("[wan] mac", &was.mac, mac);
        kept.keep("[wan] mtu", &was.mtu, mtu);
        kept.keep("[wan] interface-id", &was.interface_id, interface_id);
        kept.keep("[wan] host", &was.host, host);
        let was = &was.dhcpv6;
        let Dhcpv6 { mode: _, pd_hint, request_na, rapid_commit, reconfigure } = dhcpv6;
        kept.keep("[wan.dhcpv6] pd-hint", &was.pd_hint, pd_hint);
        kept.keep("[wan.dhcpv6] request-na", &was.request_na, request_na);
        kept.keep("[wan.dhcpv6] rapid-commit", &was.rapid_commit, rapid_commit);
        kept.keep("[wan.dhcpv6] reconfigure", &was.reconfigure, reconfigure);
        let was = &self.lan;
        let Lan { link, vlan, mac, ipv4: _, mtu: _, host, dhcpv4: _ } = lan;
        kept.keep("[lan] link", &was.link, link);
        kept.keep("[lan] vlan", &was.vlan, vlan);
        kept.keep("[lan] mac", &was.mac, mac);
        kept.keep("[lan] host", &was.host, host);
        let was = &self.service;
        let Service { wish: _, mtu: _, behaviour, filtering, notification: _, provisioning: _ } = service;
        kept.keep("[service] filtering", &was.filtering, filtering);
        let was = &was.behaviour;
        let BehaviourArgs {
            copy_dscp: _,
            copy_ecn: _,
            mss: _,
            timeouts,
            forward: _,
            sessions_per_host,
            port_parity,
            answer_unsolicited,
        } = behaviour;
        kept.keep("[service] timeouts", &was.timeouts, timeouts);
        kept.keep("[service] sessions-per-host", &was.sessions_per_host, sessions_per_host);
        kept.keep("[service] port-parity", &was.port_parity, port_parity);
        kept.keep("[service] answer-unsolicited", &was.answer_unsolicited, answer_unsolicited);
        let was = &self.tuning;
        let TuningArgs { cores, batch, ring_slots, table, idle, headroom, huge_pages, reassembly_timeout, keep_flows } =
            tuning;
        kept.keep("[tuning] cores", &was.cores, cores);
        kept.keep("[tuning] batch", &was.batch, batch);
        kept.keep("[tuning] ring-slots", &was.ring_slots, ring_slots);
        kept.keep("[tuning] table", &was.table, table);
        kept.keep("[tuning] idle", &was.idle, idle);
        kept.keep("[tuning] headroom", &was.headroom, headroom);
        kept.keep("[tuning] huge-pages", &was.huge_pages, huge_pages);
        kept.keep("[tuning] reassembly-timeout", &was.reassembly_timeout, reassembly_timeout);
        kept.keep("[tuning] keep-flows", &was.keep_flows, keep_flows);
        let was = &self.control;
        let Control { socket, mode, group, gid } = control;
        kept.keep("[control] socket", &was.socket, socket);
        kept.keep("[control] mode", &was.mode, mode);
        kept.keep("[control] group", &was.group, group);
        *gid = was.gid;
        let Log { level: _, format } = log;
        kept.keep("[log] format", &self.log.format, format);
        let was = &self.system;
        let System { state_dir, user, account } = system;
        kept.keep("[system] state-dir", &was.state_dir, state_dir);
        kept.keep("[system] user", &was.user, user);
        account.clone_from(&was.account);
        (read, kept.0)
    }
}
