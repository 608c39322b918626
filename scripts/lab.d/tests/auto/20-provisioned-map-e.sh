# shellcheck shell=bash
# auto: the provisioning server has MAP-E, draft 03; the server was asked over TLS, with who we are and what we can.
provided slaac nothing gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
map_domain draft03 4
provision ok "$(json_map_e draft03 4 "$BR")"
comes_up auto
near_end_is "$(map_ce draft03 4 slaac 1)" || fail "the tunnel comes from $(near_end)"
chosen map-e provisioning
provisioned | holds "tls and path == '/rule.cgi' and host == '$PROVISION_NAME'
    and len(said['vendorid'].split('-')[0]) == 6 and said['product'] and said['version'] and 'token' not in said
    and {'dslite', 'ipip', 'lw4o6', 'map_e'} <= set(said['capability'].split(','))" ||
    fail "the server was asked the wrong thing: $(provisioned | tail -n 1)"
traffic
nothing_refused
judged auto "$BR" "$(map_ce draft03 4 slaac 1)" "$(share 4 slaac 1)"
