# shellcheck shell=bash
# auto: nothing is to be found: nothing is sent, each step and its reason is in status; found later, it is used.
provided pd nothing
afresh auto
searched() { show status --json | grep -q 4over6; }
within 30 "status says where was looked" searched
no_ping "$INTERNET" || fail "packets pass, and nobody knows how"
isp_offers aftr
within $((T1 + 30)) "the Internet answers when DHCPv6 names an AFTR" internet
chosen dslite option64
