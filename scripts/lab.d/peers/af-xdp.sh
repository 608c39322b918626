# shellcheck shell=bash
# A kind of device as the router's LAN, a host behind it: in which mode it opens, and five echo requests of five. Sourced by its rows,
# with `device`, which makes `lan` out of `below`, the near end of a veth whose far end is the host's. All in the namespace `router`.

below() {
    link router below host eth0
    # A line that nobody speaks on.
    link router wan line far
}

pinged() {
    local answered
    answered=$(on host ping -n -c 5 -i 0.2 -W 2 "$ROUTER_ADDRESS" | grep -o '[0-9]* received' || true)
    printf '%s of 5 echo requests answered' "${answered% received}"
}

name_spaces router host line
below
device
ip -n router link set lan up
ip -n host addr add 192.168.7.50/24 dev "${HOST_DEVICE:-eth0}"
router_start
mode=$(told 's["lan"]["mode"]')
row "Linux $(uname -r | sed "s,-.*,,")" "a LAN on it, five echo requests of a host" "$mode; $(pinged)"
