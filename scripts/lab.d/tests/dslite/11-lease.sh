# shellcheck shell=bash
# DHCPv4 with a real client: a lease, what it says, the same again, another for another host.
lease h1 || fail "no lease for h1"
cat "$LAB/h1.lease"
[[ $(leased h1 address) =~ ^192\.168\.7\.1[0-9][0-9]$ ]] || fail "h1 got $(leased h1 address), not of the pool"
[[ $(leased h1 mask) == 255.255.255.0 ]] || fail "the mask is $(leased h1 mask)"
[[ $(leased h1 routers) == "$GATEWAY" ]] || fail "the gateway is $(leased h1 routers)"
[[ $(leased h1 server) == "$GATEWAY" ]] || fail "the server is $(leased h1 server)"
[[ $(leased h1 dns) == "$INTERNET_DNS" ]] || fail "the resolver is $(leased h1 dns)"
[[ $(leased h1 domain) == lab.example ]] || fail "the domain is $(leased h1 domain)"
first=$(leased h1 address)

# Again as one that remembers (INIT-REBOOT), then as one that forgot.
lease h1 || fail "h1 asked again and got nothing"
[[ $(leased h1 address) == "$first" ]] || fail "h1 had $first and now $(leased h1 address)"
rm -f "$LAB/h1.leases"
lease h1 || fail "h1 forgot its lease and got nothing"
[[ $(leased h1 address) == "$first" ]] || fail "h1 had $first and, having forgotten, $(leased h1 address)"

lease h2 || fail "no lease for h2"
[[ $(leased h2 address) != "$first" ]] || fail "both hosts got $first"
