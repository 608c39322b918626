# shellcheck shell=bash
# The same with the status in the prefix.
# fails today: a lease with lifetimes of zero is kept where NoPrefixAvail stands in it ~ ^0 of 15 pings came back from second 30
line_judged renew-refused-in-prefix
