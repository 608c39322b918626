# shellcheck shell=bash
# The ISP: router advertisements, routes, ingress filtering. DHCPv6 is in dhcp.sh, names in resolver.sh. Sourced.
#
# A line is of one of these kinds, and is numbered 1, or 2 after it was renumbered:
#   pd     RA with M and O and no prefix; DHCPv6 delegates a /56, routed to who has it
#   slaac  RA with O and a /64; DHCPv6 answers information-requests
#   hgw    behind a home gateway, which keeps a /56 itself: RA of its first /64, DHCPv6 delegates a /60 of the rest
#   closed as slaac, with a prefix of the access network's own: no ISP carries it

readonly RESOLVER=2001:db8:53::53
# Endpoints of the services on the market are in these (facts that anybody can look up), and are ours in here.
readonly FAR_NETWORKS="2001:db8:ffff::/48 2404:8e00::/31 2404:9200:225::/48 2001:260:700::/48 2001:380:a120::/48"

# prefix_of KIND NUMBER. What belongs to the customer.
prefix_of() {
    case $1$2 in
    pd1) printf 2001:db8:1012:3400::/56 ;;
    pd2) printf 2001:db8:2056:7800::/56 ;;
    slaac1) printf 2001:db8:3012:3400::/64 ;;
    slaac2) printf 2001:db8:3056:7800::/64 ;;
    hgw1) printf 2001:db8:4012:3400::/56 ;;
    hgw2) printf 2001:db8:4056:7800::/56 ;;
    closed1) printf 2408:210:1:1::/64 ;;
    esac
}

build_isp() {
    local network
    ip -n isp addr add "$RESOLVER/128" dev lo
    # One address of the link only, or kea answers from each.
    ip -n isp link set i0 addrgenmode none
    ip -n isp addr flush dev i0
    ip -n isp addr add fe80::1/64 dev i0 nodad
    ip -n isp addr add 2001:db8:a::1/64 dev i1 nodad
    for network in $FAR_NETWORKS 2001:db8:99::/64; do ip -n isp route add "$network" via 2001:db8:a::2; done
    # Ingress filtering, BCP 38: what the line sends must be from addresses that it has now.
    on isp nft -f - <<'N'
table ip6 isp {
    set customers { type ipv6_addr; flags interval; }
    chain forward { type filter hook forward priority 0; iifname "i0" ip6 saddr != @customers counter drop; }
}
N
    isp_names
    spawn unbound isp unbound -d -c "$LAB/unbound.conf"
    within 10 "the ISP's resolver answers" on isp dig +short +time=1 +tries=1 "@$RESOLVER" update.isp.example AAAA
}

# isp_line KIND NUMBER. What the line is from now on.
isp_line() {
    local kind=$1 number=$2
    note "line: $kind $number"
    printf '%s %s\n' "$kind" "$number" >"$LAB/line"
    isp_routes "$kind" "$number"
    radvd_conf "$kind" "$number" >"$LAB/radvd.conf"
    isp_offers
    if running radvd; then reload radvd; else start_radvd; fi
}

is_line() { [[ -e $LAB/line && $(<"$LAB/line") == "$*" ]]; }

isp_routes() {
    local prefix
    prefix=$(prefix_of "$1" "$2")
    ip -n isp -6 route flush dev i0 root 2001:db8::/32
    ip -n isp -6 route flush dev i0 root 2408::/22
    [[ $1 == pd ]] || ip -n isp route replace "${prefix%/*}/64" dev i0
    on isp nft "flush set ip6 isp customers; add element ip6 isp customers { $prefix }"
}

radvd_conf() {
    local prefix managed=off old
    [[ $1 != pd && $1 != hgw ]] || managed=on
    cat <<R
interface i0 {
    AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; AdvLinkMTU 1500;
    AdvManagedFlag $managed; AdvOtherConfigFlag on;
R
    if [[ $1 != pd ]]; then
        prefix=$(prefix_of "$1" "$2") old=$(prefix_of "$1" $((3 - $2)))
        printf '    prefix %s { };\n' "${prefix%/*}/64"
        # The one before is not to be used any more.
        [[ -z $old ]] || printf '    prefix %s { AdvPreferredLifetime 0; AdvValidLifetime 0; };\n' "${old%/*}/64"
    fi
    printf '    RDNSS %s { };\n};\n' "$RESOLVER"
}

start_radvd() { spawn radvd isp radvd -n -C "$LAB/radvd.conf" -m stderr -d 1 -p "$LAB/radvd.own.pid"; }

# isp_path KIND AFTR. How packets get there: via (they do), blackhole (silence), unreachable (ICMPv6).
isp_path() {
    if [[ $1 == via ]]; then
        ip -n isp -6 route del blackhole "$2/128" 2>/dev/null || true
        ip -n isp -6 route del unreachable "$2/128" 2>/dev/null || true
    else
        ip -n isp -6 route replace "$1" "$2/128"
    fi
}

# isp_mtu BYTES. The largest packet between ISP and AFTR, both ways; the AFTR knows.
isp_mtu() {
    ip -n isp link set i1 mtu "$1"
    ip -n aftr link set a0 mtu "$1"
    tell mtu "$1" >/dev/null
    ip -n aftr link set softwires mtu $(($1 - 40))
}
