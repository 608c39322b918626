# shellcheck shell=bash
# Namespaces and links. Sourced.
#
#   h1 --+
#        switch -- lan [router] wan -- onu -- i0 [isp] i1 -- a0 [aftr] x0 -- e0 [inet]
#   h2 --+                                                +- peer
#
# switch and onu are bridges: a cable is cut at their ports, and the ISP notices nothing.

# shellcheck disable=SC2034 # host.sh and others
readonly INTERNET=198.51.100.2 INTERNET_DNS=198.51.100.53
# shellcheck disable=SC2034 # far.sh
readonly INTERNET6=2001:db8:99::2 PROVISION6=2001:db8:99::3 PROVISION_NAME=prov.isp.example

# Queues of the router's links, a worker for each. The ISP's end of the line has one: all comes in by the first.
QUEUES=1

# Names of the lab's own: of namespaces, and none of the world, which nobody here asks or waits for.
private_names() {
    printf '127.0.0.1 localhost\n' >"$LAB/hosts"
    : >"$LAB/resolv.conf"
    mount --bind "$LAB/hosts" /etc/hosts
    mount --bind "$LAB/resolv.conf" /etc/resolv.conf
    mkdir -p /run/netns
    mount -t tmpfs tmpfs /run/netns
}

build_net() {
    private_names
    local ns
    for ns in h1 h2 switch router onu isp aftr inet peer; do
        ip netns add "$ns"
        ip -n "$ns" link set lo up
        on "$ns" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
            net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
    done
    # The router speaks for itself; a kernel that also solicits and answers there is noise in the captures.
    for ns in h1 h2 switch router onu; do on "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1; done
    on isp sysctl -qw net.ipv6.conf.all.forwarding=1
    on aftr sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1

    link router wan onu line "$QUEUES" 1
    link isp i0 onu isp
    link router lan switch gate "$QUEUES" "$QUEUES"
    link h1 eth0 switch h1
    link h2 eth0 switch h2
    link isp i1 aftr a0
    link aftr x0 inet e0
    link isp i2 peer p0
    bridge switch gate h1 h2
    bridge onu line isp
}

# bridge NS IF...
bridge() {
    local ns=$1 interface
    shift
    ip -n "$ns" link add bridge up type bridge mcast_snooping 0
    for interface; do ip -n "$ns" link set "$interface" master bridge; done
}

# link NS IF NS IF [QUEUES SENDS]. One queue, or an AF_XDP socket sees a part of the traffic; with QUEUES the first end has
# so many, and the other one sends into SENDS of them. No offloads, or frames come with unfinished checksums and merged.
link() {
    local queues=${5:-1} sends=${6:-1}
    ip link add "$2" netns "$1" numtxqueues "$queues" numrxqueues "$queues" type veth \
        peer name "$4" netns "$3" numtxqueues "$sends" numrxqueues "$queues"
    local ns interface
    set -- "${@:1:4}"
    while (($#)); do
        ns=$1 interface=$2
        on "$ns" ethtool -K "$interface" tx off rx off tso off gso off gro off >/dev/null
        ip -n "$ns" link set "$interface" up
        shift 2
    done
}

mac() { on "$1" cat "/sys/class/net/$2/address"; }
