# shellcheck shell=bash
# auto: MAP-T (option 95) is refused by name, and what comes next in the order is taken.
provided pd map-t gw.transix.jp=2404:8e00::feed:100
comes_up auto
chosen dslite names
show status --json | grep -qi 'map-t\|95' || fail "status does not say that MAP-T was refused"
