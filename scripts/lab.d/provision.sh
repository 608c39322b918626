# shellcheck shell=bash
# The provisioning server (HB46PP, scripts/lab.d/provision-server): how it is found and what it says. Sourced.

# discovery [URL] [t]. The record by which it is found, for isp_names.
discovery() { printf '%s=v=v6mig-1 url=%s t=%s' "$DISCOVERY" "${1:-https://$PROVISION_NAME/rule.cgi}" "${2:-b}"; }

# provision MOOD [JSON]. How it answers from now on (see provision-server), and with what.
provision() {
    printf '%s\n' "$1" >"$LAB/provision.mood"
    [[ -z ${2:-} ]] || printf '%s\n' "$2" >"$LAB/provision.json"
}

# Requests so far, one JSON object each.
provisioned() { cat "$LAB/provision.requests" 2>/dev/null || true; }
provisioned_times() { provisioned | wc -l; }
provisioned_at_least() { (($(provisioned_times) >= $1)); }

# What it says of each technology: a JSON object, most with a ttl.
json_map_e() { # draft03|rfc7597 OFFSET BR [mesh]
    local rules version=0
    [[ $1 == draft03 ]] || version=1
    rules=$(map_rules "$2" | awk -F, '{ printf "%s{\"ipv6\":\"%s\",\"ipv4\":\"%s\",\"ea_length\":%s,\"psid_offset\":%s}",
        (NR > 1 ? "," : ""), $1, $2, $3, $4 }')
    json_order map_e "\"map_e\":{\"version\":$version,\"mesh\":${4:-false},\"br\":\"$3\",\"rules\":[$rules]}"
}
json_dslite() { json_order dslite "\"dslite\":{\"aftr\":\"$1\"}"; } # NAME|ADDRESS
json_ipip() { # LOCAL REMOTE IPV4/LENGTH
    json_order ipip "\"ipip\":[{\"ipv6_local\":\"$1\",\"ipv6_remote\":\"$2\",\"ipv4\":\"$3\"}]"
}
json_lw4o6() { # NUMBER
    local address psid
    read -r address psid < <(lw_share "$1")
    json_order lw4o6 "\"lw4o6\":{\"lwaftr\":\"$BR\",\"ipv6\":\"$(prefix_of pd "$1")\",\"ipv4\":\"$address\",\"psid\":$psid,\"psid_length\":8,\"psid_offset\":4}"
}
json_order() {
    printf '{"enabler_name":"Lab","service_name":"lab service","ttl":%s,"token":"%s","order":["%s"],%s}' \
        "${PROVISION_TTL:-86400}" lab-token "$1" "$2"
}

# chosen TECHNOLOGY ORIGIN [first]. Status must say that auto took it, where it was found, and a reason for each step before.
chosen() {
    show status --json >"$LAB/status.json"
    python3 scripts/lab.d/judge-choice "$@" <"$LAB/status.json" >"$LAB/choice" || fail "status: $(<"$LAB/choice")"
    note "$(<"$LAB/choice")"
}

# says TEXT. Status has this (grep) to say, sooner or later.
says() { within 45 "status says $1" said "$1"; }
said() { { show status && show status --json; } | grep -qi -- "$1"; }

# bad_server MOOD [URL [JSON]]. A router that was never here finds a provisioning server in that mood, and nothing else.
bad_server() {
    provided pd nothing "$(discovery "${2:-}")"
    provision "$1" "${3:-$(json_dslite "$AFTR1")}"
    afresh auto
    within 20 "the record is asked for" asked_at_all
    no_ping "$INTERNET" || fail "packets pass, and nobody said how"
}

asked_at_all() { (($(asked "$DISCOVERY" TXT) > 0)); }

# kept_through MOOD. With a good answer known, the router starts again while the server is in that mood.
kept_through() {
    if ! is_good_answer_known; then
        provided pd nothing "$(discovery)"
        provision ok "$(json_dslite "$AFTR1")"
        comes_up auto
    fi
    stop router
    : >"$LAB/provision.requests"
    provision "$1"
    router_start auto
    within 30 "the Internet answers by what was said before" internet
    within 20 "the server was asked all the same" provisioned_at_least 1
    for_seconds 2 "the Internet answers" internet
}

is_good_answer_known() { running router && internet; }
