# shellcheck shell=bash
# transix where its name does not exist: the addresses that are known of it.
provided pd nothing
comes_up transix
internet || fail "no Internet"
judged transix "$TRANSIX" "$(prefix_of pd 1)"
