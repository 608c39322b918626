//! A server beside a model of what it promised.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pass(u16),
    Discover {
        client: u8,
        wish: Option<u8>,
    },
    /// Takes the last offer.
    Take {
        client: u8,
        late: u16,
    },
    Renew {
        client: u8,
        rebind: bool,
    },
    Reboot {
        client: u8,
    },
    /// Says that it has an address.
    Claim {
        client: u8,
        address: u8,
    },
    Release {
        client: u8,
    },
    Decline {
        client: u8,
    },
    InUse {
        address: u8,
    },
    Restart,
}

fn steps() -> impl Strategy<Value = Step> {
    // More clients than addresses.
    let client = || 0u8..8;
    let address = || 98u8..106;
    prop_oneof![
        2 => (0u16..5000).prop_map(Step::Pass),
        4 => (client(), prop::option::of(address())).prop_map(|(client, wish)| Step::Discover { client, wish }),
        4 => (client(), prop_oneof![3 => Just(1u16), 1 => 0u16..20_000]).prop_map(|(client, late)| Step::Take { client, late }),
        3 => (client(), any::<bool>()).prop_map(|(client, rebind)| Step::Renew { client, rebind }),
        2 => client().prop_map(|client| Step::Reboot { client }),
        1 => (client(), address()).prop_map(|(client, address)| Step::Claim { client, address }),
        1 => client().prop_map(|client| Step::Release { client }),
        1 => client().prop_map(|client| Step::Decline { client }),
        1 => address().prop_map(|address| Step::InUse { address }),
        1 => Just(Step::Restart),
    ]
}

/// What clients were told, and until when it holds.
#[derive(Default)]
struct Promises(HashMap<Ipv4Addr, (Mac, Time)>);

impl Promises {
    fn of(&self, mac: Mac, now: Time) -> Option<Ipv4Addr> {
        self.0.iter().find(|(_, (holder, end))| *holder == mac && *end > now).map(|(&address, _)| address)
    }

    fn hear(&mut self, now: Time, got: &Got) -> Result<(), TestCaseError> {
        let mac = Mac(got.message.chaddr().try_into().unwrap());
        let address = got.message.yiaddr();
        if got.kind() == MessageType::Nak {
            return Ok(());
        }
        let (holder, end) = self.0.get(&address).copied().unwrap_or((mac, now));
        prop_assert!(holder == mac || end <= now, "{} is {}'s, not {}'s", address, holder, mac);
        prop_assert!(address != ROUTER && (address != host(50) || mac == station(50)));
        if got.kind() == MessageType::Ack {
            let Some(&DhcpOption::AddressLeaseTime(seconds)) = got.get(OptionCode::AddressLeaseTime) else { panic!() };
            let end = now + Duration::from_secs(seconds.into());
            let (_, before) = self.0.insert(address, (mac, end)).unwrap_or((mac, now));
            prop_assert!(before <= end);
            prop_assert!(self.of(mac, now) == Some(address), "one address for a client");
        }
        Ok(())
    }
}

/// Clients 0 to 6 and the one with a reservation.
fn mac(client: u8) -> Mac {
    station(if client == 7 { 50 } else { client + 1 })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// RFC 2131 1.6: no two clients have one address; what was promised holds; who renews keeps his address; the lease
    /// file has every promise in it.
    #[test]
    fn promises_hold(steps in prop::collection::vec(steps(), 1..80)) {
        let mut lan = Lan::new(config());
        let mut promises = Promises::default();
        let mut offers: HashMap<Mac, Ipv4Addr> = HashMap::new();
        for step in steps {
            // So that nothing is refused for coming too fast.
            let mut got = lan.pass(Duration::from_millis(100));
            let lease = |client: u8, lan: &Lan| promises.of(mac(client), lan.now);
            match step {
                Step::Pass(seconds) => {
                    got.extend(lan.seconds(seconds.into()));
                }
                Step::Discover { client, wish } => {
                    let discover = message(mac(client), MessageType::Discover);
                    got.extend(lan.hear(&match wish {
                        Some(wish) => discover.wants(host(wish)),
                        None => discover,
                    }));
                }
                Step::Take { client, late } => {
                    got.extend(lan.pass(Duration::from_millis(late.into())));
                    if let Some(&address) = offers.get(&mac(client)) {
                        got.extend(lan.hear(&message(mac(client), MessageType::Request).wants(address).server(ROUTER)));
                    }
                }
                Step::Renew { client, rebind } => {
                    if let Some(address) = lease(client, &lan) {
                        let renew = message(mac(client), MessageType::Request).having(address);
                        let answer = lan.hear(&if rebind { renew } else { renew.unicast() }).expect("an answer");
                        prop_assert_eq!((answer.kind(), answer.message.yiaddr()), (MessageType::Ack, address));
                        got.push(answer);
                    }
                }
                Step::Reboot { client } => {
                    if let Some(address) = lease(client, &lan) {
                        let answer = lan.hear(&message(mac(client), MessageType::Request).wants(address)).expect("an answer");
                        prop_assert_eq!(answer.kind(), MessageType::Ack);
                        got.push(answer);
                    }
                }
                Step::Claim { client, address } => {
                    let claim = message(mac(client), MessageType::Request).having(host(address)).unicast();
                    got.extend(lan.hear(&claim));
                }
                Step::Release { client } => {
                    if let Some(address) = lease(client, &lan) {
                        lan.hear(&message(mac(client), MessageType::Release).having(address).server(ROUTER).unicast());
                        promises.0.remove(&address);
                    }
                }
                Step::Decline { client } => {
                    if let Some(address) = lease(client, &lan) {
                        lan.hear(&message(mac(client), MessageType::Decline).wants(address).server(ROUTER));
                        promises.0.remove(&address);
                    }
                }
                Step::InUse { address } => {
                    lan.server.in_use(lan.now, host(address), station(200));
                    got.extend(lan.poll());
                }
                Step::Restart => {
                    let wall = 1_000_000_000 + u64::from(lan.now.seconds());
                    let file = lan.server.file(lan.now, wall);
                    let mut after = Lan::new(config());
                    after.now = lan.now;
                    after.server.restore(after.now, wall, &file);
                    lan = after;
                }
            }
            for got in &got {
                promises.hear(lan.now, got)?;
                if got.kind() == MessageType::Offer {
                    offers.insert(Mac(got.message.chaddr().try_into().unwrap()), got.message.yiaddr());
                }
            }
            for (address, (holder, end)) in &promises.0 {
                let left = end.since(lan.now).as_secs();
                if left > 0 {
                    let views = lan.server.leases(lan.now);
                    let view = views.iter().find(|view| view.address == *address && view.standing == Standing::Leased);
                    let held = view.is_some_and(|view| view.mac == Some(*holder) && view.left >= left);
                    prop_assert!(held, "{} of {} for {} s: {:?}", address, holder, left, view);
                }
            }
        }
    }
}
