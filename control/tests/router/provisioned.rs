//! What the line's provisioning server says (HB46PP), asked by real requests.

use std::cell::RefCell;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, RecordType};
use hikyaku::router::State;
use hikyaku_net::PortSet;
use hikyaku_net::map::InterfaceId::Draft03;
use hikyaku_protocols::service::{Origin, Outcome};

use crate::coming_up::AFTR;
use crate::rivals::{ROGUE_RESOLVER, refresh, rival};
use crate::services::{AUTO, BR, LINE, LINE_IPV4, LINE_PSID, LWAFTR, OTHER_LINE, end, ends, line, outside, seconds};
use crate::world::World;
use crate::world::isp::Prefix;
use crate::world::web::Web;

const SERVER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xf00, 0, 0, 0, 0, 0x80);
const RECORD: &str = "v=v6mig-1 url=http://prov.example.net/get t=a";
pub const MAP_E: &str = r#"{"enabler_name": "Example", "ttl": 86400, "token": "abc", "order": ["map_e"], "map_e": {"br": "2001:db8:b::1",
    "rules": [{"ipv6": "2001:db8:100::/40", "ipv4": "198.51.100.0/24", "ea_length": 16, "psid_offset": 4}]}}"#;
const FIXED_BR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xf1, 0, 0, 0, 0, 1);

/// A provisioning server behind a line.
pub struct Provisioned {
    pub world: World,
    /// Status and body; no status, no answer.
    says: Rc<RefCell<(u16, String)>>,
    pub requests: Rc<RefCell<Vec<(Ipv6Addr, String)>>>,
}

pub fn provisioned(service: &str, body: &str) -> Provisioned {
    let mut world = line(service);
    let says = Rc::new(RefCell::new((200, body.to_string())));
    let said = says.clone();
    let answer = move |_: &str| {
        let (status, body) = &*said.borrow();
        format!(
            "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let (web, requests) = Web::new(SERVER, Box::new(answer));
    world.isp.hosts.push(Box::new(web));
    world.isp.resolver.set_addresses("prov.example.net", 300, &[SERVER]);
    set_record(&mut world);
    Provisioned { world, says, requests }
}

fn set_record(world: &mut World) {
    world.isp.resolver.set("4over6.info", RecordType::TXT, 300, vec![RData::TXT(TXT::new(vec![RECORD.into()]))]);
}

/// Whether the server was looked for.
fn is_asked(world: &World) -> bool {
    world.isp.resolver.asked.iter().any(|(_, name, _)| name == "4over6.info")
}

impl Provisioned {
    #[track_caller]
    pub fn until(&mut self, what: impl Fn(&World) -> bool) {
        let came = self.world.pass_with_threads(seconds(60), what);
        assert!(came, "{:?} {:?}", self.world.router.state(), self.world.status().service);
    }

    #[track_caller]
    pub fn carries(&mut self) {
        // Until a thread is needed, time is cheap.
        self.world.pass_until(seconds(20), is_asked);
        self.until(|world| matches!(world.router.state(), State::Carrying { .. }));
    }
}

/// Each technology, as the server describes it; what is before it in the server's order and cannot be had is passed
/// over, with its reason.
#[test]
fn every_technology_of_a_server() {
    let share = Some((LINE_IPV4, PortSet::new(4, 8, LINE_PSID).unwrap()));
    let map_e = end(LINE, Draft03, LINE_IPV4, LINE_PSID);
    let lw4o6 = r#"{"order": ["map_t", "lw4o6"], "map_t": {}, "lw4o6": {"lwaftr": "lwaftr.example.net", "ipv6": "2001:db8:112:3400::/56",
        "ipv4": "198.51.100.18", "psid": 52, "psid_length": 8, "psid_offset": 4}}"#;
    let ipip = r#"{"order": ["ipip"], "ipip": [
        {"ipv6_local": "2001:db8:999::7", "ipv6_remote": "2001:db8:f1::1", "ipv4": "203.0.113.8/32"},
        {"ipv6_local": "2001:db8:112:3400::7", "ipv6_remote": "2001:db8:f1::1", "ipv4": "203.0.113.7/32"}]}"#;
    let dslite = r#"{"order": ["dslite"], "dslite": {"aftr": "aftr.example.net"}}"#;
    let whole = Some((Ipv4Addr::new(203, 0, 113, 7), PortSet::ALL));
    let cases = [
        (AUTO, MAP_E, BR, Some(map_e), share),
        ("[service]\nkind = 'v6plus'\n", MAP_E, BR, Some(map_e), share),
        (AUTO, lw4o6, LWAFTR, None, share),
        ("[service]\nkind = 'lw4o6'\n", lw4o6, LWAFTR, None, share),
        (AUTO, ipip, FIXED_BR, Some("2001:db8:112:3400::7".parse().unwrap()), whole),
        ("[service]\nkind = 'ocx'\n", ipip, FIXED_BR, Some("2001:db8:112:3400::7".parse().unwrap()), whole),
        (AUTO, dslite, AFTR, None, None),
    ];
    for (service, body, remote, local, expected) in cases {
        let mut line = provisioned(service, body);
        line.world.isp.resolver.set_addresses("aftr.example.net", 300, &[AFTR]);
        line.world.isp.resolver.set_addresses("lwaftr.example.net", 300, &[LWAFTR]);
        line.carries();
        let (ours, theirs) = ends(&line.world);
        assert_eq!((theirs, outside(&line.world)), (remote, expected), "{service}{body}");
        assert!(local.is_none_or(|local| local == ours), "{ours}: {service}{body}");
        let step = line.world.status().service.found_by.pop().unwrap();
        assert_eq!((step.origin, step.outcome), (Origin::Provisioning, Outcome::Chosen));
        assert_eq!(line.requests.borrow().len(), 1);
    }
}

/// Specification 3.6: another prefix is asked for at once, from an address in it, with the token. The answer for the
/// old one is not used for the new one, not for a moment.
#[test]
fn renumbering() {
    let mut line = provisioned(AUTO, MAP_E);
    line.carries();
    let old = ends(&line.world).0;
    *line.says.borrow_mut() = (503, String::new());
    line.world.isp.says().prefixes = vec![
        Prefix { prefix: OTHER_LINE, preferred: 14400, valid: 43200 },
        Prefix { prefix: LINE, preferred: 0, valid: 7200 },
    ];
    line.world.isp.advertise();
    let requests = line.requests.clone();
    line.until(move |_| requests.borrow().len() == 2);
    let (from, request) = line.requests.borrow()[1].clone();
    assert_eq!(from.segments()[..4], OTHER_LINE.segments()[..4], "servers answer by the address that asks");
    assert!(request.contains("token=abc"), "{request}");
    line.world.pass_with_threads(seconds(1), |_| false);
    assert_eq!(ends(&line.world).0, old, "the old end is ours still, and nobody has said anything else");
    *line.says.borrow_mut() = (200, MAP_E.into());
    // 10 to 30 minutes.
    line.world.isp.resolver.asked.clear();
    line.world.pass_until(seconds(1801), is_asked);
    let new = end(OTHER_LINE, Draft03, Ipv4Addr::new(198, 51, 100, 86), 0x78);
    line.until(move |world| ends(world).0 == new);
}

/// Specification 3.5: a server's trouble takes nothing down, also not after a restart. That there is no such name does.
#[test]
fn trouble_and_the_end_of_the_service() {
    let mut line = provisioned(AUTO, MAP_E);
    line.carries();
    let (was, share) = (ends(&line.world), outside(&line.world));
    *line.says.borrow_mut() = (503, String::new());
    line.world.isp.resolver.asked.clear();
    line.world.restart(true);
    line.carries();
    assert_eq!((ends(&line.world), outside(&line.world)), (was, share), "what was saved");
    assert_eq!(line.requests.borrow().len(), 2, "the server was asked first");
    // The resolvers are silent: nothing is taken back.
    line.world.isp.resolver.alive = false;
    line.world.pass(seconds(4000));
    assert_eq!(ends(&line.world), was);
    line.world.isp.resolver.alive = true;
    line.world.isp.resolver.remove("4over6.info", RecordType::TXT);
    line.world.pass(seconds(4000));
    assert!(line.world.snapshot().softwires.is_empty(), "{:?}", line.world.status().service);
    let State::ChoosingService { why } = line.world.router.state() else { panic!("{:?}", line.world.router.state()) };
    assert!(why.contains("4over6.info"), "{why}");
}

/// Who names other resolvers would name another provisioning server. A second DHCPv6 server that answers faster names nobody: as
/// often as everybody is asked again no question goes where it would have them go, and the service is the line's.
#[test]
fn a_second_source_of_resolvers() {
    let mut line = provisioned(AUTO, &MAP_E.replace("86400", "600"));
    line.world.isp.dhcp.others = vec![refresh()];
    line.carries();
    let (was, share) = (ends(&line.world), outside(&line.world));
    line.world.isp.rival = Some(rival());
    for _ in 0..2 {
        line.world.isp.resolver.asked.clear();
        let requests = line.requests.borrow().len();
        assert!(line.world.pass_until(seconds(700), is_asked), "it is asked again");
        let asked = line.requests.clone();
        line.until(move |_| asked.borrow().len() > requests);
    }
    assert!(!line.world.isp.rival.as_ref().unwrap().asked.is_empty(), "the rival has had its word");
    assert!(!line.world.isp.strays.contains(&ROGUE_RESOLVER));
    assert_eq!((ends(&line.world), outside(&line.world)), (was, share));
}
