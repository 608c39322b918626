# shellcheck shell=bash
# A station that is no router advertises a unique local prefix: the global one stays (RFC 6724 5, RFC 8028).
line_judged unique-local-beside
