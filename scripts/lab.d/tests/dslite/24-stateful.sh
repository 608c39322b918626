# shellcheck shell=bash
# dhclient has an address and a prefix by DHCPv6: a host behind it has the Internet, also right after SIGKILL, and of another prefix of the line's.
# shellcheck disable=SC2034 # router_conf
mac=$(mac h2 eth0)
LAN_IPV6="dhcpv6 = \"stateful\"
delegate = 60
[[lan.ipv6.reservation]]
mac = \"$mac\"
interface-id = \"::50\"
name = \"second\""
router_conf dslite >"$ROUTER/dslite.toml"
reload router
kernel_host h2
build_behind h2
within 10 "h2 has an address of its own" has_slaac h2 2001:db8:1012:3401:
lease6 h2
within 20 "h2 has the address that is kept for it" leased6 h2 address 2001:db8:1012:3401::50
within 20 "h2 has a prefix" leased6 h2 prefix 2001:db8:1012:34f0::/60
grep -q "^dns=.*2001:db8:1012:3401::1" "$LAB/h2.lease6" || fail "it was not told that we are its resolver: $(<"$LAB/h2.lease6")"
from_address() { on h2 ping -6 -n -c 1 -W 1 -I 2001:db8:1012:3401::50 "$INTERNET6"; }
within 10 "the Internet answers the address" from_address
number_behind h2
within 10 "the Internet answers the host behind" internet6 behind
downloads6 behind large || fail "the large file did not come whole"
found=$(scan6 "$BEHIND")
[[ -z $found ]] || fail "from outside: $found"
show leases | grep -q "2001:db8:1012:34f0::/60 *$mac" || fail "show leases: $(show leases)"
show neighbours | grep -q "2001:db8:1012:3401::50 *$mac" || fail "show neighbours: $(show neighbours)"
# What was promised is on disk, and the host behind is reached before its router asks again.
kill -KILL "$(pid_of router)"
grep -q '"mac":"'"$mac"'","number":240' "$ROUTER/state/dhcpv6-leases.json" || fail "the prefix is not on disk: $(<"$ROUTER/state/dhcpv6-leases.json")"
within 5 "no XDP program on the LAN" has_no_xdp lan
stop dhclient6-h2 KILL
router_start dslite
within 30 "the Internet answers the host behind" internet6 behind
lease6 h2
within 20 "h2 has the same prefix" leased6 h2 prefix 2001:db8:1012:34f0::/60
# The line renumbers: what is renewed is of the new prefix.
isp_line pd 2
within $((T1 + 60)) "h2 has a prefix of the new one" leased6 h2 prefix 2001:db8:2056:78f0::/60
within 20 "h2 has an address of the new one" leased6 h2 address 2001:db8:2056:7801::50
number_behind h2
within 10 "the Internet answers the host behind" internet6 behind
downloads6 behind large || fail "the large file did not come whole by the new prefix"
stop dhclient6-h2
ip netns del behind
kernel_host_off h2
LAN_IPV6='' router_conf dslite >"$ROUTER/dslite.toml"
reload router
