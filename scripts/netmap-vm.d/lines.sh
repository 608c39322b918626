#!/bin/bash
# hikyaku run on netmap links, between Linux stacks: a LAN host, an AFTR (ip6tnl, radvd), an Internet host.
# Runs in the guest of scripts/netmap-vm.
#
#   [host] l0 = l1 (router) w1 = w0 [aftr] x0 = x1 [inet]
#
# The router is in the namespace of the host system; = is a veth pair. Where its links are pipes or VALE
# ports, a cable (dataplane/examples/cable.rs) joins those to l1 and w1.
set -u

readonly PREFIX=2001:db8:1:: B4=2001:db8:1::b4 AFTR=2001:db8:ffff::1
readonly GATEWAY=192.168.7.1 INTERNET=198.51.100.2
# A binding of lw4o6 (RFC 7596): address, PSID of 8 bits behind 4, and the B4's address that follows (RFC 7597 6).
readonly SHARED=192.0.2.18 PSID=52 LW_B4=2001:db8:1:0:0:c000:212:34
# The host system's own addresses on the links of the router.
readonly OWN4=192.168.7.2 OWN6=2001:db8:1::5
readonly DIR=/run/line LOG=/run/line/router.log GONE="the interface is gone; waiting for one of that name"
# Bytes of what is transferred.
readonly SIZE=3000000

FAILURES=0
LINE=''
# A line of the configuration: whom the router is to become.
ACCOUNT=''
# Queues of each link, and a line of the configuration with as many cores; the VLAN of the line.
QUEUES=1 CORES='' VLAN=''
# Its section [service].
readonly DSLITE="kind = \"dslite\"
aftr = \"$AFTR\""
SERVICE=$DSLITE

say() { echo "netmap-vm: $*"; }
on() { ip netns exec "$@"; }

# within SECONDS COMMAND... Whether it succeeds within that time.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}

# check WHAT COMMAND... One line of the verdict.
check() {
    local what=$1 began=$SECONDS
    shift
    if "$@" >/tmp/check.log 2>&1; then
        say "ok      $LINE: $what ($((SECONDS - began)) s)"
    else
        say "FAILED  $LINE: $what"
        tail -n 15 /tmp/check.log
        FAILURES=$((FAILURES + 1))
        return 1
    fi
}

plain() { on "$1" ethtool -K "$2" tx off rx off tso off gso off gro off sg off >/dev/null; }

# pair SIDE. l0 = l1 or w0 = w1, with addresses that nobody had before. All of the line is in one queue, as a card has it.
pair() {
    local sends=$QUEUES
    [ "$1" != w ] || sends=1
    ip link add "$1"0 numtxqueues "$sends" numrxqueues "$QUEUES" type veth \
        peer name "$1"1 numtxqueues "$QUEUES" numrxqueues "$QUEUES" || return
    for end in "$1"0 "$1"1; do
        echo 1 >/proc/sys/net/ipv6/conf/"$end"/disable_ipv6
        ethtool -K "$end" tx off rx off tso off gso off gro off sg off >/dev/null
        ip link set "$end" mtu 1500 promisc on
    done
    "join_$1"
    ip link set "$1"1 up
}

join_l() {
    ip link set l0 netns host
    ip -n host link set l0 mtu 1500 up
}

join_w() {
    ip link set w0 netns aftr
    if [ -n "$VLAN" ]; then
        ip -n aftr link set w0 name trunk mtu 1504
        ip -n aftr link set trunk up
        ip -n aftr link add link trunk name w0 type vlan id "$VLAN"
    fi
    # What a cut cable would take with it otherwise.
    on aftr sysctl -qw net.ipv6.conf.all.keep_addr_on_down=1 net.ipv6.conf.w0.disable_ipv6=0 \
        net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
    ip -n aftr link set w0 mtu 1500 up
    ip -n aftr addr add ${PREFIX}1/64 dev w0 nodad
}

build_net() {
    mkdir -p $DIR
    for ns in host aftr inet; do
        ip netns add $ns
        ip -n $ns link set lo up
    done
    for end in l1 w1; do ip link set $end mtu 1500; done
    join_l
    join_w
    ip link add x0 netns aftr type veth peer name x1 netns inet
    plain aftr x0
    plain inet x1

    ip -n aftr link set x0 up
    ip -n aftr addr add $AFTR/128 dev lo nodad
    ip -n aftr addr add 198.51.100.1/24 dev x0
    ip -n aftr link add softwire type ip6tnl mode ipip6 local $AFTR remote $B4 encaplimit none
    ip -n aftr link set softwire up mtu 1460
    ip -n aftr route add 192.168.7.0/24 dev softwire
    ip -n aftr link add lightweight type ip6tnl mode ipip6 local $AFTR remote $LW_B4 encaplimit none
    ip -n aftr link set lightweight up mtu 1460
    ip -n aftr route add $SHARED/32 dev lightweight

    ip -n inet link set x1 up
    ip -n inet addr add $INTERNET/24 dev x1
    ip -n inet route add default via 198.51.100.1
    head -c $SIZE /dev/urandom >$DIR/large
    SUM=$(sha256sum <$DIR/large)
    printf '#!/bin/bash\nsha256sum >%s/uploaded\n' $DIR >$DIR/take
    printf '#!/bin/bash\ncat %s/large\n' $DIR >$DIR/give
    chmod +x $DIR/take $DIR/give
    on inet nc -ll -p 9 -e $DIR/take &
    on inet nc -ll -p 19 -e $DIR/give &

    cat >$DIR/radvd.conf <<R
interface w0 {
    AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; AdvLinkMTU 1500;
    prefix ${PREFIX}/64 { };
};
R
    on aftr radvd -n -C $DIR/radvd.conf -m stderr -d 1 -p $DIR/radvd.pid >$DIR/radvd.log 2>&1 &

    # What a client of the router's DHCPv4 server does with its lease.
    cat >$DIR/udhcpc <<'U'
#!/bin/bash
[ "$1" = bound ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
ip route replace default via "$router"
echo "$ip $router" >/run/line/lease
U
    chmod +x $DIR/udhcpc
}

# mac LINK ADDRESS. Pipes and VALE ports have none of their own.
mac() { [[ $1 == netmap:?1 ]] || echo "mac = \"$2\""; }

# conf WAN LAN [LINK...]. The router's configuration; LINK, wan or lan, is to have the host's own stack behind it.
conf() {
    local host_wan=false host_lan=false
    [[ " ${*:3} " != *" wan "* ]] || host_wan=true
    [[ " ${*:3} " != *" lan "* ]] || host_lan=true
    cat >$DIR/router.toml <<C
[wan]
link = "$1"
$(mac "$1" "$WAN_MAC")
interface-id = "::b4"
host = $host_wan
${VLAN:+vlan = $VLAN}

[lan]
link = "$2"
$(mac "$2" "$LAN_MAC")
ipv4 = "$GATEWAY/24"
host = $host_lan

[lan.dhcpv4]
dns = ["198.51.100.53"]

[service]
$SERVICE

[tuning]
idle = "sleep"
$CORES

[control]
socket = "$DIR/control.sock"

[system]
state-dir = "$DIR/state"
$ACCOUNT

[log]
level = "debug"
C
}

start() {
    hikyaku run --config $DIR/router.toml >>$LOG 2>&1 &
    ROUTER=$!
}

# ends SIGNAL CODE. The router does, within ten seconds, with that exit code.
ends() {
    kill -"$1" $ROUTER
    within 10 ended || return 1
    local code=0
    wait $ROUTER || code=$?
    echo "exit code $code"
    [ $code = "$2" ]
}
ended() { ! kill -0 $ROUTER 2>/dev/null || grep -q '^State:.*Z' /proc/$ROUTER/status; }

internet() { on host ping -n -c 1 -W 1 $INTERNET; }
no_internet() { ! internet; }

leased() {
    rm -f $DIR/lease
    ip -n host addr flush dev l0
    on host udhcpc -i l0 -n -q -f -t 10 -T 1 -s $DIR/udhcpc || return 1
    grep " $GATEWAY\$" $DIR/lease
}

pings() { on host ping -n -i 0.2 -c 20 -W 2 $INTERNET && on host ping -n -c 3 -W 2 $GATEWAY; }

# download [ADDRESS]. By TCP, whole and unchanged.
download() {
    local got
    got=$(on host timeout 40 bash -c "cat </dev/tcp/${1:-$INTERNET}/19" | sha256sum)
    [ "$got" = "$SUM" ]
}

upload() {
    rm -f $DIR/uploaded
    on host timeout 40 nc $INTERNET 9 <$DIR/large
    within 20 grep "$SUM" $DIR/uploaded
}

# probe BYTES PING-OPTION... An echo request in an IPv4 packet of so many bytes.
probe() {
    local bytes=$1
    shift
    ip -n host route flush cache
    on host ping -n -c 1 -W 3 -s $((bytes - 28)) "$@" $INTERNET
}

# RFC 2473 7.2: a packet that may not be cut and does not fit is answered with ICMP 3/4.
largest() {
    probe 1460 -M 'do' || return 1
    if probe 1461 -M 'do' >/tmp/probe 2>&1; then return 1; fi
    cat /tmp/probe
    grep -q "From $GATEWAY .*Frag needed and DF set (mtu = 1460)" /tmp/probe
}

# RFC 2473 7.2, RFC 6333 5.3: others leave in outer fragments.
fragments() { probe 1500 -M dont && probe 1461 -M dont; }

# away NS INTERFACE NAME. The interface goes down and up again; the router says both, and goes on.
away() {
    local before
    before=$(grep -c "link down link=$3" $LOG)
    ip -n "$1" link set "$2" down
    within 10 more_than "$before" "link down link=$3" || { echo "not noticed" && return 1; }
    no_internet || { echo "it is not down" && return 1; }
    ip -n "$1" link set "$2" up
    [ "$2" != l0 ] || ip -n host route replace default via $GATEWAY
    within 30 internet
}
more_than() { [ "$(grep -c "$2" $LOG)" -gt "$1" ]; }

# A namespace called "" is the host system's.
away_here() {
    local before
    before=$(grep -c "link down link=netmap:$1" $LOG)
    ip link set "$1" down
    within 10 more_than "$before" "link down link=netmap:$1" || { echo "not noticed" && return 1; }
    no_internet || { echo "it is not down" && return 1; }
    ip link set "$1" up
    within 30 internet
}

# replaced SIDE [at-once]. The interface is removed, and another of its name has another address. The router says both,
# lets go of the old one (or the removal would never end), and goes on by itself.
replaced() {
    local link=netmap:$1"1" gone back removal
    gone=$(grep -c "$GONE link=$link" $LOG)
    back=$(grep -c "the interface is back link=$link" $LOG)
    ip link del "$1"1 &
    removal=$!
    if [ "${2:-}" != at-once ]; then
        within 15 more_than "$gone" "$GONE link=$link" || { echo "not noticed" && return 1; }
        no_internet || { echo "it is not gone" && return 1; }
        wait $removal || { echo "it cannot be removed" && return 1; }
    fi
    # The name is free before the router has let go.
    within 5 pair "$1" || return 1
    [ "$1" = w ] || { ip -n host addr add 192.168.7.50/24 dev l0 && ip -n host route replace default via $GATEWAY; }
    wait $removal
    within 15 more_than "$back" "the interface is back link=$link" || { echo "not open again" && return 1; }
    [ "$(grep -c "$GONE link=$link" $LOG)" = $((gone + 1)) ] || { echo "not said once" && return 1; }
    grep -q "starting over link=$link station=$(cat /sys/class/net/"$1"1/address) mtu=1500 " $LOG || { echo "the old address" && return 1; }
    within 40 internet
}

lost_and_adopted() {
    hikyaku show --socket $DIR/control.sock counters | tee /dev/stderr | grep -cE 'queue-(lost|adopted)[^0-9]*3 *$' | grep -x 2
}

killed() {
    ends KILL 137 || return 1
    start
    within 30 internet
}

# The log has nothing that should not be there.
quiet() {
    if grep -E ' ERROR |panicked' $LOG; then return 1; fi
    return 0
}

# forwards. What every kind of link has to do.
forwards() {
    # Nothing else can be, then.
    check "the Internet answers" within 40 internet || return
    check "a DHCPv4 lease" leased
    check "20 echo requests to the Internet, 3 to the gateway" pings
    check "$SIZE bytes by TCP from the Internet" download
    check "$SIZE bytes by TCP to the Internet" upload
    check "1460 bytes with DF pass, 1461 are refused" largest
    check "1500 and 1461 bytes without DF pass, in outer fragments" fragments
}

# begin NAME WAN LAN [LINK...]
begin() {
    LINE=$1
    say "--- $LINE: $2 and $3"
    : >$LOG
    ip -n host addr flush dev l0
    ip -n host addr add 192.168.7.50/24 dev l0
    ip -n host route replace default via $GATEWAY
    rm -rf $DIR/state
    before_failures=$FAILURES
    conf "${@:2}"
    start
    within 10 grep -q 'netmap\|vale' $LOG
    head -n 4 $LOG
}

finish() {
    check "hikyaku show status" hikyaku show --socket $DIR/control.sock status
    hikyaku show --socket $DIR/control.sock counters >$DIR/counters 2>&1
    check "it ends when it is told to" ends TERM 0
    check "nothing is wrong in its log" quiet
    [ "$FAILURES" -gt "$before_failures" ] || return
    say "the log of $LINE:"
    tail -n 40 $LOG
    cat $DIR/counters
    tail -n 5 $DIR/radvd.log
}

emulated() {
    begin "emulated veth" netmap:w1 netmap:l1
    forwards
    check "the line's far end goes down and up" away aftr w0 netmap:w1
    check "the line's near end goes down and up" away_here w1
    check "the LAN's far end goes down and up" away host l0 netmap:l1
    check "the LAN's near end goes down and up" away_here l1
    check "a download after all that" download
    check "killed and started again" killed
    check "a download after that" download
    check "the line's interface is removed and made anew" replaced w
    check "the LAN's interface is removed and made anew" replaced l
    check "the line's interface is made anew before the old one is let go" replaced w at-once
    check "the counters say so" lost_and_adopted
    check "a download after all that" download
    finish
}

has_ipv6() {
    ADDRESS6=$(ip -n host -6 -o addr show dev l0 scope global -tentative | sed -n "s|.* \(${PREFIX%:}[^ ]*\)/64 .*|\1|p" | head -n 1)
    [ -n "$ADDRESS6" ] && ip -n host -6 route show default | grep 'via fe80'
}
pings6() { on host ping -n -i 0.2 -c 20 -W 2 $AFTR && on host ping -n -c 3 -W 2 ${PREFIX}1; }
# By a port where the host listens: it answers itself, and nobody else.
nobody_gets_in() {
    local listener failed=0
    on host nc -ll -p 77 -e true &
    listener=$!
    within 5 on host bash -c "</dev/tcp/$ADDRESS6/77" || failed=1
    if on aftr timeout 3 bash -c "</dev/tcp/$ADDRESS6/77"; then failed=1; fi
    kill $listener
    (($(counter ipv6-filtered) > 0 && failed == 0))
}

# The line's /64 is the LAN's too: hosts are found by ND proxy.
native() {
    begin "native IPv6" netmap:w1 netmap:l1
    on aftr nc -ll -p 19 -e $DIR/give &
    local server=$!
    check "the Internet answers" within 40 internet
    on host sysctl -qw net.ipv6.conf.l0.disable_ipv6=0
    check "a host has an address of the line's prefix, and a router" within 30 has_ipv6
    check "20 echo requests by IPv6 past the line's router, 3 to it" pings6
    check "$SIZE bytes by TCP over IPv6" download $AFTR
    check "nobody gets in" nobody_gets_in
    [ -e /modules/card.ko ] || check "the line's interface is removed and made anew" replaced w
    check "echo requests by IPv6 after that" within 20 pings6
    finish
    kill $server
    on host sysctl -qw net.ipv6.conf.l0.disable_ipv6=1
}

# Nobody in particular, who has been given the device: nothing else is needed to open links again.
as_a_user() {
    echo courier:x:100:100::/:/bin/sh >>/etc/passwd
    chown courier /dev/netmap
    ACCOUNT='user = "courier"'
    begin "as a user" netmap:w1 netmap:l1
    check "the Internet answers" within 40 internet
    check "it is that user, with no capability" is_nobody
    check "the line's interface is removed and made anew" replaced w
    check "the LAN's interface is removed and made anew" replaced l
    check "a download after that" download
    finish
    ACCOUNT=''
    chown root /dev/netmap
}

is_nobody() { tee /dev/stderr </proc/$ROUTER/status | grep -c '^Uid:.100.100.100.100$\|^CapPrm:.0*$' | grep -x 2; }

both_at_once() {
    download >/tmp/both 2>&1 &
    local own other=$!
    on host ping -n -i 0.2 -c 10 -W 2 $OWN4 && download $OWN4
    own=$?
    wait $other && [ $own = 0 ]
}

# The addresses are translated here, to a share of the ports of one.
lightweight() {
    SERVICE="kind = \"lw4o6\"
aftr = \"$AFTR\"
ipv4 = \"$SHARED\"
psid = $PSID
psid-length = 8
psid-offset = 4"
    begin "lw4o6" netmap:w1 netmap:l1
    forwards
    check "the server sees the shared address and ports of the port set" own_ports
    check "the line's interface is removed and made anew" replaced w
    check "a download after that" download
    finish
    SERVICE=$DSLITE
}

# The server's ends of the last downloads; addresses there are numbers of the machine's byte order.
own_ports() {
    local port ports
    download || return 1
    ports=$(on inet sed -n 's/^ *[0-9]*: [0-9A-F]*:0013 [0-9A-F]*120200C0:\([0-9A-F]*\) .*/\1/p' /proc/net/tcp /proc/net/tcp6)
    [ -n "$ports" ] || { on inet cat /proc/net/tcp6 && return 1; }
    for port in $ports; do
        echo "port $((16#$port))"
        ((16#$port >= 4096 && (16#$port >> 4 & 255) == PSID)) || return 1
    done
}

# renew. Both pairs are made anew, while no router runs.
renew() {
    ip link del w1
    ip link del l1
    pair l
    pair w
}

counter() { hikyaku show --socket $DIR/control.sock counters --json | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p"; }

# UDP in many flows, both ways: no datagram is overtaken by the next of its flow, and nearly all come.
in_order() {
    local way lost packets
    for way in "" --reverse; do
        on host timeout 40 iperf3 --client $INTERNET --udp --parallel 6 --bitrate 1M --length 1400 --time 4 $way --json >/tmp/udp || {
            tail -n 5 /tmp/udp
            return 1
        }
        lost=$(sed -n 's/.*"lost_packets":[[:space:]]*\([0-9]*\).*/\1/p' /tmp/udp | tail -n 1)
        packets=$(sed -n 's/.*"packets":[[:space:]]*\([0-9]*\).*/\1/p' /tmp/udp | tail -n 1)
        echo "$lost of $packets lost $way"
        if grep '"out_of_order":[[:space:]]*[1-9]' /tmp/udp; then return 1; fi
        ((packets > 500 && lost < packets / 10)) || return 1
    done
}

# What one worker handed off the other has received, and that was a part of what in_order sent.
handed_off() {
    local handed received
    handed=$(counter handed-off) received=$(counter handoff-received)
    echo "$handed handed off, $received received"
    ((handed > 500 && handed == received))
}

answers() { hikyaku show --socket $DIR/control.sock status; }

# restarts TIMES. Every time it opens its links and its handoff rings again.
restarts() {
    local n
    for ((n = 1; n <= $1; n++)); do
        if ! { within 10 answers && ends TERM 0; }; then
            echo "start $n"
            return 1
        fi
        start
    done
}

# Two workers. Another program has the memory too, so that nothing is put right by the last one out, and there is just
# enough: more by one handoff ring's buffers than what all rings need.
several() {
    local peer buffers=/sys/module/netmap/parameters/buf_num
    QUEUES=2 CORES='cores = "0,1"'
    renew
    ip link add h0 type veth peer name h1
    ip link set h0 up
    ip link set h1 up
    echo $((2 * 2 * 1024 + 2 * QUEUES * 2 * 1024 + QUEUES * (QUEUES - 1) * 512 + 512)) >$buffers
    cable netmap:h0 netmap:h1 >$DIR/cable.log 2>&1 &
    peer=$!
    within 10 grep -q 'netmap:h1' $DIR/cable.log || cat $DIR/cable.log
    on inet iperf3 --server >/dev/null 2>&1 &
    begin "two workers" netmap:w1 netmap:l1
    forwards
    check "every flow in order" in_order
    check "one worker hands off what the other receives" handed_off
    check "the line's interface is removed and made anew" replaced w
    check "the LAN's interface is removed and made anew" replaced l
    check "every flow in order after that" in_order
    check "and what is handed off is received" handed_off
    check "20 starts" restarts 20
    check "the Internet after that" within 40 internet
    check "a download after that" download
    finish
    kill $peer
    wait $peer
    QUEUES=1 CORES=''
}

# A line that is a VLAN of its wire.
tagged() {
    VLAN=10
    renew
    begin "a VLAN" netmap:w1 netmap:l1
    forwards
    check "the line's interface is removed and made anew" replaced w
    check "a download after that" download
    finish
    VLAN=''
}

host_rings() {
    ip addr add $OWN4/24 dev l1
    echo 0 >/proc/sys/net/ipv6/conf/w1/disable_ipv6
    echo 0 >/proc/sys/net/ipv6/conf/w1/accept_ra
    ip addr add $OWN6/64 dev w1 nodad
    nc -ll -p 19 -e $DIR/give &
    local server=$!
    begin "host rings" netmap:w1 netmap:l1 wan lan
    forwards
    check "the server's own address answers pings" on host ping -n -c 3 -W 2 $OWN4
    check "the server's own address on the line answers pings" on aftr ping -n -c 3 -W 2 $OWN6
    check "the server reaches a LAN host" ping -n -c 3 -W 2 "$(cut -d' ' -f1 $DIR/lease)"
    check "the server reaches the line's router" ping -n -c 3 -W 2 ${PREFIX}1
    check "$SIZE bytes by TCP from the server, and as many from the Internet at once" both_at_once
    if [ ! -e /modules/card.ko ]; then
        check "the LAN's interface is removed and made anew" replaced l
        ip addr add $OWN4/24 dev l1
        check "the server's own address answers pings on the new one" on host ping -n -c 3 -W 2 $OWN4
    fi
    finish

    # A pipe has no host rings, and need not have any.
    cable 'netmap:x}3' netmap:w1 >$DIR/cable.log 2>&1 &
    local peer=$!
    within 10 grep -q 'netmap:w1' $DIR/cable.log || cat $DIR/cable.log
    begin "host rings beside a pipe" 'netmap:x{3' netmap:l1 lan
    if check "the Internet answers" within 40 internet; then
        check "20 echo requests to the Internet, 3 to the gateway" pings
        check "the server's own address answers pings" on host ping -n -c 3 -W 2 $OWN4
        check "$SIZE bytes by TCP from the server, and as many from the Internet at once" both_at_once
    fi
    finish
    kill $server $peer
    wait $peer
    ip addr flush dev l1
    ip addr flush dev w1
    echo 1 >/proc/sys/net/ipv6/conf/w1/disable_ipv6
}

# cabled NAME WAN LAN WAN-PEER LAN-PEER
cabled() {
    local peer
    cable "$4" netmap:w1 "$5" netmap:l1 >$DIR/cable.log 2>&1 &
    peer=$!
    within 10 grep -q 'netmap:l1' $DIR/cable.log || cat $DIR/cable.log
    begin "$1" "$2" "$3"
    forwards
    check "killed and started again" killed
    finish
    kill $peer
    wait $peer
}

# Cards whose driver knows netmap. They have no other end that could be cut, and cannot be removed.
cards() {
    begin "native cards" netmap:w1 netmap:l1
    forwards
    check "the line's near end goes down and up" away_here w1
    check "the LAN's near end goes down and up" away_here l1
    check "a download after all that" download
    check "killed and started again" killed
    check "a download after that" download
    finish
}

build_net
WAN_MAC=$(cat /sys/class/net/w1/address) LAN_MAC=$(cat /sys/class/net/l1/address)
if [ -e /modules/card.ko ]; then
    cards
    native
    host_rings
else
    emulated
    native
    as_a_user
    lightweight
    host_rings
    cabled "pipes" 'netmap:x{1' 'netmap:x{2' 'netmap:x}1' 'netmap:x}2'
    cabled "VALE ports" vale0:wan vale1:lan vale0:peer vale1:peer
    tagged
    several
fi
say "$FAILURES failed, after $SECONDS s"
[ "$FAILURES" = 0 ]
