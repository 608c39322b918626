# shellcheck shell=bash
# Killed right behind an ACK, four times (RFC 2131 3.1, step 4): the lease that was acknowledged is known to the next start, and
# no other host gets its address. A new host each time, beside one that renews in the same moment.
for run in 1 2 3 4; do
    ip -n h2 link set eth0 down
    ip -n h2 link set eth0 address "02:00:00:00:62:0$run"
    ip -n h2 link set eth0 up
    rm -f "$LAB/h2.leases"
    lease h1 || fail "run $run: no lease for h1"
    lease h2 || fail "run $run: no lease for h2"
    kill -KILL "$(pid_of router)"
    address=$(leased h2 address)
    grep -q "\"address\":\"$address\",\"mac\":\"02:00:00:00:62:0$run\"" "$ROUTER/state/dhcpv4.json" \
        || fail "run $run: $address was acknowledged and is not on disk"
    within 5 "no XDP program on the WAN" has_no_xdp wan
    within 5 "no XDP program on the LAN" has_no_xdp lan
    router_start dslite
    within 30 "the Internet answers" internet
    # INIT-REBOOT: only a server that knows the lease answers it.
    lease h2 || fail "run $run: h2 asked again and got nothing"
    [[ $(leased h2 address) == "$address" ]] || fail "run $run: h2 had $address and now $(leased h2 address)"
done
