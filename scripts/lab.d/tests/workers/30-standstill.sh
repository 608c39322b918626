# shellcheck shell=bash
# One of two workers stands still under traffic: the process ends with code 3; started again, a download of before goes on.
provided pd map-e
map_domain rfc7597 4
comes_up map-e
outlives_standstill map-e 1
traffic
both_workers
nothing_refused
