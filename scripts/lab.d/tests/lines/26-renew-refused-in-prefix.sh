# shellcheck shell=bash
# The same with the status in the prefix.
line_judged renew-refused-in-prefix
