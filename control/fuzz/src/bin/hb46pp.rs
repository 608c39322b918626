//! What a provisioning server says (HB46PP), and the TXT record that names it: refused in one line, or
//! bounded and whole; and its secret is not shown.
#![no_main]

use hikyaku_protocols::hb46pp::{self, Offer, Server, Technology};
use hikyaku_protocols::map_domain::MAX_RULES;
use libfuzzer_sys::fuzz_target;

/// Names in an order, each with as many tunnels as are taken: more than any answer gives.
const MOST: usize = 32 + 16;

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control) && text.len() < 64 << 10
}

fn check(offer: &Offer) {
    assert!(offer.order.len() <= MOST && offer.refused.len() <= MOST, "{offer:?}");
    let shown = format!("{offer} {offer:?}");
    assert!(is_line(&offer.to_string()), "{offer:?}");
    assert!(offer.refused.iter().all(|refusal| is_line(&refusal.to_string())), "{offer:?}");
    if let Some(token) = offer.token.as_ref().map(|token| token.expose()).filter(|token| token.len() >= 32) {
        let elsewhere = [&offer.enabler, &offer.service, &offer.isp].into_iter().flatten().any(|n| n.contains(token));
        let unsupported = offer.order.iter().any(|technology| technology.name().contains(token));
        assert!(elsewhere || unsupported || !shown.contains(token), "the token is shown");
    }
    for technology in &offer.order {
        match technology {
            Technology::MapE(domain) => {
                assert!((1..=MAX_RULES).contains(&domain.rules.len()) && domain.br.len() == 1 && domain.iid.is_some());
            }
            Technology::Ipip(ipip) => assert!(ipip.local != ipip.remote && ipip.prefix.contains(ipip.address.into())),
            Technology::Lw4o6(lw4o6) => assert!(lw4o6.ports.ranges().next().is_some()),
            Technology::Dslite(_) | Technology::Unsupported(_) => {}
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    hb46pp::fuzz(bytes);
    match Offer::parse(bytes) {
        Ok(offer) => check(&offer),
        Err(why) => assert!(is_line(&why.to_string()), "{why:?}"),
    }
    if let Err(why) = Server::parse(bytes) {
        assert!(is_line(&why.to_string()), "{why:?}");
    }
});
