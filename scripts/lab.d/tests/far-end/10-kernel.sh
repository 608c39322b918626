# shellcheck shell=bash
# The border router of test code itself, with the kernel as CE: what is in the port set passes, all else is refused.
# h1 has the shared address itself, and says from which port it speaks.
isp_offers nothing
isp_line pd 1
map_domain rfc7597 4
capture_start far-end
shared=192.0.2.18 ce=$LW_B4_1 stranger=2001:db8:1012:3400::1
host() { ip -n h1 addr replace "$1/32" dev eth0 && ip -n h1 route replace default via "$GATEWAY" src "$1" mtu 1460; }
echo_from() { on h1 ping -n -c 1 -W 1 -e "$1" "$INTERNET"; }
small_from() { on h1 curl --fail --silent --show-error --max-time 5 --local-port "$1" -o "$LAB/got" "http://$2/small" && cmp "$LAB/got" "$LAB/www/small"; }
refuses() { # WHY COMMAND…
    local before
    before=$(count "refused-$1")
    ! "${@:2}" || fail "refused-$1: it passed"
    (($(count "refused-$1") > before)) || fail "refused-$1 does not count"
}

on router sysctl -qw net.ipv6.conf.wan.disable_ipv6=0 net.ipv6.conf.lan.disable_ipv6=0 \
    net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1
ip -n isp route add 2001:db8:1012:3400::/56 via "$(link_local router wan)" dev i0
ip -n router addr add "$GATEWAY/24" dev lan
ip -n router route add default via fe80::1 dev wan
ip -n h1 route replace "$GATEWAY" dev eth0
host "$shared"
kernel_ce "$ce" "$shared" || skip "this kernel is no CE: it lacks seg6"

within 10 "the Internet answers" echo_from 4928
small_from 4928-4943 "$INTERNET" || fail "a file by TCP did not come"
on h1 ping -n -c 1 -W 1 -e 4943 -s 3972 "$INTERNET" || fail "a packet in fragments did not come back"
nothing_refused

refuses port echo_from 4944
refuses port small_from 4912-4927 "$INTERNET"
host 192.0.2.19
refuses address echo_from 4928
host "$shared"

# To another customer, by the border router.
start_peer rfc7597
small_from 4929-4943 "$PEER4:$PEER_PORT" || fail "the other customer did not answer"
(($(peer_count from-br) > 0)) || fail "the other customer saw nothing of the border router's"
stop_peer

ip -n router sr tunsrc set "$stranger"
refuses source echo_from 4928
