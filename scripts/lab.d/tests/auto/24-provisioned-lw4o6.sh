# shellcheck shell=bash
# auto: the provisioning server has lw4o6.
provided pd nothing "$(discovery)"
lw_table
provision ok "$(json_lw4o6 1)"
comes_up auto
near_end_is "$LW_B4_1" || fail "the tunnel comes from $(near_end)"
chosen lw4o6 provisioning
nothing_refused
