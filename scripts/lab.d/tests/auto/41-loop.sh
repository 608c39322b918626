# shellcheck shell=bash
# The provisioning server sends in a circle: given up with a reason, and not at once again.
bad_server loop
says 'redirect'
(($(provisioned_times) <= 12)) || fail "asked $(provisioned_times) times"
