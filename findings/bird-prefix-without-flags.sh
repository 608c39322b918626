#!/usr/bin/env bash
# BIRD 2.0.12 takes a prefix back in its router advertisements (radv) by announcing it with lifetimes of zero and with neither
# the on-link flag nor the autonomous one. By RFC 4861 6.3.4 and RFC 4862 5.5.3 a such an option says nothing: a host keeps its
# address, preferred as before, while the router goes on mentioning the prefix in each advertisement.
#
# usage: findings/bird-prefix-without-flags.sh     Debian 12, root (a network namespace), python3; ends with 1 when this has changed
set -euo pipefail
readonly PACKAGE=bird2=2.0.12-7
place=$(mktemp -d)
if [[ ${1:-} != inside ]]; then
    trap 'rm -rf "$place"' EXIT
    (cd "$place" && apt-get download -qq "$PACKAGE" 2>/dev/null && dpkg-deb -x bird2_*.deb files)
    echo "BIRD $("$place/files/usr/sbin/bird" --version 2>&1 | sed 's/.*version //')"
    unshare --net -- bash "$0" inside "$place" || { echo "it has changed, or cannot be run here" >&2 && exit 1; }
    exit
fi
place=$2
ip link set lo up
ip link add router type veth peer name host
for link in router host; do ip link set "$link" up; done
ip address add 2001:db8:1::1/64 dev router nodad
ip address add 2001:db8:2::1/64 dev router nodad
cat >"$place/bird.conf" <<'C'
router id 192.0.2.1;
protocol device {}
protocol radv { interface "router" { max ra interval 4; min ra interval 3; }; }
C
"$place/files/usr/sbin/bird" -f -c "$place/bird.conf" -s "$place/bird.ctl" -P "$place/bird.pid" &
bird=$!
trap 'kill "$bird"' EXIT
python3 - <<'P'
import ipaddress, socket, subprocess, sys, time

listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
group = socket.inet_pton(socket.AF_INET6, "ff02::1") + socket.if_nametoindex("host").to_bytes(4, sys.byteorder)
listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)


def advertised(prefix, wanted, seconds):
    """The option of this prefix, once an advertisement has it as `wanted` says."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        listener.settimeout(left)
        try:
            packet = listener.recv(2048)
        except TimeoutError:
            break
        options = packet[16:] if packet[0] == 134 else b""
        while len(options) >= 8:
            option, options = options[: options[1] * 8], options[options[1] * 8 :]
            if option[0] == 3 and ipaddress.ip_address(option[16:32]) == ipaddress.ip_address(prefix):
                found = (option[3] & 0xC0, int.from_bytes(option[4:8]), int.from_bytes(option[8:12]))
                if wanted(*found):
                    return found
    return None


before = advertised("2001:db8:1::", lambda flags, valid, preferred: valid > 0, 30)
subprocess.run(["ip", "address", "del", "2001:db8:1::1/64", "dev", "router"], check=True)
after = advertised("2001:db8:1::", lambda flags, valid, preferred: valid == 0, 30)
for when, found in (("while it is there", before), ("taken back", after)):
    print(f"{when}: L and A {found and hex(found[0])}, valid {found and found[1]}, preferred {found and found[2]}")
sys.exit(0 if before and before[0] == 0xC0 and after == (0, 0, 0) else 1)
P
