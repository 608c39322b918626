# shellcheck shell=bash
# transix: its AFTR by the service's name, asked of the line's resolvers; nothing else says it.
provided pd nothing gw.transix.jp=2404:8e01::feed:100 gw.transix.jp=2404:8e01::feed:101
comes_up transix
[[ $(far_end) == 2404:8e01::feed:10[01] ]] || fail "the tunnel goes to $(far_end)"
traffic
judged transix "2404:8e01::feed:100 2404:8e01::feed:101" "$(prefix_of pd 1)"
