# shellcheck shell=bash
# O without M: a prefix is asked for all the same (RFC 7084 WPD-4).
line_judged other-flag-only
