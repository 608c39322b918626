# shellcheck shell=bash
# Another router, server and delegated prefix, not a word: what was learned is verified (RFC 8415 18.2.12).
# fails today: nothing is verified when the router is another ~ ^0 of 40 pings came back from second 60
line_judged exchanged-delegated
