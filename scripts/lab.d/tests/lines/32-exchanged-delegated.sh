# shellcheck shell=bash
# Another router, server and delegated prefix, not a word: what was learned is verified (RFC 8415 18.2.12).
line_judged exchanged-delegated
