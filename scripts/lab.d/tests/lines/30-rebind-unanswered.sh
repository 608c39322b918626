# shellcheck shell=bash
# After a cut nobody answers Rebind: Solicit beside it (RFC 8415 18.2.12).
line_judged rebind-unanswered
