# shellcheck shell=bash
# Renew deprecates the prefix and brings another: it is used at once (RFC 4862 5.5.4).
line_judged deprecated-beside-new
