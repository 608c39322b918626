# shellcheck shell=bash
# A delegated prefix with bits behind its length, and a Renew that takes its masked form back: it is kept (RFC 8415 18.2.10.1).
line_judged prefix-off-its-boundary
