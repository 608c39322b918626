# shellcheck shell=bash
# Renew brings lifetimes of zero and NoPrefixAvail in the association: Solicit, another prefix (RFC 8415 18.2.10.1).
line_judged renew-refused
