# shellcheck shell=bash
# dnsmasq, which delegates no prefixes: what it has is the AFTR's name, and the advertisement of a /64.
PACKAGE=dnsmasq-base
# shellcheck source=scripts/lab.d/peers/line.sh
source scripts/lab.d/peers/line.sh

# Option 64 in wire form: as text, dnsmasq would send text (findings/dnsmasq-aftr-name.sh).
server_start() {
    spawn server isp dnsmasq --keep-in-foreground --conf-file=/dev/null --log-facility=- --no-resolv --no-hosts --interface=i0 --enable-ra \
        --dhcp-range=2001:db8:1:1::100,2001:db8:1:1::1ff,slaac,64,120 --ra-param=i0,4,1800 --dhcp-rapid-commit \
        --dhcp-option=option6:64,02:67:77:07:65:78:61:6d:70:6c:65:00 --host-record=gw.example,2001:db8:ffff::7 \
        --pid-file="$LAB/peer/pid" --dhcp-leasefile="$LAB/peer/leases" --user=root
}
says_refused() { grep -q 'gives nothing' "$LAB/router.log"; }

build_line
ip -n isp addr add 2001:db8:1:1::1/64 dev i0 nodad
listen isp i0 udp port 546 or udp port 547
server_start
# shellcheck disable=SC2034 # router_conf
AFTR=""
router_start
within 20 "the AFTR's name is found" holds "s['service']['remote'] == '2001:db8:ffff::7'"
ours 2001:db8:1:1: || fail "the tunnel is not of the line's prefix"
saw "option 64 found by an Information-request, its name asked of dnsmasq"
heard "dhcp6 solicit" "dhcp6 advertise" || fail "no prefix was asked for"
says_refused || fail "nothing says that there is no prefix"
saw "no prefix: said so, and the advertised /64 carries"
row "$(version)" "a /64 by advertisement, option 64 by DHCPv6, no prefix to delegate" "$SEEN"
