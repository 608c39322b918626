# shellcheck shell=bash
# ocx: a fixed address on a delegated prefix; nobody is told, the border router knows.
provided pd nothing
ce=$(fixed_ce pd)
tell bind "$FIXED" "$ce"
comes_up ocx
traffic
judged ocx "$BR" "$ce" "$FIXED"
