# shellcheck shell=bash
# A station that is no router advertises a unique local prefix: the global one stays (RFC 6724 5, RFC 8028).
# fails today: the prefix that was heard last is used, whatever its scope ~ ^[0-9]+ of 40 pings came back from second 20
line_judged unique-local-beside
