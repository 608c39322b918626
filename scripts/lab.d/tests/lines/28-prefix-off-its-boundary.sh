# shellcheck shell=bash
# A delegated prefix with bits behind its length, and a Renew that takes its masked form back: it is kept (RFC 8415 18.2.10.1).
# fails today: the masked form that is taken back is taken for the lease ~ ^[0-9]+ of 35 pings came back from second 20
line_judged prefix-off-its-boundary
