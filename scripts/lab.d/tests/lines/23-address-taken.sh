# shellcheck shell=bash
# Somebody has the first address that is made in the delegated prefix: another one is made (RFC 7217 6).
line_judged address-taken
