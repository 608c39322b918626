# shellcheck shell=bash
# Nothing odd: a prefix is delegated and renewed.
line_judged ordinary-delegated
