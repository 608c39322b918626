# shellcheck shell=bash
# auto: DHCPv6 names an AFTR (option 64) and everything else is there too: the AFTR is used, and it is said why.
provided pd "aftr map-e lw4o6" gw.transix.jp=2404:8e00::feed:100 "$(discovery)"
provision ok "$(json_ipip "$(prefix_of pd 1)" "$BR" 203.0.113.5/32)"
comes_up auto
far_end_is "$AFTR1" || fail "the tunnel goes to $(far_end)"
chosen dslite option64
traffic
judged auto "$AFTR1" "$(prefix_of pd 1)"
