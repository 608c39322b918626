# shellcheck shell=bash
# After a cut nobody answers Rebind: Solicit beside it (RFC 8415 18.2.12).
# fails today: only Rebind is sent, until the lease ends ~ ^0 of 15 pings came back from second 60
line_judged rebind-unanswered
