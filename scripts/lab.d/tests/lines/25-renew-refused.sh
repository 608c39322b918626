# shellcheck shell=bash
# Renew brings lifetimes of zero and NoPrefixAvail in the association: Solicit, another prefix (RFC 8415 18.2.10.1).
# fails today: a lease with lifetimes of zero is kept where NoPrefixAvail stands beside it ~ ^0 of 15 pings came back from second 30
line_judged renew-refused
