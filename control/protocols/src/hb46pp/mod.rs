//! HB46PP ("v6mig-1"), the provisioning protocol of Japanese lines: where the server is (DNS), what it is asked
//! (HTTP), what it offers (JSON). Specification: "IPv6マイグレーション技術の国内標準プロビジョニング方式" 1.1,
//! <https://github.com/v6pc/v6mig-prov/blob/1.1/spec.md>; its sections are what comments here cite.
//! For users: docs/hb46pp.md. Nothing here was tried on a live line.
//!
//! ```
//! use hikyaku_net::Time;
//! use hikyaku_protocols::Machine;
//! use hikyaku_protocols::hb46pp::{Client, Config, Output, Place};
//!
//! let mut client = Client::new(Config::default());
//! let place = Place { prefix: "2001:db8:1::".parse().unwrap(), from: "2001:db8:1::1".parse().unwrap() };
//! client.start(Time(0), place);
//! let Some(Output::Query(name, record_type)) = client.drive(Time(0)) else { panic!("nothing to ask") };
//! assert_eq!((name, record_type.to_string()), ("4over6.info", "TXT".into()));
//! // The answer goes to `client.handle_answer`; then comes Output::Request, whose response goes to `handle_response`.
//! assert!(client.offer().is_none());
//! ```

mod answer;
mod client;
mod discovery;
mod identity;
mod json;
mod offer;
mod saved;
mod status;
#[cfg(test)]
mod tests;

pub use answer::{BadAnswer, MAX_TTL};
pub use client::{Client, Config, Output, Place};
pub use discovery::{BadRecord, NAME, Server};
pub use identity::{BadIdentity, Capability, Credentials, Identity, Product, VendorId};
pub use offer::{Auth, Ipip, Offer, Refusal, Technology};
pub use saved::Saved;
pub use status::{Event, State, Status};

/// Reads any bytes as an answer, and as a TXT record.
pub fn fuzz(bytes: &[u8]) {
    if let Ok(offer) = Offer::parse(bytes) {
        assert!(offer.ttl.is_none_or(|ttl| ttl <= MAX_TTL));
        let _ = offer.to_string();
    }
    if let Ok(server) = Server::parse(bytes) {
        assert!(server.url.is_https() || !server.verify);
    }
}
