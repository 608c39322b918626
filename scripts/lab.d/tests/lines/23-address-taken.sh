# shellcheck shell=bash
# Somebody has the first address that is made in the delegated prefix: another one is made (RFC 7217 6).
# fails today: no second address is made in a delegated prefix ~ ^0 of 15 pings
line_judged address-taken
