# shellcheck shell=bash
# O without M: a prefix is asked for all the same (RFC 7084 WPD-4).
# fails today: without M no prefix is asked for ~ ^0 of 15 pings
line_judged other-flag-only
