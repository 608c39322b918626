# shellcheck shell=bash
# auto: the provisioning server has a fixed address (ipip).
provided slaac nothing "$(discovery)"
ce=$(fixed_ce slaac)
tell bind "$FIXED" "$ce"
provision ok "$(json_ipip "$ce" "$BR" "$FIXED/32")"
comes_up auto
near_end_is "$ce" || fail "the tunnel comes from $(near_end)"
chosen ipip provisioning
judged auto "$BR" "$ce" "$FIXED"
