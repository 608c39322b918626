# shellcheck shell=bash
# The provisioning server answers 500: said, asked again after minutes; after a restart the last good answer is used.
bad_server 500
says '500'
(($(provisioned_times) <= 2)) || fail "asked $(provisioned_times) times"
kept_through 500
