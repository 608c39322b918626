# shellcheck shell=bash
# A second router with a prefix of its own: packets go to the router of their source (RFC 8028 3).
line_judged two-routers
