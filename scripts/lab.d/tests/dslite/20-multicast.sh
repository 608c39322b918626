# shellcheck shell=bash
# The groups of the router's addresses are joined on the WAN, and status says so; killed, it leaves none (RFC 4862 5.4.2).
internet || fail "no Internet to begin with"
# The Ethernet address of the solicited-node group of an IPv6 address, and the groups that the card was asked for, as Linux lists them.
group() { python3 -c 'import ipaddress, sys; print("3333ff" + ipaddress.IPv6Address(sys.argv[1]).packed[-3:].hex())' "$1"; }
joined() { on router sed -nE 's/^[0-9]+ +wan .* //p' /proc/net/dev_mcast; }
near=$(near_end)
joined | grep -qx "$(group "$near")" || fail "the group of $near, our end of the tunnel, is not joined"
show status | grep -q 'WAN .*multicast groups joined' || fail "status does not say that groups are joined"
kill -KILL "$(pid_of router)"
none_joined() { ! joined | grep -q '^3333ff'; }
within 5 "no group is left" none_joined
