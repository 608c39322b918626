# shellcheck shell=bash
# Nothing odd: a /64 is advertised.
line_judged ordinary-advertised
