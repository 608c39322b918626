# shellcheck shell=bash
# A second router with a prefix of its own: packets go to the router of their source (RFC 8028 3).
# fails today: the prefix that was heard last is used, by the router that was heard first ~ ^[0-9]+ of 50 pings came back from second 20
line_judged two-routers
