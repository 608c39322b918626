# shellcheck shell=bash
# auto: a binding of lw4o6 from DHCPv6 (option 96).
provided pd lw4o6 gw.transix.jp=2404:8e00::feed:100
lw_table
comes_up auto
near_end_is "$LW_B4_1" || fail "the tunnel comes from $(near_end)"
chosen lw4o6 s46
nothing_refused
judged auto "$BR" "$LW_B4_1" 192.0.2.18,4,8,52
