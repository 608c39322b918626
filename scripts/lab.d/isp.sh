# shellcheck shell=bash
# The ISP: router advertisements, DHCPv6, resolver, routes. Sourced.
#
# A line is of one of two kinds (NTT NGN has both), and is numbered 1, or 2 after it was renumbered:
#   pd     RA with M and O and no prefix; DHCPv6 delegates a /56 of 2001:db8:N000::/40, routed to who has it
#   slaac  RA with O and 2001:db8:0:N::/64; DHCPv6 answers information-requests

readonly RESOLVER=2001:db8:53::53
readonly AFTR_NAME=aftr.isp.example
# How long the router may believe the AFTR's name, in seconds.
readonly AFTR_TTL=10
# Renew after, rebind after, lifetimes of what kea leases, in seconds.
readonly T1=12 T2=20 PREFERRED=40 VALID=60

build_isp() {
    ip -n isp addr add "$RESOLVER/128" dev lo
    # One address of the link only, or kea answers from each.
    ip -n isp link set i0 addrgenmode none
    ip -n isp addr flush dev i0
    ip -n isp addr add fe80::1/64 dev i0 nodad
    ip -n isp addr add 2001:db8:a::1/64 dev i1 nodad
    ip -n isp route add 2001:db8:ffff::/48 via 2001:db8:a::2
    ip -n isp route add 2001:db8:99::/64 via 2001:db8:a::2
    # Ingress filtering, BCP 38: what the line sends must be from addresses that it has now.
    on isp nft -f - <<'N'
table ip6 isp {
    set customers { type ipv6_addr; flags interval; }
    chain forward { type filter hook forward priority 0; iifname "i0" ip6 saddr != @customers counter drop; }
}
N
    isp_name "$AFTR1"
    spawn unbound isp unbound -d -c "$LAB/unbound.conf"
    within 10 "the ISP's resolver answers" resolves "$AFTR1"
}

# isp_line KIND NUMBER. What the line is from now on.
isp_line() {
    local kind=$1 number=$2
    note "line: $kind $number"
    printf '%s %s\n' "$kind" "$number" >"$LAB/line"
    isp_routes "$kind" "$number"
    radvd_conf "$kind" "$number" >"$LAB/radvd.conf"
    kea_conf "$kind" "$number" >"$LAB/kea.json"
    if running kea; then reload kea; else start_kea; fi
    if running radvd; then reload radvd; else start_radvd; fi
}

is_line() { [[ -e $LAB/line && $(<"$LAB/line") == "$*" ]]; }

isp_routes() {
    local network=2001:db8:0:$2::/64
    ip -n isp -6 route flush dev i0 root 2001:db8::/32
    if [[ $1 == slaac ]]; then
        ip -n isp route replace "$network" dev i0
    else
        network=2001:db8:${2}000::/40
    fi
    on isp nft "flush set ip6 isp customers; add element ip6 isp customers { $network }"
}

radvd_conf() {
    local managed=on old=$((3 - $2))
    [[ $1 == pd ]] || managed=off
    cat <<R
interface i0 {
    AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; AdvDefaultLifetime 1800; AdvLinkMTU 1500;
    AdvManagedFlag $managed; AdvOtherConfigFlag on;
R
    if [[ $1 == slaac ]]; then
        printf '    prefix 2001:db8:0:%s::/64 { };\n' "$2"
        # The one before is not to be used any more.
        printf '    prefix 2001:db8:0:%s::/64 { AdvPreferredLifetime 0; AdvValidLifetime 0; };\n' "$old"
    fi
    printf '    RDNSS %s { };\n};\n' "$RESOLVER"
}

# aftr.isp.example. as option 64 carries it (RFC 6334 3).
readonly AFTR_NAME_WIRE=046166747203697370076578616d706c6500

kea_conf() {
    local pools="\"pools\": []" hook
    hook=$(find /usr/lib /usr/local/lib -name libdhcp_run_script.so 2>/dev/null | head -n 1)
    [[ -n $hook ]] || fail "kea's hook libdhcp_run_script.so is not there"
    [[ $1 == slaac ]] ||
        pools="\"pd-pools\": [ { \"prefix\": \"2001:db8:${2}000::\", \"prefix-len\": 40, \"delegated-len\": 56 } ]"
    cat <<K
{ "Dhcp6": {
  "interfaces-config": { "interfaces": [ "i0" ] },
  "lease-database": { "type": "memfile", "persist": true, "name": "$LAB/kea.leases", "lfc-interval": 0 },
  "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
  "hooks-libraries": [ { "library": "$hook", "parameters": { "name": "$PWD/scripts/lab.d/kea-routes", "sync": false } } ],
  "renew-timer": $T1, "rebind-timer": $T2, "preferred-lifetime": $PREFERRED, "valid-lifetime": $VALID,
  "option-data": [
    { "name": "dns-servers", "data": "$RESOLVER" },
    { "code": 64, "space": "dhcp6", "csv-format": false, "data": "$AFTR_NAME_WIRE" }
  ],
  "subnet6": [ { "id": $2, "subnet": "2001:db8:0:$2::/64", "interface": "i0", $pools } ],
  "loggers": [ { "name": "kea-dhcp6", "severity": "DEBUG", "debuglevel": 50,
                 "output_options": [ { "output": "stdout" } ] } ]
} }
K
}

start_kea() {
    spawn kea isp env KEA_PIDFILE_DIR="$LAB" KEA_LOCKFILE_DIR="$LAB" kea-dhcp6 -c "$LAB/kea.json"
    within 15 "kea listens" on isp sh -c 'ss -Hlnu "sport = :547" | grep -q .'
}

start_radvd() { spawn radvd isp radvd -n -C "$LAB/radvd.conf" -m stderr -d 1 -p "$LAB/radvd.own.pid"; }

# isp_name ADDRESS... What the AFTR's name stands for from now on.
isp_name() {
    local address
    cat >"$LAB/unbound.conf" <<U
server:
    interface: $RESOLVER
    access-control: ::/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "$LAB"
    pidfile: "$LAB/unbound.own.pid"
    use-syslog: no
    log-queries: yes
    verbosity: 1
    module-config: "iterator"
    local-zone: "isp.example." static
    local-data: "update.isp.example. 60 IN AAAA $INTERNET6"
$(for address in "$@"; do printf '    local-data: "%s. %s IN AAAA %s"\n' "$AFTR_NAME" "$AFTR_TTL" "$address"; done)
remote-control:
    control-enable: no
U
    running unbound || return 0
    reload unbound
    within 10 "the AFTR's name is $*" resolves "$@"
}

# resolves ADDRESS... Whether the name stands for these and no others.
resolves() {
    local answer
    answer=$(on isp dig +short +time=1 +tries=1 "@$RESOLVER" "$AFTR_NAME" AAAA | sort | tr '\n' ' ')
    [[ $answer == "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ]]
}

# How often the AFTR's name was asked for, but for our own looking. In any case: resolvers are asked in odd ones on
# purpose, and say it back.
asked() { grep -i "info: .* $AFTR_NAME\. AAAA IN" "$LAB/unbound.log" | grep -vc "info: $RESOLVER " || true; }
asked_more_than() { (($(asked) > $1)); }

# Times that kea wrote down a lease: new, renewed, released.
leases_written() { cat "$LAB"/kea.leases* 2>/dev/null | grep -c '^2001' || true; }
leases_written_more_than() { (($(leases_written) > $1)); }

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
