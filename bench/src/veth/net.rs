//! The namespace: made by `unshare`, filled by `ip`. It ends with the process.

use std::env;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};
use hikyaku_ring::LinkName;

use crate::traffic::{GATEWAY, LAN_LEN, OURS, OUTSIDE, ROUTER};

/// The devices whose own counts of what they dropped are looked at.
const DEVICES: [&str; 4] = ["host", "lan", "wan", "line"];

/// Runs this program again, with the same words, in a network namespace of its own.
pub fn in_namespace() -> anyhow::Result<()> {
    let program = env::current_exe().context("this program is not found again")?;
    let done = Command::new("unshare")
        .args(["--net", "--mount"])
        .arg(program)
        .args(env::args_os().skip(1))
        .arg("--inside")
        .status()
        .context("unshare (util-linux) is needed for a namespace of its own")?;
    // What was wrong inside has been said.
    ensure!(done.success(), "not measured; root, and the programs unshare, ip and nft, are needed");
    Ok(())
}

/// Two veth pairs, with nothing between them yet.
pub fn build() -> anyhow::Result<()> {
    // sysfs shows the namespace that it was mounted in.
    command("mount", "-t sysfs sysfs /sys")?;
    for scope in ["all", "default"] {
        set(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
        set(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
    }
    let one = "numrxqueues 1 numtxqueues 1";
    for (near, far, mac) in [("lan", "host", OURS[0]), ("wan", "line", OURS[1])] {
        // The tunnel's frames are 40 bytes longer.
        command(
            "ip",
            &format!("link add {near} address {mac} mtu 1540 {one} type veth peer name {far} mtu 1540 {one}"),
        )?;
        command("ip", &format!("link set {near} up"))?;
        command("ip", &format!("link set {far} up"))?;
    }
    Ok(())
}

/// Has the kernel forward from `lan` to `wan`, and translate.
pub fn forward() -> anyhow::Result<()> {
    command("ip", &format!("addr add {}/{LAN_LEN} dev lan", Ipv4Addr::from(ROUTER)))?;
    command("ip", &format!("addr add {OUTSIDE}/24 dev wan"))?;
    command("ip", &format!("neigh add 203.0.113.1 lladdr {GATEWAY} dev wan"))?;
    command("ip", "route add default via 203.0.113.1 dev wan")?;
    command("nft", "add table ip bench")?;
    command("nft", "add chain ip bench post { type nat hook postrouting priority 100 ; }")?;
    command("nft", "add rule ip bench post oifname wan masquerade")?;
    // The frames' checksums are made up: nobody on the way checks them but conntrack.
    set("net/netfilter/nf_conntrack_checksum", "0")?;
    set("net/ipv4/ip_forward", "1")
}

/// Takes that back.
pub fn stop_forwarding() -> anyhow::Result<()> {
    set("net/ipv4/ip_forward", "0")?;
    command("nft", "delete table ip bench")?;
    command("ip", "addr flush dev lan")?;
    command("ip", "addr flush dev wan")
}

/// The core that the kernel handles what comes in by `lan` on; `None`: the one that it was sent on.
pub fn set_core(core: Option<usize>) -> anyhow::Result<()> {
    let mask = core.map_or(0u64, |core| 1 << (core % 32));
    let words: Vec<String> = core.map_or(vec!["0".into()], |core| {
        std::iter::once(format!("{mask:x}")).chain((0..core / 32).map(|_| "00000000".into())).collect()
    });
    let file = "/sys/class/net/lan/queues/rx-0/rps_cpus";
    fs::write(file, words.join(",")).with_context(|| format!("{file}: the kernel's forwarding cannot be put on a core"))
}

/// What the kernel counted as dropped so far: by device, and before any (`netdev_max_backlog`).
pub fn dropped() -> Vec<(String, u64)> {
    let mut all = Vec::new();
    for device in DEVICES {
        for counter in ["rx_dropped", "tx_dropped", "rx_missed_errors"] {
            let text = fs::read_to_string(Path::new("/sys/class/net").join(device).join("statistics").join(counter));
            let n = text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
            all.push((format!("{device} {counter}"), n));
        }
    }
    // A line a core; the second word is what found its queue full.
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap_or_default();
    let full = text.lines().filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok());
    all.push(("backlog".into(), full.sum()));
    all
}

pub fn link(name: &str) -> LinkName {
    format!("xdp:{name}").parse().expect("a name of ours")
}

fn set(key: &str, value: &str) -> anyhow::Result<()> {
    let file = format!("/proc/sys/{key}");
    fs::write(&file, value).with_context(|| format!("{file} cannot be set"))
}

fn command(program: &str, words: &str) -> anyhow::Result<()> {
    let done = Command::new(program).args(words.split(' ')).output();
    let done = done.with_context(|| format!("the program {program} is needed"))?;
    if !done.status.success() {
        bail!("{program} {words}: {}", String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}
