#!/usr/bin/env bash
# dnsmasq 2.90 sends a name that is configured for DHCPv6 option 64 (AFTR-Name) as plain text, not in the form that RFC 6334 3 and RFC
# 8415 10 ask for (labels with their lengths, a zero at the end). Its name for the option is a number, so it does not know the type.
#
# usage: findings/dnsmasq-aftr-name.sh     Debian 12, root (a network namespace), python3; ends with 1 when this has changed
set -euo pipefail
readonly PACKAGE=dnsmasq-base=2.90-4~deb12u2
place=$(mktemp -d)
if [[ ${1:-} != inside ]]; then
    trap 'rm -rf "$place"' EXIT
    # With the libraries that it is linked to and that a machine may lack.
    (cd "$place" && apt-get download -qq "$PACKAGE" libnetfilter-conntrack3 libnfnetlink0 libmnl0 libnettle8 libhogweed6 2>/dev/null &&
        for file in *.deb; do dpkg-deb -x "$file" files; done)
    libraries=$(dirname "$(find "$place/files" -name "libnetfilter_conntrack.so.*" | head -1)")
    export LD_LIBRARY_PATH=$libraries
    "$place/files/usr/sbin/dnsmasq" --version | sed -n 's/ *Copyright.*//p'
    unshare --net -- bash "$0" inside "$place" || { echo "it has changed, or cannot be run here" >&2 && exit 1; }
    exit
fi
place=$2
ip link set lo up
ip link add server type veth peer name client
for link in server client; do ip link set "$link" up; done
ip address add 2001:db8:1::1/64 dev server nodad
"$place/files/usr/sbin/dnsmasq" --keep-in-foreground --conf-file=/dev/null --port=0 --interface=server --bind-interfaces --user=root \
    --dhcp-range=::,constructor:server,ra-stateless --dhcp-option=option6:64,gw.example.jp --leasefile-ro --pid-file= \
    --log-facility="$place/log" &
dnsmasq=$!
trap 'kill "$dnsmasq"' EXIT
python3 - <<'P'
import socket, sys, time

asker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
asker.settimeout(1)
link = socket.if_nametoindex("client")
# Information-request: client identifier (DUID-LL), options wanted: 64.
question = bytes.fromhex("0b123456 0001000a 00030001 020000000001 00060002 0040".replace(" ", ""))
name = None
for _ in range(20):
    try:
        if not asker.getsockname()[1]:
            asker.bind(("::", 546, 0, link))
        asker.sendto(question, ("ff02::1:2", 547, 0, link))
        answer = asker.recv(2048)
    except OSError:
        time.sleep(0.5)
        continue
    options = answer[4:]
    while len(options) >= 4:
        code, length = int.from_bytes(options[:2]), int.from_bytes(options[2:4])
        name = options[4 : 4 + length] if code == 64 else name
        options = options[4 + length :]
    break
labels = b"\x02gw\x07example\x02jp\x00"
print(f"option 64: {name!r}; RFC 6334 has {labels!r}")
sys.exit(0 if name == b"gw.example.jp" else 1)
P
