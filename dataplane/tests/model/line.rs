//! What the operator and the control thread say of a line, for the model and for the router.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hikyaku_dataplane::napt::{self, Filtering, Forward, LanId, Napt};
use hikyaku_dataplane::snapshot::{Neighbours, Snapshot, SoftwireState};
use hikyaku_dataplane::tunnel::ecn::{ClassMode, Dscp, EcnMode};
use hikyaku_dataplane::tunnel::mtu::MtuMode;
use hikyaku_net::{Mac, PortSet};

use super::bytes::Addr;
use crate::common::{BR, CE, CLIENT, CLIENT_MAC, GATEWAY_MAC, OTHER_CLIENT, OTHER_CLIENT_MAC, OUTSIDE, Setup};

/// A line, as plain values.
#[derive(Clone, Debug)]
pub struct Line {
    pub napt: bool,
    /// RFC 7597 5.1: a, k and the PSID; `None`: all ports.
    pub share: Option<(u8, u8, u16)>,
    pub open_filtering: bool,
    pub port_parity: bool,
    pub answer_unsolicited: bool,
    pub per_host: Option<u32>,
    pub forwards: Vec<Forward>,
    pub fast: bool,
    pub local: Ipv6Addr,
    pub remote: Ipv6Addr,
    pub gateway_known: bool,
    pub neighbours: BTreeMap<Addr, [u8; 6]>,
    /// `Ok`: RFC 2473 7.2, `Err`: RFC 6333 5.3; the tunnel's MTU.
    pub mtu: Result<u16, u16>,
    pub lan_mtu: u16,
    pub wan_mtu: u16,
    pub mss: Option<u16>,
    /// `None`: copied (RFC 2983).
    pub dscp: Option<u8>,
    /// RFC 6040 4.1: normal mode.
    pub ecn: bool,
}

impl Line {
    /// DS-Lite (RFC 6333): the AFTR translates.
    pub fn dslite() -> Self {
        Self {
            napt: false,
            share: None,
            open_filtering: false,
            port_parity: false,
            answer_unsolicited: false,
            per_host: None,
            forwards: Vec::new(),
            fast: true,
            local: CE,
            remote: BR,
            gateway_known: true,
            neighbours: [(CLIENT, CLIENT_MAC), (OTHER_CLIENT, OTHER_CLIENT_MAC)].into(),
            mtu: Ok(1460),
            lan_mtu: 1500,
            wan_mtu: 1500,
            mss: Some(1420),
            dscp: Some(0),
            ecn: false,
        }
    }

    /// One fixed IPv4 address (RFC 2473).
    pub fn ipip() -> Self {
        Self { napt: true, ..Self::dslite() }
    }

    /// MAP-E with 240 ports (RFC 7597).
    pub fn map_e() -> Self {
        Self { share: Some((4, 8, 0x34)), ..Self::ipip() }
    }

    /// Whether a port is this line's, bit by bit as RFC 7597 5.1 draws it.
    pub fn has_port(&self, port: u16) -> bool {
        let Some((a, k, psid)) = self.share else { return true };
        let bits: Vec<bool> = (0..16).rev().map(|i| port >> i & 1 != 0).collect();
        let number = |bits: &[bool]| bits.iter().fold(0u16, |n, &bit| n << 1 | u16::from(bit));
        let (a, k) = (usize::from(a), usize::from(k));
        (a == 0 || number(&bits[..a]) != 0) && number(&bits[a..a + k]) == psid
    }

    /// Whether a protocol can be translated: what has no ports only where the whole address is ours.
    pub fn carries(&self, protocol: u8) -> bool {
        match protocol {
            1 | 6 | 17 => true,
            0 | 51 => false,
            _ => self.share.is_none(),
        }
    }

    /// The host and port that an outside port is forwarded to.
    pub fn forward(&self, protocol: u8, outside: u16) -> Option<(Addr, u16)> {
        let covers = |f: &&Forward| f.protocol == protocol && f.outside.0 <= outside && outside <= f.outside.1;
        self.forwards.iter().find(covers).map(|f| (f.inside.octets(), f.inside_port + (outside - f.outside.0)))
    }

    /// The outside ports of all static mappings.
    pub fn forwarded_ports(&self, protocol: u8) -> impl Iterator<Item = u16> {
        self.forwards.iter().filter(move |f| f.protocol == protocol).flat_map(|f| f.outside.0..=f.outside.1)
    }

    fn ports(&self) -> PortSet {
        self.share.map_or(PortSet::ALL, |(a, k, psid)| PortSet::new(a, k, psid).unwrap())
    }

    pub fn setup(&self) -> Setup {
        Setup { fast: self.fast, slots: 256, buf_size: 8192, ..Setup::dslite() }
    }

    pub fn table(&self) -> Option<Arc<Napt>> {
        let filtering =
            if self.open_filtering { Filtering::EndpointIndependent } else { Filtering::AddressAndPortDependent };
        let config = napt::Config {
            sessions: super::napt::CAPACITY as u32,
            filtering,
            port_parity: self.port_parity,
            answer_unsolicited: self.answer_unsolicited,
            ports: self.ports(),
            per_host: self.per_host,
            forwards: self.forwards.clone(),
            huge_pages: false,
            seed: Some([1, 2, 3, 4]),
            ..napt::Config::new(Ipv4Addr::from(OUTSIDE))
        };
        self.napt.then(|| Arc::new(Napt::new(&config).expect("a small table")))
    }

    /// The whole snapshot that the control thread would publish.
    pub fn snapshot(&self, napt: &Option<Arc<Napt>>, state: &Arc<SoftwireState>) -> Snapshot {
        let setup = Setup { lan_mtu: self.lan_mtu, wan_mtu: self.wan_mtu, ..self.setup() };
        let mut snapshot = setup.snapshot(napt.clone());
        let hosts = self.neighbours.iter().map(|(&a, &mac)| (Ipv4Addr::from(a).into(), Mac(mac)));
        snapshot.links[0].neighbours = Neighbours::new(hosts, None);
        let softwire = &mut snapshot.softwires[0];
        softwire.local = self.local.into();
        softwire.remote = self.remote.into();
        softwire.next_hop = self.gateway_known.then_some(Mac(GATEWAY_MAC));
        softwire.mtu = match self.mtu {
            Ok(mtu) => MtuMode::Strict { mtu },
            Err(mtu) => MtuMode::Fragment { mtu },
        };
        softwire.class = ClassMode {
            dscp: self.dscp.map_or(Dscp::Copy, Dscp::Fixed),
            ecn: if self.ecn { EcnMode::Normal } else { EcnMode::Compatibility },
        };
        softwire.mss = self.mss;
        softwire.state = state.clone();
        snapshot
    }
}

impl Line {
    /// The first `n` of a list of static mappings.
    pub fn static_mappings(&self, n: u8) -> Vec<Forward> {
        let first = (4096..=u16::MAX).find(|&p| self.has_port(p)).expect("a port");
        let to = |protocol, outside: (u16, u16), inside: Addr, inside_port| Forward {
            protocol,
            outside,
            lan: LanId::default(),
            inside: inside.into(),
            inside_port,
        };
        let list = [
            to(6, (first, first + 1), CLIENT, 40000),
            to(17, (first, first), OTHER_CLIENT, 40001),
            to(1, (first + 2, first + 3), CLIENT, 1),
        ];
        list.into_iter().take(n.into()).collect()
    }
}
