//! Lines whose prefix shrinks, goes, comes back and changes, in whatever order.

use std::io;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hikyaku::router::LAN;
use hikyaku_dataplane::snapshot::Route6;
use hikyaku_net::Addr6;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::native::{ANOTHER, DELEGATED, last, of, route, told};
use crate::services::seconds;
use crate::world::World;

/// The line comes back after a break: leases are verified (RFC 8415 18.2.12).
fn break_line(world: &mut World) {
    world.router.set_links(world.now, &[true, false]);
    world.router.set_links(world.now, &[true, true]);
}

/// The server delegates this from now on, and takes back what it did.
fn renumber(world: &mut World, next: Option<(Ipv6Addr, u8)>) {
    world.isp.dhcp.taken_back = std::mem::replace(&mut world.isp.dhcp.prefix, next);
    break_line(world);
}

/// What hosts were told of a prefix of 64 bits the last time: its preferred and valid lifetime.
fn lifetimes(world: &World, prefix: Ipv6Addr) -> Option<(u32, u32)> {
    let told = last(world).prefixes.iter().find(|told| told.0 == prefix);
    told.map(|&(_, _, valid, preferred)| (preferred, valid))
}

/// A /56 becomes a /60 of the same address: the LAN's /64 and our end of the tunnel are in both, so nothing that is established
/// notices. Then there is nothing, and hosts know; then it is back.
#[test]
fn a_delegation_that_shrinks_to_nothing_and_comes_back() {
    let mut world = told(DELEGATED, 56, "");
    world.carries_within(seconds(30));
    world.pass(seconds(30));
    let (lan, end) = (of(DELEGATED, 1, 0), world.softwire().local);
    let (snapshots, heard) = (world.snapshots.len(), world.lan.told.len());
    renumber(&mut world, Some((DELEGATED, 60)));
    world.pass(seconds(120));
    for snapshot in &world.snapshots[snapshots..] {
        assert_eq!(snapshot.routes6.lookup(Addr6::from(of(DELEGATED, 1, 9))), Route6::Link(LAN));
        assert_eq!(snapshot.softwires.first().map(|softwire| softwire.local), Some(end));
    }
    let told = world.lan.told[heard..].iter().flat_map(|told| &told.prefixes);
    assert!(
        told.clone().all(|&(prefix, .., preferred)| prefix == lan && preferred > 0),
        "{:?}",
        told.collect::<Vec<_>>()
    );
    assert_eq!(route(&world, of(DELEGATED, 2, 9)), Route6::Unreachable);
    assert!(matches!(route(&world, of(DELEGATED, 0x20, 9)), Route6::Gateway { .. }), "not ours any more");

    renumber(&mut world, None);
    world.pass(seconds(120));
    let (preferred, valid) = lifetimes(&world, lan).expect("hosts are told");
    assert!(preferred == 0 && valid > 0, "{:?}", last(&world));
    assert_eq!(last(&world).lifetime, 0, "RFC 7084 G-5");
    assert_ne!(route(&world, of(DELEGATED, 1, 9)), Route6::Link(LAN));

    world.isp.dhcp.taken_back = None;
    world.isp.dhcp.prefix = Some((DELEGATED, 56));
    break_line(&mut world);
    let is_back = world.pass_until(seconds(600), |world| lifetimes(world, lan) == Some((2700, 5400)));
    assert!(is_back, "{:?}", last(&world));
    assert_eq!(route(&world, of(DELEGATED, 1, 9)), Route6::Link(LAN));
    assert_eq!(last(&world).lifetime, 1800);
}

/// What is logged while this runs, of what everybody sees.
fn logged(run: impl FnOnce()) -> Vec<String> {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);
    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, run);
    let bytes = lines.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// A history: each minute or so the server delegates something else, or nothing, takes back what it did or not, the line breaks or
/// the program is started again.
fn history(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = told(DELEGATED, 56, "");
    for _ in 0..8 {
        let next = [
            Some((DELEGATED, 56)),
            Some((DELEGATED, 60)),
            Some((ANOTHER, 56)),
            Some((ANOTHER, 64)),
            Some((of(ANOTHER, 0x10, 0), 60)),
            None,
        ][rng.random_range(0..6)];
        let before = std::mem::replace(&mut world.isp.dhcp.prefix, next);
        world.isp.dhcp.taken_back = before.filter(|&before| Some(before) != next && rng.random());
        match rng.random_range(0..4) {
            0 => world.restart(true),
            1 => {}
            _ => break_line(&mut world),
        }
        world.pass(Duration::from_secs(rng.random_range(20..120)));
        let status = world.status();
        assert!(status.warnings.len() < 12, "{:?}", status.warnings);
    }
    for told in &world.lan.told {
        // A restart may have hosts told of what they had before; each prefix once.
        let mut prefixes: Vec<Ipv6Addr> = told.prefixes.iter().map(|prefix| prefix.0).collect();
        prefixes.sort();
        let all = prefixes.len();
        prefixes.dedup();
        assert!(prefixes.len() == all && all <= 4, "seed {seed}: {told:?}");
        let are_whole =
            told.prefixes.iter().all(|&(_, _, valid, preferred)| valid > 0 && preferred <= valid && valid <= 5400);
        assert!(are_whole, "seed {seed}: {told:?}");
    }
    // Whatever was before: what is delegated now comes first, and packets for it have a way.
    let before = world.isp.dhcp.prefix.replace((DELEGATED, 56));
    world.isp.dhcp.taken_back = before.filter(|&before| before != (DELEGATED, 56));
    break_line(&mut world);
    let lan = of(DELEGATED, 1, 0);
    let is_told = |world: &World| lifetimes(world, lan).is_some_and(|(preferred, _)| preferred > 0);
    assert!(world.pass_until(seconds(900), is_told), "seed {seed}: {:?}", last(&world));
    world.pass(seconds(30));
    assert_eq!(route(&world, of(DELEGATED, 1, 9)), Route6::Link(LAN), "seed {seed}");
    assert!(is_told(&world), "seed {seed}: {:?}", last(&world));
}

#[test]
fn any_history_of_delegations_ends_with_what_is_delegated() {
    (1..=6).for_each(history);
}

/// A line that renumbers every minute says so in a line of the log for each, and in no more than few.
#[test]
fn a_line_that_renumbers_every_minute_does_not_fill_the_log() {
    const TIMES: u16 = 20;
    let mut world = told(DELEGATED, 56, "");
    world.pass(seconds(60));
    let lines = logged(|| {
        for number in 0..TIMES {
            let [a, b, ..] = DELEGATED.segments();
            renumber(&mut world, Some((Ipv6Addr::new(a, b, 0x2000 + number, 0, 0, 0, 0, 0), 56)));
            world.pass(seconds(60));
        }
    });
    let about = |prefix: &str| lines.iter().filter(|line| line.contains(prefix)).count();
    for number in 0..TIMES {
        let prefix = format!("2001:db8:{:x}:", 0x2000 + number);
        assert!(about(&prefix) >= 1, "{prefix}: {lines:#?}");
    }
    assert!(lines.len() <= usize::from(TIMES) * 12, "{lines:#?}");
}
