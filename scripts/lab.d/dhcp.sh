# shellcheck shell=bash
# What the ISP says by DHCPv6. Sourced.

# Renew after, rebind after, lifetimes of what kea leases, in seconds.
readonly T1=12 T2=20 PREFERRED=40 VALID=60
# aftr.isp.example. as option 64 carries it (RFC 6334 3).
readonly AFTR_NAME_WIRE=046166747203697370076578616d706c6500

# isp_offers [WORD...]. Which softwires the answers of DHCPv6 offer from now on, beside the resolver; without words the
# same as before.
#   aftr    option 64 with the AFTR's name (RFC 6334)
#   map-e   option 94 with the rule of this line's prefix (RFC 7598); hub and spoke, 240 ports
#   mesh    the same with the F flag: other customers are reached directly
#   map-t   option 95
#   lw4o6   option 96 with this line's share
#   prefer-map-e
#           option 111: what is in option 94 goes before option 64 (RFC 8026 1.3)
#   nothing
isp_offers() {
    local kind number
    (($# == 0)) || printf '%s\n' "$*" >"$LAB/offers"
    read -r kind number <"$LAB/line"
    kea_conf "$kind" "$number" >"$LAB/kea.json"
    if running kea; then reload kea; else start_kea; fi
}

is_offer() { [[ -e $LAB/offers && $(<"$LAB/offers") == "$*" ]]; }

kea_conf() {
    local pools="\"pools\": []" hook prefix
    hook=$(find /usr/lib /usr/local/lib -name libdhcp_run_script.so 2>/dev/null | head -n 1)
    [[ -n $hook ]] || fail "kea's hook libdhcp_run_script.so is not there"
    prefix=$(prefix_of "$1" "$2")
    case $1 in
    pd) pools=$(pd_pool "${prefix%/*}" 56) ;;
    # The second /60: the gateway's own networks are of the first.
    hgw) pools=$(pd_pool "${prefix%00::/*}10::" 60) ;;
    esac
    cat <<K
{ "Dhcp6": {
  "interfaces-config": { "interfaces": [ "i0" ] },
  "lease-database": { "type": "memfile", "persist": true, "name": "$LAB/kea.leases", "lfc-interval": 0 },
  "server-id": { "type": "LL", "htype": 1, "identifier": "020000000001", "persist": false },
  "hooks-libraries": [ { "library": "$hook", "parameters": { "name": "$PWD/scripts/lab.d/kea-routes", "sync": false } } ],
  "renew-timer": $T1, "rebind-timer": $T2, "preferred-lifetime": $PREFERRED, "valid-lifetime": $VALID,
  "option-data": [
    $(for word in $(<"$LAB/offers"); do kea_softwire "$word" "$@"; done)
    { "name": "dns-servers", "data": "$RESOLVER" }
  ],
  "subnet6": [ { "id": $2, "subnet": "2001:db8:0:$2::/64", "interface": "i0", $pools } ],
  "loggers": [ { "name": "kea-dhcp6", "severity": "DEBUG", "debuglevel": 50,
                 "output_options": [ { "output": "stdout" } ] } ]
} }
K
}

# pd_pool PREFIX LENGTH. One prefix, so that it is known which.
pd_pool() { printf '"pd-pools": [ { "prefix": "%s", "prefix-len": %s, "delegated-len": %s } ]' "$1" "$2" "$2"; }

# kea_softwire WORD KIND NUMBER. Options, each with a comma behind it. Kea knows those of RFC 7598 by name.
kea_softwire() {
    local rule ipv6 ipv4 psid
    case $1 in
    aftr) printf '{ "code": 64, "space": "dhcp6", "csv-format": false, "data": "%s" },\n' "$AFTR_NAME_WIRE" ;;
    map-e | mesh | map-t)
        IFS=, read -r ipv6 ipv4 _ < <(map_rule 4 "$2" "$3")
        rule="16, ${ipv4#*/}, ${ipv4%/*}, $ipv6"
        case $1 in
        map-t)
            kea_option dhcp6 s46-cont-mapt
            kea_option s46-cont-mapt-options s46-rule "0, $rule"
            kea_option s46-cont-mapt-options s46-dmr 2001:db8:ffff:64::/64
            ;;
        *)
            kea_option dhcp6 s46-cont-mape
            kea_option s46-cont-mape-options s46-rule "$([[ $1 == mesh ]] && printf 1 || printf 0), $rule"
            kea_option s46-cont-mape-options s46-br "$BR"
            ;;
        esac
        kea_option s46-rule-options s46-portparams "4, 0/0"
        ;;
    prefer-map-e) printf '{ "code": 111, "space": "dhcp6", "csv-format": false, "data": "005e" },\n' ;;
    lw4o6)
        read -r ipv4 psid < <(lw_share "$3")
        kea_option dhcp6 s46-cont-lw
        kea_option s46-cont-lw-options s46-br "$BR"
        kea_option s46-cont-lw-options s46-v4v6bind "$ipv4, $(prefix_of "$2" "$3")"
        kea_option s46-v4v6bind-options s46-portparams "4, $psid/8"
        ;;
    esac
}

# kea_option SPACE NAME [DATA]
kea_option() { printf '{ "space": "%s", "name": "%s"%s },\n' "$1" "$2" "${3:+, \"data\": \"$3\"}"; }

start_kea() {
    spawn kea isp env KEA_PIDFILE_DIR="$LAB" KEA_LOCKFILE_DIR="$LAB" kea-dhcp6 -c "$LAB/kea.json"
    within 15 "kea listens" on isp sh -c 'ss -Hlnu "sport = :547" | grep -q .'
}

# Times that kea wrote down a lease: new, renewed, released.
leases_written() { cat "$LAB"/kea.leases* 2>/dev/null | grep -c '^2001' || true; }
leases_written_more_than() { (($(leases_written) > $1)); }
