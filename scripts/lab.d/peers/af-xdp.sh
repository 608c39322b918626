# shellcheck shell=bash
# A kind of device as the router's LAN, a host behind it: in which mode it opens, and five echo requests of five. Sourced by its rows,
# with KIND set and `device`, which makes `lan` out of `below`, the near end of a veth whose far end is the host's.

below() {
    local one="numrxqueues 1 numtxqueues 1"
    # shellcheck disable=SC2086 # words
    ip link add below $one type veth peer name eth0 $one
    # What a host's stack leaves to a card nobody would do here, and GRO of the device below is what the words are about.
    ethtool -K below tx off rx off tso off gso off gro off >/dev/null
    ethtool -K eth0 tx off rx off tso off gso off gro off >/dev/null
    ip link set below up
    host_on eth0
}

pinged() {
    local answered
    answered=$(ip netns exec host ping -n -c 5 -i 0.2 -W 2 "$ROUTER_ADDRESS" | grep -o '[0-9]* received' || true)
    printf '%s of 5 echo requests answered' "${answered% received}"
}

below
device
ip link set lan up
ip -n host addr add 192.168.7.50/24 dev "${HOST_DEVICE:-eth0}"
router_on lan
mode=$("$HIKYAKU" show status --json --socket "$LAB/control.sock" | python3 -c 'import json, sys; print(json.load(sys.stdin)["lan"]["mode"])')
row "Linux $(uname -r | sed "s,-.*,,")" "a LAN on it, five echo requests of a host" "$mode; $(pinged)"
