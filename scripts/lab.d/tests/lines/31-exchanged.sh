# shellcheck shell=bash
# Another router and prefix, not a word: followed, and the dead router is not gone back to (RFC 4861 7.3.3).
line_judged exchanged
