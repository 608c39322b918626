# shellcheck shell=bash
# The WAN cable is out for ten seconds.
ip -n onu link set line down
sleep 1
no_ping "$INTERNET" || fail "the cable is out and packets pass: this test tests nothing"
pings "$GATEWAY" || fail "the LAN has suffered: the gateway does not answer"
sleep 9
ip -n onu link set line up
within 15 "the Internet answers again" internet
downloads small || fail "a download afterwards did not come whole"
