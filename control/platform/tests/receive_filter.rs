//! What a card is asked to pass on, as the kernel lists it, and that nothing of it outlives the process. Needs root: each
//! case is a process in a network namespace of its own.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv6Addr;
use std::process::{Child, Command, Stdio};

use hikyaku_platform::{Heard, ReceiveFilter};

const SOLICITED: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff12, 0x3456);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0xfeed);
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 0x99];

/// Plugs a card in, in a namespace that ends with the process that is in it.
const PLUG: &str = "ip link add card type veth peer name far && ip link set far up && ip link set card up";

/// Runs the case `name` of this file in a namespace of its own; `None` without the rights for it.
fn in_namespace(name: &str) -> Option<Child> {
    let may = Command::new("unshare").args(["--net", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("not tested: needs root and util-linux");
        return None;
    }
    let program = std::env::current_exe().unwrap();
    let case = format!("{PLUG} && exec {} --exact {name} --ignored --nocapture", program.display());
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", &case]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Some(command.spawn().unwrap())
}

/// Groups that the card was asked for: `33:33:…` without colons.
fn joined() -> Vec<String> {
    let list = std::fs::read_to_string("/proc/net/dev_mcast").unwrap();
    let of_card = list.lines().filter(|line| line.split_whitespace().nth(1) == Some("card"));
    of_card.filter_map(|line| line.split_whitespace().last().map(String::from)).collect()
}

/// What the program `ip` says to these words.
fn ip(words: &[&str]) -> String {
    let output = Command::new("ip").args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn is_joined(group: &str) -> bool {
    joined().iter().any(|joined| joined == group)
}

#[test]
fn groups_come_and_go_as_they_are_set() {
    if let Some(mut child) = in_namespace("groups") {
        assert!(child.wait().unwrap().success());
    }
}

#[test]
#[ignore = "run by groups_come_and_go_as_they_are_set, in a namespace"]
fn groups() {
    let mut filter = ReceiveFilter::open("card").unwrap();
    assert!(!is_joined("3333ff123456"));
    filter.set(&[SOLICITED], None).unwrap();
    assert!(is_joined("3333ff123456") && !is_joined("3333ff00feed"));
    filter.set(&[OTHER], None).unwrap();
    assert!(!is_joined("3333ff123456") && is_joined("3333ff00feed"));
    assert_eq!((filter.heard(), filter.groups()), (Heard::Groups, &[OTHER][..]));
    // Another of its name.
    ip(&["link", "del", "card"]);
    assert!(filter.set(&[SOLICITED], None).is_err());
    assert!(Command::new("sh").args(["-c", PLUG]).status().unwrap().success());
    filter.renew();
    assert!(!is_joined("3333ff00feed"));
    filter.set(&[OTHER], Some(STATION)).unwrap();
    assert!(is_joined("3333ff00feed"));
    // veth has no filter for further stations, so Linux makes it promiscuous for one.
    assert!(ip(&["-details", "link", "show", "card"]).contains("promiscuity 1"));
    assert!(ip(&["maddr", "show", "dev", "card"]).contains("33:33:ff:00:fe:ed"));
    drop(filter);
    assert!(!is_joined("3333ff00feed"));
    assert!(ip(&["-details", "link", "show", "card"]).contains("promiscuity 0"));
}

#[test]
fn nothing_is_left_after_a_kill() {
    let Some(mut holder) = in_namespace("hold") else { return };
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")));
    // unshare, sh and the case are one process, each having become the next. Somebody else in its namespace has that
    // live on; what that one lists is read up to an empty line.
    let target = holder.id().to_string();
    let list = "while cat /proc/net/dev_mcast && echo; do read line || exit; done";
    let mut other = Command::new("nsenter")
        .args(["--net", "--target", &target, "sh", "-c", list])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut listed = BufReader::new(other.stdout.take().unwrap()).lines();
    let mut list = || listed.by_ref().map(|line| line.unwrap()).take_while(|line| !line.is_empty()).collect::<String>();
    let before = list();
    assert!(before.contains("3333ff123456"), "{before}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let mut asker = other.stdin.take().unwrap();
    asker.write_all(b"\n").unwrap();
    let after = list();
    assert!(after.contains("card") && !after.contains("3333ff123456"), "{after}");
    drop(asker);
    other.wait().unwrap();
}

#[test]
#[ignore = "run by nothing_is_left_after_a_kill, in a namespace"]
fn hold() {
    let mut filter = ReceiveFilter::open("card").unwrap();
    filter.set(&[SOLICITED], None).unwrap();
    println!("held");
    // Until it is killed.
    let _ = std::io::stdin().read_line(&mut String::new());
}
